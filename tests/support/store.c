#include "tests/support/store.h"

#include <sqlite3.h>

enum { VALID_FROM_S = 1000, VALID_UNTIL_S = 2000 };

enum store_status test_store_open(struct test_store *t)
{
	return store_open(&t->store, t->directory.path, &t->random, NULL);
}

void test_store_close(struct test_store *t)
{
	store_close(t->store);
	t->store = NULL;
}

void test_store_reopen(struct test_store *t)
{
	test_store_close(t);
	test_store_expect(test_store_open(t), STORE_OK);
}

void test_store_expect(enum store_status got, enum store_status expected)
{
	assert_string_equal(store_status_text(got), store_status_text(expected));
}

int test_store_start(void **state)
{
	struct test_store *t = calloc(1, sizeof *t);

	assert_non_null(t);
	test_directory_create(&t->directory);
	t->random = random_seeded_init(&t->seeded, test_seed());
	test_store_expect(test_store_open(t), STORE_OK);
	*state = t;
	return 0;
}

int test_store_stop(void **state)
{
	struct test_store *t = *state;

	test_store_close(t);
	test_directory_destroy(&t->directory);
	free(t);
	return 0;
}

struct store_file test_store_file(struct test_store *t, uint32_t max_devices)
{
	struct store_file file;

	memset(&file, 0, sizeof file);
	random_fill(&t->random, file.file_id, sizeof file.file_id);
	random_fill(&t->random, file.shared_secret, sizeof file.shared_secret);
	file.valid_from_s = VALID_FROM_S;
	file.valid_until_s = VALID_UNTIL_S;
	file.max_devices = max_devices;
	snprintf(file.path, sizeof file.path, "/somewhere/clawchat-20261121-120000.sec");
	return file;
}

struct store_device test_store_device(struct test_store *t, const struct store_file *file)
{
	struct store_device device;

	memset(&device, 0, sizeof device);
	random_fill(&t->random, device.device_id, sizeof device.device_id);
	random_fill(&t->random, device.device_public, sizeof device.device_public);
	random_fill(&t->random, device.identity_public, sizeof device.identity_public);
	random_fill(&t->random, device.psk, sizeof device.psk);
	memcpy(device.file_id, file->file_id, sizeof device.file_id);
	device.enrolled_s = VALID_FROM_S;
	device.hello_s = VALID_FROM_S;
	device.hello_ns = 5;
	return device;
}

void test_store_tamper(struct test_store *t, const char *sql)
{
	char path[TEST_PATH_SIZE], *why = NULL;
	sqlite3 *database;

	assert_null(t->store);
	test_directory_path(&t->directory, "clawchat.db", path);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	if (sqlite3_exec(database, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}
