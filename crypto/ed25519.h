#pragma once
/* Ed25519 (RFC 8032), pure. Any thread; sign 80 us, verify 110 us: never on a worker. */
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

bool ed25519_verify(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
		    const uint8_t signature[ED25519_SIGNATURE_SIZE]) MUST_CHECK;

/* True for a usable key: a canonical point that is not of small order (libcrypto's verify
 * accepts those). Check once, when a key is first met and before it is pinned. */
bool ed25519_public_is_sound(const uint8_t public[ED25519_PUBLIC_SIZE]) MUST_CHECK;

/* Both in one, 10 us cheaper: a signature is right, and its key is sound. */
bool ed25519_verify_sound(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
			  const uint8_t signature[ED25519_SIGNATURE_SIZE]) MUST_CHECK;
