#include "tests/support/directory.h"

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

enum { OPEN_DIRECTORIES = 16 };

void test_directory_create(struct test_directory *d)
{
	const char *base = getenv("TMPDIR");

	snprintf(d->path, sizeof d->path, "%s/clawchat-test-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(d->path));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void test_directory_destroy(struct test_directory *d)
{
	assert_int_equal(nftw(d->path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS), 0);
}

const char *test_directory_path(const struct test_directory *d, const char *name,
				char path[TEST_PATH_SIZE])
{
	snprintf(path, TEST_PATH_SIZE, "%s/%s", d->path, name);
	return path;
}

size_t test_directory_count(const struct test_directory *d)
{
	size_t count = 0;
	DIR *directory = opendir(d->path);

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count - 2; /* "." and ".." */
}
