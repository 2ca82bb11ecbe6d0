#include "core/wire.h"

const char *wire_reason_text(uint32_t reason)
{
	switch (reason) {
#define X(name, number, text) \
	case number: return text;
		WIRE_REASONS(X)
#undef X
	default: return "unknown reason";
	}
}

void wire_nonce(const uint8_t iv[AEAD_NONCE_SIZE], uint64_t counter, uint8_t nonce[AEAD_NONCE_SIZE])
{
	le64 bytes = store_le64(counter);
	memcpy(nonce, iv, AEAD_NONCE_SIZE);
	for (size_t i = 0; i < sizeof(bytes.b); i++)
		nonce[AEAD_NONCE_SIZE - sizeof(bytes.b) + i] ^= bytes.b[i];
}
