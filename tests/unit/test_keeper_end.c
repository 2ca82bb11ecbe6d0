/* Keeper: many sessions ended at once, in two parts (core/keeper_end.c). */
#include "tests/support/lobby.h"

enum { CLIENTS = 600 }; /* more than one slice */

static const uint8_t FILE_A[FILE_ID_SIZE] = { 0xa1 }, FILE_B[FILE_ID_SIZE] = { 0xb1 };

/* Even clients come by one file, odd ones by another. */
static struct lobby *make(uint32_t clients)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = clients });
	for (uint32_t i = 0; i < clients; i++) {
		memcpy(l->credential.file_id, i % 2 == 0 ? FILE_A : FILE_B, FILE_ID_SIZE);
		lobby_connect(l, i);
		lobby_forget_inbox(l, i);
	}
	return l;
}

static uint32_t end(struct lobby *l, enum keeper_match_kind kind, const uint8_t *id,
		    enum wire_reason reason)
{
	struct keeper_match match = { .kind = kind };
	if (id != NULL)
		memcpy(match.id, id, sizeof match.id);
	uint32_t count = keeper_end_matching(l->keeper, &match, reason, l->now);
	l->deadline_ns = l->now.mono_ns; /* the keeper has something to do */
	return count;
}

static uint32_t goodbyes(struct lobby *l, uint32_t client, uint32_t *reason)
{
	uint32_t count = 0;
	const struct lobby_frame *f;
	while ((f = lobby_take(l, client, FRAME_GOODBYE)) != NULL) {
		*reason = load_le32(((const struct wire_goodbye *)(const void *)f->body)->reason);
		count++;
	}
	return count;
}

static void ping(struct lobby *l, uint32_t client)
{
	lobby_say(l, client, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	lobby_run(l);
}

static bool is_answered(struct lobby *l, uint32_t client)
{
	ping(l, client);
	return lobby_take(l, client, FRAME_PONG) != NULL;
}

/*
 * Goal:   from the call on nothing passes for those that match, and everything for the others.
 * Method: both kinds of client ask before the keeper has had a turn.
 */
static void a_file_ends_at_once(void **state)
{
	struct lobby *l = make(4);

	(void)state;
	unsigned quiesces = l->quiesces;
	assert_int_equal(end(l, MATCH_FILE, FILE_A, REASON_REVOKED), 2);
	assert_int_equal(l->quiesces, quiesces + 1);
	assert_false(keeper_has_ended_all(l->keeper));
	assert_false(is_answered(l, 0));
	assert_true(is_answered(l, 1));
	assert_int_equal(load_relaxed(&forward_counters(l->forward)->of[PKT_DROP_REVOKED]), 1);
	lobby_destroy(l);
}

static void each_is_told_once_and_why(void **state)
{
	struct lobby *l = make(4);
	struct keeper_session session;

	(void)state;
	assert_int_equal(end(l, MATCH_FILE, FILE_A, REASON_COMPROMISED), 2);
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_ended_all(l->keeper));
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t reason = 0;
		bool is_ended = i % 2 == 0;
		assert_int_equal(goodbyes(l, i, &reason), is_ended ? 1 : 0);
		assert_int_equal(reason, is_ended ? REASON_COMPROMISED : 0);
		assert_int_equal(lobby_find(l, i, &session), !is_ended);
	}
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, NULL), 2);
	/* Nothing matches any more. */
	assert_int_equal(end(l, MATCH_FILE, FILE_A, REASON_COMPROMISED), 0);
	lobby_destroy(l);
}

static void a_device_is_one_of_its_file(void **state)
{
	struct lobby *l = make(3);
	struct keeper_session session;
	uint8_t device[DEVICE_ID_SIZE];

	(void)state;
	device_id_of(l->clients[0].hello.device.public, device);
	assert_int_equal(end(l, MATCH_DEVICE, device, REASON_REVOKED), 1);
	lobby_wait(l, NS_PER_S);
	assert_false(lobby_find(l, 0, &session));
	assert_true(lobby_find(l, 1, &session));
	assert_true(lobby_find(l, 2, &session));
	/* The file's id is not a device's. */
	assert_int_equal(end(l, MATCH_DEVICE, FILE_A, REASON_REVOKED), 0);
	lobby_destroy(l);
}

/*
 * Goal:   more than fit one slice end all the same, each told, whatever comes in between.
 * Method: in the middle some connect again, time out by hand, or are matched once more.
 */
static void many_end_in_slices(void **state)
{
	struct lobby *l = make(CLIENTS);
	uint32_t reason;

	(void)state;
	assert_int_equal(end(l, MATCH_FILE, FILE_A, REASON_REVOKED), CLIENTS / 2);
	l->deadline_ns = keeper_tick(l->keeper, l->now);
	uint32_t left = table_count(l->table);
	assert_in_range(left, CLIENTS / 2 + 1, CLIENTS - 1); /* one slice, not all */
	assert_false(keeper_has_ended_all(l->keeper));

	struct keeper_session last;
	assert_true(lobby_find(l, CLIENTS - 2, &last));
	assert_true(keeper_end_session(l->keeper, last.id, REASON_KICKED, l->now));
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_STOPPING), CLIENTS / 2);
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_ended_all(l->keeper));
	assert_int_equal(table_count(l->table), 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		assert_int_equal(goodbyes(l, i, &reason), 1);
		assert_int_equal(reason, i % 2 == 0 ? REASON_REVOKED : REASON_STOPPING);
	}
	lobby_destroy(l);
}

static void a_new_session_meanwhile_lives(void **state)
{
	struct lobby *l = make(CLIENTS);
	struct keeper_session session;

	(void)state;
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_KICKED), CLIENTS);
	memcpy(l->credential.file_id, FILE_A, FILE_ID_SIZE);
	lobby_connect(l, CLIENTS - 1); /* in the last slice: the old one is superseded now */
	assert_true(is_answered(l, CLIENTS - 1));
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_ended_all(l->keeper));
	assert_int_equal(table_count(l->table), 1);
	assert_true(lobby_find(l, CLIENTS - 1, &session));
	lobby_destroy(l);
}

/* Clients 2n and 2n+1 are partners; both ask, which gives each its end of a channel. */
static void ask_for_partner(struct lobby *l, uint32_t client)
{
	struct wire_open open = { .request = store_le32(1) };
	lobby_peer(l, client ^ 1, open.peer);
	lobby_say(l, client, FRAME_OPEN, &open, sizeof open);
	lobby_run(l);
}

static uint32_t channel_to_partner(struct lobby *l, uint32_t client)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_OPENED);
	assert_non_null(f);
	return load_le32(((const struct wire_opened *)(const void *)f->body)->channel);
}

static void say_blobs(struct lobby *l, const uint32_t *channels)
{
	for (uint32_t i = 0; i < l->client_count; i++) {
		struct wire_data_frame head = { .type = FRAME_DATA, .size = store_le16(50) };
		uint8_t plain[100] = { 0 };
		head.channel = store_le24(channels[i]);
		memcpy(plain, &head, DATA_FRAME_HEAD);
		lobby_say_plain(l, i, VIEW(plain));
		if (l->send_room == 0)
			lobby_run(l); /* else what is queued stays: there is to be no room */
	}
}

/*
 * Goal:   however many sessions end at once, each hears of it, and not one packet passes from the
 *         call on; nor do keys live for the sake of goodbyes.
 * Method: thousands in pairs with channels; room for few datagrams at a time. All of them talk
 *         before the keeper has had a turn, and once more after that.
 */
static void thousands_hear_of_it(void **state)
{
	enum { MANY = 4000, ROOM = 100, TICKS = 40 };
	struct lobby *l = make(MANY);
	uint32_t *channels = calloc(MANY, sizeof *channels);
	const struct verdict_counters *counters = forward_counters(l->forward);

	(void)state;
	assert_non_null(channels);
	for (uint32_t i = 0; i < MANY; i++)
		ask_for_partner(l, i);
	for (uint32_t i = 0; i < MANY; i++)
		channels[i] = channel_to_partner(l, i);
	say_blobs(l, channels);
	assert_int_equal(load_relaxed(&counters->of[PKT_RELAYED]), MANY);

	l->send_room = ROOM;
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_REVOKED), MANY);
	say_blobs(l, channels);
	/* No time passes: keys wait for nothing. */
	for (int i = 0; i < TICKS && !keeper_has_ended_all(l->keeper); i++)
		l->deadline_ns = keeper_tick(l->keeper, l->now);
	assert_true(keeper_has_ended_all(l->keeper));
	assert_int_equal(table_count(l->table), 0);
	assert_false(keeper_has_said_goodbye(l->keeper));
	say_blobs(l, channels);
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_said_goodbye(l->keeper));
	say_blobs(l, channels);
	assert_int_equal(load_relaxed(&counters->of[PKT_RELAYED]), MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t reason = REASON_NONE;
		assert_int_equal(goodbyes(l, i, &reason), 1);
		assert_int_equal(reason, REASON_REVOKED);
	}
	assert_int_equal(keeper_stats(l->keeper)->goodbyes_lost, 0);
	free(channels);
	lobby_destroy(l);
}

/* One alone that finds no room waits, too. */
static void a_single_goodbye_waits_for_room(void **state)
{
	struct lobby *l = make(2);
	struct keeper_session session;
	uint32_t reason;

	(void)state;
	assert_true(lobby_find(l, 0, &session));
	l->send_room = 1;
	ping(l, 1);
	lobby_say(l, 1, FRAME_PING, &(struct wire_ping){ 0 }, sizeof(struct wire_ping));
	assert_int_equal(l->queue_count, 1); /* the answer: no room for another */
	assert_true(keeper_end_session(l->keeper, session.id, REASON_KICKED, l->now));
	assert_false(keeper_has_said_goodbye(l->keeper));
	lobby_run(l);
	assert_int_equal(goodbyes(l, 0, &reason), 0);
	l->deadline_ns = l->now.mono_ns;
	lobby_wait(l, NS_PER_S);
	assert_int_equal(goodbyes(l, 0, &reason), 1);
	assert_int_equal(reason, REASON_KICKED);
	assert_true(keeper_has_said_goodbye(l->keeper));
	lobby_destroy(l);
}

/* Left waiting when the relay stops: freed (the address sanitizer looks). */
static void what_waits_at_the_end_is_freed(void **state)
{
	struct lobby *l = make(8);

	(void)state;
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_REVOKED), 8);
	l->send_room = 2;
	(void)keeper_tick(l->keeper, l->now);
	assert_false(keeper_has_said_goodbye(l->keeper));
	lobby_destroy(l);
}

/* Erasing goes before manners: who is not told in time is ended without a word. */
static void late_ones_are_not_told(void **state)
{
	struct lobby *l = make(CLIENTS);
	uint32_t told = 0, reason;

	(void)state;
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_REVOKED), CLIENTS);
	l->now.mono_ns += NS_PER_S; /* the keeper was held up */
	l->deadline_ns = keeper_tick(l->keeper, l->now);
	lobby_run(l);
	assert_int_equal(table_count(l->table), 0);
	for (uint32_t i = 0; i < CLIENTS; i++)
		told += goodbyes(l, i, &reason);
	assert_int_equal(told, 0);
	assert_int_equal(keeper_stats(l->keeper)->goodbyes_lost, CLIENTS);
	lobby_destroy(l);
}

static void pending_ones_end_too(void **state)
{
	struct lobby *l = make(1);

	(void)state;
	lobby_hello(l, 0); /* a second session, not established */
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(end(l, MATCH_ALL, NULL, REASON_REVOKED), 2);
	lobby_wait(l, NS_PER_S);
	assert_int_equal(table_count(l->table), 0);
	assert_int_equal(keeper_stats(l->keeper)->sessions_ended, 1);
	lobby_destroy(l);
}

/* ---- stopped: until the disk has it ------------------------------------------------------ */

static uint32_t stop(struct lobby *l, enum keeper_match_kind kind, const uint8_t *id)
{
	struct keeper_match match = { .kind = kind };
	memcpy(match.id, id, sizeof match.id);
	return keeper_stop_matching(l->keeper, &match, l->now);
}

/*
 * Goal:   a stopped session passes nothing and hears nothing, however long its end is in coming;
 *         then it ends like any other.
 * Method: longer than a session may be idle, so that its timers come, too.
 */
static void stopped_ones_wait_in_silence(void **state)
{
	struct lobby *l = make(4);
	uint32_t reason = 0;

	(void)state;
	unsigned quiesces = l->quiesces;
	assert_int_equal(stop(l, MATCH_FILE, FILE_A), 2);
	assert_int_equal(l->quiesces, quiesces + 1);
	assert_int_equal(stop(l, MATCH_FILE, FILE_A), 0);
	assert_false(is_answered(l, 0));
	assert_true(is_answered(l, 1));
	for (uint64_t waited = 0; waited <= LOBBY_IDLE_NS; waited += LOBBY_IDLE_NS / 2) {
		assert_true(is_answered(l, 1));
		assert_true(is_answered(l, 3));
		lobby_forget_inbox(l, 0);
		lobby_wait(l, LOBBY_IDLE_NS / 2);
		assert_int_equal(l->clients[0].inbox_count, 0);
	}
	assert_int_equal(table_count(l->table), 4);

	assert_int_equal(end(l, MATCH_FILE, FILE_A, REASON_COMPROMISED), 2);
	assert_int_equal(stop(l, MATCH_FILE, FILE_A), 0); /* an end is not taken back */
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_ended_all(l->keeper));
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(goodbyes(l, 0, &reason), 1);
	assert_int_equal(reason, REASON_COMPROMISED);
	lobby_destroy(l);
}

static void some_end_without_a_word(void **state)
{
	struct lobby *l = make(4);
	uint32_t reason;

	(void)state;
	assert_int_equal(stop(l, MATCH_FILE, FILE_B), 2);
	assert_int_equal(end(l, MATCH_FILE, FILE_B, REASON_NONE), 2);
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_has_ended_all(l->keeper));
	assert_int_equal(table_count(l->table), 2);
	assert_int_equal(goodbyes(l, 1, &reason), 0);
	assert_true(is_answered(l, 0));
	lobby_destroy(l);
}

/* "Revoked" is an acknowledgement: it is not given before the disk has what it acknowledges. */
static void refusals_wait_while_muted(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 1 });

	(void)state;
	l->credential.status = STATUS_REVOKED;
	keeper_mute(l->keeper);
	keeper_mute(l->keeper);
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, LOBBY_NO_STATUS);
	assert_int_equal(lobby_events(l, KEEPER_REFUSED, NULL), 0);
	keeper_unmute(l->keeper);
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, LOBBY_NO_STATUS);
	l->credential.status = STATUS_SPENT; /* other refusals are no secret */
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, STATUS_SPENT);
	keeper_unmute(l->keeper);
	l->credential.status = STATUS_REVOKED;
	lobby_hello(l, 0);
	assert_int_equal(l->clients[0].status, STATUS_REVOKED);
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_file_ends_at_once),
	cmocka_unit_test(each_is_told_once_and_why),
	cmocka_unit_test(a_device_is_one_of_its_file),
	cmocka_unit_test(many_end_in_slices),
	cmocka_unit_test(a_new_session_meanwhile_lives),
	cmocka_unit_test(thousands_hear_of_it),
	cmocka_unit_test(a_single_goodbye_waits_for_room),
	cmocka_unit_test(what_waits_at_the_end_is_freed),
	cmocka_unit_test(late_ones_are_not_told),
	cmocka_unit_test(pending_ones_end_too),
	cmocka_unit_test(stopped_ones_wait_in_silence),
	cmocka_unit_test(some_end_without_a_word),
	cmocka_unit_test(refusals_wait_while_muted),
};

CRYPTO_TESTS(TESTS)
