/* Base64: one text for each bytes, and nothing else is taken. */
#include "core/base64.h"

#include "crypto/random.h"
#include "tests/support/crypto.h"

enum { CAPACITY = 256 };

static bool decode(const char *text, uint8_t *out, size_t capacity, size_t *size)
{
	return base64_decode(view_of(text, strlen(text)), out, capacity, size);
}

/* RFC 4648 section 10, and both characters beyond the letters and digits. */
static void knows_the_published_answers(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[CAPACITY];
		uint8_t plain[CAPACITY];
		size_t plain_size = strlen(rows[i].plain), size;

		assert_int_equal(base64_encode(view_of(rows[i].plain, plain_size), text),
				 BASE64_SIZE(plain_size));
		assert_memory_equal(text, rows[i].text, strlen(rows[i].text));
		assert_true(decode(rows[i].text, plain, sizeof plain, &size));
		assert_int_equal(size, plain_size);
		assert_memory_equal(plain, rows[i].plain, size);
	}
}

static void refuses_other_forms(void **state)
{
	static const char *const rows[] = {
		"Z",        "Zg",     "Zg=",      "Zg===",   "=",        "==",
		"===",      "====",   "Z===",     "Zm9vYg",  "Zm9v=",    "Zg==Zg==",
		"Zm8=Zg==", "Z=g=",   "=Zg=",     "Zm=v", /* padding inside */
		"Zh==",     "Zo==",   "Zm9=",     "Zm+=", /* spare bits that are not 0 */
		" Zg==",    "Zg==\n", "Zm9v\r\n", "Zm 9v",   "Zm9v    ", /* white space */
		"Zm9-",     "Zm9_",   "Zm9*",     "Zm9\x80", "Zm9\xff",  /* other alphabets */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t out[CAPACITY];
		size_t size;
		print_message("'%s'\n", rows[i]);
		assert_false(decode(rows[i], out, sizeof out, &size));
		assert_int_equal(size, 0);
	}
}

static void keeps_to_the_capacity(void **state)
{
	uint8_t out[CAPACITY];
	size_t size;

	(void)state;
	for (size_t capacity = 0; capacity < 8; capacity++) {
		memset(out, 0xa5, sizeof out);
		assert_int_equal(decode("Zm9vYmE=", out, capacity, &size), capacity >= 5);
		assert_int_equal(out[capacity], 0xa5);
	}
}

/* Every text of four characters that decodes is the one that its bytes encode to. */
static void is_the_only_form(void **state)
{
	static const char characters[] = "AQgw5f/+=- \n";
	enum { COUNT = sizeof characters - 1 };

	(void)state;
	for (size_t n = 0; n < (size_t)COUNT * COUNT * COUNT * COUNT; n++) {
		char text[5] = { characters[n % COUNT], characters[n / COUNT % COUNT],
				 characters[n / COUNT / COUNT % COUNT],
				 characters[n / COUNT / COUNT / COUNT], '\0' };
		char again[4];
		uint8_t out[3];
		size_t size;
		if (!decode(text, out, sizeof out, &size))
			continue;
		assert_int_equal(base64_encode(view_of(out, size), again), 4);
		assert_memory_equal(again, text, 4);
	}
}

static void goes_both_ways(void **state)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());

	(void)state;
	for (size_t size = 0; size < CAPACITY / 2; size++) {
		uint8_t data[CAPACITY / 2], out[CAPACITY / 2];
		char text[CAPACITY];
		size_t got;
		random_fill(&random, data, size);
		size_t length = base64_encode(view_of(data, size), text);
		assert_true(base64_decode(view_of(text, length), out, sizeof out, &got));
		assert_int_equal(got, size);
		assert_memory_equal(out, data, size);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(knows_the_published_answers),
	cmocka_unit_test(refuses_other_forms),
	cmocka_unit_test(keeps_to_the_capacity),
	cmocka_unit_test(is_the_only_form),
	cmocka_unit_test(goes_both_ways),
};

CRYPTO_TESTS(TESTS)
