/* Command line of clawchat: what is taken, what is refused and in which words. */
#include "tools/clawchat_options.h"

#include "tests/support/test.h"

enum { WORDS_MAX = 12 };

/* Parses "clawchat LINE", words split at blanks; `line` must outlive the options. */
static bool parse(struct cli_options *o, char *line)
{
	static char program[] = "clawchat";
	static char *words[WORDS_MAX];
	int count = 1;
	words[0] = program;
	for (char *word = strtok_r(line, " ", &line); word != NULL && count < WORDS_MAX - 1;
	     word = strtok_r(NULL, " ", &line))
		words[count++] = word;
	words[count] = NULL;
	return cli_options_parse(o, count, words);
}

static void takes_options_anywhere(void **state)
{
	struct cli_options o;
	char line[] = "--json -p dir send bob a b -t 7 --message=hi";

	(void)state;
	assert_true(parse(&o, line));
	assert_string_equal(o.command, "send");
	assert_int_equal(o.argument_count, 3);
	assert_string_equal(o.arguments[0], "bob");
	assert_string_equal(o.arguments[2], "b");
	assert_string_equal(o.profile, "dir");
	assert_string_equal(o.message, "hi");
	assert_int_equal(o.timeout_s, 7);
	assert_int_equal(o.given, OPTION_JSON | OPTION_PROFILE | OPTION_TIMEOUT | OPTION_MESSAGE);
}

static void has_defaults(void **state)
{
	struct cli_options o;
	char line[] = "peers";

	(void)state;
	assert_true(parse(&o, line));
	assert_int_equal(o.given, 0);
	assert_int_equal(o.timeout_s, TIMEOUT_DEFAULT_S);
	assert_int_equal(o.passphrase_fd, -1);
	assert_int_equal(o.count, 0);
	assert_null(o.profile);
}

static void takes_what_follows_two_dashes_as_it_is(void **state)
{
	struct cli_options o;
	char line[] = "send -- bob --json";

	(void)state;
	assert_true(parse(&o, line));
	assert_int_equal(o.given, 0);
	assert_string_equal(o.arguments[1], "--json");
}

static void knows_that_there_is_no_command(void **state)
{
	struct cli_options o;
	char line[] = "-q";

	(void)state;
	assert_true(parse(&o, line));
	assert_null(o.command);
	assert_int_equal(o.argument_count, 0);
}

static void refuses(void **state)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
		{ "peers --jsno", "--jsno: no such option; try --help" },
		{ "peers -x", "-x: no such option; try --help" },
		{ "peers -jx", "-x: no such option; try --help" },
		{ "peers --json=1", "--json=1: takes no value" },
		{ "peers --timeout", "--timeout: needs a value" },
		{ "peers -t", "-t: needs a value" },
		{ "peers -t soon", "--timeout: 'soon' is not a number up to 604800" },
		{ "peers -t 604801", "--timeout: '604801' is not a number up to 604800" },
		{ "peers -t -1", "--timeout: '-1' is not a number up to 604800" },
		{ "peers -t 5s", "--timeout: '5s' is not a number up to 604800" },
		{ "receive --count 99999999999999999999",
		  "--count: '99999999999999999999' is not a number up to 1000000" },
		{ "load f -k key --passphrase", "--bootstrap-key-file, --passphrase, "
						"--passphrase-fd: only one of them" },
		{ "verify bob --accept --forget", "--accept, --forget: only one of them" },
	};
	struct cli_options o;
	char line[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(line, sizeof(line), "%s", rows[i].line);
		if (parse(&o, line))
			fail_msg("taken: %s", rows[i].line);
		/* getopt keeps long option names apart from what clawchat is told in them. */
		if (strncmp(o.error, rows[i].error, 60) != 0)
			fail_msg("%s: %s", rows[i].line, o.error);
	}
}

static void accepts_the_limits(void **state)
{
	struct cli_options o;
	char line[] = "receive -t 604800 --count 1000000 --passphrase-fd 0";

	(void)state;
	assert_true(parse(&o, line));
	assert_int_equal(o.timeout_s, TIMEOUT_MAX_S);
	assert_int_equal(o.count, COUNT_MAX);
	assert_int_equal(o.passphrase_fd, 0);
}

static void fits_options_to_commands(void **state)
{
	struct cli_options o;
	char line[] = "peers --json --into dir";

	(void)state;
	assert_true(parse(&o, line));
	assert_true(cli_options_fit(&o, OPTION_INTO));
	assert_false(cli_options_fit(&o, OPTIONS_CONNECT));
	assert_string_equal(o.error, "peers takes no --into");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_options_anywhere),
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(takes_what_follows_two_dashes_as_it_is),
		cmocka_unit_test(knows_that_there_is_no_command),
		cmocka_unit_test(refuses),
		cmocka_unit_test(accepts_the_limits),
		cmocka_unit_test(fits_options_to_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
