/*
 * Reading of every handshake message of our three patterns. First byte of the input: pattern,
 * message, and whether the rest is the message itself or is laid over (XOR) a valid one, so
 * that the fuzzer starts next to what passes. Keys are fixed.
 *
 * Whatever is read as authentic must be the valid message, byte for byte; only the first
 * message of XX proves nothing, and after it the writer goes on with what it was given.
 */
#include <assert.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "crypto/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PATTERNS = 3,
	MESSAGE_MAX = 1024,
	OVERLAID = 0x80, /* in the first byte */
};

static const struct noise_pattern *const patterns[PATTERNS] = {
	&NOISE_IKPSK2,
	&NOISE_XX,
	&NOISE_NNPSK0,
};

/* The moment before one message is read: its reader, and the message that belongs there. */
static struct moment {
	struct noise reader;
	uint8_t message[MESSAGE_MAX];
	size_t size;
	bool proves_nothing;
} moments[PATTERNS * NOISE_MESSAGES_MAX];
static size_t moment_count;

static struct x25519_pair pair_of(uint8_t first)
{
	struct x25519_pair pair = { .secret = { first } };

	x25519_derive_public(&pair);
	return pair;
}

static void record(const struct noise_pattern *pattern)
{
	static const uint8_t psk[KEY_SIZE] = { 'p' };
	const struct x25519_pair keys[2] = { pair_of(1), pair_of(2) };
	const struct x25519_pair ephemerals[2] = { pair_of(3), pair_of(4) };
	uint8_t payload[MESSAGE_MAX];
	struct noise sides[2];

	for (size_t i = 0; i < 2; i++)
		noise_init(&sides[i], &(struct noise_config){
					      .pattern = pattern,
					      .is_initiator = i == 0,
					      .prologue = VIEW_STRING("fuzz"),
					      .static_key = &keys[i],
					      .remote_static = i == 0 ? keys[1].public : NULL,
					      .psks = { psk },
					      .fixed_ephemeral = &ephemerals[i],
				      });
	for (size_t i = 0; !noise_is_done(&sides[0]) || !noise_is_done(&sides[1]); i++) {
		struct moment *m = &moments[moment_count++];
		size_t payload_size;
		if (!noise_write(&sides[i % 2], VIEW_STRING("payload"), m->message,
				 sizeof m->message, &m->size))
			abort();
		m->reader = sides[1 - i % 2];
		m->proves_nothing = pattern == &NOISE_XX && i == 0;
		if (!noise_read(&sides[1 - i % 2], view_of(m->message, m->size), payload,
				sizeof payload, &payload_size))
			abort();
	}
}

static void start(void)
{
	if (crypto_init(NULL) != CRYPTO_READY)
		abort();
	for (size_t i = 0; i < PATTERNS; i++)
		record(patterns[i]);
}

static void answer(struct noise *n)
{
	uint8_t out[MESSAGE_MAX];
	size_t size = 0;

	if (!noise_is_done(n))
		(void)!noise_write(n, VIEW_STRING("answer"), out, sizeof out, &size);
	assert(size <= strlen("answer") + NOISE_OVERHEAD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t message[MESSAGE_MAX], payload[MESSAGE_MAX];
	size_t payload_size = 0;

	if (moment_count == 0)
		start();
	if (size == 0 || size > MESSAGE_MAX)
		return 0;
	const struct moment *m = &moments[(data[0] & ~OVERLAID) % moment_count];
	size_t message_size = size - 1;
	memcpy(message, data + 1, message_size);
	if (data[0] & OVERLAID) {
		for (size_t i = message_size; i < m->size; i++)
			message[i] = 0;
		if (message_size < m->size)
			message_size = m->size;
		for (size_t i = 0; i < m->size; i++)
			message[i] ^= m->message[i];
	}

	struct noise reader = m->reader;
	if (noise_read(&reader, view_of(message, message_size), payload, sizeof payload,
		       &payload_size)) {
		assert(payload_size <= message_size);
		assert(m->proves_nothing ||
		       (message_size == m->size && memcmp(message, m->message, m->size) == 0));
		answer(&reader);
	}
	noise_fini(&reader);
	return 0;
}
