/* X25519: both sides agree, others do not, and points of small order are refused. */
#include "crypto/x25519.h"

#include "tests/support/crypto.h"

static void both_sides_agree(void **state)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct x25519_pair alice, bob, eve;
	uint8_t a[X25519_SIZE], b[X25519_SIZE], e[X25519_SIZE];

	(void)state;
	x25519_generate(&alice, &random);
	x25519_generate(&bob, &random);
	x25519_generate(&eve, &random);
	assert_true(x25519_shared(&alice, bob.public, a));
	assert_true(x25519_shared(&bob, alice.public, b));
	assert_true(x25519_shared(&eve, alice.public, e));
	assert_memory_equal(a, b, sizeof a);
	assert_memory_not_equal(a, e, sizeof a);
}

static void derives_the_generated_public_key(void **state)
{
	struct random_source random = random_system();
	struct x25519_pair pair, again;

	(void)state;
	x25519_generate(&pair, &random);
	memcpy(again.secret, pair.secret, sizeof again.secret);
	memset(again.public, 0, sizeof again.public);
	x25519_derive_public(&again);
	assert_memory_equal(pair.public, again.public, sizeof pair.public);
	again.secret[5] ^= 1;
	x25519_derive_public(&again);
	assert_memory_not_equal(pair.public, again.public, sizeof pair.public);
}

/* The u of every point of order 1, 2, 4 or 8, and those above p that mean the same. */
static void refuses_small_orders(void **state)
{
	static const char *const rows[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	static const uint8_t zeros[X25519_SIZE];
	struct random_source random = random_system();
	struct x25519_pair pair;

	(void)state;
	x25519_generate(&pair, &random);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t remote[X25519_SIZE], out[X25519_SIZE];
		test_hex(rows[i], remote, sizeof remote);
		memset(out, 0xa5, sizeof out);
		print_message("%s\n", rows[i]);
		assert_false(x25519_shared(&pair, remote, out));
		assert_memory_equal(out, zeros, sizeof out);
		remote[3] ^= 2; /* the neighbour is an ordinary key */
		assert_true(x25519_shared(&pair, remote, out));
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(both_sides_agree),
	cmocka_unit_test(derives_the_generated_public_key),
	cmocka_unit_test(refuses_small_orders),
};

CRYPTO_TESTS(TESTS)
