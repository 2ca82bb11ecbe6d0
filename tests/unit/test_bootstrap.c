/* The bootstrap key's file and its name. */
#include "core/bootstrap.h"

#include "tests/support/crypto.h"

static const uint8_t KEY[BOOTSTRAP_KEY_SIZE] = { 0x00, 0x1f, 0xa5, 0xff, [31] = 0x7e };
#define DIGITS "001fa5ff0000000000000000000000000000000000000000000000000000007e"

static void writes_text(void **state)
{
	char text[BOOTSTRAP_TEXT_SIZE];

	(void)state;
	bootstrap_key_format(KEY, text);
	assert_memory_equal(text, DIGITS "\n", sizeof text);
}

static void reads_its_forms(void **state)
{
	static const char upper[] =
		"001FA5FF0000000000000000000000000000000000000000000000000000007E";
	const struct view rows[] = {
		VIEW_STRING(DIGITS "\n"),
		VIEW_STRING(DIGITS "\r\n"),
		VIEW_STRING(DIGITS),
		VIEW_STRING(upper),
		VIEW(KEY),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t key[BOOTSTRAP_KEY_SIZE];
		assert_true(rows[i].size <= BOOTSTRAP_FILE_SIZE_MAX);
		assert_true(bootstrap_key_parse(rows[i], key));
		assert_memory_equal(key, KEY, sizeof key);
	}
}

static void refuses_others(void **state)
{
	static const uint8_t zeros[BOOTSTRAP_KEY_SIZE];
	const struct view rows[] = {
		VIEW_STRING(""),
		VIEW_STRING("\n"),
		VIEW_STRING("\r\n"),
		VIEW_STRING(DIGITS "\r"),
		VIEW_STRING(DIGITS "\n\n"),
		VIEW_STRING(DIGITS "\n\r"),
		VIEW_STRING(DIGITS " "),
		VIEW_STRING(" " DIGITS),
		VIEW_STRING(DIGITS "00"),
		VIEW_STRING("g01fa5ff0000000000000000000000000000000000000000000000000000007e"),
		VIEW_STRING("001fa5ff000000000000000000000000000000000000000000000000000007"),
		view_of(KEY, BOOTSTRAP_KEY_SIZE - 1),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t key[BOOTSTRAP_KEY_SIZE] = { 0 };
		print_message("row %zu\n", i);
		assert_false(bootstrap_key_parse(rows[i], key));
		assert_memory_equal(key, zeros, sizeof key);
	}
}

static void each_secret_has_its_id(void **state)
{
	const struct view rows[] = {
		VIEW(KEY),
		VIEW_STRING(DIGITS),
		VIEW_STRING("correct horse battery staple"),
		VIEW_STRING("correct horse battery stapl"),
	};
	uint8_t ids[COUNT_OF(rows)][BOOTSTRAP_ID_SIZE], expected[BOOTSTRAP_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bootstrap_id(rows[i], ids[i]);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(ids[i], ids[j], BOOTSTRAP_ID_SIZE);
	}
	hkdf_label(KEY, "ClawChat/3 bootstrap id", view_of(NULL, 0), expected, sizeof expected);
	assert_memory_equal(ids[0], expected, sizeof expected);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(writes_text),
	cmocka_unit_test(reads_its_forms),
	cmocka_unit_test(refuses_others),
	cmocka_unit_test(each_secret_has_its_id),
};

CRYPTO_TESTS(TESTS)
