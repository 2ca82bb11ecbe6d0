#pragma once
/*
 * Header mask: AES-256-ECB over 16-byte headers, whole batches in one call (the idea of
 * QUIC's header protection, RFC 9001 section 5.4, on a block that is unique by itself).
 *
 * Owner: one thread. mask_create() is the only call that allocates.
 */
#include "crypto/bytes.h"

enum {
	MASK_KEY_SIZE = 32,
	MASK_BLOCK_SIZE = 16,
};

enum mask_way {
	MASK_HIDE, /* sender: plain header to wire */
	MASK_SHOW, /* receiver: wire to plain header */
};

struct mask;

/* NULL: out of memory. Usable after the first mask_set_key(). */
struct mask *mask_create(enum mask_way way) MUST_CHECK;
void mask_destroy(struct mask *m);

void mask_set_key(struct mask *m, const uint8_t key[MASK_KEY_SIZE]);

/* `count` blocks, in place, one call into libcrypto. */
void mask_blocks(struct mask *m, uint8_t *blocks, size_t count);
