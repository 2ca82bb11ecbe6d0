#pragma once
/*
 * SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869), PBKDF2 (RFC 8018).
 *
 * Any thread. None can fail for the sizes accepted here; a failure inside libcrypto (out of
 * memory) aborts, because a wrong key would be worse.
 */
#include "crypto/bytes.h"

enum {
	HASH_SIZE = 32,
	KEY_SIZE = 32,
	HKDF_EXPAND_MAX = 255 * HASH_SIZE,
	PBKDF2_ITERATIONS_MIN = 600000,   /* OWASP 2023 for HMAC-SHA-256; a lower count is weak */
	PBKDF2_ITERATIONS_MAX = 10000000, /* 3.4 s; more is an attack on the reader's time */
};

void hash_sha256(struct view data, uint8_t out[HASH_SIZE]);

/* A hash in pieces; sha256_final() also frees. create aborts when out of memory. */
struct sha256_stream;
struct sha256_stream *sha256_create(void);
void sha256_update(struct sha256_stream *s, struct view data);
void sha256_final(struct sha256_stream *s, uint8_t out[HASH_SIZE]);

/* HMAC over the concatenation of `parts`. */
void hmac_sha256(struct view key, const struct view *parts, size_t count, uint8_t out[HASH_SIZE]);

void hkdf_extract(struct view salt, struct view input, uint8_t out[HASH_SIZE]);

/* `size` at most HKDF_EXPAND_MAX (asserted). */
void hkdf_expand(const uint8_t prk[HASH_SIZE], struct view info, uint8_t *out, size_t size);

/* hkdf_expand() with info = label || context: every key of the protocol is made here. */
void hkdf_label(const uint8_t prk[HASH_SIZE], const char *label, struct view context, uint8_t *out,
		size_t size);

/* `iterations` as given; the bounds above are enforced by the readers of files, so that the
 * published vectors can run. Slow by design: never on a worker. */
void pbkdf2_sha256(struct view password, struct view salt, uint32_t iterations, uint8_t *out,
		   size_t size);
