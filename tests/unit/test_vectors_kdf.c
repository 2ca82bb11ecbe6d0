/* HMAC, HKDF and PBKDF2 with SHA-256 against the RFCs and Wycheproof. */
#include "crypto/kdf.h"
#include "tests/support/crypto.h"
#include "tests/support/vectors.h"

enum {
	RFC4231_ROWS = 6,
	RFC5869_ROWS = 3,
	HMAC_ROWS = 174,
	HMAC_VALID = 66,
	HKDF_ROWS = 86,
	HKDF_TOO_LARGE = 3,
	PBKDF2_ROWS = 60,
};

static struct record_reader reader;
static struct record record;
static struct blob input, salt, info, message, expected;
static uint8_t out[BLOB_MAX];

static bool is_valid(const json_t *test)
{
	return strcmp(json_text(test, "result"), "valid") == 0;
}

static void rfc4231(void **state)
{
	size_t rows = 0;

	(void)state;
	records_open(&reader, "rfc/rfc4231_hmac_sha256.txt", "Len");
	while (records_next(&reader, &record)) {
		blob_of_record(&input, &record, "Key");
		blob_of_record(&message, &record, "Msg");
		blob_of_record(&expected, &record, "MD");
		assert_int_equal(expected.size, HASH_SIZE);
		struct view part = blob_view(&message);
		hmac_sha256(blob_view(&input), &part, 1, out);
		assert_memory_equal(out, expected.data, HASH_SIZE);
		rows++;
	}
	assert_int_equal(rows, RFC4231_ROWS);
}

static void rfc5869(void **state)
{
	size_t rows = 0;

	(void)state;
	records_open(&reader, "rfc/rfc5869_hkdf_sha256.txt", "COUNT");
	while (records_next(&reader, &record)) {
		uint8_t prk[HASH_SIZE];
		blob_of_record(&input, &record, "IKM");
		blob_of_record(&salt, &record, "salt");
		blob_of_record(&info, &record, "info");
		blob_of_record(&expected, &record, "PRK");
		hkdf_extract(blob_view(&salt), blob_view(&input), prk);
		assert_memory_equal(prk, expected.data, HASH_SIZE);
		blob_of_record(&expected, &record, "OKM");
		assert_int_equal(expected.size, strtoul(record_text(&record, "L"), NULL, 10));
		hkdf_expand(prk, blob_view(&info), out, expected.size);
		assert_memory_equal(out, expected.data, expected.size);
		rows++;
	}
	assert_int_equal(rows, RFC5869_ROWS);
}

/* Tags are cut to the group's size; an invalid row's tag must differ in that part. */
static void wycheproof_hmac(void **state)
{
	json_t *root = vectors_load("wycheproof/hmac_sha256_test.json");
	size_t at, group_at, rows = 0, valid = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		json_int_t tag_bits = json_integer_value(json_object_get(group, "tagSize"));
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			blob_of_json(&input, test, "key");
			blob_of_json(&message, test, "msg");
			blob_of_json(&expected, test, "tag");
			struct view part = blob_view(&message);
			hmac_sha256(blob_view(&input), &part, 1, out);
			bool is_equal = expected.size == (size_t)tag_bits / 8 &&
					bytes_equal(out, expected.data, expected.size);
			assert_int_equal(is_equal, is_valid(test));
			rows++;
			valid += is_valid(test);
		}
	}
	assert_int_equal(rows, HMAC_ROWS);
	assert_int_equal(valid, HMAC_VALID);
	json_decref(root);
}

static void wycheproof_hkdf(void **state)
{
	json_t *root = vectors_load("wycheproof/hkdf_sha256_test.json");
	size_t at, group_at, rows = 0, too_large = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			json_int_t size = json_integer_value(json_object_get(test, "size"));
			uint8_t prk[HASH_SIZE];
			rows++;
			if (!is_valid(test)) {
				/* Ours is an assertion: nobody asks for so much. */
				assert_true(size > HKDF_EXPAND_MAX);
				too_large++;
				continue;
			}
			blob_of_json(&input, test, "ikm");
			blob_of_json(&salt, test, "salt");
			blob_of_json(&info, test, "info");
			blob_of_json(&expected, test, "okm");
			assert_int_equal(expected.size, size);
			hkdf_extract(blob_view(&salt), blob_view(&input), prk);
			hkdf_expand(prk, blob_view(&info), out, expected.size);
			assert_memory_equal(out, expected.data, expected.size);
		}
	}
	assert_int_equal(rows, HKDF_ROWS);
	assert_int_equal(too_large, HKDF_TOO_LARGE);
	json_decref(root);
}

static void wycheproof_pbkdf2(void **state)
{
	json_t *root = vectors_load("wycheproof/pbkdf2_hmacsha256_test.json");
	size_t at, group_at, rows = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			json_int_t iterations =
				json_integer_value(json_object_get(test, "iterationCount"));
			assert_true(is_valid(test));
			blob_of_json(&input, test, "password");
			blob_of_json(&salt, test, "salt");
			blob_of_json(&expected, test, "dk");
			pbkdf2_sha256(blob_view(&input), blob_view(&salt), (uint32_t)iterations,
				      out, expected.size);
			assert_memory_equal(out, expected.data, expected.size);
			rows++;
		}
	}
	assert_int_equal(rows, PBKDF2_ROWS);
	json_decref(root);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(rfc4231),           cmocka_unit_test(rfc5869),
	cmocka_unit_test(wycheproof_hmac),   cmocka_unit_test(wycheproof_hkdf),
	cmocka_unit_test(wycheproof_pbkdf2),
};

CRYPTO_TESTS(TESTS)
