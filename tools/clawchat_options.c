#include "tools/clawchat_options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_OPTIONS ":p:k:t:m:jqh"

enum { LONG_ONLY = 256 };

struct option_row {
	const char *name;
	int letter; /* 0: no short form */
	bool has_value;
	enum option_bit bit;
};

static const struct option_row rows[] = {
	{ "profile", 'p', true, OPTION_PROFILE },
	{ "name", 0, true, OPTION_NAME },
	{ "file", 0, true, OPTION_FILE },
	{ "bootstrap-key-file", 'k', true, OPTION_KEY_FILE },
	{ "passphrase-fd", 0, true, OPTION_PASSPHRASE_FD },
	{ "passphrase", 0, false, OPTION_PASSPHRASE },
	{ "timeout", 't', true, OPTION_TIMEOUT },
	{ "message", 'm', true, OPTION_MESSAGE },
	{ "from", 0, true, OPTION_FROM },
	{ "into", 0, true, OPTION_INTO },
	{ "count", 0, true, OPTION_COUNT },
	{ "accept", 0, false, OPTION_ACCEPT },
	{ "forget", 0, false, OPTION_FORGET },
	{ "json", 'j', false, OPTION_JSON },
	{ "quiet", 'q', false, OPTION_QUIET },
	{ "help", 'h', false, OPTION_HELP },
	{ "version", 0, false, OPTION_VERSION },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool refuse(struct cli_options *o, const char *what, const char *why)
{
	snprintf(o->error, sizeof(o->error), "%.60s: %s", what, why);
	return false;
}

static bool parse_number(struct cli_options *o, const char *name, unsigned max, unsigned *out)
{
	char *end;
	char why[64];
	errno = 0;
	unsigned long value = strtoul(optarg, &end, 10);
	if (errno == 0 && end != optarg && *end == '\0' && *optarg != '-' && value <= max) {
		*out = (unsigned)value;
		return true;
	}
	snprintf(why, sizeof(why), "'%.20s' is not a number up to %u", optarg, max);
	return refuse(o, name, why);
}

static bool take_value(struct cli_options *o, const struct option_row *row)
{
	unsigned number;
	switch (row->bit) {
	case OPTION_PROFILE: o->profile = optarg; return true;
	case OPTION_NAME: o->name = optarg; return true;
	case OPTION_FILE: o->file = optarg; return true;
	case OPTION_KEY_FILE: o->key_file = optarg; return true;
	case OPTION_MESSAGE: o->message = optarg; return true;
	case OPTION_FROM: o->from = optarg; return true;
	case OPTION_INTO: o->into = optarg; return true;
	case OPTION_PASSPHRASE_FD:
		if (!parse_number(o, "--passphrase-fd", INT_MAX, &number))
			return false;
		o->passphrase_fd = (int)number;
		return true;
	case OPTION_TIMEOUT: return parse_number(o, "--timeout", TIMEOUT_MAX_S, &o->timeout_s);
	case OPTION_COUNT: return parse_number(o, "--count", COUNT_MAX, &o->count);
	default: return true; /* a switch: the bit says it */
	}
}

static bool check(struct cli_options *o)
{
	uint32_t secrets = o->given & OPTIONS_SECRET;
	if ((secrets & (secrets - 1)) != 0)
		return refuse(o, "--bootstrap-key-file, --passphrase, --passphrase-fd",
			      "only one of them");
	if (cli_option_is_given(o, OPTION_ACCEPT) && cli_option_is_given(o, OPTION_FORGET))
		return refuse(o, "--accept, --forget", "only one of them");
	return true;
}

static void fill_getopt(struct option table[ROWS + 1])
{
	memset(table, 0, (ROWS + 1) * sizeof(*table));
	for (int i = 0; i < ROWS; i++) {
		table[i].name = rows[i].name;
		table[i].has_arg = rows[i].has_value ? required_argument : no_argument;
		table[i].val = LONG_ONLY + i;
	}
}

static const struct option_row *row_of(int option)
{
	for (int i = 0; i < ROWS; i++)
		if (option == LONG_ONLY + i || (rows[i].letter != 0 && option == rows[i].letter))
			return &rows[i];
	return NULL;
}

/* getopt_long has stopped at `argument`; of bundled short options only optopt knows which. */
static bool refuse_option(struct cli_options *o, int option, const char *argument)
{
	const char letter[] = { '-', (char)optopt, '\0' };
	bool is_short = optopt > 0 && optopt < LONG_ONLY;
	const char *why = option == ':'       ? "needs a value" :
			  optopt >= LONG_ONLY ? "takes no value" :
						"no such option; try --help";
	return refuse(o, is_short ? letter : argument, why);
}

bool cli_options_parse(struct cli_options *o, int argc, char **argv)
{
	struct option table[ROWS + 1];
	int option;
	fill_getopt(table);
	*o = (struct cli_options){ .passphrase_fd = -1, .timeout_s = TIMEOUT_DEFAULT_S };
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	while ((option = getopt_long(argc, argv, SHORT_OPTIONS, table, NULL)) != -1) {
		const struct option_row *row = row_of(option);
		if (row == NULL)
			return refuse_option(o, option, argv[optind - 1]);
		o->given |= (uint32_t)row->bit;
		if (!take_value(o, row))
			return false;
	}
	if (optind < argc)
		o->command = argv[optind++];
	o->argument_count = argc - optind;
	o->arguments = argv + optind;
	return check(o);
}

bool cli_options_fit(struct cli_options *o, uint32_t takes)
{
	uint32_t surplus = o->given & ~(takes | OPTIONS_EVERYWHERE);
	for (int i = 0; i < ROWS; i++) {
		if ((surplus & (uint32_t)rows[i].bit) == 0)
			continue;
		snprintf(o->error, sizeof(o->error), "%.40s takes no --%s", o->command,
			 rows[i].name);
		return false;
	}
	return true;
}
