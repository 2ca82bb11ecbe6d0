/* Chat messages: kept until the peer has them, told again after a lost association. */
#include <stdlib.h>

#include "client/client.h"
#include "core/text.h"
#include "net/clock.h"

static void tell_delivery(struct clawchat *c, const struct tunnel *t, uint64_t id,
			  enum clawchat_delivery delivery, const char *why)
{
	struct clawchat_event event = {
		.type = CLAWCHAT_EVENT_DELIVERY,
		.message = id,
		.delivery = delivery,
		.text = why,
	};
	memcpy(event.peer.bytes, t->id, PEER_ID_SIZE);
	events_put(c, &event);
}

enum clawchat_result clawchat_send_text(struct clawchat *c, const struct clawchat_peer_id *to,
					const char *text, uint64_t *message,
					struct clawchat_error *error)
{
	size_t length = strlen(text);
	if (length == 0 || length > CLAWCHAT_TEXT_MAX)
		return client_error(error, CLAWCHAT_USAGE,
				    "message: %zu bytes; 1 to %d are possible", length,
				    CLAWCHAT_TEXT_MAX);
	if (!text_is_valid(view_of(text, length)))
		return client_error(error, CLAWCHAT_USAGE,
				    "message: not UTF-8; send other bytes as a file");
	struct tunnel *t = tunnel_need(c, to->bytes);
	if (t == NULL)
		return client_error(error, CLAWCHAT_FAILED, "message: too many peers at once");
	if (t->text_count == TEXTS_UNDELIVERED_MAX)
		return client_error(error, CLAWCHAT_FAILED,
				    "message: %d messages are waiting for that peer already",
				    TEXTS_UNDELIVERED_MAX);
	struct outgoing_text *item = calloc(1, sizeof(*item));
	char *copy = strdup(text);
	if (item == NULL || copy == NULL) {
		free(item);
		free(copy);
		return client_error(error, CLAWCHAT_FAILED, "message: out of memory");
	}
	random_fill(&c->random, &item->id, sizeof(item->id));
	item->time_ms = clock_now().wall_ns / NS_PER_MS;
	item->state = CLAWCHAT_QUEUED;
	item->text = copy;
	struct outgoing_text **end = &t->texts;
	while (*end != NULL)
		end = &(*end)->next;
	*end = item;
	t->text_count++;
	*message = item->id;
	return CLAWCHAT_OK;
}

void clawchat_mark_read(struct clawchat *c, const struct clawchat_peer_id *from, uint64_t id)
{
	struct tunnel *t = tunnel_find(c, from->bytes);
	const struct message receipt = { .type = MESSAGE_RECEIPT,
					 .id = id,
					 .receipt = RECEIPT_READ };
	/* A receipt that cannot go now is not worth a queue: "delivered" stays true. */
	if (t != NULL && tunnel_is_up(t) && !tunnel_send(t, 0, &receipt))
		return;
}

void texts_advance(struct clawchat *c, struct tunnel *t)
{
	for (struct outgoing_text *item = t->texts; item != NULL; item = item->next) {
		if (item->state != CLAWCHAT_QUEUED)
			continue;
		const struct message m = {
			.type = MESSAGE_TEXT,
			.id = item->id,
			.time_ms = item->time_ms,
			.body = view_of(item->text, strlen(item->text)),
		};
		if (!tunnel_is_up(t) || !tunnel_send(t, 0, &m))
			return;
		item->state = CLAWCHAT_SENT;
		tell_delivery(c, t, item->id, CLAWCHAT_SENT, NULL);
	}
}

void texts_restart(struct tunnel *t)
{
	for (struct outgoing_text *item = t->texts; item != NULL; item = item->next)
		item->state = CLAWCHAT_QUEUED;
}

static void drop(struct tunnel *t, struct outgoing_text **place)
{
	struct outgoing_text *item = *place;
	*place = item->next;
	bytes_wipe(item->text, strlen(item->text));
	free(item->text);
	free(item);
	t->text_count--;
}

void texts_clear(struct clawchat *c, struct tunnel *t, const char *why)
{
	while (t->texts != NULL) {
		if (why != NULL)
			tell_delivery(c, t, t->texts->id, CLAWCHAT_UNDELIVERED, why);
		drop(t, &t->texts);
	}
}

static void take_receipt(struct clawchat *c, struct tunnel *t, const struct message *m)
{
	for (struct outgoing_text **place = &t->texts; *place != NULL; place = &(*place)->next) {
		if ((*place)->id != m->id)
			continue;
		drop(t, place);
		break;
	}
	tell_delivery(c, t, m->id, m->receipt == RECEIPT_READ ? CLAWCHAT_READ : CLAWCHAT_DELIVERED,
		      NULL);
}

static bool was_seen(struct tunnel *t, uint64_t id)
{
	for (size_t i = 0; i < TEXTS_REMEMBERED; i++)
		if (t->seen[i] == id)
			return true;
	t->seen[t->seen_next] = id;
	t->seen_next = (t->seen_next + 1) % TEXTS_REMEMBERED;
	return false;
}

static void take_text(struct clawchat *c, struct tunnel *t, const struct message *m)
{
	const struct message receipt = { .type = MESSAGE_RECEIPT,
					 .id = m->id,
					 .receipt = RECEIPT_DELIVERED };
	const struct contact *contact = contacts_find(&c->contacts, t->id);
	if (!was_seen(t, m->id)) {
		char *text = strndup((const char *)m->body.data, m->body.size);
		struct clawchat_event event = {
			.type = CLAWCHAT_EVENT_TEXT,
			.message = m->id,
			.time_ms = m->time_ms,
			.text = text,
			.name = contact != NULL ? contact->name : "",
		};
		memcpy(event.peer.bytes, t->id, PEER_ID_SIZE);
		events_put(c, &event);
		free(text);
	}
	/* Where the receipt cannot go, the sender tells the text again: it is remembered. */
	if (!tunnel_send(t, 0, &receipt))
		return;
}

void texts_take(struct clawchat *c, struct tunnel *t, const struct message *m)
{
	if (m->type == MESSAGE_TEXT)
		take_text(c, t, m);
	else
		take_receipt(c, t, m);
}
