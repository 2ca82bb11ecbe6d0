/* Keeper: the life of a session after its handshake, and every way in which it ends. */
#include "tests/support/lobby.h"

static struct lobby *make(uint32_t clients)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = clients });
	for (uint32_t i = 0; i < clients; i++) {
		lobby_connect(l, i);
		lobby_forget_inbox(l, i);
	}
	return l;
}

static void ping(struct lobby *l, uint32_t client)
{
	lobby_say(l, client, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	lobby_run(l);
}

static uint32_t goodbye_reason(struct lobby *l, uint32_t client)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_GOODBYE);
	assert_non_null(f);
	return load_le32(((const struct wire_goodbye *)(const void *)f->body)->reason);
}

static uint32_t down_reason(struct lobby *l, unsigned count)
{
	struct keeper_event down;
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, &down), count);
	return down.reason;
}

static void a_silent_session_ends(void **state)
{
	struct lobby *l = make(2);
	struct keeper_session session;

	(void)state;
	lobby_wait(l, LOBBY_IDLE_NS / 2);
	ping(l, 1);
	lobby_wait(l, LOBBY_IDLE_NS / 2 - NS_PER_S);
	assert_true(lobby_find(l, 0, &session));
	lobby_wait(l, 2 * NS_PER_S);
	assert_false(lobby_find(l, 0, &session));
	assert_true(lobby_find(l, 1, &session));
	assert_int_equal(down_reason(l, 1), REASON_IDLE);
	assert_int_equal(goodbye_reason(l, 0), REASON_IDLE);
	lobby_wait(l, LOBBY_IDLE_NS);
	assert_int_equal(table_count(l->table), 0);
	assert_int_equal(keeper_stats(l->keeper)->sessions_ended, 2);
	lobby_destroy(l);
}

static void a_client_says_goodbye(void **state)
{
	const struct wire_goodbye bye = { .reason = store_le32(REASON_DONE) };
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];

	(void)state;
	lobby_say(l, 0, FRAME_GOODBYE, &bye, sizeof bye);
	const struct lobby_frame *ack = lobby_take(l, 0, FRAME_ACK);
	assert_non_null(ack); /* so that it need not say it again */
	assert_int_equal(ack->body[0], 1);
	assert_int_equal(table_count(l->table), 0);
	assert_int_equal(down_reason(l, 1), REASON_DONE);
	uint32_t datagrams = c->datagrams;
	ping(l, 0);
	assert_int_equal(c->datagrams, datagrams);
	lobby_destroy(l);
}

static void the_operator_ends_sessions(void **state)
{
	struct lobby *l = make(3);

	(void)state;
	struct session_id id = l->clients[1].session.id;
	assert_true(keeper_end_session(l->keeper, id, REASON_REVOKED, l->now));
	assert_false(keeper_end_session(l->keeper, id, REASON_REVOKED, l->now));
	assert_int_equal(goodbye_reason(l, 1), REASON_REVOKED);
	assert_int_equal(down_reason(l, 1), REASON_REVOKED);
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(l->forgets, 1);

	keeper_end_all(l->keeper, REASON_STOPPING, l->now);
	assert_int_equal(goodbye_reason(l, 0), REASON_STOPPING);
	assert_int_equal(goodbye_reason(l, 2), REASON_STOPPING);
	assert_int_equal(down_reason(l, 3), REASON_STOPPING);
	assert_int_equal(table_count(l->table), 0);
	lobby_destroy(l);
}

/* Behind frames that were lost on the way a GOODBYE would be out of order: they go along. */
static void a_goodbye_comes_in_order(void **state)
{
	struct lobby *l = make(1);
	struct wire_open nobody = { .request = store_le32(1) };

	(void)state;
	l->clients[0].is_deaf = true;
	for (unsigned i = 0; i < 3; i++)
		lobby_say(l, 0, FRAME_OPEN, &nobody, sizeof nobody);
	lobby_run(l);
	l->clients[0].is_deaf = false;
	assert_true(keeper_end_session(l->keeper, l->clients[0].session.id, REASON_DONE, l->now));
	assert_int_equal(goodbye_reason(l, 0), REASON_DONE);
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	lobby_destroy(l);
}

/* All that ended since the last tick is freed after one wait for the workers. */
static void one_quiesce_frees_many(void **state)
{
	enum { CLIENTS = 20 };
	struct lobby *l = make(CLIENTS);
	unsigned before = l->quiesces;

	(void)state;
	lobby_wait(l, NS_PER_S);
	assert_int_equal(l->quiesces, before);
	keeper_end_all(l->keeper, REASON_STOPPING, l->now);
	assert_int_equal(l->quiesces, before);
	lobby_wait(l, 0);
	assert_int_equal(l->quiesces, before + 1);
	lobby_wait(l, 10 * NS_PER_S);
	assert_int_equal(l->quiesces, before + 1);
	for (uint32_t i = 0; i < CLIENTS; i++)
		lobby_connect(l, i);
	lobby_destroy(l);
}

/* Frames that are never acknowledged end the session in the time that limits.h promises. */
static void a_client_that_acknowledges_nothing_is_dead(void **state)
{
	struct lobby *l = make(2);
	struct wire_open open = { .request = store_le32(1) };
	struct keeper_session session;

	(void)state;
	l->clients[1].is_rude = true;
	lobby_peer(l, 1, open.peer);
	lobby_say(l, 0, FRAME_OPEN, &open, sizeof open);
	for (unsigned i = 0; i < 30; i++) {
		lobby_wait(l, NS_PER_S);
		ping(l, 0);
		ping(l, 1); /* alive, but rude */
	}
	assert_true(lobby_find(l, 1, &session));
	assert_true(keeper_stats(l->keeper)->frames_repeated >= 5);
	for (unsigned i = 0; i < 70; i++) {
		lobby_wait(l, NS_PER_S);
		ping(l, 0);
		if (lobby_find(l, 1, &session))
			ping(l, 1);
	}
	assert_false(lobby_find(l, 1, &session));
	assert_true(lobby_find(l, 0, &session));
	assert_int_equal(down_reason(l, 1), REASON_UNRESPONSIVE);
	lobby_destroy(l);
}

/* Keys live 70 minutes at most; the client makes new ones with a new handshake. */
static void a_session_does_not_outlive_its_keys(void **state)
{
	struct lobby *l = make(1);

	(void)state;
	for (unsigned minute = 0; minute < 69; minute++) {
		lobby_wait(l, 60 * NS_PER_S);
		ping(l, 0);
	}
	assert_int_equal(table_count(l->table), 1);
	lobby_wait(l, 61 * NS_PER_S);
	assert_int_equal(table_count(l->table), 0);
	assert_int_equal(down_reason(l, 1), REASON_KEY_LIMIT);
	assert_int_equal(goodbye_reason(l, 0), REASON_KEY_LIMIT);
	lobby_destroy(l);
}

/* Where the mailbox was full the keeper learns of a first packet by looking. */
static void lost_news_are_found_out(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 1 });
	struct keeper_session session;

	(void)state;
	lobby_hello(l, 0);
	assert_true(lobby_find(l, 0, &session));
	struct session *s = table_find(l->table, session.id);
	store_relaxed(&s->is_established, 1);
	lobby_wait(l, 2 * NS_PER_S);
	assert_true(lobby_find(l, 0, &session));
	assert_true(session.is_established);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_UP, NULL), 1);
	lobby_destroy(l);
}

/* An upcall for a session that is gone, or never was, is nothing. */
static void stale_upcalls_are_nothing(void **state)
{
	static const enum upcall_kind kinds[] = {
		UPCALL_CONTROL,
		UPCALL_PATH,
		UPCALL_ESTABLISHED,
		UPCALL_FORGERIES,
	};
	struct lobby *l = make(1);
	struct session_id id = l->clients[0].session.id;

	(void)state;
	id.generation++;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct upcall u = { .kind = kinds[i],
				    .session = id,
				    .datagram_size = 1000,
				    .path = l->clients[0].path };
		keeper_upcall(l->keeper, &u, 0, l->now);
	}
	assert_int_equal(table_count(l->table), 1);
	assert_int_equal(l->event_count, 1);
	struct upcall u = { .kind = UPCALL_FORGERIES, .session = l->clients[0].session.id };
	keeper_upcall(l->keeper, &u, 0, l->now);
	assert_int_equal(lobby_events(l, KEEPER_FORGERIES, NULL), 1);
	lobby_destroy(l);
}

/* ---- roaming --------------------------------------------------------------------------- */

static uint16_t port_of(const struct lobby *l, uint32_t client)
{
	struct keeper_session session;
	assert_true(lobby_find(l, client, &session));
	return session.path.remote.port;
}

static void a_client_moves(void **state)
{
	struct lobby *l = make(1);

	(void)state;
	lobby_move(l, 0, 20000);
	ping(l, 0);
	assert_int_equal(port_of(l, 0), 20000);
	assert_int_equal(keeper_stats(l->keeper)->path_challenges, 1);
	assert_int_equal(keeper_stats(l->keeper)->path_moves, 1);
	/* At most one move a second. */
	lobby_move(l, 0, 20001);
	ping(l, 0);
	assert_int_equal(port_of(l, 0), 20000);
	lobby_wait(l, PATH_CHALLENGE_NS);
	ping(l, 0);
	assert_int_equal(port_of(l, 0), 20001);
	lobby_destroy(l);
}

static void nobody_is_moved_without_an_answer(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	struct wire_path token;

	(void)state;
	c->is_stubborn = true;
	lobby_move(l, 0, 20000);
	ping(l, 0);
	const struct lobby_frame *challenge = lobby_take(l, 0, FRAME_PATH_CHALLENGE);
	assert_non_null(challenge);
	memcpy(&token, challenge->body, sizeof token);
	assert_int_equal(port_of(l, 0), LOBBY_FIRST_PORT);

	token.token[0] ^= 1; /* a wrong token */
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token);
	assert_int_equal(port_of(l, 0), LOBBY_FIRST_PORT);
	token.token[0] ^= 1; /* the right one from elsewhere */
	lobby_move(l, 0, 20001);
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token);
	assert_int_equal(port_of(l, 0), LOBBY_FIRST_PORT);
	lobby_move(l, 0, LOBBY_FIRST_PORT);
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token);
	assert_int_equal(port_of(l, 0), LOBBY_FIRST_PORT);
	lobby_move(l, 0, 20000); /* where it was sent to */
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token);
	assert_int_equal(port_of(l, 0), 20000);
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token); /* and once only */
	assert_int_equal(keeper_stats(l->keeper)->path_moves, 1);
	lobby_destroy(l);
}

static void a_challenge_grows_old(void **state)
{
	struct lobby *l = make(1);
	struct wire_path token;

	(void)state;
	l->clients[0].is_stubborn = true;
	lobby_move(l, 0, 20000);
	ping(l, 0);
	memcpy(&token, lobby_take(l, 0, FRAME_PATH_CHALLENGE)->body, sizeof token);
	lobby_wait(l, 11 * NS_PER_S);
	lobby_say(l, 0, FRAME_PATH_RESPONSE, &token, sizeof token);
	assert_int_equal(port_of(l, 0), LOBBY_FIRST_PORT);
	lobby_destroy(l);
}

/* The challenge to an unproved address is no larger than what came from there, down to packets
 * that are too small for any. The lobby checks the sums; here the least sizes are gone through. */
static void a_challenge_is_no_amplifier(void **state)
{
	struct lobby *l = make(1);
	struct upcall u = { .kind = UPCALL_PATH,
			    .session = l->clients[0].session.id,
			    .path = l->clients[0].path };
	unsigned sent = 0;

	(void)state;
	for (uint32_t size = 0; size < 200; size += size < 100 ? 1 : 50) {
		l->now.mono_ns += PATH_CHALLENGE_NS;
		u.path.remote.port = (uint16_t)(30000 + size);
		u.datagram_size = size;
		l->accounts[u.path.remote.port].from = size;
		keeper_upcall(l->keeper, &u, 0, l->now);
		sent += l->accounts[u.path.remote.port].to > 0;
	}
	assert_in_range(sent, 1, 100);
	lobby_run(l);
	lobby_destroy(l);
}

static void a_clients_challenge_is_answered_once(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	const struct wire_path token = { "1234567" };
	uint8_t plain[PLAIN_SIZE_MAX];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };

	(void)state;
	lobby_say(l, 0, FRAME_PATH_CHALLENGE, &token, sizeof token);
	const struct lobby_frame *response = lobby_take(l, 0, FRAME_PATH_RESPONSE);
	assert_non_null(response);
	assert_memory_equal(response->body, &token, sizeof token);
	/* Many in one packet. */
	for (unsigned i = 0; i < 50; i++)
		lobby_put(c, &w, FRAME_PATH_CHALLENGE, &token, sizeof token);
	lobby_wait(l, NS_PER_S);
	lobby_say_plain(l, 0, view_of(plain, w.size));
	assert_non_null(lobby_take(l, 0, FRAME_PATH_RESPONSE));
	assert_null(lobby_take(l, 0, FRAME_PATH_RESPONSE));
	lobby_destroy(l);
}

/*
 * A small packet from a new address provokes our challenge already: with an answer to its own
 * challenge beside it, more would go there than came. The lobby checks the sum.
 */
static void a_challenge_from_a_new_address_is_not_answered(void **state)
{
	struct lobby *l = make(1);
	const struct wire_path token = { "1234567" };

	(void)state;
	l->clients[0].is_stubborn = true;
	lobby_move(l, 0, 20000);
	lobby_say(l, 0, FRAME_PATH_CHALLENGE, &token, sizeof token);
	assert_null(lobby_take(l, 0, FRAME_PATH_RESPONSE));
	assert_non_null(lobby_take(l, 0, FRAME_PATH_CHALLENGE));

	l->clients[0].is_stubborn = false; /* it proves itself, and then it is answered */
	lobby_wait(l, PATH_CHALLENGE_NS);
	ping(l, 0);
	assert_int_equal(port_of(l, 0), 20000);
	lobby_say(l, 0, FRAME_PATH_CHALLENGE, &token, sizeof token);
	assert_non_null(lobby_take(l, 0, FRAME_PATH_RESPONSE));
	lobby_destroy(l);
}

static void the_operator_sees_sessions(void **state)
{
	struct lobby *l = make(3);
	struct keeper_session session;
	uint32_t cursor = 0;
	unsigned count = 0;

	(void)state;
	while (keeper_next_session(l->keeper, &cursor, &session)) {
		assert_true(session.is_established);
		assert_true(session.rx_packets >= 1);
		assert_true(session.rx_bytes >= 160);
		assert_true(session.since_ns == l->now.mono_ns);
		count++;
	}
	assert_int_equal(count, 3);
	lobby_destroy(l);
}

/* Thousands of sessions that all end at the same time take several short ticks, not a long one. */
static void a_tick_has_an_end(void **state)
{
	enum { CLIENTS = 300 };
	struct lobby *l = make(CLIENTS);

	(void)state;
	l->now.mono_ns += 2 * LOBBY_IDLE_NS;
	for (unsigned i = 0; i < 20 && table_count(l->table) > 0; i++)
		l->deadline_ns = keeper_tick(l->keeper, l->now);
	assert_int_equal(table_count(l->table), 0);
	lobby_run(l);
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_silent_session_ends),
	cmocka_unit_test(a_client_says_goodbye),
	cmocka_unit_test(the_operator_ends_sessions),
	cmocka_unit_test(a_goodbye_comes_in_order),
	cmocka_unit_test(one_quiesce_frees_many),
	cmocka_unit_test(a_client_that_acknowledges_nothing_is_dead),
	cmocka_unit_test(a_session_does_not_outlive_its_keys),
	cmocka_unit_test(lost_news_are_found_out),
	cmocka_unit_test(stale_upcalls_are_nothing),
	cmocka_unit_test(a_client_moves),
	cmocka_unit_test(nobody_is_moved_without_an_answer),
	cmocka_unit_test(a_challenge_grows_old),
	cmocka_unit_test(a_challenge_is_no_amplifier),
	cmocka_unit_test(a_clients_challenge_is_answered_once),
	cmocka_unit_test(a_challenge_from_a_new_address_is_not_answered),
	cmocka_unit_test(the_operator_sees_sessions),
	cmocka_unit_test(a_tick_has_an_end),
};

CRYPTO_TESTS(TESTS)
