#pragma once
/*
 * Noise handshakes (revision 34) with 25519, AESGCM and SHA256, driven by a table of
 * patterns. The product uses IKpsk2, XX and NNpsk0; tests run every published pattern.
 *
 *   noise_init()
 *   noise_write() / noise_read() in turn until noise_is_done()
 *   noise_split()
 *   noise_fini()    also after a failure; wipes everything
 *
 * A failed read or write ends the handshake: only noise_fini() may follow. Owner: one thread.
 */
#include "crypto/kdf.h"
#include "crypto/x25519.h"

enum {
	NOISE_MESSAGES_MAX = 4,
	NOISE_PSKS_MAX = 4,
	NOISE_MESSAGE_MAX = 65535, /* section 3 */
	NOISE_OVERHEAD_MAX = 128, /* most bytes that one message adds to its payload (e, s, tags) */
};

/* Tokens separated by commas, as in the specification: "e,es,s,ss". Unused entries are NULL. */
struct noise_pattern {
	const char *name;          /* "IKpsk2" */
	const char *pre_initiator; /* "s" or NULL */
	const char *pre_responder;
	const char *messages[NOISE_MESSAGES_MAX];
};

extern const struct noise_pattern NOISE_IKPSK2;
extern const struct noise_pattern NOISE_XX;
extern const struct noise_pattern NOISE_NNPSK0;

struct noise_config {
	const struct noise_pattern *pattern;
	bool is_initiator;
	struct view prologue;
	const struct x25519_pair *static_key; /* NULL where the pattern needs none */
	const uint8_t *remote_static;         /* NULL unless known beforehand */
	const uint8_t *psks[NOISE_PSKS_MAX];  /* in token order; see noise_set_psk() */
	const struct random_source *random;
	const struct x25519_pair *fixed_ephemeral; /* tests only: instead of a fresh one */
};

struct noise {
	const struct noise_pattern *pattern;
	bool is_initiator;
	bool has_psk; /* the pattern has psk tokens: "e" is mixed into the key */
	bool has_key;
	bool has_static;
	bool is_failed;
	bool is_before_payload; /* the message's tokens are written, its payload is not */
	uint8_t message;        /* index of the next message */
	uint8_t psk_index;
	uint8_t psk_count;
	struct x25519_pair static_key;
	struct x25519_pair ephemeral;
	bool has_fixed_ephemeral;
	uint8_t remote_static[X25519_SIZE];
	uint8_t remote_ephemeral[X25519_SIZE];
	uint8_t psks[NOISE_PSKS_MAX][KEY_SIZE];
	uint8_t chaining_key[HASH_SIZE];
	uint8_t hash[HASH_SIZE];
	uint8_t payload_hash[HASH_SIZE]; /* h before the payload of the latest message */
	uint8_t key[KEY_SIZE];
	uint64_t nonce;
	struct random_source random;
};

struct noise_result {
	uint8_t send_key[KEY_SIZE];
	uint8_t receive_key[KEY_SIZE];
	uint8_t exporter[KEY_SIZE]; /* third output of Split's HKDF */
	uint8_t hash[HASH_SIZE];    /* h: binds to this very handshake */
};

void noise_init(struct noise *n, const struct noise_config *config);
void noise_fini(struct noise *n);

/* A responder may learn only from the first message which PSK belongs to it. */
void noise_set_psk(struct noise *n, size_t index, const uint8_t psk[KEY_SIZE]);

/*
 * Write the next message in two steps, so that the payload can hold a signature over
 * n->payload_hash, or at once with noise_write(). *size grows by what was written; false:
 * capacity too small or a DH result of zero.
 */
bool noise_write_tokens(struct noise *n, uint8_t *out, size_t capacity, size_t *size) MUST_CHECK;
bool noise_write_payload(struct noise *n, struct view payload, uint8_t *out, size_t capacity,
			 size_t *size) MUST_CHECK;
bool noise_write(struct noise *n, struct view payload, uint8_t *out, size_t capacity,
		 size_t *size) MUST_CHECK;

/* Read the next message: payload receives at most `capacity` bytes. False: not authentic,
 * cut, or too large. A responder that must choose its PSK by the first payload sets it
 * before it writes. */
bool noise_read(struct noise *n, struct view message, uint8_t *payload, size_t capacity,
		size_t *size) MUST_CHECK;

bool noise_is_done(const struct noise *n);
void noise_split(const struct noise *n, struct noise_result *result);
