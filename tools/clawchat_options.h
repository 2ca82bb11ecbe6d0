#pragma once
/*
 * The command line of clawchat(1): options before or after the command, then its arguments.
 *
 * Pure but for getopt's state; prints nothing.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	TIMEOUT_DEFAULT_S = 30,
	TIMEOUT_MAX_S = 7 * 86400,
	COUNT_MAX = 1000000,
	OPTION_ERROR_SIZE = 160,
};

/* Bits of `given` and of what a command takes. */
enum option_bit {
	OPTION_PROFILE = 1 << 0,
	OPTION_NAME = 1 << 1,
	OPTION_FILE = 1 << 2,
	OPTION_KEY_FILE = 1 << 3,
	OPTION_PASSPHRASE_FD = 1 << 4,
	OPTION_PASSPHRASE = 1 << 5,
	OPTION_TIMEOUT = 1 << 6,
	OPTION_MESSAGE = 1 << 7,
	OPTION_FROM = 1 << 8,
	OPTION_INTO = 1 << 9,
	OPTION_COUNT = 1 << 10,
	OPTION_ACCEPT = 1 << 11,
	OPTION_FORGET = 1 << 12,
	OPTION_JSON = 1 << 13,
	OPTION_QUIET = 1 << 14,
	OPTION_HELP = 1 << 15,
	OPTION_VERSION = 1 << 16,

	OPTIONS_EVERYWHERE = OPTION_JSON | OPTION_QUIET | OPTION_HELP | OPTION_VERSION,
	OPTIONS_SECRET = OPTION_KEY_FILE | OPTION_PASSPHRASE_FD | OPTION_PASSPHRASE,
	OPTIONS_PROFILE = OPTION_PROFILE | OPTION_NAME,
	OPTIONS_CONNECT = OPTIONS_PROFILE | OPTIONS_SECRET | OPTION_FILE | OPTION_TIMEOUT,
};

struct cli_options {
	uint32_t given;
	const char *command; /* NULL: none */
	int argument_count;
	char **arguments; /* after the command */
	const char *profile, *name, *file, *key_file;
	const char *message, *from, *into;
	int passphrase_fd;             /* -1: none */
	unsigned timeout_s;            /* 0: without end */
	unsigned count;                /* 0: without end */
	char error[OPTION_ERROR_SIZE]; /* why it was refused, in one line */
};

/* False: wrong, see `error`. Reorders argv: options first. */
bool cli_options_parse(struct cli_options *o, int argc, char **argv);

/* False if an option was given that a command with these bits does not take; fills in `error`. */
bool cli_options_fit(struct cli_options *o, uint32_t takes);

static inline bool cli_option_is_given(const struct cli_options *o, enum option_bit bit)
{
	return (o->given & (uint32_t)bit) != 0;
}
