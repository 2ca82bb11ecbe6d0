#include "tests/support/world.h"

enum { CHANNELS = 2 * WORLD_CLIENTS_MAX, KEY_ENTRIES = 4096 };

bool world_open_door(struct world *w, uint32_t index, uint16_t port)
{
	struct world_door *d = &w->doors[index];
	uint8_t door_key[KEY_SIZE] = { 'd', (uint8_t)index };

	door_keys_derive(door_key, &d->keys);
	if (d->hide == NULL) {
		d->hide = mask_create(MASK_HIDE);
		d->show = mask_create(MASK_SHOW);
		mask_set_key(d->hide, d->keys.c2s_header);
		mask_set_key(d->show, d->keys.s2c_header);
	}
	return forward_open_door(w->forward, WORLD_DOOR + index, port, &d->keys);
}

void world_add_client(struct world *w, uint32_t client)
{
	struct world_client *c = &w->clients[client];
	struct noise_result relay_keys = test_keys(client, true);
	struct noise_result client_keys = test_keys(client, false);

	c->session = table_reserve(w->table, &w->random);
	assert_non_null(c->session);
	session_init(c->session, c->session->id, &relay_keys);
	session_init(&c->end, c->session->id, &client_keys);
	c->path = test_path(client, WORLD_DOOR);
	session_set_path(c->session, &c->path);
	table_publish(w->table, c->session);
}

void world_join(struct world *w, uint32_t a, uint32_t b)
{
	struct world_client *left = &w->clients[a], *right = &w->clients[b];

	assert_true(channels_take(w->channels, &left->channel));
	assert_true(channels_take(w->channels, &right->channel));
	channels_join(w->channels, (struct channel_end){ left->session->id, left->channel },
		      (struct channel_end){ right->session->id, right->channel });
}

struct world *world_create(const struct packet_cipher *cipher, uint32_t clients)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_true(clients <= WORLD_CLIENTS_MAX);
	w->cipher = cipher;
	w->random = random_seeded_init(&w->seeded, test_seed());
	w->now = (struct instant){ .mono_ns = 1000 * NS_PER_S, .wall_ns = 77 * NS_PER_S };
	w->table = table_create(&(struct table_config){ .slots = WORLD_CLIENTS_MAX,
							.entry_size = sizeof(struct session) });
	w->channels = channels_create(CHANNELS);
	w->client_keys = key_cache_create(cipher, KEY_ENTRIES);
	w->forward = forward_create(&(struct forward_config){
		.table = w->table,
		.channels = w->channels,
		.cipher = cipher,
		.key_cache_entries = KEY_ENTRIES,
		.batch_max = WORLD_BATCH_MAX,
	});
	assert_non_null(w->forward);
	assert_true(world_open_door(w, 0, WORLD_PORT));
	for (uint32_t i = 0; i < clients; i++) {
		world_add_client(w, i);
		store_relaxed(&w->clients[i].session->is_established, 1);
		if (i % 2 == 1)
			world_join(w, i - 1, i);
	}
	return w;
}

struct world *world_start(void **state, uint32_t clients)
{
	return world_create(test_cipher(state), clients);
}

void world_destroy(struct world *w)
{
	forward_destroy(w->forward);
	for (size_t i = 0; i < DOORS_MAX; i++) {
		mask_destroy(w->doors[i].hide);
		mask_destroy(w->doors[i].show);
	}
	key_cache_destroy(w->client_keys);
	channels_destroy(w->channels);
	table_destroy(w->table);
	free(w);
}

struct packet *world_put_bytes(struct world *w, size_t index, struct view bytes,
			       const struct path *path)
{
	struct packet *p = &w->packets[index];

	assert_true(bytes.size <= sizeof(w->frames[index]));
	*p = (struct packet){
		.data = w->frames[index],
		.size = (uint32_t)bytes.size,
		.path = *path,
	};
	if (bytes.size > 0)
		memmove(p->data, bytes.data, bytes.size);
	return p;
}

struct packet *world_put(struct world *w, size_t index, uint32_t client, struct view plain)
{
	struct world_client *c = &w->clients[client];
	struct world_door *d = &w->doors[c->path.door - WORLD_DOOR];
	uint8_t frame[DATAGRAM_SIZE_MAX];

	if (plain.size > 0)
		memcpy(frame + WIRE_HEADER_SIZE, plain.data, plain.size);
	assert_true(session_seal(&c->end, w->client_keys, d->hide, frame, plain.size));
	return world_put_bytes(w, index, view_of(frame, plain.size + WIRE_OVERHEAD), &c->path);
}

struct packet *world_put_data(struct world *w, size_t index, uint32_t client, struct view blob,
			      size_t plain_size)
{
	uint8_t plain[PLAIN_SIZE_MAX] = { 0 };
	struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(w->clients[client].channel),
		.size = store_le16((uint16_t)blob.size),
	};

	assert_true(sizeof(head) + blob.size <= plain_size && plain_size <= sizeof(plain));
	memcpy(plain, &head, sizeof(head));
	if (blob.size > 0)
		memcpy(plain + sizeof(head), blob.data, blob.size);
	return world_put(w, index, client, view_of(plain, plain_size));
}

struct packet *world_put_hello(struct world *w, size_t index, uint32_t door, struct view plain,
			       const struct path *path)
{
	uint8_t frame[DATAGRAM_SIZE_MAX];

	memcpy(frame + WIRE_HEADER_SIZE, plain.data, plain.size);
	size_t size = door_seal(w->doors[door].keys.c2s_handshake, w->doors[door].hide, WIRE_HELLO,
				&w->random, frame, plain.size);
	return world_put_bytes(w, index, view_of(frame, size), path);
}

void world_run(struct world *w, size_t count)
{
	forward_batch(w->forward, w->packets, count, w->now, &w->result);
}

uint64_t world_count(const struct world *w, enum verdict v)
{
	return load_relaxed(&forward_counters(w->forward)->of[v]);
}

void world_expect(struct world *w, enum verdict v)
{
	uint64_t before[VERDICT_COUNT];

	for (int i = 0; i < VERDICT_COUNT; i++)
		before[i] = world_count(w, (enum verdict)i);
	world_run(w, 1);
	for (int i = 0; i < VERDICT_COUNT; i++) {
		uint64_t risen = world_count(w, (enum verdict)i) - before[i];
		if (risen != (i == (int)v ? 1 : 0))
			fail_msg("verdict %s counted %d times, expected %s",
				 verdict_key((enum verdict)i), (int)risen, verdict_key(v));
	}
}

struct view world_receive(struct world *w, uint32_t client, const struct packet *packet)
{
	struct world_client *c = &w->clients[client];
	struct wire_data_header header;
	struct view plain = { 0 };

	assert_in_range(packet->path.door, WORLD_DOOR, WORLD_DOOR + DOORS_MAX - 1);
	memcpy(&header, packet->data, sizeof(header));
	mask_blocks(w->doors[packet->path.door - WORLD_DOOR].show, (uint8_t *)&header, 1);
	assert_int_equal(session_open(&c->end, w->client_keys, &header,
				      view_of(packet->data, packet->size), &plain, w->now.mono_ns),
			 PKT_IDLE);
	return plain;
}

void world_assert_blob(const struct world *w, uint32_t client, struct view plain)
{
	const struct view blob = WORLD_BLOB;
	struct wire_data_frame head;

	assert_true(plain.size >= sizeof(head) + blob.size);
	memcpy(&head, plain.data, sizeof(head));
	assert_int_equal(head.type, FRAME_DATA);
	assert_int_equal(load_le24(head.channel), w->clients[client].channel);
	assert_int_equal(load_le16(head.size), blob.size);
	assert_memory_equal(plain.data + sizeof(head), blob.data, blob.size);
	for (size_t i = sizeof(head) + blob.size; i < plain.size; i++)
		assert_int_equal(plain.data[i], 0);
}
