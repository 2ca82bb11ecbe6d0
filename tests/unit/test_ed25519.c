/* Ed25519: one signature fits one message under one key; which public keys are sound. */
#include "crypto/ed25519.h"

#include "tests/support/crypto.h"

static void refuses_any_change(void **state)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct ed25519_pair pair, other;
	uint8_t message[20] = "burn this file", signature[ED25519_SIGNATURE_SIZE];

	(void)state;
	ed25519_generate(&pair, &random);
	ed25519_generate(&other, &random);
	ed25519_sign(&pair, VIEW(message), signature);
	assert_true(ed25519_verify(pair.public, VIEW(message), signature));
	assert_false(ed25519_verify(other.public, VIEW(message), signature));
	assert_false(ed25519_verify(pair.public, view_of(message, 19), signature));
	for (size_t at = 0; at < sizeof message; at++) {
		message[at] ^= 0x10;
		assert_false(ed25519_verify(pair.public, VIEW(message), signature));
		message[at] ^= 0x10;
	}
	for (size_t at = 0; at < sizeof signature; at++) {
		signature[at] ^= 0x10;
		assert_false(ed25519_verify(pair.public, VIEW(message), signature));
		signature[at] ^= 0x10;
	}
	assert_true(ed25519_verify(pair.public, VIEW(message), signature));
}

static void signs_the_empty_message(void **state)
{
	struct random_source random = random_system();
	struct ed25519_pair pair;
	uint8_t signature[ED25519_SIGNATURE_SIZE];

	(void)state;
	ed25519_generate(&pair, &random);
	ed25519_sign(&pair, view_of(NULL, 0), signature);
	assert_true(ed25519_verify(pair.public, view_of(NULL, 0), signature));
	assert_false(ed25519_verify(pair.public, VIEW_STRING("x"), signature));
}

/* Every generated key is sound, whatever the sign of its x. */
static void generated_keys_are_sound(void **state)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct ed25519_pair pair;
	int signs[2] = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		ed25519_generate(&pair, &random);
		assert_true(ed25519_public_is_sound(pair.public));
		signs[pair.public[ED25519_PUBLIC_SIZE - 1] >> 7]++;
	}
	assert_true(signs[0] > 0);
	assert_true(signs[1] > 0);
}

/* With and without the sign bit: points of small order, or with a part of small order, y at or
 * above p, y without an x. */
static void unsound_keys(void **state)
{
	static const struct {
		const char *y, *why;
	} rows[] = {
		{ "0100000000000000000000000000000000000000000000000000000000000000", "order 1" },
		{ "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "order 2" },
		{ "0000000000000000000000000000000000000000000000000000000000000000", "order 4" },
		{ "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "order 8" },
		{ "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "order 8" },
		{ "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y = p" },
		{ "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y > p" },
		{ "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y > p" },
		{ "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y > p" },
		{ "0200000000000000000000000000000000000000000000000000000000000000", "no x" },
		{ "0300000000000000000000000000000000000000000000000000000000000000", "mixed" },
		{ "0700000000000000000000000000000000000000000000000000000000000000", "no x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t public[ED25519_PUBLIC_SIZE];
		test_hex(rows[i].y, public, sizeof public);
		print_message("%s: %s\n", rows[i].y, rows[i].why);
		assert_false(ed25519_public_is_sound(public));
		public[ED25519_PUBLIC_SIZE - 1] |= 0x80;
		assert_false(ed25519_public_is_sound(public));
	}
}

/* The base point's 4/5 with either x, and the public key of RFC 8032's first test. */
static void sound_keys(void **state)
{
	static const char *const rows[] = {
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"5866666666666666666666666666666666666666666666666666666666666666",
		"58666666666666666666666666666666666666666666666666666666666666e6",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t public[ED25519_PUBLIC_SIZE];
		test_hex(rows[i], public, sizeof public);
		assert_true(ed25519_public_is_sound(public));
	}
}

/*
 * Goal: a signature that the plain equation takes under a key of no use is refused. Method: under
 * the neutral element, in its proper form and as y = p + 1, R = neutral and S = 0 sign any message.
 */
static void a_signature_under_an_unsound_key(void **state)
{
	static const char *const rows[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	const uint8_t forged[ED25519_SIGNATURE_SIZE] = { 1 };
	const struct view message = VIEW_STRING("anything");
	struct random_source random = random_system();
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	struct ed25519_pair pair;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t public[ED25519_PUBLIC_SIZE];
		test_hex(rows[i], public, sizeof public);
		assert_false(ed25519_verify(public, message, forged));
	}
	ed25519_generate(&pair, &random);
	ed25519_sign(&pair, message, signature);
	assert_true(ed25519_verify(pair.public, message, signature));
	signature[0] ^= 1;
	assert_false(ed25519_verify(pair.public, message, signature));
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(refuses_any_change),
	cmocka_unit_test(signs_the_empty_message),
	cmocka_unit_test(generated_keys_are_sound),
	cmocka_unit_test(unsound_keys),
	cmocka_unit_test(sound_keys),
	cmocka_unit_test(a_signature_under_an_unsound_key),
};

CRYPTO_TESTS(TESTS)
