#include "tools/chat_messages.h"

#include <stdio.h>

#include "tools/safe_text.h"
#include "tools/words.h"

static bool is_pending(const struct chat_message *message)
{
	return message->is_used &&
	       (message->delivery == CLAWCHAT_QUEUED || message->delivery == CLAWCHAT_SENT);
}

/* In the order they were written, the place that is overwritten next is the oldest. */
bool chat_messages_are_full(const struct chat_messages *m)
{
	return is_pending(&m->list[m->next]);
}

void chat_messages_add(struct chat_messages *m, uint64_t id, const char *text)
{
	struct chat_message *message = &m->list[m->next];
	*message = (struct chat_message){ .id = id, .is_used = true };
	safe_text_line(text, message->excerpt, EXCERPT_SIZE);
	m->next = (m->next + 1) % CHAT_MESSAGES;
}

const struct chat_message *chat_messages_update(struct chat_messages *m, uint64_t id,
						enum clawchat_delivery delivery)
{
	for (size_t i = 0; i < CHAT_MESSAGES; i++) {
		struct chat_message *message = &m->list[i];
		if (!message->is_used || message->id != id)
			continue;
		if (message->delivery != CLAWCHAT_READ)
			message->delivery = delivery;
		return message;
	}
	return NULL;
}

const struct chat_message *chat_messages_at(const struct chat_messages *m, size_t index)
{
	for (size_t i = 0; i < CHAT_MESSAGES; i++) {
		const struct chat_message *message = &m->list[(m->next + i) % CHAT_MESSAGES];
		if (message->is_used && index-- == 0)
			return message;
	}
	return NULL;
}

static size_t count(const struct chat_messages *m, enum clawchat_delivery delivery)
{
	size_t found = 0;
	for (size_t i = 0; i < CHAT_MESSAGES; i++)
		found += m->list[i].is_used && m->list[i].delivery == delivery;
	return found;
}

size_t chat_messages_pending(const struct chat_messages *m)
{
	return count(m, CLAWCHAT_QUEUED) + count(m, CLAWCHAT_SENT);
}

void chat_messages_summary(const struct chat_messages *m, char *out, size_t capacity)
{
	size_t queued = count(m, CLAWCHAT_QUEUED), sent = count(m, CLAWCHAT_SENT);
	const struct chat_message *latest = &m->list[(m->next + CHAT_MESSAGES - 1) % CHAT_MESSAGES];
	if (queued + sent <= 1)
		snprintf(out, capacity, "%s",
			 queued > 0      ? delivery_word(CLAWCHAT_QUEUED) :
			 sent > 0        ? delivery_word(CLAWCHAT_SENT) :
			 latest->is_used ? delivery_word(latest->delivery) :
					   "");
	else if (sent == 0)
		snprintf(out, capacity, "%zu queued", queued);
	else if (queued == 0)
		snprintf(out, capacity, "%zu sent", sent);
	else
		snprintf(out, capacity, "%zu queued, %zu sent", queued, sent);
}
