/* clawchat fingerprint, clawchat verify: who a peer really is. Both work without a relay. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ask.h"
#include "tools/commands.h"
#include "tools/event_json.h"
#include "tools/safe_text.h"
#include "tools/safety_number.h"
#include "tools/words.h"

enum { ID_PREFIX_MIN = 8 };

static bool is_meant(const struct clawchat_contact *contact, const char *who)
{
	char id[CLAWCHAT_PEER_ID_TEXT];
	size_t size = strlen(who);
	clawchat_id_text(&contact->id, id);
	return strcmp(contact->name, who) == 0 ||
	       (size >= ID_PREFIX_MIN && strncmp(id, who, size) == 0);
}

/* Among the peers that have been met. */
static int find_contact(struct program *p, const char *who, struct clawchat_contact *out)
{
	struct clawchat_contact contact;
	unsigned matches = 0;
	for (size_t i = 0; clawchat_contact_at(p->client, i, &contact); i++) {
		if (!contact.is_known || !is_meant(&contact, who))
			continue;
		*out = contact;
		matches++;
	}
	if (matches == 1)
		return 0;
	if (matches == 0)
		return output_error(&p->output, CLAWCHAT_PEER_UNKNOWN,
				    "%s: nobody of that name or id has been met; send it a message "
				    "first",
				    who);
	return output_error(&p->output, CLAWCHAT_PEER_UNKNOWN,
			    "%s: %u peers are meant by it; use an id (clawchat peers)", who,
			    matches);
}

static int show_own_id(struct program *p)
{
	struct clawchat_peer_id id;
	char text[CLAWCHAT_PEER_ID_TEXT];
	clawchat_own_id(p->client, &id);
	clawchat_id_text(&id, text);
	output_line(&p->output, "%s  %s", text, clawchat_own_name(p->client));
	output_object(&p->output, json_pack("{s:s, s:o}", "id", text, "name",
					    output_text(clawchat_own_name(p->client))));
	return 0;
}

/* A peer whose identity is known has a number. */
static int show_number(struct program *p, const struct clawchat_contact *contact)
{
	char number[CLAWCHAT_SAFETY_NUMBER_SIZE], lines[SAFETY_NUMBER_LINES];
	char label[LABEL_SIZE];
	program_label(p, &contact->id, label);
	if (!clawchat_safety_number(p->client, &contact->id, number))
		return output_error(&p->output, CLAWCHAT_PEER_UNKNOWN,
				    "%s: its identity is not known yet; send it a message first",
				    label);
	safety_number_format(number, lines);
	output_line(&p->output, "Safety number with %s (%s):\n%s", label, trust_word(contact),
		    lines);
	return 0;
}

int command_fingerprint(struct program *p)
{
	struct clawchat_contact contact;
	int code = program_open(p);
	if (code != 0)
		return code;
	if (p->options.argument_count == 0)
		return show_own_id(p);
	code = find_contact(p, p->options.arguments[0], &contact);
	if (code == 0)
		code = show_number(p, &contact);
	if (code == 0)
		output_object(&p->output, contact_json(p->client, &contact));
	return code;
}

/* ---- verify ----------------------------------------------------------------------------- */

static int mark(struct program *p, const struct clawchat_contact *contact, bool is_verified)
{
	char label[LABEL_SIZE];
	struct clawchat_contact marked;
	struct clawchat_error error;
	program_label(p, &contact->id, label);
	if (clawchat_set_verified(p->client, &contact->id, is_verified, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	if (!is_verified)
		return output_error(&p->output, CLAWCHAT_FAILED,
				    "%s: not verified; if the numbers differ, somebody may be in "
				    "between: do not talk until you know why",
				    label);
	output_line(&p->output, "%s is verified.", label);
	if (clawchat_get_contact(p->client, &contact->id, &marked))
		output_object(&p->output, contact_json(p->client, &marked));
	return 0;
}

static int forget(struct program *p, const struct clawchat_contact *contact)
{
	char label[LABEL_SIZE];
	struct clawchat_error error;
	program_label(p, &contact->id, label);
	if (clawchat_forget(p->client, &contact->id, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	output_line(&p->output,
		    "%s: what was known of its identity is forgotten; it is met afresh. Verify it "
		    "then.",
		    label);
	output_object(&p->output,
		      json_pack("{s:o, s:b}", "name", output_text(contact->name), "forgotten", 1));
	return 0;
}

static int ask_and_mark(struct program *p, const struct clawchat_contact *contact)
{
	struct clawchat_event event;
	int code = 0;
	if (!ask_is_possible())
		return output_error(&p->output, CLAWCHAT_FAILED,
				    "not marked: there is no terminal to ask on; --accept marks "
				    "once the numbers have been compared");
	fprintf(stderr, "Does the other side show the same number? [y/N] ");
	p->loop.input_fd = STDIN_FILENO;
	enum program_wake wake = program_wait(p, &event, &code);
	p->loop.input_fd = -1;
	return wake == PROGRAM_INPUT ? mark(p, contact, ask_answer_is_yes()) : code;
}

int command_verify(struct program *p)
{
	struct clawchat_contact contact;
	int code = program_open(p);
	if (code == 0)
		code = find_contact(p, p->options.arguments[0], &contact);
	if (code != 0)
		return code;
	if (cli_option_is_given(&p->options, OPTION_FORGET))
		return forget(p, &contact);
	code = show_number(p, &contact);
	if (code != 0)
		return code;
	if (cli_option_is_given(&p->options, OPTION_ACCEPT))
		return mark(p, &contact, true);
	output_object(&p->output, contact_json(p->client, &contact));
	return ask_and_mark(p, &contact);
}
