#pragma once
/* Ed25519 (RFC 8032), pure, by libsodium. Any thread; about 50 us each: never on a worker. */
#include "crypto/random.h"

enum {
	ED25519_SEED_SIZE = 32,
	ED25519_PUBLIC_SIZE = 32,
	ED25519_SIGNATURE_SIZE = 64,
};

struct ed25519_pair {
	uint8_t seed[ED25519_SEED_SIZE];
	uint8_t public[ED25519_PUBLIC_SIZE];
};

void ed25519_generate(struct ed25519_pair *pair, const struct random_source *random);

/* Fill in pair->public from pair->seed. */
void ed25519_derive_public(struct ed25519_pair *pair);

void ed25519_sign(const struct ed25519_pair *pair, struct view message,
		  uint8_t signature[ED25519_SIGNATURE_SIZE]);

/* False also for keys of small order, ones off the curve and ones that are not canonical, whatever
 * the signature. */
bool ed25519_verify(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
		    const uint8_t signature[ED25519_SIGNATURE_SIZE]) MUST_CHECK;

/* True for a usable key: a canonical point of the main subgroup. For keys that are met, and perhaps
 * pinned, without a signature of theirs. */
bool ed25519_public_is_sound(const uint8_t public[ED25519_PUBLIC_SIZE]) MUST_CHECK;
