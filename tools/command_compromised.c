/* clawchat compromised: tell the relay, erase this profile. */
#include <stdio.h>
#include <unistd.h>

#include "tools/ask.h"
#include "tools/commands.h"

/* The word in capitals: nobody types that by mistake. 0: sure. */
static int make_sure(struct program *p)
{
	struct clawchat_event event;
	int code = 0;
	if (cli_option_is_given(&p->options, OPTION_ACCEPT))
		return 0;
	if (!ask_is_possible())
		return output_error(&p->output, CLAWCHAT_USAGE,
				    "nothing was done: there is no terminal to ask on; --accept "
				    "does it without");
	fprintf(stderr,
		"This revokes the security file for everybody who uses it, and erases this "
		"profile:\nkeys, contacts, relay. There is no way back. Type YES to do it: ");
	p->loop.input_fd = STDIN_FILENO;
	enum program_wake wake = program_wait(p, &event, &code);
	p->loop.input_fd = -1;
	if (wake != PROGRAM_INPUT || !ask_answer_is("YES"))
		return output_error(&p->output, code != 0 ? code : CLAWCHAT_FAILED,
				    "nothing was done");
	return 0;
}

int command_compromised(struct program *p)
{
	struct clawchat_event event;
	const char *reason = p->options.argument_count > 0 ? p->options.arguments[0] : NULL;
	int code = program_open(p);
	if (code == 0)
		code = make_sure(p);
	if (code == 0)
		code = program_burn(p, reason);
	if (code != 0)
		return code;
	while (program_wait(p, &event, &code) != PROGRAM_END)
		continue;
	return code;
}
