/*
 * The packet path: sessions joined through a channel, every verdict. With both packet ciphers.
 */
#include "core/forward.h"

#include "tests/support/world.h"

/* Over all tests of this program. */
static uint64_t hits[VERDICT_COUNT];

static void stop(struct world *w)
{
	for (int i = 0; i < VERDICT_COUNT; i++)
		hits[i] += world_count(w, (enum verdict)i);
	world_destroy(w);
}

/* ---- what it is for -------------------------------------------------------------------- */

static void relays_both_ways(void **state)
{
	static const size_t sizes[] = {
		DATA_FRAME_HEAD + 45,
		WORLD_PADDED,
		PLAIN_SIZE_MAX - 1,
		PLAIN_SIZE_MAX,
	};
	struct world *w = world_start(state, 2);

	for (uint32_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
		uint32_t from = i % 2, to = 1 - from;
		struct packet *in = world_put_data(w, 0, from, WORLD_BLOB, sizes[i / 2]);
		world_expect(w, PKT_RELAYED);
		assert_int_equal(w->result.send_count, 1);
		assert_int_equal(w->result.upcall_count, 0);
		const struct packet *out = &w->result.send[0];
		assert_ptr_equal(out->data, in->data);
		assert_int_equal(out->size, sizes[i / 2] + WIRE_OVERHEAD);
		assert_true(path_equal(&out->path, &w->clients[to].path));
		world_assert_blob(w, to, world_receive(w, to, out));
	}
	struct session *s = w->clients[0].session;
	uint64_t bytes = 0;
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		bytes += sizes[i] + WIRE_OVERHEAD;
	assert_int_equal(load_relaxed(&s->rx_bytes), bytes);
	assert_int_equal(load_relaxed(&s->tx_bytes), bytes);
	assert_int_equal(load_relaxed(&s->last_receive_ns), w->now.mono_ns);
	assert_int_equal(load_relaxed(&s->send_counter), COUNT_OF(sizes));
	stop(w);
}

/* Only the channel's number changes: whatever stands behind the blob arrives as it was sent. */
static void frame_is_carried_as_it_is(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t plain[WORLD_PADDED], expected[WORLD_PADDED];
	struct wire_data_frame head = { .type = FRAME_DATA, .size = store_le16(0) };

	memset(plain, 0x5a, sizeof(plain));
	head.channel = store_le24(w->clients[0].channel);
	memcpy(plain, &head, sizeof(head));
	memcpy(expected, plain, sizeof(plain));
	head.channel = store_le24(w->clients[1].channel);
	memcpy(expected, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_RELAYED);
	struct view got = world_receive(w, 1, &w->result.send[0]);
	assert_int_equal(got.size, sizeof(expected));
	assert_memory_equal(got.data, expected, sizeof(expected));
	stop(w);
}

/*
 * Goal:   within a batch each session gets its packets together, in their order, under counters
 *         without a gap that run on from batch to batch.
 * Method: three pairs, interleaved, over three batches.
 */
static void counters_run_over_batches(void **state)
{
	enum { CLIENTS = 6, PACKETS = 30, BATCHES = 3 };
	struct world *w = world_start(state, CLIENTS);
	uint64_t next[CLIENTS] = { 0 };
	uint8_t number = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		for (uint8_t i = 0; i < PACKETS; i++, number++)
			world_put_data(w, i, i % CLIENTS, view_of(&number, 1), WORLD_PADDED);
		world_run(w, PACKETS);
		assert_int_equal(w->result.send_count, PACKETS);
		for (uint32_t i = 0; i < PACKETS; i++) {
			/* Groups in order of their first packet: 0 to 1, 1 to 0, 2 to 3 ... */
			uint32_t group = i / (PACKETS / CLIENTS), to = group ^ 1;
			struct packet *p = &w->result.send[i];
			struct wire_data_header header;
			memcpy(&header, p->data, sizeof(header));
			mask_blocks(w->doors[0].show, (uint8_t *)&header, 1);
			assert_int_equal(load_le24(header.slot), w->clients[to].session->id.slot);
			assert_int_equal(load_le64(header.counter), next[to]);
			struct view plain = world_receive(w, to, p);
			assert_int_equal(plain.data[DATA_FRAME_HEAD],
					 batch * PACKETS + (int)group +
						 (int)(i % (PACKETS / CLIENTS)) * CLIENTS);
			next[to]++;
		}
	}
	assert_int_equal(world_count(w, PKT_RELAYED), BATCHES * PACKETS);
	stop(w);
}

/* A batch to sessions strewn over the table: their hashes collide, their groups do not. */
static void every_packet_to_another(void **state)
{
	struct world *w = world_start(state, WORLD_CLIENTS_MAX);

	for (uint32_t i = 0; i < WORLD_BATCH_MAX; i++)
		world_put_data(w, i, i * i * 37 % WORLD_CLIENTS_MAX, WORLD_BLOB, WORLD_PADDED);
	world_run(w, WORLD_BATCH_MAX);
	assert_int_equal(w->result.send_count, WORLD_BATCH_MAX);
	for (uint32_t i = 0; i < WORLD_BATCH_MAX; i++) {
		const struct packet *p = &w->result.send[i];
		uint32_t to = p->path.remote.ip[14] * 256u + p->path.remote.ip[15];
		world_assert_blob(w, to, world_receive(w, to, p));
	}
	stop(w);
}

/* ---- PING ------------------------------------------------------------------------------ */

struct ping {
	struct wire_frame head;
	struct wire_ping body;
};
struct pong {
	struct wire_frame head;
	struct wire_pong body;
};

static struct ping make_ping(void)
{
	return (struct ping){
		.head = { .type = FRAME_PING, .size = store_le16(sizeof(struct wire_ping)) },
		.body.token = store_le64(0x1122334455667788),
	};
}

static void ping_is_answered_in_place(void **state)
{
	static const size_t sizes[] = { sizeof(struct pong), PAD_BUCKET, PLAIN_SIZE_MAX };
	struct world *w = world_start(state, 2);
	uint8_t plain[PLAIN_SIZE_MAX];
	struct ping ping = make_ping();
	struct pong pong;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		/* What stands behind FRAME_END must not come back to be read as frames. */
		memset(plain, FRAME_DATA, sizeof(plain));
		memcpy(plain, &ping, sizeof(ping));
		plain[sizeof(ping)] = FRAME_END;
		world_put(w, 0, 0, view_of(plain, sizes[i]));
		world_expect(w, PKT_PONG);
		assert_int_equal(w->result.upcall_count, 0);
		assert_int_equal(w->result.send_count, 1);
		assert_true(path_equal(&w->result.send[0].path, &w->clients[0].path));
		struct view got = world_receive(w, 0, &w->result.send[0]);
		assert_int_equal(got.size, sizes[i]);
		memcpy(&pong, got.data, sizeof(pong));
		assert_int_equal(pong.head.type, FRAME_PONG);
		assert_int_equal(load_le16(pong.head.size), sizeof(pong.body));
		assert_int_equal(load_le64(pong.body.token), 0x1122334455667788);
		assert_memory_equal(pong.body.observed_ip, w->clients[0].path.remote.ip, IP_SIZE);
		assert_int_equal(load_le16(pong.body.observed_port),
				 w->clients[0].path.remote.port);
		assert_int_equal(load_le64(pong.body.server_time_ns), w->now.wall_ns);
		for (size_t at = sizeof(pong); at < got.size; at++)
			assert_int_equal(got.data[at], 0);
	}
	stop(w);
}

/* Near misses: too small for the answer, and more or less than one PING. */
static void what_is_not_a_lone_ping(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t plain[PAD_BUCKET] = { 0 };
	struct ping ping = make_ping();

	memcpy(plain, &ping, sizeof(ping));
	world_put(w, 0, 0, view_of(plain, sizeof(struct pong) - 1));
	world_expect(w, PKT_IDLE);
	world_put(w, 0, 0, view_of(plain, sizeof(ping)));
	world_expect(w, PKT_IDLE);
	world_put(w, 0, 0, view_of(plain, sizeof(ping) - 1));
	world_expect(w, PKT_DROP_FRAME);
	memcpy(plain + sizeof(ping), &ping, sizeof(ping));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	memset(plain, 0, sizeof(plain));
	ping.head.size = store_le16(sizeof(ping.body) + 1);
	memcpy(plain, &ping, sizeof(ping));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	ping = make_ping();
	ping.head.zero = 1;
	memcpy(plain, &ping, sizeof(ping));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	assert_int_equal(w->result.send_count, 0);
	stop(w);
}

/* ---- verdicts -------------------------------------------------------------------------- */

static void control_and_padding(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t plain[PAD_BUCKET] = { 0 };

	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_IDLE);
	world_put(w, 0, 0, view_of(plain, 0));
	world_expect(w, PKT_IDLE);
	assert_int_equal(w->result.upcall_count, 0);

	struct wire_frame head = { .type = FRAME_PEERS_GET, .size = store_le16(40) };
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	assert_int_equal(w->result.upcall_count, 1);
	const struct upcall *u = &w->result.upcalls[0];
	assert_int_equal(u->kind, UPCALL_CONTROL);
	assert_int_equal(session_id_pack(u->session), session_id_pack(w->clients[0].session->id));
	assert_int_equal(u->datagram_size, sizeof(plain) + WIRE_OVERHEAD);
	assert_true(path_equal(&u->path, &w->clients[0].path));
	assert_int_equal(u->body.size, sizeof(plain));
	assert_memory_equal(u->body.data, plain, sizeof(plain));

	/* A frame that cannot be one: cut head, body beyond the packet, unknown type. */
	world_put(w, 0, 0, view_of(plain, sizeof(head) - 1));
	world_expect(w, PKT_DROP_FRAME);
	head.size = store_le16(sizeof(plain) - sizeof(head));
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	head.size = store_le16(sizeof(plain) - sizeof(head) + 1);
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_DROP_FRAME);
	head = (struct wire_frame){ .type = FRAME_TYPE_LAST + 1 };
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_DROP_FRAME);
	assert_int_equal(w->result.upcall_count, 0);
	stop(w);
}

static void malformed_data_frames(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t plain[PAD_BUCKET] = { 0 };
	struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(w->clients[0].channel),
	};

	memcpy(plain, &head, sizeof(head));
	for (size_t size = 1; size < DATA_FRAME_HEAD; size++) {
		world_put(w, 0, 0, view_of(plain, size));
		world_expect(w, PKT_DROP_FRAME);
	}
	world_put(w, 0, 0, view_of(plain, DATA_FRAME_HEAD));
	world_expect(w, PKT_RELAYED);
	head.size = store_le16(sizeof(plain) - sizeof(head));
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_RELAYED);
	head.size = store_le16(sizeof(plain) - sizeof(head) + 1);
	memcpy(plain, &head, sizeof(head));
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_DROP_FRAME);
	stop(w);
}

static void channels_of_others(void **state)
{
	struct world *w = world_start(state, 4);
	uint32_t own = w->clients[0].channel;
	const uint32_t wrong[] = {
		0, w->clients[1].channel, w->clients[2].channel, 99, (1 << 24) - 1,
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		w->clients[0].channel = wrong[i];
		world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
		world_expect(w, PKT_DROP_NO_CHANNEL);
	}
	w->clients[0].channel = own;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	channels_part(w->channels, own);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_NO_CHANNEL);
	stop(w);
}

static void the_other_end_fails(void **state)
{
	struct world *w = world_start(state, 2);
	struct session *target = w->clients[1].session;

	store_relaxed(&target->is_established, 0);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_PEER_GONE);
	store_relaxed(&target->is_established, 1);

	target->datagram_max = WORLD_PADDED + WIRE_OVERHEAD;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED + 1);
	world_expect(w, PKT_DROP_PEER_SIZE);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);

	store_relaxed(&target->is_revoked, 1);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_REVOKED);
	assert_int_equal(w->result.send_count, 0);
	store_relaxed(&target->is_revoked, 0);

	store_relaxed(&target->send_counter, EPOCH_PACKETS_HARD - 1);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_KEY_LIMIT);

	table_remove(w->table, target);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_PEER_GONE);
	table_free(w->table, target);
	stop(w);
}

static void the_own_session_fails(void **state)
{
	struct world *w = world_start(state, 2);
	struct session *s = w->clients[0].session;
	struct noise_result keys = test_keys(55, false);
	uint8_t copy[DATAGRAM_SIZE_MAX];

	struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	size_t size = p->size;
	memcpy(copy, p->data, size);
	world_expect(w, PKT_RELAYED);
	world_put_bytes(w, 0, view_of(copy, size), &w->clients[0].path);
	world_expect(w, PKT_DROP_REPLAY);
	copy[size - 1] ^= 1; /* an old counter is seen before the cipher is asked */
	world_put_bytes(w, 0, view_of(copy, size), &w->clients[0].path);
	world_expect(w, PKT_DROP_REPLAY);
	assert_int_equal(load_relaxed(&s->forgeries), 0);

	store_relaxed(&s->is_revoked, 1);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_REVOKED);
	store_relaxed(&s->is_revoked, 0);

	session_next_epoch(&w->clients[0].end, &keys); /* the client alone has new keys */
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_NO_EPOCH);
	keys = test_keys(56, true);
	session_next_epoch(s, &keys); /* both, but not the same */
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_BAD_TAG);
	assert_int_equal(load_relaxed(&s->forgeries), 1);

	table_remove(w->table, s);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_NO_SESSION);
	stop(w);
}

static void hello_comes_up(void **state)
{
	struct world *w = world_start(state, 2);
	struct path stranger = test_path(4711, WORLD_DOOR);
	uint8_t plain[HELLO_SIZE_MIN], tag[AEAD_TAG_SIZE], copy[DATAGRAM_SIZE_MAX];

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	struct packet *p = world_put_hello(w, 0, 0, VIEW(plain), &stranger);
	size_t size = p->size;
	memcpy(copy, p->data, size);
	memcpy(tag, p->data + size - sizeof(tag), sizeof(tag));
	world_expect(w, PKT_HELLO);
	assert_int_equal(w->result.send_count, 0);
	assert_int_equal(w->result.upcall_count, 1);
	const struct upcall *u = &w->result.upcalls[0];
	assert_int_equal(u->kind, UPCALL_HELLO);
	assert_true(path_equal(&u->path, &stranger));
	assert_int_equal(u->datagram_size, size);
	assert_memory_equal(u->hello_tag, tag, sizeof(tag));
	assert_int_equal(u->body.size, sizeof(plain));
	assert_memory_equal(u->body.data, plain, sizeof(plain));

	copy[size - 1] ^= 1;
	world_put_bytes(w, 0, view_of(copy, size), &stranger);
	world_expect(w, PKT_DROP_BAD_HELLO);
	assert_int_equal(w->result.upcall_count, 0);
	stop(w);
}

/* What only a relay sends, and kinds that nobody sends, under a good header mask. */
static void kinds_that_no_client_sends(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t frame[WORLD_PADDED + WIRE_OVERHEAD];

	for (unsigned first = 0; first < 256; first++) {
		bool is_data = first >> WIRE_KIND_SHIFT == WIRE_DATA && (first & 7) == 0;
		struct wire_data_header header;
		memset(frame, 0, sizeof(frame));
		session_header(w->clients[0].session, 0, 0, &header);
		header.first = (uint8_t)first;
		memcpy(frame, &header, sizeof(header));
		mask_blocks(w->doors[0].hide, frame, 1);
		world_put_bytes(w, 0, VIEW(frame), &w->clients[0].path);
		if (first == wire_first(WIRE_HELLO, 0))
			world_expect(w, PKT_DROP_BAD_HELLO);
		else if (first == wire_first(WIRE_DATA, 0))
			world_expect(w, PKT_DROP_BAD_TAG);
		else
			world_expect(w, is_data ? PKT_DROP_NO_EPOCH : PKT_DROP_KIND);
	}
	stop(w);
}

static void sizes_beyond_the_bounds(void **state)
{
	struct world *w = world_start(state, 2);
	static const uint8_t bytes[2 * DATAGRAM_SIZE_MAX];
	static const size_t sizes[] = { 0, 1, WIRE_SIZE_MIN - 1, DATAGRAM_SIZE_MAX + 1, 2000 };

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		world_put_bytes(w, 0, view_of(bytes, sizes[i]), &w->clients[0].path);
		world_expect(w, PKT_DROP_SIZE);
	}
	stop(w);
}

static void a_door_that_is_closed(void **state)
{
	struct world *w = world_start(state, 2);
	struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);

	p->path.door++;
	world_expect(w, PKT_DROP_NO_DOOR);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	stop(w);
}

/* A cipher that has memory for so many keys and no more. */
static const struct packet_cipher *real_cipher;
static uint32_t keys_left;

static bool scarce_expand(void *slot, const uint8_t key[AEAD_KEY_SIZE])
{
	if (keys_left == 0)
		return false;
	keys_left--;
	return real_cipher->expand(slot, key);
}

static void no_memory_for_keys(void **state)
{
	real_cipher = test_cipher(state);
	struct packet_cipher scarce = *real_cipher;
	scarce.expand = scarce_expand;
	keys_left = 2; /* the door's, and the client's to seal with */
	struct world *w = world_create(&scarce, 2);

	assert_false(world_open_door(w, 1, WORLD_PORT + 1) && world_open_door(w, 2, WORLD_PORT));
	keys_left = 1;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_KEY_LIMIT); /* to open it */
	keys_left = 1;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_KEY_LIMIT); /* to seal it */
	struct packet packet = { .data = w->frames[0] };
	assert_false(forward_seal(w->forward, w->clients[1].session->id, NULL, &packet, 16));
	keys_left = 10;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	stop(w);
}

/* ---- last: was everything hit? ---------------------------------------------------------- */

/* Every verdict of the packet path was given somewhere above; the others are the keeper's. */
static void every_verdict_was_hit(void **state)
{
	static const enum verdict keepers[] = {
		PKT_DROP_QUEUE_FULL, PKT_DROP_RATE,   PKT_DROP_HELLO_REPLAY,
		PKT_DROP_HELLO_AUTH, PKT_DROP_COOKIE,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keepers); i++) {
		assert_int_equal(hits[keepers[i]], 0);
		hits[keepers[i]] = 1;
	}
	for (int i = 0; i < VERDICT_COUNT; i++)
		if (hits[i] == 0)
			fail_msg("no test came to verdict %s", verdict_key((enum verdict)i));
}

static const struct CMUnitTest tests[] = {
	WITH_BOTH_CIPHERS(relays_both_ways),           WITH_BOTH_CIPHERS(frame_is_carried_as_it_is),
	WITH_BOTH_CIPHERS(counters_run_over_batches),  WITH_BOTH_CIPHERS(every_packet_to_another),
	WITH_BOTH_CIPHERS(ping_is_answered_in_place),  WITH_BOTH_CIPHERS(what_is_not_a_lone_ping),
	WITH_BOTH_CIPHERS(control_and_padding),        WITH_BOTH_CIPHERS(malformed_data_frames),
	WITH_BOTH_CIPHERS(channels_of_others),         WITH_BOTH_CIPHERS(the_other_end_fails),
	WITH_BOTH_CIPHERS(the_own_session_fails),      WITH_BOTH_CIPHERS(hello_comes_up),
	WITH_BOTH_CIPHERS(kinds_that_no_client_sends), WITH_BOTH_CIPHERS(a_door_that_is_closed),
	WITH_BOTH_CIPHERS(sizes_beyond_the_bounds),    WITH_BOTH_CIPHERS(no_memory_for_keys),
	cmocka_unit_test(every_verdict_was_hit),
};

CRYPTO_TESTS(tests)
