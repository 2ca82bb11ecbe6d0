#pragma once
/* A directory of its own for a test that writes files. */
#include "tests/support/test.h"

enum { TEST_PATH_SIZE = 256 };

/* An empty directory of mode 0700. */
struct test_directory {
	char path[TEST_PATH_SIZE / 2];
};

void test_directory_create(struct test_directory *d);
/* Removes it with all that is in it. */
void test_directory_destroy(struct test_directory *d);

/* "DIRECTORY/name" in `path`, which is returned. */
const char *test_directory_path(const struct test_directory *d, const char *name,
				char path[TEST_PATH_SIZE]);

/* How many entries it has. */
size_t test_directory_count(const struct test_directory *d);
