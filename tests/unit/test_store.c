/* The store's contents: what was put in comes back, also after closing, and rules hold. */
#include "tests/support/store.h"

static void values_come_back(void **state)
{
	struct test_store *t = *state;
	uint8_t a[KEY_SIZE] = "a", b[SERVER_ID_SIZE] = "b", large[STORE_VALUE_SIZE_MAX] = "l";
	uint8_t out[STORE_VALUE_SIZE_MAX];
	const struct store_value values[] = {
		{ STORE_STATIC_KEY, VIEW(a) },
		{ STORE_SERVER_ID, VIEW(b) },
		{ "a_name_of_thirty-two_characters_", VIEW(large) },
	};

	test_store_expect(store_get_value(t->store, STORE_STATIC_KEY, out, sizeof a),
			  STORE_NOT_FOUND);
	test_store_expect(store_put_values(t->store, values, COUNT_OF(values)), STORE_OK);
	test_store_reopen(t);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		size_t size = values[i].value.size;
		test_store_expect(store_get_value(t->store, values[i].name, out, size), STORE_OK);
		assert_memory_equal(out, values[i].value.data, size);
		test_store_expect(store_get_value(t->store, values[i].name, out, size - 1),
				  STORE_DAMAGED);
	}
	a[0] = 'z';
	test_store_expect(store_put_values(t->store, values, 1), STORE_OK);
	test_store_expect(store_get_value(t->store, STORE_STATIC_KEY, out, sizeof a), STORE_OK);
	assert_memory_equal(out, a, sizeof a);
}

static void files_come_back(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 3), out;

	test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_NOT_FOUND);
	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_add_file(t->store, &file), STORE_EXISTS);
	test_store_reopen(t);
	test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_OK);
	assert_memory_equal(&out, &file, sizeof out);
	test_store_expect(store_remove_file(t->store, file.file_id), STORE_OK);
	test_store_expect(store_remove_file(t->store, file.file_id), STORE_NOT_FOUND);
	test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_NOT_FOUND);
}

static void a_file_is_spent_so_often(void **state)
{
	enum { UNTIL_S = 2000 };
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 2), none = test_store_file(t, 0), out;

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_add_file(t->store, &none), STORE_OK);
	test_store_expect(store_spend_file(t->store, none.file_id, UNTIL_S), STORE_SPENT);
	test_store_expect(store_spend_file(t->store, file.file_id, UNTIL_S + 1), STORE_EXPIRED);
	test_store_expect(store_spend_file(t->store, file.file_id, UNTIL_S), STORE_OK);
	test_store_reopen(t);
	test_store_expect(store_spend_file(t->store, file.file_id, 1), STORE_OK);
	test_store_expect(store_spend_file(t->store, file.file_id, 1), STORE_SPENT);
	test_store_expect(store_get_file(t->store, file.file_id, &out), STORE_OK);
	assert_int_equal(out.used, 2);
	file.file_id[0] ^= 1;
	test_store_expect(store_spend_file(t->store, file.file_id, 1), STORE_NOT_FOUND);
}

static void devices_come_back(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	struct store_device device = test_store_device(t, &file), out;

	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_NOT_FOUND);
	test_store_expect(store_get_device(t->store, device.device_id, &out), STORE_NOT_FOUND);
	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	test_store_reopen(t);
	test_store_expect(store_get_device(t->store, device.device_id, &out), STORE_OK);
	assert_memory_equal(&out, &device, sizeof out);
}

/* A device whose confirmation was lost tries again; a second device finds the file spent. */
static void enrolling_again_spends_nothing(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1), other = test_store_file(t, 1), seen;
	struct store_device device = test_store_device(t, &file), out;
	struct store_device second = test_store_device(t, &file);

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_add_file(t->store, &other), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	memset(device.psk, 7, sizeof device.psk);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	test_store_expect(store_get_device(t->store, device.device_id, &out), STORE_OK);
	assert_memory_equal(out.psk, device.psk, sizeof out.psk);
	test_store_expect(store_enrol_device(t->store, &second, 1), STORE_SPENT);
	test_store_expect(store_get_device(t->store, second.device_id, &out), STORE_NOT_FOUND);

	/* From another file it does spend, and belongs to that one. */
	memcpy(device.file_id, other.file_id, sizeof device.file_id);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	test_store_expect(store_get_file(t->store, other.file_id, &seen), STORE_OK);
	assert_int_equal(seen.used, 1);
}

static void hellos_only_go_forward(void **state)
{
	static const struct {
		uint64_t s;
		uint32_t ns;
		enum store_status status;
	} rows[] = {
		{ 1000, 5, STORE_STALE },
		{ 1000, 4, STORE_STALE },
		{ 999, 999999999, STORE_STALE },
		{ 1000, 6, STORE_OK },
		{ 1000, 6, STORE_STALE },
		{ 1001, 0, STORE_OK },
		{ 1000, 7, STORE_STALE },
		{ 1001, 999999999, STORE_OK },
		/* The clock was set back. */
		{ 761, 0, STORE_STALE },
		{ 760, 7, STORE_OK },
		{ 760, 7, STORE_STALE },
		{ 1001, 999999999, STORE_OK },
	};
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	struct store_device device = test_store_device(t, &file), out;

	test_store_expect(store_note_hello(t->store, device.device_id, 1, 0), STORE_NOT_FOUND);
	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		test_store_expect(store_note_hello(t->store, device.device_id, rows[i].s,
						   rows[i].ns),
				  rows[i].status);
	test_store_reopen(t);
	test_store_expect(store_get_device(t->store, device.device_id, &out), STORE_OK);
	assert_int_equal(out.hello_s, 1001);
	assert_int_equal(out.hello_ns, 999999999);
}

static void many_hellos_in_one_step(void **state)
{
	struct test_store *t = *state;
	struct store_file file = test_store_file(t, 1);
	struct store_device device = test_store_device(t, &file), out;
	struct store_hello hellos[] = {
		{ { 1 }, 3000, 1 },
		{ { 0 }, 2000, 2 },
		{ { 0 }, 1900, 3 },
	};

	test_store_expect(store_add_file(t->store, &file), STORE_OK);
	test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	memcpy(hellos[1].device_id, device.device_id, DEVICE_ID_SIZE);
	memcpy(hellos[2].device_id, device.device_id, DEVICE_ID_SIZE);
	test_store_expect(store_note_hellos(t->store, hellos, COUNT_OF(hellos)), STORE_OK);
	test_store_reopen(t);
	test_store_expect(store_get_device(t->store, device.device_id, &out), STORE_OK);
	assert_int_equal(out.hello_s, 2000); /* neither the older one nor the stranger's */
	assert_int_equal(out.hello_ns, 2);
}

static void expect_revoked(struct test_store *t, const struct store_device *device, bool expected)
{
	static const uint8_t zeros[KEY_SIZE];
	struct store_device out;

	test_store_expect(store_get_device(t->store, device->device_id, &out), STORE_OK);
	assert_int_equal(out.is_revoked, expected);
	assert_int_equal(memcmp(out.psk, zeros, sizeof zeros) == 0, expected);
}

/* Two files with two devices each; revoking goes as far as it says and no further. */
static void revoking_ends_what_it_names(void **state)
{
	static const uint8_t zeros[KEY_SIZE];
	struct test_store *t = *state;
	struct store_file files[2] = { test_store_file(t, 2), test_store_file(t, 2) }, out;
	struct store_device devices[2][2];

	for (size_t i = 0; i < 2; i++) {
		test_store_expect(store_add_file(t->store, &files[i]), STORE_OK);
		for (size_t j = 0; j < 2; j++) {
			devices[i][j] = test_store_device(t, &files[i]);
			test_store_expect(store_enrol_device(t->store, &devices[i][j], 1),
					  STORE_OK);
		}
	}
	test_store_expect(store_revoke_device(t->store, devices[0][0].device_id), STORE_OK);
	expect_revoked(t, &devices[0][0], true);
	expect_revoked(t, &devices[0][1], false);
	test_store_expect(store_enrol_device(t->store, &devices[0][0], 1), STORE_REVOKED);

	test_store_expect(store_revoke_file(t->store, files[0].file_id), STORE_OK);
	test_store_expect(store_revoke_file(t->store, files[0].file_id), STORE_OK);
	expect_revoked(t, &devices[0][1], true);
	expect_revoked(t, &devices[1][0], false);
	test_store_expect(store_spend_file(t->store, files[0].file_id, 1), STORE_REVOKED);
	test_store_expect(store_get_file(t->store, files[0].file_id, &out), STORE_OK);
	assert_true(out.is_revoked);
	assert_memory_equal(out.shared_secret, zeros, sizeof zeros);
	test_store_expect(store_get_file(t->store, files[1].file_id, &out), STORE_OK);
	assert_false(out.is_revoked);

	test_store_expect(store_revoke_all(t->store), STORE_OK);
	test_store_reopen(t);
	expect_revoked(t, &devices[1][0], true);
	expect_revoked(t, &devices[1][1], true);
	test_store_expect(store_revoke_file(t->store, devices[0][0].device_id), STORE_NOT_FOUND);
	test_store_expect(store_revoke_device(t->store, files[0].file_id), STORE_NOT_FOUND);
}

struct seen {
	size_t count;
	uint64_t last;
	bool is_rising;
	char text[STORE_TEXT_SIZE_MAX + 8];
};

static void see(struct seen *seen, uint64_t value)
{
	seen->is_rising = seen->count == 0 || (seen->is_rising && seen->last <= value);
	seen->last = value;
	seen->count++;
}

static void see_file(void *state, const struct store_file *file)
{
	see(state, file->valid_from_s);
}

static void see_device(void *state, const struct store_device *device)
{
	see(state, device->enrolled_s);
}

static void see_tombstone(void *state, const struct store_tombstone *tombstone)
{
	struct seen *seen = state;

	see(seen, tombstone->number);
	snprintf(seen->text, sizeof seen->text, "%s%s", tombstone->reason,
		 tombstone->is_done ? " done" : "");
}

static void see_event(void *state, const struct store_event *event)
{
	struct seen *seen = state;

	see(seen, event->time_s);
	snprintf(seen->text, sizeof seen->text, "%s", event->text);
}

static void lists_in_order(void **state)
{
	enum { COUNT = 5 };
	struct test_store *t = *state;
	struct seen files = { 0 }, devices = { 0 };

	test_store_expect(store_each_file(t->store, see_file, &files), STORE_OK);
	assert_int_equal(files.count, 0);
	for (size_t i = 0; i < COUNT; i++) {
		struct store_file file = test_store_file(t, 1);
		struct store_device device = test_store_device(t, &file);
		file.valid_from_s = COUNT - i;
		device.enrolled_s = COUNT - i;
		test_store_expect(store_add_file(t->store, &file), STORE_OK);
		test_store_expect(store_enrol_device(t->store, &device, 1), STORE_OK);
	}
	test_store_expect(store_each_file(t->store, see_file, &files), STORE_OK);
	test_store_expect(store_each_device(t->store, see_device, &devices), STORE_OK);
	assert_int_equal(files.count, COUNT);
	assert_int_equal(devices.count, COUNT);
	assert_true(files.is_rising);
	assert_true(devices.is_rising);
}

static void tombstones_are_finished_once(void **state)
{
	struct test_store *t = *state;
	struct store_tombstone tombstone = { .time_s = 9, .scope = COMPROMISED_FILE };
	struct seen seen = { 0 };
	uint64_t first, second;

	snprintf(tombstone.reason, sizeof tombstone.reason, "laptop stolen");
	test_store_expect(store_add_tombstone(t->store, &tombstone, &first), STORE_OK);
	test_store_expect(store_add_tombstone(t->store, &tombstone, &second), STORE_OK);
	assert_true(second > first);
	test_store_reopen(t);
	test_store_expect(store_each_tombstone(t->store, see_tombstone, &seen), STORE_OK);
	assert_int_equal(seen.count, 2);
	assert_true(seen.is_rising);
	assert_string_equal(seen.text, "laptop stolen");
	test_store_expect(store_finish_tombstone(t->store, second), STORE_OK);
	test_store_expect(store_finish_tombstone(t->store, second), STORE_OK);
	test_store_expect(store_finish_tombstone(t->store, second + 1), STORE_NOT_FOUND);
	test_store_expect(store_each_tombstone(t->store, see_tombstone, &seen), STORE_OK);
	assert_string_equal(seen.text, "laptop stolen done");
}

/* The bound is reached by telling the store that very many events have been already. */
static void events_are_bounded(void **state)
{
	struct test_store *t = *state;
	struct seen seen = { 0 };
	struct store_event event = { .event = "port_rotated", .text = "" };

	for (event.time_s = 1; event.time_s <= 20; event.time_s++)
		test_store_expect(store_add_event(t->store, &event), STORE_OK);
	test_store_close(t);
	test_store_tamper(t, "UPDATE event SET number = number + 9990 WHERE number > 10");
	test_store_expect(test_store_open(t), STORE_OK);
	test_store_expect(store_add_event(t->store, &event), STORE_OK);
	/* Numbers were 1..10 and 10001..10010; with 10011 all up to 11 go. */
	test_store_expect(store_each_event(t->store, UINT32_MAX, see_event, &seen), STORE_OK);
	assert_int_equal(seen.count, 11);
	assert_true(seen.is_rising);
	assert_int_equal(seen.last, 21);
	seen = (struct seen){ 0 };
	test_store_expect(store_each_event(t->store, 3, see_event, &seen), STORE_OK);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.last, 21);
}

static void long_texts_are_cut(void **state)
{
	struct test_store *t = *state;
	char text[2 * STORE_TEXT_SIZE_MAX] = "";
	struct seen seen = { 0 };
	const struct store_event event = { .time_s = 1, .event = text, .text = text };

	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[sizeof text - 2] = '\0';
	test_store_expect(store_add_event(t->store, &event), STORE_OK);
	test_store_expect(store_each_event(t->store, 1, see_event, &seen), STORE_OK);
	assert_int_equal(strlen(seen.text), STORE_TEXT_SIZE_MAX - 1);
	assert_memory_equal(seen.text, text, STORE_TEXT_SIZE_MAX - 1);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, test_store_start, test_store_stop)

static const struct CMUnitTest TESTS[] = {
	STORE_TEST(values_come_back),
	STORE_TEST(files_come_back),
	STORE_TEST(a_file_is_spent_so_often),
	STORE_TEST(devices_come_back),
	STORE_TEST(enrolling_again_spends_nothing),
	STORE_TEST(hellos_only_go_forward),
	STORE_TEST(many_hellos_in_one_step),
	STORE_TEST(revoking_ends_what_it_names),
	STORE_TEST(lists_in_order),
	STORE_TEST(tombstones_are_finished_once),
	STORE_TEST(events_are_bounded),
	STORE_TEST(long_texts_are_cut),
};

CRYPTO_TESTS(TESTS)
