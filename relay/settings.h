#pragma once
/*
 * Settings of the relay: sections and keys in the form of INI files, each with its default and
 * its bounds in one table (settings_table.c), from which everything else comes.
 *
 *   settings_init()         defaults
 *   settings_read()         a file's text
 *   settings_override()     each --section.key=value of the command line
 *   settings_finish()       what depends on each other
 *
 * Text in, struct out; reading the file is net/file.h. Nothing is printed: an error is one line.
 * Owner: main thread; immutable after settings_finish().
 */
#include <stdio.h>

#include "core/address.h"
#include "net/engine.h"
#include "relay/doors.h"
#include "relay/log.h"

enum {
	SETTINGS_TEXT_MAX = 160,      /* bytes of a path or name: fits a line with its key */
	SETTINGS_STATE_DIR_MAX = 120, /* leaves room for the names of files in it */
	SETTINGS_FILE_SIZE_MAX = 65536,
	SETTINGS_LINE_MAX = 198, /* what inih takes in one line */
	SETTINGS_ERROR_SIZE = 512,
	SETTINGS_SOCKET_PATH_MAX = 107, /* sun_path, without the NUL */
	SETTINGS_LISTEN_PORT = 1, /* stands in listen addresses: "::" alone would be "unset" */
};

enum settings_cipher { CIPHER_AUTO, CIPHER_IPSEC_MB, CIPHER_OPENSSL };

/* The fourth one decides by where standard error goes: enum log_format cannot know. */
enum { SETTINGS_LOG_FORMAT_AUTO = LOG_FORMAT_JOURNALD + 1 };

/* Durations are in seconds, sizes in bytes. */
struct settings {
	struct {
		char name[SETTINGS_TEXT_MAX + 1];
		struct address public_ip; /* unset: not known */
		struct address public_ip6;
		char state_dir[SETTINGS_TEXT_MAX + 1];
		char bootstrap_key_file[SETTINGS_TEXT_MAX + 1];
	} server;
	struct {
		struct address listen;  /* unset: no IPv4; its port is of no meaning */
		struct address listen6; /* unset: no IPv6; likewise */
		enum engine_kind engine;
		uint32_t workers; /* 0: one per core */
		uint32_t receive_buffer;
		uint32_t send_buffer;
		uint32_t gro; /* 0 or 1 */
	} network;
	struct {
		enum door_mode mode;
		uint32_t fixed_port;
		uint32_t port_first;
		uint32_t port_last;
		uint32_t interval;
		uint32_t notice;
		uint32_t grace;
	} rotation;
	struct {
		uint32_t sessions;
		uint32_t channels;
		uint32_t handshake_rate; /* per prefix and second */
		uint32_t handshake_burst;
		uint32_t idle_timeout;
		uint32_t keepalive;
	} limits;
	struct {
		uint32_t file_validity;
		uint32_t file_max_devices;
		uint32_t pbkdf2_iterations;
		enum settings_cipher cipher;
		char files_dir[SETTINGS_TEXT_MAX + 1];
		uint32_t keep_schedule;
		uint32_t client_may_burn_server;
		uint32_t burns_per_hour; /* of whole files, reported by clients */
	} security;
	struct {
		enum log_level level;
		uint32_t format; /* enum log_format, or SETTINGS_LOG_FORMAT_AUTO */
		enum log_addresses addresses;
	} log;
	struct {
		char socket[SETTINGS_TEXT_MAX + 1];
	} admin;
};

/* One line for people: "FILE:12: [network] workers: 65 is too large (allowed: 0 to 64)". */
struct settings_error {
	char text[SETTINGS_ERROR_SIZE];
};

void settings_init(struct settings *s);

/* `name` stands in errors. Stops at the first error, and *s is then of no use. */
bool settings_read(struct settings *s, const char *name, struct view text,
		   struct settings_error *error) MUST_CHECK;

/* Does an argument look like --section.key=value? */
bool settings_is_override(const char *argument) MUST_CHECK;
bool settings_override(struct settings *s, const char *argument,
		       struct settings_error *error) MUST_CHECK;

/* Fills in paths that follow from state_dir, and checks what no key can tell alone. */
bool settings_finish(struct settings *s, struct settings_error *error) MUST_CHECK;

/* What a relay needs besides; without it the settings can still be printed. */
bool settings_can_serve(const struct settings *s, struct settings_error *error) MUST_CHECK;

/* A name for packet_cipher_by_name(), NULL for the best. */
const char *settings_cipher_name(const struct settings *s);

/* As a file that reads back the same. */
void settings_write(const struct settings *s, FILE *out);

/* The commented example: every key, commented out, at its default. */
void settings_write_example(FILE *out);

/* ---- the table: for the modules of the settings, their tests, and the man page ------------ */

enum setting_type {
	SETTING_TEXT, /* char[SETTINGS_TEXT_MAX + 1]; max: bytes */
	SETTING_IPV4, /* struct address; empty: unset */
	SETTING_IPV6,
	SETTING_LISTEN_IPV4, /* struct address; "none": unset */
	SETTING_LISTEN_IPV6,
	SETTING_COUNT,    /* uint32_t, as all below */
	SETTING_SIZE,     /* 4096, 64KiB, 4MiB, 1GiB */
	SETTING_DURATION, /* 90, 90s, 10m, 1h, 7d */
	SETTING_SWITCH,   /* yes, no */
	SETTING_CHOICE,
};

struct setting_choice {
	const char *name;
	uint32_t value;
};

struct setting {
	const char *section;
	const char *key;
	enum setting_type type;
	const char *fallback; /* the default, as it would stand in a file */
	uint32_t min;
	uint32_t max;
	const struct setting_choice *choices; /* ends with a NULL name */
	const char *help;                     /* sentences, lines separated by '\n' */
	size_t offset;                        /* in struct settings */
};

extern const struct setting SETTINGS[];
extern const size_t SETTINGS_COUNT;

enum { SETTING_VALUE_SIZE = SETTINGS_TEXT_MAX + 1, SETTING_REASON_SIZE = 320 };

/* Takes a value from text; false: `reason` says why not, and what is allowed. */
bool setting_parse(const struct setting *setting, struct settings *s, const char *text,
		   char reason[SETTING_REASON_SIZE]) MUST_CHECK;

/* The value as text that setting_parse() reads back. Returns `out`. */
const char *setting_format(const struct setting *setting, const struct settings *s,
			   char out[SETTING_VALUE_SIZE]);
