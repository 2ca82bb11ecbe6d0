#include "tools/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/quantity.h"
#include "tools/safe_text.h"

enum {
	BAR_LINE_SIZE = 512,
	TOLD_STEP = 10, /* without a terminal: a line at each tenth */
	LINE_SIZE = 1024,
	RATE_MIN_MS = 50, /* shorter transfers have no rate worth telling */
};

void show_text(struct program *p, const char *who, const char *text)
{
	char *safe = safe_text_copy(text, "    ");
	if (safe != NULL)
		output_line(&p->output, "%s%s%s: %s", output_bold(&p->output), who,
			    output_plain(&p->output), safe);
	free(safe);
}

static const char *reason(const struct clawchat_event *event, char out[LINE_SIZE])
{
	return safe_text_line(event->text != NULL ? event->text : "no reason given", out,
			      LINE_SIZE);
}

/* ---- files ------------------------------------------------------------------------------ */

void show_keep_progress(struct program *p, const struct clawchat_event *event)
{
	struct transfer *t = transfers_find(&p->transfers, event->transfer);
	if (t == NULL)
		return;
	t->done = event->done;
	t->size = event->size;
	t->rate = event->rate;
	t->is_hashing = event->is_hashing;
	t->is_outgoing = event->is_outgoing;
	if (t->started_ms == 0 && !event->is_hashing) {
		t->started_ms = client_loop_now_ms();
		t->started_done = event->done;
	}
}

static void show_progress(struct program *p, const struct clawchat_event *event)
{
	char line[BAR_LINE_SIZE];
	struct transfer *t = transfers_find(&p->transfers, event->transfer);
	if (t == NULL)
		return;
	show_keep_progress(p, event);
	const struct progress progress = {
		.name = t->name,
		.done = t->done,
		.size = t->size,
		.rate = t->rate,
		.is_hashing = t->is_hashing,
	};
	progress_line(&progress, output_columns() - 1, line, sizeof(line));
	if (p->output.has_bars) {
		output_bar(&p->output, line);
	} else if (!t->is_hashing && progress_percent(&progress) >= t->told_percent + TOLD_STEP) {
		t->told_percent = progress_percent(&progress) / TOLD_STEP * TOLD_STEP;
		progress_line(&progress, 0, line, sizeof(line));
		output_note(&p->output, "%s", line);
	}
}

/* ", 12.3 MiB/s", or nothing. */
static const char *average(const struct transfer *t, const struct clawchat_event *event,
			   char out[QUANTITY_SIZE + 2])
{
	char rate[QUANTITY_SIZE];
	uint64_t elapsed = t->started_ms > 0 ? client_loop_now_ms() - t->started_ms : 0;
	uint64_t bytes = event->size > t->started_done ? event->size - t->started_done : 0;
	uint64_t value = elapsed >= RATE_MIN_MS ? quantity_rate_of(bytes, elapsed) : event->rate;
	if (value == 0)
		return "";
	snprintf(out, QUANTITY_SIZE + 2, ", %s", quantity_rate(value, rate));
	return out;
}

static void show_done(struct program *p, const struct clawchat_event *event)
{
	char name[LINE_SIZE], size[QUANTITY_SIZE], rate[QUANTITY_SIZE + 2];
	char resumed[QUANTITY_SIZE + 32] = "";
	char hash[2 * sizeof(event->sha256) + 1];
	struct transfer unknown = { 0 };
	struct transfer *t = transfers_find(&p->transfers, event->transfer);
	if (t == NULL)
		t = &unknown;
	if (event->resumed_from > 0)
		snprintf(resumed, sizeof(resumed), ", %s of it were there before",
			 quantity_bytes(event->resumed_from, size));
	for (size_t i = 0; i < sizeof(event->sha256); i++)
		snprintf(hash + 2 * i, 3, "%02x", event->sha256[i]);
	output_line(&p->output, "%s %s (%s%s%s), SHA-256 %s",
		    event->is_outgoing ? "sent and verified:" : "received:",
		    safe_text_line(event->file_name != NULL ? event->file_name : t->name, name,
				   sizeof(name)),
		    quantity_bytes(event->size, size), average(t, event, rate), resumed, hash);
	transfers_remove(&p->transfers, event->transfer);
}

static void show_failed(struct program *p, const struct clawchat_event *event)
{
	char why[LINE_SIZE];
	const struct transfer *t = transfers_find(&p->transfers, event->transfer);
	output_warning(&p->output, "file %s: %s", t != NULL ? t->name : "", reason(event, why));
	transfers_remove(&p->transfers, event->transfer);
}

static void show_offer(struct program *p, const struct clawchat_event *event)
{
	char size[QUANTITY_SIZE], label[LABEL_SIZE];
	struct transfer *t = transfers_add(&p->transfers, event->transfer, event->file_name);
	if (t == NULL) {
		clawchat_refuse_file(p->client, event->transfer);
		return;
	}
	t->size = event->size;
	t->peer = event->peer;
	output_note(&p->output, "%s offers %s (%s)", program_label(p, &event->peer, label), t->name,
		    quantity_bytes(event->size, size));
}

/* ---- peers ------------------------------------------------------------------------------ */

static void show_peer_up(struct program *p, const struct clawchat_event *event)
{
	char label[LABEL_SIZE];
	struct clawchat_contact contact = { .path = CLAWCHAT_PATH_NONE };
	(void)clawchat_get_contact(p->client, &event->peer, &contact);
	program_label(p, &event->peer, label);
	output_note(&p->output, "%s is here: encrypted end to end, %s%s", label,
		    contact.path == CLAWCHAT_PATH_DIRECT ? "directly" : "through the relay",
		    contact.is_verified ? ", verified" : "");
	if (event->is_first_contact)
		output_note(&p->output,
			    "%s is met for the first time: compare the safety number "
			    "(clawchat verify; /verify in a chat)",
			    label);
}

static void show_connection(struct program *p, const struct clawchat_event *event)
{
	char why[LINE_SIZE], relay[LABEL_SIZE];
	if (event->type == CLAWCHAT_EVENT_CONNECTED)
		output_note(&p->output, "connected to %s", program_relay(p, relay));
	else
		output_note(&p->output, "not connected: %s; trying again", reason(event, why));
}

void show_event(struct program *p, const struct clawchat_event *event)
{
	char label[LABEL_SIZE], why[LINE_SIZE];
	switch (event->type) {
	case CLAWCHAT_EVENT_CONNECTED:
	case CLAWCHAT_EVENT_DISCONNECTED: show_connection(p, event); break;
	case CLAWCHAT_EVENT_PEER_UP: show_peer_up(p, event); break;
	case CLAWCHAT_EVENT_PEER_DOWN:
		output_note(&p->output, "%s has gone: %s", program_label(p, &event->peer, label),
			    reason(event, why));
		break;
	case CLAWCHAT_EVENT_PEER_CHANGED:
		output_warning(&p->output, "%s %s", program_label(p, &event->peer, label),
			       reason(event, why));
		break;
	case CLAWCHAT_EVENT_TEXT:
		show_text(p, program_label(p, &event->peer, label), event->text);
		break;
	case CLAWCHAT_EVENT_FILE_OFFER: show_offer(p, event); break;
	case CLAWCHAT_EVENT_FILE_PROGRESS: show_progress(p, event); break;
	case CLAWCHAT_EVENT_FILE_DONE: show_done(p, event); break;
	case CLAWCHAT_EVENT_FILE_FAILED: show_failed(p, event); break;
	default: /* asked for by a command, which tells */ break;
	}
}
