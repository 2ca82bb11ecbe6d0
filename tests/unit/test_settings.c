/* Settings: defaults, bounds, errors that help, and files that read back the same. */
#include "relay/settings.h"

#include "core/security_file.h"
#include "crypto/kdf.h"
#include "net/file.h"
#include "tests/support/test.h"

enum { OUTPUT_SIZE = 32768 };

static struct settings S;
static struct settings_error E;

static int start(void **state)
{
	(void)state;
	settings_init(&S);
	memset(&E, 0, sizeof E);
	return 0;
}

static bool read_text(const char *text)
{
	return settings_read(&S, "test.conf", view_of(text, strlen(text)), &E);
}

/* What a writer writes, as text. */
static char *written(const struct settings *s)
{
	static char output[OUTPUT_SIZE];
	FILE *out = fmemopen(output, sizeof output, "w");

	assert_non_null(out);
	if (s != NULL)
		settings_write(s, out);
	else
		settings_write_example(out);
	assert_int_equal(fclose(out), 0);
	assert_true(strlen(output) < sizeof output - 1);
	return output;
}

/* The defaults in the table are text; the constants of the protocol are what they must equal. */
static void defaults_are_those_of_the_protocol(void **state)
{
	const struct {
		uint32_t value, expected;
	} rows[] = {
		{ S.rotation.port_first, PORT_FIRST_DEFAULT },
		{ S.rotation.port_last, PORT_LAST_DEFAULT },
		{ S.rotation.interval, PORT_INTERVAL_S },
		{ S.rotation.notice, PORT_NOTICE_S },
		{ S.rotation.grace, PORT_GRACE_S },
		{ S.limits.sessions, SESSIONS_DEFAULT },
		{ S.limits.channels, CHANNELS_DEFAULT },
		{ S.limits.handshake_rate, HANDSHAKE_RATE_PER_S },
		{ S.limits.handshake_burst, HANDSHAKE_BURST },
		{ S.limits.idle_timeout, SESSION_IDLE_NS / NS_PER_S },
		{ S.limits.keepalive, KEEPALIVE_NS / NS_PER_S },
		{ S.security.pbkdf2_iterations, PBKDF2_ITERATIONS_MIN },
		{ S.security.file_validity, 3600 },
		{ S.network.workers, 0 },
		{ S.network.receive_buffer, 8 << 20 },
		{ S.network.gro, 1 },
		{ S.network.engine, ENGINE_AUTO },
		{ S.rotation.mode, DOOR_MODE_SCHEDULE },
		{ S.log.level, LOG_LEVEL_INFO },
		{ S.log.format, SETTINGS_LOG_FORMAT_AUTO },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(rows[i].value, rows[i].expected);
	assert_true(settings_finish(&S, &E));
	assert_null(settings_cipher_name(&S));
	assert_string_equal(S.server.state_dir, "/var/lib/clawchat");
	assert_string_equal(S.server.bootstrap_key_file, "/var/lib/clawchat/bootstrap.key");
	assert_string_equal(S.security.files_dir, "/var/lib/clawchat/files");
	assert_string_equal(S.admin.socket, "/var/lib/clawchat/clawchatd.sock");
	assert_false(address_is_set(&S.server.public_ip));
	assert_true(address_is_set(&S.network.listen));
	assert_true(address_is_set(&S.network.listen6));
}

static void the_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		const struct setting *setting = &SETTINGS[i];
		char argument[SETTING_VALUE_SIZE], value[SETTING_VALUE_SIZE];
		print_message("%s.%s\n", setting->section, setting->key);
		snprintf(argument, sizeof argument, "--%s.%s=%s", setting->section, setting->key,
			 setting->fallback);
		assert_true(settings_is_override(argument));
		assert_true(settings_override(&S, argument, &E));
		assert_string_equal(setting_format(setting, &S, value), setting->fallback);
		assert_true(strlen(setting->help) > 0);
		assert_int_equal(setting->help[strlen(setting->help) - 1], '.');
		assert_int_equal(setting->type == SETTING_CHOICE, setting->choices != NULL);
		for (size_t j = 0; j < i; j++)
			assert_true(strcmp(SETTINGS[j].key, setting->key) != 0 ||
				    strcmp(SETTINGS[j].section, setting->section) != 0);
	}
}

/* The file in packaging/ is what this version writes: regenerate it where this fails. */
static void the_example_is_up_to_date(void **state)
{
	static uint8_t committed[OUTPUT_SIZE];
	size_t size;

	(void)state;
	assert_int_equal(file_read(CLAWCHAT_SOURCE_DIR "/packaging/clawchatd.conf.example",
				   FILE_PUBLIC, committed, sizeof committed, &size),
			 FILE_OK);
	const char *text = written(NULL);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(committed, text, size);
}

/* With every # in front of a key removed, the example says nothing new. */
static void the_example_is_the_defaults(void **state)
{
	static char text[OUTPUT_SIZE];
	struct settings defaults = S;

	(void)state;
	snprintf(text, sizeof text, "%s", written(NULL));
	assert_true(read_text(text));
	for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++)
		if (at[2] >= 'a' && at[2] <= 'z')
			at[1] = ' ';
	memset(&S.rotation, 0, sizeof S.rotation);
	S.log.level = LOG_LEVEL_DEBUG;
	if (!read_text(text))
		fail_msg("%s", E.text);
	assert_memory_equal(&S, &defaults, sizeof S);
}

static const char EVERY_KEY[] =
	"# all of them, none at its default\n"
	"[server]\nname = R\xc3\xa9lais 1\npublic_ip = 192.0.2.1\npublic_ip6 = 2001:db8::1\n"
	"state_dir = /tmp/state\nbootstrap_key_file = /etc/key\n"
	"[network]\nlisten = none\nlisten6 = ::1\nengine = epoll\nworkers = 64\n"
	"receive_buffer = 64KiB\nsend_buffer = 1GiB\ngro = no\n"
	"; another comment\n\n"
	"[rotation]\nmode = fixed\nfixed_port = 4433\nport_first = 1024\nport_last = 1024\n"
	"interval = 90m ; an hour and a half\nnotice = 1s\ngrace = 61\n"
	"[limits]\n\tsessions=1\n  channels: 2\nhandshake_rate = 1000000\nhandshake_burst = 1\n"
	"idle_timeout = 1d\nkeepalive = 5\r\n"
	"[security]\nfile_validity = 7h\nfile_max_devices = 0\npbkdf2_iterations = 10000000\n"
	"cipher = openssl\nfiles_dir = /srv/files\n"
	"[log]\nlevel = debug\nformat = journald\naddresses = none\n"
	"[admin]\nsocket = /run/x.sock";

static void reads_every_key(void **state)
{
	struct settings again, defaults = S;

	(void)state;
	if (!read_text(EVERY_KEY) || !settings_finish(&S, &E))
		fail_msg("%s", E.text);
	assert_string_equal(S.server.name, "R\xc3\xa9lais 1");
	assert_int_equal(S.server.public_ip.ip[15], 1);
	assert_false(address_is_set(&S.network.listen));
	assert_int_equal(S.network.send_buffer, 1 << 30);
	assert_int_equal(S.network.gro, 0);
	assert_int_equal(S.rotation.mode, DOOR_MODE_FIXED);
	assert_int_equal(S.rotation.interval, 5400);
	assert_int_equal(S.rotation.grace, 61);
	assert_int_equal(S.limits.sessions, 1);
	assert_int_equal(S.limits.channels, 2);
	assert_int_equal(S.limits.keepalive, 5);
	assert_int_equal(S.log.addresses, LOG_ADDRESSES_NONE);
	assert_string_equal(settings_cipher_name(&S), "openssl");
	assert_string_equal(S.admin.socket, "/run/x.sock");

	/* What is printed reads back the same. */
	again = S;
	S = defaults;
	if (!read_text(written(&again)))
		fail_msg("%s", E.text);
	assert_memory_equal(&S, &again, sizeof S);
}

/* A file's text, and the one line that is said about it. */
static const struct {
	const char *text, *error;
} WRONG[] = {
	{ "\n[network]\nwrokers = 3\n",
	  "test.conf:3: [network] wrokers: no such key; did you mean [network] workers?" },
	{ "[network]\nnonsense = 3\n", "test.conf:2: [network] nonsense: no such key" },
	{ "[network]\ngrace = 3\n",
	  "test.conf:2: [network] grace: no such key; did you mean [rotation] grace?" },
	{ "\n\n[netwrok]\n", "test.conf:3: [netwrok]: no such section; did you mean [network]?" },
	{ "[something]\n", "test.conf:1: [something]: no such section" },
	{ "workers = 3\n", "test.conf:1: workers: stands before the first [section]" },
	{ "[network]\nworkers = 1\n\nworkers = 2\n",
	  "test.conf:4: [network] workers: set before, in line 2" },
	{ "[network]\nworkers\n",
	  "test.conf:2: neither \"key = value\" nor \"[section]\" nor a comment" },
	{ "[network\n", "test.conf:1: neither \"key = value\" nor \"[section]\" nor a comment" },
	{ "[network]\nworkers = many\n",
	  "test.conf:2: [network] workers: \"many\" is not a number (allowed: 0 to 64)" },
	{ "[network]\nworkers =\n",
	  "test.conf:2: [network] workers: \"\" is not a number (allowed: 0 to 64)" },
	{ "[network]\nworkers = 65\n",
	  "test.conf:2: [network] workers: \"65\" is too large (allowed: 0 to 64)" },
	{ "[network]\nworkers = -1\n",
	  "test.conf:2: [network] workers: \"-1\" is not a number (allowed: 0 to 64)" },
	{ "[network]\nworkers = 4k\n", "test.conf:2: [network] workers: \"4k\" is not a "
				       "plain number (allowed: 0 to 64)" },
	{ "[network]\nworkers = 99999999999999999999\n",
	  "test.conf:2: [network] workers: \"99999999999999999999\" is too large"
	  " (allowed: 0 to 64)" },
	{ "[network]\nreceive_buffer = 1KiB\n",
	  "test.conf:2: [network] receive_buffer: \"1KiB\" is too small"
	  " (allowed: 64KiB to 1GiB)" },
	{ "[network]\nreceive_buffer = 1MB\n",
	  "test.conf:2: [network] receive_buffer: \"1MB\" has an unknown unit"
	  " (known: B, KiB, MiB, GiB)" },
	{ "[network]\nreceive_buffer = 4194304KiB\n",
	  "test.conf:2: [network] receive_buffer: \"4194304KiB\" is too large"
	  " (allowed: 64KiB to 1GiB)" },
	{ "[rotation]\ninterval = 1week\n",
	  "test.conf:2: [rotation] interval: \"1week\" has an unknown unit"
	  " (known: s, m, h, d)" },
	{ "[rotation]\ninterval = 1s\n",
	  "test.conf:2: [rotation] interval: \"1s\" is too small (allowed: 2s to 7d)" },
	{ "[security]\nfile_validity = 9s\n",
	  "test.conf:2: [security] file_validity: \"9s\" is too small (allowed: 10s to 7d)" },
	{ "[rotation]\ninterval = 1.5h\n",
	  "test.conf:2: [rotation] interval: \"1.5h\" has an unknown unit"
	  " (known: s, m, h, d)" },
	{ "[network]\nengine = kqueue\n", "test.conf:2: [network] engine: \"kqueue\" is not known"
					  " (allowed: auto, uring, epoll)" },
	{ "[network]\ngro = true\n",
	  "test.conf:2: [network] gro: \"true\" is not known (allowed: yes, no)" },
	{ "[network]\nlisten = ::1\n",
	  "test.conf:2: [network] listen: \"::1\" is not an IPv4 address"
	  " (allowed: one such as 192.0.2.1, or none)" },
	{ "[network]\nlisten =\n", "test.conf:2: [network] listen: \"\" is not an IPv4 address"
				   " (allowed: one such as 192.0.2.1, or none)" },
	{ "[server]\npublic_ip6 = [2001:db8::1]\n",
	  "test.conf:2: [server] public_ip6: \"[2001:db8::1]\" is not an IPv6 address"
	  " (allowed: one such as 2001:db8::1, or nothing)" },
	{ "[server]\npublic_ip = 192.0.2.1:80\n",
	  "test.conf:2: [server] public_ip: \"192.0.2.1:80\" is not an IPv4 address"
	  " (allowed: one such as 192.0.2.1, or nothing)" },
	{ "[server]\nname = a\x1b[2Jb\n",
	  "test.conf:2: [server] name: holds a control or invisible character (U+001B)" },
	{ "[server]\nname = \xff\n", "test.conf:2: [server] name: is not UTF-8" },
	{ "[server]\nname = "
	  "12345678901234567890123456789012345678901234567890123456789012345\n",
	  "test.conf:2: [server] name: is too long (allowed: 64 bytes)" },
};

static void says_what_is_wrong(void **state)
{
	for (size_t i = 0; i < COUNT_OF(WRONG); i++) {
		start(state);
		assert_false(read_text(WRONG[i].text));
		assert_string_equal(E.text, WRONG[i].error);
	}
}

static void bounds_the_line(void **state)
{
	char text[SETTINGS_LINE_MAX + 32] = "[server]\n";
	char *line = text + strlen(text);

	(void)state;
	memset(line, '#', SETTINGS_LINE_MAX);
	assert_true(read_text(text));
	line[SETTINGS_LINE_MAX] = '#';
	assert_false(read_text(text));
	assert_string_equal(E.text, "test.conf:2: the line is too long (allowed: 198 bytes)");
	assert_false(settings_read(&S, "test.conf", VIEW_STRING("[server]\nname = \0\n"), &E));
	assert_string_equal(E.text, "test.conf: is not a text file");
	assert_true(settings_read(&S, "test.conf", view_of(NULL, 0), &E));
}

/* The longest value of every text fits a line of a file. */
static void long_texts_read_back(void **state)
{
	char text[SETTINGS_TEXT_MAX + 1], reason[SETTING_REASON_SIZE];
	struct settings filled;

	(void)state;
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		if (SETTINGS[i].type != SETTING_TEXT)
			continue;
		memset(text, 'x', sizeof text);
		text[SETTINGS[i].max] = '\0';
		assert_true(setting_parse(&SETTINGS[i], &S, text, reason));
	}
	filled = S;
	settings_init(&S);
	if (!read_text(written(&filled)))
		fail_msg("%s", E.text);
	assert_memory_equal(&S, &filled, sizeof S);
}

static void takes_overrides(void **state)
{
	static const struct {
		const char *argument, *error;
	} rows[] = {
		{ "--network.workers=3", NULL },
		{ "--server.name=a=b", NULL },
		{ "--server.name=", NULL },
		{ "--network.workers=x",
		  "command line: [network] workers: \"x\" is not a number (allowed: 0 to 64)" },
		{ "--network.worker=3",
		  "command line: [network] worker: no such key; did you mean [network] workers?" },
		{ "--log.levle=3",
		  "command line: [log] levle: no such key; did you mean [log] level?" },
		{ "--lgo.level=3", "command line: [lgo]: no such section; did you mean [log]?" },
		{ "--server.name= a", "command line: [server] name: begins or ends with a space" },
		{ "--server.name=a ;b",
		  "command line: [server] name: holds \";\", which begins a comment" },
		{ "--server.name=a\nb",
		  "command line: [server] name: holds a control or invisible character (U+000A)" },
	};
	static const char *const others[] = {
		"--version",
		"-c",
		"--config=a.b",
		"--network=3",
		"network.workers=3",
		"--.a=3",
		"--a.=3",
		"--=a.b",
		"",
		"--",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("%s\n", rows[i].argument);
		assert_true(settings_is_override(rows[i].argument));
		assert_int_equal(settings_override(&S, rows[i].argument, &E),
				 rows[i].error == NULL);
		if (rows[i].error != NULL)
			assert_string_equal(E.text, rows[i].error);
	}
	assert_int_equal(S.network.workers, 3);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		print_message("%s\n", others[i]);
		assert_false(settings_is_override(others[i]));
		assert_false(settings_override(&S, others[i], &E));
	}
}

static void checks_what_depends(void **state)
{
	static const struct {
		const char *arguments[3], *error;
	} rows[] = {
		{ { "--server.state_dir=" }, "[server] state_dir: must not be empty" },
		{ { "--network.listen=none", "--network.listen6=none" },
		  "[network] listen: none, and listen6 too: nothing to receive on" },
		{ { "--network.listen=none" }, NULL },
		{ { "--network.listen6=none" }, NULL },
		{ { "--rotation.mode=fixed" },
		  "[rotation] fixed_port: must be set with mode = fixed" },
		{ { "--rotation.mode=fixed", "--rotation.fixed_port=1" }, NULL },
		{ { "--rotation.port_first=2000", "--rotation.port_last=1999" },
		  "[rotation] port_first: 2000 is above port_last (1999)" },
		{ { "--rotation.port_first=2000", "--rotation.port_last=2000" }, NULL },
		{ { "--rotation.notice=1h" }, "[rotation] notice: must be shorter than interval" },
		{ { "--rotation.grace=1h" }, "[rotation] grace: must be shorter than interval" },
		{ { "--rotation.grace=3599" }, NULL },
		{ { "--security.file_validity=7h" }, NULL },
		{ { "--security.file_validity=25201" },
		  "[security] file_validity: at most 7 times [rotation] interval,"
		  " as a file carries no more ports" },
		{ { "--limits.keepalive=90" },
		  "[limits] keepalive: must be less than half of idle_timeout" },
		{ { "--limits.keepalive=89" }, NULL },
		{ { "--admin.socket=/"
		    "234567890123456789012345678901234567890123456789012345678901234567"
		    "89012345678901234567890123456789012345678" },
		  "[admin] socket: \"/234567890123456789012345678901234567890...\" is too long for "
		  "a"
		  " socket (allowed: 107 bytes)" },
		{ { "--admin.socket=/"
		    "234567890123456789012345678901234567890123456789012345678901234567"
		    "8901234567890123456789012345678901234567" },
		  NULL },
		{ { "--server.state_dir=s", "--security.files_dir=f" }, NULL },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		start(state);
		for (size_t j = 0; rows[i].arguments[j] != NULL; j++) {
			print_message("%s ", rows[i].arguments[j]);
			assert_true(settings_override(&S, rows[i].arguments[j], &E));
		}
		print_message("\n");
		assert_int_equal(settings_finish(&S, &E), rows[i].error == NULL);
		if (rows[i].error != NULL)
			assert_string_equal(E.text, rows[i].error);
	}
	assert_string_equal(S.server.bootstrap_key_file, "s/bootstrap.key");
	assert_string_equal(S.security.files_dir, "f");
}

#define SETTINGS_TEST(name) cmocka_unit_test_setup(name, start)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SETTINGS_TEST(defaults_are_those_of_the_protocol),
		SETTINGS_TEST(the_table_is_sound),
		SETTINGS_TEST(the_example_is_up_to_date),
		SETTINGS_TEST(the_example_is_the_defaults),
		SETTINGS_TEST(reads_every_key),
		SETTINGS_TEST(says_what_is_wrong),
		SETTINGS_TEST(bounds_the_line),
		SETTINGS_TEST(long_texts_read_back),
		SETTINGS_TEST(takes_overrides),
		SETTINGS_TEST(checks_what_depends),
	};

	/* "test_settings --write-example > packaging/clawchatd.conf.example" */
	if (argc == 2 && strcmp(argv[1], "--write-example") == 0) {
		settings_write_example(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
