/* Start, stop and the known answers. */
#include "crypto/crypto.h"

#include <pthread.h>
#include <time.h>

#include "tests/support/crypto.h"

enum {
	SELFTEST_MS_MAX = 50,
	THREADS = 4,
};

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

static void *run_known_answers(void *unused)
{
	const char *wrong = NULL;

	(void)unused;
	for (int i = 0; i < 10 && wrong == NULL; i++)
		wrong = crypto_selftest();
	return (void *)wrong;
}

/* Goal: what "any thread" promises; the thread sanitizer sees every primitive run at once. */
static void threads_share_the_algorithms(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_known_answers, NULL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
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
	cmocka_unit_test(threads_share_the_algorithms),
	cmocka_unit_test(names_the_loaded_library),
};

CRYPTO_TESTS(TESTS)
