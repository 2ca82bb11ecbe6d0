/* Secret memory: zeroed, apart, wiped, absent from a child; the process stays closed. */
#include "crypto/secret.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/crypto.h"

enum {
	ALIGNMENT = 64,
	LARGE = 1 << 20, /* more than the arena holds */
	NO_LIMIT = 77,   /* exit code of a child */
};

static bool is_filled(const uint8_t *bytes, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void is_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = { 1, 32, 63, 64, 65, 1088, 16384, 16385, LARGE };
	uint8_t *secrets[COUNT_OF(sizes)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		secrets[i] = secret_create(sizes[i]);
		assert_non_null(secrets[i]);
		assert_int_equal((uintptr_t)secrets[i] % ALIGNMENT, 0);
		assert_true(is_filled(secrets[i], sizes[i], 0));
		memset(secrets[i], (int)(i + 1), sizes[i]);
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		assert_true(is_filled(secrets[i], sizes[i], (uint8_t)(i + 1)));
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		secret_destroy(secrets[i], sizes[i]);
	secret_destroy(NULL, 32);
}

/* The arena's memory stays mapped: what was a secret can be looked at. */
static void is_wiped_and_used_again(void **state)
{
	(void)state;
	uint8_t *secret = secret_create(100);
	memset(secret, 0xa5, 100);
	secret_destroy(secret, 100);
	assert_true(is_filled(secret, 100, 0));
	uint8_t *again = secret_create(100);
	assert_ptr_equal(again, secret);
	secret_destroy(again, 100);
}

/* Full is said, and ends when something is given back; an impossible size is refused. */
static void says_full(void **state)
{
	enum { SIZE = 16384, MANY = 1000 };
	void *secrets[MANY];
	size_t count = 0;

	(void)state;
	while (count < MANY && (secrets[count] = secret_create(SIZE)) != NULL)
		count++;
	assert_true(count > 0 && count < MANY);
	assert_null(secret_create(SIZE));
	secret_destroy(secrets[0], SIZE);
	secrets[0] = secret_create(SIZE);
	assert_non_null(secrets[0]);
	for (size_t i = 0; i < count; i++)
		secret_destroy(secrets[i], SIZE);
	assert_null(secret_create(0));
	assert_null(secret_create(SIZE_MAX));
	assert_null(secret_create(SIZE_MAX / 2));
}

/* Run `child` in a forked process; its return value is the exit code. */
static int in_child(int (*child)(void *), void *argument)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child(argument));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int sees_zeros(void *secret)
{
	return is_filled(secret, 100, 0) ? 0 : 1;
}

static void child_sees_zeros(void **state)
{
	static const size_t sizes[] = { 100, LARGE };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		uint8_t *secret = secret_create(sizes[i]);
		uint8_t ordinary[100];
		memset(secret, 0xa5, sizes[i]);
		memset(ordinary, 0xa5, sizeof ordinary);
		assert_int_equal(in_child(sees_zeros, secret), 0);
		assert_int_equal(in_child(sees_zeros, ordinary), 1);
		assert_true(is_filled(secret, sizes[i], 0xa5));
		secret_destroy(secret, sizes[i]);
	}
}

/* The last test: from here on this process is closed. */
static void hardened_process_is_closed(void **state)
{
	struct rlimit core;

	(void)state;
	secret_harden_process();
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
	assert_int_equal(core.rlim_max, 0);
#ifndef CLAWCHAT_SANITIZE_ADDRESS
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
#endif
	/* Hardening must not be what makes memory run out. */
	void *large = malloc(64 << 20);
	assert_non_null(large);
	memset(large, 1, 1 << 20);
	free(large);
}

static int works_without_locking(void *unused)
{
	const struct rlimit none = { 0 };

	(void)unused;
	/* Root may lock beyond any limit, others not. */
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && seteuid(65534) != 0))
		return 1;
	if (mlock(&none, sizeof none) == 0)
		return NO_LIMIT;
	uint8_t *secret = secret_create(LARGE);
	if (secret == NULL || !is_filled(secret, LARGE, 0))
		return 2;
	secret_destroy(secret, LARGE);
	return secret_is_locked() ? 3 : 0;
}

/* Goal: where memory cannot be locked, secrets are kept all the same, and it is told. */
static void limit_is_told(void **state)
{
	(void)state;
	int code = in_child(works_without_locking, NULL);
	if (code == NO_LIMIT) {
		print_message("skipped: mlock() knows no limit here (sanitizers replace it)\n");
		skip();
	}
	assert_int_equal(code, 0);
}

static void *take_and_give(void *argument)
{
	uint8_t mark = *(uint8_t *)argument;

	for (int i = 0; i < 2000; i++) {
		size_t size = 32 + (size_t)i % 200;
		uint8_t *secret = secret_create(size);
		if (secret == NULL || !is_filled(secret, size, 0))
			return argument;
		memset(secret, mark, size);
		if (!is_filled(secret, size, mark))
			return argument;
		secret_destroy(secret, size);
	}
	return NULL;
}

static void threads_stay_apart(void **state)
{
	pthread_t threads[3];
	uint8_t marks[3] = { 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &marks[i]), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

static void tells_whether_it_is_locked(void **state)
{
	(void)state;
	print_message("arena locked into memory: %s\n", secret_is_locked() ? "yes" : "no");
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(is_zeroed_aligned_and_apart),
	cmocka_unit_test(is_wiped_and_used_again),
	cmocka_unit_test(says_full),
	cmocka_unit_test(child_sees_zeros),
	cmocka_unit_test(threads_stay_apart),
	cmocka_unit_test(tells_whether_it_is_locked),
	cmocka_unit_test(limit_is_told),
	cmocka_unit_test(hardened_process_is_closed),
};

int main(void)
{
	return cmocka_run_group_tests(TESTS, NULL, NULL);
}
