/* Handshakes of a link: HELLOs until one is answered; cookies, the relay's clock, refusals. */
#include <assert.h>

#include "core/door.h"
#include "core/link_internal.h"

static void forget_try(struct link_try *try)
{
	if (try->is_used)
		noise_fini(&try->noise);
	bytes_wipe(try, sizeof(*try));
}

static uint64_t with_jitter(const struct link *l, uint64_t wait_ns)
{
	uint32_t percent = random_below(&l->config.random, LINK_JITTER_PERCENT + 1);
	return wait_ns + wait_ns / 100 * percent;
}

void link_handshake_start(struct link *l, uint64_t after_ns)
{
	struct link_handshake *h = &l->handshake;
	if (!h->is_on)
		h->order = h->turn = h->file_refusals = 0;
	h->is_on = true;
	h->is_route_kept = false;
	h->haste = 0;
	h->time_answers = 0;
	h->retry_ns = HANDSHAKE_RETRY_NS;
	h->hello_ns = l->now.mono_ns + (after_ns > 0 ? with_jitter(l, after_ns) : 0);
}

void link_handshake_stop(struct link *l)
{
	struct link_handshake *h = &l->handshake;
	for (size_t i = 0; i < LINK_TRIES; i++)
		forget_try(&h->tries[i]);
	h->is_on = false;
	h->order = 0;
	h->hello_ns = NEVER;
}

/* ---- HELLO ------------------------------------------------------------------------------- */

static uint64_t next_timestamp(struct link *l)
{
	uint64_t now_ns = link_relay_time(l);
	uint64_t least_ns = l->handshake.last_timestamp_ns + 1;
	l->handshake.last_timestamp_ns = now_ns > least_ns ? now_ns : least_ns;
	return l->handshake.last_timestamp_ns;
}

static void schedule_next_hello(struct link *l)
{
	struct link_handshake *h = &l->handshake;
	uint64_t last_ns = l->burn.is_on ? HANDSHAKE_RETRY_BURN_NS : HANDSHAKE_RETRY_LAST_NS;
	h->hello_ns = l->now.mono_ns + with_jitter(l, earliest(h->retry_ns, last_ns));
	if (h->is_route_kept)
		return; /* out of turn: the back-off stays where it is */
	h->haste = 0;
	h->retry_ns = earliest(2 * h->retry_ns, last_ns);
}

/* The oldest gives way. */
static struct link_try *new_try(struct link_handshake *h)
{
	struct link_try *oldest = &h->tries[0];
	for (size_t i = 0; i < LINK_TRIES; i++) {
		struct link_try *try = &h->tries[i];
		if (!try->is_used || (oldest->is_used && try->order < oldest->order))
			oldest = try;
	}
	forget_try(oldest);
	return oldest;
}

/* Where to, and as whom: each route is tried under every credential before the next one. */
static bool next_route(struct link *l, struct link_route *route)
{
	struct link_handshake *h = &l->handshake;
	struct hello_config *hello = &l->config.hello;
	uint32_t count = (uint32_t)l->credential_count;
	const struct link_credential *as = &l->credentials[h->turn % count];
	bool is_routed = true;
	if (h->is_route_kept) {
		*route = h->route;
		as = &h->credential;
	} else {
		is_routed = link_choose_route(l, h->turn / count, route);
	}
	hello->credential = as->kind;
	memcpy(hello->id, as->id, sizeof(hello->id));
	memcpy(hello->psk, as->psk, sizeof(hello->psk));
	return is_routed;
}

static struct link_credential credential_in_use(const struct link *l)
{
	struct link_credential out = { .kind = l->config.hello.credential };
	memcpy(out.id, l->config.hello.id, sizeof(out.id));
	memcpy(out.psk, l->config.hello.psk, sizeof(out.psk));
	return out;
}

bool link_hello(struct link *l, struct view_out out, struct packet *packet)
{
	struct link_handshake *h = &l->handshake;
	struct link_route route;
	bool is_routed = next_route(l, &route);
	uint32_t turn = h->is_route_kept ? h->kept_turn : h->turn++;
	schedule_next_hello(l);
	h->is_route_kept = false;
	struct link_gate *gate = is_routed ? link_gate(l, route.door) : NULL;
	if (gate == NULL)
		return false;

	struct link_try *try = new_try(h);
	uint64_t timestamp_ns = next_timestamp(l);
	bool has_cookie = h->cookie_until_ns > l->now.mono_ns;
	size_t size = hello_write(&try->noise, &l->config.hello, timestamp_ns,
				  has_cookie ? h->cookie : NULL, &l->config.random,
				  (struct view_out){ .data = out.data + WIRE_HEADER_SIZE,
						     .capacity = PLAIN_SIZE_MAX });
	if (size == 0)
		return false;
	size = door_seal(gate->keys.c2s_handshake, gate->hide, WIRE_HELLO, &l->config.random,
			 out.data, size);

	l->hellos++;
	try->is_used = true;
	try->order = h->order++;
	try->turn = turn;
	try->timestamp_ns = timestamp_ns;
	try->credential = credential_in_use(l);
	try->route = route;
	memcpy(try->tag, out.data + size - AEAD_TAG_SIZE, AEAD_TAG_SIZE);
	*packet = (struct packet){ .data = out.data, .size = (uint32_t)size };
	packet->path.remote = route.relay;
	return true;
}

/* ---- answers ----------------------------------------------------------------------------- */

/* Answered: the next one goes the same way, and at once unless that has been done too often. */
static void repeat_at_once(struct link *l, const struct link_try *try)
{
	struct link_handshake *h = &l->handshake;
	if (h->haste >= LINK_HASTE_MAX)
		return;
	h->haste++;
	h->route = try->route;
	h->credential = try->credential;
	h->kept_turn = try->turn;
	h->is_route_kept = true;
	h->hello_ns = l->now.mono_ns;
}

/* Whoever holds the door key could make one up: it costs us a HELLO, and only once for each. */
void link_cookie(struct link *l, struct view plain)
{
	if (plain.size < sizeof(struct wire_cookie))
		return;
	const struct wire_cookie *cookie = (const void *)plain.data;

	for (size_t i = 0; i < LINK_TRIES; i++) {
		struct link_try *try = &l->handshake.tries[i];
		if (!try->is_used || try->is_answered ||
		    !bytes_equal(try->tag, cookie->hello_tag, AEAD_TAG_SIZE))
			continue;
		try->is_answered = true;
		memcpy(l->handshake.cookie, cookie->cookie, COOKIE_SIZE);
		l->handshake.cookie_until_ns = l->now.mono_ns + COOKIE_LIFETIME_NS;
		repeat_at_once(l, try);
		return;
	}
}

static void retry_slowly(struct link *l)
{
	l->handshake.retry_ns = HANDSHAKE_RETRY_LAST_NS;
	l->handshake.hello_ns = l->now.mono_ns + with_jitter(l, LINK_SLOW_NS);
}

/*
 * A device that does not know what the relay has kept tries its own PSK and the file in turn, and
 * to a PSK that it does not know the relay says nothing. So a file that is turned away decides
 * nothing at first: the device tries again where that answer came from. Turned away again and
 * again, with silence for the device each time before, it is the relay's answer to both.
 */
static bool may_be_known(struct link *l, const struct link_try *try)
{
	struct link_handshake *h = &l->handshake;
	if (!link_is_file_beside_device(l, &try->credential) ||
	    ++h->file_refusals >= LINK_FILE_REFUSALS)
		return false;
	h->turn = try->turn - try->turn % (uint32_t)l->credential_count;
	h->is_route_kept = false;
	h->retry_ns = HANDSHAKE_RETRY_NS;
	h->hello_ns = l->now.mono_ns;
	return true;
}

static void clock_is_off(struct link *l, const struct link_try *try, uint64_t relay_wall_ns)
{
	link_learn_time(l, relay_wall_ns);
	struct link_handshake *h = &l->handshake;
	/* A refused timestamp is not remembered: ours may go back. So it may behind one that was
	 * taken, where the relay's clock was set back since: it forgets that one, too. */
	if (h->taken_timestamp_ns > relay_wall_ns + HANDSHAKE_CLOCK_NS)
		h->taken_timestamp_ns = relay_wall_ns;
	h->last_timestamp_ns = h->taken_timestamp_ns;
	if (h->time_answers < LINK_TIME_TRIES_MAX) {
		h->time_answers++;
		repeat_at_once(l, try);
	}
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : earliest(value, most);
}

static struct address observed_address(const uint8_t ip[IP_SIZE], le16 port)
{
	struct address a = { .port = load_le16(port) };
	memcpy(a.ip, ip, IP_SIZE);
	return a;
}

/* What the relay says about its session, within bounds. */
static void take_settings(struct link *l, const struct wire_welcome_payload *p)
{
	uint64_t datagram_max =
		within(load_le16(p->datagram_max), DATAGRAM_MAX_LEAST, DATAGRAM_SIZE_MAX);
	l->plain_max = (size_t)datagram_max - WIRE_OVERHEAD;
	l->session.datagram_max = (uint32_t)datagram_max;

	uint32_t idle_s = load_le32(p->idle_timeout_s);
	l->idle_ns = idle_s == 0 ? SESSION_IDLE_NS : idle_s * NS_PER_S;
	if (l->idle_ns < LINK_IDLE_LEAST_NS)
		l->idle_ns = LINK_IDLE_LEAST_NS;
	uint16_t keepalive_s = load_le16(p->keepalive_s);
	l->keepalive_ns = keepalive_s == 0 ? KEEPALIVE_NS : keepalive_s * NS_PER_S;
	l->keepalive_ns = within(l->keepalive_ns, LINK_KEEPALIVE_LEAST_NS, l->idle_ns / 2);
	l->observed = observed_address(p->observed_ip, p->observed_port);
}

static void accept_welcome(struct link *l, const struct link_try *try,
			   const struct wire_welcome_payload *p, const struct noise_result *keys)
{
	struct session_id id = { .slot = load_le32(p->slot),
				 .generation = load_le32(p->generation) };
	uint32_t order = try->order;

	link_session_begin(l, try, id, keys);
	take_settings(l, p);
	link_learn_time(l, load_le64(p->server_time_ns));
	l->handshake.hello_ns = NEVER;
	l->handshake.taken_timestamp_ns = try->timestamp_ns;
	/* A later HELLO may be the one whose session the relay keeps. */
	for (size_t i = 0; i < LINK_TRIES; i++)
		if (l->handshake.tries[i].order <= order)
			forget_try(&l->handshake.tries[i]);
}

static void act_on_welcome(struct link *l, struct link_try *try,
			   const struct wire_welcome_payload *p, const struct noise_result *keys)
{
	switch (p->status) {
	case STATUS_OK: accept_welcome(l, try, p, keys); return;
	case STATUS_TIME: clock_is_off(l, try, load_le64(p->server_time_ns)); break;
	case STATUS_EXPIRED:
	case STATUS_SPENT:
	case STATUS_REVOKED:
		if (may_be_known(l, try))
			break;
		link_refused(l, p->status);
		return;
	default: /* full, draining, or of a later version */ retry_slowly(l); break;
	}
	forget_try(try);
}

/* A WELCOME names no HELLO: only the one that it answers makes sense of it. */
void link_welcome(struct link *l, struct view plain)
{
	for (size_t i = 0; i < LINK_TRIES; i++) {
		struct link_try *try = &l->handshake.tries[i];
		struct wire_welcome_payload payload;
		struct noise_result keys;
		if (!try->is_used || !hello_finish(&try->noise, plain, &payload, &keys))
			continue;
		act_on_welcome(l, try, &payload, &keys);
		bytes_wipe(&keys, sizeof(keys));
		return;
	}
}
