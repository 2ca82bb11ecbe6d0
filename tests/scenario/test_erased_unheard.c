/*
 * Goal:   a Compromised that no relay hears ends after 10 s, says so, and has erased the profile
 *         all the same.
 * Method: a client enrols at a relay, which then goes away; the time is the real one. Time limit:
 *         120 s
 */
#include <poll.h>

#include "client/client.h"
#include "net/clock.h"
#include "tests/support/crypto.h"
#include "tests/support/key_search.h"
#include "tests/support/relay_inside.h"

enum { WAIT_MS = 20000, LOOK_MS = 10 };

static const char *const OPTIONS[] = { "--network.engine=epoll", "--network.workers=1",
				       "--limits.sessions=1024", "--limits.channels=1024", NULL };

struct end {
	unsigned count;
	enum clawchat_result result;
	char text[CLAWCHAT_ERROR_SIZE];
};

static void take_events(struct clawchat *c, struct end *end)
{
	struct clawchat_event event;
	while (clawchat_next_event(c, &event)) {
		if (event.type != CLAWCHAT_EVENT_ENDED)
			continue;
		end->count++;
		end->result = event.result;
		snprintf(end->text, sizeof(end->text), "%s", event.text);
	}
}

static bool run_until(struct clawchat *c, bool (*is_done)(const struct clawchat *c),
		      struct end *end)
{
	uint64_t end_ns = clock_now().mono_ns + WAIT_MS * NS_PER_MS;
	while (!is_done(c)) {
		struct pollfd fd = { .fd = clawchat_fd(c), .events = POLLIN };
		if (clock_now().mono_ns > end_ns)
			return false;
		poll(&fd, 1, LOOK_MS);
		clawchat_process(c);
		take_events(c, end);
	}
	return true;
}

static bool is_enrolled(const struct clawchat *c)
{
	return c->profile.enrolment.state == ENROLMENT_DONE;
}

static bool is_erased(const struct clawchat *c)
{
	return c->is_erased;
}

static struct clawchat *open_client(const char *state, const char *profile)
{
	char file[TEST_PATH_SIZE + 64], key[TEST_PATH_SIZE + 64];
	struct clawchat_error error;
	struct clawchat *c;
	snprintf(file, sizeof(file), "%s/files/clawchat-current.sec", state);
	snprintf(key, sizeof(key), "%s/bootstrap.key", state);
	const struct clawchat_bootstrap bootstrap = { .key_file = key };
	assert_int_equal(clawchat_open(&(struct clawchat_options){ .profile = profile }, &c,
				       &error),
			 0);
	assert_int_equal(clawchat_load(c, file, &bootstrap, &error), 0);
	assert_int_equal(clawchat_connect(c, &error), 0);
	return c;
}

static void note_keys(const struct clawchat *c, struct key_search *keys)
{
	key_search_add(keys, "device key", c->profile.device.secret);
	key_search_add(keys, "identity seed", c->profile.identity.seed);
	key_search_add(keys, "peer key", c->profile.peer_static.secret);
	key_search_add(keys, "device PSK", c->profile.enrolment.psk);
	key_search_add(keys, "schedule secret", c->profile.enrolment.schedule.secret);
}

static void unheard_it_erases_all_the_same(void **state)
{
	static struct relay_inside relay;
	static struct key_search keys;
	struct test_directory profile;
	struct clawchat_error error;
	struct end end = { 0 };

	(void)state;
	relay_inside_block_signals();
	test_directory_create(&profile);
	relay_inside_init(&relay, OPTIONS);
	if (!relay_inside_start(&relay))
		fail_msg("%s", relay.error.text);
	struct clawchat *c = open_client(relay_inside_state(&relay), profile.path);
	assert_true(run_until(c, is_enrolled, &end));
	note_keys(c, &keys);
	assert_true(key_search_folder(&keys, profile.path, false) > 0);
	assert_int_equal(relay_inside_stop(&relay), 0);

	uint64_t begin_ns = clock_now().mono_ns;
	assert_int_equal(clawchat_compromised(c, CLAWCHAT_SCOPE_FILE, "test", &error), CLAWCHAT_OK);
	assert_true(run_until(c, is_erased, &end));
	uint64_t took_ns = clock_now().mono_ns - begin_ns;
	assert_int_equal(end.count, 1);
	assert_int_equal(end.result, CLAWCHAT_REVOKED);
	assert_non_null(strstr(end.text, "did not answer"));
	assert_in_range(took_ns / NS_PER_MS, LINK_BURN_NS / NS_PER_MS - 1, WAIT_MS);
	assert_int_equal(key_search_folder(&keys, profile.path, true), 0);
	/* Once more is nothing. */
	assert_int_equal(clawchat_compromised(c, CLAWCHAT_SCOPE_FILE, "test", &error), CLAWCHAT_OK);
	clawchat_close(c);
	relay_inside_fini(&relay);
	test_directory_destroy(&profile);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(unheard_it_erases_all_the_same),
};
CRYPTO_TESTS(TESTS)
