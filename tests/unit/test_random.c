/* Random numbers: the system's differ, the seeded ones repeat, neither is skewed. */
#include "crypto/random.h"

#include "tests/support/crypto.h"

static void system_never_repeats(void **state)
{
	struct random_source random = random_system();
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	random_fill(&random, a, sizeof a);
	random_fill(&random, b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

/* Goal: one seed, one stream, however it is asked for; another seed, another stream. */
static void seeded_repeats(void **state)
{
	struct random_seeded whole_state, parts_state;
	struct random_source whole = random_seeded_init(&whole_state, 7);
	struct random_source parts = random_seeded_init(&parts_state, 7);
	uint8_t a[3000], b[3000];

	(void)state;
	random_fill(&whole, a, sizeof a);
	for (size_t at = 0, part = 1; at < sizeof b; at += part, part = part % 300 + 1) {
		if (part > sizeof b - at)
			part = sizeof b - at;
		random_fill(&parts, b + at, part);
	}
	assert_memory_equal(a, b, sizeof a);

	struct random_source other = random_seeded_init(&parts_state, 8);
	random_fill(&other, b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

/* The counter reaches the block: no part of the stream comes back. */
static void seeded_does_not_cycle(void **state)
{
	struct random_seeded s;
	struct random_source random = random_seeded_init(&s, 1);
	uint8_t blocks[64][16];

	(void)state;
	random_fill(&random, blocks, sizeof blocks);
	for (size_t i = 0; i < COUNT_OF(blocks); i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(blocks[i], blocks[j], sizeof blocks[0]);
}

static void below_stays_below(void **state)
{
	static const uint32_t bounds[] = { 1, 2, 3, 255, 16384, 0x80000001, UINT32_MAX };
	struct random_seeded s;
	struct random_source random = random_seeded_init(&s, test_seed());

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bounds); i++)
		for (int n = 0; n < 1000; n++)
			assert_true(random_below(&random, bounds[i]) < bounds[i]);
}

/* A source that gives the numbers of a list, to reach the rejected ones. */
static void fill_from_list(void *state, void *out, size_t size)
{
	const uint8_t **next = state;

	memcpy(out, *next, size);
	*next += size;
}

/* Goal: draws that would skew the result are drawn again. 2^32 mod 6 is 4. */
static void below_rejects_the_surplus(void **state)
{
	const uint8_t draws[] = { 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0 };
	const uint8_t *next = draws;
	const struct random_source random = { .fill = fill_from_list, .state = &next };

	(void)state;
	assert_int_equal(random_below(&random, 6), 4);
	assert_ptr_equal(next, draws + sizeof draws);
}

/* Chi-square over ten cells; 27.9 is passed by 999 of 1000 fair sources. */
static void below_is_even(void **state)
{
	enum { CELLS = 10, DRAWS = 20000 };
	struct random_seeded s;
	struct random_source random = random_seeded_init(&s, 2);
	double counts[CELLS] = { 0 }, sum = 0;

	(void)state;
	for (int i = 0; i < DRAWS; i++)
		counts[random_below(&random, CELLS)]++;
	for (int i = 0; i < CELLS; i++) {
		double off = counts[i] - DRAWS / CELLS;
		sum += off * off / (DRAWS / CELLS);
	}
	assert_true(sum < 27.9);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(system_never_repeats),      cmocka_unit_test(seeded_repeats),
	cmocka_unit_test(seeded_does_not_cycle),     cmocka_unit_test(below_stays_below),
	cmocka_unit_test(below_rejects_the_surplus), cmocka_unit_test(below_is_even),
};

CRYPTO_TESTS(TESTS)
