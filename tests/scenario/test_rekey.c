/*
 * Key rotation in band, between links and the relay over a virtual network. Time limit: 500 s
 */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

static uint32_t epoch_at_relay(struct sim_pair *p, const struct sim_client *c)
{
	struct keeper_session session;
	assert_true(sim_find_session(p->sim, c, &session));
	return session.epoch;
}

static struct link_status status_of(const struct sim_client *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	return status;
}

static void ask(struct sim_client *c)
{
	link_request_rekey(c->link);
	sim_wake(c);
}

/*
 * Goal:   keys change under traffic without a blob lost.
 * Method: 100 blobs a second both ways for 60 s; both clients ask for new keys every second, at
 *         different moments; nothing is lost on the way, so every drop would be ours.
 */
static void keys_change_under_traffic(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);
	const unsigned seconds = 60, rate = 100;

	(void)state;
	for (unsigned i = 0; i < seconds * rate; i++) {
		if (i % rate == 0)
			ask(p.alice);
		if (i % rate == rate / 3)
			ask(p.bob);
		assert_true(sim_send_number(p.alice, p.bob, 200));
		assert_true(sim_send_number(p.bob, p.alice, 200));
		sim_run(p.sim, NS_PER_S / rate);
	}
	sim_run(p.sim, NS_PER_S);
	assert_int_equal(sim_channel(p.bob, p.alice)->received, seconds * rate);
	assert_int_equal(sim_channel(p.alice, p.bob)->received, seconds * rate);
	assert_int_equal(p.alice->ups, 1);
	assert_int_equal(status_of(p.alice).rekeys, seconds);
	assert_int_equal(status_of(p.alice).epoch, seconds);
	assert_int_equal(epoch_at_relay(&p, p.alice), seconds);
	assert_int_equal(epoch_at_relay(&p, p.bob), seconds);
	for (unsigned v = PKT_DROP_SIZE; v < VERDICT_COUNT; v++)
		assert_int_equal(sim_verdicts(p.sim, v), 0);
	sim_destroy(p.sim);
}

/*
 * Goal:   loss, copies and reordering delay new keys and break nothing.
 * Method: 20 % loss each way, copies, late ones; a rekey is asked for every 3 s for 5 minutes.
 *         Sessions may be given up where too much is lost in a row; then keys begin anew.
 */
static void keys_change_over_a_bad_network(void **state)
{
	const struct sim_quality bad = { .loss_percent = 20,
					 .copy_percent = 10,
					 .late_percent = 10,
					 .late_ns = NS_PER_S,
					 .delay_ns = 30 * NS_PER_MS,
					 .jitter_ns = 30 * NS_PER_MS };
	struct sim_pair p = sim_connect_pair(&bad);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		ask(p.alice);
		ask(p.bob);
		sim_run(p.sim, 3 * NS_PER_S);
	}
	assert_in_range(status_of(p.alice).rekeys, 50, 100);
	assert_in_range(status_of(p.bob).rekeys, 50, 100);
	assert_in_range(p.alice->ups, 1, 3);

	/* And it still works. */
	sim_set_quality_of_all(p.sim, &(struct sim_quality){ .delay_ns = 20 * NS_PER_MS });
	assert_true(sim_connect(p.sim, p.alice, p.bob));
	uint32_t before = sim_channel(p.bob, p.alice)->received;
	assert_true(sim_send_number(p.alice, p.bob, 100));
	sim_run(p.sim, NS_PER_S);
	assert_int_equal(sim_channel(p.bob, p.alice)->received, before + 1);
	assert_int_equal(sim_channel(p.bob, p.alice)->copies, 0);
	sim_destroy(p.sim);
}

/*
 * Goal:   port rotations bring new keys, so a session outlives the age that its keys may reach.
 * Method: five hours without anything else to do.
 */
static void rotations_bring_new_keys(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);

	(void)state;
	sim_run(p.sim, 5 * 3600 * NS_PER_S);
	assert_int_equal(p.alice->ups, 1);
	assert_in_range(status_of(p.alice).rekeys, 4, 5);
	assert_int_equal(epoch_at_relay(&p, p.bob), status_of(p.bob).rekeys);
	sim_destroy(p.sim);
}

/* Goal: a rekey a minute keeps one session alive for ever. */
static void new_keys_keep_the_session(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);

	(void)state;
	for (unsigned i = 0; i < 180; i++) {
		ask(p.alice);
		sim_run(p.sim, 60 * NS_PER_S);
	}
	assert_int_equal(p.alice->ups, 1);
	assert_int_equal(status_of(p.alice).rekeys, 180);
	sim_destroy(p.sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(keys_change_under_traffic),
	cmocka_unit_test(keys_change_over_a_bad_network),
	cmocka_unit_test(rotations_bring_new_keys),
	cmocka_unit_test(new_keys_keep_the_session),
};
CRYPTO_TESTS(TESTS)
