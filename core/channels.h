#pragma once
/*
 * Channels: pairs of numbers that join two sessions. Each end has a number of its own; the
 * entry of that number names its owner, the other end's session and the other end's number.
 *
 * channels_find(): any thread, lock-free (owner is stored last with release, read first with
 * acquire and once more after the rest; a reused number never shows a mixture to its owner).
 * The rest: the keeper.
 */
#include "core/session.h"

struct channels;

struct channel_end {
	struct session_id session;
	uint32_t number;
};

struct channels *channels_create(uint32_t capacity) MUST_CHECK; /* NULL: memory */
void channels_destroy(struct channels *c);

/* The other end of `number`, if `owner` owns it and it is open. Any thread. */
bool channels_find(const struct channels *c, uint32_t number, struct session_id owner,
		   struct channel_end *other) MUST_CHECK;
void channels_prefetch(const struct channels *c, uint32_t number);

/* Take a free number (reused as late as possible); false: none. Not yet to be found. */
bool channels_take(struct channels *c, uint32_t *number) MUST_CHECK;
void channels_join(struct channels *c, struct channel_end a, struct channel_end b);
void channels_part(struct channels *c, uint32_t number); /* find() fails from now on */
void channels_give_back(struct channels *c, uint32_t number);
uint32_t channels_capacity(const struct channels *c); /* numbers are 1 to this; any thread */
uint32_t channels_count(const struct channels *c);    /* numbers in use; any thread */
