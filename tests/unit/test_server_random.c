/* Time limit: 200 s */
#include "core/security_file.h"
#include "tests/support/crypto.h"
#include "tests/support/relay_inside.h"
#include "tests/support/wire_client.h"

enum {
	CLIENTS = 2,
	BLOB_SIZE = 300,
	ROTATIONS = 2,
	WAIT_S = 40, /* ROTATIONS and one more, at 10 s each, and slack */
};

static const char *const OPTIONS[] = {
	"--network.engine=epoll",       "--network.workers=2",
	"--rotation.mode=random",       "--rotation.interval=10s",
	"--rotation.notice=4s",         "--rotation.grace=3s",
	"--security.file_validity=60s", NULL,
};

static struct wire_client clients[CLIENTS];
static unsigned received[CLIENTS];

static void count_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	(void)channel;
	(void)blob;
	received[c - clients]++;
}

static struct link_status status_of(const struct wire_client *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	return status;
}

/* One blob is under way each way at any time; over when both are so many doors further. */
struct journey {
	struct link_status begin[CLIENTS];
	unsigned sent[CLIENTS];
	unsigned moves[CLIENTS]; /* changes of port */
	uint16_t port[CLIENTS];
};

static bool have_moved(void *state)
{
	static const uint8_t blob[BLOB_SIZE];
	struct journey *j = state;
	bool all = true;
	for (size_t i = 0; i < CLIENTS; i++) {
		struct link_status now = status_of(&clients[i]);
		if (j->sent[i] <= received[i ^ 1])
			j->sent[i] += wire_send(&clients[i], clients[i].channel,
						view_of(blob, sizeof(blob)));
		j->moves[i] += now.relay.port != j->port[i];
		j->port[i] = now.relay.port;
		all &= now.door >= j->begin[i].door + ROTATIONS;
	}
	return all;
}

static void begin(struct journey *j)
{
	memset(j, 0, sizeof(*j));
	for (size_t i = 0; i < CLIENTS; i++) {
		j->begin[i] = status_of(&clients[i]);
		j->port[i] = j->begin[i].relay.port;
		received[i] = 0;
	}
}

static void open_clients(const struct link_config *file)
{
	const struct address here = address_v4(127, 0, 0, 1, 0);
	assert_false(file->has_schedule); /* nor can anybody compute these ports */
	for (size_t i = 0; i < CLIENTS; i++) {
		assert_true(wire_client_open(&clients[i], file, &here));
		clients[i].on_blob = count_blob;
	}
	assert_true(wire_join(clients, WAIT_S));
}

static bool is_at_new_port(void *state)
{
	const struct journey *j = state;
	return status_of(&clients[0]).relay.port != j->port[0] &&
	       status_of(&clients[1]).relay.port != j->port[1];
}

/*
 * Goal:   with ports at random, which nobody can compute, clients follow by PORT_NEXT alone: at
 *         each rotation, and at one by hand, without a new session and with blobs under way.
 * Method: a whole relay with a rotation every 10 s; its time is the real one. A relay that was
 *         started again has other ports: its present file knows them.
 */
static void clients_follow(void **state)
{
	struct relay_inside r;
	struct link_config file;
	struct journey j;
	(void)state;
	relay_inside_init(&r, OPTIONS);
	if (!relay_inside_start(&r))
		fail_msg("%s", r.error.text);
	assert_true(wire_file_read(relay_inside_state(&r), &file));
	open_clients(&file);
	begin(&j);
	assert_true(wire_wait(clients, CLIENTS, WAIT_S, have_moved, &j));
	for (size_t i = 0; i < CLIENTS; i++) {
		/* Two draws of 16,384 may be the same once in a while. */
		assert_in_range(j.moves[i], ROTATIONS - 1, ROTATIONS + 1);
		assert_int_equal(clients[i].ups, 1);
		assert_true(received[i] > 0);
	}
	assert_true(relay_process_number(&r.outside, "keeper", "doors_told") >=
		    CLIENTS * ROTATIONS);

	begin(&j);
	json_t *answer = relay_process_ask(&r.outside, "rotate-port");
	assert_non_null(answer);
	assert_null(json_object_get(answer, "error"));
	json_decref(answer);
	assert_true(wire_wait(clients, CLIENTS, WAIT_S, is_at_new_port, &j));
	assert_int_equal(clients[0].ups, 1);

	assert_int_equal(relay_inside_stop(&r), 0);
	for (size_t i = 0; i < CLIENTS; i++)
		wire_client_close(&clients[i]);
	assert_true(relay_inside_start(&r));
	assert_true(wire_file_read(relay_inside_state(&r), &file));
	open_clients(&file);
	for (size_t i = 0; i < CLIENTS; i++)
		wire_client_close(&clients[i]);
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
		cmocka_unit_test(clients_follow),
	};
	return cmocka_run_group_tests(tests, start, test_crypto_stop);
}
