#pragma once
/*
 * Memory for long-lived keys: one arena, left out of core dumps, zeroed in a forked child,
 * locked where the limit allows, wiped on put. Alignment 64.
 *
 * Guarded by an internal lock; any thread, never on the packet path.
 */
#include "crypto/bytes.h"

/* Also: no core dumps, not traceable by others. Call once, early in main(). */
void secret_harden_process(void);

/* NULL: out of memory. Zeroed. */
void *secret_create(size_t size) MUST_CHECK;
/* Wipes, then frees; NULL is allowed. */
void secret_destroy(void *secret, size_t size);

/* False where the arena could not be locked into memory (RLIMIT_MEMLOCK) or kept out of dumps
 * and forks: worth a warning. */
bool secret_is_locked(void);
