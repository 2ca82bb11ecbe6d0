/* What others wrote, on the way to a terminal; lines out of a pipe; safety numbers. */
#include <unistd.h>

#include "tools/line_buffer.h"
#include "tools/safe_text.h"
#include "tools/safety_number.h"

#include "tests/support/test.h"

#define R "\xef\xbf\xbd"

static void makes_text_safe(void **state)
{
	static const struct {
		const char *text, *safe;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbc\xc3\x9f dich" },
		{ "\033[2Jclear", R "[2Jclear" },
		{ "\033]0;title\007", R "]0;title" R },
		{ "over\rwrite", "over" R "write" },
		{ "del\x7f", "del" R },
		{ "c1\xc2\x9b"
		  "31m",
		  "c1" R "31m" },                         /* U+009B, CSI in one */
		{ "\xe2\x80\xaegpj.exe", R "gpj.exe" },   /* U+202E */
		{ "\xe2\x81\xa6x\xe2\x81\xa9", R "x" R }, /* isolates */
		{ "a\xe2\x80\x8d"
		  "b",
		  "a\xe2\x80\x8d"
		  "b" }, /* the joiner stays */
		{ "a\xe2\x80\xa8"
		  "b",
		  "a" R "b" }, /* line separator */
		{ "tab\tand\nline", "tab and line" },
		{ "latin1 \xe9", "latin1 " R },
		{ "cut \xe2\x82", "cut " R R },
		{ "\xc0\xaf overlong", R R " overlong" },
		{ "\xed\xa0\x80 surrogate", R R R " surrogate" },
		{ "\xf4\x90\x80\x80 beyond", R R R R " beyond" },
		{ "\xf3\xa0\x81\xa1 tag", R " tag" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(safe_text_line(rows[i].text, out, sizeof(out)), rows[i].safe);
}

static void cuts_between_characters(void **state)
{
	char out[4];

	(void)state;
	assert_string_equal(safe_text_line("ab\xc3\xbc", out, sizeof(out)), "ab");
	assert_string_equal(safe_text_line("a\xc3\xbc", out, sizeof(out)), "a\xc3\xbc");
	assert_string_equal(safe_text_line("\x01\x01", out, sizeof(out)), R);
	assert_string_equal(safe_text_line("abc", out, 1), "");
}

/* A second line must not look like a line of this program. */
static void indents_further_lines(void **state)
{
	char *copy = safe_text_copy("one\ntwo\r\n\nthree", "    ");

	(void)state;
	assert_string_equal(copy, "one\n    two" R "\n    \n    three");
	free(copy);
}

static void counts_columns(void **state)
{
	(void)state;
	assert_int_equal(safe_text_columns(""), 0);
	assert_int_equal(safe_text_columns("gr\xc3\xbc\xc3\x9f"), 4);
}

static void groups_safety_numbers(void **state)
{
	char out[SAFETY_NUMBER_LINES];

	(void)state;
	safety_number_format("000001111122222333334444455555666667777788888999990000011111", out);
	assert_string_equal(out, "  00000 11111 22222 33333\n"
				 "  44444 55555 66666 77777\n"
				 "  88888 99999 00000 11111");
}

/* ---- lines ------------------------------------------------------------------------------ */

struct pipe_fixture {
	int ends[2];
	struct line_buffer lines;
};

static struct pipe_fixture F;

static int open_pipe(void **state)
{
	(void)state;
	memset(&F.lines, 0, sizeof(F.lines));
	return pipe(F.ends);
}

static int close_pipe(void **state)
{
	(void)state;
	close(F.ends[0]);
	if (F.ends[1] >= 0)
		close(F.ends[1]);
	return 0;
}

static void feed(const char *bytes, size_t size)
{
	assert_int_equal(write(F.ends[1], bytes, size), size);
	line_buffer_fill(&F.lines, F.ends[0]);
}

static void end_input(void)
{
	close(F.ends[1]);
	F.ends[1] = -1;
	line_buffer_fill(&F.lines, F.ends[0]);
}

static void expect_line(const char *expected)
{
	const char *line = line_buffer_next(&F.lines);
	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void reads_lines(void **state)
{
	(void)state;
	feed("one\n\ntw", 7);
	expect_line("one");
	assert_null(line_buffer_next(&F.lines));
	feed("o\nthree", 7);
	expect_line("two");
	assert_null(line_buffer_next(&F.lines));
	end_input();
	expect_line("three");
	assert_null(line_buffer_next(&F.lines));
	assert_true(F.lines.is_at_end);
	assert_int_equal(F.lines.taken, F.lines.used);
}

static void leaves_out_lines_with_a_zero_byte(void **state)
{
	(void)state;
	feed("a\0b\nfine\n", 9);
	expect_line("fine");
	assert_int_equal(F.lines.not_text, 1);
}

/* The longest message goes, one byte more does not, and the line after it is whole again. */
static void leaves_out_lines_that_are_too_long(void **state)
{
	static char longest[CLAWCHAT_TEXT_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[CLAWCHAT_TEXT_MAX] = '\n';
	feed(longest, CLAWCHAT_TEXT_MAX + 1);
	const char *line = line_buffer_next(&F.lines);
	assert_non_null(line);
	assert_int_equal(strlen(line), CLAWCHAT_TEXT_MAX);

	longest[CLAWCHAT_TEXT_MAX] = 'x';
	feed(longest, CLAWCHAT_TEXT_MAX + 1);
	assert_null(line_buffer_next(&F.lines));
	feed("more\nfine\n", 10);
	expect_line("fine");
	assert_int_equal(F.lines.too_long, 1);
}

static void ends_where_there_is_nothing_to_read(void **state)
{
	(void)state;
	line_buffer_fill(&F.lines, -1);
	assert_true(F.lines.is_at_end);
	assert_null(line_buffer_next(&F.lines));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_text_safe),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(indents_further_lines),
		cmocka_unit_test(counts_columns),
		cmocka_unit_test(groups_safety_numbers),
		cmocka_unit_test_setup_teardown(reads_lines, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(leaves_out_lines_with_a_zero_byte, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(leaves_out_lines_that_are_too_long, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(ends_where_there_is_nothing_to_read, open_pipe,
						close_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
