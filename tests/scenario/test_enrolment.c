/*
 * Enrolment over a virtual network: the first connection by a file, all later ones without.
 * Time limit: 500 s
 */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

#define HOUR_NS (3600 * NS_PER_S)

static const struct sim_client_config BY_FILE = { .is_by_file = true };

static struct sim *sim_that_enrols(uint32_t devices)
{
	return sim_create(&(struct sim_config){ .enrols = devices });
}

static bool is_by_device(const struct sim_client *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	return status.state == LINK_ESTABLISHED && status.is_by_device;
}

static void assert_is_enrolled(const struct sim_client *c)
{
	assert_true(c->is_enrolled);
	assert_true(c->profile.has_psk);
	assert_false(c->profile.has_file);
	assert_memory_equal(c->profile.psk, c->psk, KEY_SIZE);
}

static void enrol(struct sim *sim, struct sim_client *c)
{
	assert_true(sim_run_until_all_up(sim, 5 * NS_PER_S));
	sim_run(sim, NS_PER_S);
	assert_is_enrolled(c);
}

static void the_first_connection_enrols(void **state)
{
	struct sim *sim = sim_that_enrols(1);
	struct sim_client *c = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, c);
	assert_int_equal(c->ups, 1);
	assert_false(is_by_device(c));
	sim_restart_client(c);
	assert_true(sim_run_until_all_up(sim, 5 * NS_PER_S));
	assert_true(is_by_device(c));
	sim_relay_stop(sim);
	sim_run(sim, NS_PER_S);
	sim_relay_start(sim);
	sim_run(sim, 60 * NS_PER_S);
	assert_true(is_by_device(c));
	assert_int_equal(keeper_stats(sim_keeper(sim))->enrolments_offered, 0);
	sim_destroy(sim);
}

/* One device more than the file may enrol: it is told, and the first one stays. */
static void a_spent_file_is_told(void **state)
{
	struct sim *sim = sim_that_enrols(1);
	struct sim_client *first = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, first);
	struct sim_client *second = sim_add_client(sim, &BY_FILE);
	sim_run(sim, 5 * NS_PER_S);
	assert_int_equal(second->refusals, 1);
	assert_int_equal(second->last_state.status, STATUS_SPENT);
	assert_false(second->is_enrolled);
	assert_true(sim_is_up(first));
	sim_destroy(sim);
}

/* Two race for the last place: both are in session when the first one is enrolled. */
static bool stops_second(void *state, struct sim_client *c, enum sim_enrol_step step)
{
	return step == SIM_ENROL_KEPT && c->index == 1 && *(bool *)state;
}

static void the_loser_of_a_race_is_told(void **state)
{
	bool is_held = true;
	struct sim *sim = sim_that_enrols(1);
	sim_set_enrol_hook(sim, stops_second, &is_held);
	struct sim_client *first = sim_add_client(sim, &BY_FILE);
	struct sim_client *second = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, first);
	assert_true(sim_is_up(second));
	is_held = false;
	assert_true(link_confirm_enrolment(second->link));
	sim_wake(second);
	sim_run(sim, 5 * NS_PER_S);
	assert_int_equal(second->refusals, 1);
	assert_int_equal(second->last_state.status, STATUS_SPENT);
	assert_int_equal(second->last_state.reason, REASON_SPENT);
	assert_false(second->is_enrolled);
	sim_destroy(sim);
}

/* It kept its PSK, but never said so, and another took the place: its file is spent, and the relay
 * knows nothing of it. It is told so, rather than met with silence. */
static void a_spent_file_is_told_to_a_device_that_was_cut_short(void **state)
{
	bool is_held = true;
	struct sim *sim = sim_that_enrols(1);
	sim_set_enrol_hook(sim, stops_second, &is_held);
	struct sim_client *first = sim_add_client(sim, &BY_FILE);
	struct sim_client *second = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, first);
	assert_true(second->profile.has_psk);
	assert_true(second->profile.has_file);
	sim_restart_client(second);
	sim_run(sim, 10 * NS_PER_S);
	assert_int_equal(second->refusals, 1);
	assert_int_equal(second->last_state.status, STATUS_SPENT);
	assert_true(sim_is_up(first));
	sim_destroy(sim);
}

/* ---- crashes ----------------------------------------------------------------------------- */

struct crash {
	enum sim_enrol_step at;
	bool is_over;
};

static bool stops_at(void *state, struct sim_client *c, enum sim_enrol_step step)
{
	struct crash *crash = state;
	(void)c;
	if (crash->is_over || step != crash->at)
		return false;
	crash->is_over = true;
	return true;
}

static void restart_relay(struct sim *sim)
{
	sim_relay_stop(sim);
	sim_relay_start(sim);
}

enum { CLIENT = 1, RELAY = 2, CLIENT_THEN_RELAY = 3, RELAY_THEN_CLIENT = 4, WAYS = 4 };

static void crash_now(struct sim *sim, struct sim_client *c, int way)
{
	if (way == CLIENT || way == CLIENT_THEN_RELAY)
		sim_restart_client(c);
	if (way != CLIENT)
		restart_relay(sim);
	if (way == RELAY_THEN_CLIENT)
		sim_restart_client(c);
}

static bool is_crash_over(void *state)
{
	return ((struct crash *)state)->is_over;
}

/*
 * Goal:   a crash of either end, or of both, between any two steps leaves a device that can
 *         connect, and that ends up enrolled; the file is spent once.
 * Method: stop at each step, restart in each way, go on; twice in a row at two steps.
 */
static void a_crash_at_any_step_heals(void **state)
{
	(void)state;
	for (unsigned first = 0; first < SIM_ENROL_STEPS; first++)
		for (unsigned second = 0; second < SIM_ENROL_STEPS; second++)
			for (int way = 1; way <= WAYS; way++) {
				struct sim *sim = sim_that_enrols(1);
				struct crash crash = { .at = first };
				sim_set_enrol_hook(sim, stops_at, &crash);
				struct sim_client *c = sim_add_client(sim, &BY_FILE);
				assert_true(
					sim_run_until(sim, is_crash_over, &crash, 10 * NS_PER_S));
				crash = (struct crash){ .at = second };
				crash_now(sim, c, way);
				/* Not every step comes again. */
				if (sim_run_until(sim, is_crash_over, &crash, 60 * NS_PER_S))
					crash_now(sim, c, 1 + way % WAYS);
				crash.is_over = true;
				sim_run(sim, 120 * NS_PER_S);
				sim_restart_client(c);
				sim_run(sim, 60 * NS_PER_S);
				if (!is_by_device(c))
					fail_msg("steps %u, %u, way %d", first, second, way);
				assert_is_enrolled(c);
				sim_destroy(sim);
			}
}

/* ---- long sleep -------------------------------------------------------------------------- */

struct hello_count {
	const struct sim_client *of;
	unsigned count;
};

static void count_hellos(void *state, const struct address *from, const struct address *to,
			 struct view data)
{
	struct hello_count *hellos = state;
	(void)to;
	if (address_equal(from, &hellos->of->address) && data.size >= HELLO_SIZE_MIN)
		hellos->count++;
}

static void sleep_over_rotations(unsigned draw, bool is_restarted)
{
	struct sim *sim = sim_that_enrols(1);
	struct sim_client *c = sim_add_client(sim, &BY_FILE);
	struct hello_count hellos = { .of = c };

	enrol(sim, c);
	sim_sleep(c, true);
	sim_set_port_draw(sim, draw);
	sim_run(sim, 100 * HOUR_NS);
	sim_set_tap(sim, count_hellos, &hellos);
	c->is_asleep = false;
	if (is_restarted)
		sim_restart_client(c);
	sim_sleep(c, false);
	sim_run(sim, 20 * NS_PER_S);
	assert_true(is_by_device(c));
	assert_in_range(hellos.count, 1, 3);
	sim_destroy(sim);
}

static void a_hundred_rotations_asleep(void **state)
{
	(void)state;
	for (unsigned draw = 0; draw < 2; draw++) {
		sleep_over_rotations(draw, false);
		sleep_over_rotations(draw, true);
	}
}

/* ---- clocks ------------------------------------------------------------------------------ */

/*
 * Goal:   a clock that is off by 10 minutes costs one more HELLO the first time, and nothing once
 *         the offset is on the disk; also where the clock is set right in between.
 */
static void a_wrong_clock_is_learned_once(void **state)
{
	static const int64_t offsets_s[] = { 600, -600 };

	(void)state;
	for (size_t i = 0; i < sizeof offsets_s / sizeof offsets_s[0]; i++) {
		struct sim *sim = sim_that_enrols(1);
		struct sim_client_config config = BY_FILE;
		config.clock_offset_ns = offsets_s[i] * (int64_t)NS_PER_S;
		struct sim_client *c = sim_add_client(sim, &config);
		struct hello_count hellos = { .of = c };

		enrol(sim, c);
		assert_in_range(llabs(c->profile.clock_offset_ns + config.clock_offset_ns), 0,
				NS_PER_S);
		sim_set_tap(sim, count_hellos, &hellos);
		sim_restart_client(c);
		assert_true(sim_run_until_all_up(sim, 5 * NS_PER_S));
		assert_int_equal(hellos.count, 1);

		c->config.clock_offset_ns = 0; /* somebody has set it right */
		sim_restart_client(c);
		assert_true(sim_run_until_all_up(sim, 30 * NS_PER_S));
		sim_restart_client(c);
		assert_true(sim_run_until_all_up(sim, 5 * NS_PER_S));
		assert_true(is_by_device(c));
		sim_destroy(sim);
	}
}

/* ---- schedule ---------------------------------------------------------------------------- */

/* A device that the relay has lost meets silence, until it has a file again. */
static void a_forgotten_device_gets_silence(void **state)
{
	struct sim *sim = sim_that_enrols(2);
	struct sim_client *c = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, c);
	sim_forget_device(c);
	sim_restart_client(c);
	sim_run(sim, 60 * NS_PER_S);
	assert_false(sim_is_up(c));
	c->profile.has_file = true;
	sim_restart_client(c);
	sim_run(sim, 10 * NS_PER_S);
	assert_true(sim_is_up(c));
	assert_is_enrolled(c);
	sim_destroy(sim);
}

static void another_schedule_reaches_the_enrolled(void **state)
{
	struct sim *sim = sim_that_enrols(1);
	struct sim_client *c = sim_add_client(sim, &BY_FILE);

	(void)state;
	enrol(sim, c);
	struct wire_schedule schedule = c->profile.schedule, same = schedule;
	schedule.secret[0] ^= 1;
	schedule.grace_s = store_le32(77);
	keeper_set_schedule(sim_keeper(sim), &schedule, sim_now(sim));
	sim_run(sim, NS_PER_S);
	assert_memory_equal(&c->profile.schedule, &schedule, sizeof schedule);
	assert_true(sim_is_up(c));
	same.interval_s = store_le32(0); /* not one to follow */
	keeper_set_schedule(sim_keeper(sim), &same, sim_now(sim));
	sim_run(sim, NS_PER_S);
	assert_memory_equal(&c->profile.schedule, &schedule, sizeof schedule);
	sim_destroy(sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(the_first_connection_enrols),
	cmocka_unit_test(a_spent_file_is_told),
	cmocka_unit_test(the_loser_of_a_race_is_told),
	cmocka_unit_test(a_spent_file_is_told_to_a_device_that_was_cut_short),
	cmocka_unit_test(a_crash_at_any_step_heals),
	cmocka_unit_test(a_hundred_rotations_asleep),
	cmocka_unit_test(a_wrong_clock_is_learned_once),
	cmocka_unit_test(a_forgotten_device_gets_silence),
	cmocka_unit_test(another_schedule_reaches_the_enrolled),
};

CRYPTO_TESTS(TESTS)
