/* Ids of HELLOs, kept over restarts. */
#include "relay/seen_log.h"

#include <stdio.h>
#include <unistd.h>

#include "core/limits.h"
#include "tests/support/directory.h"

struct found {
	uint64_t count;
	uint64_t first, last;
};

static void note(void *state, uint64_t id)
{
	struct found *found = state;
	if (found->count++ == 0)
		found->first = id;
	found->last = id;
}

static struct found reopen(const struct test_directory *d)
{
	struct found found = { 0 };
	struct seen_log *log = seen_log_open(d->path);
	assert_non_null(log);
	seen_log_each(log, note, &found);
	seen_log_close(log);
	return found;
}

static void add(const struct test_directory *d, uint64_t first, uint64_t count)
{
	struct seen_log *log = seen_log_open(d->path);
	assert_non_null(log);
	for (uint64_t i = 0; i < count; i++)
		assert_true(seen_log_add(log, first + i));
	seen_log_close(log);
}

static void keeps_ids_over_restarts(void **state)
{
	struct test_directory d;

	(void)state;
	test_directory_create(&d);
	assert_int_equal(reopen(&d).count, 0);
	add(&d, 100, 5);
	add(&d, 105, 5);
	struct found found = reopen(&d);
	assert_int_equal(found.count, 10);
	assert_int_equal(found.first, 100);
	assert_int_equal(found.last, 109);
	test_directory_destroy(&d);
}

/* Goal: it does not grow without bound, and what is kept is the latest. */
static void holds_the_latest(void **state)
{
	struct test_directory d;

	(void)state;
	test_directory_create(&d);
	add(&d, 0, 3 * HANDSHAKES_SEEN + 7);
	struct found found = reopen(&d);
	assert_int_equal(found.count, HANDSHAKES_SEEN + 7);
	assert_int_equal(found.last, 3 * HANDSHAKES_SEEN + 6);
	assert_int_equal(test_directory_count(&d), 2);
	test_directory_destroy(&d);
}

/* Goal: half an id, as a crash may leave it, shifts nothing. */
static void mends_a_cut_file(void **state)
{
	struct test_directory d;
	char path[TEST_PATH_SIZE];

	(void)state;
	test_directory_create(&d);
	add(&d, 7, 3);
	assert_int_equal(truncate(test_directory_path(&d, "hellos.new", path), 19), 0);
	add(&d, 20, 1);
	struct found found = reopen(&d);
	assert_int_equal(found.count, 3);
	assert_int_equal(found.last, 20);
	assert_null(seen_log_open("/nonexistent/directory"));
	test_directory_destroy(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_ids_over_restarts),
		cmocka_unit_test(holds_the_latest),
		cmocka_unit_test(mends_a_cut_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
