/* Profile: what it keeps of the relay, the enrolment and the clock. */
#include "client/profile.h"

#include "tests/support/crypto.h"
#include "tests/support/directory.h"

static struct security_file relay_file(uint8_t server, uint8_t file)
{
	struct security_file out = { .server_id = { server },
				     .file_id = { file },
				     .server_name = "relay",
				     .udp_port = 5,
				     .door_count = 1,
				     .compromised_scope = COMPROMISED_FILE };
	memset(out.shared_secret, file, sizeof out.shared_secret);
	memset(out.server_public_key, server, sizeof out.server_public_key);
	return out;
}

static void reopen(struct profile *p, const struct test_directory *directory)
{
	struct clawchat_error error;
	char path[TEST_PATH_SIZE];

	profile_close(p);
	test_directory_path(directory, "profile", path);
	if (profile_open(p, path, "me", &error) != CLAWCHAT_OK)
		fail_msg("%s", error.text);
}

static void enrol(struct profile *p, enum enrolment_state state)
{
	struct clawchat_error error;
	struct enrolment *e = &p->enrolment;

	e->state = state;
	memset(e->psk, 7, sizeof e->psk);
	e->has_before = state == ENROLMENT_PENDING;
	memset(e->psk_before, e->has_before ? 8 : 0, sizeof e->psk_before);
	e->has_schedule = true;
	e->schedule = (struct wire_schedule){ .secret = { 9 },
					      .interval_s = store_le32(3600),
					      .port_first = store_le16(1),
					      .port_last = store_le16(2) };
	p->clock = (struct relay_clock){ .is_known = true,
					 .offset_ns = -600000000000,
					 .last_hello_ns = 12345 };
	assert_int_equal(profile_save_relay(p, &error), CLAWCHAT_OK);
}

static void enrolment_and_clock_come_back(void **state)
{
	static const enum enrolment_state states[] = { ENROLMENT_PENDING, ENROLMENT_DONE };
	struct test_directory directory;
	struct profile p = { .lock_fd = -1 };
	struct clawchat_error error;
	const struct security_file file = relay_file(1, 2);

	(void)state;
	test_directory_create(&directory);
	reopen(&p, &directory);
	assert_int_equal(profile_set_relay(&p, &file, &error), CLAWCHAT_OK);
	reopen(&p, &directory);
	assert_int_equal(p.enrolment.state, ENROLMENT_NONE);
	assert_false(p.clock.is_known);
	for (size_t i = 0; i < 2; i++) {
		enrol(&p, states[i]);
		const struct enrolment saved = p.enrolment;
		reopen(&p, &directory);
		assert_memory_equal(&p.enrolment, &saved, sizeof saved);
		assert_true(p.clock.is_known);
		assert_true(p.clock.offset_ns == -600000000000);
		assert_int_equal(p.clock.last_hello_ns, 12345);
	}
	profile_close(&p);
	test_directory_destroy(&directory);
}

/* A new file of the same relay: the PSK is tried first, by the file's doors. Another relay's, or
 * one with another key: nothing is left of the enrolment. */
static void another_file_keeps_the_psk_of_its_relay(void **state)
{
	struct test_directory directory;
	struct profile p = { .lock_fd = -1 };
	struct clawchat_error error;
	const struct security_file first = relay_file(1, 2), second = relay_file(1, 3);
	struct security_file others[2] = { relay_file(2, 4), relay_file(1, 5) };

	(void)state;
	others[1].server_public_key[0] ^= 1;
	test_directory_create(&directory);
	reopen(&p, &directory);
	assert_int_equal(profile_set_relay(&p, &first, &error), CLAWCHAT_OK);
	enrol(&p, ENROLMENT_DONE);
	assert_int_equal(profile_set_relay(&p, &second, &error), CLAWCHAT_OK);
	reopen(&p, &directory);
	assert_int_equal(p.enrolment.state, ENROLMENT_PENDING);
	assert_int_equal(p.enrolment.psk[0], 7);
	assert_false(p.enrolment.has_schedule);
	assert_int_equal(p.relay.file_id[0], 3);
	assert_true(p.clock.is_known);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(profile_set_relay(&p, &first, &error), CLAWCHAT_OK);
		enrol(&p, ENROLMENT_DONE);
		assert_int_equal(profile_set_relay(&p, &others[i], &error), CLAWCHAT_OK);
		reopen(&p, &directory);
		assert_int_equal(p.enrolment.state, ENROLMENT_NONE);
		assert_false(p.clock.is_known);
	}
	profile_close(&p);
	test_directory_destroy(&directory);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(enrolment_and_clock_come_back),
	cmocka_unit_test(another_file_keeps_the_psk_of_its_relay),
};

CRYPTO_TESTS(TESTS)
