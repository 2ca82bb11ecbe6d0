#pragma once
/*
 * Seen: a bounded memory of handshakes' ephemeral keys, so that a recorded HELLO sent again is
 * recognised before it costs an answer. Ids are hashed under a key of ours, so that nobody can
 * aim at one bucket to push an id out of it.
 *
 * A bucket keeps the latest SEEN_WAYS ids that fell into it: an id is forgotten after about as
 * many others as the whole table holds.
 *
 * Owner: one thread. seen_create() alone allocates.
 */
#include "core/keyed_hash.h"

enum { SEEN_WAYS = 16 };

struct seen;

/* `capacity` ids: a power of two, at least SEEN_WAYS. NULL: memory. */
struct seen *seen_create(uint32_t capacity, const struct random_source *random) MUST_CHECK;
void seen_destroy(struct seen *s);

bool seen_has(const struct seen *s, uint64_t id) MUST_CHECK;
void seen_add(struct seen *s, uint64_t id);
