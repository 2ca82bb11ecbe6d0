#include "crypto/ed25519.h"

#include <openssl/bn.h>
#include <openssl/err.h>

#include "crypto/provider.h"

static EVP_PKEY *load_seed(const struct ed25519_pair *pair)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(provider.library, "ED25519", NULL,
							pair->seed, ED25519_SEED_SIZE);

	require(key != NULL);
	return key;
}

void ed25519_generate(struct ed25519_pair *pair, const struct random_source *random)
{
	random_fill(random, pair->seed, ED25519_SEED_SIZE);
	ed25519_derive_public(pair);
}

void ed25519_derive_public(struct ed25519_pair *pair)
{
	EVP_PKEY *key = load_seed(pair);
	size_t size = ED25519_PUBLIC_SIZE;

	require(EVP_PKEY_get_raw_public_key(key, pair->public, &size) > 0);
	EVP_PKEY_free(key);
}

void ed25519_sign(const struct ed25519_pair *pair, struct view message,
		  uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	EVP_PKEY *key = load_seed(pair);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = ED25519_SIGNATURE_SIZE;

	require(context != NULL);
	require(EVP_DigestSignInit_ex(context, NULL, NULL, provider.library, NULL, key, NULL) > 0);
	require(EVP_DigestSign(context, signature, &size, message.data, message.size) > 0);
	require(size == ED25519_SIGNATURE_SIZE);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
}

bool ed25519_verify(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
		    const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key_ex(provider.library, "ED25519", NULL, public,
						       ED25519_PUBLIC_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	require(key != NULL);
	require(context != NULL);
	require(EVP_DigestVerifyInit_ex(context, NULL, NULL, provider.library, NULL, key, NULL) >
		0);
	bool is_good = EVP_DigestVerify(context, signature, ED25519_SIGNATURE_SIZE, message.data,
					message.size) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	if (!is_good)
		ERR_clear_error();
	return is_good;
}

/* p = 2^255 - 19 and the curve's d = -121665 / 121666 mod p, most significant byte first. */
static const uint8_t PRIME[] = {
	0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
};
static const uint8_t CURVE_D[] = {
	0x52, 0x03, 0x6c, 0xee, 0x2b, 0x6f, 0xfe, 0x73, 0x8c, 0xc7, 0x40,
	0x79, 0x77, 0x79, 0xe8, 0x98, 0x00, 0x70, 0x0a, 0x4d, 0x41, 0x41,
	0xd8, 0xab, 0x75, 0xeb, 0x4d, 0xca, 0x13, 0x59, 0x78, 0xa3,
};

/* The y of the points of order 1, 2 and 4, and the two of order 8, as on the wire. */
static const uint8_t SMALL_ORDER[][ED25519_PUBLIC_SIZE] = {
	{ 0x01 },
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	{ 0x00 },
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	  0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	  0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
	  0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
	  0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
};

/*
 * Does an x exist for this y? From -x^2 + y^2 = 1 + d x^2 y^2: x^2 = (y^2 - 1) / (d y^2 + 1),
 * and a quotient is a square where the product of its parts is one (or zero).
 */
static bool is_on_curve(const BIGNUM *y, const BIGNUM *p, BN_CTX *scratch)
{
	BIGNUM *d = BN_CTX_get(scratch);
	BIGNUM *square = BN_CTX_get(scratch);
	BIGNUM *below = BN_CTX_get(scratch);
	BIGNUM *product = BN_CTX_get(scratch);

	require(product != NULL); /* the last is NULL if any is */
	require(BN_bin2bn(CURVE_D, sizeof CURVE_D, d) != NULL);
	require(BN_mod_sqr(square, y, p, scratch));
	require(BN_mod_mul(below, d, square, p, scratch));
	require(BN_add_word(below, 1));
	require(BN_sub_word(square, 1)); /* y = 0 was refused before */
	require(BN_mod_mul(product, square, below, p, scratch));

	int symbol = BN_kronecker(product, p, scratch);
	require(symbol >= -1);
	return symbol >= 0;
}

/* All that libcrypto does not look at when it verifies: small order, and y at or above p. */
static bool is_proper(const uint8_t public[ED25519_PUBLIC_SIZE])
{
	uint8_t bytes[ED25519_PUBLIC_SIZE];
	uint8_t most_significant[ED25519_PUBLIC_SIZE];

	memcpy(bytes, public, sizeof bytes);
	bytes[ED25519_PUBLIC_SIZE - 1] &= 0x7f; /* the sign of x: no say in what follows */
	for (size_t i = 0; i < sizeof SMALL_ORDER / sizeof SMALL_ORDER[0]; i++)
		if (bytes_equal(bytes, SMALL_ORDER[i], sizeof bytes))
			return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		most_significant[i] = bytes[sizeof bytes - 1 - i];
	return memcmp(most_significant, PRIME, sizeof PRIME) < 0;
}

bool ed25519_public_is_sound(const uint8_t public[ED25519_PUBLIC_SIZE])
{
	uint8_t bytes[ED25519_PUBLIC_SIZE];

	if (!is_proper(public))
		return false;
	memcpy(bytes, public, sizeof bytes);
	bytes[ED25519_PUBLIC_SIZE - 1] &= 0x7f;

	BN_CTX *scratch = BN_CTX_new_ex(provider.library);
	require(scratch != NULL);
	BN_CTX_start(scratch);
	BIGNUM *y = BN_CTX_get(scratch);
	BIGNUM *p = BN_CTX_get(scratch);
	require(p != NULL);
	require(BN_lebin2bn(bytes, sizeof bytes, y) != NULL);
	require(BN_bin2bn(PRIME, sizeof PRIME, p) != NULL);
	bool is_sound = is_on_curve(y, p, scratch);
	BN_CTX_end(scratch);
	BN_CTX_free(scratch);
	return is_sound;
}

/* No signature verifies under a key that is not on the curve. */
bool ed25519_verify_sound(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
			  const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	return is_proper(public) && ed25519_verify(public, message, signature);
}
