#include "crypto/aead.h"

#include <assert.h>

#include "crypto/provider.h"

/* One message is one packet under a key that is expanded, used and erased again. */

void aead_seal(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
	       struct view aad, struct view plain, uint8_t *out)
{
	_Alignas(PACKET_KEY_ALIGN) uint8_t slot[PACKET_KEY_SIZE] = { 0 };

	if (plain.size > 0 && out != plain.data)
		memmove(out, plain.data, plain.size);
	require(packet_cipher_openssl.expand(slot, key));
	packet_cipher_openssl.seal(slot, nonce, aad, out, plain.size, out + plain.size);
	packet_cipher_openssl.erase(slot);
}

bool aead_open(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE],
	       struct view aad, struct view sealed, uint8_t *out)
{
	_Alignas(PACKET_KEY_ALIGN) uint8_t slot[PACKET_KEY_SIZE] = { 0 };

	if (sealed.size < AEAD_TAG_SIZE)
		return false;
	size_t size = sealed.size - AEAD_TAG_SIZE;
	if (size > 0 && out != sealed.data)
		memmove(out, sealed.data, size);

	require(packet_cipher_openssl.expand(slot, key));
	bool is_authentic =
		packet_cipher_openssl.open(slot, nonce, aad, out, size, sealed.data + size);
	packet_cipher_openssl.erase(slot);
	return is_authentic;
}
