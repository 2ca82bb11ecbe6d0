#pragma once
/*
 * Mailbox: a bounded queue of fixed-size items from any thread to one thread (the sequence-number
 * ring of Vyukov). Never blocks: a full mailbox says so, and the caller counts it.
 *
 * The reader is woken by whatever the owner waits on; see the `wake` hook.
 */
#include "crypto/bytes.h"

struct mailbox;

struct mailbox_config {
	size_t item_size;          /* bytes copied per item */
	size_t capacity;           /* power of two */
	void (*wake)(void *state); /* called by put() when the reader may be waiting; NULL: none */
	void *wake_state;
};

struct mailbox *mailbox_create(const struct mailbox_config *config) MUST_CHECK; /* NULL: memory */
void mailbox_destroy(struct mailbox *m);

/* Any thread. False: full. */
bool mailbox_put(struct mailbox *m, const void *item) MUST_CHECK;

/* Owner only. False: empty. */
bool mailbox_get(struct mailbox *m, void *item) MUST_CHECK;

/* Items waiting, within what others put meanwhile. Owner only. */
size_t mailbox_count(const struct mailbox *m);
