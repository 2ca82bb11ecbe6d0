/*
 * The packet cipher over intel-ipsec-mb's direct calls. Its job interface is slower for one
 * packet at a time, and its expanded keys are plain memory, so they can be cached by the
 * thousand. Decryption there only computes the tag: comparing it is our part.
 */
#include <assert.h>

#include "crypto/provider.h"

#ifdef HAVE_IPSECMB
#include <intel-ipsec-mb.h>

_Static_assert(sizeof(struct gcm_key_data) == PACKET_KEY_SIZE, "built with -DLINUX");
_Static_assert(_Alignof(struct gcm_key_data) == PACKET_KEY_ALIGN, "built with -DLINUX");
_Static_assert(PACKET_KEY_STRIDE % PACKET_KEY_ALIGN == 0, "every key of an array is aligned");

/* Immutable after start. The calls below only read function pointers from it. */
static IMB_MGR *manager;

static bool slot_expand(void *slot, const uint8_t key[AEAD_KEY_SIZE])
{
	assert((uintptr_t)slot % PACKET_KEY_ALIGN == 0);
	IMB_AES256_GCM_PRE(manager, key, (struct gcm_key_data *)slot);
	return true;
}

static void slot_erase(void *slot)
{
	bytes_wipe(slot, sizeof(struct gcm_key_data));
}

static void slot_seal(void *slot, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		      uint8_t *data, size_t size, uint8_t tag[AEAD_TAG_SIZE])
{
	struct gcm_context_data context;

	IMB_AES256_GCM_ENC(manager, slot, &context, data, data, size, nonce, aad.data, aad.size,
			   tag, AEAD_TAG_SIZE);
}

static bool slot_open(void *slot, const uint8_t nonce[AEAD_NONCE_SIZE], struct view aad,
		      uint8_t *data, size_t size, const uint8_t tag[AEAD_TAG_SIZE])
{
	struct gcm_context_data context;
	uint8_t computed[AEAD_TAG_SIZE];

	IMB_AES256_GCM_DEC(manager, slot, &context, data, data, size, nonce, aad.data, aad.size,
			   computed, AEAD_TAG_SIZE);
	bool is_authentic = bytes_equal(computed, tag, AEAD_TAG_SIZE);
	/* The right tag of a forged packet is as good as a forgery: leave none behind. */
	bytes_wipe(computed, sizeof computed);
	if (!is_authentic)
		bytes_wipe(data, size);
	return is_authentic;
}

static struct packet_cipher cipher = {
	.expand = slot_expand,
	.erase = slot_erase,
	.seal = slot_seal,
	.open = slot_open,
};

/* Those missing do table lookups instead of AES instructions: slow, and leaky. */
static const char *const NAMES[IMB_ARCH_NUM] = {
	[IMB_ARCH_SSE] = "ipsec-mb sse",
	[IMB_ARCH_AVX] = "ipsec-mb avx",
	[IMB_ARCH_AVX2] = "ipsec-mb avx2",
	[IMB_ARCH_AVX512] = "ipsec-mb avx512",
};

static bool is_fit(const IMB_MGR *m)
{
	const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

	if ((m->features & needed) != needed)
		return false;
	if (m->features & IMB_FEATURE_SELF_TEST)
		return m->features & IMB_FEATURE_SELF_TEST_PASS;
	return true;
}

const struct packet_cipher *packet_cipher_ipsecmb_start(void)
{
	IMB_ARCH arch = IMB_ARCH_NONE;

	manager = alloc_mb_mgr(0);
	if (manager == NULL)
		return NULL;
	init_mb_mgr_auto(manager, &arch);
	cipher.name = arch < IMB_ARCH_NUM ? NAMES[arch] : NULL;
	if (cipher.name != NULL && is_fit(manager))
		return &cipher;
	packet_cipher_ipsecmb_stop();
	return NULL;
}

void packet_cipher_ipsecmb_stop(void)
{
	if (manager != NULL)
		free_mb_mgr(manager);
	manager = NULL;
}

#else /* not built for x86-64 */

const struct packet_cipher *packet_cipher_ipsecmb_start(void)
{
	return NULL;
}

void packet_cipher_ipsecmb_stop(void)
{
}

#endif
