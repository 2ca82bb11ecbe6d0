#pragma once
/* X25519 (RFC 7748). Any thread; 30 to 60 us each, so never on a worker. */
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

/*
 * A secret made ready for several results: spares 8 us of libcrypto's set-up for each after the
 * first. Owner: one thread at a time.
 */
struct x25519_key;
struct x25519_key *x25519_key_create(const uint8_t secret[X25519_SIZE]);
void x25519_key_destroy(struct x25519_key *key); /* wipes; NULL is none */
bool x25519_key_shared(struct x25519_key *key, const uint8_t remote[X25519_SIZE],
		       uint8_t out[X25519_SIZE]) MUST_CHECK;
void x25519_key_public(struct x25519_key *key, uint8_t out[X25519_SIZE]);
