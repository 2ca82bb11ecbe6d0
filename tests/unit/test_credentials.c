/* Credentials: what a HELLO may name, and what becomes of it when it is revoked. */
#include "relay/credentials.h"

#include "relay/id_set.h"
#include "tests/support/crypto.h"

#define NOW_NS (UINT64_C(1790000000) * NS_PER_S)

static struct credential_file file_of(uint8_t first)
{
	struct credential_file file = { .id = { first },
					.valid_from_ns = NOW_NS,
					.valid_until_ns = NOW_NS + 3600 * NS_PER_S };
	memset(file.shared_secret, first, KEY_SIZE);
	return file;
}

static struct credentials *make(void)
{
	struct credentials *c = credentials_create();
	assert_non_null(c);
	for (uint8_t first = 1; first <= 2; first++) {
		struct credential_file file = file_of(first);
		assert_true(credentials_put_file(c, &file));
	}
	return c;
}

static bool find(struct credentials *c, uint8_t file, uint8_t device, struct credential *out)
{
	struct hello_request request = { .payload = { .credential = CREDENTIAL_FILE,
						      .id = { file } },
					 .device_public = { device } };
	memset(out, 0, sizeof *out);
	return credentials_find(c, &request, NOW_NS, out);
}

static void a_revoked_file_is_told_and_its_secret_gone(void **state)
{
	static const uint8_t zeros[KEY_SIZE];
	const struct credential_file first = file_of(1), unknown = file_of(3);
	struct credentials *c = make();
	struct credential found;

	(void)state;
	assert_true(find(c, 1, 9, &found));
	assert_int_equal(found.status, STATUS_OK);
	assert_memory_equal(found.psk, first.shared_secret, KEY_SIZE);
	assert_true(credentials_revoke_file(c, first.id));
	assert_true(credentials_revoke_file(c, first.id)); /* again changes nothing */
	assert_false(credentials_revoke_file(c, unknown.id));
	assert_true(find(c, 1, 9, &found));
	assert_int_equal(found.status, STATUS_REVOKED);
	assert_memory_equal(found.psk, zeros, KEY_SIZE);
	assert_true(find(c, 2, 9, &found));
	assert_int_equal(found.status, STATUS_OK);
	credentials_destroy(c);
}

static void a_revoked_device_is_refused_by_any_file(void **state)
{
	const uint8_t public[X25519_SIZE] = { 9 };
	struct credentials *c = make();
	struct credential found;
	uint8_t device[DEVICE_ID_SIZE];

	(void)state;
	device_id_of(public, device);
	assert_true(credentials_revoke_device(c, device));
	for (uint8_t file = 1; file <= 2; file++) {
		assert_true(find(c, file, 9, &found));
		assert_int_equal(found.status, STATUS_REVOKED);
		assert_true(find(c, file, 10, &found));
		assert_int_equal(found.status, STATUS_OK);
	}
	credentials_destroy(c);
}

static void all_files_can_be_revoked(void **state)
{
	struct credentials *c = make();
	struct credential found;

	(void)state;
	credentials_revoke_all(c);
	for (uint8_t file = 1; file <= 2; file++) {
		assert_true(find(c, file, 9, &found));
		assert_int_equal(found.status, STATUS_REVOKED);
	}
	credentials_destroy(c);
}

/* Ids that share their place, more than fit at first, and ids that were never added. */
static void a_set_of_ids_grows(void **state)
{
	enum { IDS = 1000 };
	struct id_set set = { 0 };
	uint8_t id[ID_SIZE] = { 0 };

	(void)state;
	assert_false(id_set_has(&set, id));
	for (uint16_t i = 1; i <= IDS; i++) {
		memcpy(id + 8, &i, sizeof i); /* the first eight bytes choose the place */
		assert_false(id_set_has(&set, id));
		assert_true(id_set_add(&set, id));
		assert_true(id_set_add(&set, id));
		assert_true(id_set_has(&set, id));
	}
	assert_int_equal(set.count, IDS);
	for (uint16_t i = 1; i <= IDS; i++) {
		memcpy(id + 8, &i, sizeof i);
		assert_true(id_set_has(&set, id));
	}
	id_set_fini(&set);
	assert_false(id_set_has(&set, id));
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_revoked_file_is_told_and_its_secret_gone),
	cmocka_unit_test(a_revoked_device_is_refused_by_any_file),
	cmocka_unit_test(all_files_can_be_revoked),
	cmocka_unit_test(a_set_of_ids_grows),
};

CRYPTO_TESTS(TESTS)
