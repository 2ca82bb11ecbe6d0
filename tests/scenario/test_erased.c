/*
 * Goal:   after a Compromised none of the keys that were in use is left: not in the relay's memory,
 *         not in the client's, not in either one's files.
 * Method: a whole relay in this process, a whole client in another. The client tells its keys,
 *         masked; both look through all of their memory before (they must find some, or the search
 *         is blind) and after. Time limit: 120 s
 */
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "core/link_internal.h"
#include "net/clock.h"
#include "tests/support/crypto.h"
#include "tests/support/key_search.h"
#include "tests/support/relay_inside.h"

enum { WAIT_MS = 20000, ERASE_MS = 5000, LOOK_MS = 100 };

/* What the two processes tell each other over a pipe each way. */
struct told {
	struct key_search keys;
	size_t before, after_memory, after_files;
	bool is_over;
};

static const char *const OPTIONS[] = { "--network.engine=epoll", "--network.workers=2",
				       "--limits.sessions=1024", "--limits.channels=1024", NULL };

/* ---- the client, in a process of its own --------------------------------------------------- */

static bool run_until(struct clawchat *c, bool (*is_done)(const struct clawchat *c))
{
	struct clawchat_event event;
	uint64_t end_ns = clock_now().mono_ns + WAIT_MS * NS_PER_MS;
	while (!is_done(c)) {
		struct pollfd fd = { .fd = clawchat_fd(c), .events = POLLIN };
		if (clock_now().mono_ns > end_ns)
			return false;
		poll(&fd, 1, 10);
		clawchat_process(c);
		while (clawchat_next_event(c, &event))
			continue;
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

static void note_keys(const struct clawchat *c, struct key_search *keys)
{
	const struct link *l = c->link;
	const struct session_epoch *e = &l->session.epochs[0];
	key_search_add(keys, "device key", c->profile.device.secret);
	key_search_add(keys, "identity seed", c->profile.identity.seed);
	key_search_add(keys, "peer key", c->profile.peer_static.secret);
	key_search_add(keys, "device PSK", c->profile.enrolment.psk);
	key_search_add(keys, "schedule secret", c->profile.enrolment.schedule.secret);
	key_search_add(keys, "session key, sending", e->send.key);
	key_search_add(keys, "session key, receiving", e->receive.key);
	key_search_add(keys, "next key seed", l->rekey.chain.seed);
}

static bool send_told(int fd, const struct told *told)
{
	return write(fd, told, sizeof(*told)) == sizeof(*told);
}

static bool take_told(int fd, struct told *told)
{
	size_t got = 0;
	while (got < sizeof(*told)) {
		ssize_t part = read(fd, (uint8_t *)told + got, sizeof(*told) - got);
		if (part <= 0)
			return false;
		got += (size_t)part;
	}
	return true;
}

/* In the child: true as far as all went well. */
static bool be_compromised(const char *state, const char *profile, int in, int out)
{
	static struct told told;
	char file[TEST_PATH_SIZE + 64], key[TEST_PATH_SIZE + 64];
	struct clawchat_error error;
	struct clawchat *c;
	snprintf(file, sizeof(file), "%s/files/clawchat-current.sec", state);
	snprintf(key, sizeof(key), "%s/bootstrap.key", state);
	const struct clawchat_bootstrap bootstrap = { .key_file = key };
	if (clawchat_open(&(struct clawchat_options){ .profile = profile }, &c, &error) != 0 ||
	    clawchat_load(c, file, &bootstrap, &error) != 0)
		return false;
	key_search_add(&told.keys, "shared secret", c->profile.relay.shared_secret);
	if (clawchat_connect(c, &error) != 0 || !run_until(c, is_enrolled))
		return false;
	note_keys(c, &told.keys);
	told.before = key_search_memory(&told.keys, false);
	if (!send_told(out, &told) || !take_told(in, &told))
		return false;
	if (clawchat_compromised(c, CLAWCHAT_SCOPE_FILE, "test", &error) != 0 ||
	    !run_until(c, is_erased))
		return false;
	told.after_memory = key_search_memory(&told.keys, true);
	told.after_files = key_search_folder(&told.keys, profile, true);
	told.is_over = true;
	clawchat_close(c);
	return send_told(out, &told);
}

/* Waits for the relay before it does anything: it is forked while there is one thread. */
static pid_t start_child(const char *state, const char *profile, int pipes[2][2])
{
	pid_t pid = fork();
	char go;
	if (pid != 0)
		return pid;
	close(pipes[0][1]);
	close(pipes[1][0]);
	if (read(pipes[0][0], &go, 1) != 1)
		_exit(2);
	_exit(be_compromised(state, profile, pipes[0][0], pipes[1][1]) ? 0 : 1);
}

/* ---- the relay, here ------------------------------------------------------------------------ */

/* Whatever is done within a second; the limit is for loaded machines. */
static size_t search_until_clean(const struct key_search *keys)
{
	size_t hits = 1;
	for (int waited = 0; waited < ERASE_MS && hits > 0; waited += LOOK_MS) {
		poll(NULL, 0, LOOK_MS);
		hits = key_search_memory(keys, false);
	}
	return hits == 0 ? 0 : key_search_memory(keys, true);
}

/* Sanitizers keep what was freed, and map more than can be searched. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	defined(CLAWCHAT_SANITIZE_ADDRESS)
enum { CAN_SEARCH = 0 };
#else
enum { CAN_SEARCH = 1 };
#endif

static void nothing_is_left(void **state)
{
	if (!CAN_SEARCH) {
		print_message("SKIPPED: nothing_is_left: a sanitizer keeps what was freed\n");
		skip();
	}
	static struct relay_inside relay;
	static struct told told;
	struct test_directory profile;
	int pipes[2][2], status;

	(void)state;
	relay_inside_block_signals();
	test_directory_create(&profile);
	relay_inside_init(&relay, OPTIONS);
	assert_int_equal(pipe(pipes[0]) | pipe(pipes[1]), 0);
	pid_t child = start_child(relay_inside_state(&relay), profile.path, pipes);
	close(pipes[0][0]);
	close(pipes[1][1]);
	if (!relay_inside_start(&relay))
		fail_msg("%s", relay.error.text);
	assert_int_equal(write(pipes[0][1], "g", 1), 1);
	assert_true(take_told(pipes[1][0], &told));
	assert_true(told.before > 0);
	size_t before = key_search_memory(&told.keys, false);
	assert_true(before > 0);
	assert_true(send_told(pipes[0][1], &told));
	assert_true(take_told(pipes[1][0], &told));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	size_t after = search_until_clean(&told.keys);
	size_t files = key_search_folder(&told.keys, relay_inside_state(&relay), true);
	print_message("%zu keys; client: %zu places before, %zu after; relay: %zu, %zu\n",
		      told.keys.count, told.before, told.after_memory, before, after);
	assert_int_equal(told.after_memory, 0);
	assert_int_equal(told.after_files, 0);
	assert_int_equal(after, 0);
	assert_int_equal(files, 0);
	assert_int_equal(relay_inside_stop(&relay), 0);
	relay_inside_fini(&relay);
	test_directory_destroy(&profile);
	close(pipes[0][1]);
	close(pipes[1][0]);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(nothing_is_left),
};

CRYPTO_TESTS(TESTS)
