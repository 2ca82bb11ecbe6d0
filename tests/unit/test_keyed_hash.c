/* Keyed hash: the published answers of SipHash-2-4, and that seeds matter. */
#include "core/keyed_hash.h"

#include "tests/support/crypto.h"

/* Key 00 01 .. 0f, message 00 01 .. of that size; the answer of 15 is in the paper's appendix. */
static void gives_the_published_answers(void **state)
{
	static const struct {
		size_t size;
		uint64_t hash;
	} rows[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },
		{ 7, UINT64_C(0xab0200f58b01d137) },  { 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) },
	};
	const struct hash_seed seed = { { UINT64_C(0x0706050403020100),
					  UINT64_C(0x0f0e0d0c0b0a0908) } };
	uint8_t message[64];

	(void)state;
	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_true(keyed_hash(&seed, view_of(message, rows[i].size)) == rows[i].hash);
}

static void another_seed_gives_another_hash(void **state)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct hash_seed a = hash_seed_make(&random), b = hash_seed_make(&random);
	const struct view data = VIEW_STRING("same");

	(void)state;
	assert_true(keyed_hash(&a, data) == keyed_hash(&a, data));
	assert_true(keyed_hash(&a, data) != keyed_hash(&b, data));
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(gives_the_published_answers),
	cmocka_unit_test(another_seed_gives_another_hash),
};

CRYPTO_TESTS(TESTS)
