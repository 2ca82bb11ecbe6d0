/* X25519 and Ed25519 against the RFCs, ed25519.cr.yp.to and Wycheproof. */
#include "crypto/ed25519.h"
#include "crypto/x25519.h"
#include "tests/support/crypto.h"
#include "tests/support/vectors.h"

enum {
	RFC7748_ROWS = 3,
	SIGN_INPUT_ROWS = 256,
	X25519_ROWS = 518,
	X25519_ZERO = 31,
	ED25519_ROWS = 151,
	ED25519_VALID = 88,
};

static struct blob scalar, remote, expected, message, signature;

static void check_x25519(bool is_zero)
{
	struct x25519_pair pair;
	uint8_t out[X25519_SIZE];

	assert_int_equal(scalar.size, X25519_SIZE);
	assert_int_equal(remote.size, X25519_SIZE);
	memcpy(pair.secret, scalar.data, X25519_SIZE);
	x25519_derive_public(&pair);
	assert_int_equal(x25519_shared(&pair, remote.data, out), !is_zero);
	assert_memory_equal(out, expected.data, X25519_SIZE);
}

static void rfc7748(void **state)
{
	static struct record_reader reader;
	static struct record record;
	size_t rows = 0;

	(void)state;
	records_open(&reader, "rfc/rfc7748_x25519.txt", "COUNT");
	while (records_next(&reader, &record)) {
		blob_of_record(&scalar, &record, "INPUT_SCALAR");
		blob_of_record(&remote, &record, "INPUT_U");
		blob_of_record(&expected, &record, "OUTPUT_U");
		check_x25519(false);
		rows++;
	}
	assert_int_equal(rows, RFC7748_ROWS);
}

/* "acceptable" rows (odd public keys) give the listed secret, but never one of zero. */
static void wycheproof_x25519(void **state)
{
	static const uint8_t zeros[X25519_SIZE];
	json_t *root = vectors_load("wycheproof/x25519_test.json");
	size_t at, group_at, rows = 0, zero = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			blob_of_json(&scalar, test, "private");
			blob_of_json(&remote, test, "public");
			blob_of_json(&expected, test, "shared");
			bool is_zero = memcmp(expected.data, zeros, sizeof zeros) == 0;
			check_x25519(is_zero);
			rows++;
			zero += is_zero;
		}
	}
	assert_int_equal(rows, X25519_ROWS);
	assert_int_equal(zero, X25519_ZERO);
	json_decref(root);
}

/* secret || public : public : message : signature || message */
static void check_sign_input(char *line)
{
	struct ed25519_pair pair;
	uint8_t out[ED25519_SIGNATURE_SIZE];
	char *rest = line;

	blob_of(&scalar, strsep(&rest, ":"));
	blob_of(&remote, strsep(&rest, ":"));
	blob_of(&message, strsep(&rest, ":"));
	blob_of(&signature, strsep(&rest, ":"));
	memcpy(pair.seed, scalar.data, ED25519_SEED_SIZE);
	ed25519_derive_public(&pair);
	assert_memory_equal(pair.public, remote.data, ED25519_PUBLIC_SIZE);
	assert_true(ed25519_public_is_sound(pair.public));
	ed25519_sign(&pair, blob_view(&message), out);
	assert_memory_equal(out, signature.data, ED25519_SIGNATURE_SIZE);
	assert_true(ed25519_verify(pair.public, blob_view(&message), out));
	out[0] ^= 1;
	assert_false(ed25519_verify(pair.public, blob_view(&message), out));
}

static void sign_input(void **state)
{
	static char line[RECORD_LINE_MAX];
	FILE *file = vectors_open("rfc/ed25519_sign_input_first256.txt");
	size_t rows = 0;

	(void)state;
	while (fgets(line, sizeof line, file) != NULL) {
		check_sign_input(line);
		assert_int_equal(message.size, rows); /* each length once */
		rows++;
	}
	fclose(file);
	assert_int_equal(rows, SIGN_INPUT_ROWS);
}

/* Signatures of another size cannot be passed to ours: refused by its type. */
static void wycheproof_ed25519(void **state)
{
	json_t *root = vectors_load("wycheproof/ed25519_test.json");
	size_t at, group_at, rows = 0, valid = 0;
	json_t *group, *test;

	(void)state;
	json_array_foreach(json_object_get(root, "testGroups"), group_at, group)
	{
		blob_of_json(&remote, json_object_get(group, "publicKey"), "pk");
		assert_int_equal(remote.size, ED25519_PUBLIC_SIZE);
		json_array_foreach(json_object_get(group, "tests"), at, test)
		{
			bool is_valid = strcmp(json_text(test, "result"), "valid") == 0;
			blob_of_json(&message, test, "msg");
			blob_of_json(&signature, test, "sig");
			bool is_good =
				signature.size == ED25519_SIGNATURE_SIZE &&
				ed25519_verify(remote.data, blob_view(&message), signature.data);
			assert_int_equal(is_good, is_valid);
			rows++;
			valid += is_valid;
		}
	}
	assert_int_equal(rows, ED25519_ROWS);
	assert_int_equal(valid, ED25519_VALID);
	json_decref(root);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(rfc7748),
	cmocka_unit_test(wycheproof_x25519),
	cmocka_unit_test(sign_input),
	cmocka_unit_test(wycheproof_ed25519),
};

CRYPTO_TESTS(TESTS)
