/* Token buckets per prefix: who shares one, how it refills, and that floods reset nothing. */
#include "core/rate_limit.h"

#include "tests/support/crypto.h"

enum { RATE = 10, BURST = 5 };

static const uint64_t START_NS = 1000 * NS_PER_S;

static struct rate_limit *make(uint32_t entries)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct rate_limit_config config = {
		.entries = entries,
		.rate_per_s = RATE,
		.burst = BURST,
	};
	struct rate_limit *r = rate_limit_create(&config, &random);
	assert_non_null(r);
	return r;
}

/* 2001:db8:SITE:NET::HOST */
static struct address v6(uint16_t site, uint16_t net, uint8_t host)
{
	struct address a = { .ip = { 0x20, 0x01, 0x0d, 0xb8 }, .port = 1 };
	a.ip[4] = (uint8_t)(site >> 8);
	a.ip[5] = (uint8_t)site;
	a.ip[6] = (uint8_t)(net >> 8);
	a.ip[7] = (uint8_t)net;
	a.ip[15] = host;
	return a;
}

static unsigned taken(struct rate_limit *r, struct address a, unsigned tries, uint64_t now_ns)
{
	unsigned count = 0;
	for (unsigned i = 0; i < tries; i++)
		count += rate_limit_take(r, &a, now_ns);
	return count;
}

static void a_burst_then_the_rate(void **state)
{
	struct rate_limit *r = make(1024);
	struct address a = address_v4(192, 0, 2, 1, 5);

	(void)state;
	assert_int_equal(taken(r, a, 100, START_NS), BURST);
	assert_int_equal(taken(r, a, 100, START_NS + NS_PER_S / RATE - 1), 0);
	assert_int_equal(taken(r, a, 100, START_NS + NS_PER_S / RATE), 1);
	assert_int_equal(taken(r, a, 100, START_NS + 4 * NS_PER_S / RATE), 3);
	/* Full again, and no fuller than that. */
	assert_int_equal(taken(r, a, 100, START_NS + 1000 * NS_PER_S), BURST);
	rate_limit_destroy(r);
}

static void who_shares_a_bucket(void **state)
{
	const struct {
		struct address a, b;
		unsigned left_for_b;
	} rows[] = {
		{ address_v4(192, 0, 2, 1, 5), address_v4(192, 0, 2, 1, 6), 0 },
		{ address_v4(192, 0, 2, 1, 5), address_v4(192, 0, 2, 2, 5), BURST },
		{ v6(1, 1, 1), v6(1, 1, 2), 0 },
		{ v6(1, 1, 1), v6(1, 2, 1), BURST },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct rate_limit *r = make(1024);
		assert_int_equal(taken(r, rows[i].a, 100, START_NS), BURST);
		assert_int_equal(taken(r, rows[i].b, 100, START_NS), rows[i].left_for_b);
		rate_limit_destroy(r);
	}
}

/* A site cannot get round its limit by its many networks, nor does it touch another site; and
 * what the site's bucket refuses is not taken from the network's. */
static void a_site_has_a_limit_of_its_own(void **state)
{
	struct rate_limit *r = make(1024);
	unsigned count = 0;

	(void)state;
	for (uint16_t net = 0; net < 100; net++)
		count += taken(r, v6(1, net, 1), BURST, START_NS);
	assert_int_equal(count, BURST * RATE_SITE_FACTOR);
	assert_int_equal(taken(r, v6(2, 0, 1), 100, START_NS), BURST);
	assert_int_equal(taken(r, v6(1, 99, 1), 100, START_NS + NS_PER_S / RATE), BURST);
	rate_limit_destroy(r);
}

/*
 * Goal:   a flood of prefixes gives nobody a fresh bucket.
 * Method: a table of one set, full of buckets in use; newcomers wait until one is full again.
 */
static void a_full_table_refuses_newcomers(void **state)
{
	struct rate_limit *r = make(RATE_WAYS);

	(void)state;
	for (uint8_t i = 0; i < RATE_WAYS; i++)
		assert_int_equal(taken(r, address_v4(10, 0, 0, i, 1), 100, START_NS), BURST);
	assert_int_equal(taken(r, address_v4(10, 0, 1, 1, 1), 100, START_NS), 0);
	for (uint8_t i = 0; i < RATE_WAYS; i++)
		assert_int_equal(taken(r, address_v4(10, 0, 0, i, 1), 100, START_NS), 0);
	uint64_t later_ns = START_NS + BURST * NS_PER_S / RATE;
	assert_int_equal(taken(r, address_v4(10, 0, 1, 1, 1), 100, later_ns), BURST);
	rate_limit_destroy(r);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_burst_then_the_rate),
	cmocka_unit_test(who_shares_a_bucket),
	cmocka_unit_test(a_site_has_a_limit_of_its_own),
	cmocka_unit_test(a_full_table_refuses_newcomers),
};

CRYPTO_TESTS(TESTS)
