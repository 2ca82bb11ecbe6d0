/* Memory of handshakes seen: it knows what it was told, forgets the oldest, invents nothing. */
#include "core/seen.h"

#include "tests/support/crypto.h"

enum { CAPACITY = 1024 };

static struct seen *make(uint32_t capacity)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct seen *s = seen_create(capacity, &random);
	assert_non_null(s);
	return s;
}

static void knows_what_it_was_told(void **state)
{
	struct seen *s = make(CAPACITY);

	(void)state;
	for (uint64_t id = 0; id < CAPACITY / 4; id++) {
		assert_false(seen_has(s, id));
		seen_add(s, id);
		assert_true(seen_has(s, id));
	}
	for (uint64_t id = 0; id < CAPACITY / 4; id++)
		assert_true(seen_has(s, id));
	assert_false(seen_has(s, CAPACITY));
	assert_false(seen_has(s, UINT64_MAX));
	seen_destroy(s);
}

/* One bucket: exactly the last SEEN_WAYS ids are known, and telling one again moves nothing. */
static void forgets_the_oldest(void **state)
{
	struct seen *s = make(SEEN_WAYS);

	(void)state;
	for (uint64_t id = 1; id <= 2 * SEEN_WAYS; id++) {
		seen_add(s, id);
		seen_add(s, id);
	}
	for (uint64_t id = 1; id <= 2 * SEEN_WAYS; id++)
		assert_int_equal(seen_has(s, id), id > SEEN_WAYS);
	seen_destroy(s);
}

/* Random ids spread: after a table's worth of others an early one is usually gone, after a
 * tenth of it always still there. */
static void remembers_about_its_capacity(void **state)
{
	struct seen *s = make(CAPACITY);
	unsigned known = 0;

	(void)state;
	for (uint64_t id = 0; id < 100; id++)
		seen_add(s, id);
	for (uint64_t id = 1000; id < 1000 + CAPACITY / 10; id++)
		seen_add(s, id);
	for (uint64_t id = 0; id < 100; id++)
		assert_true(seen_has(s, id));
	for (uint64_t id = 5000; id < 5000 + 2 * CAPACITY; id++)
		seen_add(s, id);
	for (uint64_t id = 0; id < 100; id++)
		known += seen_has(s, id);
	assert_true(known < 5);
	seen_destroy(s);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(knows_what_it_was_told),
	cmocka_unit_test(forgets_the_oldest),
	cmocka_unit_test(remembers_about_its_capacity),
};

CRYPTO_TESTS(TESTS)
