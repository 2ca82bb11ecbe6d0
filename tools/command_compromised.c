/* clawchat compromised: tell the relay, erase this profile. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ask.h"
#include "tools/commands.h"

enum { ANSWER_SIZE = 16 };

/* The word in capitals: nobody types that by mistake. */
static bool is_sure(void)
{
	char answer[ANSWER_SIZE];
	fprintf(stderr, "This revokes the security file for everybody who uses it, and erases this "
			"profile:\nkeys, contacts, relay. There is no way back. Type YES to do it: ");
	ssize_t size = read(STDIN_FILENO, answer, sizeof(answer) - 1);
	answer[size > 0 ? size : 0] = '\0';
	return strcmp(answer, "YES\n") == 0;
}

int command_compromised(struct program *p)
{
	struct clawchat_event event;
	struct clawchat_error error;
	const char *reason = p->options.argument_count > 0 ? p->options.arguments[0] : NULL;
	int code = program_open(p);
	if (code != 0)
		return code;
	if (!cli_option_is_given(&p->options, OPTION_ACCEPT)) {
		if (!ask_is_possible())
			return output_error(&p->output, CLAWCHAT_USAGE,
					    "nothing was done: there is no terminal to ask on; "
					    "--accept does it without");
		if (!is_sure())
			return output_error(&p->output, CLAWCHAT_FAILED, "nothing was done");
	}
	if (clawchat_compromised(p->client, CLAWCHAT_SCOPE_FILE, reason, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	client_loop_attach(&p->loop, p->client);
	client_loop_set_timeout(&p->loop, 0);
	while (program_wait(p, &event, &code) != PROGRAM_END)
		continue;
	return code == CLAWCHAT_REVOKED ? 0 : code;
}
