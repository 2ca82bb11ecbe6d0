#include "crypto/mask.h"

#include <assert.h>
#include <limits.h>

#include "crypto/provider.h"

struct mask {
	EVP_CIPHER_CTX *context;
	enum mask_way way;
	bool has_key;
};

struct mask *mask_create(enum mask_way way)
{
	struct mask *m = calloc(1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->way = way;
	m->context = EVP_CIPHER_CTX_new();
	if (m->context != NULL && EVP_CipherInit_ex2(m->context, provider.aes_256_ecb, NULL, NULL,
						     way == MASK_HIDE, NULL) > 0)
		return m;
	mask_destroy(m);
	return NULL;
}

void mask_destroy(struct mask *m)
{
	if (m == NULL)
		return;
	EVP_CIPHER_CTX_free(m->context); /* wipes the key schedule */
	free(m);
}

void mask_set_key(struct mask *m, const uint8_t key[MASK_KEY_SIZE])
{
	require(EVP_CipherInit_ex2(m->context, NULL, key, NULL, m->way == MASK_HIDE, NULL) > 0);
	/* With padding on, decryption would keep the last block back. */
	require(EVP_CIPHER_CTX_set_padding(m->context, 0) > 0);
	m->has_key = true;
}

void mask_blocks(struct mask *m, uint8_t *blocks, size_t count)
{
	int done = 0;

	assert(m->has_key);
	assert(count <= INT_MAX / MASK_BLOCK_SIZE);
	if (count == 0)
		return;
	int size = (int)count * MASK_BLOCK_SIZE;
	require(EVP_CipherUpdate(m->context, blocks, &done, blocks, size) > 0);
	assert(done == size);
}
