#pragma once
/* For tests that need cryptography: CRYPTO_TESTS(rows) as main starts and stops it around. */
#include "crypto/crypto.h"
#include "tests/support/test.h"

int test_crypto_start(void **state);
int test_crypto_stop(void **state);

/* A view of `size` hexadecimal bytes decoded into `buffer`. */
struct view test_hex_view(const char *text, uint8_t *buffer, size_t capacity);

/* The two packet ciphers by index: NULL where this machine has none. */
enum { TEST_CIPHER_COUNT = 2 };
extern const char *const TEST_CIPHER_NAMES[TEST_CIPHER_COUNT];

#define CRYPTO_TESTS(rows) \
	int main(void) \
	{ \
		return cmocka_run_group_tests(rows, test_crypto_start, test_crypto_stop); \
	}
