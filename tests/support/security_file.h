#pragma once
/* A security file with every field in use, and the keys around it. */
#include "core/security_file.h"
#include "tests/support/crypto.h"

enum {
	TEST_ITERATIONS = 2, /* the product's would take 0.2 s each */
	TEST_ITERATIONS_MAX = 1000,
};
#define TEST_NOW_S UINT64_C(1800000000)

struct test_security_file {
	struct random_seeded seeded;
	struct random_source random;
	struct ed25519_pair signing;
	uint8_t bootstrap[BOOTSTRAP_KEY_SIZE];
	struct security_file file;
	struct security_file_writer writer;
	struct security_file_reader reader;
	char text[SECURITY_FILE_WRITTEN_MAX];
	size_t size;
};

/* The same bytes for the same seed. The file is valid at TEST_NOW_S, for one hour. */
void test_security_file_init(struct test_security_file *t, uint64_t seed);

/* Seals t->file into t->text, which must work. */
void test_security_file_seal(struct test_security_file *t);

/* Opens a text, and checks that nothing is left in `out` where nothing may be. */
enum security_file_status test_security_file_open(const struct test_security_file *t,
						  struct view text, struct security_file *out);

/* As assert_int_equal(), but tells the texts. */
void test_security_file_expect(enum security_file_status got, enum security_file_status expected);
