#pragma once
/* X25519 (RFC 7748), by libsodium. Any thread; about 30 us each, so never on a worker. */
#include "crypto/random.h"

enum { X25519_SIZE = 32 };

struct x25519_pair {
	uint8_t secret[X25519_SIZE];
	uint8_t public[X25519_SIZE];
};

void x25519_generate(struct x25519_pair *pair, const struct random_source *random);

/* Fill in pair->public from pair->secret. */
void x25519_derive_public(struct x25519_pair *pair);

/* False: the result is all zero (a public key of small order), which is refused; out is zeroed. */
bool x25519_shared(const struct x25519_pair *own, const uint8_t remote[X25519_SIZE],
		   uint8_t out[X25519_SIZE]) MUST_CHECK;
