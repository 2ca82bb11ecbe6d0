#include "core/keyed_hash.h"

enum { WORD_SIZE = sizeof(uint64_t), ROUNDS_PER_WORD = 2, ROUNDS_AT_END = 4 };

struct sip {
	uint64_t v[4];
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(struct sip *s, unsigned rounds)
{
	uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];

	for (unsigned i = 0; i < rounds; i++) {
		a += b;
		c += d;
		b = rotate(b, 13) ^ a;
		d = rotate(d, 16) ^ c;
		a = rotate(a, 32);
		c += b;
		a += d;
		b = rotate(b, 17) ^ c;
		d = rotate(d, 21) ^ a;
		c = rotate(c, 32);
	}
	*s = (struct sip){ { a, b, c, d } };
}

static void absorb(struct sip *s, uint64_t word)
{
	s->v[3] ^= word;
	mix(s, ROUNDS_PER_WORD);
	s->v[0] ^= word;
}

/* At most WORD_SIZE bytes, little-endian; missing ones are zero. */
static uint64_t load_word(const uint8_t *data, size_t size)
{
	le64 bytes = { { 0 } };

	if (size > 0)
		memcpy(bytes.b, data, size);
	return load_le64(bytes);
}

struct hash_seed hash_seed_make(const struct random_source *random)
{
	struct hash_seed seed;

	random_fill(random, &seed, sizeof seed);
	return seed;
}

uint64_t keyed_hash(const struct hash_seed *seed, struct view data)
{
	/* The constants spell "somepseudorandomlygeneratedbytes". */
	struct sip s = { {
		seed->words[0] ^ UINT64_C(0x736f6d6570736575),
		seed->words[1] ^ UINT64_C(0x646f72616e646f6d),
		seed->words[0] ^ UINT64_C(0x6c7967656e657261),
		seed->words[1] ^ UINT64_C(0x7465646279746573),
	} };
	size_t at = 0;

	for (; data.size - at >= WORD_SIZE; at += WORD_SIZE)
		absorb(&s, load_word(data.data + at, WORD_SIZE));
	absorb(&s, load_word(data.data + at, data.size - at) | (uint64_t)data.size << 56);
	s.v[2] ^= 0xff;
	mix(&s, ROUNDS_AT_END);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
