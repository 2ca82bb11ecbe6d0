/* Numbers as people read them, and the line of a progress bar. */
#include "tools/quantity.h"
#include "tools/safe_text.h"

#include "tests/support/test.h"

static void tells_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1024 * 1024 - 1, "1.0 MiB" }, /* not "1024.0 KiB" */
		{ 1024 * 1024, "1.0 MiB" },
		{ 64 << 20, "64.0 MiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char text[QUANTITY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(quantity_bytes(rows[i].bytes, text), rows[i].text);
	assert_string_equal(quantity_rate(2048, text), "2.0 KiB/s");
}

static void tells_spans(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "0:00" },         { 7, "0:07" },
		{ 59, "0:59" },        { 60, "1:00" },
		{ 3599, "59:59" },     { 3600, "1:00:00" },
		{ 86399, "23:59:59" }, { 86400, "1d00h" },
		{ 90000, "1d01h" },    { 30 * 86400, "30d00h" },
	};
	char text[QUANTITY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(quantity_span(rows[i].seconds, text), rows[i].text);
}

static void tells_moments(void **state)
{
	char text[QUANTITY_SIZE];

	(void)state;
	assert_string_equal(quantity_moment(1, text), "1970-01-01 00:00:01");
	assert_string_equal(quantity_moment(UINT64_MAX / 2, text), "?");
}

static void averages(void **state)
{
	(void)state;
	assert_int_equal(quantity_rate_of(1000, 0), 0);
	assert_int_equal(quantity_rate_of(1000, 500), 2000);
	assert_true(quantity_rate_of(UINT64_MAX, 1) == UINT64_MAX);
}

static void counts_percent(void **state)
{
	static const struct {
		uint64_t done, size;
		unsigned percent;
	} rows[] = {
		{ 0, 100, 0 },     { 99, 100, 99 }, { 999, 1000, 99 },
		{ 100, 100, 100 }, { 0, 0, 100 },   { UINT64_MAX / 2, UINT64_MAX, 50 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct progress p = { .done = rows[i].done, .size = rows[i].size };
		assert_int_equal(progress_percent(&p), rows[i].percent);
	}
}

static const struct progress HALF = {
	.name = "photo.jpg", .done = 32 << 20, .size = 64 << 20, .rate = 1 << 20
};

static void draws_lines(void **state)
{
	char line[256];

	(void)state;
	progress_line(&HALF, 80, line, sizeof(line));
	assert_string_equal(line, "photo.jpg  [########.........]   50%  32.0 MiB of 64.0 MiB  "
				  "1.0 MiB/s  0:32 left");
	progress_line(&HALF, 70, line, sizeof(line));
	assert_string_equal(line, "photo.jpg   50%  32.0 MiB of 64.0 MiB  1.0 MiB/s  0:32 left");
	progress_line(&HALF, 0, line, sizeof(line));
	assert_string_equal(line, "photo.jpg   50%  32.0 MiB of 64.0 MiB  1.0 MiB/s  0:32 left");
}

static void says_nothing_of_a_rate_that_is_not_known(void **state)
{
	char line[256];
	const struct progress p = { .name = "a", .size = 1024, .is_hashing = true };

	(void)state;
	progress_line(&p, 0, line, sizeof(line));
	assert_string_equal(line, "reading a    0%  0 B of 1.0 KiB");
}

/*
 * Goal:   a bar never wraps, as a second line would stay behind when the first is drawn anew.
 * Method: every width from the least at which the details fit, with a name of wide bytes.
 */
static void never_is_wider_than_the_terminal(void **state)
{
	struct progress p = HALF;
	char line[512];

	(void)state;
	p.name = "ein sehr langer Name mit \xc3\xbc\xc3\xbc\xc3\xbc und noch viel mehr.tar.gz";
	for (size_t columns = 62; columns < 200; columns++) {
		progress_line(&p, columns, line, sizeof(line));
		assert_in_range(safe_text_columns(line), 1, columns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_bytes),
		cmocka_unit_test(tells_spans),
		cmocka_unit_test(tells_moments),
		cmocka_unit_test(averages),
		cmocka_unit_test(counts_percent),
		cmocka_unit_test(draws_lines),
		cmocka_unit_test(says_nothing_of_a_rate_that_is_not_known),
		cmocka_unit_test(never_is_wider_than_the_terminal),
	};
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
