/* Opening a store: locks, lost and foreign keys, damage, crashes, and what lies on the disk. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/store.h"

enum { IMAGE_SIZE_MAX = 1 << 20 };

/* A whole file of the state directory in memory. */
struct image {
	uint8_t data[IMAGE_SIZE_MAX];
	size_t size;
};

static void load(const struct test_store *t, const char *name, struct image *image)
{
	char path[TEST_PATH_SIZE];

	image->size = 0;
	FILE *file = fopen(test_directory_path(&t->directory, name, path), "r");
	if (file == NULL)
		return;
	image->size = fread(image->data, 1, sizeof image->data, file);
	assert_true(image->size < sizeof image->data);
	fclose(file);
}

static void save(const struct test_store *t, const char *name, const struct image *image)
{
	char path[TEST_PATH_SIZE];
	FILE *file = fopen(test_directory_path(&t->directory, name, path), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(image->data, 1, image->size, file), image->size);
	assert_int_equal(fclose(file), 0);
}

static void one_process_at_a_time(void **state)
{
	struct test_store *t = *state;
	struct store *second;
	int status;

	test_store_expect(store_open(&second, t->directory.path, &t->random, NULL), STORE_IN_USE);
	assert_null(second);
	pid_t child = fork();
	if (child == 0)
		_exit(store_open(&second, t->directory.path, &t->random, NULL) == STORE_IN_USE ? 0 :
												 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	test_store_reopen(t);
}

static void everything_is_private(void **state)
{
	static const char *const names[] = { "clawchat.db", "clawchat.db-wal", "state.key",
					     "state.lock" };
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	char path[TEST_PATH_SIZE];
	struct stat st;

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	assert_int_equal(test_directory_count(&t->directory), COUNT_OF(names));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		test_directory_path(&t->directory, names[i], path);
		print_message("%s\n", names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

static void refuses_a_bad_directory(void **state)
{
	struct test_store *t = *state;
	char long_path[STORE_PATH_SIZE_MAX + 1];
	struct store *second;
	enum file_status why;

	test_store_close(t);
	assert_int_equal(chmod(t->directory.path, 0755), 0);
	test_store_expect(store_open(&second, t->directory.path, &t->random, &why),
			  STORE_BAD_DIRECTORY);
	assert_int_equal(why, FILE_IS_OPEN);
	assert_int_equal(chmod(t->directory.path, 0700), 0);
	test_store_expect(store_open(&second, "/nowhere/at/all", &t->random, &why),
			  STORE_BAD_DIRECTORY);
	assert_int_equal(why, FILE_IS_MISSING);
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	test_store_expect(store_open(&second, long_path, &t->random, &why), STORE_BAD_DIRECTORY);
	assert_int_equal(why, FILE_NAME_IS_TOO_LONG);
	test_store_expect(test_store_open(t), STORE_OK);
}

static void expect_key_refused(struct test_store *t, enum store_status status,
			       enum file_status expected_why)
{
	enum file_status why;

	test_store_expect(store_open(&t->store, t->directory.path, &t->random, &why), status);
	assert_null(t->store);
	assert_string_equal(file_status_text(why), file_status_text(expected_why));
}

/* Whatever is wrong with state.key, no other is put in its place, and the right one still works. */
static void needs_its_key(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1), out;
	static struct image right, wrong;
	char path[TEST_PATH_SIZE];

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_close(t);
	load(t, "state.key", &right);
	test_directory_path(&t->directory, "state.key", path);

	assert_int_equal(chmod(path, 0640), 0);
	expect_key_refused(t, STORE_BAD_KEY, FILE_IS_OPEN);
	assert_int_equal(chmod(path, 0600), 0);

	wrong = right;
	wrong.data[31] ^= 1;
	save(t, "state.key", &wrong);
	expect_key_refused(t, STORE_WRONG_KEY, FILE_OK);
	wrong.size = 31;
	save(t, "state.key", &wrong);
	expect_key_refused(t, STORE_BAD_KEY, FILE_OK);
	wrong.size = 33;
	save(t, "state.key", &wrong);
	expect_key_refused(t, STORE_BAD_KEY, FILE_IS_TOO_LARGE);

	assert_int_equal(unlink(path), 0);
	expect_key_refused(t, STORE_NO_KEY, FILE_OK);
	assert_int_equal(access(path, F_OK), -1);

	assert_int_equal(file_write(path, view_of(right.data, right.size)), FILE_OK);
	test_store_expect(test_store_open(t), STORE_OK);
	test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_OK);
	assert_memory_equal(&out, &file, sizeof out);
}

static void without_its_key_nothing_opens(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	char path[TEST_PATH_SIZE];

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_destroy_key(t->store), STORE_OK);
	assert_int_equal(access(test_directory_path(&t->directory, "state.key", path), F_OK), -1);
	test_store_close(t);
	expect_key_refused(t, STORE_NO_KEY, FILE_OK);
}

static void refuses_newer_and_foreign(void **state)
{
	struct test_store *t = *state;

	test_store_close(t);
	test_store_tamper(t, "PRAGMA user_version = 2");
	test_store_expect(test_store_open(t), STORE_TOO_NEW);
	test_store_tamper(t, "PRAGMA user_version = 1; PRAGMA application_id = 1");
	test_store_expect(test_store_open(t), STORE_DAMAGED);
	test_store_tamper(t, "PRAGMA user_version = 0; PRAGMA application_id = 0");
	test_store_expect(test_store_open(t), STORE_DAMAGED);
}

/* Looks for bytes in every file of the state directory. */
static bool is_on_disk(const struct test_store *t, const void *bytes, size_t size)
{
	static const char *const names[] = { "clawchat.db", "clawchat.db-wal" };
	static struct image image;
	bool is_found = false;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		load(t, names[i], &image);
		is_found = is_found || memmem(image.data, image.size, bytes, size) != NULL;
	}
	return is_found;
}

/*
 * Goal:   no secret lies on the disk in the clear.
 * Method: all three kinds are written, and looked for in the log and in the database; what is
 *         no secret is found, so the search works.
 */
static void secrets_are_wrapped(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	struct store_device device = test_store_device(t, &file);
	uint8_t key[KEY_SIZE];

	random_fill(&t->random, key, sizeof key);
	const struct store_value value = { STORE_STATIC_KEY, VIEW(key) };
	test_store_expect(store_put_values(t->store, &value, 1), STORE_OK);
	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	for (int is_closed = 0; is_closed < 2; is_closed++) {
		assert_true(is_on_disk(t, file.file_id, sizeof file.file_id));
		assert_true(is_on_disk(t, device.device_public, sizeof device.device_public));
		assert_false(is_on_disk(t, key, sizeof key / 2));
		assert_false(is_on_disk(t, file.shared_secret, sizeof file.shared_secret / 2));
		assert_false(is_on_disk(t, device.psk, sizeof device.psk / 2));
		test_store_close(t);
	}
}

static void read_blob(const struct test_store *t, const char *sql, struct image *out)
{
	char path[TEST_PATH_SIZE];
	sqlite3 *database;
	sqlite3_stmt *statement;

	test_directory_path(&t->directory, "clawchat.db", path);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	out->size = (size_t)sqlite3_column_bytes(statement, 0);
	memcpy(out->data, sqlite3_column_blob(statement, 0), out->size);
	sqlite3_finalize(statement);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* Goal: what was revoked is not left on the disk even in wrapped form, while the relay runs on. */
static void revoked_secrets_are_erased(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	struct store_device device = test_store_device(t, &file);
	static struct image psk, shared;

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	test_store_close(t);
	read_blob(t, "SELECT psk FROM device", &psk);
	read_blob(t, "SELECT shared_secret FROM file", &shared);
	test_store_expect(test_store_open(t), STORE_OK);
	assert_true(is_on_disk(t, psk.data, psk.size));
	assert_true(is_on_disk(t, shared.data, shared.size));
	test_store_expect(store_revoke_file(t->store, file.file_id), STORE_OK);
	assert_false(is_on_disk(t, psk.data, psk.size));
	assert_false(is_on_disk(t, shared.data, shared.size));
}

/* A wrapped secret opens in its own row and column only. */
static void wrapped_secrets_cannot_be_moved(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 2);
	struct store_device a = test_store_device(t, &file), b = test_store_device(t, &file), out;
	struct store_device zeros;

	memset(&zeros, 0, sizeof zeros);
	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &a, 1), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &b, 1), STORE_OK);
	test_store_close(t);
	test_store_tamper(t, "UPDATE device SET psk = (SELECT min(psk) FROM device)");
	test_store_expect(test_store_open(t), STORE_OK);
	bool a_fails = store_get_device(t->store, a.device_id, &out) == STORE_DAMAGED;
	bool b_fails = store_get_device(t->store, b.device_id, &out) == STORE_DAMAGED;
	assert_true(a_fails != b_fails);
	test_store_close(t);
	test_store_tamper(t, "UPDATE device SET psk = (SELECT shared_secret FROM file)");
	test_store_expect(test_store_open(t), STORE_OK);
	test_store_expect(store_get_device(t->store, a.device_id, &out), STORE_DAMAGED);
	assert_memory_equal(&out, &zeros, sizeof out);
	test_store_close(t);
	test_store_tamper(t, "UPDATE device SET device_public = x'00'");
	test_store_expect(test_store_open(t), STORE_OK);
	test_store_expect(store_get_device(t->store, b.device_id, &out), STORE_DAMAGED);
}

static void fill_some(struct test_store *t)
{
	enum { FILES = 60 };

	for (size_t i = 0; i < FILES; i++) {
		struct store_file file = test_store_file(t, 1);
		struct store_device device = test_store_device(t, &file);
		test_store_expect(store_add_file(t->store, &file), STORE_OK);
		test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	}
}

static void see_nothing(void *state, const struct store_file *file)
{
	(void)state;
	(void)file;
}

static void refuses_what_is_no_database(void **state)
{
	struct test_store *t = *state;
	static struct image right, wrong;

	fill_some(t);
	test_store_close(t);
	load(t, "clawchat.db", &right);

	wrong = right;
	random_fill(&t->random, wrong.data, wrong.size);
	save(t, "clawchat.db", &wrong);
	test_store_expect(test_store_open(t), STORE_DAMAGED);

	for (size_t size = 1; size < right.size; size += 997) {
		wrong = right;
		wrong.size = size;
		save(t, "clawchat.db", &wrong);
		test_store_expect(test_store_open(t), STORE_DAMAGED);
	}
	save(t, "clawchat.db", &right);
	test_store_expect(test_store_open(t), STORE_OK);
}

/*
 * Goal:   a damaged database is refused or read, and never crashes the relay.
 * Method: 300 times some random bytes are changed. SQLite has no checksums, so some changes can
 *         only be found where the values are used; the wrapped ones are then not authentic.
 */
static void survives_damage(void **state)
{
	enum { ROUNDS = 300, CHANGES = 8 };
	struct test_store *t = *state;
	static struct image right, wrong;
	size_t refused = 0;

	fill_some(t);
	test_store_close(t);
	load(t, "clawchat.db", &right);
	for (int round = 0; round < ROUNDS; round++) {
		wrong = right;
		for (int i = 0; i < CHANGES; i++) {
			uint32_t at = random_below(&t->random, (uint32_t)wrong.size);
			wrong.data[at] ^= (uint8_t)(1 + random_below(&t->random, UINT8_MAX));
		}
		save(t, "clawchat.db", &wrong);
		enum store_status status = test_store_open(t);
		if (status == STORE_OK)
			status = store_each_file(t->store, see_nothing, NULL);
		refused += status == STORE_DAMAGED;
		test_store_close(t);
	}
	print_message("%zu of %d refused\n", refused, ROUNDS);
	assert_true(refused > ROUNDS / 4);
	save(t, "clawchat.db", &right);
	test_store_expect(test_store_open(t), STORE_OK);
}

/* Enrols devices for ever, and says each number once it is done. */
static void enrol_for_ever(struct test_store *t, const struct store_file *file, int out)
{
	if (test_store_open(t) != STORE_OK)
		_exit(1);
	for (uint32_t number = 1;; number++) {
		struct store_device device = test_store_device(t, file);
		memset(device.device_id, 0, sizeof device.device_id);
		memcpy(device.device_id, &number, sizeof number);
		if (store_enrol_device(t->store, &device, 1) != STORE_OK)
			_exit(2);
		if (write(out, &number, sizeof number) != sizeof number)
			_exit(3);
	}
}

/* The last number said by a child that is killed in the middle of its work. */
static uint32_t run_and_kill(struct test_store *t, const struct store_file *file, uint32_t until)
{
	uint32_t number = 0, last = 0;
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		enrol_for_ever(t, file, ends[1]);
	}
	close(ends[1]);
	while (last < until && read(ends[0], &number, sizeof number) == sizeof number)
		last = number;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &number, sizeof number) == sizeof number)
		last = number;
	close(ends[0]);
	return last;
}

static void count_device(void *state, const struct store_device *device)
{
	(void)device;
	*(uint32_t *)state += 1;
}

/*
 * Goal:   after a crash everything that was confirmed is there, and nothing is there by half.
 * Method: a child is killed while it enrols; every device that it confirmed is known, at most one
 *         more is, and the file was spent exactly so often as there are devices.
 */
static void survives_being_killed(void **state)
{
	enum { ROUNDS = 10 };
	struct test_store *t = *state;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct store_file file = test_store_file(t, UINT32_MAX), out;
		struct store_device device;
		uint32_t count = 0;
		test_store_stop(state);
		test_store_start(state);
		t = *state;
		test_store_expect(store_add_file(t->store, &file), STORE_OK);
		test_store_close(t);
		uint32_t said = run_and_kill(t, &file, 1 + 7 * round);
		test_store_expect(test_store_open(t), STORE_OK);
		for (uint32_t number = 1; number <= said; number++) {
			uint8_t id[DEVICE_ID_SIZE] = { 0 };
			memcpy(id, &number, sizeof number);
			test_store_expect(store_get_device(t->store, id, &device), STORE_OK);
		}
		test_store_expect(store_each_device(t->store, count_device, &count), STORE_OK);
		test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_OK);
		assert_true(count == said || count == said + 1);
		assert_int_equal(out.used, count);
	}
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, test_store_start, test_store_stop)

static const struct CMUnitTest TESTS[] = {
	STORE_TEST(one_process_at_a_time),
	STORE_TEST(everything_is_private),
	STORE_TEST(refuses_a_bad_directory),
	STORE_TEST(needs_its_key),
	STORE_TEST(without_its_key_nothing_opens),
	STORE_TEST(refuses_newer_and_foreign),
	STORE_TEST(secrets_are_wrapped),
	STORE_TEST(revoked_secrets_are_erased),
	STORE_TEST(wrapped_secrets_cannot_be_moved),
	STORE_TEST(refuses_what_is_no_database),
	STORE_TEST(survives_damage),
	STORE_TEST(survives_being_killed),
};

CRYPTO_TESTS(TESTS)
