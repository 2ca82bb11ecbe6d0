/*
 * The packet cipher over libcrypto: runs everywhere, and is the reference for the other.
 * The slot holds a pointer to a context that keeps the key schedule; per packet only the
 * nonce is set, always, since a context with a key and no nonce makes up one of its own.
 */
#include <assert.h>
#include <limits.h>

#include "crypto/provider.h"

struct slot {
	EVP_CIPHER_CTX *context;
};

_Static_assert(sizeof(struct slot) <= PACKET_KEY_SIZE, "fits the caller's memory");

static bool slot_expand(void *memory, const uint8_t key[AEAD_KEY_SIZE])
{
	struct slot *slot = memory;

	slot->context = EVP_CIPHER_CTX_new();
	if (slot->context == NULL)
		return false;
	if (EVP_EncryptInit_ex2(slot->context, provider.aes_256_gcm, key, NULL, NULL) > 0)
		return true;
	EVP_CIPHER_CTX_free(slot->context);
	slot->context = NULL;
	return false;
}

static void slot_erase(void *memory)
{
	struct slot *slot = memory;

	EVP_CIPHER_CTX_free(slot->context); /* wipes the key schedule */
	slot->context = NULL;
}

static void add_aad(EVP_CIPHER_CTX *context, struct view aad)
{
	int size = 0;

	assert(aad.size <= INT_MAX);
	if (aad.size > 0)
		require(EVP_CipherUpdate(context, NULL, &size, aad.data, (int)aad.size) > 0);
}

/* Guarded against size 0: with a NULL output libcrypto would take the data for AAD. */
static void transform(EVP_CIPHER_CTX *context, uint8_t *data, size_t size)
{
	int done = 0;

	assert(size <= INT_MAX);
	if (size == 0)
		return;
	require(EVP_CipherUpdate(context, data, &done, data, (int)size) > 0);
	assert((size_t)done == size);
}

static void slot_seal(void *memory, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		      uint8_t *data, size_t size, uint8_t tag[AEAD_TAG_SIZE])
{
	EVP_CIPHER_CTX *context = ((struct slot *)memory)->context;
	uint8_t rest[AEAD_TAG_SIZE];
	int done = 0;

	require(EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) > 0);
	add_aad(context, aad);
	transform(context, data, size);
	require(EVP_EncryptFinal_ex(context, rest, &done) > 0);
	require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) > 0);
}

static bool slot_open(void *memory, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		      uint8_t *data, size_t size, const uint8_t tag[AEAD_TAG_SIZE])
{
	EVP_CIPHER_CTX *context = ((struct slot *)memory)->context;
	uint8_t expected[AEAD_TAG_SIZE];
	uint8_t rest[AEAD_TAG_SIZE];
	int done = 0;

	memcpy(expected, tag, sizeof expected); /* the call below takes no const */
	require(EVP_DecryptInit_ex2(context, NULL, NULL, nonce, NULL) > 0);
	add_aad(context, aad);
	transform(context, data, size);
	require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, expected) > 0);
	if (EVP_DecryptFinal_ex(context, rest, &done) > 0)
		return true;
	bytes_wipe(data, size);
	return false;
}

const struct packet_cipher packet_cipher_openssl = {
	.name = "openssl",
	.expand = slot_expand,
	.erase = slot_erase,
	.seal = slot_seal,
	.open = slot_open,
};
