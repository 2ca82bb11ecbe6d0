/*
 * Compromised reports from link to relay over a virtual network: what is lost, copied, late, cut
 * off, or meets a relay that has lost the session. Time limit: 500 s
 */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

enum { REPORTERS = 60 };

static const struct sim_quality BAD = { .loss_percent = 30,
					.copy_percent = 20,
					.late_percent = 20,
					.late_ns = NS_PER_S,
					.delay_ns = 30 * NS_PER_MS,
					.jitter_ns = 30 * NS_PER_MS };

static void report(struct sim_client *c, enum wire_scope scope)
{
	struct instant now = sim_now(c->sim);
	now.wall_ns += (uint64_t)c->config.clock_offset_ns;
	link_burn(c->link, scope, view_of("stolen", 6), now);
	sim_wake(c);
}

static bool has_ended(void *state)
{
	const struct sim_client *c = state;
	return c->burns > 0;
}

static bool all_have_ended(void *state)
{
	struct sim_client **clients = state;
	for (size_t i = 0; i < REPORTERS; i++)
		if (clients[i]->burns == 0)
			return false;
	return true;
}

static bool is_taken(void *state)
{
	return sim_burns(state)->taken > 0;
}

static struct sim_client *one_client(struct sim **sim)
{
	*sim = sim_create(NULL);
	struct sim_client *c = sim_add_client(*sim, NULL);
	assert_true(sim_run_until_all_up(*sim, 10 * NS_PER_S));
	return c;
}

static void expect_acknowledged(const struct sim_client *c, enum wire_burn_status status)
{
	assert_int_equal(c->burns, 1);
	assert_true(c->last_burn.is_acknowledged);
	assert_int_equal(c->last_burn.status, status);
}

/*
 * Goal:   with 30 % loss each way, copies and reordering, reports arrive, are acted upon once each,
 *         and the clients hear of it.
 * Method: 60 devices report themselves, each three times over. Who ends unheard had its answers
 *         lost for all of the 10 s: the relay has the report all the same.
 */
static void reports_arrive_over_a_bad_network(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *clients[REPORTERS], *bystander = sim_add_client(sim, NULL);
	unsigned acknowledged = 0;

	(void)state;
	for (size_t i = 0; i < REPORTERS; i++)
		clients[i] = sim_add_client(sim, NULL);
	assert_true(sim_run_until_all_up(sim, 30 * NS_PER_S));
	sim_set_quality_of_all(sim, &BAD);
	for (size_t i = 0; i < REPORTERS; i++) {
		for (int signal = 0; signal < 3; signal++)
			report(clients[i], SCOPE_DEVICE);
		sim_run(sim, 100 * NS_PER_MS); /* the keeper looks at one in 10 ms */
	}
	assert_true(sim_run_until(sim, all_have_ended, clients, LINK_BURN_NS + NS_PER_S));
	for (size_t i = 0; i < REPORTERS; i++) {
		assert_int_equal(clients[i]->burns, 1);
		assert_true(clients[i]->is_revoked);
		acknowledged += clients[i]->last_burn.is_acknowledged;
	}
	print_message("%u of %d acknowledged\n", acknowledged, REPORTERS);
	assert_int_equal(sim_burns(sim)->taken, REPORTERS);
	/* With SEED=1 to 280, 57 to 60 were told. In 4 of them (40 is one) the report of one device
	 * did not come through in its 10 s, which this test does not allow for: see above. */
	assert_in_range(acknowledged, REPORTERS * 9 / 10, REPORTERS);

	sim_set_quality_of_all(sim, &(struct sim_quality){ .delay_ns = 20 * NS_PER_MS });
	sim_run(sim, 60 * NS_PER_S);
	assert_true(sim_is_up(bystander));
	assert_int_equal(sim_session_count(sim), 1);
	assert_int_equal(sim_burns(sim)->taken, REPORTERS);
	sim_destroy(sim);
}

/* Goal: one report, signalled again and again, before and after it is acknowledged. */
static void signals_may_repeat(void **state)
{
	struct sim *sim;
	struct sim_client *c = one_client(&sim);

	(void)state;
	report(c, SCOPE_DEVICE);
	report(c, SCOPE_FILE);
	assert_true(sim_run_until(sim, has_ended, c, NS_PER_S));
	expect_acknowledged(c, BURN_DONE);
	assert_int_equal(sim_burns(sim)->taken, 1);
	assert_true(c->is_revoked);
	/* A link that has ended says so at once, and the relay hears nothing. */
	sim_run(sim, NS_PER_S); /* its GOODBYE is acknowledged */
	uint64_t datagrams = c->datagrams_out;
	report(c, SCOPE_FILE);
	assert_int_equal(c->burns, 2);
	assert_false(c->last_burn.is_acknowledged);
	sim_run(sim, 60 * NS_PER_S);
	assert_int_equal(c->datagrams_out, datagrams);
	assert_int_equal(sim_burns(sim)->taken, 1);
	sim_destroy(sim);
}

/*
 * Goal:   lost answers: BURN_ACK and GOODBYE never come, and the session is no more.
 * Method: the way down is cut until the relay has acted. The next handshake is answered with status
 *         4 under a PSK of zeros, which is the acknowledgement.
 */
static void a_lost_answer_is_made_up_for(void **state)
{
	struct sim *sim;
	struct sim_client *c = one_client(&sim);

	(void)state;
	struct sim_quality deaf = c->down;
	deaf.loss_percent = 100;
	struct sim_quality well = c->down;
	c->down = deaf;
	report(c, SCOPE_DEVICE);
	assert_true(sim_run_until(sim, is_taken, sim, NS_PER_S));
	sim_run(sim, NS_PER_S / 2);
	assert_int_equal(sim_session_count(sim), 0);
	assert_int_equal(c->burns, 0);
	c->down = well;
	assert_true(sim_run_until(sim, has_ended, c, LINK_BURN_NS / 2));
	expect_acknowledged(c, BURN_DONE);
	assert_int_equal(c->refusals, 0);
	assert_int_equal(sim_burns(sim)->taken, 1);
	sim_destroy(sim);
}

/*
 * Goal:   a report by a client whose session the relay has lost arrives in a new one.
 * Method: the relay crashes and comes back; the client believes in its session. By the file, and
 *         with a clock that is a day off.
 */
static void a_dead_session_is_replaced(void **state)
{
	(void)state;
	for (int is_by_file = 0; is_by_file < 2; is_by_file++) {
		struct sim_client_config config = { .is_by_file = is_by_file == 1,
						    .clock_offset_ns = is_by_file * 86400 *
								       (int64_t)NS_PER_S };
		struct sim *sim = sim_create(NULL);
		struct sim_client *c = sim_add_client(sim, &config);
		assert_true(sim_run_until_all_up(sim, 20 * NS_PER_S));
		sim_relay_stop(sim);
		sim_relay_start(sim);
		assert_int_equal(sim_session_count(sim), 0);
		assert_true(sim_is_up(c));
		report(c, SCOPE_DEVICE);
		assert_true(sim_run_until(sim, has_ended, c, LINK_BURN_NS));
		expect_acknowledged(c, BURN_DONE);
		assert_int_equal(sim_burns(sim)->taken, 1);
		sim_destroy(sim);
	}
}

/* Goal: the same where there never was a session: the network comes back within the 10 s. */
static void a_report_makes_its_own_session(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *c = sim_add_client(sim, NULL);

	(void)state;
	sim_cut(c, true);
	sim_run(sim, 5 * NS_PER_S);
	report(c, SCOPE_DEVICE);
	sim_run(sim, 4 * NS_PER_S);
	assert_int_equal(c->burns, 0);
	sim_cut(c, false);
	assert_true(sim_run_until(sim, has_ended, c, 6 * NS_PER_S));
	expect_acknowledged(c, BURN_DONE);
	sim_destroy(sim);
}

/*
 * Goal:   nobody answers: after 10 s, not before and not later, it is over, and said so.
 * Method: cut off with a session, without one, and with a relay that hears and cannot write.
 */
static void nobody_answers(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct sim *sim = sim_create(NULL);
		struct sim_client *c = sim_add_client(sim, NULL);
		if (way == 0)
			sim_cut(c, true);
		bool is_up = sim_run_until_all_up(sim, 10 * NS_PER_S);
		assert_int_equal(is_up, way > 0);
		if (way == 1)
			sim_cut(c, true);
		sim_break_disk(sim, way == 2);
		report(c, SCOPE_FILE);
		sim_run(sim, LINK_BURN_NS - NS_PER_MS);
		assert_int_equal(c->burns, 0);
		sim_run(sim, 2 * NS_PER_MS);
		assert_int_equal(c->burns, 1);
		assert_false(c->last_burn.is_acknowledged);
		assert_int_equal(c->last_burn.status, BURN_FAILED);
		assert_int_equal(sim_burns(sim)->taken, 0);
		assert_int_equal(sim_burns(sim)->failed > 0, way == 2);
		/* And it is silent from then on. */
		uint64_t datagrams = c->datagrams_out;
		sim_cut(c, false);
		sim_run(sim, 60 * NS_PER_S);
		assert_int_equal(c->datagrams_out, datagrams);
		assert_int_equal(c->burns, 1);
		sim_destroy(sim);
	}
}

/*
 * Goal:   a relay whose disk fails ends the session in silence; once the disk works, the client
 *         hears that it is done.
 */
static void a_disk_that_works_again_is_enough(void **state)
{
	struct sim *sim;
	struct sim_client *c = one_client(&sim);

	(void)state;
	sim_break_disk(sim, true);
	report(c, SCOPE_DEVICE);
	sim_run(sim, 3 * NS_PER_S);
	assert_int_equal(c->burns, 0);
	assert_int_equal(sim_session_count(sim), 0);
	assert_int_equal(sim_burns(sim)->failed, 1);
	sim_break_disk(sim, false);
	assert_true(sim_run_until(sim, has_ended, c, 6 * NS_PER_S));
	expect_acknowledged(c, BURN_DONE);
	assert_int_equal(sim_burns(sim)->taken, 1);
	sim_destroy(sim);
}

/* Goal: all sessions of the file end; a second report, by another of them, finds it done. */
static void a_file_takes_all_its_sessions_along(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *a = sim_add_client(sim, NULL), *b = sim_add_client(sim, NULL);

	(void)state;
	assert_true(sim_run_until_all_up(sim, 10 * NS_PER_S));
	report(a, SCOPE_FILE);
	report(b, SCOPE_SERVER); /* a client's word ends the server by setting alone */
	sim_run(sim, 2 * NS_PER_S);
	expect_acknowledged(a, BURN_DONE);
	assert_int_equal(b->burns, 1);
	assert_true(b->last_burn.is_acknowledged);
	assert_int_equal(sim_session_count(sim), 0);
	sim_destroy(sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(reports_arrive_over_a_bad_network),
	cmocka_unit_test(signals_may_repeat),
	cmocka_unit_test(a_lost_answer_is_made_up_for),
	cmocka_unit_test(a_dead_session_is_replaced),
	cmocka_unit_test(a_report_makes_its_own_session),
	cmocka_unit_test(nobody_answers),
	cmocka_unit_test(a_disk_that_works_again_is_enough),
	cmocka_unit_test(a_file_takes_all_its_sessions_along),
};
CRYPTO_TESTS(TESTS)
