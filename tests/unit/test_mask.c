/* Header mask: a permutation of blocks that its key alone undoes. */
#include "crypto/mask.h"

#include "crypto/random.h"
#include "tests/support/crypto.h"

enum { BLOCKS = 64 };

static const uint8_t KEY_A[MASK_KEY_SIZE] = { 'a' };
static const uint8_t KEY_B[MASK_KEY_SIZE] = { 'b' };

static struct mask *mask_with(enum mask_way way, const uint8_t key[MASK_KEY_SIZE])
{
	struct mask *m = mask_create(way);

	assert_non_null(m);
	mask_set_key(m, key);
	return m;
}

/* FIPS 197 appendix C.3: AES-256 of one block. */
static void known_answer(void **state)
{
	uint8_t key[MASK_KEY_SIZE], plain[MASK_BLOCK_SIZE], wire[MASK_BLOCK_SIZE];
	uint8_t block[MASK_BLOCK_SIZE];

	(void)state;
	test_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key,
		 sizeof key);
	test_hex("00112233445566778899aabbccddeeff", plain, sizeof plain);
	test_hex("8ea2b7ca516745bfeafc49904b496089", wire, sizeof wire);
	struct mask *hide = mask_with(MASK_HIDE, key);
	struct mask *show = mask_with(MASK_SHOW, key);
	memcpy(block, plain, sizeof block);
	mask_blocks(hide, block, 1);
	assert_memory_equal(block, wire, sizeof block);
	mask_blocks(show, block, 1);
	assert_memory_equal(block, plain, sizeof block);
	mask_destroy(hide);
	mask_destroy(show);
}

/* Goal: a batch is the same as block by block, for each count, and ends where it says. */
static void batch_is_each_block(void **state)
{
	uint8_t plain[BLOCKS * MASK_BLOCK_SIZE], batch[sizeof plain], single[sizeof plain];
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct mask *hide = mask_with(MASK_HIDE, KEY_A);
	struct mask *show = mask_with(MASK_SHOW, KEY_A);

	(void)state;
	random_fill(&random, plain, sizeof plain);
	for (size_t count = 0; count <= BLOCKS; count++) {
		memcpy(batch, plain, sizeof batch);
		memcpy(single, plain, sizeof single);
		mask_blocks(hide, batch, count);
		for (size_t i = 0; i < count; i++)
			mask_blocks(hide, single + i * MASK_BLOCK_SIZE, 1);
		assert_memory_equal(batch, single, sizeof batch);
		if (count > 0)
			assert_memory_not_equal(batch, plain, MASK_BLOCK_SIZE);
		mask_blocks(show, batch, count);
		assert_memory_equal(batch, plain, sizeof batch);
	}
	mask_destroy(hide);
	mask_destroy(show);
}

static void key_can_change(void **state)
{
	uint8_t a[MASK_BLOCK_SIZE] = "block", b[MASK_BLOCK_SIZE] = "block";
	uint8_t again[MASK_BLOCK_SIZE] = "block";
	struct mask *hide = mask_with(MASK_HIDE, KEY_A);
	struct mask *show = mask_with(MASK_SHOW, KEY_B);

	(void)state;
	mask_blocks(hide, a, 1);
	mask_set_key(hide, KEY_B);
	mask_blocks(hide, b, 1);
	assert_memory_not_equal(a, b, sizeof a);
	mask_set_key(hide, KEY_A);
	mask_blocks(hide, again, 1);
	assert_memory_equal(a, again, sizeof a);

	mask_blocks(show, a, 1); /* the wrong key shows noise */
	assert_memory_not_equal(a, "block", 5);
	mask_blocks(show, b, 1);
	assert_memory_equal(b, "block", 5);
	mask_set_key(show, KEY_A);
	mask_blocks(show, again, 1);
	assert_memory_equal(again, "block", 5);
	mask_destroy(hide);
	mask_destroy(show);
	mask_destroy(NULL);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(known_answer),
	cmocka_unit_test(batch_is_each_block),
	cmocka_unit_test(key_can_change),
};

CRYPTO_TESTS(TESTS)
