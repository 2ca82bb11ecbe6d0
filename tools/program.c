#include "tools/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/event_json.h"
#include "tools/safe_text.h"
#include "tools/show.h"

enum {
	FIND_AGAIN_MS = 2000, /* a peer that is not there yet is asked for again */
	ENROL_WAIT_MS = 500,  /* for the end of an enrolment: two round trips and a disk */
	ENROL_POLL_MS = 10,
	ID_BEGINNING = 8, /* characters that the library takes for an id */
};

int program_error(struct program *p, const struct clawchat_error *error)
{
	return output_error(&p->output, (int)error->result, "%s", error->text);
}

/* ---- secret ----------------------------------------------------------------------------- */

static const char *passphrase_problem(enum passphrase_status status)
{
	switch (status) {
	case PASSPHRASE_EMPTY: return "it is empty";
	case PASSPHRASE_TOO_LONG: return "it is too long";
	case PASSPHRASE_NO_TERMINAL: return "there is no terminal to ask on; use --passphrase-fd";
	case PASSPHRASE_UNREADABLE: return strerror(errno);
	default: return "";
	}
}

int program_secret(struct program *p, struct clawchat_bootstrap *out)
{
	const struct cli_options *o = &p->options;
	enum passphrase_status status;
	*out = (struct clawchat_bootstrap){ .key_file = o->key_file };
	if (cli_option_is_given(o, OPTION_PASSPHRASE_FD))
		status = passphrase_read(o->passphrase_fd, p->passphrase);
	else if (cli_option_is_given(o, OPTION_PASSPHRASE))
		status = passphrase_ask(&p->loop, p->passphrase);
	else
		return 0;
	out->passphrase = p->passphrase;
	if (status == PASSPHRASE_OK)
		return 0;
	program_forget_secret(p);
	if (status == PASSPHRASE_INTERRUPTED)
		return EXIT_SIGNAL + p->loop.signal;
	return output_error(&p->output, CLAWCHAT_USAGE, "passphrase: %s",
			    passphrase_problem(status));
}

void program_forget_secret(struct program *p)
{
	explicit_bzero(p->passphrase, sizeof(p->passphrase));
}

/* ---- profile and relay ------------------------------------------------------------------ */

int program_load(struct program *p, const char *path)
{
	struct clawchat_bootstrap bootstrap;
	struct clawchat_error error;
	int code = program_secret(p, &bootstrap);
	if (code != 0)
		return code;
	enum clawchat_result result = clawchat_load(p->client, path, &bootstrap, &error);
	program_forget_secret(p);
	return result == CLAWCHAT_OK ? 0 : program_error(p, &error);
}

int program_open(struct program *p)
{
	const struct clawchat_options options = {
		.profile = p->options.profile,
		.name = p->options.name,
	};
	struct clawchat_error error;
	if (clawchat_open(&options, &p->client, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	return p->options.file != NULL ? program_load(p, p->options.file) : 0;
}

/* A first connection that ends too soon would leave the device with nothing but its file. */
static void finish_enrolment(struct program *p)
{
	struct clawchat_status status;
	uint64_t end_ms = client_loop_now_ms() + ENROL_WAIT_MS;
	for (;;) {
		clawchat_get_status(p->client, &status);
		if (!status.is_enrolling || client_loop_now_ms() >= end_ms)
			return;
		struct pollfd fd = { .fd = clawchat_fd(p->client), .events = POLLIN };
		(void)poll(&fd, 1, ENROL_POLL_MS);
		clawchat_process(p->client);
	}
}

void program_close(struct program *p)
{
	output_bar_clear(&p->output);
	client_loop_attach(&p->loop, NULL);
	if (p->client == NULL)
		return;
	finish_enrolment(p);
	clawchat_disconnect(p->client);
	clawchat_close(p->client);
	p->client = NULL;
}

bool program_is_connected(const struct program *p)
{
	struct clawchat_status status;
	clawchat_get_status(p->client, &status);
	return status.state == CLAWCHAT_CONNECTED;
}

const char *program_relay(const struct program *p, char out[LABEL_SIZE])
{
	struct clawchat_status status;
	char name[CLAWCHAT_NAME_SIZE * 3];
	clawchat_get_status(p->client, &status);
	safe_text_line(status.server_name, name, sizeof(name));
	snprintf(out, LABEL_SIZE, "relay%s%s%s%s", *name != '\0' ? " " : "", name,
		 *status.relay != '\0' ? " at " : "", status.relay);
	return out;
}

static int no_answer(struct program *p)
{
	char relay[LABEL_SIZE];
	struct clawchat_status status;
	clawchat_get_status(p->client, &status);
	if (status.hint[0] != '\0')
		return output_error(&p->output, CLAWCHAT_NO_ANSWER, "%s: no answer within %u s; %s",
				    program_relay(p, relay), p->options.timeout_s, status.hint);
	return output_error(&p->output, CLAWCHAT_NO_ANSWER,
			    "%s: no answer within %u s: it is away, UDP is blocked, or this clock "
			    "is wrong; check the network, then try again",
			    program_relay(p, relay), p->options.timeout_s);
}

int program_connect(struct program *p)
{
	struct clawchat_error error;
	struct clawchat_event event;
	int code = 0;
	if (clawchat_connect(p->client, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	client_loop_attach(&p->loop, p->client);
	client_loop_set_timeout(&p->loop, p->options.timeout_s);
	for (;;) {
		switch (program_wait(p, &event, &code)) {
		case PROGRAM_EVENT:
			show_event(p, &event);
			if (event.type != CLAWCHAT_EVENT_CONNECTED)
				break;
			client_loop_set_timeout(&p->loop, 0);
			return 0;
		case PROGRAM_TIMEOUT: return no_answer(p);
		case PROGRAM_END: return code;
		default: break;
		}
	}
}

/* ---- waiting ---------------------------------------------------------------------------- */

static int told_end(struct program *p, const struct clawchat_event *event)
{
	if (p->is_burning && event->result == CLAWCHAT_REVOKED) {
		output_line(&p->output, "%s", event->text);
		return 0;
	}
	int code = event->result != CLAWCHAT_OK ? (int)event->result : CLAWCHAT_FAILED;
	return output_error(&p->output, code, "relay: %s", event->text);
}

enum program_wake program_wait(struct program *p, struct clawchat_event *event, int *code)
{
	/* What comes now would be acknowledged, and read by nobody. */
	if (output_is_lost()) {
		*code = output_loss(0);
		return PROGRAM_END;
	}
	switch (client_loop_wait(&p->loop, event)) {
	case LOOP_INPUT: return PROGRAM_INPUT;
	case LOOP_TIMEOUT: return PROGRAM_TIMEOUT;
	case LOOP_SIGNAL:
		*code = EXIT_SIGNAL + p->loop.signal;
		return p->loop.signal == SIGWINCH || p->loop.signal == SIGTSTP ? PROGRAM_TERMINAL :
										 PROGRAM_END;
	case LOOP_EVENT: break;
	}
	if (p->is_streaming)
		output_object(&p->output, event_json(event));
	if (event->type != CLAWCHAT_EVENT_ENDED)
		return PROGRAM_EVENT;
	*code = told_end(p, event);
	return PROGRAM_END;
}

int program_burn(struct program *p, const char *reason)
{
	struct clawchat_error error;
	if (clawchat_compromised(p->client, CLAWCHAT_SCOPE_FILE, reason, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	p->is_burning = true;
	client_loop_attach(&p->loop, p->client);
	return 0;
}

/* ---- peers ------------------------------------------------------------------------------ */

struct search {
	const char *who;
	uint32_t request;
	uint64_t end_ms;             /* 0: never */
	bool was_told;               /* that we wait */
	struct clawchat_error error; /* the last answer */
};

static int search_ended(struct program *p, const struct search *s)
{
	if (!program_is_connected(p))
		return no_answer(p);
	if (s->error.result == CLAWCHAT_OK)
		return output_error(&p->output, CLAWCHAT_NO_ANSWER,
				    "%s: the relay does not say where that peer is; try again",
				    s->who);
	return program_error(p, &s->error);
}

static void ask_again_later(struct program *p, const struct search *s)
{
	uint64_t next = client_loop_now_ms() + FIND_AGAIN_MS;
	p->loop.deadline_ms = s->end_ms != 0 && s->end_ms < next ? s->end_ms : next;
}

/* Fills in the search's error; true: it is of no use to wait. */
static bool take_not_found(struct program *p, struct search *s, const struct clawchat_event *event)
{
	char text[CLAWCHAT_ERROR_SIZE];
	s->error.result = event->result != CLAWCHAT_OK ? event->result : CLAWCHAT_PEER_UNKNOWN;
	snprintf(s->error.text, sizeof(s->error.text), "%s",
		 safe_text_line(event->text != NULL ? event->text : s->who, text, sizeof(text)));
	if (s->error.result != CLAWCHAT_PEER_ABSENT)
		return true;
	if (!s->was_told)
		output_note(&p->output, "%s; waiting", s->error.text);
	s->was_told = true;
	ask_again_later(p, s);
	return false;
}

static void begin_search(struct program *p, struct search *s)
{
	s->request = clawchat_find(p->client, s->who);
	ask_again_later(p, s);
}

int program_find(struct program *p, const char *who, struct clawchat_peer_id *out)
{
	struct clawchat_event event;
	struct search s = { .who = who };
	int code = 0;
	client_loop_set_timeout(&p->loop, p->options.timeout_s);
	s.end_ms = p->loop.deadline_ms;
	begin_search(p, &s);
	for (;;) {
		enum program_wake wake = program_wait(p, &event, &code);
		if (wake == PROGRAM_END)
			return code;
		if (wake == PROGRAM_TIMEOUT) {
			if (s.end_ms != 0 && client_loop_now_ms() >= s.end_ms)
				return search_ended(p, &s);
			begin_search(p, &s);
		}
		if (wake != PROGRAM_EVENT)
			continue;
		show_event(p, &event);
		if (event.request != s.request)
			continue;
		if (event.type == CLAWCHAT_EVENT_FOUND) {
			*out = event.peer;
			client_loop_set_timeout(&p->loop, 0);
			return 0;
		}
		if (event.type == CLAWCHAT_EVENT_NOT_FOUND && take_not_found(p, &s, &event))
			return program_error(p, &s.error);
	}
}

static bool is_namesake(const struct clawchat_contact *one, const struct clawchat_contact *other)
{
	return memcmp(&one->id, &other->id, sizeof(one->id)) != 0 &&
	       strcmp(one->name, other->name) == 0;
}

static bool has_namesake(const struct clawchat *c, const struct clawchat_contact *contact)
{
	struct clawchat_contact other;
	for (size_t i = 0; clawchat_contact_at(c, i, &other); i++)
		if (is_namesake(contact, &other))
			return true;
	return false;
}

const char *program_label(const struct program *p, const struct clawchat_peer_id *id,
			  char out[LABEL_SIZE])
{
	struct clawchat_contact contact;
	char text[CLAWCHAT_PEER_ID_TEXT], name[CLAWCHAT_NAME_SIZE * 3];
	clawchat_id_text(id, text);
	if (!clawchat_get_contact(p->client, id, &contact) || *contact.name == '\0')
		snprintf(out, LABEL_SIZE, "%.*s", ID_BEGINNING, text);
	else if (has_namesake(p->client, &contact))
		snprintf(out, LABEL_SIZE, "%s (%.*s)",
			 safe_text_line(contact.name, name, sizeof(name)), ID_BEGINNING, text);
	else
		safe_text_line(contact.name, out, LABEL_SIZE);
	return out;
}
