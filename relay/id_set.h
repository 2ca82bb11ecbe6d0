#pragma once
/*
 * A growing set of 16-byte ids that are hashes (device ids): revoked devices, looked up once per
 * handshake. Not thread-safe; zeros stand for an empty place and are never a member.
 */
#include "crypto/bytes.h"

enum { ID_SIZE = 16 };

struct id_set {
	uint8_t (*ids)[ID_SIZE]; /* open addressing, doubled when 3/4 full */
	size_t capacity;         /* power of two; 0 at first */
	size_t count;
};

void id_set_fini(struct id_set *set);
/* True: it is in now, or was before. False: memory. */
bool id_set_add(struct id_set *set, const uint8_t id[ID_SIZE]) MUST_CHECK;
bool id_set_has(const struct id_set *set, const uint8_t id[ID_SIZE]) MUST_CHECK;
