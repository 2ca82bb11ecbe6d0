#include "crypto/ed25519.h"

#include <sodium.h>

_Static_assert(ED25519_SIGNATURE_SIZE == crypto_sign_ed25519_BYTES, "one size");

/* libsodium's form of a secret key: the seed, then the public key. */
enum { SECRET_SIZE = crypto_sign_ed25519_SECRETKEYBYTES };
_Static_assert(SECRET_SIZE == ED25519_SEED_SIZE + ED25519_PUBLIC_SIZE, "seed and public key");

void ed25519_generate(struct ed25519_pair *pair, const struct random_source *random)
{
	random_fill(random, pair->seed, ED25519_SEED_SIZE);
	ed25519_derive_public(pair);
}

void ed25519_derive_public(struct ed25519_pair *pair)
{
	uint8_t secret[SECRET_SIZE];

	(void)crypto_sign_ed25519_seed_keypair(pair->public, secret, pair->seed);
	bytes_wipe(secret, sizeof secret);
}

/* The public key is derived anew: signing with a wrong one would give the secret away. */
void ed25519_sign(const struct ed25519_pair *pair, struct view message,
		  uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	uint8_t public[ED25519_PUBLIC_SIZE];
	uint8_t secret[SECRET_SIZE];

	(void)crypto_sign_ed25519_seed_keypair(public, secret, pair->seed);
	(void)crypto_sign_ed25519_detached(signature, NULL, message.data, message.size, secret);
	bytes_wipe(secret, sizeof secret);
}

bool ed25519_verify(const uint8_t public[ED25519_PUBLIC_SIZE], struct view message,
		    const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	return crypto_sign_ed25519_verify_detached(signature, message.data, message.size, public) ==
	       0;
}

bool ed25519_public_is_sound(const uint8_t public[ED25519_PUBLIC_SIZE])
{
	return crypto_core_ed25519_is_valid_point(public) == 1;
}
