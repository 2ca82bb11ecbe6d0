/* Keys: the properties that the published vectors do not show (those are in test_vectors_*). */
#include "crypto/kdf.h"

#include "tests/support/crypto.h"

static const uint8_t SECRET_A[KEY_SIZE] = { 1 };
static const uint8_t SECRET_B[KEY_SIZE] = { 2 };

static void hashes_in_pieces_as_at_once(void **state)
{
	uint8_t data[1000], whole[HASH_SIZE], pieces[HASH_SIZE];

	(void)state;
	memset(data, 'x', sizeof data);
	for (size_t cut = 0; cut <= sizeof data; cut += 37) {
		hash_sha256(VIEW(data), whole);
		struct sha256_stream *s = sha256_create();
		sha256_update(s, view_of(data, cut));
		sha256_update(s, view_of(NULL, 0));
		sha256_update(s, view_of(data + cut, sizeof data - cut));
		sha256_final(s, pieces);
		assert_memory_equal(whole, pieces, HASH_SIZE);
	}
}

static void hashes_the_empty_and_abc(void **state)
{
	static const struct {
		const char *text, *hash;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t expected[HASH_SIZE], hash[HASH_SIZE];
		test_hex(rows[i].hash, expected, sizeof expected);
		hash_sha256(view_of(rows[i].text, strlen(rows[i].text)), hash);
		assert_memory_equal(hash, expected, HASH_SIZE);
	}
}

static void hmac_joins_its_parts(void **state)
{
	const struct view parts[] = { VIEW_STRING("one"), VIEW_STRING(""), VIEW_STRING("two") };
	const struct view joined = VIEW_STRING("onetwo");
	const struct view other = VIEW_STRING("onetwO");
	uint8_t a[HASH_SIZE], b[HASH_SIZE];

	(void)state;
	hmac_sha256(VIEW(SECRET_A), parts, COUNT_OF(parts), a);
	hmac_sha256(VIEW(SECRET_A), &joined, 1, b);
	assert_memory_equal(a, b, HASH_SIZE);
	hmac_sha256(VIEW(SECRET_A), &other, 1, b);
	assert_memory_not_equal(a, b, HASH_SIZE);
}

/* An empty key is the key of zeros, and never whatever key was used before. */
static void hmac_takes_an_empty_key(void **state)
{
	static const uint8_t zeros[HASH_SIZE];
	const struct view message = VIEW_STRING("m");
	uint8_t before[HASH_SIZE], none[HASH_SIZE], zero[HASH_SIZE];

	(void)state;
	hmac_sha256(VIEW(SECRET_A), &message, 1, before);
	hmac_sha256(view_of(NULL, 0), &message, 1, none);
	hmac_sha256(VIEW(zeros), &message, 1, zero);
	assert_memory_equal(none, zero, HASH_SIZE);
	assert_memory_not_equal(none, before, HASH_SIZE);
}

/*
 * Goal:   two secrets never give one key, the mistake that opened every installation of
 *         the protocol's predecessor to every other.
 * Method: each derivation, once per input that must matter, changing only that input.
 */
static void every_input_matters(void **state)
{
	uint8_t prk[2][HASH_SIZE], keys[5][KEY_SIZE];

	(void)state;
	hkdf_extract(VIEW_STRING("salt"), VIEW(SECRET_A), prk[0]);
	hkdf_extract(VIEW_STRING("salt"), VIEW(SECRET_B), prk[1]);
	assert_memory_not_equal(prk[0], prk[1], HASH_SIZE);
	hkdf_extract(VIEW_STRING("tlas"), VIEW(SECRET_A), prk[1]);
	assert_memory_not_equal(prk[0], prk[1], HASH_SIZE);

	hkdf_label(SECRET_A, "label", VIEW_STRING("context"), keys[0], KEY_SIZE);
	hkdf_label(SECRET_B, "label", VIEW_STRING("context"), keys[1], KEY_SIZE);
	hkdf_label(SECRET_A, "lobel", VIEW_STRING("context"), keys[2], KEY_SIZE);
	hkdf_label(SECRET_A, "label", VIEW_STRING("kontext"), keys[3], KEY_SIZE);
	hkdf_expand(SECRET_A, view_of(NULL, 0), keys[4], KEY_SIZE);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], KEY_SIZE);

	pbkdf2_sha256(VIEW(SECRET_A), VIEW_STRING("salt"), 2, keys[0], KEY_SIZE);
	pbkdf2_sha256(VIEW(SECRET_B), VIEW_STRING("salt"), 2, keys[1], KEY_SIZE);
	pbkdf2_sha256(VIEW(SECRET_A), VIEW_STRING("tlas"), 2, keys[2], KEY_SIZE);
	pbkdf2_sha256(VIEW(SECRET_A), VIEW_STRING("salt"), 3, keys[3], KEY_SIZE);
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], KEY_SIZE);
}

static void label_is_expand_of_label_and_context(void **state)
{
	uint8_t a[100], b[100];

	(void)state;
	hkdf_label(SECRET_A, "label", VIEW_STRING("context"), a, sizeof a);
	hkdf_expand(SECRET_A, VIEW_STRING("labelcontext"), b, sizeof b);
	assert_memory_equal(a, b, sizeof a);
}

/* Every output size is a prefix of the longest, and nothing is written behind it. */
static void expands_to_any_size(void **state)
{
	static uint8_t longest[HKDF_EXPAND_MAX], out[HKDF_EXPAND_MAX + 1];

	(void)state;
	hkdf_expand(SECRET_A, VIEW_STRING("info"), longest, sizeof longest);
	for (size_t size = 0; size <= HKDF_EXPAND_MAX; size += size < 70 ? 1 : 1615) {
		memset(out, 0xa5, sizeof out);
		hkdf_expand(SECRET_A, VIEW_STRING("info"), out, size);
		assert_memory_equal(out, longest, size);
		assert_int_equal(out[size], 0xa5);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(hashes_in_pieces_as_at_once),
	cmocka_unit_test(hashes_the_empty_and_abc),
	cmocka_unit_test(hmac_joins_its_parts),
	cmocka_unit_test(hmac_takes_an_empty_key),
	cmocka_unit_test(every_input_matters),
	cmocka_unit_test(label_is_expand_of_label_and_context),
	cmocka_unit_test(expands_to_any_size),
};

CRYPTO_TESTS(TESTS)
