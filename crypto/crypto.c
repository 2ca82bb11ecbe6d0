#include "crypto/crypto.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <sodium.h>
#include <stdio.h>

#include "crypto/kdf.h"
#include "crypto/provider.h"

/* Never the OpenSSL build's FIPS or third-party providers, whatever is installed. */
#define PROPERTIES "provider=default"

struct provider provider;
static unsigned users;

/* The name of the first thing that libcrypto lacks, or NULL. */
static const char *fetch_all(struct provider *p)
{
	/* Without a context of our own, everything below would go to the process's. */
	p->library = OSSL_LIB_CTX_new();
	if (p->library == NULL)
		return "library context";
	p->base = OSSL_PROVIDER_load(p->library, "default");
	p->aes_256_gcm = EVP_CIPHER_fetch(p->library, "AES-256-GCM", PROPERTIES);
	p->aes_256_ecb = EVP_CIPHER_fetch(p->library, "AES-256-ECB", PROPERTIES);
	p->aes_256_ctr = EVP_CIPHER_fetch(p->library, "AES-256-CTR", PROPERTIES);
	p->sha256 = EVP_MD_fetch(p->library, "SHA256", PROPERTIES);
	p->pbkdf2 = EVP_KDF_fetch(p->library, "PBKDF2", PROPERTIES);

	const struct {
		const char *name;
		const void *fetched;
	} needed[] = {
		{ "default provider", p->base },   { "AES-256-GCM", p->aes_256_gcm },
		{ "AES-256-ECB", p->aes_256_ecb }, { "AES-256-CTR", p->aes_256_ctr },
		{ "SHA-256", p->sha256 },          { "PBKDF2", p->pbkdf2 },
	};
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (needed[i].fetched == NULL)
			return needed[i].name;
	return NULL;
}

static void free_all(struct provider *p)
{
	EVP_KDF_free(p->pbkdf2);
	EVP_MD_free(p->sha256);
	EVP_CIPHER_free(p->aes_256_ctr);
	EVP_CIPHER_free(p->aes_256_ecb);
	EVP_CIPHER_free(p->aes_256_gcm);
	if (p->base != NULL)
		OSSL_PROVIDER_unload(p->base);
	OSSL_LIB_CTX_free(p->library);
	*p = (struct provider){ 0 };
}

static enum crypto_status give_up(enum crypto_status status, const char *name, const char **failed)
{
	if (failed != NULL)
		*failed = name;
	crypto_fini();
	return status;
}

enum crypto_status crypto_init(const char **failed)
{
	if (users++ > 0)
		return CRYPTO_READY;
	/* No configuration: openssl.cnf could name engines and providers. No atexit: a thread
	 * still running at exit would find its algorithms gone. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);

	const char *missing = fetch_all(&provider);
	if (missing != NULL)
		return give_up(CRYPTO_NO_ALGORITHM, missing, failed);
	if (sodium_init() < 0)
		return give_up(CRYPTO_NO_ALGORITHM, "libsodium", failed);
	packet_cipher_start();

	const char *wrong = crypto_selftest();
	if (wrong != NULL)
		return give_up(CRYPTO_SELFTEST_FAILED, wrong, failed);
	return CRYPTO_READY;
}

void crypto_fini(void)
{
	assert(users > 0);
	if (--users > 0)
		return;
	packet_cipher_stop();
	free_all(&provider);
	ERR_clear_error();
}

const char *crypto_library_version(void)
{
	static char text[32];

	snprintf(text, sizeof text, "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
	return text;
}
