#include "relay/issuer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/file.h"
#include "tests/support/crypto.h"
#include "tests/support/directory.h"

enum {
	INTERVAL_S = 3600,
	NOTICE_S = 120,
	GRACE_S = 300,
	VALIDITY_S = 5400, /* three generations, from the middle of one */
	ITERATIONS = 1000, /* far too few, but for a test */
	DEVICES = 7,
	OPEN_PORT = 45454,
	NOW_S = 1795300000, /* 2026-11-21 22:26:40 UTC, 1600 s into its generation */
};

static const uint64_t NOW_NS = NOW_S * NS_PER_S;
static const uint64_t GENERATION = NOW_S / INTERVAL_S;

struct fixture {
	struct test_directory directory;
	struct doors doors;
	struct issuer issuer;
	struct issued_file issued;
	char error[ISSUER_ERROR_MAX];

	/* What `keep` was given, and answers. */
	unsigned kept;
	struct credential_file credential;
	char kept_path[ISSUER_PATH_MAX];
	bool existed, refuses;
};

static bool keep(void *state, const struct credential_file *file, const char *path,
		 uint32_t max_devices)
{
	struct fixture *f = state;
	f->kept++;
	f->credential = *file;
	f->existed = access(path, F_OK) == 0;
	snprintf(f->kept_path, sizeof(f->kept_path), "%s", path);
	assert_int_equal(max_devices, DEVICES);
	return !f->refuses;
}

static void make_doors(struct fixture *f, enum door_mode mode)
{
	struct doors_config config = {
		.schedule = { .interval_s = INTERVAL_S, .port_first = 50000, .port_last = 60000 },
		.mode = mode,
		.notice_s = NOTICE_S,
		.grace_s = GRACE_S,
	};
	memset(config.schedule.secret, 0x5c, KEY_SIZE);
	doors_init(&f->doors, &config);
	f->doors.open[1] =
		(struct open_door){ .generation = GENERATION, .port = OPEN_PORT, .is_open = true };
	schedule_door_key(&config.schedule, GENERATION, f->doors.open[1].key);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	test_directory_create(&f->directory);
	make_doors(f, DOOR_MODE_SCHEDULE);
	struct issuer *i = &f->issuer;
	i->files_dir = f->directory.path;
	i->random = random_system();
	random_fill(&i->random, i->bootstrap, sizeof(i->bootstrap));
	random_fill(&i->random, i->server_id, sizeof(i->server_id));
	random_fill(&i->random, i->server_public, sizeof(i->server_public));
	ed25519_generate(&i->signing, &i->random);
	i->server_name = "Test relay";
	i->public_v4 = address_v4(192, 0, 2, 1, 0);
	i->validity_s = VALIDITY_S;
	i->max_devices = DEVICES;
	i->iterations = ITERATIONS;
	i->doors = &f->doors;
	i->keep = keep;
	i->keep_state = f;
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	test_directory_destroy(&f->directory);
	doors_fini(&f->doors);
	free(f);
	return 0;
}

static void issue(struct fixture *f, const char *path)
{
	if (!issuer_write(&f->issuer, path, NOW_NS, &f->issued, f->error))
		fail_msg("%s", f->error);
}

static size_t read_bytes(const char *path, uint8_t out[SECURITY_FILE_SIZE_MAX])
{
	size_t size;
	assert_int_equal(file_read(path, FILE_PRIVATE, out, SECURITY_FILE_SIZE_MAX, &size),
			 FILE_OK);
	return size;
}

/* As a client would open it. */
static void open_file(const struct fixture *f, const char *path, struct security_file *out)
{
	static uint8_t text[SECURITY_FILE_SIZE_MAX];
	const struct security_file_reader reader = {
		.bootstrap = view_of(f->issuer.bootstrap, BOOTSTRAP_KEY_SIZE),
		.now_s = NOW_S,
		.pinned_signing_key = f->issuer.signing.public,
		.iterations_min = ITERATIONS,
		.iterations_max = ITERATIONS,
	};
	size_t size = read_bytes(path, text);
	enum security_file_status status = security_file_open(&reader, view_of(text, size), out);
	assert_string_equal(security_file_status_text(status),
			    security_file_status_text(SECURITY_FILE_OK));
}

/* ---- contents ----------------------------------------------------------------------------- */

static void test_contents(void **state)
{
	struct fixture *f = *state;
	struct security_file file;
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_memory_equal(file.file_id, f->issued.id, FILE_ID_SIZE);
	assert_memory_equal(file.server_id, f->issuer.server_id, SERVER_ID_SIZE);
	assert_memory_equal(file.server_public_key, f->issuer.server_public, X25519_SIZE);
	assert_string_equal(file.server_name, "Test relay");
	assert_int_equal(file.udp_port, OPEN_PORT);
	assert_int_equal(file.public_ip.port, OPEN_PORT);
	assert_false(address_is_set(&file.public_ip6));
	assert_int_equal(file.issued_s, NOW_S);
	assert_int_equal(file.valid_from_s, NOW_S);
	assert_int_equal(file.valid_until_s, NOW_S + VALIDITY_S);
	assert_int_equal(f->issued.valid_until_s, NOW_S + VALIDITY_S);
	assert_int_equal(file.next_rotation_s, (GENERATION + 1) * INTERVAL_S);
	assert_int_equal(file.enrol_max_devices, DEVICES);

	assert_int_equal(f->kept, 1);
	assert_false(f->existed); /* durably known before anybody can use it */
	assert_string_equal(f->kept_path, f->issued.path);
	assert_memory_equal(f->credential.id, file.file_id, FILE_ID_SIZE);
	assert_memory_equal(f->credential.shared_secret, file.shared_secret, KEY_SIZE);
	assert_true(f->credential.valid_until_ns == file.valid_until_s * NS_PER_S);
}

/* Goal: the file opens every door that its validity touches, and no other. */
static void test_doors(void **state)
{
	struct fixture *f = *state;
	struct security_file file;
	uint8_t key[KEY_SIZE];
	const struct schedule *s = &f->doors.config.schedule;
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_int_equal(file.door_count, 2);
	for (size_t i = 0; i < file.door_count; i++) {
		const struct security_file_door *door = &file.doors[i];
		uint64_t k = GENERATION + i;
		assert_int_equal(door->generation, k);
		assert_int_equal(door->port, i == 0 ? OPEN_PORT : schedule_port(s, k, 0));
		schedule_door_key(s, k, key);
		assert_memory_equal(door->key, key, KEY_SIZE);
		assert_int_equal(door->from_s, k * INTERVAL_S - NOTICE_S);
		assert_int_equal(door->until_s, (k + 1) * INTERVAL_S + GRACE_S);
	}
	assert_true(file.doors[1].until_s >= file.valid_until_s);

	/* One second more reaches into the next generation. */
	f->issuer.validity_s = (uint32_t)((GENERATION + 2) * INTERVAL_S - NOW_S);
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_int_equal(file.door_count, 3);
	f->issuer.validity_s--;
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_int_equal(file.door_count, 2);
}

/* Goal: a port that nobody can compute is in the file only once it has been drawn. */
static void test_random_ports(void **state)
{
	struct fixture *f = *state;
	struct security_file file;
	make_doors(f, DOOR_MODE_RANDOM);
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_int_equal(file.door_count, 1);
	assert_int_equal(file.doors[0].port, OPEN_PORT);
	f->doors.open[0] = f->doors.open[1];
	f->doors.open[0].generation++;
	f->doors.open[0].port++;
	issue(f, NULL);
	open_file(f, f->issued.path, &file);
	assert_int_equal(file.door_count, 2);
	assert_int_equal(file.doors[1].port, OPEN_PORT + 1);
}

static void test_no_two_alike(void **state)
{
	struct fixture *f = *state;
	struct security_file first, second;
	issue(f, NULL);
	open_file(f, f->issued.path, &first);
	issue(f, NULL);
	open_file(f, f->issued.path, &second);
	assert_memory_not_equal(first.file_id, second.file_id, FILE_ID_SIZE);
	assert_memory_not_equal(first.shared_secret, second.shared_secret, KEY_SIZE);
}

/* ---- names -------------------------------------------------------------------------------- */

static void expect_same(const char *a, const char *b)
{
	static uint8_t first[SECURITY_FILE_SIZE_MAX], second[SECURITY_FILE_SIZE_MAX];
	size_t size = read_bytes(a, first);
	assert_int_equal(read_bytes(b, second), size);
	assert_memory_equal(first, second, size);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	char expected[TEST_PATH_SIZE], current[TEST_PATH_SIZE];
	struct stat info;
	static const char *const names[] = { "clawchat-20261121-222640.sec",
					     "clawchat-20261121-222640-2.sec",
					     "clawchat-20261121-222640-3.sec" };
	test_directory_path(&f->directory, ISSUER_CURRENT_NAME, current);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		issue(f, NULL);
		assert_string_equal(f->issued.path,
				    test_directory_path(&f->directory, names[i], expected));
		assert_int_equal(lstat(expected, &info), 0);
		assert_int_equal(info.st_mode, S_IFREG | 0600);
		expect_same(expected, current);
	}
	/* No temporary is left. */
	assert_int_equal(test_directory_count(&f->directory), COUNT_OF(names) + 1);
}

/* Goal: a file written elsewhere on request is not the newest of those that are handed out. */
static void test_path_by_request(void **state)
{
	struct fixture *f = *state;
	char path[TEST_PATH_SIZE], current[TEST_PATH_SIZE];
	struct security_file file;
	test_directory_path(&f->directory, "for-alice.sec", path);
	issue(f, path);
	open_file(f, path, &file);
	assert_int_equal(access(test_directory_path(&f->directory, ISSUER_CURRENT_NAME, current),
				F_OK),
			 -1);
	assert_int_equal(test_directory_count(&f->directory), 1);
}

/* ---- failures ----------------------------------------------------------------------------- */

static void test_not_kept(void **state)
{
	struct fixture *f = *state;
	f->refuses = true;
	assert_false(issuer_write(&f->issuer, NULL, NOW_NS, &f->issued, f->error));
	assert_string_not_equal(f->error, "");
	assert_int_equal(test_directory_count(&f->directory), 0);
}

static void test_not_written(void **state)
{
	struct fixture *f = *state;
	f->issuer.files_dir = "/nonexistent/files";
	assert_false(issuer_write(&f->issuer, NULL, NOW_NS, &f->issued, f->error));
	assert_non_null(strstr(f->error, "/nonexistent/files"));
	assert_non_null(strstr(f->error, file_status_text(FILE_IS_MISSING)));
	static char long_path[ISSUER_PATH_MAX + 1];
	memset(long_path, 'x', ISSUER_PATH_MAX);
	assert_false(issuer_write(&f->issuer, long_path, NOW_NS, &f->issued, f->error));
}

static void test_no_address(void **state)
{
	struct fixture *f = *state;
	f->issuer.public_v4 = (struct address){ 0 };
	assert_false(issuer_write(&f->issuer, NULL, NOW_NS, &f->issued, f->error));
	assert_int_equal(f->kept, 0);
	assert_int_equal(test_directory_count(&f->directory), 0);
}

/* ---- sweeping ----------------------------------------------------------------------------- */

static void put_file(struct fixture *f, const char *name, uint64_t modified_s)
{
	char path[TEST_PATH_SIZE];
	const struct timespec times[2] = { { .tv_sec = (time_t)modified_s },
					   { .tv_sec = (time_t)modified_s } };
	test_directory_path(&f->directory, name, path);
	assert_int_equal(file_write(path, VIEW_STRING("x")), FILE_OK);
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool exists(struct fixture *f, const char *name)
{
	char path[TEST_PATH_SIZE];
	return access(test_directory_path(&f->directory, name, path), F_OK) == 0;
}

/* Goal: what has expired goes, with its tolerance; what is not the relay's own stays. */
static void test_sweep(void **state)
{
	struct fixture *f = *state;
	const uint64_t over_s = NOW_S - VALIDITY_S - FILE_CLOCK_NS / NS_PER_S - 1;
	static const char *const kept[] = { "clawchat-20261121-000002.sec", ISSUER_CURRENT_NAME,
					    "alice.sec", "clawchat-20261121-000003.txt" };
	put_file(f, "clawchat-20261121-000001.sec", over_s);
	put_file(f, "clawchat-20261121-000001-2.sec", over_s);
	put_file(f, kept[0], over_s + 1);
	for (size_t i = 1; i < COUNT_OF(kept); i++)
		put_file(f, kept[i], over_s);
	assert_int_equal(issuer_sweep(&f->issuer, NOW_NS), 2);
	assert_false(exists(f, "clawchat-20261121-000001.sec"));
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		assert_true(exists(f, kept[i]));
	assert_int_equal(issuer_sweep(&f->issuer, NOW_NS), 0);
	f->issuer.files_dir = "/nonexistent/files";
	assert_int_equal(issuer_sweep(&f->issuer, NOW_NS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

static int start_all(void **state)
{
	security_file_init();
	return test_crypto_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_contents),     TEST(test_doors),       TEST(test_random_ports),
		TEST(test_no_two_alike), TEST(test_names),       TEST(test_path_by_request),
		TEST(test_not_kept),     TEST(test_not_written), TEST(test_no_address),
		TEST(test_sweep),
	};
	return cmocka_run_group_tests(tests, start_all, test_crypto_stop);
}
