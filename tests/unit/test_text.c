/* Text: what is UTF-8, what is safe to show. */
#include "core/text.h"

#include "tests/support/test.h"

static void tells_utf8_from_other_bytes(void **state)
{
	static const struct {
		const char *bytes;
		bool is_valid;
	} rows[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc2\x80", true },              /* U+0080, least of two bytes */
		{ "\xc1\xbf", false },             /* U+007F, overlong */
		{ "\xe0\xa0\x80", true },          /* U+0800, least of three */
		{ "\xe0\x9f\xbf", false },         /* U+07FF, overlong */
		{ "\xf0\x90\x80\x80", true },      /* U+10000, least of four */
		{ "\xf0\x8f\xbf\xbf", false },     /* U+FFFF, overlong */
		{ "\xed\x9f\xbf", true },          /* U+D7FF, below the surrogates */
		{ "\xed\xa0\x80", false },         /* U+D800 */
		{ "\xed\xbf\xbf", false },         /* U+DFFF */
		{ "\xee\x80\x80", true },          /* U+E000, above them */
		{ "\xf4\x8f\xbf\xbf", true },      /* U+10FFFF, the last */
		{ "\xf4\x90\x80\x80", false },     /* one above */
		{ "\xf8\x88\x80\x80\x80", false }, /* five bytes */
		{ "\x80", false },
		{ "a\xc3", false }, /* cut */
		{ "\xe2\x82", false },
		{ "\xe2\x28\xa1", false },
		{ "caf\xe9", false }, /* Latin-1 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (text_is_valid(view_of(rows[i].bytes, strlen(rows[i].bytes))) !=
		    rows[i].is_valid)
			fail_msg("row %zu", i);
}

static void decodes_scalars(void **state)
{
	uint32_t scalar = 0;

	(void)state;
	assert_int_equal(text_decode(VIEW_STRING("\xf0\x9f\xa6\x9e!"), &scalar), 4);
	assert_int_equal(scalar, 0x1f99e);
	assert_int_equal(text_decode(VIEW_STRING("A"), &scalar), 1);
	assert_int_equal(scalar, 'A');
	assert_int_equal(text_decode(view_of(NULL, 0), &scalar), 0);
}

static void cleans_lines(void **state)
{
	static const struct {
		const char *bytes, *clean;
	} rows[] = {
		{ "Ada", "Ada" },
		{ "  Ada Lovelace ", "Ada Lovelace" },
		{ "   ", "" },
		{ "", "" },
		{ "\x1b[2Jboo", "_[2Jboo" },
		{ "a\nb\tc\x7f", "a_b_c_" },
		{ "\xc2\x9b"
		  "31m",
		  "_31m" }, /* C1: CSI in one scalar */
		{ "txt.\xe2\x80\xae"
		  "exe",
		  "txt._exe" },                         /* right-to-left override */
		{ "\xe2\x81\xa6x\xe2\x81\xa9", "_x_" }, /* isolates */
		{ "a\xe2\x80\x8b"
		  "b",
		  "a_b" },                          /* zero width space */
		{ "\xe2\x80\x8d", "\xe2\x80\x8d" }, /* joiner: kept */
		{ "caf\xe9 \xff", "caf_ _" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view bytes = view_of(rows[i].bytes, strlen(rows[i].bytes));
		assert_int_equal(text_clean_line(bytes, out, sizeof out), strlen(rows[i].clean));
		assert_string_equal(out, rows[i].clean);
	}
	assert_int_equal(text_clean_line(view_of("a\0b", 3), out, sizeof out), 3);
	assert_string_equal(out, "a_b");
}

/* Every capacity: never beyond it, never half of a scalar value. */
static void cuts_between_scalars(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x9e.";
	static const size_t lengths[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };

	(void)state;
	for (size_t capacity = 1; capacity <= COUNT_OF(lengths); capacity++) {
		char *out = malloc(capacity); /* exact, for the sanitizer */
		assert_non_null(out);
		assert_int_equal(text_clean_line(VIEW_STRING(text), out, capacity),
				 lengths[capacity - 1]);
		assert_int_equal(strlen(out), lengths[capacity - 1]);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_utf8_from_other_bytes),
		cmocka_unit_test(decodes_scalars),
		cmocka_unit_test(cleans_lines),
		cmocka_unit_test(cuts_between_scalars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
