/* The client's side of a Compromised without a relay: what is erased, and how fast. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "client/client.h"
#include "net/clock.h"
#include "tests/support/crypto.h"
#include "tests/support/directory.h"
#include "tests/support/key_search.h"

#define TARGET_NS NS_PER_S

/* No file of this process can grow, like on a full disk. */
static void refuse_writes(bool is_on)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_on ? 1 : limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool has_ended(struct clawchat *c)
{
	struct clawchat_event event;
	while (clawchat_next_event(c, &event))
		if (event.type == CLAWCHAT_EVENT_ENDED)
			return true;
	return false;
}

/*
 * Goal:   no relay, and even no room for the mark, keep no key in the profile or in its struct.
 * Method: a profile that knows no relay is reported; its keys, known before, are looked for.
 */
static void erase(bool is_disk_full)
{
	struct test_directory profile;
	struct clawchat_error error;
	struct clawchat *c;
	struct key_search keys = { .count = 0 };

	test_directory_create(&profile);
	const struct clawchat_options options = { .profile = profile.path };
	assert_int_equal(clawchat_open(&options, &c, &error), CLAWCHAT_OK);
	key_search_add(&keys, "device key", c->profile.device.secret);
	key_search_add(&keys, "identity seed", c->profile.identity.seed);
	key_search_add(&keys, "peer key", c->profile.peer_static.secret);
	assert_int_equal(keys.count, 3);
	assert_int_not_equal(key_search_folder(&keys, profile.path, false), 0);

	refuse_writes(is_disk_full);
	uint64_t since_ns = clock_now().mono_ns;
	enum clawchat_result result = clawchat_compromised(c, CLAWCHAT_SCOPE_FILE, "test", &error);
	uint64_t taken_ns = clock_now().mono_ns - since_ns;
	refuse_writes(false);
	assert_int_equal(result, CLAWCHAT_OK);
	assert_true(c->is_erased);
	assert_true(has_ended(c));
	assert_int_equal(key_search_folder(&keys, profile.path, true), 0);
	uint8_t none[X25519_SIZE] = { 0 };
	assert_memory_equal(c->profile.device.secret, none, sizeof(none));
	assert_memory_equal(c->profile.identity.seed, none, sizeof(none));
	assert_memory_equal(c->profile.peer_static.secret, none, sizeof(none));
	print_message("keys of the profile erased in %.1f ms (target %.0f ms)\n",
		      (double)taken_ns / (double)NS_PER_MS, (double)TARGET_NS / (double)NS_PER_MS);
	clawchat_close(c);
	test_directory_destroy(&profile);
}

static void without_a_relay(void **state)
{
	(void)state;
	erase(false);
}

static void without_room_on_disk(void **state)
{
	(void)state;
	erase(true);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(without_a_relay),
	cmocka_unit_test(without_room_on_disk),
};

CRYPTO_TESTS(TESTS)
