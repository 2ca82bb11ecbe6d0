#include "crypto/kdf.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/provider.h"

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

static EVP_MAC_CTX *hmac_create(struct view key)
{
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(provider.hmac_sha256);

	require(context != NULL);
	require(EVP_MAC_init(context, never_null(key), key.size, NULL) > 0);
	return context;
}

static void hmac_update(EVP_MAC_CTX *context, struct view part)
{
	require(EVP_MAC_update(context, never_null(part), part.size) > 0);
}

static void hmac_final(EVP_MAC_CTX *context, uint8_t out[HASH_SIZE])
{
	size_t size = 0;

	require(EVP_MAC_final(context, out, &size, HASH_SIZE) > 0);
	assert(size == HASH_SIZE);
}

void hmac_sha256(struct view key, const struct view *parts, size_t count, uint8_t out[HASH_SIZE])
{
	EVP_MAC_CTX *context = hmac_create(key);

	for (size_t i = 0; i < count; i++)
		hmac_update(context, parts[i]);
	hmac_final(context, out);
	EVP_MAC_CTX_free(context);
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
	EVP_MAC_CTX *context = hmac_create(view_of(prk, HASH_SIZE));
	for (uint8_t number = 1; size > 0; number++) {
		if (number > 1) {
			require(EVP_MAC_init(context, NULL, 0, NULL) > 0);
			hmac_update(context, VIEW(block));
		}
		hmac_update(context, info[0]);
		hmac_update(context, info[1]);
		hmac_update(context, view_of(&number, sizeof number));
		hmac_final(context, block);

		size_t part = size < HASH_SIZE ? size : HASH_SIZE;
		memcpy(out, block, part);
		out += part;
		size -= part;
	}
	EVP_MAC_CTX_free(context);
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
