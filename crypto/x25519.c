#include "crypto/x25519.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "crypto/provider.h"

/* Any 32 bytes make a secret: libcrypto clamps them as RFC 7748 says. */
static EVP_PKEY *load_secret(const struct x25519_pair *pair)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(provider.library, "X25519", NULL,
							pair->secret, X25519_SIZE);

	require(key != NULL);
	return key;
}

/* Given the public key too, libcrypto need not compute it, which is a third of the time. No
 * result depends on it. (For Ed25519 it would: a wrong one makes signatures give the key away.) */
static EVP_PKEY *load_pair(const struct x25519_pair *pair)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)pair->secret,
						  X25519_SIZE),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)pair->public,
						  X25519_SIZE),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider.library, "X25519", NULL);
	EVP_PKEY *key = NULL;

	require(context != NULL);
	require(EVP_PKEY_fromdata_init(context) > 0);
	require(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) > 0);
	EVP_PKEY_CTX_free(context);
	return key;
}

void x25519_generate(struct x25519_pair *pair, const struct random_source *random)
{
	random_fill(random, pair->secret, X25519_SIZE);
	x25519_derive_public(pair);
}

void x25519_derive_public(struct x25519_pair *pair)
{
	EVP_PKEY *key = load_secret(pair);
	size_t size = X25519_SIZE;

	require(EVP_PKEY_get_raw_public_key(key, pair->public, &size) > 0);
	EVP_PKEY_free(key);
}

bool x25519_shared(const struct x25519_pair *own, const uint8_t remote[X25519_SIZE],
		   uint8_t out[X25519_SIZE])
{
	static const uint8_t zeros[X25519_SIZE];
	EVP_PKEY *key = load_pair(own);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(provider.library, "X25519", NULL, remote,
							X25519_SIZE);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(provider.library, key, NULL);
	size_t size = X25519_SIZE;

	require(peer != NULL);
	require(context != NULL);
	require(EVP_PKEY_derive_init(context) > 0);
	require(EVP_PKEY_derive_set_peer(context, peer) > 0);
	/* libcrypto fails on a result of zero; compared again, should a version not do so. */
	bool is_good = EVP_PKEY_derive(context, out, &size) > 0 && size == X25519_SIZE &&
		       !bytes_equal(out, zeros, X25519_SIZE);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(key);
	if (!is_good) {
		ERR_clear_error();
		bytes_wipe(out, X25519_SIZE);
	}
	return is_good;
}
