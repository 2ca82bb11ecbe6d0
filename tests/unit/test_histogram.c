#include "bench/histogram.h"
#include "tests/support/test.h"

static struct histogram h;

static void empty_has_no_quantile(void **state)
{
	(void)state;
	histogram_init(&h);
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	assert_int_equal(h.max, 0);
}

static void small_values_are_exact(void **state)
{
	(void)state;
	histogram_init(&h);
	for (uint64_t v = 1; v <= 10; v++)
		histogram_add(&h, v);
	assert_int_equal(histogram_quantile(&h, 0.1), 1);
	assert_int_equal(histogram_quantile(&h, 0.5), 5);
	assert_int_equal(histogram_quantile(&h, 0.51), 6);
	assert_int_equal(histogram_quantile(&h, 1), 10);
}

/*
 * Goal:   every value is found again within 1/64, never below itself.
 * Method: single values around each power of two, each beside one larger value, since the
 *         largest is kept exactly.
 */
static void quantile_is_within_resolution(void **state)
{
	(void)state;
	for (unsigned bits = 1; bits < 40; bits++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t value = (UINT64_C(1) << bits) + (uint64_t)(int64_t)off;
			histogram_init(&h);
			histogram_add(&h, value);
			histogram_add(&h, UINT64_C(1) << 50);
			uint64_t found = histogram_quantile(&h, 0.5);
			assert_true(found >= value);
			assert_true(found - value <= value / 32);
		}
	}
}

static void largest_is_exact_and_huge_values_fit(void **state)
{
	(void)state;
	histogram_init(&h);
	histogram_add(&h, 1000003);
	assert_int_equal(histogram_quantile(&h, 0.999), 1000003);
	histogram_add(&h, UINT64_MAX);
	assert_int_equal(h.count, 2);
	assert_true(histogram_quantile(&h, 1) == UINT64_MAX);
	assert_true(histogram_quantile(&h, 0.5) < 1100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_quantile),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(quantile_is_within_resolution),
		cmocka_unit_test(largest_is_exact_and_huge_values_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
