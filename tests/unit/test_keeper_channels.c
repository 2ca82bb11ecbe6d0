/* Keeper: channels, from OPEN to GONE, and every way in which two clients can cross. */
#include "tests/support/lobby.h"

static struct lobby *make_with(struct lobby_config config)
{
	struct lobby *l = lobby_create(&config);
	for (uint32_t i = 0; i < config.clients; i++) {
		lobby_connect(l, i);
		lobby_forget_inbox(l, i);
	}
	return l;
}

static struct lobby *make(uint32_t clients)
{
	return make_with((struct lobby_config){ .clients = clients });
}

/* ---- what clients say and hear ---------------------------------------------------------- */

static void open_to(struct lobby *l, uint32_t from, uint32_t to, uint32_t request)
{
	struct wire_open open = { .request = store_le32(request) };

	lobby_peer(l, to, open.peer);
	lobby_say(l, from, FRAME_OPEN, &open, sizeof open);
	lobby_run(l);
}

static void say_channel(struct lobby *l, uint32_t client, enum frame_type type, uint32_t channel)
{
	const struct wire_channel body = { .channel = store_le32(channel) };

	lobby_say(l, client, type, &body, sizeof body);
	lobby_run(l);
}

static void refuse(struct lobby *l, uint32_t client, uint32_t channel, uint32_t reason)
{
	const struct wire_channel_reason body = { .channel = store_le32(channel),
						  .reason = store_le32(reason) };

	lobby_say(l, client, FRAME_REFUSE, &body, sizeof body);
	lobby_run(l);
}

/* The channel of the next OFFER, which must come from `from`; 0: no offer. */
static uint32_t take_offer(struct lobby *l, uint32_t client, uint32_t from)
{
	uint8_t peer[PEER_ID_SIZE];
	const struct lobby_frame *f = lobby_take(l, client, FRAME_OFFER);

	if (f == NULL)
		return 0;
	const struct wire_offer *body = (const void *)f->body;
	assert_memory_equal(body->peer, lobby_peer(l, from, peer), PEER_ID_SIZE);
	return load_le32(body->channel);
}

/* The channel of the next OPENED, checked against request and role; 0: none came. */
static uint32_t take_opened(struct lobby *l, uint32_t client, uint32_t request, bool is_initiator)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_OPENED);

	if (f == NULL)
		return 0;
	const struct wire_opened *body = (const void *)f->body;
	assert_int_equal(load_le32(body->request), request);
	assert_int_equal(body->is_initiator, is_initiator);
	return load_le32(body->channel);
}

enum { NOTHING = 0xffff };

static uint32_t take_failed(struct lobby *l, uint32_t client, uint32_t request)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_OPEN_FAILED);

	if (f == NULL)
		return NOTHING;
	const struct wire_open_failed *body = (const void *)f->body;
	assert_int_equal(load_le32(body->request), request);
	return load_le32(body->reason);
}

static uint32_t take_gone(struct lobby *l, uint32_t client, uint32_t channel)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_GONE);

	if (f == NULL)
		return NOTHING;
	const struct wire_channel_reason *body = (const void *)f->body;
	assert_int_equal(load_le32(body->channel), channel);
	return load_le32(body->reason);
}

static void assert_no_news(struct lobby *l, uint32_t client)
{
	lobby_run(l);
	for (size_t i = 0; i < l->clients[client].inbox_count; i++)
		assert_true(!frame_is_reliable(l->clients[client].inbox[i].type));
}

struct ends {
	uint32_t opener, target;
};

static struct ends connect_pair(struct lobby *l, uint32_t from, uint32_t to)
{
	struct ends ends;

	open_to(l, from, to, 77);
	ends.target = take_offer(l, to, from);
	assert_true(ends.target != 0);
	say_channel(l, to, FRAME_ACCEPT, ends.target);
	ends.opener = take_opened(l, from, 77, true);
	assert_true(ends.opener != 0);
	return ends;
}

/* Does a blob sent into `channel` by one client reach the other? */
static bool carries(struct lobby *l, uint32_t from, uint32_t channel, uint32_t to)
{
	uint8_t plain[100] = { 0 };
	struct wire_data_frame head = { .type = FRAME_DATA, .size = store_le16(50) };
	uint32_t before = l->clients[to].datagrams;
	uint64_t relayed = load_relaxed(&forward_counters(l->forward)->of[PKT_RELAYED]);

	head.channel = store_le24(channel);
	memcpy(plain, &head, DATA_FRAME_HEAD);
	lobby_say_plain(l, from, VIEW(plain));
	lobby_run(l);
	bool is_relayed = load_relaxed(&forward_counters(l->forward)->of[PKT_RELAYED]) > relayed;
	assert_int_equal(l->clients[to].datagrams, before + is_relayed);
	return is_relayed;
}

/* ---- opening --------------------------------------------------------------------------- */

static void a_channel_is_opened_and_closed(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	struct ends ends = connect_pair(l, 0, 1);
	assert_true(ends.opener != ends.target);
	assert_true(carries(l, 0, ends.opener, 1));
	assert_true(carries(l, 1, ends.target, 0));
	assert_false(carries(l, 0, ends.target, 1)); /* not its own number */
	assert_int_equal(keeper_stats(l->keeper)->channels_opened, 1);
	assert_int_equal(channels_count(l->channels), 2);

	say_channel(l, 0, FRAME_CLOSE, ends.opener);
	assert_int_equal(take_gone(l, 1, ends.target), REASON_CLOSED);
	assert_no_news(l, 0);
	assert_false(carries(l, 0, ends.opener, 1));
	assert_false(carries(l, 1, ends.target, 0));
	assert_int_equal(channels_count(l->channels), 0);
	assert_int_equal(keeper_stats(l->keeper)->channels_closed, 1);
	say_channel(l, 1, FRAME_CLOSE, ends.target); /* crossed the GONE */
	assert_no_news(l, 0);
	lobby_destroy(l);
}

static void nothing_flows_before_consent(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	open_to(l, 0, 1, 5);
	uint32_t target = take_offer(l, 1, 0);
	for (uint32_t number = 0; number < 8; number++) {
		assert_false(carries(l, 0, number, 1));
		assert_false(carries(l, 1, number, 0));
	}
	say_channel(l, 0, FRAME_ACCEPT, target);     /* not its offer */
	say_channel(l, 0, FRAME_ACCEPT, target - 1); /* its own OPEN */
	say_channel(l, 0, FRAME_ACCEPT, target + 1);
	say_channel(l, 0, FRAME_CLOSE, target);
	assert_int_equal(take_opened(l, 0, 5, true), 0);
	say_channel(l, 1, FRAME_ACCEPT, target);
	assert_true(take_opened(l, 0, 5, true) != 0);
	say_channel(l, 1, FRAME_ACCEPT, target); /* twice is once */
	assert_no_news(l, 0);
	lobby_destroy(l);
}

static void an_open_that_cannot_be(void **state)
{
	struct lobby *l = make(3);
	const struct wire_goodbye bye = { .reason = store_le32(REASON_DONE) };

	(void)state;
	open_to(l, 0, 0, 1);
	assert_int_equal(take_failed(l, 0, 1), REASON_SELF);
	lobby_say(l, 2, FRAME_GOODBYE, &bye, sizeof bye);
	open_to(l, 0, 2, 2);
	assert_int_equal(take_failed(l, 0, 2), REASON_ABSENT);
	struct wire_open nobody = { .request = store_le32(3), .peer = { 0 } };
	lobby_say(l, 0, FRAME_OPEN, &nobody, sizeof nobody);
	assert_int_equal(take_failed(l, 0, 3), REASON_ABSENT);
	assert_int_equal(keeper_stats(l->keeper)->channel_refusals, 3);
	assert_int_equal(channels_count(l->channels), 0);
	lobby_destroy(l);
}

static void a_pending_session_is_not_here(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 2 });

	(void)state;
	lobby_connect(l, 0);
	lobby_hello(l, 1);
	open_to(l, 0, 1, 1);
	assert_int_equal(take_failed(l, 0, 1), REASON_ABSENT);
	lobby_destroy(l);
}

static void an_offer_is_refused(void **state)
{
	static const struct {
		uint32_t said, heard;
	} rows[] = { { REASON_REFUSED, REASON_REFUSED },
		     { REASON_NONE, REASON_REFUSED },
		     { REASON_LIMIT, REASON_LIMIT } };
	struct lobby *l = make(2);

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
		open_to(l, 0, 1, i);
		refuse(l, 1, take_offer(l, 1, 0), rows[i].said);
		assert_int_equal(take_failed(l, 0, i), rows[i].heard);
		assert_no_news(l, 1);
	}
	lobby_wait(l, 20 * NS_PER_S);
	assert_no_news(l, 0);
	assert_int_equal(channels_count(l->channels), 0);
	lobby_destroy(l);
}

static void an_offer_waits_ten_seconds(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	open_to(l, 0, 1, 9);
	uint32_t target = take_offer(l, 1, 0);
	lobby_wait(l, 9900 * NS_PER_MS);
	assert_no_news(l, 0);
	lobby_wait(l, 200 * NS_PER_MS);
	assert_int_equal(take_failed(l, 0, 9), REASON_ABSENT);
	assert_int_equal(take_gone(l, 1, target), REASON_CLOSED);
	say_channel(l, 1, FRAME_ACCEPT, target); /* too late */
	assert_no_news(l, 0);
	assert_int_equal(channels_count(l->channels), 0);
	connect_pair(l, 0, 1);
	lobby_destroy(l);
}

/* ---- crossing -------------------------------------------------------------------------- */

static void two_who_open_each_other_share_a_channel(void **state)
{
	struct lobby *l = make(4);

	(void)state;
	open_to(l, 0, 1, 10);
	uint32_t offered = take_offer(l, 1, 0);
	struct ends others[] = { connect_pair(l, 1, 2), connect_pair(l, 1, 3) };
	open_to(l, 1, 0, 20);
	uint32_t opener = take_opened(l, 0, 10, true);
	uint32_t target = take_opened(l, 1, 20, false);
	assert_true(opener != 0);
	assert_int_equal(target, offered);
	assert_true(carries(l, 0, opener, 1));
	assert_true(carries(l, 1, target, 0));
	say_channel(l, 1, FRAME_ACCEPT, offered); /* which it had said before it knew */
	assert_no_news(l, 0);
	assert_no_news(l, 1);
	assert_int_equal(channels_count(l->channels), 2 + 2 * COUNT_OF(others));
	assert_true(carries(l, 1, others[0].opener, 2));
	/* Its refusal of the offer, crossing its own OPEN, closes. */
	refuse(l, 1, target, REASON_REFUSED);
	assert_int_equal(take_gone(l, 0, opener), REASON_REFUSED);
	lobby_destroy(l);
}

/* An offer that still waits for room in the target's queue is not made when the target opens by
 * itself: in one packet it acknowledges what was in the way, and asks. */
static void an_offer_overtaken_is_not_made(void **state)
{
	struct lobby *l = make(2);
	struct lobby_client *c = &l->clients[0];
	struct wire_open open = { .request = store_le32(1) };
	const struct wire_ack ack = { .next = store_le32(RELIABLE_QUEUE) };
	uint8_t plain[256];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };

	(void)state;
	c->is_rude = true;
	for (unsigned i = 0; i < RELIABLE_QUEUE; i++)
		lobby_say(l, 0, FRAME_OPEN, &open, sizeof open); /* to nobody: all fail */
	open_to(l, 1, 0, 50);
	assert_int_equal(take_offer(l, 0, 1), 0);
	c->is_rude = false;
	open.request = store_le32(60);
	lobby_peer(l, 1, open.peer);
	lobby_put(c, &w, FRAME_ACK, &ack, sizeof ack);
	lobby_put(c, &w, FRAME_OPEN, &open, sizeof open);
	lobby_say_plain(l, 0, view_of(plain, w.size));
	uint32_t target = take_opened(l, 0, 60, false);
	uint32_t opener = take_opened(l, 1, 50, true);
	assert_true(carries(l, 0, target, 1));
	assert_true(carries(l, 1, opener, 0));
	assert_int_equal(take_offer(l, 0, 1), 0);
	lobby_destroy(l);
}

static void asking_twice_is_answered_once_each(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	open_to(l, 0, 1, 1);
	open_to(l, 0, 1, 2);
	assert_int_equal(take_failed(l, 0, 1), REASON_NONE);
	uint32_t target = take_offer(l, 1, 0);
	assert_int_equal(take_offer(l, 1, 0), 0);
	say_channel(l, 1, FRAME_ACCEPT, target);
	assert_true(take_opened(l, 0, 2, true) != 0);
	assert_no_news(l, 0);
	lobby_destroy(l);
}

static void opening_again_begins_anew(void **state)
{
	(void)state;
	for (uint32_t again = 0; again < 2; again++) { /* by the opener, by the target */
		struct lobby *l = make(3);
		connect_pair(l, 0, 2); /* so that one's list is the shorter, then the other's */
		struct ends ends = connect_pair(l, 0, 1);
		uint32_t old_again = again == 0 ? ends.opener : ends.target;
		uint32_t old_other = again == 0 ? ends.target : ends.opener;

		open_to(l, again, 1 - again, 3);
		assert_int_equal(take_gone(l, again, old_again), REASON_CLOSED);
		assert_int_equal(take_gone(l, 1 - again, old_other), REASON_CLOSED);
		assert_false(carries(l, again, old_again, 1 - again));
		assert_false(carries(l, 1 - again, old_other, again));
		uint32_t target = take_offer(l, 1 - again, again);
		assert_true(target != ends.opener && target != ends.target);
		say_channel(l, 1 - again, FRAME_ACCEPT, target);
		uint32_t opener = take_opened(l, again, 3, true);
		assert_true(carries(l, again, opener, 1 - again));
		assert_int_equal(channels_count(l->channels), 4);
		lobby_destroy(l);
	}
}

/* ---- sessions that end ------------------------------------------------------------------ */

static void channels_end_with_their_session(void **state)
{
	const struct wire_goodbye bye = { .reason = store_le32(REASON_DONE) };
	struct lobby *l = make(4);

	(void)state;
	struct ends opened = connect_pair(l, 0, 1);
	struct ends accepted = connect_pair(l, 2, 0);
	open_to(l, 0, 3, 1);
	uint32_t offered = take_offer(l, 3, 0);
	open_to(l, 1, 0, 4); /* GONE for both old ends, and an offer that stays open */
	assert_int_equal(take_gone(l, 1, opened.opener + 1), REASON_CLOSED);
	lobby_say(l, 0, FRAME_GOODBYE, &bye, sizeof bye);
	assert_int_equal(take_failed(l, 1, 4), REASON_ABSENT);
	assert_int_equal(take_gone(l, 2, accepted.opener), REASON_ABSENT);
	assert_int_equal(take_gone(l, 3, offered), REASON_ABSENT);
	assert_int_equal(channels_count(l->channels), 0);
	lobby_wait(l, 20 * NS_PER_S);
	for (uint32_t i = 1; i < 4; i++)
		assert_no_news(l, i);
	lobby_destroy(l);
}

/* A new session of the same device starts without channels; the others hear that the old ones
 * are gone, and reach it under the same peer id. */
static void a_reconnect_loses_its_channels(void **state)
{
	struct lobby *l = make(2);

	(void)state;
	struct ends ends = connect_pair(l, 0, 1);
	lobby_connect(l, 0);
	assert_int_equal(take_gone(l, 1, ends.target), REASON_ABSENT);
	assert_false(carries(l, 1, ends.target, 0));
	assert_false(carries(l, 0, ends.opener, 1));
	connect_pair(l, 1, 0);
	lobby_destroy(l);
}

/* ---- limits ---------------------------------------------------------------------------- */

static void numbers_run_out(void **state)
{
	struct lobby *l = make_with((struct lobby_config){ .clients = 4, .channels = 5 });

	(void)state;
	struct ends ends = connect_pair(l, 0, 1);
	connect_pair(l, 0, 2);
	open_to(l, 0, 3, 1); /* one number is left: not enough, and not lost */
	assert_int_equal(take_failed(l, 0, 1), REASON_LIMIT);
	assert_int_equal(keeper_stats(l->keeper)->channels_full, 1);
	assert_int_equal(channels_count(l->channels), 4);
	say_channel(l, 1, FRAME_CLOSE, ends.target);
	connect_pair(l, 0, 3);
	lobby_destroy(l);
}

/* One session takes part in CHANNELS_PER_SESSION_MAX channels, asked for or offered. */
static void a_session_has_its_share(void **state)
{
	enum { CLIENTS = CHANNELS_PER_SESSION_MAX + 2 };
	struct lobby *l = make(CLIENTS);

	(void)state;
	for (uint32_t i = 1; i < CLIENTS - 1; i++) {
		struct ends ends = i % 2 == 0 ? connect_pair(l, 0, i) : connect_pair(l, i, 0);
		assert_true(ends.opener != 0);
	}
	open_to(l, 0, CLIENTS - 1, 1);
	assert_int_equal(take_failed(l, 0, 1), REASON_LIMIT);
	open_to(l, CLIENTS - 1, 0, 2);
	assert_int_equal(take_failed(l, CLIENTS - 1, 2), REASON_LIMIT);
	assert_int_equal(keeper_stats(l->keeper)->channels_opened, CHANNELS_PER_SESSION_MAX);
	lobby_destroy(l);
}

/*
 * Goal:   nothing that a session must hear is lost because it hears slowly, and it holds up
 *         nobody else.
 * Method: client 0 stops acknowledging; far more channels end, and offers come, than its queue
 *         has room for. The others get their answers at once. Then it acknowledges again.
 */
static void a_slow_session_misses_nothing(void **state)
{
	enum { OTHERS = 2 * RELIABLE_QUEUE + 4 };
	struct lobby *l = make(1 + OTHERS);
	struct lobby_client *slow = &l->clients[0];
	uint32_t channels[1 + OTHERS];

	(void)state;
	for (uint32_t i = 1; i <= OTHERS; i++) {
		struct ends ends = connect_pair(l, i, 0);
		channels[i] = ends.target;
	}
	slow->is_deaf = true;
	for (uint32_t i = 1; i <= OTHERS; i++) {
		lobby_connect(l, i); /* its old session ends */
		open_to(l, i, 0, 5);
		assert_int_equal(take_failed(l, i, 5), NOTHING);
	}
	lobby_wait(l, NS_PER_S);
	slow->is_deaf = false;
	for (unsigned i = 0; i < 10; i++)
		lobby_wait(l, 100 * NS_PER_MS);
	lobby_wait(l, 3 * NS_PER_S);
	for (uint32_t i = 1; i <= OTHERS; i++) {
		uint32_t offered = 0;
		assert_int_equal(take_gone(l, 0, channels[i]), REASON_ABSENT);
		if ((offered = take_offer(l, 0, i)) != 0)
			say_channel(l, 0, FRAME_ACCEPT, offered);
		assert_true(take_opened(l, i, 5, true) != 0);
		lobby_wait(l, NS_PER_MS);
	}
	assert_int_equal(keeper_stats(l->keeper)->channels_opened, 2 * OTHERS);
	lobby_destroy(l);
}

/* It never listens again: its own end takes along what it was still owed, numbers and all. The
 * small datagrams that it takes need several packets for a full queue. */
static void a_slow_session_dies_with_its_debts(void **state)
{
	enum { OTHERS = RELIABLE_QUEUE + 4 };
	struct lobby *l = make(1 + OTHERS);
	struct keeper_session session;

	(void)state;
	assert_true(lobby_find(l, 0, &session));
	table_find(l->table, session.id)->datagram_max = DATAGRAM_MAX_LEAST;
	for (uint32_t i = 1; i <= OTHERS; i++)
		connect_pair(l, i, 0);
	l->clients[0].is_deaf = true;
	for (uint32_t i = 1; i <= OTHERS; i++)
		lobby_connect(l, i);
	assert_true(channels_count(l->channels) > 0);
	for (unsigned i = 0; i < 100; i++) {
		for (uint32_t j = 0; j <= OTHERS; j++)
			lobby_say(l, j, FRAME_PING, &(struct wire_ping){ 0 },
				  sizeof(struct wire_ping));
		lobby_wait(l, NS_PER_S);
	}
	assert_false(lobby_find(l, 0, &session));
	assert_int_equal(table_count(l->table), OTHERS);
	assert_int_equal(channels_count(l->channels), 0);
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_channel_is_opened_and_closed),
	cmocka_unit_test(nothing_flows_before_consent),
	cmocka_unit_test(an_open_that_cannot_be),
	cmocka_unit_test(a_pending_session_is_not_here),
	cmocka_unit_test(an_offer_is_refused),
	cmocka_unit_test(an_offer_waits_ten_seconds),
	cmocka_unit_test(two_who_open_each_other_share_a_channel),
	cmocka_unit_test(an_offer_overtaken_is_not_made),
	cmocka_unit_test(asking_twice_is_answered_once_each),
	cmocka_unit_test(opening_again_begins_anew),
	cmocka_unit_test(channels_end_with_their_session),
	cmocka_unit_test(a_reconnect_loses_its_channels),
	cmocka_unit_test(numbers_run_out),
	cmocka_unit_test(a_session_has_its_share),
	cmocka_unit_test(a_slow_session_misses_nothing),
	cmocka_unit_test(a_slow_session_dies_with_its_debts),
};

CRYPTO_TESTS(TESTS)
