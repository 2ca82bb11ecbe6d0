/* What happens in a chat: a line for what matters, the prompt for what passes. */
#include <stdio.h>
#include <string.h>

#include "tools/chat.h"
#include "tools/quantity.h"
#include "tools/safe_text.h"
#include "tools/show.h"
#include "tools/words.h"

enum {
	NEWS_SIZE = 160,
	TRANSFER_NAME_COLUMNS = 20,
};

static bool is_current(const struct chat *chat, const struct clawchat_peer_id *peer)
{
	return chat->has_peer && memcmp(&chat->peer, peer, sizeof(*peer)) == 0;
}

void chat_set_peer(struct chat *chat, const struct clawchat_peer_id *peer)
{
	struct program *p = chat->program;
	char label[LABEL_SIZE];
	chat->peer = *peer;
	chat->has_peer = true;
	output_note(&p->output, "talking with %s", program_label(p, peer, label));
	(void)clawchat_ask_peers(p->client); /* whether it is here: told when known */
}

/* ---- events ----------------------------------------------------------------------------- */

static void tell_presence(struct chat *chat)
{
	struct program *p = chat->program;
	struct clawchat_contact contact;
	char label[LABEL_SIZE];
	if (!chat->has_peer || !clawchat_get_contact(p->client, &chat->peer, &contact) ||
	    contact.is_secure)
		return;
	output_note(&p->output, "%s is %s", program_label(p, &chat->peer, label),
		    contact.is_present ? "connected" : "not connected: messages wait here");
}

static void take_delivery(struct chat *chat, const struct clawchat_event *event)
{
	char why[CLAWCHAT_ERROR_SIZE];
	const struct chat_message *message =
		chat_messages_update(&chat->messages, event->message, event->delivery);
	if (message == NULL || event->delivery != CLAWCHAT_UNDELIVERED)
		return; /* the prompt tells */
	if (chat->code == 0)
		chat->code = event->result != CLAWCHAT_OK ? (int)event->result : CLAWCHAT_FAILED;
	output_warning(&chat->program->output, "not delivered: \"%s\": %s", message->excerpt,
		       safe_text_line(event->text != NULL ? event->text : "", why, sizeof(why)));
}

static void take_text(struct chat *chat, const struct clawchat_event *event)
{
	if (!chat->has_peer)
		chat_set_peer(chat, &event->peer);
	show_event(chat->program, event);
	clawchat_mark_read(chat->program->client, &event->peer, event->message);
}

static void take_offer(struct chat *chat, const struct clawchat_event *event)
{
	struct program *p = chat->program;
	show_event(p, event);
	if (chat->is_on_terminal)
		output_note(&p->output, "  /accept %u takes it, /refuse %u does not",
			    event->transfer, event->transfer);
}

static void take_search(struct chat *chat, const struct clawchat_event *event)
{
	char why[CLAWCHAT_ERROR_SIZE];
	if (event->request != chat->search)
		return;
	chat->search = 0;
	if (event->type == CLAWCHAT_EVENT_FOUND)
		chat_set_peer(chat, &event->peer);
	else
		output_warning(&chat->program->output, "%s",
			       safe_text_line(event->text != NULL ? event->text : "not found", why,
					      sizeof(why)));
}

void chat_take_event(struct chat *chat, const struct clawchat_event *event)
{
	switch (event->type) {
	case CLAWCHAT_EVENT_TEXT: take_text(chat, event); break;
	case CLAWCHAT_EVENT_DELIVERY: take_delivery(chat, event); break;
	case CLAWCHAT_EVENT_FILE_OFFER: take_offer(chat, event); break;
	case CLAWCHAT_EVENT_FOUND:
	case CLAWCHAT_EVENT_NOT_FOUND: take_search(chat, event); break;
	case CLAWCHAT_EVENT_PEERS: tell_presence(chat); break;
	case CLAWCHAT_EVENT_FILE_PROGRESS:
		if (chat->is_on_terminal)
			show_keep_progress(chat->program, event); /* the prompt shows it */
		else
			show_event(chat->program, event);
		break;
	case CLAWCHAT_EVENT_PEER_CHANGED:
		if (is_current(chat, &event->peer))
			chat->code = CLAWCHAT_PEER_CHANGED;
		show_event(chat->program, event);
		break;
	default: show_event(chat->program, event); break;
	}
}

/* ---- the prompt ------------------------------------------------------------------------- */

/* "photo.jpg 63% 12.3 MiB/s 0:02 left" */
static void describe_transfer(const struct transfer *t, char out[NEWS_SIZE])
{
	char rate[QUANTITY_SIZE], left[QUANTITY_SIZE], name[TRANSFER_NAME_COLUMNS + 1];
	const struct progress progress = { .done = t->done, .size = t->size };
	int used = snprintf(out, NEWS_SIZE, "%s ", safe_text_line(t->name, name, sizeof(name)));
	if (t->started_ms == 0) {
		snprintf(out + used, NEWS_SIZE - (size_t)used,
			 t->is_hashing ? "is being read" : "waits");
		return;
	}
	used += snprintf(out + used, NEWS_SIZE - (size_t)used, "%u%%", progress_percent(&progress));
	if (t->rate > 0 && t->size > t->done)
		snprintf(out + used, NEWS_SIZE - (size_t)used, " %s %s left",
			 quantity_rate(t->rate, rate),
			 quantity_span((t->size - t->done) / t->rate + 1, left));
}

void chat_prompt(struct chat *chat, char out[CHAT_PROMPT_SIZE])
{
	struct program *p = chat->program;
	char label[LABEL_SIZE], messages[NEWS_SIZE], file[NEWS_SIZE] = "";
	const struct transfer *running = transfers_running(&p->transfers);
	const char *away = program_is_connected(p) ? "" : "not connected";
	chat_messages_summary(&chat->messages, messages, sizeof(messages));
	if (running != NULL)
		describe_transfer(running, file);
	const char *news[] = { away, file, messages };
	int used = snprintf(out, CHAT_PROMPT_SIZE, "%s",
			    chat->has_peer ? program_label(p, &chat->peer, label) : "(nobody)");
	const char *separator = " [";
	for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++) {
		if (*news[i] == '\0')
			continue;
		used += snprintf(out + used, CHAT_PROMPT_SIZE - (size_t)used, "%s%s", separator,
				 news[i]);
		separator = ", ";
	}
	snprintf(out + used, CHAT_PROMPT_SIZE - (size_t)used, "%s> ",
		 strcmp(separator, ", ") == 0 ? "]" : "");
}

/* ---- the end ---------------------------------------------------------------------------- */

void chat_tell_undelivered(struct chat *chat)
{
	const struct chat_message *message;
	for (size_t i = 0; (message = chat_messages_at(&chat->messages, i)) != NULL; i++) {
		if (message->delivery != CLAWCHAT_QUEUED && message->delivery != CLAWCHAT_SENT)
			continue;
		output_warning(&chat->program->output, "not delivered (%s): \"%s\"",
			       delivery_word(message->delivery), message->excerpt);
	}
}
