/* Virtual peers: handshakes, with repetition, many at a time. */
#include "bench/relay_peers.h"
#include "net/clock.h"

#define REPEAT_NS (500 * NS_PER_MS) /* doubled each time: an answer to the HELLO before is no use */
enum { TRIES_DOUBLED = 4 };         /* 8 s */
#define STALL_NS (30 * NS_PER_S)    /* no progress at all for so long: give up */
#define POLL_NS (10 * NS_PER_MS)

/* ---- handshakes -------------------------------------------------------------------------- */

void relay_make_device(struct relay_peers *r, struct hello_config *out)
{
	*out = (struct hello_config){ .credential = CREDENTIAL_FILE };
	memcpy(out->id, r->config.file.file_id, FILE_ID_SIZE);
	memcpy(out->psk, r->config.file.shared_secret, KEY_SIZE);
	memcpy(out->server_id, r->config.file.server_id, SERVER_ID_SIZE);
	memcpy(out->server_public, r->config.file.server_public_key, X25519_SIZE);
	x25519_generate(&out->device, &r->random);
	ed25519_generate(&out->identity, &r->random);
}

size_t relay_write_hello(struct relay_peers *r, struct attempt *a, uint8_t *frame)
{
	uint8_t *plain = frame + WIRE_HEADER_SIZE;
	struct view_out out = { .data = plain, .capacity = HELLO_SIZE_LAST - WIRE_OVERHEAD };
	size_t size = hello_write(&a->noise, &a->hello, clock_now().wall_ns, NULL, &r->random, out);
	if (size == 0)
		return 0;
	return door_seal(r->keys.c2s_handshake, r->hide, WIRE_HELLO, &r->random, frame, size);
}

void relay_send_frame(struct relay_peers *r, uint32_t socket, uint8_t *frame, size_t size)
{
	struct iovec one = { .iov_base = frame, .iov_len = size };
	/* What is lost here is repeated like what the network loses. */
	if (size > 0 && sockets_send(r->sockets, socket, &one, 1, size) < 0)
		r->retries++;
}

static void send_hello(struct relay_peers *r, struct attempt *a)
{
	uint8_t frame[HELLO_SIZE_LAST];
	size_t size = relay_write_hello(r, a, frame);
	relay_send_frame(r, r->peers[a->peer].socket, frame, size);
	a->repeat_ns = load_now_ns() + (REPEAT_NS << a->tries);
}

static void send_ping(struct relay_peers *r, struct attempt *a)
{
	uint8_t frame[WIRE_OVERHEAD + CONTROL_PLAIN];
	const struct wire_frame head = {
		.type = FRAME_PING,
		.size = store_le16(sizeof(struct wire_ping)),
	};
	struct relay_peer *peer = &r->peers[a->peer];
	memcpy(frame + WIRE_HEADER_SIZE, &head, sizeof(head));
	memset(frame + WIRE_HEADER_SIZE + sizeof(head), 0, sizeof(struct wire_ping));
	relay_send_frame(r, peer->socket, frame,
			 relay_seal(r, peer, frame, sizeof(head) + sizeof(struct wire_ping)));
	a->repeat_ns = load_now_ns() + (REPEAT_NS << a->tries);
}

static void begin_attempt(struct relay_peers *r, uint32_t index)
{
	uint32_t socket = index % r->config.sockets, free_one = 0;
	while (r->attempts[free_one].is_used)
		free_one++;
	struct attempt *a = &r->attempts[free_one];
	*a = (struct attempt){ .is_used = true, .peer = index };
	relay_make_device(r, &a->hello);
	if (index >= r->config.peers - r->config.returning)
		r->returning[index - (r->config.peers - r->config.returning)] = a->hello;
	peer_id_of(a->hello.identity.public, r->peers[index].id);
	if (index == 0)
		r->first = a->hello;
	r->peers[index].socket = socket;
	r->attempt_of_socket[socket] = free_one + 1;
	send_hello(r, a);
}

static void end_attempt(struct relay_peers *r, struct attempt *a)
{
	r->attempt_of_socket[r->peers[a->peer].socket] = 0;
	bytes_wipe(a, sizeof(*a));
	r->live++;
}

static void take_welcome(struct relay_peers *r, struct attempt *a, struct view plain)
{
	struct wire_welcome_payload payload;
	struct noise_result keys;
	if (a->has_session || !hello_finish(&a->noise, plain, &payload, &keys))
		return;
	if (payload.status != STATUS_OK)
		return; /* and no answer to a PING: the caller finds out by the stall */
	struct session_id id = {
		.slot = load_le32(payload.slot),
		.generation = load_le32(payload.generation),
	};
	session_init(&r->peers[a->peer].session, id, &keys);
	bytes_wipe(&keys, sizeof(keys));
	if (id.slot < SESSIONS_MAX)
		r->by_slot[id.slot] = a->peer + 1;
	a->has_session = true;
	send_ping(r, a);
}

static void take_handshake(struct relay_peers *r, struct arrival *arrival)
{
	struct wire_handshake_header header;
	struct view plain;
	uint32_t index = r->attempt_of_socket[arrival->socket];
	if (index == 0 || arrival->size < WIRE_SIZE_MIN)
		return;
	memcpy(&header, arrival->data, sizeof(header));
	mask_blocks(r->show, (uint8_t *)&header, 1);
	if (header.first == wire_first(WIRE_WELCOME, 0) &&
	    door_open(r->keys.s2c_handshake, &header, arrival->data, arrival->size, &plain))
		take_welcome(r, &r->attempts[index - 1], plain);
}

static void take_connecting(struct relay_peers *r, struct arrival *arrival)
{
	struct view plain;
	const struct relay_peer *peer = relay_open(r, arrival, &plain);
	if (peer == NULL) {
		take_handshake(r, arrival);
		return;
	}
	uint32_t index = r->attempt_of_socket[peer->socket];
	if (index > 0 && r->attempts[index - 1].has_session &&
	    &r->peers[r->attempts[index - 1].peer] == peer)
		end_attempt(r, &r->attempts[index - 1]);
}

static void repeat_attempts(struct relay_peers *r)
{
	uint64_t now = load_now_ns();
	for (size_t i = 0; i < ATTEMPTS_MAX; i++) {
		struct attempt *a = &r->attempts[i];
		if (!a->is_used || a->repeat_ns > now)
			continue;
		r->retries++;
		a->tries += a->tries < TRIES_DOUBLED;
		if (a->has_session)
			send_ping(r, a);
		else
			send_hello(r, a);
	}
}

const char *relay_peers_connect(struct relay_peers *r)
{
	uint32_t next = 0,
		 in_work_max = r->config.sockets < ATTEMPTS_MAX ? r->config.sockets : ATTEMPTS_MAX;
	uint64_t progress_ns = load_now_ns();
	while (r->live < r->config.peers) {
		while (next < r->config.peers && next - r->live < in_work_max &&
		       r->attempt_of_socket[next % r->config.sockets] == 0)
			begin_attempt(r, next++);
		struct arrival *arrivals;
		uint64_t before = r->live;
		size_t count = sockets_receive(r->sockets, POLL_NS, &arrivals);
		for (size_t i = 0; i < count; i++)
			take_connecting(r, &arrivals[i]);
		repeat_attempts(r);
		if (r->live > before)
			progress_ns = load_now_ns();
		if (load_now_ns() - progress_ns > STALL_NS)
			return "the relay does not answer handshakes (its limits.handshake_rate?)";
	}
	r->peer_count = r->config.peers;
	return NULL;
}
