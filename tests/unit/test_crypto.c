/* Start, stop and the known answers. */
#include "crypto/crypto.h"

#include <time.h>

#include "tests/support/crypto.h"

enum { SELFTEST_MS_MAX = 50 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void known_answers_are_right_and_quick(void **state)
{
	(void)state;
	double start = now_ms();
	const char *wrong = crypto_selftest();
	double took = now_ms() - start;
	print_message("selftest: %.1f ms of CPU\n", took);
	assert_null(wrong);
#ifndef CLAWCHAT_SANITIZE_ADDRESS
	assert_true(took < SELFTEST_MS_MAX);
#endif
}

/* Two users of one process may both start and stop; all works until the last has stopped. */
static void counts_its_users(void **state)
{
	(void)state;
	assert_int_equal(crypto_init(NULL), CRYPTO_READY);
	crypto_fini();
	assert_null(crypto_selftest());
	crypto_fini();
	assert_int_equal(crypto_init(NULL), CRYPTO_READY);
	assert_null(crypto_selftest());
}

static void names_the_loaded_library(void **state)
{
	const char *text = crypto_library_version();

	(void)state;
	print_message("%s\n", text);
	assert_int_equal(strncmp(text, "OpenSSL 3.", strlen("OpenSSL 3.")), 0);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(known_answers_are_right_and_quick),
	cmocka_unit_test(counts_its_users),
	cmocka_unit_test(names_the_loaded_library),
};

CRYPTO_TESTS(TESTS)
