/* Time limit: 300 s */
/*
 * Goal:   all that can happen to sessions happens at once, with no thread in another's way: meant
 *         for ThreadSanitizer.
 * Method: a whole relay of 4 workers in this program; a rotation every 3 s; and a thread for each
 *         kind of clients: those that stay and may lose nothing while their keys change, those
 *         that move from address to address, those that come and go, and those that are kicked or
 *         revoked in the midst of their traffic. Over when each has done enough of it.
 */
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/hello.h"
#include "core/security_file.h"
#include "tests/support/crypto.h"
#include "tests/support/flows.h"
#include "tests/support/relay_inside.h"

enum {
	GANGS = 4,
	STEADY = 2, /* gangs that keep their sessions */
	WINDOW = 8,
	WAIT_S = 30,
	VISIT_S = 3,   /* their file may be revoked while they come */
	ENOUGH_S = 60, /* by then all must have been done; some seconds without a sanitizer */
	ROTATIONS = 2,
	WAYS_OUT = 4, /* of a session: see make_request() */
	REQUEST_SIZE = 160,
	TROUBLE_SIZE = 1200,
	LOOK_MS = 100,
	FILE_ITERATIONS = 1000,
};
#define REKEY_NS (700 * NS_PER_MS)
#define STAY_NS (300 * NS_PER_MS)
#define SILENCE_NS (300 * NS_PER_MS) /* of a client that has moved */

struct storm {
	struct relay_inside relay;
	_Atomic unsigned settled; /* gangs that keep their sessions to the end, and have them */
	_Atomic bool is_over;
};

/* Clients of one kind, and their thread. */
struct gang {
	struct storm *storm;
	void (*live)(struct gang *g);
	size_t count;
	unsigned wanted; /* rounds */
	pthread_t thread;
	struct wire_client *clients;
	struct flows *flows;
	uint64_t until_ns;
	uint64_t beyond;      /* what each flow is to get beyond */
	struct flows_sum sum; /* valid after the thread's end, as all below */
	uint64_t rekeys;
	unsigned revocations;
	char trouble[TROUBLE_SIZE]; /* empty: none */
	_Atomic unsigned rounds;    /* that went well so far */
};

/* ---- a gang's clients -------------------------------------------------------------------- */

static void complain(struct gang *g, const char *what)
{
	if (g->trouble[0] == '\0')
		snprintf(g->trouble, sizeof(g->trouble), "round %u: %s", load_relaxed(&g->rounds),
			 what);
}

/* What became of the clients, beside that. */
static void complain_of(struct gang *g, const char *what)
{
	char text[TROUBLE_SIZE - 32];
	int used = snprintf(text, sizeof(text), "%s:", what);
	struct link_status status;
	for (size_t i = 0; i < g->count && used < (int)sizeof(text); i++) {
		link_get_status(g->clients[i].link, &status);
		used += snprintf(text + used, sizeof(text) - (size_t)used,
				 " [state %d, %u ups, reason %u, port %u, channel %u, tries %u,"
				 " got %" PRIu64 "]",
				 (int)status.state, g->clients[i].ups, g->clients[i].down_reason,
				 status.relay.port, g->clients[i].channel, status.tries,
				 g->flows->of[i].received);
	}
	complain(g, text);
}

static bool is_in_trouble(const struct gang *g)
{
	return g->trouble[0] != '\0';
}

/* The current file is replaced now and then: for a moment there may be none. */
static bool read_file(const struct gang *g, struct link_config *out)
{
	for (int waited = 0; waited < WAIT_S * 1000; waited += LOOK_MS) {
		if (wire_file_read(relay_inside_state(&g->storm->relay), out))
			return true;
		poll(NULL, 0, LOOK_MS);
	}
	return false;
}

static void close_clients(struct gang *g)
{
	for (size_t i = 0; i < g->count && g->flows != NULL; i++)
		wire_client_close(&g->clients[i]);
	flows_destroy(g->flows);
	g->flows = NULL;
}

static bool open_clients(struct gang *g)
{
	struct link_config file;
	const struct address here = address_v4(127, 0, 0, 1, 0);
	bool is_good = read_file(g, &file);
	file.rekey_interval_ns = REKEY_NS;
	for (size_t i = 0; i < g->count && is_good; i++)
		is_good = wire_client_open(&g->clients[i], &file, &here);
	g->flows = is_good ? flows_create(g->clients, g->count, WINDOW) : NULL;
	bytes_wipe(&file, sizeof(file));
	return g->flows != NULL;
}

static bool join_clients(struct gang *g)
{
	return wire_wait_up(g->clients, g->count, WAIT_S) &&
	       wire_wait(g->clients, g->count, WAIT_S, flows_are_joined, g->flows);
}

/* Traffic until the gang's time is up. */
static bool talk(void *state)
{
	struct gang *g = state;
	flows_send(g->flows);
	return clock_now().mono_ns >= g->until_ns;
}

static void talk_for(struct gang *g, uint64_t time_ns)
{
	g->until_ns = clock_now().mono_ns + time_ns;
	(void)!wire_wait(g->clients, g->count, WAIT_S, talk, g);
}

static bool is_over(const struct gang *g)
{
	return load_relaxed(&g->storm->is_over) || is_in_trouble(g);
}

/* ---- those who stay ---------------------------------------------------------------------- */

static void stay(struct gang *g)
{
	struct link_status status;
	if (!open_clients(g) || !join_clients(g))
		complain(g, "not connected");
	add_relaxed(&g->storm->settled, 1);
	while (!is_over(g)) {
		talk_for(g, STAY_NS);
		add_relaxed(&g->rounds, 1);
	}
	if (!is_in_trouble(g) &&
	    !wire_wait(g->clients, g->count, WAIT_S, flows_have_arrived, g->flows))
		complain_of(g, "not all has arrived");
	if (g->flows != NULL)
		g->sum = flows_add_up(g->flows);
	for (size_t i = 0; i < g->count && g->flows != NULL; i++) {
		link_get_status(g->clients[i].link, &status);
		g->rekeys += status.rekeys;
		if (g->clients[i].ups != 1)
			complain_of(g, "a session did not last");
	}
	close_clients(g);
}

/* ---- those who move ---------------------------------------------------------------------- */

static bool moved_are_heard(void *state)
{
	struct gang *g = state;
	flows_give_up(g->flows, SILENCE_NS);
	flows_send(g->flows);
	for (size_t i = 0; i < g->count; i++)
		if (g->flows->of[i].received <= g->beyond)
			return false;
	return true;
}

static uint64_t most_received(const struct gang *g)
{
	uint64_t most = 0;
	for (size_t i = 0; i < g->count; i++)
		most = g->flows->of[i].received > most ? g->flows->of[i].received : most;
	return most;
}

/* Each flow goes on: all get beyond what the best had. */
static void roam(struct gang *g)
{
	if (!open_clients(g) || !join_clients(g))
		complain(g, "not connected");
	add_relaxed(&g->storm->settled, 1);
	while (!is_over(g)) {
		unsigned round = load_relaxed(&g->rounds);
		struct address other = address_v4(127, 0, 0, (uint8_t)(2 + round % 200), 0);
		talk_for(g, STAY_NS);
		if (!wire_client_rebind(&g->clients[round % g->count], &other))
			complain(g, "no socket");
		g->beyond = most_received(g);
		if (!wire_wait(g->clients, g->count, WAIT_S, moved_are_heard, g))
			complain_of(g, "nothing comes after a move");
		add_relaxed(&g->rounds, 1);
	}
	close_clients(g);
}

/* ---- those who come and go --------------------------------------------------------------- */

/* Their file may be revoked while they come: then they come with the next one. */
static bool have_come_or_not(void *state)
{
	struct gang *g = state;
	struct link_status status;
	for (size_t i = 0; i < g->count; i++) {
		link_get_status(g->clients[i].link, &status);
		if (status.state == LINK_REFUSED)
			return true;
	}
	return g->clients[0].is_up && g->clients[1].is_up && flows_are_joined(g->flows);
}

static void visit(struct gang *g)
{
	while (!is_over(g)) {
		if (open_clients(g) &&
		    wire_wait(g->clients, g->count, VISIT_S, have_come_or_not, g) &&
		    g->clients[1].channel != 0) {
			talk_for(g, STAY_NS);
			add_relaxed(&g->rounds, 1);
		}
		close_clients(g);
	}
}

/* ---- those who are thrown out ------------------------------------------------------------ */

static void hex(const uint8_t *bytes, size_t size, char *out)
{
	for (size_t i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* The relay's name for the first client's session. */
static bool find_session(const struct gang *g, char *out, size_t size)
{
	json_t *answer = relay_process_ask(&g->storm->relay.outside, "sessions"), *session;
	char peer[2 * PEER_ID_SIZE + 1];
	size_t index;
	bool is_found = false;
	hex(g->clients[0].peer, PEER_ID_SIZE, peer);
	json_array_foreach(json_object_get(answer, "sessions"), index, session)
	{
		const char *its_peer = json_string_value(json_object_get(session, "peer"));
		if (its_peer == NULL || strncmp(its_peer, peer, strlen(its_peer)) != 0)
			continue;
		snprintf(out, size, "%s", json_string_value(json_object_get(session, "session")));
		is_found = true;
	}
	json_decref(answer);
	return is_found;
}

/* A kick, and revocations of the device and of the file; the last one makes all doors new. */
static bool make_request(struct gang *g, unsigned round, char out[REQUEST_SIZE])
{
	const struct hello_config *hello = &g->clients[0].config.hello;
	uint8_t device[DEVICE_ID_SIZE];
	char id[2 * FILE_ID_SIZE + 1];
	if (round % WAYS_OUT == 0) {
		if (!find_session(g, id, sizeof(id)))
			return false;
		snprintf(out, REQUEST_SIZE, "{\"command\":\"kick\",\"session\":\"%s\"}", id);
		return true;
	}
	device_id_of(hello->device.public, device);
	hex(round % WAYS_OUT == 1 ? device : hello->id, FILE_ID_SIZE, id);
	snprintf(out, REQUEST_SIZE, "{\"command\":\"%s\",\"scope\":\"%s\",\"id\":\"%s\"}",
		 round % WAYS_OUT == 3 ? "compromised" : "revoke",
		 round % WAYS_OUT == 1 ? "device" : "file", id);
	return true;
}

static bool is_thrown_out(void *state)
{
	struct gang *g = state;
	flows_send(g->flows);
	return !g->clients[0].is_up;
}

static void throw_out(struct gang *g)
{
	char request[REQUEST_SIZE];
	unsigned round = load_relaxed(&g->rounds);
	talk_for(g, STAY_NS);
	if (!make_request(g, round, request)) {
		complain(g, "the relay does not know the session");
		return;
	}
	json_t *answer = relay_process_request(&g->storm->relay.outside, request);
	if (answer == NULL || json_object_get(answer, "error") != NULL)
		complain(g, request);
	json_decref(answer);
	if (!wire_wait(g->clients, g->count, WAIT_S, is_thrown_out, g))
		complain_of(g, "the session goes on");
	g->revocations += round % WAYS_OUT != 0;
	add_relaxed(&g->rounds, 1);
}

/* With files of their own: their end is nobody else's. */
static void offend(struct gang *g)
{
	while (load_relaxed(&g->storm->settled) < STEADY && !is_over(g))
		poll(NULL, 0, LOOK_MS);
	while (!is_over(g)) {
		json_decref(relay_process_ask(&g->storm->relay.outside, "issue"));
		if (!open_clients(g))
			complain(g, "no file");
		else if (!join_clients(g))
			complain_of(g, "not connected");
		else
			throw_out(g);
		close_clients(g);
	}
}

/* ---- all together ------------------------------------------------------------------------ */

static void *live(void *state)
{
	struct gang *g = state;
	g->live(g);
	return NULL;
}

static bool has_seen_enough(struct storm *s, const struct gang *gangs)
{
	for (size_t i = 0; i < GANGS; i++)
		if (load_relaxed(&gangs[i].rounds) < gangs[i].wanted)
			return false;
	return relay_process_number(&s->relay.outside, NULL, "rotations") >= ROTATIONS &&
	       relay_process_number(&s->relay.outside, "keeper", "path_moves") > 0 &&
	       relay_process_number(&s->relay.outside, "keeper", "rekeys") > 0;
}

/* The operator looks all the while. False: not enough came of it. */
static bool watch(struct storm *s, const struct gang *gangs)
{
	uint64_t end_ns = clock_now().mono_ns + ENOUGH_S * NS_PER_S;
	while (!has_seen_enough(s, gangs) && clock_now().mono_ns < end_ns) {
		json_decref(relay_process_ask(&s->relay.outside, "peers"));
		poll(NULL, 0, LOOK_MS);
	}
	print_message("rotations %lld, rekeys %lld, moves %lld; rounds %u, %u, %u, %u\n",
		      relay_process_number(&s->relay.outside, NULL, "rotations"),
		      relay_process_number(&s->relay.outside, "keeper", "rekeys"),
		      relay_process_number(&s->relay.outside, "keeper", "path_moves"),
		      load_relaxed(&gangs[0].rounds), load_relaxed(&gangs[1].rounds),
		      load_relaxed(&gangs[2].rounds), load_relaxed(&gangs[3].rounds));
	return has_seen_enough(s, gangs);
}

static void check(const struct gang *g)
{
	for (size_t i = 0; i < GANGS; i++)
		if (is_in_trouble(&g[i]))
			fail_msg("gang %zu: %s", i, g[i].trouble);
	print_message("%" PRIu64 " datagrams, %" PRIu64 " lost, %u revocations\n", g[0].sum.sent,
		      g[0].sum.lost, g[3].revocations);
	assert_true(g[0].sum.sent > 0);
	assert_int_equal(g[0].sum.lost + g[0].sum.twice + g[0].sum.altered, 0);
	assert_true(g[0].rekeys >= g[0].count);
	assert_true(g[3].revocations > 0);
}

static void storm(const char *engine)
{
	const char *const options[] = { engine,
					"--network.workers=4",
					"--rotation.interval=3s",
					"--rotation.notice=1s",
					"--rotation.grace=2s",
					"--security.file_validity=20s",
					"--limits.handshake_rate=100000",
					"--limits.handshake_burst=100000",
					NULL };
	struct storm s = { .is_over = false };
	struct gang gangs[GANGS] = {
		{ .live = stay, .count = 8, .wanted = 4 },
		{ .live = roam, .count = 4, .wanted = 4 },
		{ .live = visit, .count = 2, .wanted = 3 },
		{ .live = offend, .count = 2, .wanted = WAYS_OUT },
	};
	relay_inside_init(&s.relay, options);
	/* Files are read all the while, by many: what makes guessing slow is not looked at here. */
	s.relay.settings.security.pbkdf2_iterations = FILE_ITERATIONS;
	if (!relay_inside_start(&s.relay))
		fail_msg("%s", s.relay.error.text);
	for (size_t i = 0; i < GANGS; i++) {
		gangs[i].storm = &s;
		gangs[i].clients = calloc(gangs[i].count, sizeof(*gangs[i].clients));
		assert_non_null(gangs[i].clients);
		assert_int_equal(pthread_create(&gangs[i].thread, NULL, live, &gangs[i]), 0);
	}
	bool is_enough = watch(&s, gangs);
	store_relaxed(&s.is_over, true);
	for (size_t i = 0; i < GANGS; i++) {
		pthread_join(gangs[i].thread, NULL);
		free(gangs[i].clients);
	}
	check(gangs);
	assert_true(is_enough);
	assert_int_equal(relay_inside_stop(&s.relay), 0);
	relay_inside_fini(&s.relay);
}

static void test_uring(void **state)
{
	(void)state;
	if (!relay_process_has_engine("uring")) {
		print_message("SKIPPED: the system refuses a ring\n");
		skip();
	}
	storm("--network.engine=uring");
}

static void test_epoll(void **state)
{
	(void)state;
	storm("--network.engine=epoll");
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
		cmocka_unit_test(test_uring),
		cmocka_unit_test(test_epoll),
	};
	return cmocka_run_group_tests(tests, start, test_crypto_stop);
}
