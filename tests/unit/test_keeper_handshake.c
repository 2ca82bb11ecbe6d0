/* Keeper, from HELLO to session: who gets an answer, which one, and who gets silence. */
#include "tests/support/lobby.h"

static struct lobby *make(uint32_t clients)
{
	return lobby_create(&(struct lobby_config){ .clients = clients });
}

static uint64_t sent_to(const struct lobby *l, uint16_t port)
{
	return l->accounts[port].to;
}

static void a_session_is_made(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	struct keeper_session session;
	struct keeper_event up;

	(void)state;
	lobby_hello(l, 0);
	assert_int_equal(c->status, STATUS_OK);
	assert_int_equal(load_le16(c->welcome.observed_port), LOBBY_FIRST_PORT);
	assert_memory_equal(c->welcome.observed_ip, c->path.remote.ip, IP_SIZE);
	assert_int_equal(load_le16(c->welcome.datagram_max), DATAGRAM_SIZE_MAX);
	assert_int_equal(load_le16(c->welcome.keepalive_s), 25);
	assert_int_equal(load_le32(c->welcome.idle_timeout_s), 180);
	assert_true(load_le64(c->welcome.door) == LOBBY_DOOR);
	assert_true(lobby_find(l, 0, &session));
	assert_false(session.is_established);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, NULL), 0);

	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	assert_true(lobby_find(l, 0, &session));
	assert_true(session.is_established);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, &up), 1);
	assert_true(up.timestamp_ns == l->now.wall_ns);
	assert_memory_equal(up.identity, c->hello.identity.public, ED25519_PUBLIC_SIZE);
	assert_memory_equal(up.file_id, l->credential.file_id, FILE_ID_SIZE);
	assert_memory_equal(session.file_id, l->credential.file_id, FILE_ID_SIZE);
	assert_int_equal(keeper_stats(l->keeper)->sessions_made, 1);
	lobby_destroy(l);
}

/* Goal: to a recorded HELLO, whoever sends it, the relay does not exist. Method: once while the
 * session waits, once when it is up, from the same address and from another. */
static void a_copied_hello_gets_silence(void **state)
{
	struct lobby *l = make(2);
	struct lobby_client *c = &l->clients[0];
	struct keeper_session session;

	(void)state;
	lobby_hello(l, 0);
	for (unsigned i = 0; i < 4; i++) {
		const struct path *path = i % 2 == 0 ? &c->path : &l->clients[1].path;
		uint64_t sent = sent_to(l, path->remote.port);
		if (i == 2)
			lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 },
				  sizeof(struct wire_ping));
		lobby_run(l);
		sent = sent_to(l, path->remote.port);
		lobby_input(l, c->hello_bytes, c->hello_size, path);
		assert_true(sent_to(l, path->remote.port) == sent);
		assert_true(lobby_drops(l, PKT_DROP_HELLO_REPLAY) == i + 1);
	}
	assert_int_equal(table_count(l->table), 1);
	assert_true(lobby_find(l, 0, &session) && session.is_established);
	lobby_destroy(l);
}

/* Goal: an old HELLO gets silence even when its ephemeral key is forgotten. Method: a fresh one
 * with a timestamp that is not newer: than the live session's, than the credential's. */
static void an_old_timestamp_gets_silence(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	lobby_connect(l, 0);
	l->now.wall_ns -= 1; /* lobby_hello() adds it again */
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, LOBBY_NO_STATUS);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_REPLAY) == 1);
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, STATUS_OK);

	l->credential.last_timestamp_ns = l->now.wall_ns + 1;
	lobby_hello(l, 1);
	assert_int_equal(l->clients[1].status, LOBBY_NO_STATUS);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_REPLAY) == 2);
	lobby_hello(l, 1);
	assert_int_equal(l->clients[1].status, STATUS_OK);
	lobby_destroy(l);
}

static void strangers_get_silence(void **state)
{
	struct lobby *l = make(4);

	(void)state;
	memcpy(l->clients[0].hello.id, l->unknown_id, FILE_ID_SIZE); /* an unknown credential */
	l->clients[1].hello.server_public[3] ^= 1;                   /* for another relay */
	l->clients[2].hello.identity.public[3] ^= 1;                 /* a forged identity */
	l->clients[3].hello.credential = CREDENTIAL_DEVICE;          /* not its own device id */
	for (uint32_t i = 0; i < 4; i++) {
		lobby_hello(l, i);
		assert_true(sent_to(l, (uint16_t)(LOBBY_FIRST_PORT + i)) == 0);
		assert_true(lobby_drops(l, PKT_DROP_HELLO_AUTH) == i + 1);
	}
	assert_int_equal(l->event_count, 0);
	assert_int_equal(table_count(l->table), 0);
	lobby_destroy(l);
}

/*
 * Goal: a wrong signature gets silence, whatever else would be answered, unless this device has
 * proved the identity before; then it is not looked at. Method: one client that names an identity
 * and signs with another's key.
 */
static void a_proved_identity_needs_no_signature(void **state)
{
	static const enum wire_status statuses[] = { STATUS_OK, STATUS_EXPIRED, STATUS_REVOKED };
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	struct keeper_event up;

	(void)state;
	c->hello.identity.seed[0] ^= 1;
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		l->credential.status = statuses[i];
		lobby_hello(l, 0);
		assert_int_equal(c->status, LOBBY_NO_STATUS);
		assert_true(lobby_drops(l, PKT_DROP_HELLO_AUTH) == i + 1);
	}
	assert_int_equal(l->event_count, 0);
	assert_int_equal(table_count(l->table), 0);

	l->credential.is_proved = true;
	for (size_t i = COUNT_OF(statuses); i-- > 0;) {
		l->credential.status = statuses[i];
		lobby_hello(l, 0);
		assert_int_equal(c->status, statuses[i]);
	}
	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, &up), 1);
	assert_memory_equal(up.identity, c->hello.identity.public, ED25519_PUBLIC_SIZE);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_AUTH) == COUNT_OF(statuses));
	lobby_destroy(l);
}

/* Goal: the signature is looked at last. Method: a HELLO that is old as well as wrongly signed
 * counts as old. */
static void old_ones_are_not_verified(void **state)
{
	struct lobby *l = make(1);

	(void)state;
	l->clients[0].hello.identity.seed[0] ^= 1;
	l->credential.last_timestamp_ns = l->now.wall_ns + NS_PER_S;
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, LOBBY_NO_STATUS);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_REPLAY) == 1);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_AUTH) == 0);
	lobby_destroy(l);
}

static void holders_are_told_why_not(void **state)
{
	static const struct {
		enum wire_status credential, expected;
		int64_t clock_off_s;
		bool is_draining;
	} rows[] = {
		{ STATUS_EXPIRED, STATUS_EXPIRED, 0, false },
		{ STATUS_SPENT, STATUS_SPENT, 0, false },
		{ STATUS_REVOKED, STATUS_REVOKED, 0, false },
		{ STATUS_OK, STATUS_TIME, 121, false },
		{ STATUS_OK, STATUS_TIME, -121, false },
		{ STATUS_OK, STATUS_OK, 119, false },
		{ STATUS_OK, STATUS_OK, -119, false },
		{ STATUS_OK, STATUS_DRAINING, 0, true },
		{ STATUS_EXPIRED, STATUS_EXPIRED, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct lobby *l = make(1);
		struct lobby_client *c = &l->clients[0];
		struct keeper_event refused;
		uint8_t plain[HELLO_SIZE_LAST];

		l->credential.status = rows[i].credential;
		if (rows[i].is_draining)
			keeper_drain(l->keeper);
		/* By hand: lobby_hello() has the relay's clock. */
		uint64_t timestamp_ns = l->now.wall_ns + (uint64_t)rows[i].clock_off_s * NS_PER_S;
		struct view_out out = { plain + WIRE_HEADER_SIZE, sizeof plain - WIRE_OVERHEAD };
		size_t size =
			hello_write(&c->noise, &c->hello, timestamp_ns, NULL, &l->random, out);
		c->has_noise = true;
		c->hello_size = (uint32_t)door_seal(l->keys.c2s_handshake, l->hide, WIRE_HELLO,
						    &l->random, plain, size);
		lobby_input(l, plain, c->hello_size, &c->path);
		lobby_run(l);
		assert_int_equal(c->status, rows[i].expected);
		bool is_refused = rows[i].expected != STATUS_OK;
		assert_int_equal(lobby_events(l, KEEPER_REFUSED, &refused), is_refused);
		assert_int_equal(table_count(l->table), !is_refused);
		if (is_refused)
			assert_int_equal(refused.status, rows[i].expected);
		lobby_destroy(l);
	}
}

/* Under load a cookie is asked for; with it there is an answer, and from another address the
 * cookie is worth nothing. */
static void under_load_a_cookie_is_asked_for(void **state)
{
	struct lobby *l = make(2);
	struct lobby_client *c = &l->clients[0];

	(void)state;
	l->queue_depth = HANDSHAKE_COOKIE_DEPTH;
	lobby_hello(l, 1);
	assert_int_equal(l->clients[1].status, STATUS_OK); /* not yet */

	l->queue_depth = HANDSHAKE_COOKIE_DEPTH + 1;
	lobby_hello(l, 0);
	assert_true(c->has_cookie);
	assert_int_equal(c->status, LOBBY_NO_STATUS);
	assert_true(sent_to(l, LOBBY_FIRST_PORT) < c->hello_size);
	assert_int_equal(keeper_stats(l->keeper)->cookies_sent, 1);
	assert_true(lobby_drops(l, PKT_DROP_COOKIE) == 1);

	lobby_move(l, 0, 20000);
	lobby_hello(l, 0); /* gets the cookie of the new address */
	assert_int_equal(c->status, LOBBY_NO_STATUS);
	lobby_hello(l, 0);
	assert_int_equal(c->status, STATUS_OK);
	lobby_destroy(l);
}

/* However the dice fall, a COOKIE is smaller than the HELLO that it answers. */
static void a_cookie_is_smaller_than_its_hello(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	uint64_t smallest = UINT64_MAX, largest = 0;

	(void)state;
	l->queue_depth = HANDSHAKE_COOKIE_DEPTH + 1;
	for (unsigned i = 0; i < 300; i++) {
		uint64_t sent = sent_to(l, LOBBY_FIRST_PORT);
		c->has_cookie = false;
		lobby_hello(l, 0);
		sent = sent_to(l, LOBBY_FIRST_PORT) - sent;
		assert_in_range(sent, WIRE_OVERHEAD + sizeof(struct wire_cookie),
				c->hello_size - 1);
		smallest = sent < smallest ? sent : smallest;
		largest = sent > largest ? sent : largest;
	}
	assert_true(largest - smallest > HELLO_SIZE_MIN);
	lobby_destroy(l);
}

static void a_cookie_lives_for_two_lifetimes_at_most(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];

	(void)state;
	l->queue_depth = HANDSHAKE_COOKIE_DEPTH + 1;
	lobby_hello(l, 0);
	assert_true(c->has_cookie);
	lobby_wait(l, COOKIE_LIFETIME_NS);
	lobby_hello(l, 0);
	assert_int_equal(c->status, STATUS_OK);
	lobby_wait(l, COOKIE_LIFETIME_NS);
	lobby_hello(l, 0);
	assert_int_equal(c->status, LOBBY_NO_STATUS);
	lobby_destroy(l);
}

static void a_prefix_has_its_rate(void **state)
{
	struct lobby *l = lobby_create(
		&(struct lobby_config){ .clients = 2, .slots = 64, .rate_per_s = 1, .burst = 3 });

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		lobby_hello(l, 0);
	assert_true(lobby_drops(l, PKT_DROP_RATE) == 2);
	assert_int_equal(l->clients[0].status, LOBBY_NO_STATUS);
	/* What the rate refused cannot be used by somebody else later. */
	lobby_input(l, l->clients[0].hello_bytes, l->clients[0].hello_size, &l->clients[1].path);
	assert_true(lobby_drops(l, PKT_DROP_HELLO_REPLAY) == 1);
	lobby_hello(l, 1);
	assert_int_equal(l->clients[1].status, STATUS_OK);
	lobby_wait(l, NS_PER_S);
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, STATUS_OK);
	lobby_destroy(l);
}

/* Who never sends a packet after its WELCOME leaves no trace, and cannot fill the table. */
static void the_unproved_get_a_quarter(void **state)
{
	enum { CLIENTS = 8, SLOTS = 16 };
	struct lobby *l =
		lobby_create(&(struct lobby_config){ .clients = CLIENTS, .slots = SLOTS });

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		lobby_hello(l, i);
		assert_int_equal(l->clients[i].status, i < SLOTS / 4 ? STATUS_OK : STATUS_FULL);
	}
	assert_int_equal(keeper_stats(l->keeper)->table_full, CLIENTS - SLOTS / 4);
	lobby_wait(l, SESSION_PENDING_NS + NS_PER_S);
	assert_int_equal(table_count(l->table), 0);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, NULL), 0);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, NULL), 0);
	lobby_connect(l, CLIENTS - 1);
	lobby_destroy(l);
}

static void a_full_table_says_so(void **state)
{
	enum { SLOTS = 4 };
	struct lobby *l =
		lobby_create(&(struct lobby_config){ .clients = SLOTS + 1, .slots = SLOTS });
	const struct wire_goodbye bye = { .reason = store_le32(REASON_DONE) };

	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++)
		lobby_connect(l, i);
	lobby_hello(l, SLOTS);
	assert_int_equal(l->clients[SLOTS].status, STATUS_FULL);
	assert_int_equal(table_count(l->table), SLOTS);
	lobby_say(l, 2, FRAME_GOODBYE, &bye, sizeof bye);
	lobby_connect(l, SLOTS);
	assert_int_equal(table_count(l->table), SLOTS);
	/* A place that is free but for the wait for the workers is waited for. */
	struct session_id id = l->clients[SLOTS].session.id;
	assert_true(keeper_end_session(l->keeper, id, REASON_NONE, l->now));
	lobby_connect(l, 2);
	lobby_destroy(l);
}

/* Message 1 alone changes nothing: the old session goes on until the new one is in use. */
static void a_new_session_supersedes_when_it_is_used(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	struct keeper_event down;

	(void)state;
	lobby_connect(l, 0);
	struct session old = c->session;
	lobby_forget_inbox(l, 0);
	lobby_hello(l, 0);
	assert_int_equal(c->status, STATUS_OK);
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, NULL), 0);

	struct session fresh = c->session;
	c->session = old;
	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	assert_non_null(lobby_take(l, 0, FRAME_PONG));
	c->session = fresh;
	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	assert_non_null(lobby_take(l, 0, FRAME_PONG));
	assert_int_equal(table_count(l->table), 1);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, &down), 1);
	assert_int_equal(down.reason, REASON_SUPERSEDED);
	assert_true(session_id_pack(down.session) == session_id_pack(old.id));
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, NULL), 2);
	lobby_destroy(l);
}

/* Retries leave sessions that wait; the one that is used ends those before it, not after. */
static void retries_leave_nothing_behind(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];

	(void)state;
	lobby_hello(l, 0);
	lobby_hello(l, 0);
	struct session second = c->session;
	lobby_hello(l, 0);
	assert_int_equal(table_count(l->table), 3);
	c->session = second;
	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	lobby_run(l);
	assert_int_equal(table_count(l->table), 2);
	lobby_wait(l, SESSION_PENDING_NS + NS_PER_S);
	assert_int_equal(table_count(l->table), 1);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		lobby_hello(l, 0);
	assert_int_equal(table_count(l->table), 4);
	lobby_say(l, 0, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	lobby_run(l);
	assert_int_equal(table_count(l->table), 1);
	lobby_destroy(l);
}

/* Forgeries prove nothing. */
static void a_forgery_establishes_nothing(void **state)
{
	struct lobby *l = make(1);
	struct keeper_session session;

	(void)state;
	lobby_hello(l, 0);
	struct upcall u = { .kind = UPCALL_FORGERIES, .session = l->clients[0].session.id };
	keeper_upcall(l->keeper, &u, 0, l->now);
	assert_true(lobby_find(l, 0, &session));
	assert_false(session.is_established);
	lobby_destroy(l);
}

/* Bytes that are no HELLO at all, under the right door key. */
static void a_malformed_hello_gets_silence(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	uint8_t bytes[DATAGRAM_SIZE_MAX];

	(void)state;
	for (size_t size = 0; size <= PLAIN_SIZE_MAX; size += 25) {
		memset(bytes, 0, sizeof bytes);
		random_fill(&l->random, bytes + WIRE_HEADER_SIZE, size);
		size_t whole = door_seal(l->keys.c2s_handshake, l->hide, WIRE_HELLO, &l->random,
					 bytes, size);
		lobby_input(l, bytes, (uint32_t)whole, &c->path);
	}
	assert_true(sent_to(l, LOBBY_FIRST_PORT) == 0);
	assert_int_equal(table_count(l->table), 0);
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_session_is_made),
	cmocka_unit_test(a_copied_hello_gets_silence),
	cmocka_unit_test(an_old_timestamp_gets_silence),
	cmocka_unit_test(strangers_get_silence),
	cmocka_unit_test(a_proved_identity_needs_no_signature),
	cmocka_unit_test(old_ones_are_not_verified),
	cmocka_unit_test(holders_are_told_why_not),
	cmocka_unit_test(under_load_a_cookie_is_asked_for),
	cmocka_unit_test(a_cookie_is_smaller_than_its_hello),
	cmocka_unit_test(a_cookie_lives_for_two_lifetimes_at_most),
	cmocka_unit_test(a_prefix_has_its_rate),
	cmocka_unit_test(the_unproved_get_a_quarter),
	cmocka_unit_test(a_full_table_says_so),
	cmocka_unit_test(a_new_session_supersedes_when_it_is_used),
	cmocka_unit_test(retries_leave_nothing_behind),
	cmocka_unit_test(a_forgery_establishes_nothing),
	cmocka_unit_test(a_malformed_hello_gets_silence),
};

CRYPTO_TESTS(TESTS)
