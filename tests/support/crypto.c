#include "tests/support/crypto.h"

const char *const TEST_CIPHER_NAMES[TEST_CIPHER_COUNT] = { "openssl", "ipsec-mb" };

int test_crypto_start(void **state)
{
	const char *failed = "nothing";

	(void)state;
	if (crypto_init(&failed) == CRYPTO_READY)
		return 0;
	print_error("crypto_init: %s\n", failed);
	return -1;
}

int test_crypto_stop(void **state)
{
	(void)state;
	crypto_fini();
	return 0;
}

struct view test_hex_view(const char *text, uint8_t *buffer, size_t capacity)
{
	return view_of(buffer, test_hex(text, buffer, capacity));
}
