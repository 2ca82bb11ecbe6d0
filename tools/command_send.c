/* clawchat send: a message and files, done only when they have arrived. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/safe_text.h"
#include "tools/show.h"

/* What is on its way: one message or one file at a time. */
struct shipment {
	struct clawchat_peer_id to;
	const char *who;   /* as the user calls the peer */
	const char *what;  /* "message", or the file */
	uint64_t message;  /* 0: none */
	uint32_t transfer; /* 0: none */
};

/* ---- before anything is sent ------------------------------------------------------------ */

static int check_file(struct program *p, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		bool is_refused = errno == EACCES || errno == EPERM;
		return output_error(&p->output, is_refused ? CLAWCHAT_PERMISSION : CLAWCHAT_IO,
				    "file %s: %s", path, strerror(errno));
	}
	int result = fstat(fd, &status);
	close(fd);
	if (result != 0 || !S_ISREG(status.st_mode))
		return output_error(&p->output, CLAWCHAT_USAGE,
				    "file %s: not a regular file; pack folders first", path);
	return 0;
}

/* All of standard input; NULL: the error has been told. */
static char *read_input(struct program *p)
{
	size_t used = 0;
	char *text = malloc(CLAWCHAT_TEXT_MAX + 2);
	while (text != NULL && used <= CLAWCHAT_TEXT_MAX) {
		ssize_t size = read(STDIN_FILENO, text + used, CLAWCHAT_TEXT_MAX + 1 - used);
		if (size <= 0)
			break;
		used += (size_t)size;
	}
	if (text == NULL)
		return NULL;
	while (used > 0 && text[used - 1] == '\n')
		used--; /* what echo adds */
	text[used] = '\0';
	const char *problem = used == 0                ? "it is empty" :
			      used > CLAWCHAT_TEXT_MAX ? "it is too long; send it as a file" :
			      strlen(text) < used      ? "it is not text; send it as a file" :
							 NULL;
	if (problem == NULL)
		return text;
	output_error(&p->output, CLAWCHAT_USAGE, "message on standard input: %s", problem);
	free(text);
	return NULL;
}

static int check_arguments(struct program *p)
{
	const struct cli_options *o = &p->options;
	int code = 0;
	if (o->argument_count == 1 && o->message == NULL)
		return output_error(&p->output, CLAWCHAT_USAGE,
				    "nothing to send: name a file, or give a message with -m "
				    "(-m - reads it from standard input)");
	for (int i = 1; i < o->argument_count && code == 0; i++)
		code = check_file(p, o->arguments[i]);
	return code;
}

/* ---- waiting ---------------------------------------------------------------------------- */

enum fate { FATE_OPEN, FATE_ARRIVED, FATE_FAILED };

static enum fate fate_of_message(const struct shipment *s, const struct clawchat_event *event)
{
	if (event->type != CLAWCHAT_EVENT_DELIVERY || event->message != s->message)
		return FATE_OPEN;
	switch (event->delivery) {
	case CLAWCHAT_DELIVERED:
	case CLAWCHAT_READ: return FATE_ARRIVED;
	case CLAWCHAT_UNDELIVERED: return FATE_FAILED;
	default: return FATE_OPEN;
	}
}

static enum fate fate_of(const struct shipment *s, const struct clawchat_event *event)
{
	bool is_peer = memcmp(&event->peer, &s->to, sizeof(s->to)) == 0;
	if (event->type == CLAWCHAT_EVENT_PEER_CHANGED && is_peer)
		return FATE_FAILED;
	if (s->message != 0)
		return fate_of_message(s, event);
	if (event->transfer != s->transfer)
		return FATE_OPEN;
	if (event->type == CLAWCHAT_EVENT_FILE_DONE)
		return FATE_ARRIVED;
	return event->type == CLAWCHAT_EVENT_FILE_FAILED ? FATE_FAILED : FATE_OPEN;
}

static int failure(struct program *p, const struct shipment *s, const struct clawchat_event *event)
{
	char why[CLAWCHAT_ERROR_SIZE];
	int code = event->type == CLAWCHAT_EVENT_PEER_CHANGED ? CLAWCHAT_PEER_CHANGED :
		   event->result != CLAWCHAT_OK               ? (int)event->result :
								CLAWCHAT_FAILED;
	return output_error(&p->output, code, "%s to %s: not delivered: %s", s->what, s->who,
			    safe_text_line(event->text != NULL ? event->text : "no reason given",
					   why, sizeof(why)));
}

static bool is_peer_here(const struct program *p, const struct shipment *s)
{
	struct clawchat_contact contact;
	return clawchat_get_contact(p->client, &s->to, &contact) && contact.is_secure;
}

static int too_late(struct program *p, const struct shipment *s)
{
	unsigned timeout = p->options.timeout_s;
	if (!program_is_connected(p))
		return output_error(&p->output, CLAWCHAT_NO_ANSWER,
				    "%s to %s: not delivered: no answer from the relay for %u s",
				    s->what, s->who, timeout);
	if (is_peer_here(p, s))
		return output_error(&p->output, CLAWCHAT_PEER_ABSENT,
				    "%s to %s: not delivered: it is connected, but has not "
				    "confirmed within %u s",
				    s->what, s->who, timeout);
	return output_error(&p->output, CLAWCHAT_PEER_ABSENT,
			    "%s to %s: not delivered: not connected within %u s; try again when "
			    "it is, or wait longer with --timeout",
			    s->what, s->who, timeout);
}

/* A peer that is here may think about a file as long as it likes; one that is away may not. */
static void set_patience(struct program *p, const struct shipment *s,
			 const struct clawchat_event *event)
{
	if (s->transfer == 0)
		return;
	bool is_flowing = event->type == CLAWCHAT_EVENT_FILE_PROGRESS && !event->is_hashing;
	if (event->type == CLAWCHAT_EVENT_PEER_UP || is_flowing)
		client_loop_set_timeout(&p->loop, 0);
	if (event->type == CLAWCHAT_EVENT_PEER_DOWN || event->type == CLAWCHAT_EVENT_DISCONNECTED)
		client_loop_set_timeout(&p->loop, p->options.timeout_s);
}

static int wait_for(struct program *p, const struct shipment *s)
{
	struct clawchat_event event;
	int code = 0;
	client_loop_set_timeout(&p->loop,
				s->transfer != 0 && is_peer_here(p, s) ? 0 : p->options.timeout_s);
	for (;;) {
		switch (program_wait(p, &event, &code)) {
		case PROGRAM_EVENT: break;
		case PROGRAM_TIMEOUT: return too_late(p, s);
		case PROGRAM_END: return code;
		default: continue;
		}
		enum fate fate = fate_of(s, &event);
		if (fate == FATE_FAILED)
			return failure(p, s, &event);
		show_event(p, &event);
		if (fate == FATE_ARRIVED)
			return 0;
		set_patience(p, s, &event);
	}
}

/* ---- the command ------------------------------------------------------------------------ */

static int send_message(struct program *p, struct shipment *s, const char *text)
{
	struct clawchat_error error;
	s->what = "message";
	s->transfer = 0;
	if (clawchat_send_text(p->client, &s->to, text, &s->message, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	int code = wait_for(p, s);
	if (code == 0)
		output_line(&p->output, "message to %s: delivered", s->who);
	return code;
}

static int send_file(struct program *p, struct shipment *s, const char *path)
{
	struct clawchat_error error;
	const char *slash = strrchr(path, '/');
	s->what = path;
	s->message = 0;
	if (clawchat_send_file(p->client, &s->to, path, &s->transfer, &error) != CLAWCHAT_OK)
		return program_error(p, &error);
	struct transfer *t =
		transfers_add(&p->transfers, s->transfer, slash != NULL ? slash + 1 : path);
	if (t != NULL)
		t->is_outgoing = true;
	return wait_for(p, s);
}

static int send_all(struct program *p, const char *text)
{
	const struct cli_options *o = &p->options;
	struct shipment s = { .who = o->arguments[0] };
	int code = program_open(p);
	if (code == 0)
		code = program_connect(p);
	if (code == 0)
		code = program_find(p, s.who, &s.to);
	if (code == 0 && text != NULL)
		code = send_message(p, &s, text);
	for (int i = 1; i < o->argument_count && code == 0; i++)
		code = send_file(p, &s, o->arguments[i]);
	return code;
}

int command_send(struct program *p)
{
	const char *message = p->options.message;
	char *input = NULL;
	int code = check_arguments(p);
	if (code != 0)
		return code;
	if (message != NULL && strcmp(message, "-") == 0) {
		input = read_input(p);
		if (input == NULL)
			return CLAWCHAT_USAGE;
		message = input;
	}
	code = send_all(p, message);
	free(input);
	return code;
}
