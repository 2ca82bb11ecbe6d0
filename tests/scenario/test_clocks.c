/*
 * The relay's wall clock is set while devices have HELLOs behind them that were dated by the clock
 * before. A HELLO must be later than the one before it: a device must not be shut out by that.
 */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

#define DAY_NS ((int64_t)(86400 * NS_PER_S))

static struct sim_client *enrolled_client(struct sim **sim)
{
	*sim = sim_create(&(struct sim_config){ .enrols = 1 });
	struct sim_client *c = sim_add_client(*sim, NULL);
	assert_true(sim_run_until_all_up(*sim, 10 * NS_PER_S));
	sim_run(*sim, NS_PER_S);
	assert_true(c->is_enrolled);
	return c;
}

/* The relay is started anew by that clock; the client learns of it by its own tries alone. */
static bool comes_back(struct sim *sim, struct sim_client *c, int64_t clock_ns)
{
	sim_relay_stop(sim);
	sim_set_clock(sim, clock_ns);
	sim_relay_start(sim);
	sim_restart_client(c);
	return sim_run_until_all_up(sim, 120 * NS_PER_S);
}

/*
 * Goal:   a relay whose clock was a day ahead, and is set right, takes the devices that connected
 *         meanwhile at once, not a day later; nor does the time in between count against them.
 * Method: the client's own clock follows, so that it finds the doors. Its HELLOs are dated by the
 *         relay: a day ahead, then right; the relay remembers the former.
 */
static void ahead_and_right_again(void **state)
{
	struct sim *sim;
	struct sim_client *c = enrolled_client(&sim);
	(void)state;
	int64_t own_ns = c->config.clock_offset_ns;
	sim_relay_stop(sim);
	sim_set_clock(sim, DAY_NS);
	c->config.clock_offset_ns = own_ns;
	sim_relay_start(sim);
	sim_restart_client(c);
	assert_true(sim_run_until_all_up(sim, 120 * NS_PER_S));
	uint64_t ahead_ns = c->last_timestamp_ns;
	assert_true(ahead_ns + NS_PER_S * 60 > sim_now(sim).wall_ns);

	sim_relay_stop(sim);
	sim_set_clock(sim, -DAY_NS);
	c->config.clock_offset_ns = own_ns;
	sim_relay_start(sim);
	sim_restart_client(c);
	assert_true(sim_run_until_all_up(sim, 120 * NS_PER_S));
	assert_true(c->last_timestamp_ns < ahead_ns);
	assert_true(keeper_stats(sim_keeper(sim))->handshakes_refused > 0); /* status 1 first */
	sim_destroy(sim);
}

/* Goal: while the relay's time is a day behind nobody finds it; set right, all is well at once. */
static void behind_and_right_again(void **state)
{
	struct sim *sim;
	struct sim_client *c = enrolled_client(&sim);
	(void)state;
	assert_false(comes_back(sim, c, -DAY_NS));
	assert_true(comes_back(sim, c, DAY_NS));
	sim_destroy(sim);
}

/* Goal: within the tolerance of 2 minutes nothing is noticed, and a copy still gets no answer. */
static void a_minute_back(void **state)
{
	struct sim *sim;
	struct sim_client *c = enrolled_client(&sim);
	(void)state;
	uint64_t before_ns = c->last_timestamp_ns;
	assert_true(comes_back(sim, c, -(int64_t)(60 * NS_PER_S)));
	assert_true(c->last_timestamp_ns > before_ns);
	assert_int_equal(keeper_stats(sim_keeper(sim))->handshakes_refused, 0);
	sim_destroy(sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(ahead_and_right_again),
	cmocka_unit_test(behind_and_right_again),
	cmocka_unit_test(a_minute_back),
};
CRYPTO_TESTS(TESTS)
