#include "crypto/random.h"

#include <assert.h>
#include <openssl/rand.h>

#include "crypto/provider.h"

enum {
	STRENGTH_BITS = 256,
	SEED_BYTES = 8,
	COUNTER_BLOCK_SIZE = 16,
};

static void system_fill(void *state, void *out, size_t size)
{
	(void)state;
	require(RAND_priv_bytes_ex(provider.library, out, size, STRENGTH_BITS) == 1);
}

struct random_source random_system(void)
{
	return (struct random_source){ .fill = system_fill };
}

/* The next part of the AES-256-CTR stream; `block` is the counter of its first block. */
static void seeded_refill(struct random_seeded *s)
{
	uint8_t counter[COUNTER_BLOCK_SIZE] = { 0 };
	int size = 0;

	for (size_t i = 0; i < sizeof s->block; i++)
		counter[COUNTER_BLOCK_SIZE - 1 - i] = (uint8_t)(s->block >> (8 * i));
	memset(s->buffer, 0, sizeof s->buffer);

	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	require(context != NULL);
	require(EVP_EncryptInit_ex2(context, provider.aes_256_ctr, s->key, counter, NULL) > 0);
	require(EVP_EncryptUpdate(context, s->buffer, &size, s->buffer, sizeof s->buffer) > 0);
	EVP_CIPHER_CTX_free(context);

	s->block += sizeof s->buffer / COUNTER_BLOCK_SIZE;
	s->used = 0;
}

static void seeded_fill(void *state, void *out, size_t size)
{
	struct random_seeded *s = state;
	uint8_t *next = out;

	while (size > 0) {
		if (s->used == sizeof s->buffer)
			seeded_refill(s);
		size_t part = sizeof s->buffer - s->used;
		if (part > size)
			part = size;
		memcpy(next, s->buffer + s->used, part);
		s->used += part;
		next += part;
		size -= part;
	}
}

struct random_source random_seeded_init(struct random_seeded *state, uint64_t seed)
{
	*state = (struct random_seeded){ .used = sizeof state->buffer };
	for (size_t i = 0; i < SEED_BYTES; i++)
		state->key[i] = (uint8_t)(seed >> (8 * i));
	return (struct random_source){ .fill = seeded_fill, .state = state };
}

uint32_t random_below(const struct random_source *source, uint32_t bound)
{
	assert(bound > 0);

	/* 2^32 mod bound: draws below it would make the first numbers more likely. */
	uint32_t surplus = -bound % bound;
	le32 draw;
	do {
		random_fill(source, &draw, sizeof draw);
	} while (load_le32(draw) < surplus);
	return load_le32(draw) % bound;
}
