/*
 * clawchatctl: the operator's hand on a running relay. Each command is one request over the
 * admin socket; --json prints the answer as it came.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tools/exit_codes.h"
#include "tools/standard_files.h"
#include "tools/table.h"

#define SOCKET_DEFAULT "/var/lib/clawchat/clawchatd.sock"

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	/* Fill in the request; false: wrong arguments. */
	bool (*request)(json_t *request, int argc, char **argv);
	void (*print)(const json_t *answer);
};

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "";
}

static long long number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* "2026-11-21 22:38:52" in local time. */
static const char *when(long long seconds, char *out, size_t capacity)
{
	time_t t = (time_t)seconds;
	struct tm parts;
	localtime_r(&t, &parts);
	strftime(out, capacity, "%Y-%m-%d %H:%M:%S", &parts);
	return out;
}

static const char *span(long long seconds, char *out, size_t capacity)
{
	if (seconds >= 86400)
		snprintf(out, capacity, "%lldd%02lldh", seconds / 86400, seconds % 86400 / 3600);
	else if (seconds >= 3600)
		snprintf(out, capacity, "%lldh%02lldm", seconds / 3600, seconds % 3600 / 60);
	else if (seconds >= 60)
		snprintf(out, capacity, "%lldm%02llds", seconds / 60, seconds % 60);
	else
		snprintf(out, capacity, "%llds", seconds);
	return out;
}

/* ---- requests --------------------------------------------------------------------------- */

static bool no_arguments(json_t *request, int argc, char **argv)
{
	(void)request;
	(void)argv;
	return argc == 0;
}

static bool issue_arguments(json_t *request, int argc, char **argv)
{
	if (argc == 1)
		json_object_set_new(request, "path", json_string(argv[0]));
	return argc <= 1;
}

/* "device ID", "file ID", "all". */
static bool revoke_arguments(json_t *request, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "all") == 0) {
		json_object_set_new(request, "scope", json_string("server"));
		return true;
	}
	if (argc != 2)
		return false;
	json_object_set_new(request, "scope", json_string(argv[0]));
	json_object_set_new(request, "id", json_string(argv[1]));
	return strcmp(argv[0], "device") == 0 || strcmp(argv[0], "file") == 0;
}

/* What only `compromised` takes. */
static struct {
	const char *scope;
	bool is_sure;
} compromised;

/* "[--scope] file ID", "[--scope] device ID", "[--scope] server". */
static bool compromised_arguments(json_t *request, int argc, char **argv)
{
	const char *scope = compromised.scope;
	if (scope == NULL && argc > 0) {
		scope = argv[0];
		argc--;
		argv++;
	}
	if (scope == NULL || argc != (strcmp(scope, "server") != 0))
		return false;
	json_object_set_new(request, "scope", json_string(scope));
	if (argc == 1)
		json_object_set_new(request, "id", json_string(argv[0]));
	if (!compromised.is_sure)
		fprintf(stderr,
			"clawchatctl: this ends sessions and erases keys for good%s; add "
			"--yes if you mean it\n",
			argc == 0 ? ": every client needs a new file" : "");
	return compromised.is_sure;
}

static bool kick_arguments(json_t *request, int argc, char **argv)
{
	if (argc == 1)
		json_object_set_new(request, "session", json_string(argv[0]));
	return argc == 1;
}

/* ---- answers ---------------------------------------------------------------------------- */

static void print_status(const json_t *a)
{
	char buffer[64];
	printf("relay      %s (%s)\n", text(a, "server_name"), text(a, "server_id"));
	printf("version    %s\n", text(a, "version"));
	printf("engine     %s%s%s, cipher %s, %lld workers\n", text(a, "engine"),
	       *text(a, "engine_refusal") != '\0' ? "; no io_uring: " : "",
	       text(a, "engine_refusal"), text(a, "cipher"), number(a, "workers"));
	printf("port       %lld (generation %lld)\n", number(a, "port"), number(a, "door"));
	printf("sessions   %lld of %lld\n", number(a, "sessions"), number(a, "sessions_max"));
	printf("channels   %lld of %lld\n", number(a, "channels"), number(a, "channels_max"));
	printf("file       %s\n", text(a, "current_file"));
	printf("valid to   %s\n", when(number(a, "file_valid_until"), buffer, sizeof(buffer)));
	printf("running    %s%s\n", span(number(a, "uptime_s"), buffer, sizeof(buffer)),
	       json_is_true(json_object_get(a, "draining")) ? ", draining" : "");
}

static void print_counters(const char *title, json_t *counters)
{
	const char *key;
	json_t *value;
	printf("%s\n", title);
	json_object_foreach(counters, key, value)
		printf("  %-24s %12" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
}

static void print_stats(const json_t *a)
{
	print_counters("packets", json_object_get(a, "packets"));
	print_counters("engine", json_object_get(a, "engine"));
	print_counters("keeper", json_object_get(a, "keeper"));
	print_counters("queues", json_object_get(a, "queues"));
}

static void print_sessions(const json_t *a)
{
	static const char *const columns[] = { "SESSION", "PEER",     "ADDRESS", "UP",
					       "IDLE",    "RECEIVED", "SENT",    "CHANNELS" };
	struct table_printer *t = table_printer_create(columns, 8);
	size_t index;
	json_t *s;
	json_array_foreach(json_object_get(a, "sessions"), index, s)
	{
		char up[32], idle[32], received[32], sent[32], channels[32];
		snprintf(received, sizeof(received), "%lld B", number(s, "rx_bytes"));
		snprintf(sent, sizeof(sent), "%lld B", number(s, "tx_bytes"));
		snprintf(channels, sizeof(channels), "%lld", number(s, "channels"));
		const char *row[] = { text(s, "session"),
				      text(s, "peer"),
				      text(s, "address"),
				      span(number(s, "up_s"), up, sizeof(up)),
				      span(number(s, "idle_s"), idle, sizeof(idle)),
				      received,
				      sent,
				      channels };
		table_printer_row(t, row);
	}
	table_printer_finish(t, "no sessions");
}

static void print_peers(const json_t *a)
{
	static const char *const columns[] = { "PEER", "DEVICE", "FILE", "SESSION" };
	struct table_printer *t = table_printer_create(columns, 4);
	size_t index;
	json_t *p;
	json_array_foreach(json_object_get(a, "sessions"), index, p)
	{
		const char *row[] = { text(p, "peer"), text(p, "device"), text(p, "file"),
				      text(p, "session") };
		table_printer_row(t, row);
	}
	table_printer_finish(t, "no peers");
}

static void print_issue(const json_t *a)
{
	char until[64];
	printf("%s\n", text(a, "path"));
	printf("valid until %s; carry it to the client together with the bootstrap key\n",
	       when(number(a, "valid_until"), until, sizeof(until)));
}

static void print_door(const json_t *a)
{
	printf("port %lld is open (generation %lld); sessions move there now\n", number(a, "port"),
	       number(a, "door"));
}

static void print_files(const json_t *a)
{
	static const char *const columns[] = { "FILE",    "VALID FROM", "VALID UNTIL",
					       "DEVICES", "STATE",      "PATH" };
	struct table_printer *t = table_printer_create(columns, 6);
	size_t index;
	json_t *f;
	long long now = (long long)time(NULL);
	json_array_foreach(json_object_get(a, "files"), index, f)
	{
		char from[64], until[64], devices[64];
		bool is_revoked = json_is_true(json_object_get(f, "revoked"));
		snprintf(devices, sizeof(devices), "%lld of %lld", number(f, "devices"),
			 number(f, "max_devices"));
		const char *row[] = { text(f, "file"),
				      when(number(f, "valid_from"), from, sizeof(from)),
				      when(number(f, "valid_until"), until, sizeof(until)),
				      devices,
				      is_revoked                     ? "revoked" :
				      number(f, "valid_until") < now ? "expired" :
								       "valid",
				      text(f, "path") };
		table_printer_row(t, row);
	}
	table_printer_finish(t, "no files");
}

static void print_revoke(const json_t *a)
{
	printf("revoked %s %s; %lld sessions ended\n", text(a, "scope"), text(a, "id"),
	       number(a, "sessions"));
}

static void print_compromised(const json_t *a)
{
	printf("compromised %s %s; %lld sessions ended in %lld ms, keys erased in %lld ms\n",
	       text(a, "scope"), text(a, "id"), number(a, "sessions"), number(a, "kill_ms"),
	       number(a, "erase_ms"));
	printf("current file %s\n", text(a, "current_file"));
	if (!json_is_true(json_object_get(a, "done")))
		printf("not all is done: see the log, and restart the relay to go on\n");
}

static void print_kick(const json_t *a)
{
	printf("session %s ended; its client may connect again (to prevent that: revoke)\n",
	       text(a, "session"));
}

static const struct command commands[] = {
	{ "status", "", "what runs, on which port, until when the current file is valid",
	  no_arguments, print_status },
	{ "stats", "", "counters: what became of packets", no_arguments, print_stats },
	{ "sessions", "", "who is connected, from where, since when", no_arguments,
	  print_sessions },
	{ "peers", "", "peer, device and file of each session", no_arguments, print_peers },
	{ "issue", "[FILE]", "write a new security file (default: into the files directory)",
	  issue_arguments, print_issue },
	{ "rotate-port", "", "open the next port now and send all sessions there", no_arguments,
	  print_door },
	{ "files", "", "security files issued: validity, devices, revoked or not", no_arguments,
	  print_files },
	{ "revoke", "device ID | file ID | all", "end its sessions and let it connect no more",
	  revoke_arguments, print_revoke },
	{ "compromised", "[--scope] SCOPE [ID]",
	  "as revoke, and new keys: file ID, device ID, server", compromised_arguments,
	  print_compromised },
	{ "kick", "SESSION", "end one session; its client may connect again", kick_arguments,
	  print_kick },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* ---- the socket ------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "clawchatctl: socket %s: the path is too long\n", path);
		exit(EXIT_USAGE);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	fprintf(stderr, "clawchatctl: socket %s: %s; %s\n", path, strerror(errno),
		errno == EACCES ? "run as the relay's user or root" :
				  "is the relay running? --socket names another one");
	exit(errno == EACCES ? EXIT_PERMISSION : EXIT_UNAVAILABLE);
}

/* Send the request, read the answer's one line. */
static json_t *ask(const char *path, const json_t *request)
{
	int fd = connect_to(path);
	FILE *stream = fdopen(fd, "r+");
	json_error_t error;
	if (stream == NULL) {
		perror("clawchatctl");
		exit(EXIT_FAILED);
	}
	json_dumpf(request, stream, JSON_COMPACT);
	fputc('\n', stream);
	fflush(stream);
	json_t *answer = json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error);
	fclose(stream);
	if (answer == NULL) {
		fprintf(stderr, "clawchatctl: socket %s: the relay closed the connection\n", path);
		exit(EXIT_FAILED);
	}
	return answer;
}

/* ---- main ------------------------------------------------------------------------------- */

static void print_help(void)
{
	printf("usage: clawchatctl [--socket PATH] [--json] COMMAND [ARGUMENT]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-12s %-25s %s\n", commands[i].name, commands[i].arguments,
		       commands[i].help);
	printf("\nOf an ID 8 digits will do where no other one begins so.\n\n"
	       "  -s, --socket PATH  admin socket (default: $CLAWCHAT_SOCKET, else\n"
	       "                     " SOCKET_DEFAULT ")\n"
	       "  -j, --json         print the answer as JSON\n"
	       "      --yes          compromised: do it\n"
	       "  -h, --help         this text\n"
	       "      --version\n\n"
	       "exit codes: 0 done, 1 failed, 2 usage, 64 the relay refuses the arguments,\n"
	       "            69 no relay there, 74 disk, 77 permission\n");
}

/* Print an answer; returns the exit code. */
static int show(const struct command *command, bool wants_json, const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	int code = (int)number(answer, "exit");
	if (wants_json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	} else if (error != NULL) {
		fprintf(stderr, "clawchatctl: %s: %s\n", command->name, error);
	} else {
		command->print(answer);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("clawchatctl: standard output: closed, or full\n", stderr);
		return EXIT_IO;
	}
	return error == NULL ? 0 : code > 0 ? code : EXIT_FAILED;
}

/* A long answer comes in parts, each with the cursor to ask for the next one with: printed part by
 * part, for a million sessions would fill the memory. */
static int run(const struct command *command, const char *path, bool wants_json, json_t *request)
{
	json_object_set_new(request, "command", json_string(command->name));
	for (bool is_first = true;; is_first = false) {
		json_t *answer = ask(path, request);
		json_t *cursor = json_object_get(answer, "cursor");
		/* The part before may have been the last, and just full. */
		bool is_empty = json_array_size(json_object_get(answer, "sessions")) == 0;
		int code = is_empty && !is_first ? 0 : show(command, wants_json, answer);
		bool is_last = cursor == NULL || code != 0;
		if (!is_last)
			json_object_set(request, "cursor", cursor);
		json_decref(answer);
		if (is_last)
			return code;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' },
						 { "json", no_argument, NULL, 'j' },
						 { "scope", required_argument, NULL, 'S' },
						 { "yes", no_argument, NULL, 'y' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 { 0 } };
	const char *path = getenv("CLAWCHAT_SOCKET");
	bool wants_json = false;
	int option;
	if (!standard_files_hold())
		return EXIT_FAILED;
	if (path == NULL)
		path = SOCKET_DEFAULT;
	while ((option = getopt_long(argc, argv, "s:jh", options, NULL)) != -1) {
		switch (option) {
		case 's': path = optarg; break;
		case 'j': wants_json = true; break;
		case 'S': compromised.scope = optarg; break;
		case 'y': compromised.is_sure = true; break;
		case 'h': print_help(); return 0;
		case 'V': printf("clawchatctl %s\n", CLAWCHAT_VERSION); return 0;
		default: fprintf(stderr, "clawchatctl: try --help\n"); return EXIT_USAGE;
		}
	}
	for (size_t i = 0; optind < argc && i < COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[optind]) != 0)
			continue;
		json_t *request = json_object();
		bool fits = commands[i].request(request, argc - optind - 1, argv + optind + 1);
		if (!fits)
			fprintf(stderr, "clawchatctl: usage: clawchatctl %s %s\n", commands[i].name,
				commands[i].arguments);
		int code = fits ? run(&commands[i], path, wants_json, request) : EXIT_USAGE;
		json_decref(request);
		return code;
	}
	if (optind == argc)
		fprintf(stderr, "clawchatctl: a command is missing; try --help\n");
	else
		fprintf(stderr, "clawchatctl: no command '%s'; try --help\n", argv[optind]);
	return EXIT_USAGE;
}
