#include "core/keeper_internal.h"

#include <assert.h>

/* A HELLO under work. */
struct handshake {
	const struct upcall *upcall;
	struct noise noise;
	struct hello_request request;
	struct credential credential;
	uint8_t device[DEVICE_ID_SIZE];
};

static void drop(struct keeper *k, enum verdict verdict)
{
	bump_owned(&k->counters.of[verdict], 1);
	k->stats.handshakes_dropped++;
}

/* ---- cookies --------------------------------------------------------------------------- */

static void refresh_cookies(struct keeper *k)
{
	struct keeper_cookies *c = &k->cookies;

	if (k->now.mono_ns < c->until_ns)
		return;
	/* After a long pause the previous one is as old as the pause: neither is good any more. */
	if (k->now.mono_ns - c->until_ns < COOKIE_LIFETIME_NS)
		memcpy(c->secrets[1], c->secrets[0], KEY_SIZE);
	else
		random_fill(&k->config.random, c->secrets[1], KEY_SIZE);
	random_fill(&k->config.random, c->secrets[0], KEY_SIZE);
	c->until_ns = k->now.mono_ns + COOKIE_LIFETIME_NS;
}

/* Only who receives at an address learns its cookie. */
static void make_cookie(const uint8_t secret[KEY_SIZE], const struct address *remote,
			uint8_t cookie[COOKIE_SIZE])
{
	const le16 port = store_le16(remote->port);
	const struct view parts[] = { VIEW(remote->ip), VIEW(port.b) };
	uint8_t mac[HASH_SIZE];

	hmac_sha256(view_of(secret, KEY_SIZE), parts, 2, mac);
	memcpy(cookie, mac, COOKIE_SIZE);
}

static bool has_right_cookie(struct keeper *k, const struct upcall *upcall)
{
	uint8_t cookie[COOKIE_SIZE];

	for (size_t i = 0; i < 2; i++) {
		make_cookie(k->cookies.secrets[i], &upcall->path.remote, cookie);
		if (hello_has_cookie(upcall->body, cookie))
			return true;
	}
	return false;
}

static void send_sealed(struct keeper *k, enum wire_kind kind, uint8_t *bytes, size_t plain_size,
			const struct path *path)
{
	struct packet packet = { .data = bytes, .path = *path };

	if (forward_seal_handshake(k->forward, kind, &packet, plain_size, &k->config.random))
		keeper_send(k, &packet);
}

/* Shorter than its request by at least a byte, and of random size. */
static void send_cookie(struct keeper *k, const struct upcall *upcall)
{
	uint8_t bytes[DATAGRAM_SIZE_MAX] = { 0 };
	struct wire_cookie body;
	size_t most = upcall->datagram_size - 1 - WIRE_OVERHEAD;

	memcpy(body.hello_tag, upcall->hello_tag, sizeof body.hello_tag);
	make_cookie(k->cookies.secrets[0], &upcall->path.remote, body.cookie);
	memcpy(bytes + WIRE_HEADER_SIZE, &body, sizeof body);
	size_t size =
		sizeof body + random_below(&k->config.random, (uint32_t)(most - sizeof body + 1));
	send_sealed(k, WIRE_COOKIE, bytes, size, &upcall->path);
	k->stats.cookies_sent++;
}

/* ---- what to answer -------------------------------------------------------------------- */

/* A date further ahead than any HELLO's that is taken now is of before the clock was set back: it
 * does not count, or the device would be turned away until the clock gets there again. */
static uint64_t later(const struct keeper *k, uint64_t last, uint64_t timestamp_ns)
{
	if (timestamp_ns > k->now.wall_ns + HANDSHAKE_CLOCK_NS)
		return last;
	return timestamp_ns > last ? timestamp_ns : last;
}

/* The newest timestamp known of this device: a HELLO that is not newer is a copy. */
static uint64_t last_timestamp(const struct keeper *k, const struct handshake *h)
{
	uint64_t last = later(k, 0, h->credential.last_timestamp_ns);

	for (uint32_t slot = directory_find_device(k->directory, h->device); slot != DIRECTORY_NONE;
	     slot = directory_next_device(k->directory, slot))
		last = later(k, last, keeper_entry_at(k, slot)->timestamp_ns);
	return last;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static enum wire_status decide(const struct keeper *k, const struct handshake *h)
{
	if (distance(h->request.timestamp_ns, k->now.wall_ns) > HANDSHAKE_CLOCK_NS)
		return STATUS_TIME;
	if (h->credential.status != STATUS_OK)
		return h->credential.status;
	return k->is_draining ? STATUS_DRAINING : STATUS_OK;
}

/* NULL: no room, for all or for one more session that has proved nothing. */
static struct keeper_entry *reserve(struct keeper *k)
{
	if (k->pending_count >= k->pending_max)
		return NULL;
	struct session *s = table_reserve(k->config.table, &k->config.random);
	if (s == NULL && k->ended != NULL) {
		keeper_reap(k);
		s = table_reserve(k->config.table, &k->config.random);
	}
	return (struct keeper_entry *)s;
}

static struct wire_welcome_payload welcome_of(const struct keeper *k, enum wire_status status,
					      const struct handshake *h)
{
	const struct path *path = &h->upcall->path;
	struct wire_welcome_payload payload = {
		.status = (uint8_t)status,
		.server_time_ns = store_le64(k->now.wall_ns),
	};

	if (status != STATUS_OK)
		return payload;
	payload.datagram_max = store_le16(DATAGRAM_SIZE_MAX);
	memcpy(payload.observed_ip, path->remote.ip, IP_SIZE);
	payload.observed_port = store_le16(path->remote.port);
	payload.keepalive_s = store_le16((uint16_t)k->config.keepalive_s);
	payload.door = store_le64(path->door);
	payload.idle_timeout_s = store_le32((uint32_t)(k->config.idle_timeout_ns / NS_PER_S));
	return payload;
}

/* The body of a WELCOME whose datagram is no longer than that of its HELLO, behind room for the
 * header. Returns its size, 0 for a device key that cannot be answered. */
static size_t write_welcome(struct handshake *h, const struct wire_welcome_payload *payload,
			    uint8_t bytes[DATAGRAM_SIZE_MAX], struct noise_result *keys)
{
	struct view_out out = {
		.data = bytes + WIRE_HEADER_SIZE,
		.capacity = DATAGRAM_SIZE_MAX - WIRE_OVERHEAD,
	};

	return hello_answer(&h->noise, h->credential.psk, payload, h->upcall->datagram_size, out,
			    keys);
}

static void refuse(struct keeper *k, struct handshake *h, enum wire_status status)
{
	struct wire_welcome_payload payload = welcome_of(k, status, h);
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct noise_result none;

	if (status == STATUS_REVOKED && k->mutes > 0) {
		drop(k, PKT_DROP_HELLO_AUTH); /* it comes again */
		return;
	}
	size_t size = write_welcome(h, &payload, bytes, &none);
	if (size == 0) {
		drop(k, PKT_DROP_HELLO_AUTH);
		return;
	}
	send_sealed(k, WIRE_WELCOME, bytes, size, &h->upcall->path);
	k->stats.handshakes_refused++;
	struct keeper_event event = {
		.type = KEEPER_REFUSED,
		.remote = h->upcall->path.remote,
		.timestamp_ns = h->request.timestamp_ns,
		.status = (uint8_t)status,
	};
	memcpy(event.device, h->device, sizeof event.device);
	memcpy(event.device_public, h->request.device_public, sizeof event.device_public);
	memcpy(event.identity, h->request.payload.identity, sizeof event.identity);
	memcpy(event.file_id, h->credential.file_id, sizeof event.file_id);
	peer_id_of(h->request.payload.identity, event.peer);
	k->config.hooks.event(k->config.hooks.state, &event);
}

/* ---- a new session --------------------------------------------------------------------- */

static void enter_in_directory(struct keeper *k, const struct keeper_entry *e,
			       const struct handshake *h)
{
	struct directory_record record;

	memcpy(record.device, h->device, sizeof record.device);
	memcpy(record.name_tag, h->request.payload.name_tag, sizeof record.name_tag);
	peer_id_of(h->request.payload.identity, record.peer);
	directory_enter(k->directory, e->session.id.slot, &record);
}

static void publish(struct keeper *k, struct keeper_entry *e, const struct handshake *h,
		    const struct noise_result *keys)
{
	struct session *s = &e->session;
	uint32_t datagram_max = load_le16(h->request.payload.datagram_max);

	session_init(s, s->id, keys);
	s->datagram_max = datagram_max < DATAGRAM_SIZE_MAX ? datagram_max : DATAGRAM_SIZE_MAX;
	session_set_path(s, &h->upcall->path);
	store_relaxed(&s->last_receive_ns, k->now.mono_ns);

	e->state = ENTRY_PENDING;
	e->timestamp_ns = h->request.timestamp_ns;
	e->since_ns = k->now.mono_ns;
	keeper_start_keys(k, e, keys);
	memcpy(e->identity, h->request.payload.identity, sizeof e->identity);
	memcpy(e->file_id, h->credential.file_id, sizeof e->file_id);
	e->is_enrolled = h->request.payload.credential == CREDENTIAL_DEVICE;
	if (h->credential.may_enrol && !e->is_enrolled)
		keeper_start_enrolment(e, keys, h->request.device_public);
	enter_in_directory(k, e, h);
	k->pending_count++;
	table_publish(k->config.table, s);
	keeper_set_timer(k, e);
}

static void accept(struct keeper *k, struct handshake *h)
{
	struct keeper_entry *e = reserve(k);
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct noise_result keys;

	if (e == NULL) {
		k->stats.table_full++;
		refuse(k, h, STATUS_FULL);
		return;
	}
	struct wire_welcome_payload payload = welcome_of(k, STATUS_OK, h);
	payload.slot = store_le32(e->session.id.slot);
	payload.generation = store_le32(e->session.id.generation);
	size_t size = write_welcome(h, &payload, bytes, &keys);
	if (size > 0) {
		publish(k, e, h, &keys);
		send_sealed(k, WIRE_WELCOME, bytes, size, &h->upcall->path);
		k->stats.handshakes_ok++;
	} else {
		table_free(k->config.table, &e->session);
		drop(k, PKT_DROP_HELLO_AUTH);
	}
	bytes_wipe(&keys, sizeof keys);
}

/*
 * Noise has shown that the HELLO comes from the holder of the device key. Where that key has had a
 * session as this identity before, its word is as good as another signature, and half of the
 * handshake's price is saved. Last of all checks: who is turned away anyway costs nothing more.
 */
static bool is_identity_proved(const struct handshake *h)
{
	return h->credential.is_proved || hello_is_signed(&h->noise, &h->request);
}

/* An authentic HELLO: silence for strangers and copies, an answer for everybody else. */
static void answer(struct keeper *k, struct handshake *h)
{
	const struct keeper_hooks *hooks = &k->config.hooks;

	device_id_of(h->request.device_public, h->device);
	if (!hooks->find_credential(hooks->state, &h->request, k->now.wall_ns, &h->credential)) {
		drop(k, PKT_DROP_HELLO_AUTH);
		return;
	}
	if (h->request.timestamp_ns <= last_timestamp(k, h)) {
		drop(k, PKT_DROP_HELLO_REPLAY);
		return;
	}
	if (!is_identity_proved(h)) {
		drop(k, PKT_DROP_HELLO_AUTH);
		return;
	}
	enum wire_status status = decide(k, h);
	if (status == STATUS_OK)
		accept(k, h);
	else
		refuse(k, h, status);
}

/* What can be told without X25519. Copies are known by their ephemeral key from the first one
 * on, so that a recorded HELLO is worth nothing even where the rate refused the original. */
static enum verdict examine(struct keeper *k, const struct upcall *upcall, uint32_t queue_depth)
{
	if (!hello_is_well_formed(upcall->body))
		return PKT_DROP_BAD_HELLO;
	assert(upcall->datagram_size == upcall->body.size + WIRE_OVERHEAD);
	uint64_t id = hello_ephemeral_id(upcall->body);
	if (seen_has(k->seen, id))
		return PKT_DROP_HELLO_REPLAY;
	seen_add(k->seen, id);
	if (k->config.hooks.remember != NULL)
		k->config.hooks.remember(k->config.hooks.state, id);
	if (!rate_limit_take(k->rate_limit, &upcall->path.remote, k->now.mono_ns))
		return PKT_DROP_RATE;
	refresh_cookies(k);
	if (queue_depth > HANDSHAKE_COOKIE_DEPTH && !has_right_cookie(k, upcall))
		return PKT_DROP_COOKIE;
	return PKT_HELLO;
}

void keeper_take_hello(struct keeper *k, const struct upcall *upcall, uint32_t queue_depth)
{
	enum verdict verdict = examine(k, upcall, queue_depth);
	struct handshake h = { .upcall = upcall };

	if (verdict == PKT_DROP_COOKIE)
		send_cookie(k, upcall);
	if (verdict != PKT_HELLO) {
		drop(k, verdict);
		return;
	}
	if (hello_read(&h.noise, &k->config.server, upcall->body, &k->config.random, &h.request))
		answer(k, &h);
	else
		drop(k, PKT_DROP_HELLO_AUTH);
	bytes_wipe(&h, sizeof h);
}

void keeper_note_hello(struct keeper *k, uint64_t hello_id)
{
	seen_add(k->seen, hello_id);
}
