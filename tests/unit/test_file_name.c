/* File names: nothing that comes out can leave a folder, hide in it or mislead. */
#include "client/file_name.h"

#include "core/text.h"
#include "tests/support/test.h"

static void cleans_names(void **state)
{
	static const struct {
		const char *name, *clean;
	} rows[] = {
		{ "report.pdf", "report.pdf" },
		{ "my holiday (1).jpg", "my holiday (1).jpg" },
		{ "caf\xc3\xa9.txt", "caf\xc3\xa9.txt" },
		{ "", "file" },
		{ "   ", "file" },
		{ ".", "_" },
		{ "..", "_." },
		{ "...", "_.." },
		{ "/", "_" },
		{ "../../etc/passwd", "_._.._etc_passwd" },
		{ "/etc/shadow", "_etc_shadow" },
		{ ".bashrc", "_bashrc" },
		{ " .bashrc", "_bashrc" },
		{ "-rf", "_rf" },
		{ "a\nb", "a_b" },
		{ "\x1b[31mred", "_[31mred" },
		{ "invoice\xe2\x80\xae"
		  "fdp.exe",
		  "invoice_fdp.exe" },
		{ "caf\xe9.txt", "caf_.txt" },
		{ "name .txt", "name .txt" },
	};
	char out[FILE_NAME_SIZE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view name = view_of(rows[i].name, strlen(rows[i].name));
		assert_int_equal(file_name_clean(name, out), strlen(rows[i].clean));
		assert_string_equal(out, rows[i].clean);
		assert_true(file_name_is_clean(view_of(out, strlen(out))));
		bool is_same = strcmp(rows[i].name, rows[i].clean) == 0;
		assert_int_equal(file_name_is_clean(name), is_same);
	}
	assert_int_equal(file_name_clean(view_of("a\0/b", 4), out), 4);
	assert_string_equal(out, "a__b");
}

static void assert_harmless(const char *name)
{
	size_t length = strlen(name);

	assert_in_range(length, 1, FILE_NAME_SIZE_MAX);
	assert_null(strchr(name, '/'));
	assert_int_not_equal(name[0], '.');
	assert_int_not_equal(name[0], '-');
	assert_true(text_is_valid(view_of(name, length)));
	assert_true(file_name_is_clean(view_of(name, length)));
}

/*
 * Goal:   cleaning is total and final: any bytes give a harmless name, which stays as it is.
 * Method: seeded bytes, mostly from the characters that matter, of every size up to the line's.
 */
static void any_bytes_give_harmless_names(void **state)
{
	static const char alphabet[] = "../ -a.\x1b\xc3\xa9\xe2\x80\xae\xf0\x9f\xa6\x9e \n";
	uint64_t x = test_seed() | 1;
	char bytes[1400], out[FILE_NAME_SIZE_MAX + 1];

	(void)state;
	for (size_t size = 0; size < sizeof bytes; size++) {
		for (size_t i = 0; i < size; i++) {
			x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			bytes[i] = alphabet[(x >> 33) % (sizeof alphabet - 1)];
		}
		file_name_clean(view_of(bytes, size), out);
		assert_harmless(out);
	}
}

static void long_names_keep_their_extension(void **state)
{
	char name[600], out[FILE_NAME_SIZE_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof name);
	memcpy(name + 300, ".tar.gz", sizeof ".tar.gz");
	assert_int_equal(file_name_clean(view_of(name, strlen(name)), out), FILE_NAME_SIZE_MAX);
	assert_string_equal(out + FILE_NAME_SIZE_MAX - 4, "x.gz");

	/* Too long to be an extension: cut like the rest. */
	memset(name + 300, 'y', sizeof name - 300);
	name[300] = '.';
	assert_int_equal(file_name_clean(view_of(name, 330), out), FILE_NAME_SIZE_MAX);
	assert_null(strchr(out, '.'));
}

static void numbers_copies(void **state)
{
	static const struct {
		const char *name, *second;
	} rows[] = {
		{ "a.txt", "a (2).txt" },
		{ "a", "a (2)" },
		{ "a.tar.gz", "a.tar (2).gz" },
		{ "_.x", "_ (2).x" },
	};
	char out[FILE_NAME_LOCAL_MAX + 1], longest[FILE_NAME_SIZE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		file_name_copy(rows[i].name, 1, out);
		assert_string_equal(out, rows[i].name);
		file_name_copy(rows[i].name, 2, out);
		assert_string_equal(out, rows[i].second);
	}
	memset(longest, 'x', FILE_NAME_SIZE_MAX);
	longest[FILE_NAME_SIZE_MAX] = '\0';
	file_name_copy(longest, FILE_NAME_COPIES_MAX, out);
	assert_string_equal(out + FILE_NAME_SIZE_MAX, " (1000)");
}

static void names_parts(void **state)
{
	static const uint8_t sha256[HASH_SIZE] = { 0x01, 0x23, 0xab, 0xcd, 0xef };
	char out[FILE_NAME_LOCAL_MAX + 1], longest[FILE_NAME_SIZE_MAX + 1];

	(void)state;
	file_name_part("a.txt", sha256, out);
	assert_string_equal(out, ".a.txt.0123abcd.part");
	memset(longest, 'x', FILE_NAME_SIZE_MAX);
	longest[FILE_NAME_SIZE_MAX] = '\0';
	file_name_part(longest, sha256, out);
	assert_int_equal(strlen(out), FILE_NAME_SIZE_MAX + strlen("..0123abcd.part"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleans_names),
		cmocka_unit_test(any_bytes_give_harmless_names),
		cmocka_unit_test(long_names_keep_their_extension),
		cmocka_unit_test(numbers_copies),
		cmocka_unit_test(names_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
