#pragma once
/* A store in a directory of its own, and made-up rows for it. */
#include "relay/store.h"
#include "tests/support/crypto.h"
#include "tests/support/directory.h"

struct test_store {
	struct test_directory directory;
	struct random_seeded seeded;
	struct random_source random;
	struct store *store; /* NULL while closed */
};

/* cmocka's setup and teardown: *state is a struct test_store with its store open. */
int test_store_start(void **state);
int test_store_stop(void **state);

enum store_status test_store_open(struct test_store *t);
void test_store_close(struct test_store *t);
/* Closes it and opens it again, which must work. */
void test_store_reopen(struct test_store *t);

/* As assert_int_equal(), but tells the texts. */
void test_store_expect(enum store_status got, enum store_status expected);

/* A file for `max_devices`, valid from 1000 to 2000, and a device of it; secrets are random. */
struct store_file test_store_file(struct test_store *t, uint32_t max_devices);
struct store_device test_store_device(struct test_store *t, const struct store_file *file);

/* Runs SQL on the closed database, as somebody who tampers with it would. */
void test_store_tamper(struct test_store *t, const char *sql);
