#pragma once
/*
 * Session table: an array indexed by slot. An entry is published by one release store and found
 * by one acquire load; slot plus generation make a stale id harmless.
 *
 * table_find(): any thread, lock-free. Everything else: the keeper. An entry taken out with
 * table_remove() may still be in other threads' hands; table_free() it only after each of them
 * has passed a quiet point.
 */
#include "core/session.h"

struct table;

struct table_config {
	uint32_t slots;    /* at most SESSIONS_MAX */
	size_t entry_size; /* bytes per entry; begins with struct session; the keeper's own
				    state lies behind it. At least sizeof(struct session). */
};

struct table *table_create(const struct table_config *config) MUST_CHECK; /* NULL: memory */
void table_destroy(struct table *t); /* wipes and frees every entry */

/* Any thread. NULL: no such session. */
struct session *table_find(const struct table *t, struct session_id id);
void table_prefetch(const struct table *t, uint32_t slot);

/* A zeroed entry with a fresh id (never the id of an earlier session), not yet to be found.
 * NULL: the table is full. Slots are reused as late as possible. */
struct session *table_reserve(struct table *t, const struct random_source *random) MUST_CHECK;
void table_publish(struct table *t, struct session *s);
void table_remove(struct table *t, struct session *s);
void table_free(struct table *t, struct session *s); /* wipes; also for a reserved entry */

uint32_t table_slots(const struct table *t); /* as created; any thread */
uint32_t table_count(const struct table *t); /* published; any thread */

/* Walk over the published entries: start with *cursor = 0; NULL at the end. Keeper. */
struct session *table_next(const struct table *t, uint32_t *cursor);
