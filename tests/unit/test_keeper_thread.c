#include "core/keeper_internal.h"
#include "relay/keeper_thread.h"

#include "tests/support/crew.h"

enum { ITEMS = 300 };

static struct crew *start(void)
{
	return crew_create(
		&(struct crew_config){ .engine = ENGINE_EPOLL, .workers = 2, .has_keeper = true });
}

struct look {
	unsigned calls;
	pthread_t thread;
	uint64_t dropped;
};

static void look(struct keeper *k, void *state, struct instant now)
{
	struct look *l = state;
	assert_true(now.mono_ns > 0);
	l->calls++;
	l->thread = pthread_self();
	l->dropped = keeper_stats(k)->handshakes_dropped;
}

/* Goal: a call is done when keeper_thread_call() returns, in the keeper's thread, each once. */
static void test_calls(void **state)
{
	struct look l = { 0 };
	(void)state;
	struct crew *c = start();
	for (unsigned i = 1; i <= 1000; i++) {
		keeper_thread_call(c->keeper, look, &l);
		assert_int_equal(l.calls, i);
	}
	assert_false(pthread_equal(l.thread, pthread_self()));
	crew_destroy(c);
}

struct expectation {
	struct crew *crew;
	uint64_t count;
};

static bool has_dropped(void *state)
{
	const struct expectation *e = state;
	struct look l = { 0 };
	keeper_thread_call(e->crew->keeper, look, &l);
	return l.dropped >= e->count;
}

static void *put_hellos(void *state)
{
	struct crew *c = state;
	struct upcall_item item = { .upcall = { .kind = UPCALL_HELLO } };
	item.upcall.body.size = 4; /* not well formed: dropped, and counted */
	for (int i = 0; i < ITEMS; i++)
		assert_true(mailbox_put(c->hellos, &item));
	return NULL;
}

/* Goal: whatever is put wakes the keeper, from several threads and while it is called. */
static void test_takes_everything(void **state)
{
	pthread_t threads[2];
	(void)state;
	struct crew *c = start();
	struct expectation all = { c, 2 * ITEMS };
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_hellos, c), 0);
	crew_wait(has_dropped, &all);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	crew_destroy(c);
}

static void find_counters(struct keeper *k, void *state, struct instant now)
{
	(void)now;
	*(struct verdict_counters **)state = keeper_counters(k);
}

struct watch {
	const struct verdict_counters *counters; /* atomic: looking wakes nobody */
	uint64_t count;
};

static bool has_counted(void *state)
{
	const struct watch *w = state;
	return load_relaxed(&w->counters->of[PKT_DROP_BAD_HELLO]) >= w->count;
}

/* Goal: one item, put while the keeper sleeps, is not left lying. */
static void test_wakes_each_time(void **state)
{
	struct upcall_item item = { .upcall = { .kind = UPCALL_HELLO } };
	struct keeper_event event;
	struct verdict_counters *counters;
	(void)state;
	struct crew *c = start();
	keeper_thread_call(c->keeper, find_counters, &counters);
	item.upcall.body.size = 4;
	for (uint64_t i = 1; i <= 200; i++) {
		struct watch w = { counters, i };
		assert_true(mailbox_put(c->hellos, &item));
		crew_wait(has_counted, &w);
	}
	assert_false(mailbox_get(c->events, &event));
	assert_int_equal(keeper_thread_events_lost(c->keeper), 0);
	crew_destroy(c);
}

static void test_upcalls_of_unknown_sessions(void **state)
{
	struct look l = { 0 };
	(void)state;
	struct crew *c = start();
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct upcall_item item = { .upcall = { .kind = i % 2 == 0 ? UPCALL_CONTROL :
									     UPCALL_PATH,
							.session = { i, 1 } } };
		assert_true(mailbox_put(c->frames, &item));
	}
	keeper_thread_call(c->keeper, look, &l);
	assert_int_equal(l.calls, 1);
	crew_destroy(c);
}

/* In the keeper's thread: as many as do not fit the mailbox at once. */
static void tell_many(struct keeper *k, void *state, struct instant now)
{
	(void)state;
	(void)now;
	for (uint32_t i = 0; i < ITEMS; i++) {
		struct keeper_event event = { .type = KEEPER_ENROL, .session = { i, 1 } };
		k->config.hooks.event(k->config.hooks.state, &event);
	}
}

static bool is_out_of_mail(void *state)
{
	const struct watch *w = state;
	return load_relaxed(&w->counters->of[PKT_DROP_BAD_HELLO]) == w->count;
}

/*
 * Goal:   no enrolment is lost where the control thread is behind, and none overtakes another.
 * Method: a mailbox of four; nobody reads until the keeper has far more to say. What it is asked
 *         meanwhile is left where it is.
 */
static void test_events_wait(void **state)
{
	struct upcall_item item = { .upcall = { .kind = UPCALL_HELLO } };
	struct verdict_counters *counters;
	struct keeper_event event;
	(void)state;
	struct crew *c = crew_create(&(struct crew_config){
		.engine = ENGINE_EPOLL, .workers = 1, .has_keeper = true, .mailbox_capacity = 4 });
	keeper_thread_call(c->keeper, find_counters, &counters);
	keeper_thread_call(c->keeper, tell_many, NULL);
	assert_int_equal(keeper_thread_events_waited(c->keeper), ITEMS - 4);
	item.upcall.body.size = 4;
	assert_true(mailbox_put(c->hellos, &item));
	for (int i = 0; i < 10; i++) /* some rounds of the keeper */
		keeper_thread_call(c->keeper, find_counters, &counters);
	assert_int_equal(load_relaxed(&counters->of[PKT_DROP_BAD_HELLO]), 0);
	for (uint32_t i = 0; i < ITEMS; i++) {
		while (!mailbox_get(c->events, &event))
			keeper_thread_call(c->keeper, find_counters, &counters);
		assert_int_equal(event.session.slot, i);
	}
	struct watch w = { counters, 1 };
	crew_wait(is_out_of_mail, &w);
	assert_int_equal(keeper_thread_events_lost(c->keeper), 0);
	crew_destroy(c);
}

static void test_starts_and_stops(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		crew_destroy(start());
	keeper_thread_stop(NULL);
	keeper_waker_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_takes_everything),
		cmocka_unit_test(test_wakes_each_time),
		cmocka_unit_test(test_upcalls_of_unknown_sessions),
		cmocka_unit_test(test_events_wait),
		cmocka_unit_test(test_starts_and_stops),
	};
	return cmocka_run_group_tests(tests, test_crypto_start, test_crypto_stop);
}
