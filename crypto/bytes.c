#include "crypto/bytes.h"

#include <openssl/crypto.h>

bool bytes_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

void bytes_wipe(void *data, size_t size)
{
	if (size > 0)
		OPENSSL_cleanse(data, size);
}
