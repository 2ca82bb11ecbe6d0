#include "crypto/x25519.h"

#include <sodium.h>

_Static_assert(X25519_SIZE == crypto_scalarmult_curve25519_BYTES, "one size");

void x25519_generate(struct x25519_pair *pair, const struct random_source *random)
{
	random_fill(random, pair->secret, X25519_SIZE);
	x25519_derive_public(pair);
}

void x25519_derive_public(struct x25519_pair *pair)
{
	/* Any 32 bytes make a secret: libsodium clamps them as RFC 7748 says. */
	(void)crypto_scalarmult_curve25519_base(pair->public, pair->secret);
}

bool x25519_shared(const struct x25519_pair *own, const uint8_t remote[X25519_SIZE],
		   uint8_t out[X25519_SIZE])
{
	static const uint8_t zeros[X25519_SIZE];

	/* libsodium fails on points of small order; compared again, should a version not do so. */
	if (crypto_scalarmult_curve25519(out, own->secret, remote) == 0 &&
	    !bytes_equal(out, zeros, X25519_SIZE))
		return true;
	bytes_wipe(out, X25519_SIZE);
	return false;
}
