/*
 * AES-256-GCM against Wycheproof and NIST. Each row runs over the one-shot form and over both
 * packet ciphers: seal must give the row's bytes, open must accept or refuse as the row says.
 */
#include "crypto/aead.h"
#include "tests/support/crypto.h"
#include "tests/support/vectors.h"

/* Rows that fit our API, which takes 256-bit keys, 96-bit nonces and 128-bit tags alone. */
enum {
	WYCHEPROOF_ROWS = 316,
	WYCHEPROOF_FITTING = 66,
	NIST_SEAL_ROWS = 375,
	NIST_OPEN_ROWS = 375,
	NIST_OPEN_REFUSED = 191,
};

struct row {
	struct blob key, nonce, aad, plain, ciphertext, tag;
	bool is_valid;
};

static struct row row;

static void check_refused(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(data[i], 0);
}

static void check_once(const struct row *r)
{
	static uint8_t sealed[BLOB_MAX], opened[BLOB_MAX];
	size_t size = r->ciphertext.size;
	struct view aad = blob_view(&r->aad);

	if (r->is_valid) {
		aead_seal(r->key.data, r->nonce.data, aad, blob_view(&r->plain), sealed);
		assert_memory_equal(sealed, r->ciphertext.data, size);
		assert_memory_equal(sealed + size, r->tag.data, AEAD_TAG_SIZE);
	}
	memcpy(sealed, r->ciphertext.data, size);
	memcpy(sealed + size, r->tag.data, AEAD_TAG_SIZE);
	memset(opened, 0xa5, sizeof opened);
	bool is_open = aead_open(r->key.data, r->nonce.data, aad,
				 view_of(sealed, size + AEAD_TAG_SIZE), opened);
	assert_int_equal(is_open, r->is_valid);
	if (r->is_valid)
		assert_memory_equal(opened, r->plain.data, size);
	else
		check_refused(opened, size);
	assert_int_equal(opened[size], 0xa5);
}

static void check_packets(const struct row *r, const struct packet_cipher *cipher)
{
	_Alignas(PACKET_KEY_ALIGN) static uint8_t slot[PACKET_KEY_SIZE];
	static uint8_t data[BLOB_MAX];
	uint8_t tag[AEAD_TAG_SIZE];
	size_t size = r->ciphertext.size;
	struct view aad = blob_view(&r->aad);

	assert_true(cipher->expand(slot, r->key.data));
	if (r->is_valid) {
		memcpy(data, r->plain.data, size);
		cipher->seal(slot, r->nonce.data, aad, data, size, tag);
		assert_memory_equal(data, r->ciphertext.data, size);
		assert_memory_equal(tag, r->tag.data, AEAD_TAG_SIZE);
	}
	memcpy(data, r->ciphertext.data, size);
	data[size] = 0xa5;
	bool is_open = cipher->open(slot, r->nonce.data, aad, data, size, r->tag.data);
	assert_int_equal(is_open, r->is_valid);
	if (r->is_valid)
		assert_memory_equal(data, r->plain.data, size);
	else
		check_refused(data, size);
	assert_int_equal(data[size], 0xa5);
	cipher->erase(slot);
}

static void check_row(const struct row *r)
{
	assert_int_equal(r->key.size, AEAD_KEY_SIZE);
	assert_int_equal(r->nonce.size, AEAD_NONCE_SIZE);
	assert_int_equal(r->tag.size, AEAD_TAG_SIZE);
	if (r->is_valid)
		assert_int_equal(r->plain.size, r->ciphertext.size);
	check_once(r);
	for (size_t i = 0; i < TEST_CIPHER_COUNT; i++) {
		const struct packet_cipher *cipher = packet_cipher_by_name(TEST_CIPHER_NAMES[i]);
		if (cipher != NULL)
			check_packets(r, cipher);
	}
}

static void wycheproof(void **state)
{
	json_t *root = vectors_load("wycheproof/aes_gcm_test.json");
	size_t at, group_at, rows = 0, fitting = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		bool is_fitting = json_integer_value(json_object_get(group, "keySize")) == 256 &&
				  json_integer_value(json_object_get(group, "ivSize")) == 96 &&
				  json_integer_value(json_object_get(group, "tagSize")) == 128;
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			rows++;
			if (!is_fitting)
				continue;
			fitting++;
			blob_of_json(&row.key, test, "key");
			blob_of_json(&row.nonce, test, "iv");
			blob_of_json(&row.aad, test, "aad");
			blob_of_json(&row.plain, test, "msg");
			blob_of_json(&row.ciphertext, test, "ct");
			blob_of_json(&row.tag, test, "tag");
			row.is_valid = strcmp(json_text(test, "result"), "valid") == 0;
			check_row(&row);
		}
	}
	assert_int_equal(rows, WYCHEPROOF_ROWS);
	assert_int_equal(fitting, WYCHEPROOF_FITTING);
	json_decref(root);
}

/* Returns the rows of the file; *refused counts those that must not open. */
static size_t run_nist(const char *name, size_t *refused)
{
	static struct record_reader reader;
	static struct record record;
	size_t rows = 0;

	*refused = 0;
	records_open(&reader, name, "Count");
	while (records_next(&reader, &record)) {
		blob_of_record(&row.key, &record, "Key");
		blob_of_record(&row.nonce, &record, "IV");
		blob_of_record(&row.aad, &record, "AAD");
		blob_of_record(&row.ciphertext, &record, "CT");
		blob_of_record(&row.tag, &record, "Tag");
		row.is_valid = !record_has(&record, "FAIL");
		row.plain.size = 0;
		if (row.is_valid)
			blob_of_record(&row.plain, &record, "PT");
		check_row(&row);
		rows++;
		*refused += !row.is_valid;
	}
	return rows;
}

static void nist_seal(void **state)
{
	size_t refused;

	(void)state;
	assert_int_equal(run_nist("nist/gcmEncryptExtIV256_iv96_tag128.rsp", &refused),
			 NIST_SEAL_ROWS);
	assert_int_equal(refused, 0);
}

static void nist_open(void **state)
{
	size_t refused;

	(void)state;
	assert_int_equal(run_nist("nist/gcmDecrypt256_iv96_tag128.rsp", &refused), NIST_OPEN_ROWS);
	assert_int_equal(refused, NIST_OPEN_REFUSED);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(wycheproof),
	cmocka_unit_test(nist_seal),
	cmocka_unit_test(nist_open),
};

CRYPTO_TESTS(TESTS)
