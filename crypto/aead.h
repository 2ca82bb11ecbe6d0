#pragma once
/*
 * AES-256-GCM (SP 800-38D) with 12-byte nonces and 16-byte tags, nothing else.
 *
 * Two uses:
 *  - aead_seal()/aead_open(): one message, a fresh context, for handshakes and files.
 *  - struct packet_cipher: many packets under expanded keys, for the packet path. Two
 *    implementations behind one table, chosen at start; both run over every vector.
 *
 * Nobody but the caller keeps nonces apart: a (key, nonce) pair must never seal twice.
 */
#include "crypto/bytes.h"

enum {
	AEAD_KEY_SIZE = 32,
	AEAD_NONCE_SIZE = 12,
	AEAD_TAG_SIZE = 16,
};

/* out receives plain.size bytes and then the tag; out may equal plain.data. Any thread. */
void aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
	       struct view aad, struct view plain, uint8_t *out);

/*
 * sealed is ciphertext and tag; out receives sealed.size - AEAD_TAG_SIZE bytes and may equal
 * sealed.data. False: too short or not authentic, and out has been zeroed. Any thread.
 */
bool aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
	       struct view aad, struct view sealed, uint8_t *out) MUST_CHECK;

/*
 * An expanded key lives in caller's memory of PACKET_KEY_SIZE bytes, aligned to 64. Use it
 * from one thread at a time. Arrays of them are laid out PACKET_KEY_STRIDE apart: a power of
 * two would put all of them into the same few cache sets.
 */
enum {
	PACKET_KEY_SIZE = 1024,
	PACKET_KEY_ALIGN = 64,
	PACKET_KEY_STRIDE = 1088,
};

struct packet_cipher {
	const char *name; /* "ipsec-mb avx512", "openssl" */

	/* Expand `key` into `slot`; `slot` is zeroed memory or an erased key. False: out of
	 * memory (openssl keeps its context behind the slot). */
	bool (*expand)(void *slot, const uint8_t key[AEAD_KEY_SIZE]);
	void (*erase)(void *slot);

	/* In place: data[0..size) becomes ciphertext, tag is written. */
	void (*seal)(void *slot, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		     uint8_t *data, size_t size, uint8_t tag[AEAD_TAG_SIZE]);

	/* In place; false: not authentic, data holds nothing of use (it is zeroed). */
	bool (*open)(void *slot, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		     uint8_t *data, size_t size, const uint8_t tag[AEAD_TAG_SIZE]);
};

/* The fastest that runs here; never NULL after crypto_init(). Any thread. */
const struct packet_cipher *packet_cipher_best(void);

/* "openssl" or "ipsec-mb"; NULL where it does not exist on this machine. Any thread. */
const struct packet_cipher *packet_cipher_by_name(const char *name);
