/* clawchat: talks with the peers of a relay, from the terminal or from scripts. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/standard_files.h"

struct command {
	const char *name;
	const char *arguments;
	const char *help; /* NULL: another name of the command above */
	uint32_t takes;   /* options, of enum option_bit */
	int arguments_min, arguments_max;
	bool is_streaming; /* with --json: one object for each event */
	int (*run)(struct program *p);
};

enum { FILES_MAX = 1000 };

static const struct command commands[] = {
	{ "keygen", "FILE", "make a bootstrap key", 0, 1, 1, false, command_keygen },
	{ "open", "FILE", "say what a security file holds and whether it can be used",
	  OPTIONS_SECRET, 1, 1, false, command_open },
	{ "load", "FILE", "take a security file into the profile: the relay to use from now on",
	  OPTIONS_PROFILE | OPTIONS_SECRET, 1, 1, false, command_load },
	{ "chat", "[PEER]", "talk; lines of standard input where there is no terminal",
	  OPTIONS_CONNECT | OPTION_INTO, 0, 1, true, command_chat },
	{ "connect", "[PEER]", NULL, OPTIONS_CONNECT | OPTION_INTO, 0, 1, true, command_chat },
	{ "send", "PEER [-m TEXT] [FILE...]",
	  "send a message (-m -: standard input) and files; done when they have arrived",
	  OPTIONS_CONNECT | OPTION_MESSAGE, 1, FILES_MAX, true, command_send },
	{ "receive", "[--from PEER] [--accept] [--into FOLDER] [--count N]",
	  "wait for messages and files",
	  OPTIONS_CONNECT | OPTION_FROM | OPTION_ACCEPT | OPTION_INTO | OPTION_COUNT, 0, 0, true,
	  command_receive },
	{ "peers", "", "who is known, and who is here", OPTIONS_CONNECT, 0, 0, false,
	  command_peers },
	{ "status", "", "the connection to the relay", OPTIONS_CONNECT, 0, 0, false,
	  command_status },
	{ "fingerprint", "[PEER]", "one's own id, or a peer's safety number", OPTIONS_PROFILE, 0, 1,
	  false, command_fingerprint },
	{ "verify", "PEER [--accept|--forget]",
	  "compare the safety number and mark the peer; --forget accepts a changed identity",
	  OPTIONS_PROFILE | OPTION_ACCEPT | OPTION_FORGET, 1, 1, false, command_verify },
	{ "compromised", "[REASON] [--accept]",
	  "keys may be in a thief's hands: the relay revokes the file, this profile is erased",
	  OPTIONS_PROFILE | OPTION_ACCEPT, 0, 1, true, command_compromised },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char OPTIONS_HELP[] =
	"  -p, --profile DIR         keys, contacts and relay of this device (default:\n"
	"                            $CLAWCHAT_PROFILE, else ~/.local/share/clawchat)\n"
	"      --name NAME           what others see; kept in the profile\n"
	"      --file FILE           load this security file first\n"
	"  -k, --bootstrap-key-file FILE\n"
	"                            (default: $CLAWCHAT_BOOTSTRAP_KEY, else bootstrap.key beside\n"
	"                            the security file)\n"
	"      --passphrase          ask for a passphrase instead of a key file\n"
	"      --passphrase-fd N     read it from this descriptor\n"
	"  -t, --timeout SECONDS     for the relay, and for a peer that is away (default: 30;\n"
	"                            0: without end)\n"
	"  -j, --json                objects, one a line\n"
	"  -q, --quiet               results and errors only\n"
	"  -h, --help\n"
	"      --version\n";

static const char EXIT_HELP[] =
	"exit codes: 0 done, 1 failed, 2 usage, 10 revoked, 11 file expired, 12 wrong key,\n"
	"13 no answer from the relay, 14 file damaged, 15 not valid yet, 16 made for a newer\n"
	"version, 17 file spent, 18 peer away, 19 peer unknown, 20 peer's identity changed,\n"
	"21 peer refuses, 69 profile in use, 74 disk, 77 permission, 78 no relay yet,\n"
	"128 + signal when interrupted; see clawchat(1)\n";

static void print_help(void)
{
	printf("usage: clawchat COMMAND [ARGUMENT...] [OPTION...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		printf("  %s%s%s\n", commands[i].name, *commands[i].arguments != '\0' ? " " : "",
		       commands[i].arguments);
		if (commands[i].help != NULL)
			printf("      %s\n", commands[i].help);
		else
			printf("      the same as %s\n", commands[i - 1].name);
	}
	printf("\n%s\n%s", OPTIONS_HELP, EXIT_HELP);
}

static int refuse(const char *why)
{
	fprintf(stderr, "clawchat: %s\n", why);
	return CLAWCHAT_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int run(struct program *p, const struct command *command)
{
	struct cli_options *o = &p->options;
	if (!cli_options_fit(o, command->takes))
		return refuse(o->error);
	if (o->argument_count < command->arguments_min ||
	    o->argument_count > command->arguments_max) {
		fprintf(stderr, "clawchat: usage: clawchat %s %s\n", command->name,
			command->arguments);
		return CLAWCHAT_USAGE;
	}
	output_init(&p->output, cli_option_is_given(o, OPTION_JSON),
		    cli_option_is_given(o, OPTION_QUIET));
	p->is_streaming = command->is_streaming;
	if (!client_loop_init(&p->loop))
		return output_error(&p->output, CLAWCHAT_FAILED, "signals cannot be received");
	int code = command->run(p);
	program_close(p);
	client_loop_fini(&p->loop);
	return output_loss(code);
}

int main(int argc, char **argv)
{
	static struct program program;
	struct cli_options *o = &program.options;
	if (!standard_files_hold())
		return CLAWCHAT_FAILED;
	setlocale(LC_ALL, "");
	if (!cli_options_parse(o, argc, argv))
		return refuse(o->error);
	bool wants_help = o->command != NULL && strcmp(o->command, "help") == 0;
	if (wants_help || cli_option_is_given(o, OPTION_HELP)) {
		print_help();
		return output_loss(0);
	}
	if (cli_option_is_given(o, OPTION_VERSION)) {
		printf("clawchat %s\n", clawchat_version());
		return 0;
	}
	if (o->command == NULL)
		return refuse("a command is missing; try --help");
	const struct command *command = find_command(o->command);
	if (command == NULL) {
		fprintf(stderr, "clawchat: no command '%s'; try --help\n", o->command);
		return CLAWCHAT_USAGE;
	}
	return run(&program, command);
}
