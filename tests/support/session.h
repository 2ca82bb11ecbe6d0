#pragma once
/* Pairs of sessions without the handshake that would make their keys. */
#include "core/session.h"
#include "tests/support/crypto.h"

/* Keys of handshake number `seed` for one of its ends: one sends with what the other receives. */
struct noise_result test_keys(uint32_t seed, bool is_relay);

/* A mask with a key that follows from `seed`. Aborts the test when out of memory. */
struct mask *test_mask(enum mask_way way, uint32_t seed);

/* A path that follows from `seed`: any two differ in the remote address. */
struct path test_path(uint32_t seed, uint64_t door);

/* A test that runs once with each packet cipher, and what it calls to get it: skips where this
 * machine has no such cipher. */
#define WITH_BOTH_CIPHERS(test) \
	{ #test " openssl", test, NULL, NULL, (void *)(uintptr_t) "openssl" }, \
	{ \
#test " ipsec-mb", test, NULL, NULL, (void *)(uintptr_t) "ipsec-mb" \
	}
const struct packet_cipher *test_cipher(void **state);
