/* Time limit: 500 s */
#include "core/security_file.h"
#include "tests/support/crypto.h"
#include "tests/support/relay_inside.h"
#include "tests/support/wire_client.h"

#include <unistd.h>

enum {
	CLIENTS = 24, /* even: pairs */
	ROUNDS = 4,
	BLOBS = 100, /* of each client and round */
	BLOB_SIZE = 300,
	WAIT_S = 30,
};

static const char *const OPTIONS[][8] = {
	{ "--network.engine=uring", "--network.workers=4", "--limits.handshake_rate=100000",
	  "--limits.handshake_burst=100000", "--security.pbkdf2_iterations=600000", NULL },
	{ "--network.engine=epoll", "--network.workers=4", "--limits.handshake_rate=100000",
	  "--limits.handshake_burst=100000", "--security.pbkdf2_iterations=600000", NULL },
};

static struct link_config file;
static struct wire_client clients[CLIENTS];
static unsigned received[CLIENTS];

static void count_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	(void)channel;
	(void)blob;
	received[c - clients]++;
}

static void open_clients(void)
{
	struct address v4 = address_v4(127, 0, 0, 1, 0), v6 = { .ip = { [15] = 1 } };
	for (size_t i = 0; i < CLIENTS; i++) {
		assert_true(wire_client_open(&clients[i], &file, i % 3 == 0 ? &v6 : &v4));
		clients[i].on_blob = count_blob;
		received[i] = 0;
	}
	assert_true(wire_wait_up(clients, CLIENTS, WAIT_S));
}

static bool are_joined(void *state)
{
	bool all = true;
	(void)state;
	for (size_t i = 0; i < CLIENTS; i += 2)
		all &= wire_is_joined(&clients[i]);
	return all;
}

/* Each to its partner, not faster than answers come. */
static bool step_talk(void *state)
{
	uint8_t blob[BLOB_SIZE] = { 0 };
	unsigned *sent = state;
	bool all = true;
	for (size_t i = 0; i < CLIENTS; i++) {
		for (int k = 0; k < 4 && sent[i] < received[i ^ 1] + 16 && sent[i] < BLOBS; k++)
			sent[i] += wire_send(&clients[i], clients[i].channel,
					     view_of(blob, sizeof(blob)));
		all &= received[i] >= BLOBS;
	}
	return all;
}

static void talk(void)
{
	unsigned sent[CLIENTS] = { 0 };
	assert_true(wire_wait(clients, CLIENTS, WAIT_S, are_joined, NULL));
	if (!wire_wait(clients, CLIENTS, WAIT_S, step_talk, sent))
		for (size_t i = 0; i < CLIENTS; i++)
			if (received[i] < BLOBS)
				fail_msg("%zu got %u of %u", i, received[i], sent[i ^ 1]);
}

/* Half of them say goodbye, half just go. */
static void close_clients(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		if (i % 4 >= 2) {
			close(clients[i].fd);
			clients[i].fd = -1;
		}
		wire_client_close(&clients[i]);
	}
}

static void ask(const struct relay_inside *r, const char *command)
{
	json_t *answer = relay_process_ask(&r->outside, command);
	assert_non_null(answer);
	assert_null(json_object_get(answer, "error"));
	json_decref(answer);
}

/*
 * Goal:   all of the relay's threads at work at once, with none in another's way.
 * Method: clients come, talk in pairs, move to another address and leave, while files are issued,
 *         the port rotates and the operator looks; meant for the sanitizers.
 */
static void live(const char *const *options)
{
	static const char *const commands[ROUNDS] = { "sessions", "rotate-port", "issue", "stats" };
	struct relay_inside r;
	relay_inside_init(&r, options);
	for (int run = 0; run < 2; run++) {
		if (!relay_inside_start(&r))
			fail_msg("%s", r.error.text);
		for (size_t round = 0; round < ROUNDS; round++) {
			struct address other = address_v4(127, 0, 0, (uint8_t)(round + 2), 0);
			if (round % 2 == 0) /* after the rotation once more */
				assert_true(wire_file_read(relay_inside_state(&r), &file));
			open_clients();
			ask(&r, commands[round]);
			talk();
			assert_true(wire_client_rebind(&clients[1], &other));
			ask(&r, "peers");
			close_clients();
		}
		open_clients();
		assert_int_equal(relay_inside_stop(&r), 0);
		close_clients();
	}
	relay_inside_fini(&r);
}

static void test_uring(void **state)
{
	(void)state;
	if (!relay_process_has_engine("uring")) {
		print_message("SKIPPED: the system refuses a ring\n");
		skip();
	}
	live(OPTIONS[0]);
}

static void test_epoll(void **state)
{
	(void)state;
	live(OPTIONS[1]);
}

/* A link anew on the client's socket. */
static void relink(struct wire_client *c)
{
	link_destroy(c->link);
	c->is_up = false;
	c->link = link_create(&c->config, clock_now());
	assert_non_null(c->link);
}

static long long dropped(const struct relay_inside *r)
{
	return relay_process_number(&r->outside, "keeper", "handshakes_dropped");
}

struct drops {
	const struct relay_inside *r;
	long long before;
};

static bool has_dropped_three(void *state)
{
	const struct drops *d = state;
	return dropped(d->r) >= d->before + 3;
}

/*
 * Goal:   the identity's signature is looked at until the device has had a session with it, and for
 *         no other device or identity.
 * Method: a device that comes back signing with a wrong key; then another one that names the same
 *         identity, and the first with another identity, both wrongly signed: heard, not let in.
 */
static void test_proved_identity(void **state)
{
	const struct address v4 = address_v4(127, 0, 0, 1, 0);
	const struct random_source random = random_system();
	struct wire_client *first = &clients[0], *thief = &clients[1];
	struct relay_inside r;
	struct drops drops = { .r = &r };

	(void)state;
	relay_inside_init(&r, OPTIONS[1]);
	assert_true(relay_inside_start(&r));
	assert_true(wire_file_read(relay_inside_state(&r), &file));
	assert_true(wire_client_open(first, &file, &v4));
	assert_true(wire_wait_up(first, 1, WAIT_S));
	first->config.hello.identity.seed[0] ^= 1;
	relink(first);
	assert_true(wire_wait_up(first, 1, WAIT_S));

	assert_true(wire_client_open(thief, &file, &v4));
	thief->config.hello.identity = first->config.hello.identity;
	drops.before = dropped(&r);
	relink(thief);
	assert_true(wire_wait(clients, 2, WAIT_S, has_dropped_three, &drops));
	assert_true(first->is_up && !thief->is_up);
	wire_client_close(thief);

	ed25519_generate(&first->config.hello.identity, &random);
	first->config.hello.identity.seed[0] ^= 1;
	drops.before = dropped(&r);
	relink(first);
	assert_true(wire_wait(first, 1, WAIT_S, has_dropped_three, &drops));
	assert_false(first->is_up);
	first->config.hello.identity.seed[0] ^= 1; /* the new one, rightly signed */
	relink(first);
	assert_true(wire_wait_up(first, 1, WAIT_S));
	wire_client_close(first);
	assert_int_equal(relay_inside_stop(&r), 0);
	relay_inside_fini(&r);
}

/* Goal: whatever start-up meets, it is said, and all that was made is undone. */
static void test_refused(void **state)
{
	static const char *const bad_address[] = { "--network.listen=192.0.2.77", NULL };
	struct relay_inside r;
	(void)state;
	relay_inside_init(&r, bad_address);
	assert_false(relay_inside_start(&r));
	assert_int_equal(r.exit_code, 69);
	assert_non_null(strstr(r.error.text, "listen"));
	relay_inside_fini(&r);

	relay_inside_init(&r, OPTIONS[1]);
	assert_true(relay_inside_start(&r));
	struct settings same = r.settings;
	struct server_error error;
	assert_null(server_create(&same, &error));
	assert_int_equal(error.exit_code, 69);
	relay_inside_fini(&r);
}

static int start(void **state)
{
	relay_inside_block_signals();
	security_file_init();
	return test_crypto_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_proved_identity),
		cmocka_unit_test(test_uring),
		cmocka_unit_test(test_epoll),
	};
	return cmocka_run_group_tests(tests, start, test_crypto_stop);
}
