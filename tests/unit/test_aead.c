/* AES-256-GCM: what the vectors do not show. Both packet ciphers go through every test. */
#include "crypto/aead.h"

#include "crypto/random.h"
#include "tests/support/crypto.h"

enum {
	SIZE_MAX_TESTED = 2048,
	AAD_MAX_TESTED = 64,
};

static const uint8_t KEY_A[AEAD_KEY_SIZE] = { 'a' };
static const uint8_t KEY_B[AEAD_KEY_SIZE] = { 'b' };
static const uint8_t NONCE[AEAD_NONCE_SIZE] = { 'n' };

/* The cipher of the running test, with its key in `slot`; false: not on this machine. */
struct fixture {
	const struct packet_cipher *cipher;
	_Alignas(PACKET_KEY_ALIGN) uint8_t slot[PACKET_KEY_SIZE];
};

static void start(struct fixture *f, void **state, const uint8_t key[AEAD_KEY_SIZE])
{
	f->cipher = packet_cipher_by_name(*state);
	if (f->cipher == NULL) {
		print_message("skipped: no %s on this machine\n", (const char *)*state);
		skip();
	}
	memset(f->slot, 0, sizeof f->slot);
	assert_true(f->cipher->expand(f->slot, key));
}

static void stop(struct fixture *f)
{
	static const uint8_t zeros[PACKET_KEY_SIZE];

	f->cipher->erase(f->slot);
	assert_memory_equal(f->slot, zeros, sizeof zeros);
}

/* Seal one message, then open it with one byte of one input changed at a time. */
static void refuses_any_change(void **state)
{
	enum { SIZE = 100 };
	const uint8_t plain[SIZE] = "the plaintext";
	uint8_t nonce[AEAD_NONCE_SIZE] = "nonce", aad[] = "header", tag[AEAD_TAG_SIZE];
	uint8_t sealed[SIZE], data[SIZE], zeros[SIZE] = { 0 };
	struct fixture f;

	start(&f, state, KEY_A);
	memcpy(sealed, plain, SIZE);
	f.cipher->seal(f.slot, nonce, VIEW(aad), sealed, SIZE, tag);
	assert_memory_not_equal(sealed, plain, SIZE);
	const struct {
		uint8_t *bytes;
		size_t size;
	} inputs[] = {
		{ nonce, sizeof nonce },
		{ aad, sizeof aad },
		{ sealed, SIZE },
		{ tag, sizeof tag },
	};
	for (size_t i = 0; i < COUNT_OF(inputs); i++) {
		for (size_t at = 0; at < inputs[i].size; at++) {
			inputs[i].bytes[at] ^= (uint8_t)(1 << at % 8);
			memcpy(data, sealed, SIZE);
			assert_false(f.cipher->open(f.slot, nonce, VIEW(aad), data, SIZE, tag));
			assert_memory_equal(data, zeros, SIZE);
			inputs[i].bytes[at] ^= (uint8_t)(1 << at % 8);
		}
	}
	/* A failure leaves the key usable. */
	memcpy(data, sealed, SIZE);
	assert_true(f.cipher->open(f.slot, nonce, VIEW(aad), data, SIZE, tag));
	assert_memory_equal(data, plain, SIZE);
	struct view shorter = view_of(aad, sizeof aad - 1);
	assert_false(f.cipher->open(f.slot, nonce, shorter, sealed, SIZE, tag));
	stop(&f);
}

static void two_keys_two_ciphertexts(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 }, tag_a[AEAD_TAG_SIZE], tag_b[AEAD_TAG_SIZE];
	struct fixture f, g;

	start(&f, state, KEY_A);
	start(&g, state, KEY_B);
	f.cipher->seal(f.slot, NONCE, view_of(NULL, 0), a, sizeof a, tag_a);
	g.cipher->seal(g.slot, NONCE, view_of(NULL, 0), b, sizeof b, tag_b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(tag_a, tag_b, sizeof tag_a);
	assert_false(g.cipher->open(g.slot, NONCE, view_of(NULL, 0), a, sizeof a, tag_a));
	stop(&f);
	stop(&g);
}

/* An erased slot takes a new key, and behaves like a fresh one. */
static void slot_is_used_again(void **state)
{
	uint8_t data[2][20] = { { 0 } }, tag[2][AEAD_TAG_SIZE];
	struct fixture f, g;

	start(&f, state, KEY_A);
	stop(&f);
	assert_true(f.cipher->expand(f.slot, KEY_B));
	start(&g, state, KEY_B);
	f.cipher->seal(f.slot, NONCE, view_of(NULL, 0), data[0], sizeof data[0], tag[0]);
	g.cipher->seal(g.slot, NONCE, view_of(NULL, 0), data[1], sizeof data[1], tag[1]);
	assert_memory_equal(data[0], data[1], sizeof data[0]);
	assert_memory_equal(tag[0], tag[1], AEAD_TAG_SIZE);
	stop(&f);
	stop(&g);
}

/*
 * Goal:   both packet ciphers and the one-shot form are one and the same function.
 * Method: every size up to SIZE_MAX_TESTED, random key, nonce and AAD size; what one seals
 *         must equal what the other seals, and the other must open it.
 */
static void ciphers_agree(void **state)
{
	static uint8_t plain[SIZE_MAX_TESTED], once[SIZE_MAX_TESTED + AEAD_TAG_SIZE];
	static uint8_t data[TEST_CIPHER_COUNT][SIZE_MAX_TESTED];
	uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE], aad_bytes[AAD_MAX_TESTED];
	uint8_t tag[TEST_CIPHER_COUNT][AEAD_TAG_SIZE];
	struct fixture f[TEST_CIPHER_COUNT];
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());

	(void)state;
	for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
		random_fill(&random, key, sizeof key);
		random_fill(&random, nonce, sizeof nonce);
		random_fill(&random, plain, size);
		random_fill(&random, aad_bytes, sizeof aad_bytes);
		struct view aad = view_of(aad_bytes, random_below(&random, AAD_MAX_TESTED + 1));

		aead_seal(key, nonce, aad, view_of(plain, size), once);
		for (size_t i = 0; i < TEST_CIPHER_COUNT; i++) {
			void *name = (void *)TEST_CIPHER_NAMES[i];
			start(&f[i], &name, key);
			memcpy(data[i], plain, size);
			f[i].cipher->seal(f[i].slot, nonce, aad, data[i], size, tag[i]);
			assert_memory_equal(data[i], once, size);
			assert_memory_equal(tag[i], once + size, AEAD_TAG_SIZE);
		}
		for (size_t i = 0; i < TEST_CIPHER_COUNT; i++) {
			size_t other = TEST_CIPHER_COUNT - 1 - i;
			assert_true(f[i].cipher->open(f[i].slot, nonce, aad, data[other], size,
						      tag[other]));
			assert_memory_equal(data[other], plain, size);
			stop(&f[i]);
		}
	}
}

static void opens_once_what_it_sealed(void **state)
{
	enum { SIZE = 33 };
	const uint8_t plain[SIZE] = "in place and out of place";
	uint8_t sealed[SIZE + AEAD_TAG_SIZE], in_place[SIZE + AEAD_TAG_SIZE], opened[SIZE];
	uint8_t zeros[SIZE] = { 0 };

	(void)state;
	aead_seal(KEY_A, NONCE, VIEW_STRING("aad"), VIEW(plain), sealed);
	memcpy(in_place, plain, SIZE);
	aead_seal(KEY_A, NONCE, VIEW_STRING("aad"), view_of(in_place, SIZE), in_place);
	assert_memory_equal(sealed, in_place, sizeof sealed);

	assert_true(aead_open(KEY_A, NONCE, VIEW_STRING("aad"), VIEW(sealed), opened));
	assert_memory_equal(opened, plain, SIZE);
	assert_true(aead_open(KEY_A, NONCE, VIEW_STRING("aad"), VIEW(in_place), in_place));
	assert_memory_equal(in_place, plain, SIZE);

	assert_false(aead_open(KEY_B, NONCE, VIEW_STRING("aad"), VIEW(sealed), opened));
	assert_memory_equal(opened, zeros, SIZE);
}

/* Cut anywhere, down to nothing: refused, and the bytes that it would have had are zero. */
static void refuses_cut_messages(void **state)
{
	enum { SIZE = 20 };
	uint8_t sealed[SIZE + AEAD_TAG_SIZE], opened[SIZE], zeros[SIZE] = { 0 };

	(void)state;
	aead_seal(KEY_A, NONCE, view_of(NULL, 0), VIEW(zeros), sealed);
	for (size_t size = 0; size < sizeof sealed; size++) {
		memset(opened, 0xa5, sizeof opened);
		assert_false(
			aead_open(KEY_A, NONCE, view_of(NULL, 0), view_of(sealed, size), opened));
		if (size >= AEAD_TAG_SIZE)
			assert_memory_equal(opened, zeros, size - AEAD_TAG_SIZE);
	}
	assert_true(aead_open(KEY_A, NONCE, view_of(NULL, 0), VIEW(sealed), opened));
}

static void best_is_one_of_the_named(void **state)
{
	const struct packet_cipher *fast = packet_cipher_by_name("ipsec-mb");

	(void)state;
	print_message("best packet cipher: %s\n", packet_cipher_best()->name);
	assert_non_null(packet_cipher_by_name("openssl"));
	assert_null(packet_cipher_by_name("rot13"));
	assert_ptr_equal(packet_cipher_best(),
			 fast != NULL ? fast : packet_cipher_by_name("openssl"));
}

#define WITH_EACH_CIPHER(test) \
	cmocka_unit_test_prestate(test, (void *)"openssl"), \
		cmocka_unit_test_prestate(test, (void *)"ipsec-mb")

static const struct CMUnitTest TESTS[] = {
	WITH_EACH_CIPHER(refuses_any_change),        WITH_EACH_CIPHER(two_keys_two_ciphertexts),
	WITH_EACH_CIPHER(slot_is_used_again),        cmocka_unit_test(ciphers_agree),
	cmocka_unit_test(opens_once_what_it_sealed), cmocka_unit_test(refuses_cut_messages),
	cmocka_unit_test(best_is_one_of_the_named),
};

CRYPTO_TESTS(TESTS)
