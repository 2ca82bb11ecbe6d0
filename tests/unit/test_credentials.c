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

/* ---- identities ------------------------------------------------------------------------- */

static bool find_is_proved(struct credentials *c, uint8_t device, uint8_t identity)
{
	struct hello_request request = {
		.payload = { .credential = CREDENTIAL_FILE, .id = { 1 }, .identity = { identity } },
		.device_public = { device }
	};
	struct credential found;
	assert_true(credentials_find(c, &request, NOW_NS, &found));
	return found.is_proved;
}

/* Goal: no device gets an identity that this very device has not proved. Method: two devices, two
 * identities, noted one after the other; a device of which only a HELLO was heard. */
static void an_identity_is_proved_for_one_device(void **state)
{
	const uint8_t public[X25519_SIZE] = { 9 }, first[ED25519_PUBLIC_SIZE] = { 5 },
		      second[ED25519_PUBLIC_SIZE] = { 6 };
	struct credentials *c = make();
	uint8_t device[DEVICE_ID_SIZE];

	(void)state;
	device_id_of(public, device);
	assert_false(find_is_proved(c, 9, 5));
	credentials_note_timestamp(c, device, 7);
	assert_false(find_is_proved(c, 9, 5));
	assert_false(find_is_proved(c, 9, 0)); /* nor the zeros of an empty place */

	credentials_note_identity(c, device, first);
	assert_true(find_is_proved(c, 9, 5));
	assert_false(find_is_proved(c, 9, 6));
	assert_false(find_is_proved(c, 10, 5));

	credentials_note_identity(c, device, second);
	assert_true(find_is_proved(c, 9, 6));
	assert_false(find_is_proved(c, 9, 5));
	credentials_destroy(c);
}

/* ---- devices ---------------------------------------------------------------------------- */

static struct credential_device device_of(uint8_t public_first, uint8_t file)
{
	const uint8_t public[X25519_SIZE] = { public_first };
	struct credential_device device = { .file_id = { file }, .last_timestamp_ns = 5 };
	device_id_of(public, device.id);
	memset(device.psk, public_first, KEY_SIZE);
	return device;
}

static bool find_device(struct credentials *c, uint8_t public_first, struct credential *out)
{
	struct hello_request request = { .payload = { .credential = CREDENTIAL_DEVICE },
					 .device_public = { public_first } };
	device_id_of(request.device_public, request.payload.id);
	return credentials_find(c, &request, NOW_NS, out);
}

/* Goal: the newest HELLO counts, but for one that was dated by a clock which is set back since. */
static void timestamps_go_back_with_the_clock(void **state)
{
	static const struct {
		uint64_t noted_ns, known_ns;
	} rows[] = {
		{ 1000 * NS_PER_S, 1000 * NS_PER_S },   { 999 * NS_PER_S, 1000 * NS_PER_S },
		{ 760 * NS_PER_S, 1000 * NS_PER_S },    { 760 * NS_PER_S - 1, 760 * NS_PER_S - 1 },
		{ 700 * NS_PER_S, 760 * NS_PER_S - 1 }, { 2000 * NS_PER_S, 2000 * NS_PER_S },
	};
	const struct credential_device device = device_of(9, 1);
	struct credentials *c = make();
	struct credential found;

	(void)state;
	assert_true(credentials_enrol_device(c, &device));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		credentials_note_timestamp(c, device.id, rows[i].noted_ns);
		assert_true(find_device(c, 9, &found));
		assert_int_equal(found.last_timestamp_ns, rows[i].known_ns);
	}
	credentials_destroy(c);
}

static void an_enrolled_device_needs_no_file(void **state)
{
	const struct credential_device device = device_of(9, 1);
	struct credentials *c = make();
	struct credential found;

	(void)state;
	credentials_note_timestamp(c, device.id, 7);
	assert_false(find_device(c, 9, &found)); /* heard of, not enrolled */
	assert_true(credentials_enrol_device(c, &device));
	assert_true(credentials_is_enrolled(c, device.id));
	assert_true(find_device(c, 9, &found));
	assert_int_equal(found.status, STATUS_OK);
	assert_memory_equal(found.psk, device.psk, KEY_SIZE);
	assert_memory_equal(found.file_id, device.file_id, FILE_ID_SIZE);
	assert_int_equal(found.last_timestamp_ns, 7); /* the newer one */
	assert_false(found.may_enrol);
	assert_false(find_device(c, 10, &found));

	/* A device id that is not that of the device key. */
	struct hello_request other = { .payload = { .credential = CREDENTIAL_DEVICE },
				       .device_public = { 10 } };
	memcpy(other.payload.id, device.id, DEVICE_ID_SIZE);
	assert_false(credentials_find(c, &other, NOW_NS, &found));
	credentials_destroy(c);
}

static void a_file_is_spent_for_all_but_its_devices(void **state)
{
	static const uint32_t max[] = { 0, 1, 2 };
	struct credential found;

	(void)state;
	for (size_t i = 0; i < sizeof max / sizeof max[0]; i++) {
		struct credential_file file = file_of(1);
		struct credentials *c = make();
		file.max_devices = max[i];
		assert_true(credentials_put_file(c, &file));
		for (uint8_t d = 0; d < max[i]; d++) {
			const struct credential_device device = device_of((uint8_t)(20 + d), 1);
			assert_true(find(c, 1, (uint8_t)(20 + d), &found));
			assert_int_equal(found.status, STATUS_OK);
			assert_true(found.may_enrol);
			assert_true(credentials_enrol_device(c, &device));
			assert_true(credentials_enrol_device(c, &device)); /* spends nothing */
		}
		assert_true(find(c, 1, 9, &found));
		assert_int_equal(found.status, max[i] == 0 ? STATUS_OK : STATUS_SPENT);
		assert_int_equal(found.may_enrol, max[i] > 0);
		if (max[i] > 0)
			assert_true(find(c, 1, 20, &found) && found.status == STATUS_OK);
		credentials_destroy(c);
	}
}

static void a_revoked_file_takes_its_devices_along(void **state)
{
	const struct credential_device first = device_of(9, 1), second = device_of(10, 2);
	const struct credential_device of_old = device_of(11, 3);
	static const uint8_t zeros[KEY_SIZE];
	struct credentials *c = make();
	struct credential found;

	(void)state;
	assert_true(credentials_put_device(c, &first));
	assert_true(credentials_put_device(c, &second));
	assert_true(credentials_put_device(c, &of_old));
	assert_true(credentials_revoke_file(c, first.file_id));
	assert_true(credentials_revoke_file(c, of_old.file_id)); /* the file itself is gone */
	assert_true(find_device(c, 9, &found));
	assert_int_equal(found.status, STATUS_REVOKED);
	assert_memory_equal(found.psk, zeros, KEY_SIZE);
	assert_true(find_device(c, 11, &found));
	assert_int_equal(found.status, STATUS_REVOKED);
	assert_true(find_device(c, 10, &found));
	assert_int_equal(found.status, STATUS_OK);
	assert_true(find(c, 2, 9, &found)); /* nor by another file */
	assert_int_equal(found.status, STATUS_REVOKED);
	credentials_revoke_all(c);
	assert_true(find_device(c, 10, &found));
	assert_int_equal(found.status, STATUS_REVOKED);
	credentials_destroy(c);
}

static void a_proof_helps_no_revoked_device(void **state)
{
	const struct credential_device device = device_of(9, 1);
	const uint8_t identity[ED25519_PUBLIC_SIZE] = { 0 }; /* that find_device() asks for */
	struct credentials *c = make();
	struct credential found;

	(void)state;
	assert_true(credentials_enrol_device(c, &device));
	assert_true(find_device(c, 9, &found));
	assert_false(found.is_proved); /* enrolling alone proves nothing to this run */
	credentials_note_identity(c, device.id, identity);
	assert_true(find_device(c, 9, &found));
	assert_true(found.is_proved);
	assert_true(credentials_enrol_device(c, &device));
	assert_true(find_device(c, 9, &found));
	assert_true(found.is_proved);

	assert_true(credentials_revoke_device(c, device.id));
	assert_true(find_device(c, 9, &found));
	assert_int_equal(found.status, STATUS_REVOKED);
	credentials_destroy(c);
}

/* More than the table holds at first. */
static void many_devices_are_found(void **state)
{
	struct credentials *c = make();
	struct credential found;

	(void)state;
	for (unsigned i = 1; i < 256; i++) {
		struct credential_device device = device_of((uint8_t)i, 1), other = device;
		assert_true(credentials_put_device(c, &device));
		other.id[0] ^= 1; /* and strangers between them */
		credentials_note_timestamp(c, other.id, i);
	}
	for (unsigned i = 1; i < 256; i++) {
		assert_true(find_device(c, (uint8_t)i, &found));
		assert_int_equal(found.psk[0], i);
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
	cmocka_unit_test(timestamps_go_back_with_the_clock),
	cmocka_unit_test(an_enrolled_device_needs_no_file),
	cmocka_unit_test(a_file_is_spent_for_all_but_its_devices),
	cmocka_unit_test(a_revoked_file_takes_its_devices_along),
	cmocka_unit_test(an_identity_is_proved_for_one_device),
	cmocka_unit_test(a_proof_helps_no_revoked_device),
	cmocka_unit_test(many_devices_are_found),
	cmocka_unit_test(a_set_of_ids_grows),
};

CRYPTO_TESTS(TESTS)
