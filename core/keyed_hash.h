#pragma once
/*
 * Keyed hash for tables: SipHash-2-4 (Aumasson and Bernstein, 2012). Peers choose their ids, so
 * without a key of ours they could choose them to share one bucket. Not for authentication.
 *
 * Pure; any thread.
 */
#include "crypto/bytes.h"
#include "crypto/random.h"

struct hash_seed {
	uint64_t words[2];
};

struct hash_seed hash_seed_make(const struct random_source *random);

uint64_t keyed_hash(const struct hash_seed *seed, struct view data);
