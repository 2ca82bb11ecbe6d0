/* Keeper: enrolment and the schedule, with clients that say what they like. */
#include "tests/support/lobby.h"

static const struct wire_schedule SCHEDULE = { .secret = { 7 }, .interval_s = { { 1 } } };

static struct lobby *make(bool may_enrol)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 2 });
	l->credential.may_enrol = may_enrol;
	keeper_set_schedule(l->keeper, &SCHEDULE, l->now);
	lobby_connect(l, 0);
	lobby_run(l);
	return l;
}

static void confirm(struct lobby *l)
{
	lobby_say(l, 0, FRAME_ENROL_CONFIRM, "", 0);
	lobby_run(l);
}

static void only_files_that_may_are_offered_it(void **state)
{
	(void)state;
	struct lobby *l = make(false);
	assert_null(lobby_take(l, 0, FRAME_ENROL_OFFER));
	confirm(l); /* nothing was offered */
	assert_int_equal(lobby_events(l, KEEPER_ENROL, NULL), 0);
	lobby_destroy(l);

	l = make(true);
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_ENROL_OFFER);
	assert_non_null(f);
	assert_memory_equal(f->body, &SCHEDULE, sizeof SCHEDULE);
	assert_null(lobby_take(l, 0, FRAME_SCHEDULE));
	lobby_destroy(l);
}

/* Without a schedule nobody is offered anything, and a confirmation out of nowhere is nothing. */
static void no_schedule_no_enrolment(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 1 });

	(void)state;
	l->credential.may_enrol = true;
	lobby_connect(l, 0);
	lobby_run(l);
	assert_null(lobby_take(l, 0, FRAME_ENROL_OFFER));
	confirm(l);
	assert_int_equal(lobby_events(l, KEEPER_ENROL, NULL), 0);
	lobby_destroy(l);
}

static void one_confirmation_counts(void **state)
{
	static const uint8_t zeros[KEY_SIZE];
	struct lobby *l = make(true);
	struct keeper_session session;
	struct keeper_event enrol;

	(void)state;
	assert_true(lobby_find(l, 0, &session));
	keeper_enrolled(l->keeper, session.id, REASON_NONE, l->now); /* too early: nothing */
	lobby_run(l);
	assert_null(lobby_take(l, 0, FRAME_ENROL_DONE));
	confirm(l);
	confirm(l);
	assert_int_equal(lobby_events(l, KEEPER_ENROL, &enrol), 1);
	assert_memory_equal(enrol.device, session.device, DEVICE_ID_SIZE);
	assert_memory_equal(enrol.device_public, l->clients[0].hello.device.public, X25519_SIZE);
	assert_memory_not_equal(enrol.psk, zeros, KEY_SIZE);
	assert_null(lobby_take(l, 0, FRAME_ENROL_DONE)); /* not before it is saved */

	keeper_enrolled(l->keeper, session.id, REASON_NONE, l->now);
	keeper_enrolled(l->keeper, session.id, REASON_SPENT, l->now); /* said already */
	lobby_run(l);
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_ENROL_DONE);
	assert_non_null(f);
	assert_memory_equal(f->body, session.device, DEVICE_ID_SIZE);
	assert_true(lobby_find(l, 0, &session));
	confirm(l);
	assert_int_equal(lobby_events(l, KEEPER_ENROL, NULL), 1);
	assert_int_equal(keeper_stats(l->keeper)->enrolments_done, 1);
	lobby_destroy(l);
}

static void a_refusal_ends_the_session(void **state)
{
	struct lobby *l = make(true);
	struct keeper_session session;
	struct keeper_event down;

	(void)state;
	assert_true(lobby_find(l, 0, &session));
	confirm(l);
	keeper_enrolled(l->keeper, session.id, REASON_SPENT, l->now);
	lobby_run(l);
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_GOODBYE);
	assert_non_null(f);
	const struct wire_goodbye *goodbye = (const void *)f->body;
	assert_int_equal(load_le32(goodbye->reason), REASON_SPENT);
	assert_int_equal(lobby_events(l, KEEPER_SESSION_DOWN, &down), 1);
	assert_int_equal(down.reason, REASON_SPENT);
	keeper_enrolled(l->keeper, session.id, REASON_NONE, l->now); /* it has gone */
	lobby_destroy(l);
}

static void another_schedule_is_told_once(void **state)
{
	struct lobby *l = make(true);
	struct wire_schedule next = SCHEDULE;
	struct keeper_session session;

	(void)state;
	lobby_forget_inbox(l, 0);
	next.secret[0] = 8;
	keeper_set_schedule(l->keeper, &next, l->now);
	lobby_run(l);
	assert_non_null(lobby_take(l, 0, FRAME_ENROL_OFFER)); /* not enrolled yet: another offer */

	assert_true(lobby_find(l, 0, &session));
	confirm(l);
	keeper_enrolled(l->keeper, session.id, REASON_NONE, l->now);
	lobby_run(l);
	assert_null(lobby_take(l, 0, FRAME_SCHEDULE)); /* it has this one */
	keeper_set_schedule(l->keeper, &SCHEDULE, l->now);
	lobby_run(l);
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_SCHEDULE);
	assert_non_null(f);
	assert_memory_equal(f->body, &SCHEDULE, sizeof SCHEDULE);
	lobby_wait(l, 5 * NS_PER_S);
	assert_null(lobby_take(l, 0, FRAME_SCHEDULE));
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(only_files_that_may_are_offered_it),
	cmocka_unit_test(no_schedule_no_enrolment),
	cmocka_unit_test(one_confirmation_counts),
	cmocka_unit_test(a_refusal_ends_the_session),
	cmocka_unit_test(another_schedule_is_told_once),
};

CRYPTO_TESTS(TESTS)
