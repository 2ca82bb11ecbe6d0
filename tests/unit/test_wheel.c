/* Timing wheel: against a plain list of due times, and at its edges. */
#include "core/wheel.h"

#include "crypto/random.h"
#include "tests/support/crypto.h"

static const uint64_t START_NS = 12345 * NS_PER_MS;

static void fires_when_due_and_not_before(void **state)
{
	static const uint64_t dues_ms[] = { 0, 1, 49, 50, 51, 1000, 12000 };
	struct wheel w;

	(void)state;
	wheel_init(&w, START_NS);
	assert_true(wheel_deadline(&w) == NEVER);
	for (size_t i = 0; i < COUNT_OF(dues_ms); i++) {
		struct wheel_timer timer = { 0 };
		uint64_t now_ns = w.now_step * WHEEL_STEP_NS;
		uint64_t due_ns = now_ns + dues_ms[i] * NS_PER_MS;

		wheel_set(&w, &timer, due_ns);
		uint64_t deadline_ns = wheel_deadline(&w);
		assert_in_range(deadline_ns, due_ns, due_ns + WHEEL_STEP_NS);
		assert_null(wheel_take(&w, deadline_ns - 1));
		assert_ptr_equal(wheel_take(&w, deadline_ns), &timer);
		assert_null(timer.link);
		assert_null(wheel_take(&w, deadline_ns));
	}
}

static void a_far_timer_fires_at_the_end_of_the_turn(void **state)
{
	struct wheel w;
	struct wheel_timer timer = { 0 };

	(void)state;
	wheel_init(&w, START_NS);
	wheel_set(&w, &timer, NEVER - 1);
	uint64_t deadline_ns = wheel_deadline(&w);
	assert_in_range(deadline_ns, START_NS + WHEEL_TURN_NS - WHEEL_STEP_NS,
			START_NS + WHEEL_TURN_NS);
	assert_ptr_equal(wheel_take(&w, deadline_ns), &timer);
}

/* One that is set again while it fires, for a time already past, waits for the next step: so a
 * round of taking ends. One that is stopped while its step fires does not fire. */
static void set_and_stop_while_firing(void **state)
{
	struct wheel w;
	struct wheel_timer a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	wheel_init(&w, START_NS);
	wheel_set(&w, &a, START_NS);
	wheel_set(&w, &b, START_NS);
	wheel_set(&w, &c, START_NS);
	uint64_t now_ns = wheel_deadline(&w);
	struct wheel_timer *first = wheel_take(&w, now_ns);
	assert_non_null(first);
	wheel_set(&w, first, START_NS);
	struct wheel_timer *second = first == &a ? &b : &a, *third = first == &c ? &b : &c;
	wheel_stop(&w, second);
	assert_ptr_equal(wheel_take(&w, now_ns), third);
	assert_null(wheel_take(&w, now_ns));
	assert_ptr_equal(wheel_take(&w, now_ns + WHEEL_STEP_NS), first);
	assert_true(wheel_deadline(&w) == NEVER);
	wheel_stop(&w, first); /* not set: nothing happens */
}

/* After hours of sleep each timer fires once, and one set while they do so is not fired again
 * and again to catch up. */
static void a_long_sleep_costs_one_turn(void **state)
{
	enum { TIMERS = 100 };
	struct wheel_timer timers[TIMERS] = { 0 };
	const uint64_t later_ns = START_NS + 10000 * NS_PER_S;
	unsigned fired = 0;
	struct wheel w;

	(void)state;
	wheel_init(&w, START_NS);
	for (size_t i = 0; i < TIMERS; i++)
		wheel_set(&w, &timers[i], START_NS + i * 100 * NS_PER_MS);
	for (struct wheel_timer *t; (t = wheel_take(&w, later_ns)) != NULL; fired++)
		wheel_set(&w, t, later_ns + NS_PER_S);
	assert_in_range(fired, TIMERS, 2 * TIMERS);
	assert_in_range(wheel_deadline(&w), later_ns, later_ns + NS_PER_S + WHEEL_STEP_NS);
}

/*
 * Goal:   no timer is lost, early or more than a step late, whatever the order of calls.
 * Method: random sets, stops and steps of time, with the due times kept beside.
 */
static void agrees_with_a_list(void **state)
{
	enum { TIMERS = 200, ROUNDS = 20000 };
	static struct wheel_timer timers[TIMERS];
	static uint64_t due_ns[TIMERS];
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct wheel w;
	uint64_t now_ns = START_NS;

	(void)state;
	wheel_init(&w, now_ns);
	for (size_t i = 0; i < TIMERS; i++)
		due_ns[i] = NEVER;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t i = random_below(&random, TIMERS);
		if (random_below(&random, 4) == 0) {
			wheel_stop(&w, &timers[i]);
			due_ns[i] = NEVER;
		} else {
			due_ns[i] = now_ns + random_below(&random, 12000) * NS_PER_MS;
			wheel_set(&w, &timers[i], due_ns[i]);
		}
		now_ns += random_below(&random, 100) == 0 ? 20 * NS_PER_S :
							    random_below(&random, 60) * NS_PER_MS;
		for (struct wheel_timer *t; (t = wheel_take(&w, now_ns)) != NULL;) {
			assert_true(due_ns[t - timers] <= now_ns);
			due_ns[t - timers] = NEVER;
		}
		for (size_t j = 0; j < TIMERS; j++)
			assert_true(due_ns[j] == NEVER || due_ns[j] + 2 * WHEEL_STEP_NS > now_ns);
		assert_true(wheel_deadline(&w) > now_ns);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(fires_when_due_and_not_before),
	cmocka_unit_test(a_far_timer_fires_at_the_end_of_the_turn),
	cmocka_unit_test(set_and_stop_while_firing),
	cmocka_unit_test(a_long_sleep_costs_one_turn),
	cmocka_unit_test(agrees_with_a_list),
};

CRYPTO_TESTS(TESTS)
