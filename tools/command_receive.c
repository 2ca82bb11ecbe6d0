/* clawchat receive: waits for messages and files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/ask.h"
#include "tools/commands.h"
#include "tools/quantity.h"
#include "tools/safe_text.h"
#include "tools/show.h"

enum {
	LINGER_MS = 500, /* receipts reach the sender, repeated if need be */
};

struct reception {
	const char *folder;
	bool has_from;
	struct clawchat_peer_id from;
	unsigned count; /* of what has come: messages, files */
	uint32_t asked; /* transfer that the user is asked about; 0: none */
	int code;       /* of a file that failed */
};

static int check_folder(struct program *p, const char *folder)
{
	struct stat status;
	if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
		errno = ENOTDIR;
	else if (access(folder, W_OK | X_OK) == 0)
		return 0;
	return output_error(&p->output, errno == EACCES ? CLAWCHAT_PERMISSION : CLAWCHAT_IO,
			    "folder %s: %s; --into names another one", folder, strerror(errno));
}

static bool is_expected(const struct reception *r, const struct clawchat_peer_id *peer)
{
	return !r->has_from || memcmp(&r->from, peer, sizeof(r->from)) == 0;
}

/* ---- offers ----------------------------------------------------------------------------- */

static void accept_offer(struct program *p, const struct reception *r, struct transfer *t)
{
	struct clawchat_error error;
	t->is_accepted = true;
	if (clawchat_accept_file(p->client, t->number, r->folder, &error) == CLAWCHAT_OK)
		return;
	output_warning(&p->output, "%s", error.text);
	clawchat_refuse_file(p->client, t->number);
	transfers_remove(&p->transfers, t->number);
}

static void refuse_offer(struct program *p, const struct transfer *t, const char *why)
{
	output_note(&p->output, "%s: refused%s", t->name, why);
	clawchat_refuse_file(p->client, t->number);
	transfers_remove(&p->transfers, t->number);
}

/* One question at a time. */
static void ask_next(struct program *p, struct reception *r)
{
	char size[QUANTITY_SIZE], label[LABEL_SIZE];
	const struct transfer *t = transfers_oldest_offer(&p->transfers);
	if (r->asked != 0 || t == NULL)
		return;
	r->asked = t->number;
	output_bar_clear(&p->output);
	fprintf(stderr, "Accept %s (%s) from %s? [y/N] ", t->name, quantity_bytes(t->size, size),
		program_label(p, &t->peer, label));
}

static void take_answer(struct program *p, struct reception *r)
{
	bool is_yes = ask_answer_is_yes();
	struct transfer *t = transfers_find(&p->transfers, r->asked);
	if (r->asked == 0 || t == NULL) {
		r->asked = 0;
		return; /* nobody asked, or the offer was withdrawn */
	}
	if (is_yes)
		accept_offer(p, r, t);
	else
		refuse_offer(p, t, "");
	r->asked = 0;
	ask_next(p, r);
}

static void take_offer(struct program *p, struct reception *r, const struct clawchat_event *event)
{
	struct transfer *t = transfers_find(&p->transfers, event->transfer);
	if (t == NULL)
		return; /* refused: too many */
	if (!is_expected(r, &event->peer))
		refuse_offer(p, t, ": only files of --from are taken");
	else if (cli_option_is_given(&p->options, OPTION_ACCEPT))
		accept_offer(p, r, t);
	else if (ask_is_possible())
		ask_next(p, r);
	else
		refuse_offer(p, t, ": there is no terminal to ask on; --accept takes files");
}

/* ---- what comes ------------------------------------------------------------------------- */

/* A message of somebody else than --from is no result, but lost it must not be: its sender has
 * been told that it is here. */
static void show_unexpected(struct program *p, const struct clawchat_event *event)
{
	char label[LABEL_SIZE];
	char *text = safe_text_copy(event->text, "    ");
	if (text != NULL && !p->output.is_json)
		output_warning(&p->output, "not of --from: %s: %s",
			       program_label(p, &event->peer, label), text);
	free(text);
}

static void take_text(struct program *p, struct reception *r, const struct clawchat_event *event)
{
	if (!is_expected(r, &event->peer)) {
		show_unexpected(p, event);
		return;
	}
	show_event(p, event);
	clawchat_mark_read(p->client, &event->peer, event->message);
	r->count++;
}

static void take_event(struct program *p, struct reception *r, const struct clawchat_event *event)
{
	switch (event->type) {
	case CLAWCHAT_EVENT_TEXT: take_text(p, r, event); return;
	case CLAWCHAT_EVENT_FILE_OFFER:
		show_event(p, event);
		take_offer(p, r, event);
		return;
	case CLAWCHAT_EVENT_FILE_DONE: r->count++; break;
	case CLAWCHAT_EVENT_FILE_FAILED:
		r->code = event->result != CLAWCHAT_OK ? (int)event->result : CLAWCHAT_FAILED;
		break;
	default: break;
	}
	show_event(p, event);
}

static bool has_all(const struct program *p, const struct reception *r)
{
	return p->options.count != 0 && r->count >= p->options.count;
}

/* Let the last receipts reach their sender. */
static int linger(struct program *p, struct reception *r)
{
	struct clawchat_event event;
	int code = 0;
	p->loop.input_fd = -1;
	p->loop.deadline_ms = client_loop_now_ms() + LINGER_MS;
	for (;;) {
		enum program_wake wake = program_wait(p, &event, &code);
		if (wake == PROGRAM_EVENT)
			take_event(p, r, &event);
		if (wake == PROGRAM_TIMEOUT || wake == PROGRAM_END)
			return r->code;
	}
}

static int too_late(struct program *p, const struct reception *r)
{
	if (transfers_running(&p->transfers) != NULL)
		return output_error(&p->output, CLAWCHAT_FAILED,
				    "%s: not complete within %u s; what is here is gone on with "
				    "when it is sent again",
				    transfers_running(&p->transfers)->name, p->options.timeout_s);
	if (r->count == 0 || p->options.count != 0)
		return output_error(&p->output, CLAWCHAT_FAILED, "%u of %u came within %u s",
				    r->count, p->options.count != 0 ? p->options.count : 1,
				    p->options.timeout_s);
	return r->code;
}

/* Without --count an interruption is the way to end. */
static int interrupted(struct program *p, const struct reception *r, int code)
{
	bool is_plain_end = p->options.count == 0 && code > EXIT_SIGNAL;
	if (is_plain_end && transfers_running(&p->transfers) == NULL)
		return r->code;
	return code;
}

static int receive(struct program *p, struct reception *r)
{
	struct clawchat_event event;
	int code = 0;
	if (cli_option_is_given(&p->options, OPTION_TIMEOUT))
		client_loop_set_timeout(&p->loop, p->options.timeout_s);
	if (ask_is_possible() && !cli_option_is_given(&p->options, OPTION_ACCEPT))
		p->loop.input_fd = STDIN_FILENO;
	while (!has_all(p, r)) {
		switch (program_wait(p, &event, &code)) {
		case PROGRAM_EVENT: take_event(p, r, &event); break;
		case PROGRAM_INPUT: take_answer(p, r); break;
		case PROGRAM_TIMEOUT: return too_late(p, r);
		case PROGRAM_END: return interrupted(p, r, code);
		case PROGRAM_TERMINAL: break;
		}
	}
	return linger(p, r);
}

int command_receive(struct program *p)
{
	struct reception r = { .folder = p->options.into != NULL ? p->options.into : "." };
	int code = check_folder(p, r.folder);
	if (code == 0)
		code = program_open(p);
	if (code == 0)
		code = program_connect(p);
	if (code == 0 && p->options.from != NULL) {
		code = program_find(p, p->options.from, &r.from);
		r.has_from = code == 0;
	}
	return code != 0 ? code : receive(p, &r);
}
