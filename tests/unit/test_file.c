/* Secret files: what is refused when reading, what survives when writing, what is left after. */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/directory.h"

enum {
	CAPACITY = 64,
	UID_NOBODY = 65534,
	LARGE_SIZE = 1 << 20,
};

struct fixture {
	struct test_directory directory;
	char path[TEST_PATH_SIZE]; /* a name in it, nothing there yet */
	uint8_t data[CAPACITY];
	size_t size;
};

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	test_directory_create(&f->directory);
	test_directory_path(&f->directory, "secret", f->path);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	test_directory_destroy(&f->directory);
	free(f);
	return 0;
}

static enum file_status read_back(struct fixture *f, enum file_privacy privacy)
{
	memset(f->data, 0xa5, sizeof f->data);
	f->size = SIZE_MAX;
	return file_read(f->path, privacy, f->data, sizeof f->data, &f->size);
}

/* A refused file leaves nothing behind in the reader's memory. */
static void expect_refused(struct fixture *f, enum file_privacy privacy, enum file_status expected)
{
	static const uint8_t zeros[CAPACITY], untouched[CAPACITY] = { [0 ... CAPACITY - 1] = 0xa5 };

	enum file_status status = read_back(f, privacy);
	assert_string_equal(file_status_text(status), file_status_text(expected));
	assert_int_equal(f->size, 0);
	assert_true(memcmp(f->data, zeros, CAPACITY) == 0 ||
		    memcmp(f->data, untouched, CAPACITY) == 0);
}

static void expect_content(struct fixture *f, struct view expected)
{
	assert_int_equal(read_back(f, FILE_PRIVATE), FILE_OK);
	assert_int_equal(f->size, expected.size);
	assert_memory_equal(f->data, expected.data, expected.size);
}

static void reads_what_was_written(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 0, 1, CAPACITY - 1, CAPACITY };
	uint8_t data[CAPACITY];
	struct stat st;

	memset(data, 'x', sizeof data);
	umask(0);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_int_equal(file_write(f->path, view_of(data, sizes[i])), FILE_OK);
		expect_content(f, view_of(data, sizes[i]));
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(test_directory_count(&f->directory), 1);
	}
	umask(022);
}

static void refuses_too_large(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CAPACITY + 1] = { 0 };

	assert_int_equal(file_write(f->path, VIEW(data)), FILE_OK);
	expect_refused(f, FILE_PRIVATE, FILE_IS_TOO_LARGE);
}

static void judges_modes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		mode_t mode;
		enum file_status as_private, as_credential, as_public;
	} rows[] = {
		{ 0600, FILE_OK, FILE_OK, FILE_OK },
		{ 0400, FILE_OK, FILE_OK, FILE_OK },
		{ 0440, FILE_IS_OPEN, FILE_OK, FILE_OK },
		{ 0644, FILE_IS_OPEN, FILE_IS_OPEN, FILE_OK },
		{ 0604, FILE_IS_OPEN, FILE_IS_OPEN, FILE_OK },
		{ 0620, FILE_IS_OPEN, FILE_IS_OPEN, FILE_IS_OPEN },
		{ 0602, FILE_IS_OPEN, FILE_IS_OPEN, FILE_IS_OPEN },
		{ 0610, FILE_IS_OPEN, FILE_IS_OPEN, FILE_OK },
	};

	assert_int_equal(file_write(f->path, VIEW_STRING("secret")), FILE_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("mode %04o\n", rows[i].mode);
		assert_int_equal(chmod(f->path, rows[i].mode), 0);
		assert_int_equal(read_back(f, FILE_PRIVATE), rows[i].as_private);
		assert_int_equal(read_back(f, FILE_CREDENTIAL), rows[i].as_credential);
		assert_int_equal(read_back(f, FILE_PUBLIC), rows[i].as_public);
	}
}

/* What stands at the path of a secret and is no file. A FIFO must not block either. */
static void refuses_what_is_no_file(void **state)
{
	struct fixture *f = *state;
	char target[TEST_PATH_SIZE];

	expect_refused(f, FILE_PRIVATE, FILE_IS_MISSING);

	assert_int_equal(mkfifo(f->path, 0600), 0);
	expect_refused(f, FILE_PRIVATE, FILE_IS_NOT_REGULAR);
	assert_int_equal(file_destroy(f->path), FILE_IS_NOT_REGULAR);
	assert_int_equal(unlink(f->path), 0);

	assert_int_equal(mkdir(f->path, 0700), 0);
	expect_refused(f, FILE_PRIVATE, FILE_IS_NOT_REGULAR);
	assert_int_equal(file_destroy(f->path), FILE_IS_NOT_REGULAR);
	assert_int_equal(rmdir(f->path), 0);

	test_directory_path(&f->directory, "target", target);
	assert_int_equal(file_write(target, VIEW_STRING("secret")), FILE_OK);
	assert_int_equal(symlink(target, f->path), 0);
	expect_refused(f, FILE_PRIVATE, FILE_IS_LINK);
	expect_refused(f, FILE_CREDENTIAL, FILE_IS_LINK);
	assert_int_equal(read_back(f, FILE_PUBLIC), FILE_OK);
	assert_int_equal(file_destroy(f->path), FILE_IS_LINK);
	assert_int_equal(access(target, F_OK), 0);
}

/* Writing over a symbolic link replaces the link; what it pointed to stays as it was. */
static void writing_replaces_a_link(void **state)
{
	struct fixture *f = *state;
	char target[TEST_PATH_SIZE];

	test_directory_path(&f->directory, "target", target);
	assert_int_equal(file_write(target, VIEW_STRING("old")), FILE_OK);
	assert_int_equal(symlink(target, f->path), 0);
	assert_int_equal(file_write(f->path, VIEW_STRING("new")), FILE_OK);
	expect_content(f, VIEW_STRING("new"));
	snprintf(f->path, sizeof f->path, "%s", target);
	expect_content(f, VIEW_STRING("old"));
}

static void refuses_the_file_of_another(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0) {
		print_message("skipped: giving a file away needs root\n");
		skip();
	}
	assert_int_equal(file_write(f->path, VIEW_STRING("secret")), FILE_OK);
	assert_int_equal(chown(f->path, UID_NOBODY, (gid_t)-1), 0);
	expect_refused(f, FILE_PRIVATE, FILE_IS_FOREIGN);
	expect_refused(f, FILE_PUBLIC, FILE_IS_FOREIGN);
	assert_int_equal(chown(f->directory.path, UID_NOBODY, (gid_t)-1), 0);
	assert_int_equal(file_make_directory(f->directory.path), FILE_IS_FOREIGN);
}

/* Runs as an ordinary user in a child: is what root owns readable, is what it keeps refused? */
static int as_nobody(struct fixture *f)
{
	if (seteuid(UID_NOBODY) != 0)
		return 1;
	if (read_back(f, FILE_PUBLIC) != FILE_OK)
		return 2;
	if (file_write(f->path, VIEW_STRING("mine")) != FILE_IS_REFUSED)
		return 3;
	if (file_destroy(f->path) != FILE_IS_REFUSED)
		return 4;
	test_directory_path(&f->directory, "secret-private", f->path);
	return read_back(f, FILE_PRIVATE) == FILE_IS_REFUSED ? 0 : 5;
}

static void an_ordinary_user_meets_root(void **state)
{
	struct fixture *f = *state;
	char private[TEST_PATH_SIZE];
	int status;

	if (geteuid() != 0) {
		print_message("skipped: changing the user needs root\n");
		skip();
	}
	assert_int_equal(file_write(f->path, VIEW_STRING("public")), FILE_OK);
	assert_int_equal(chmod(f->path, 0644), 0);
	test_directory_path(&f->directory, "secret-private", private);
	assert_int_equal(file_write(private, VIEW_STRING("private")), FILE_OK);
	assert_int_equal(chmod(f->directory.path, 0755), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(as_nobody(f));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/*
 * Goal:   a full disk leaves the old file and no temporary.
 * Method: a file system of 64 KiB in a mount namespace of its own, in a child.
 */
static int on_full_disk(struct fixture *f)
{
	static const uint8_t large[LARGE_SIZE];

	if (mount("none", f->directory.path, "tmpfs", 0, "size=64k,mode=700") != 0)
		return 1;
	if (file_write(f->path, VIEW_STRING("old")) != FILE_OK)
		return 2;
	if (file_write(f->path, VIEW(large)) != FILE_NO_SPACE)
		return 3;
	if (read_back(f, FILE_PRIVATE) != FILE_OK || f->size != 3 || memcmp(f->data, "old", 3) != 0)
		return 4;
	return test_directory_count(&f->directory) == 1 ? 0 : 5;
}

static void a_full_disk_keeps_the_old_file(void **state)
{
	enum { NO_NAMESPACE = 77 };
	struct fixture *f = *state;
	int status;

	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNS) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(NO_NAMESPACE);
		_exit(on_full_disk(f));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE) {
		print_message("skipped: no mount namespace here (needs root)\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void writes_nowhere(void **state)
{
	struct fixture *f = *state;
	char path[TEST_PATH_SIZE];

	test_directory_path(&f->directory, "missing/secret", path);
	assert_int_equal(file_write(path, VIEW_STRING("x")), FILE_IS_MISSING);
	assert_int_equal(file_destroy(path), FILE_IS_MISSING);
	assert_int_equal(file_write(f->path, VIEW_STRING("x")), FILE_OK);
	test_directory_path(&f->directory, "secret/secret", path);
	assert_int_equal(file_write(path, VIEW_STRING("x")), FILE_IS_NOT_DIRECTORY);
	test_directory_path(&f->directory, "sub", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(file_write(path, VIEW_STRING("x")), FILE_IS_NOT_REGULAR);
	assert_int_equal(test_directory_count(&f->directory), 2);
}

/*
 * Goal:   the bytes are gone from the file, not only its name.
 * Method: a second name of the same file is read afterwards.
 */
static void destroys_the_bytes(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zeros[6];
	char other[TEST_PATH_SIZE];

	assert_int_equal(file_write(f->path, VIEW_STRING("secret")), FILE_OK);
	assert_int_equal(link(f->path, test_directory_path(&f->directory, "other", other)), 0);
	assert_int_equal(file_destroy(f->path), FILE_OK);
	assert_int_equal(file_destroy(f->path), FILE_IS_MISSING);
	snprintf(f->path, sizeof f->path, "%s", other);
	expect_content(f, VIEW(zeros));
}

static void makes_directories(void **state)
{
	struct fixture *f = *state;
	char link_path[TEST_PATH_SIZE], deep[TEST_PATH_SIZE];
	struct stat st;

	assert_int_equal(file_make_directory(f->path), FILE_OK);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(file_make_directory(f->path), FILE_OK);

	assert_int_equal(symlink(f->path, test_directory_path(&f->directory, "l", link_path)), 0);
	assert_int_equal(file_make_directory(link_path), FILE_OK);
	assert_int_equal(chmod(f->path, 0750), 0);
	assert_int_equal(file_make_directory(f->path), FILE_IS_OPEN);
	assert_int_equal(file_make_directory(link_path), FILE_IS_OPEN);

	test_directory_path(&f->directory, "a/b", deep);
	assert_int_equal(file_make_directory(deep), FILE_IS_MISSING);
	assert_int_equal(file_write(link_path, VIEW_STRING("x")), FILE_OK);
	assert_int_equal(file_make_directory(link_path), FILE_IS_NOT_DIRECTORY);
}

/* What a crash between writing and renaming leaves is destroyed, and nothing else. The leftover is
 * made by hand, under a name such as file_write() takes. */
static void sweeps_leftovers(void **state)
{
	struct fixture *f = *state;
	char leftover[TEST_PATH_SIZE];

	assert_int_equal(file_write(f->path, VIEW_STRING("kept")), FILE_OK);
	test_directory_path(&f->directory, ".clawchat-tmp-0123456789abcdef", leftover);
	assert_int_equal(file_write(leftover, VIEW_STRING("secret")), FILE_OK);
	assert_int_equal(test_directory_count(&f->directory), 2);
	assert_int_equal(file_sweep_directory(f->directory.path), FILE_OK);
	assert_int_equal(test_directory_count(&f->directory), 1);
	expect_content(f, VIEW_STRING("kept"));
	assert_int_equal(file_sweep_directory(leftover), FILE_IS_MISSING);
}

/*
 * Goal:   a reader sees the old content or the new, never a mixture and never nothing.
 * Method: a child replaces the file again and again while this process reads it.
 */
static void replaces_in_one_step(void **state)
{
	enum { WRITES = 200 };
	struct fixture *f = *state;
	uint8_t data[CAPACITY];
	int status;

	memset(data, 'a', sizeof data);
	assert_int_equal(file_write(f->path, VIEW(data)), FILE_OK);
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < WRITES; i++) {
			memset(data, 'a' + i % 26, sizeof data);
			if (file_write(f->path, VIEW(data)) != FILE_OK)
				_exit(1);
		}
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		assert_int_equal(read_back(f, FILE_PRIVATE), FILE_OK);
		assert_int_equal(f->size, CAPACITY);
		memset(data, f->data[0], sizeof data);
		assert_memory_equal(f->data, data, CAPACITY);
	}
	assert_int_equal(status, 0);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(reads_what_was_written),
		FILE_TEST(refuses_too_large),
		FILE_TEST(judges_modes),
		FILE_TEST(refuses_what_is_no_file),
		FILE_TEST(writing_replaces_a_link),
		FILE_TEST(refuses_the_file_of_another),
		FILE_TEST(an_ordinary_user_meets_root),
		FILE_TEST(a_full_disk_keeps_the_old_file),
		FILE_TEST(writes_nowhere),
		FILE_TEST(destroys_the_bytes),
		FILE_TEST(makes_directories),
		FILE_TEST(sweeps_leftovers),
		FILE_TEST(replaces_in_one_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
