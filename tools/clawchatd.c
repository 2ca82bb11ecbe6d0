/* clawchatd: the relay. Read the settings, check, start, run until a signal, stop in reverse. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/security_file.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "net/file.h"
#include "relay/log.h"
#include "relay/server.h"
#include "tools/standard_files.h"

enum { EXIT_USAGE = 2, DESCRIPTORS_WANTED = 4096 };

struct arguments {
	const char *config;
	bool check, print, example, verbose;
};

static void print_help(void)
{
	printf("usage: clawchatd [-c FILE] [--SECTION.KEY=VALUE ...]\n\n"
	       "  -c, --config FILE      settings (default: none; every key has a default)\n"
	       "      --SECTION.KEY=VALUE  override one key, as --network.engine=epoll\n"
	       "  -v, --verbose          log level debug\n"
	       "      --check-config     read the settings, say what is wrong, exit 0 or 78\n"
	       "      --print-config     print the settings in force\n"
	       "      --example-config   print a commented example with every key\n"
	       "  -h, --help             this text\n"
	       "      --version          version, OpenSSL, engine\n\n"
	       "signals: TERM, INT stop (a second one at once); USR1 statistics to the log;\n"
	       "         USR2 open the next port now; HUP nothing (no setting can be reloaded)\n"
	       "exit codes: 0 stopped, 1 failed, 2 usage, 69 in use by another process,\n"
	       "            70 cipher missing or wrong, 71 system, 74 disk, 77 permission,\n"
	       "            78 settings\n");
}

static int fail(int exit_code, const char *text)
{
	fprintf(stderr, "clawchatd: %s\n", text);
	return exit_code;
}

static int print_version(void)
{
	struct engine *engine = NULL;
	const struct engine_config config = { .kind = ENGINE_AUTO };
	int result = engine_create(&engine, &config);
	printf("clawchatd %s, %s, %s, %s\n", CLAWCHAT_VERSION, crypto_library_version(),
	       packet_cipher_best()->name,
	       result == 0 ? engine_kind_name(engine_kind(engine)) : strerror(-result));
	if (engine != NULL)
		engine_destroy(engine);
	return 0;
}

/* ---- settings --------------------------------------------------------------------------- */

static int read_config(struct settings *settings, const char *path)
{
	static uint8_t text[SETTINGS_FILE_SIZE_MAX];
	struct settings_error error;
	char line[SETTINGS_ERROR_SIZE];
	size_t size;
	enum file_status status = file_read(path, FILE_PUBLIC, text, sizeof(text), &size);
	if (status != FILE_OK) {
		snprintf(line, sizeof(line), "settings %.300s: %s", path, file_status_text(status));
		return fail(EX_CONFIG, line);
	}
	if (!settings_read(settings, path, view_of(text, size), &error))
		return fail(EX_CONFIG, error.text);
	return 0;
}

/* Overrides are ours, not getopt's: takes them out of argv. */
static int take_overrides(int *argc, char **argv, char **overrides, int *count)
{
	int kept = 1;
	*count = 0;
	for (int i = 1; i < *argc; i++) {
		if (settings_is_override(argv[i]))
			overrides[(*count)++] = argv[i];
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

static int load_settings(struct settings *settings, const struct arguments *arguments,
			 char **overrides, int count)
{
	struct settings_error error;
	settings_init(settings);
	if (arguments->config != NULL) {
		int result = read_config(settings, arguments->config);
		if (result != 0)
			return result;
	}
	for (int i = 0; i < count; i++)
		if (!settings_override(settings, overrides[i], &error))
			return fail(EX_CONFIG, error.text);
	if (!settings_finish(settings, &error))
		return fail(EX_CONFIG, error.text);
	if (arguments->verbose)
		settings->log.level = LOG_LEVEL_DEBUG;
	return 0;
}

static enum log_format choose_log_format(const struct settings *settings)
{
	if (settings->log.format != SETTINGS_LOG_FORMAT_AUTO)
		return (enum log_format)settings->log.format;
	return getenv("JOURNAL_STREAM") != NULL ? LOG_FORMAT_JOURNALD : LOG_FORMAT_TEXT;
}

/* ---- run -------------------------------------------------------------------------------- */

/* Every thread inherits this; the control thread reads them from a descriptor. */
static void block_signals(void)
{
	sigset_t signals;
	sigfillset(&signals);
	const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&signals, faults[i]);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

static void raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_WANTED) {
		limit.rlim_cur =
			limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			log_event(LOG_LEVEL_WARNING, "descriptors_low",
				  LOG_NUMBER("limit", limit.rlim_cur));
	}
}

static int serve(const struct settings *settings)
{
	struct server_error error = { 0 };
	int code;
	raise_limits();
	struct server *server = server_create(settings, &error);
	if (server == NULL)
		return fail(error.exit_code, error.text);
	if (!secret_is_locked())
		log_event(LOG_LEVEL_WARNING, "keys_not_locked",
			  LOG_TEXT("remedy", "raise RLIMIT_MEMLOCK (LimitMEMLOCK in systemd)"));
	if (server_start(server, &error))
		code = server_run(server);
	else
		code = fail(error.exit_code, error.text);
	server_destroy(server);
	return code;
}

static int parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "print-config", no_argument, NULL, 'P' },
		{ "example-config", no_argument, NULL, 'E' },
		{ 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
		switch (option) {
		case 'c': out->config = optarg; break;
		case 'v': out->verbose = true; break;
		case 'C': out->check = true; break;
		case 'P': out->print = true; break;
		case 'E': out->example = true; break;
		case 'h': print_help(); exit(0);
		case 'V': exit(print_version());
		default: return fail(EXIT_USAGE, "try --help");
		}
	}
	return optind == argc ? 0 :
				fail(EXIT_USAGE, "there are no arguments but options; try --help");
}

int main(int argc, char **argv)
{
	static struct settings settings;
	struct arguments arguments = { 0 };
	const char *failed = NULL;
	struct settings_error unfit;
	char **overrides = calloc((size_t)argc, sizeof(*overrides));
	int count;
	if (!standard_files_hold())
		return EX_OSERR;
	if (overrides == NULL)
		return fail(EX_OSERR, "out of memory");
	block_signals();
	umask(0077);
	secret_harden_process();
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY) {
		fprintf(stderr, "clawchatd: cryptography: %s is missing or wrong in %s\n", failed,
			crypto_library_version());
		return EX_SOFTWARE;
	}
	take_overrides(&argc, argv, overrides, &count);
	int code = parse(argc, argv, &arguments);
	if (code == 0 && arguments.example) {
		settings_write_example(stdout);
	} else if (code == 0) {
		code = load_settings(&settings, &arguments, overrides, count);
		if (code == 0 && arguments.print) {
			settings_write(&settings, stdout);
		} else if (code == 0 && arguments.check) {
			code = settings_can_serve(&settings, &unfit) ? 0 :
								       fail(EX_CONFIG, unfit.text);
		} else if (code == 0) {
			log_configure(settings.log.level, choose_log_format(&settings),
				      settings.log.addresses);
			code = serve(&settings);
		}
	}
	free(overrides);
	crypto_fini();
	return code;
}
