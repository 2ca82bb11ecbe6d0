/* Start, stop and the known answers. */
#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

/* --- Starts that need a process of their own: this program again, with a mode --- */

/* From the given allocation on, libcrypto gets no memory. */
static size_t allocations_left;

static void *limited_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return allocations_left > 0 && allocations_left-- > 0 ? malloc(size) : NULL;
}

static void *limited_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return allocations_left > 0 && allocations_left-- > 0 ? realloc(old, size) : NULL;
}

static void plain_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	free(memory);
}

/* Ends at once: libcrypto leaks a little when memory runs out, which is no fault of ours for
 * the leak check at exit to find. */
static void start_with_allocations(const char *count)
{
	const char *failed = NULL;

	allocations_left = strtoul(count, NULL, 10);
	if (CRYPTO_set_mem_functions(limited_malloc, limited_realloc, plain_free) != 1)
		_exit(1);
	if (crypto_init(&failed) != CRYPTO_NO_ALGORITHM || failed == NULL)
		_exit(2);
	print_message("%s allocations: no %s\n", count, failed);
	fflush(NULL);
	_exit(0);
}

static int start_plainly(void)
{
	return crypto_init(NULL) == CRYPTO_READY && crypto_selftest() == NULL ? 0 : 1;
}

/* Run this program with the given arguments and environment; its exit code. */
static int run_self(const char *mode, const char *argument, const char *openssl_conf)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (openssl_conf != NULL)
			setenv("OPENSSL_CONF", openssl_conf, 1);
		execl("/proc/self/exe", "test_crypto", mode, argument, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Wherever memory ends, the start fails with the name of something, and cleanly. */
static void says_what_is_missing(void **state)
{
	static const char *const counts[] = { "0", "1", "2", "10", "30", "100", "300" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		assert_int_equal(run_self("allocations", counts[i], NULL), 0);
}

/*
 * Goal:   the system's openssl.cnf has no say.
 * Method: one that replaces the default provider by one without algorithms; a plain fetch
 *         under it must fail (else the file was not read), and ours must not.
 */
static void ignores_openssl_conf(void **state)
{
	static const char conf[] = "openssl_conf = a\n[a]\nproviders = b\n[b]\nnull = c\n"
				   "[c]\nactivate = 1\n";
	char path[] = "/tmp/test_crypto_XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, conf, strlen(conf)), strlen(conf));
	close(fd);
	int fetched = run_self("fetch", NULL, path);
	int started = run_self("start", NULL, path);
	unlink(path);
	assert_int_equal(fetched, 1);
	assert_int_equal(started, 0);
	assert_int_equal(run_self("fetch", NULL, "/dev/null"), 0);
}

static int fetch_plainly(void)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

	if (cipher == NULL)
		return 1;
	EVP_CIPHER_free(cipher);
	return 0;
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(known_answers_are_right_and_quick),
	cmocka_unit_test(counts_its_users),
	cmocka_unit_test(threads_share_the_algorithms),
	cmocka_unit_test(says_what_is_missing),
	cmocka_unit_test(ignores_openssl_conf),
	cmocka_unit_test(names_the_loaded_library),
};

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "allocations") == 0)
		start_with_allocations(arguments[2]);
	if (count == 2 && strcmp(arguments[1], "start") == 0)
		return start_plainly();
	if (count == 2 && strcmp(arguments[1], "fetch") == 0)
		return fetch_plainly();
	return cmocka_run_group_tests(TESTS, test_crypto_start, test_crypto_stop);
}
