#include "tests/support/relay_end.h"

#include "tests/support/crypto.h"

void relay_end_init(struct relay_end *r, const struct random_source *random)
{
	memset(r, 0, sizeof(*r));
	r->random = *random;
	r->hears_v4 = r->hears_v6 = true;
	r->next_generation = 1;
	random_fill(random, r->server.server_id, SERVER_ID_SIZE);
	x25519_generate(&r->server.static_key, random);
	random_fill(random, r->psk, KEY_SIZE);
	random_fill(random, r->file_id, FILE_ID_SIZE);
	random_fill(random, r->cookie, COOKIE_SIZE);
	r->show = mask_create(MASK_SHOW);
	r->hide = mask_create(MASK_HIDE);
	r->cache = key_cache_create(packet_cipher_best(), 32);
	assert_non_null(r->show);
	assert_non_null(r->hide);
	assert_non_null(r->cache);
	uint8_t key[KEY_SIZE];
	random_fill(random, key, KEY_SIZE);
	relay_end_set_door(r, 1000, key, 50000);
}

void relay_end_fini(struct relay_end *r)
{
	mask_destroy(r->show);
	mask_destroy(r->hide);
	key_cache_destroy(r->cache);
}

void relay_end_set_door(struct relay_end *r, uint64_t door, const uint8_t key[KEY_SIZE],
			uint16_t port)
{
	r->door = door;
	r->port = port;
	memcpy(r->door_key, key, KEY_SIZE);
	door_keys_derive(key, &r->keys);
	mask_set_key(r->show, r->keys.c2s_header);
	mask_set_key(r->hide, r->keys.s2c_header);
}

void relay_end_client(struct relay_end *r, struct link_config *out)
{
	memset(out, 0, sizeof(*out));
	out->hello.credential = CREDENTIAL_FILE;
	memcpy(out->hello.id, r->file_id, FILE_ID_SIZE);
	memcpy(out->hello.psk, r->psk, KEY_SIZE);
	memcpy(out->hello.server_id, r->server.server_id, SERVER_ID_SIZE);
	memcpy(out->hello.server_public, r->server.static_key.public, X25519_SIZE);
	x25519_generate(&out->hello.device, &r->random);
	ed25519_generate(&out->hello.identity, &r->random);
	out->addresses[0] = address_v4(192, 0, 2, 1, 0);
	out->random = r->random;
	out->cipher = packet_cipher_best();
	out->door_count = 1;
	out->doors[0] = (struct link_door){
		.generation = r->door,
		.port = r->port,
		.from_ns = 1000 * 3600 * NS_PER_S,
		.until_ns = 1001 * 3600 * NS_PER_S,
	};
	memcpy(out->doors[0].key, r->door_key, KEY_SIZE);
}

void relay_end_restart(struct relay_end *r)
{
	key_cache_erase_all(r->cache);
	memset(&r->live, 0, sizeof(r->live));
	memset(r->pending, 0, sizeof(r->pending));
}

/* ---- out --------------------------------------------------------------------------------- */

void relay_end_send_plain(struct relay_end *r, struct view plain)
{
	uint8_t data[DATAGRAM_SIZE_MAX];

	assert_true(r->live.is_used);
	memcpy(data + WIRE_HEADER_SIZE, plain.data, plain.size);
	assert_true(session_seal(&r->live.session, r->cache, r->hide, data, plain.size));
	r->send(r->state, data, WIRE_OVERHEAD + plain.size);
}

static void send_writer(struct relay_end *r, struct frame_writer *w)
{
	size_t size = frame_pad(w);
	relay_end_send_plain(r, view_of(w->data, size));
}

void relay_end_send_frame(struct relay_end *r, enum frame_type type, struct view body)
{
	uint8_t plain[PLAIN_SIZE_MAX];
	struct frame_writer w = { .data = plain, .capacity = sizeof(plain) };

	assert_true(frame_put(&w, type, body));
	send_writer(r, &w);
}

bool relay_end_put(struct relay_end *r, enum frame_type type, struct view body)
{
	return reliable_put(&r->live.sender, type, body);
}

void relay_end_send_blob(struct relay_end *r, uint32_t channel, struct view blob)
{
	uint8_t plain[PLAIN_SIZE_MAX];
	struct wire_data_frame head = { .type = FRAME_DATA,
					.channel = store_le24(channel),
					.size = store_le16((uint16_t)blob.size) };
	struct frame_writer w = { .data = plain, .capacity = sizeof(plain) };

	memcpy(plain, &head, sizeof(head));
	memcpy(plain + sizeof(head), blob.data, blob.size);
	w.size = sizeof(head) + blob.size;
	send_writer(r, &w);
}

void relay_end_send_handshake(struct relay_end *r, enum wire_kind kind, struct view plain)
{
	uint8_t data[DATAGRAM_SIZE_MAX];

	memcpy(data + WIRE_HEADER_SIZE, plain.data, plain.size);
	size_t size = door_seal(r->keys.s2c_handshake, r->hide, kind, &r->random, data, plain.size);
	r->send(r->state, data, size);
}

void relay_end_tick(struct relay_end *r, struct instant now)
{
	uint8_t plain[PLAIN_SIZE_MAX];

	r->now = now;
	while (r->live.is_used) {
		struct frame_writer w = { .data = plain, .capacity = sizeof(plain) };
		if (reliable_write(&r->live.sender, &w, now.mono_ns) == 0)
			return;
		send_writer(r, &w);
	}
}

/* ---- handshake --------------------------------------------------------------------------- */

static uint64_t wall(const struct relay_end *r)
{
	return r->now.wall_ns + (uint64_t)r->clock_offset_ns;
}

static void send_cookie(struct relay_end *r, const uint8_t *tag)
{
	struct wire_cookie body;

	memcpy(body.hello_tag, tag, AEAD_TAG_SIZE);
	memcpy(body.cookie, r->cookie, COOKIE_SIZE);
	r->cookies++;
	relay_end_send_handshake(r, WIRE_COOKIE, view_of(&body, sizeof(body)));
}

static uint8_t judge(struct relay_end *r, const struct hello_request *request)
{
	uint64_t now_ns = wall(r), said_ns = request->timestamp_ns;
	uint64_t off_ns = said_ns > now_ns ? said_ns - now_ns : now_ns - said_ns;
	if (r->is_always_off || off_ns > HANDSHAKE_CLOCK_NS)
		return STATUS_TIME;
	return r->status;
}

static void add_pending(struct relay_end *r, struct session_id id, const struct noise_result *keys)
{
	struct relay_end_session *s = &r->pending[id.generation % RELAY_END_PENDING];
	memset(s, 0, sizeof(*s));
	s->is_used = true;
	session_init(&s->session, id, keys);
	reliable_init(&s->sender, 0);
}

static void answer_hello(struct relay_end *r, struct noise *noise,
			 const struct hello_request *request, size_t hello_size)
{
	struct session_id id = { .slot = 77, .generation = r->next_generation };
	struct address observed = address_v4(198, 51, 100, 7, 40007);
	struct wire_welcome_payload payload = {
		.status = judge(r, request),
		.datagram_max = store_le16(DATAGRAM_SIZE_MAX),
		.slot = store_le32(id.slot),
		.generation = store_le32(id.generation),
		.observed_port = store_le16(observed.port),
		.keepalive_s = store_le16(r->keepalive_s),
		.server_time_ns = store_le64(wall(r)),
		.door = store_le64(r->door),
	};
	uint8_t plain[PLAIN_SIZE_MAX];
	struct noise_result keys;

	memcpy(payload.observed_ip, observed.ip, IP_SIZE);
	size_t size =
		hello_answer(noise, r->psk, &payload, hello_size,
			     (struct view_out){ .data = plain, .capacity = sizeof(plain) }, &keys);
	assert_true(size > 0);
	if (payload.status == STATUS_OK) {
		r->next_generation++;
		r->last_timestamp_ns = request->timestamp_ns;
		add_pending(r, id, &keys);
	}
	r->welcomes++;
	relay_end_send_handshake(r, WIRE_WELCOME, view_of(plain, size));
}

static void take_hello(struct relay_end *r, struct view plain, const uint8_t *tag, size_t size)
{
	struct noise noise;
	struct hello_request request;

	r->hellos++;
	assert_true(hello_is_well_formed(plain));
	if (r->is_never_content || (r->wants_cookie && !hello_has_cookie(plain, r->cookie))) {
		send_cookie(r, tag);
		return;
	}
	assert_true(hello_read(&noise, &r->server, plain, &r->random, &request));
	assert_true(hello_is_signed(&noise, &request));
	if (request.payload.credential == CREDENTIAL_FILE)
		assert_memory_equal(request.payload.id, r->file_id, FILE_ID_SIZE);
	if (request.timestamp_ns <= r->last_timestamp_ns) {
		noise_fini(&noise);
		return;
	}
	answer_hello(r, &noise, &request, size);
}

/* ---- session ----------------------------------------------------------------------------- */

static void send_pong(struct relay_end *r, struct view body)
{
	const struct wire_ping *ping = (const void *)body.data;
	struct address observed = address_v4(198, 51, 100, 8, 40008);
	struct wire_pong pong = { .token = ping->token,
				  .observed_port = store_le16(observed.port),
				  .server_time_ns = store_le64(wall(r)) };

	memcpy(pong.observed_ip, observed.ip, IP_SIZE);
	r->pings++;
	relay_end_send_frame(r, FRAME_PONG, view_of(&pong, sizeof(pong)));
}

static void answer_question(struct relay_end *r, const struct frame *frame)
{
	uint8_t body[FRAME_BODY_MAX] = { 0 };
	r->questions++;
	if (r->ignores_questions)
		return;
	memcpy(body, frame->body.data, sizeof(le32)); /* both begin with the request's number */
	body[offsetof(struct wire_peers, count)] = 2;
	memset(body + sizeof(struct wire_peers), 'p', 2 * sizeof(struct wire_peer_entry));
	enum frame_type type = frame->type == FRAME_FIND ? FRAME_FOUND : FRAME_PEERS;
	size_t entry = frame->type == FRAME_FIND ? PEER_ID_SIZE : sizeof(struct wire_peer_entry);
	relay_end_send_frame(r, type, view_of(body, sizeof(struct wire_peers) + 2 * entry));
}

static void take_reliable(struct relay_end *r, const struct frame *frame)
{
	if (reliable_accept(&r->live.receiver, frame->sequence) && r->log_count < RELAY_END_LOG) {
		struct relay_end_frame *entry = &r->log[r->log_count++];
		entry->type = frame->type;
		memcpy(entry->body, frame->body.data, frame->body.size);
	}
	struct wire_ack ack = { .next = store_le32(r->live.receiver.next) };
	relay_end_send_frame(r, FRAME_ACK, view_of(&ack, sizeof(ack)));
}

static void take_frame(struct relay_end *r, const struct frame *frame, size_t datagram_size)
{
	if (frame_is_reliable(frame->type)) {
		take_reliable(r, frame);
	} else if (frame->type == FRAME_PING) {
		send_pong(r, frame->body);
	} else if (frame->type == FRAME_ACK) {
		const struct wire_ack *ack = (const void *)frame->body.data;
		reliable_acknowledge(&r->live.sender, load_le32(ack->next), r->now.mono_ns);
	} else if (frame->type == FRAME_PATH_RESPONSE) {
		r->path_responses++;
		r->path_response_size = datagram_size;
		memcpy(&r->path_response, frame->body.data, sizeof(r->path_response));
	} else {
		answer_question(r, frame);
	}
}

static void take_plain(struct relay_end *r, struct view plain, size_t datagram_size)
{
	struct frame frame;
	enum frame_status status;

	assert_int_equal(plain.size, wire_padded_size(plain.size));
	if (plain.data[0] == FRAME_DATA) {
		r->blobs++;
		return;
	}
	while ((status = frame_next(&plain, &frame)) == FRAME_READ)
		take_frame(r, &frame, datagram_size);
	assert_int_equal(status, FRAME_NONE_LEFT);
}

static struct relay_end_session *find(struct relay_end *r, const struct wire_data_header *header)
{
	struct relay_end_session *all[RELAY_END_PENDING + 1] = { &r->live };
	for (size_t i = 0; i < RELAY_END_PENDING; i++)
		all[i + 1] = &r->pending[i];
	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (all[i]->is_used &&
		    all[i]->session.id.generation == load_le32(header->generation) &&
		    all[i]->session.id.slot == load_le24(header->slot))
			return all[i];
	return NULL;
}

void relay_end_input(struct relay_end *r, uint8_t *data, size_t size, const struct address *to)
{
	struct wire_handshake_header hello;
	struct wire_data_header header;
	struct view plain;

	bool is_heard = address_is_v4(to) ? r->hears_v4 : r->hears_v6;
	if (!is_heard || to->port != r->port)
		return;
	r->datagrams++;
	r->last_to = *to;
	memcpy(&hello, data, sizeof(hello));
	mask_blocks(r->show, (uint8_t *)&hello, 1);
	memcpy(&header, &hello, sizeof(header));
	if (hello.first == wire_first(WIRE_HELLO, 0)) {
		uint8_t tag[AEAD_TAG_SIZE];
		memcpy(tag, data + size - AEAD_TAG_SIZE, AEAD_TAG_SIZE);
		if (door_open(r->keys.c2s_handshake, &hello, data, size, &plain))
			take_hello(r, plain, tag, size);
		return;
	}
	struct relay_end_session *s = find(r, &header);
	if (s == NULL || session_open(&s->session, r->cache, &header, view_of(data, size), &plain,
				      r->now.mono_ns) != PKT_IDLE)
		return;
	if (s != &r->live) {
		memcpy(&r->live, s, sizeof(*s));
		s->is_used = false;
	}
	take_plain(r, plain, size);
}
