#include "crypto/x25519.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "crypto/provider.h"

/* The base point: u = 9. */
static const uint8_t BASE[X25519_SIZE] = { 9 };

struct x25519_key {
	EVP_PKEY *own;
	EVP_PKEY *peer; /* its key is set for each result */
	EVP_PKEY_CTX *derivation;
};

/*
 * Any 32 bytes make a secret: libcrypto clamps them as RFC 7748 says. Given a public key too, it
 * does not compute it, which is as slow as a result and seldom needed. No result depends on it,
 * so any will do. (For Ed25519 it would: a wrong one makes signatures give the key away.)
 */
static EVP_PKEY *load_secret(const uint8_t secret[X25519_SIZE])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)secret,
						  X25519_SIZE),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)BASE,
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

static void load(struct x25519_key *key, const uint8_t secret[X25519_SIZE])
{
	key->own = load_secret(secret);
	key->peer =
		EVP_PKEY_new_raw_public_key_ex(provider.library, "X25519", NULL, BASE, X25519_SIZE);
	key->derivation = EVP_PKEY_CTX_new_from_pkey(provider.library, key->own, NULL);
	require(key->peer != NULL);
	require(key->derivation != NULL);
	require(EVP_PKEY_derive_init(key->derivation) > 0);
}

/* libcrypto wipes a secret that it frees. */
static void unload(struct x25519_key *key)
{
	EVP_PKEY_CTX_free(key->derivation);
	EVP_PKEY_free(key->peer);
	EVP_PKEY_free(key->own);
}

struct x25519_key *x25519_key_create(const uint8_t secret[X25519_SIZE])
{
	struct x25519_key *key = malloc(sizeof *key);

	require(key != NULL);
	load(key, secret);
	return key;
}

void x25519_key_destroy(struct x25519_key *key)
{
	if (key == NULL)
		return;
	unload(key);
	free(key);
}

bool x25519_key_shared(struct x25519_key *key, const uint8_t remote[X25519_SIZE],
		       uint8_t out[X25519_SIZE])
{
	static const uint8_t zeros[X25519_SIZE];
	size_t size = X25519_SIZE;

	require(EVP_PKEY_set1_encoded_public_key(key->peer, remote, X25519_SIZE) > 0);
	/* Unchecked: any 32 bytes are a public key, and what is wrong with some shows below. */
	require(EVP_PKEY_derive_set_peer_ex(key->derivation, key->peer, 0) > 0);
	/* libcrypto fails on a result of zero; compared again, should a version not do so. */
	if (EVP_PKEY_derive(key->derivation, out, &size) > 0 && size == X25519_SIZE &&
	    !bytes_equal(out, zeros, X25519_SIZE))
		return true;
	ERR_clear_error();
	bytes_wipe(out, X25519_SIZE);
	return false;
}

void x25519_key_public(struct x25519_key *key, uint8_t out[X25519_SIZE])
{
	/* By the ladder: libcrypto's own way to the public key is a fifth slower. */
	require(x25519_key_shared(key, BASE, out));
}

void x25519_generate(struct x25519_pair *pair, const struct random_source *random)
{
	random_fill(random, pair->secret, X25519_SIZE);
	x25519_derive_public(pair);
}

void x25519_derive_public(struct x25519_pair *pair)
{
	struct x25519_key key;

	load(&key, pair->secret);
	x25519_key_public(&key, pair->public);
	unload(&key);
}

bool x25519_shared(const struct x25519_pair *own, const uint8_t remote[X25519_SIZE],
		   uint8_t out[X25519_SIZE])
{
	struct x25519_key key;

	load(&key, own->secret);
	bool is_good = x25519_key_shared(&key, remote, out);
	unload(&key);
	return is_good;
}
