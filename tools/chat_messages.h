#pragma once
/*
 * One's own messages of this chat and what became of each, as far as is known: queued, sent,
 * delivered, read, undelivered. Keeps all that are under way, and the latest of the others.
 *
 * Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/clawchat.h"

enum {
	CHAT_MESSAGES = 256, /* remembered; as many can be under way */
	EXCERPT_SIZE = 48,
};

struct chat_message {
	uint64_t id;
	enum clawchat_delivery delivery;
	bool is_used;
	char excerpt[EXCERPT_SIZE]; /* safe to show */
};

struct chat_messages {
	struct chat_message list[CHAT_MESSAGES]; /* a ring: next is overwritten next */
	size_t next;
};

/* No message more can be taken before one has arrived. */
bool chat_messages_are_full(const struct chat_messages *m);
void chat_messages_add(struct chat_messages *m, uint64_t id, const char *text);

/* What the message is now. A read message is not only delivered again. NULL: not ours. */
const struct chat_message *chat_messages_update(struct chat_messages *m, uint64_t id,
						enum clawchat_delivery delivery);

/* From the oldest; NULL at the end. */
const struct chat_message *chat_messages_at(const struct chat_messages *m, size_t index);

/* Queued or sent: nobody has confirmed them. */
size_t chat_messages_pending(const struct chat_messages *m);

/* "2 queued, 1 sent", else what the latest is; empty when there is none. */
void chat_messages_summary(const struct chat_messages *m, char *out, size_t capacity);
