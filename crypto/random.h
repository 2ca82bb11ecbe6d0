#pragma once
/*
 * Random bytes. Code in core/ never asks the system: it is given a source, so that a
 * scenario can be run again from its seed.
 */
#include "crypto/bytes.h"

struct random_source {
	void (*fill)(void *state, void *out, size_t size);
	void *state;
};

/* The operating system's generator through libcrypto; aborts where that fails, since
 * nothing may go on with predictable keys. Any thread. */
struct random_source random_system(void);

static inline void random_fill(const struct random_source *source, void *out, size_t size)
{
	source->fill(source->state, out, size);
}

/* Seeded and repeatable, for tests and load only: AES-256-CTR keyed by the seed. */
struct random_seeded {
	uint8_t key[32];
	uint64_t block;
	uint8_t buffer[256];
	size_t used;
};
struct random_source random_seeded_init(struct random_seeded *state, uint64_t seed);

/* Unbiased number in 0 .. bound-1 (rejection sampling); bound > 0. */
uint32_t random_below(const struct random_source *source, uint32_t bound);
