#pragma once
/*
 * Private to crypto/: the library context and everything fetched from it.
 *
 * Immutable between crypto_init() and crypto_fini(); fetched methods are shared by all
 * threads, contexts made from them belong to one call or one object.
 */
#include <openssl/core.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>

#include "crypto/aead.h"

struct provider {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *base;
	EVP_CIPHER *aes_256_gcm;
	EVP_CIPHER *aes_256_ecb;
	EVP_CIPHER *aes_256_ctr;
	EVP_MD *sha256;
	EVP_KDF *pbkdf2;
};

extern struct provider provider;

/*
 * For calls into libcrypto that fail only when memory is gone or an argument of ours is
 * wrong: going on would mean a wrong key or a packet in the clear.
 */
static inline void require(bool is_ok)
{
	if (!is_ok)
		abort();
}

extern const struct packet_cipher packet_cipher_openssl;

/* NULL where the library or the processor's AES and carry-less multiply are missing. */
const struct packet_cipher *packet_cipher_ipsecmb_start(void);
void packet_cipher_ipsecmb_stop(void);

void packet_cipher_start(void);
void packet_cipher_stop(void);
