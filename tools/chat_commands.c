/* What can be said to the chat itself: lines that begin with a slash. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/chat.h"
#include "tools/commands.h"
#include "tools/quantity.h"
#include "tools/safe_text.h"
#include "tools/safety_number.h"
#include "tools/words.h"

struct chat_command {
	const char *name;
	const char *help;
	void (*run)(struct chat *chat, const char *argument);
};

/* ---- sending ---------------------------------------------------------------------------- */

static bool needs_peer(struct chat *chat)
{
	if (!chat->has_peer)
		output_warning(&chat->program->output, "nobody to talk with yet: /to PEER");
	return !chat->has_peer;
}

static void fail(struct chat *chat, const struct clawchat_error *error)
{
	chat->code = (int)error->result;
	output_warning(&chat->program->output, "%s", error->text);
}

void chat_send_text(struct chat *chat, const char *text)
{
	struct clawchat_error error;
	uint64_t message;
	if (needs_peer(chat))
		return;
	if (chat_messages_are_full(&chat->messages)) {
		output_warning(&chat->program->output, "not sent: %d messages are under way",
			       CHAT_MESSAGES);
		return;
	}
	if (clawchat_send_text(chat->program->client, &chat->peer, text, &message, &error) ==
	    CLAWCHAT_OK)
		chat_messages_add(&chat->messages, message, text);
	else
		fail(chat, &error);
}

void chat_send_file(struct chat *chat, const char *path)
{
	struct program *p = chat->program;
	struct clawchat_error error;
	uint32_t number;
	if (needs_peer(chat))
		return;
	if (*path == '\0') {
		output_warning(&p->output, "which file? /file PATH");
		return;
	}
	if (clawchat_send_file(p->client, &chat->peer, path, &number, &error) != CLAWCHAT_OK) {
		fail(chat, &error);
		return;
	}
	const char *slash = strrchr(path, '/');
	struct transfer *t = transfers_add(&p->transfers, number, slash != NULL ? slash + 1 : path);
	if (t != NULL)
		t->is_outgoing = true;
}

/* ---- files ------------------------------------------------------------------------------ */

/* The transfer of that number, or without one the oldest offer; NULL has been told. */
static struct transfer *pick_offer(struct chat *chat, const char *argument)
{
	struct transfers *all = &chat->program->transfers;
	struct transfer *t = *argument == '\0' ?
				     transfers_oldest_offer(all) :
				     transfers_find(all, (uint32_t)strtoul(argument, NULL, 10));
	if (t != NULL && !t->is_outgoing && !t->is_accepted)
		return t;
	output_warning(&chat->program->output, "no file is offered%s%s",
		       *argument != '\0' ? " as number " : "", argument);
	return NULL;
}

static void accept_file(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	struct clawchat_error error;
	struct transfer *t = pick_offer(chat, argument);
	if (t == NULL)
		return;
	if (clawchat_accept_file(p->client, t->number, chat->folder, &error) != CLAWCHAT_OK) {
		fail(chat, &error);
		return;
	}
	t->is_accepted = true;
	output_note(&p->output, "taking %s into %s", t->name, chat->folder);
}

static void refuse_file(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	struct transfer *t = pick_offer(chat, argument);
	if (t == NULL)
		return;
	clawchat_refuse_file(p->client, t->number);
	output_note(&p->output, "refused: %s", t->name);
	transfers_remove(&p->transfers, t->number);
}

static void cancel_file(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	struct transfer *t =
		*argument == '\0' ?
			transfers_running(&p->transfers) :
			transfers_find(&p->transfers, (uint32_t)strtoul(argument, NULL, 10));
	if (t == NULL) {
		output_warning(&p->output, "no file is under way");
		return;
	}
	clawchat_cancel_file(p->client, t->number);
	output_note(&p->output, "cancelled: %s", t->name);
	transfers_remove(&p->transfers, t->number);
}

/* ---- who -------------------------------------------------------------------------------- */

static void talk_to(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	if (*argument == '\0') {
		output_warning(&p->output, "to whom? /to PEER");
		return;
	}
	chat->search = clawchat_find(p->client, argument);
	if (chat->search == 0)
		output_warning(&p->output, "too many searches at once; try again");
}

static void list_peers(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	struct clawchat_contact contact;
	(void)argument;
	for (size_t i = 0; clawchat_contact_at(p->client, i, &contact); i++) {
		char label[LABEL_SIZE];
		output_line(&p->output, "  %-24s %-9s %s", program_label(p, &contact.id, label),
			    contact.is_secure  ? "talking" :
			    contact.is_present ? "connected" :
						 "away",
			    trust_word(&contact));
	}
	(void)clawchat_ask_peers(p->client);
}

static void show_path(struct chat *chat)
{
	struct program *p = chat->program;
	struct clawchat_contact contact;
	char label[LABEL_SIZE], why[sizeof(contact.path_reason) * 3];
	if (!chat->has_peer || !clawchat_get_contact(p->client, &chat->peer, &contact))
		return;
	output_line(&p->output, "peer         %s, %s, %s%s%s", program_label(p, &chat->peer, label),
		    trust_word(&contact),
		    contact.is_secure ? path_word(contact.path) : "not talking now",
		    *contact.path_reason != '\0' ? ": " : "",
		    safe_text_line(contact.path_reason, why, sizeof(why)));
}

static void show_status(struct chat *chat, const char *argument)
{
	(void)argument;
	print_status(chat->program);
	show_path(chat);
}

static void list_messages(struct chat *chat, const char *argument)
{
	const struct chat_message *message;
	(void)argument;
	if (chat_messages_at(&chat->messages, 0) == NULL)
		output_line(&chat->program->output, "  none sent yet");
	for (size_t i = 0; (message = chat_messages_at(&chat->messages, i)) != NULL; i++)
		output_line(&chat->program->output, "  %-11s %s", delivery_word(message->delivery),
			    message->excerpt);
}

static void show_fingerprint(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	char number[CLAWCHAT_SAFETY_NUMBER_SIZE], lines[SAFETY_NUMBER_LINES], label[LABEL_SIZE];
	(void)argument;
	if (needs_peer(chat))
		return;
	program_label(p, &chat->peer, label);
	if (!clawchat_safety_number(p->client, &chat->peer, number)) {
		output_warning(&p->output, "%s has not been met yet: send a message first", label);
		return;
	}
	safety_number_format(number, lines);
	output_line(&p->output, "Safety number with %s; compare it by another way:\n%s", label,
		    lines);
}

static void verify(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	struct clawchat_error error;
	bool is_yes = strcmp(argument, "yes") == 0;
	if (!is_yes && strcmp(argument, "no") != 0) {
		show_fingerprint(chat, "");
		output_line(&p->output, "/verify yes if the other side shows the same, /verify no "
					"if not");
		return;
	}
	if (needs_peer(chat))
		return;
	if (clawchat_set_verified(p->client, &chat->peer, is_yes, &error) != CLAWCHAT_OK)
		fail(chat, &error);
	else
		output_note(&p->output, is_yes ? "verified" : "not verified");
}

static void compromised(struct chat *chat, const char *argument)
{
	struct program *p = chat->program;
	if (strcmp(argument, "YES") != 0)
		output_line(
			&p->output,
			"Keys may be in a thief's hands? This revokes the security file for "
			"everybody who uses it,\nand erases this profile: keys, contacts, relay. "
			"There is no way back.\n/compromised YES does it.");
	else if (program_burn(p, "said in a chat") == 0)
		output_note(&p->output, "telling the relay ...");
}

static void quit(struct chat *chat, const char *argument)
{
	(void)argument;
	chat->is_ending = true;
}

static void help(struct chat *chat, const char *argument);

static const struct chat_command commands[] = {
	{ "/help", "this list", help },
	{ "/quit", "end (also Ctrl-D)", quit },
	{ "/to", "PEER  talk with somebody else", talk_to },
	{ "/peers", "who is known and who is here", list_peers },
	{ "/status", "the relay, and the way to the peer", show_status },
	{ "/messages", "what became of your messages", list_messages },
	{ "/file", "PATH  send a file", chat_send_file },
	{ "/send", "PATH  the same", chat_send_file },
	{ "/accept", "[N]  take an offered file, or the rest of one", accept_file },
	{ "/resume", "[N]  the same", accept_file },
	{ "/refuse", "[N]  do not take it", refuse_file },
	{ "/cancel", "[N]  stop a file that is under way", cancel_file },
	{ "/fingerprint", "the safety number to compare", show_fingerprint },
	{ "/verify", "[yes|no]  the same, and mark the peer", verify },
	{ "/compromised", "keys are in a thief's hands: revoke and erase", compromised },
};

const char *const chat_command_names[] = {
	"/help",        "/quit",   "/to",          "/peers",  "/status", "/messages",
	"/file",        "/send",   "/accept",      "/resume", "/refuse", "/cancel",
	"/fingerprint", "/verify", "/compromised", NULL,
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };
_Static_assert(sizeof(chat_command_names) / sizeof(chat_command_names[0]) == COMMANDS + 1,
	       "both lists name the same commands");

static void help(struct chat *chat, const char *argument)
{
	(void)argument;
	for (size_t i = 0; i < COMMANDS; i++)
		output_line(&chat->program->output, "  %-13s %s", commands[i].name,
			    commands[i].help);
	output_line(&chat->program->output, "  //            begins a message with a slash");
}

/* Splits at the first blank, in place. */
static char *split(char *line)
{
	char *argument = line + strcspn(line, " ");
	while (*argument == ' ')
		*argument++ = '\0';
	size_t size = strlen(argument);
	while (size > 0 && isspace((unsigned char)argument[size - 1]))
		argument[--size] = '\0';
	return argument;
}

void chat_run_command(struct chat *chat, char *line)
{
	const char *argument = split(line);
	char name[EXCERPT_SIZE];
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, line) != 0)
			continue;
		commands[i].run(chat, argument);
		return;
	}
	output_warning(&chat->program->output, "no command %s; /help names them",
		       safe_text_line(line, name, sizeof(name)));
}
