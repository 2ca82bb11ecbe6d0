#include "crypto/kdf.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/provider.h"

enum { HMAC_BLOCK_SIZE = 64 }; /* of SHA-256 */

struct sha256_stream {
	EVP_MD_CTX *context;
};

/* libcrypto takes a NULL key or salt for "none set", even where its length is zero. */
static const uint8_t *never_null(struct view v)
{
	static const uint8_t nothing[1];

	return v.data != NULL ? v.data : nothing;
}

void hash_sha256(struct view data, uint8_t out[HASH_SIZE])
{
	require(EVP_Digest(never_null(data), data.size, out, NULL, provider.sha256, NULL) > 0);
}

struct sha256_stream *sha256_create(void)
{
	struct sha256_stream *s = malloc(sizeof *s);

	require(s != NULL);
	s->context = EVP_MD_CTX_new();
	require(s->context != NULL);
	require(EVP_DigestInit_ex2(s->context, provider.sha256, NULL) > 0);
	return s;
}

void sha256_update(struct sha256_stream *s, struct view data)
{
	require(EVP_DigestUpdate(s->context, never_null(data), data.size) > 0);
}

void sha256_final(struct sha256_stream *s, uint8_t out[HASH_SIZE])
{
	require(EVP_DigestFinal_ex(s->context, out, NULL) > 0);
	EVP_MD_CTX_free(s->context);
	free(s);
}

/*
 * HMAC from two hashes: libcrypto's own costs more in contexts, copies and parameters than the
 * hashing of such short inputs.
 */
struct hmac {
	EVP_MD_CTX *context;
	uint8_t inner[HMAC_BLOCK_SIZE]; /* key XOR ipad */
	uint8_t outer[HMAC_BLOCK_SIZE]; /* key XOR opad */
};

static void hmac_init(struct hmac *h, struct view key)
{
	uint8_t block[HMAC_BLOCK_SIZE] = { 0 };

	if (key.size > sizeof block)
		hash_sha256(key, block);
	else if (key.size > 0)
		memcpy(block, key.data, key.size);
	for (size_t i = 0; i < sizeof block; i++) {
		h->inner[i] = block[i] ^ 0x36;
		h->outer[i] = block[i] ^ 0x5c;
	}
	bytes_wipe(block, sizeof block);
	h->context = EVP_MD_CTX_new();
	require(h->context != NULL);
}

static void hmac_fini(struct hmac *h)
{
	EVP_MD_CTX_free(h->context); /* wipes */
	bytes_wipe(h, sizeof *h);
}

static void hmac_update(struct hmac *h, struct view part)
{
	require(EVP_DigestUpdate(h->context, never_null(part), part.size) > 0);
}

static void hmac_begin(struct hmac *h)
{
	require(EVP_DigestInit_ex2(h->context, provider.sha256, NULL) > 0);
	hmac_update(h, VIEW(h->inner));
}

static void hmac_end(struct hmac *h, uint8_t out[HASH_SIZE])
{
	uint8_t hash[HASH_SIZE];

	require(EVP_DigestFinal_ex(h->context, hash, NULL) > 0);
	require(EVP_DigestInit_ex2(h->context, provider.sha256, NULL) > 0);
	hmac_update(h, VIEW(h->outer));
	hmac_update(h, VIEW(hash));
	require(EVP_DigestFinal_ex(h->context, out, NULL) > 0);
	bytes_wipe(hash, sizeof hash);
}

void hmac_sha256(struct view key, const struct view *parts, size_t count, uint8_t out[HASH_SIZE])
{
	struct hmac h;

	hmac_init(&h, key);
	hmac_begin(&h);
	for (size_t i = 0; i < count; i++)
		hmac_update(&h, parts[i]);
	hmac_end(&h, out);
	hmac_fini(&h);
}

void hkdf_extract(struct view salt, struct view input, uint8_t out[HASH_SIZE])
{
	/* RFC 5869: a missing salt is HASH_SIZE zeros, which HMAC's padding makes the same as
	 * an empty key. */
	hmac_sha256(salt, &input, 1, out);
}

/* HKDF-Expand with info = first || second, T(i) as in RFC 5869 section 2.3. */
static void expand(const uint8_t prk[HASH_SIZE], const struct view info[2], uint8_t *out,
		   size_t size)
{
	assert(size <= HKDF_EXPAND_MAX);

	uint8_t block[HASH_SIZE];
	struct hmac h;
	hmac_init(&h, view_of(prk, HASH_SIZE));
	for (uint8_t number = 1; size > 0; number++) {
		hmac_begin(&h);
		if (number > 1)
			hmac_update(&h, VIEW(block));
		hmac_update(&h, info[0]);
		hmac_update(&h, info[1]);
		hmac_update(&h, view_of(&number, sizeof number));
		hmac_end(&h, block);

		size_t part = size < HASH_SIZE ? size : HASH_SIZE;
		memcpy(out, block, part);
		out += part;
		size -= part;
	}
	hmac_fini(&h);
	bytes_wipe(block, sizeof block);
}

void hkdf_expand(const uint8_t prk[HASH_SIZE], struct view info, uint8_t *out, size_t size)
{
	expand(prk, (struct view[2]){ info }, out, size);
}

void hkdf_label(const uint8_t prk[HASH_SIZE], const char *label, struct view context, uint8_t *out,
		size_t size)
{
	expand(prk, (struct view[2]){ view_of(label, strlen(label)), context }, out, size);
}

void pbkdf2_sha256(struct view password, struct view salt, uint32_t iterations, uint8_t *out,
		   size_t size)
{
	assert(iterations > 0);
	assert(size > 0);

	/* pkcs5 = 1 switches off libcrypto's own lower bounds; ours are the readers' duty. */
	int pkcs5 = 1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
						  (void *)never_null(password), password.size),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)never_null(salt),
						  salt.size),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &iterations),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &pkcs5),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(provider.pbkdf2);
	require(context != NULL);
	require(EVP_KDF_derive(context, out, size, params) > 0);
	EVP_KDF_CTX_free(context);
}
