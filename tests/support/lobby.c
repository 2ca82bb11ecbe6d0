#include "tests/support/lobby.h"

enum { CLIENT_KEYS = 256 };

static const uint8_t PSK[KEY_SIZE] = { 0x70, 0x73, 0x6b };
const uint8_t LOBBY_DOOR_KEY[KEY_SIZE] = { 0xd0, 0x0d };

/* ---- hooks of the keeper --------------------------------------------------------------- */

static bool hook_find(void *state, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out)
{
	struct lobby *l = state;

	assert_true(wall_ns == l->now.wall_ns);
	if (memcmp(request->payload.id, l->unknown_id, FILE_ID_SIZE) == 0)
		return false;
	*out = l->credential;
	return true;
}

static void enqueue(struct lobby *l, const struct packet *packet)
{
	struct lobby_account *account = &l->accounts[packet->path.remote.port];

	assert_in_range(packet->size, WIRE_SIZE_MIN, DATAGRAM_SIZE_MAX);
	assert_true(l->queue_count < LOBBY_QUEUE);
	struct lobby_datagram *d = &l->queue[(l->queue_first + l->queue_count++) % LOBBY_QUEUE];
	memcpy(d->bytes, packet->data, packet->size);
	d->size = packet->size;
	d->path = packet->path;
	account->to += packet->size;
	if (!account->is_proved)
		assert_true(account->to <= account->from); /* amplification at most 1 */
}

static bool hook_send(void *state, const struct packet *packet)
{
	struct lobby *l = state;
	if (l->send_room > 0 && l->queue_count >= l->send_room)
		return false;
	enqueue(l, packet);
	return true;
}

static void hook_forget(void *state, struct session_id session)
{
	struct lobby *l = state;

	forward_forget(l->forward, session);
	l->forgets++;
}

static void hook_quiesce(void *state)
{
	struct lobby *l = state;
	l->quiesces++;
}

static void hook_event(void *state, const struct keeper_event *event)
{
	struct lobby *l = state;
	l->events[l->event_count++ % LOBBY_EVENTS] = *event;
}

/* ---- life cycle ------------------------------------------------------------------------ */

static void create_client(struct lobby *l, uint32_t index, const struct hello_server *server)
{
	struct lobby_client *c = &l->clients[index];
	uint16_t port = (uint16_t)(LOBBY_FIRST_PORT + index);

	c->status = LOBBY_NO_STATUS;
	c->hello.credential = CREDENTIAL_FILE;
	c->hello.id[0] = 1;
	memcpy(c->hello.psk, PSK, KEY_SIZE);
	memcpy(c->hello.server_id, server->server_id, SERVER_ID_SIZE);
	memcpy(c->hello.server_public, server->static_key.public, X25519_SIZE);
	x25519_generate(&c->hello.device, &l->random);
	ed25519_generate(&c->hello.identity, &l->random);
	memcpy(c->hello.name_tag, &index, sizeof index);
	c->hello.name_tag[NAME_TAG_SIZE - 1] = 1;
	c->path.remote = address_v4(10, 0, (uint8_t)(index >> 8), (uint8_t)index, port);
	c->path.door = LOBBY_DOOR;
	l->accounts[port].client = index + 1;
}

static void create_keeper(struct lobby *l, const struct lobby_config *config)
{
	struct keeper_config k = {
		.table = l->table,
		.channels = l->channels,
		.cipher = l->cipher,
		.hooks = { .state = l,
			   .find_credential = hook_find,
			   .send = hook_send,
			   .forget = hook_forget,
			   .quiesce = hook_quiesce,
			   .event = hook_event },
		.random = l->random,
		.idle_timeout_ns = LOBBY_IDLE_NS,
		.keepalive_s = 25,
		.handshake_rate_per_s = config->rate_per_s != 0 ? config->rate_per_s : 10000000,
		.handshake_burst = config->burst != 0 ? config->burst : 10000,
	};

	random_fill(&l->random, k.server.server_id, SERVER_ID_SIZE);
	x25519_generate(&k.server.static_key, &l->random);
	l->keeper = keeper_create(&k);
	assert_non_null(l->keeper);
	assert_true(keeper_open_door(l->keeper, LOBBY_DOOR, LOBBY_PORT, &l->keys));
	for (uint32_t i = 0; i < config->clients; i++)
		create_client(l, i, &k.server);
}

struct lobby *lobby_create(const struct lobby_config *config)
{
	struct lobby *l = calloc(1, sizeof *l);
	uint32_t slots = config->clients < 8 ? 16 : 2 * config->clients;

	assert_non_null(l);
	l->now = (struct instant){ .mono_ns = 5000 * NS_PER_S, .wall_ns = 1790000000 * NS_PER_S };
	l->random = random_seeded_init(&l->seeded, test_seed());
	l->cipher = packet_cipher_by_name("openssl");
	l->credential.status = STATUS_OK;
	memcpy(l->credential.psk, PSK, KEY_SIZE);
	memset(l->credential.file_id, 0xf1, FILE_ID_SIZE);
	memset(l->unknown_id, 0xee, FILE_ID_SIZE);
	l->client_count = config->clients;
	l->clients = calloc(config->clients, sizeof *l->clients);
	l->table = table_create(
		&(struct table_config){ .slots = config->slots != 0 ? config->slots : slots,
					.entry_size = keeper_entry_size() });
	l->channels = channels_create(config->channels != 0 ? config->channels : 8192);
	l->forward = forward_create(&(struct forward_config){ .table = l->table,
							      .channels = l->channels,
							      .cipher = l->cipher,
							      .key_cache_entries = CLIENT_KEYS,
							      .batch_max = 1 });
	l->client_keys = key_cache_create(l->cipher, CLIENT_KEYS);
	l->hide = mask_create(MASK_HIDE);
	l->show = mask_create(MASK_SHOW);
	assert_true(l->clients != NULL && l->table != NULL && l->channels != NULL);
	assert_true(l->forward != NULL && l->client_keys != NULL);
	assert_true(l->hide != NULL && l->show != NULL);

	door_keys_derive(LOBBY_DOOR_KEY, &l->keys);
	mask_set_key(l->hide, l->keys.c2s_header);
	mask_set_key(l->show, l->keys.s2c_header);
	assert_true(forward_open_door(l->forward, LOBBY_DOOR, LOBBY_PORT, &l->keys));
	create_keeper(l, config);
	l->deadline_ns = keeper_tick(l->keeper, l->now);
	return l;
}

void lobby_destroy(struct lobby *l)
{
	keeper_destroy(l->keeper);
	forward_destroy(l->forward);
	key_cache_destroy(l->client_keys);
	mask_destroy(l->hide);
	mask_destroy(l->show);
	channels_destroy(l->channels);
	table_destroy(l->table);
	free(l->clients);
	free(l);
}

/* ---- the relay ------------------------------------------------------------------------- */

/* Who has the session's keys has read its WELCOME: the address that this went to is proved, the
 * one that the packet came from perhaps not. */
static void prove_session(struct lobby *l, struct session_id id)
{
	const struct session *session = table_find(l->table, id);

	if (session != NULL)
		l->accounts[session_path(session).remote.port].is_proved = true;
}

static void pass_upcalls(struct lobby *l, const struct forward_result *result)
{
	for (size_t i = 0; i < result->upcall_count; i++) {
		const struct upcall *u = &result->upcalls[i];
		uint64_t moves = keeper_stats(l->keeper)->path_moves;
		if (u->kind == UPCALL_ESTABLISHED)
			prove_session(l, u->session);
		keeper_upcall(l->keeper, u, l->queue_depth, l->now);
		if (keeper_stats(l->keeper)->path_moves > moves)
			l->accounts[u->path.remote.port].is_proved = true;
	}
}

void lobby_input(struct lobby *l, const uint8_t *bytes, uint32_t size, const struct path *path)
{
	uint8_t frame[DATAGRAM_SIZE_MAX];
	struct packet packet = { .data = frame, .size = size, .path = *path };
	struct forward_result result;

	assert_true(size <= sizeof frame);
	memcpy(frame, bytes, size);
	l->accounts[path->remote.port].from += size;
	forward_batch(l->forward, &packet, 1, l->now, &result);
	for (size_t i = 0; i < result.send_count; i++)
		enqueue(l, &result.send[i]);
	pass_upcalls(l, &result);
	l->deadline_ns = keeper_tick(l->keeper, l->now);
}

/* ---- a client takes a datagram ---------------------------------------------------------- */

static void take_welcome(struct lobby *l, struct lobby_client *c, struct view plain)
{
	struct noise_result keys;

	if (!c->has_noise || !hello_finish(&c->noise, plain, &c->welcome, &keys))
		return;
	c->has_noise = false;
	c->status = c->welcome.status;
	assert_true(load_le64(c->welcome.server_time_ns) == l->now.wall_ns);
	if (c->status == STATUS_OK) {
		struct session_id id = { .slot = load_le32(c->welcome.slot),
					 .generation = load_le32(c->welcome.generation) };
		session_init(&c->session, id, &keys);
		c->is_welcome = true;
		c->next_sequence = 0;
		c->receiver = (struct reliable_receiver){ 0 };
	}
	bytes_wipe(&keys, sizeof keys);
}

static void take_cookie(struct lobby_client *c, struct view plain)
{
	const struct wire_cookie *body = (const void *)plain.data;

	assert_true(plain.size >= sizeof *body);
	/* One may have moved to where the cookie of another was sent. */
	if (!bytes_equal(body->hello_tag, c->hello_bytes + c->hello_size - AEAD_TAG_SIZE,
			 AEAD_TAG_SIZE))
		return;
	memcpy(c->cookie, body->cookie, COOKIE_SIZE);
	c->has_cookie = true;
}

static void keep_frame(struct lobby_client *c, const struct frame *frame)
{
	if (c->inbox_count == LOBBY_INBOX) {
		c->inbox_count--;
		memmove(&c->inbox[0], &c->inbox[1], c->inbox_count * sizeof c->inbox[0]);
	}
	struct lobby_frame *kept = &c->inbox[c->inbox_count++];
	kept->type = frame->type;
	kept->sequence = frame->sequence;
	kept->size = frame->body.size;
	memcpy(kept->body, frame->body.data, frame->body.size);
}

static void take_frames(struct lobby *l, struct lobby_client *c, struct view plain)
{
	uint32_t index = (uint32_t)(c - l->clients);
	enum frame_status status;
	struct frame frame;
	bool is_ack_due = false;

	while ((status = frame_next(&plain, &frame)) == FRAME_READ) {
		if (frame_is_reliable(frame.type)) {
			is_ack_due = true;
			if (!reliable_accept(&c->receiver, frame.sequence))
				continue;
		}
		keep_frame(c, &frame);
		if (frame.type == FRAME_PATH_CHALLENGE && !c->is_stubborn)
			lobby_say(l, index, FRAME_PATH_RESPONSE, frame.body.data, frame.body.size);
	}
	assert_int_equal(status, FRAME_NONE_LEFT); /* the relay writes no nonsense */
	if (is_ack_due && !c->is_rude) {
		le32 next = store_le32(c->receiver.next);
		lobby_say(l, index, FRAME_ACK, &next, sizeof next);
	}
}

static void take_datagram(struct lobby *l, struct lobby_client *c, struct lobby_datagram *d)
{
	uint8_t header[WIRE_HEADER_SIZE];
	struct view plain;

	c->datagrams++;
	if (c->is_deaf)
		return;
	memcpy(header, d->bytes, sizeof header);
	mask_blocks(l->show, header, 1);
	if (wire_kind(header) == WIRE_DATA) {
		const struct wire_data_header *data = (const void *)header;
		if (c->is_welcome &&
		    session_open(&c->session, l->client_keys, data, view_of(d->bytes, d->size),
				 &plain, l->now.mono_ns) == PKT_IDLE &&
		    plain.size > 0 && plain.data[0] != FRAME_DATA)
			take_frames(l, c, plain);
		return;
	}
	assert_true(
		door_open(l->keys.s2c_handshake, (const void *)header, d->bytes, d->size, &plain));
	if (wire_kind(header) == WIRE_WELCOME)
		take_welcome(l, c, plain);
	else
		take_cookie(c, plain);
}

void lobby_run(struct lobby *l)
{
	while (l->queue_count > 0) {
		struct lobby_datagram d = l->queue[l->queue_first];
		l->queue_first = (l->queue_first + 1) % LOBBY_QUEUE;
		l->queue_count--;
		uint32_t client = l->accounts[d.path.remote.port].client;
		if (l->carry != NULL)
			l->carry(l->carry_state, &d);
		else if (client != 0)
			take_datagram(l, &l->clients[client - 1], &d);
	}
}

void lobby_wait(struct lobby *l, uint64_t ns)
{
	uint64_t end_ns = l->now.mono_ns + ns;

	lobby_run(l);
	while (l->deadline_ns < end_ns) {
		uint64_t before_ns = l->now.mono_ns;
		if (l->deadline_ns > before_ns)
			l->now.mono_ns = l->deadline_ns;
		l->now.wall_ns += l->now.mono_ns - before_ns;
		l->deadline_ns = keeper_tick(l->keeper, l->now);
		lobby_run(l);
	}
	l->now.wall_ns += end_ns - l->now.mono_ns;
	l->now.mono_ns = end_ns;
	l->deadline_ns = keeper_tick(l->keeper, l->now);
	lobby_run(l);
}

/* ---- a client speaks ------------------------------------------------------------------- */

void lobby_hello(struct lobby *l, uint32_t client)
{
	struct lobby_client *c = &l->clients[client];
	struct view_out out = { .data = c->hello_bytes + WIRE_HEADER_SIZE,
				.capacity = sizeof c->hello_bytes - WIRE_OVERHEAD };

	l->now.wall_ns++; /* so that every timestamp is new */
	size_t size = hello_write(&c->noise, &c->hello, l->now.wall_ns,
				  c->has_cookie ? c->cookie : NULL, &l->random, out);
	assert_true(size > 0);
	c->has_noise = true;
	c->status = LOBBY_NO_STATUS;
	c->hello_size = (uint32_t)door_seal(l->keys.c2s_handshake, l->hide, WIRE_HELLO, &l->random,
					    c->hello_bytes, size);
	lobby_input(l, c->hello_bytes, c->hello_size, &c->path);
	lobby_run(l);
}

void lobby_connect(struct lobby *l, uint32_t client)
{
	static const struct wire_ping ping;

	lobby_hello(l, client);
	assert_int_equal(l->clients[client].status, STATUS_OK);
	lobby_say(l, client, FRAME_PING, &ping, sizeof ping);
	lobby_run(l);
}

void lobby_move(struct lobby *l, uint32_t client, uint16_t port)
{
	struct lobby_client *c = &l->clients[client];

	c->path.remote.port = port;
	l->accounts[port].client = client + 1;
}

void lobby_say_plain(struct lobby *l, uint32_t client, struct view plain)
{
	struct lobby_client *c = &l->clients[client];
	uint8_t bytes[DATAGRAM_SIZE_MAX] = { 0 };
	size_t size = wire_padded_size(plain.size);

	assert_true(c->is_welcome && plain.size <= PLAIN_SIZE_MAX);
	memcpy(bytes + WIRE_HEADER_SIZE, plain.data, plain.size);
	assert_true(session_seal(&c->session, l->client_keys, l->hide, bytes, size));
	lobby_input(l, bytes, (uint32_t)(size + WIRE_OVERHEAD), &c->path);
}

void lobby_put(struct lobby_client *c, struct frame_writer *w, enum frame_type type,
	       const void *body, size_t size)
{
	uint8_t joined[FRAME_BODY_MAX];
	size_t prefix = 0;

	if (frame_is_reliable(type)) {
		le32 sequence = store_le32(c->next_sequence++);
		memcpy(joined, &sequence, sizeof sequence);
		prefix = sizeof sequence;
	}
	assert_true(prefix + size <= sizeof joined);
	memcpy(joined + prefix, body, size);
	assert_true(frame_put(w, type, view_of(joined, prefix + size)));
}

void lobby_say(struct lobby *l, uint32_t client, enum frame_type type, const void *body,
	       size_t size)
{
	uint8_t plain[PLAIN_SIZE_MAX];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };

	lobby_put(&l->clients[client], &w, type, body, size);
	lobby_say_plain(l, client, view_of(plain, w.size));
}

/* ---- what the tests look at ------------------------------------------------------------- */

const struct lobby_frame *lobby_take(struct lobby *l, uint32_t client, enum frame_type type)
{
	static struct lobby_frame taken;
	struct lobby_client *c = &l->clients[client];

	lobby_run(l);
	for (size_t i = 0; i < c->inbox_count; i++) {
		if (c->inbox[i].type != type)
			continue;
		taken = c->inbox[i];
		c->inbox_count--;
		memmove(&c->inbox[i], &c->inbox[i + 1], (c->inbox_count - i) * sizeof c->inbox[0]);
		return &taken;
	}
	return NULL;
}

void lobby_forget_inbox(struct lobby *l, uint32_t client)
{
	lobby_run(l);
	l->clients[client].inbox_count = 0;
}

const uint8_t *lobby_peer(const struct lobby *l, uint32_t client, uint8_t out[PEER_ID_SIZE])
{
	peer_id_of(l->clients[client].hello.identity.public, out);
	return out;
}

bool lobby_find(const struct lobby *l, uint32_t client, struct keeper_session *out)
{
	struct session_id id = l->clients[client].session.id;
	uint32_t cursor = 0;

	while (keeper_next_session(l->keeper, &cursor, out))
		if (session_id_pack(out->id) == session_id_pack(id))
			return true;
	return false;
}

uint64_t lobby_drops(const struct lobby *l, enum verdict v)
{
	return load_relaxed(&keeper_counters(l->keeper)->of[v]);
}

unsigned lobby_events(const struct lobby *l, enum keeper_event_type type, struct keeper_event *last)
{
	size_t first = l->event_count > LOBBY_EVENTS ? l->event_count - LOBBY_EVENTS : 0;
	unsigned count = 0;

	for (size_t i = first; i < l->event_count; i++) {
		if (l->events[i % LOBBY_EVENTS].type != type)
			continue;
		if (last != NULL)
			*last = l->events[i % LOBBY_EVENTS];
		count++;
	}
	return count;
}
