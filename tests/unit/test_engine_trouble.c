/* The engines under stress and refusal: bursts, cuts, errors, closing, waking, timeouts. */
#include "net/engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/instant.h"
#include "net/engine_internal.h"
#include "tests/support/engine.h"
#include "tests/support/test.h"

enum { DOOR = 7, DATAGRAM_MAX = 65507 };

static struct packet batch[ENGINE_BATCH_MAX];

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- datagrams that are too small, too large, too many ---- */

static void survives_empty_datagrams(const struct engine_variant *v)
{
	enum { EMPTY = 10 };
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	for (uint64_t i = 0; i < EMPTY; i++) {
		udp_test_send(client, &at, "", 0);
		udp_test_send(client, &at, &i, sizeof(i));
		assert_int_equal(engine_test_receive(e, batch, ENGINE_BATCH_MAX), 1);
		assert_memory_equal(batch[0].data, &i, sizeof(i));
	}
	assert_int_equal(COUNTER(e, rx_empty), EMPTY);
	assert_int_equal(COUNTER(e, rx_packets), EMPTY);
	close(client);
	engine_destroy(e);
}

/* Goal: with GRO's large buffers the largest datagram passes; else it is cut, counted, dropped,
 * and the longest that fits passes. */
static void survives_large_datagrams(const struct engine_variant *v)
{
	static uint8_t data[DATAGRAM_MAX];
	uint32_t longest = v->gro ? DATAGRAM_MAX : SMALL_BUFFER_SIZE - HEAD_SIZE;
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	if (longest < DATAGRAM_MAX) {
		udp_test_send(client, &at, data, longest + 1);
		udp_test_send(client, &at, data, DATAGRAM_MAX);
	}
	udp_test_send(client, &at, data, longest);
	assert_int_equal(engine_test_receive(e, batch, ENGINE_BATCH_MAX), 1);
	assert_int_equal(batch[0].size, longest);
	assert_memory_equal(batch[0].data, data, longest);
	assert_int_equal(COUNTER(e, rx_cut), longest < DATAGRAM_MAX ? 2 : 0);
	close(client);
	engine_destroy(e);
}

/*
 * Goal: bursts far above the buffers, on all doors at once, to a caller with little room: all
 * arrive in order, and no door waits for another to run dry.
 */
static void survives_bursts(const struct engine_variant *v)
{
	enum { BURST = 400, CAPACITY = 33 };
	struct engine *e = engine_test_create(v);
	struct address doors[ENGINE_PORTS_MAX];
	uint32_t next[ENGINE_PORTS_MAX] = { 0 }, total = 0;
	int client = engine_test_client(v);
	for (uint64_t d = 0; d < ENGINE_PORTS_MAX; d++)
		doors[d] = engine_test_open(e, v, d);
	for (uint64_t d = 0; d < ENGINE_PORTS_MAX; d++)
		for (uint32_t i = 0; i < BURST; i++)
			udp_test_send(client, &doors[d], &i, sizeof(i));
	while (total < ENGINE_PORTS_MAX * BURST) {
		size_t got = engine_test_receive(e, batch, CAPACITY);
		assert_true(got <= CAPACITY);
		for (size_t i = 0; i < got; i++, total++) {
			uint64_t door = batch[i].path.door;
			assert_true(door < ENGINE_PORTS_MAX);
			assert_memory_equal(batch[i].data, &next[door], sizeof(next[door]));
			if (next[door]++ < BURST - 1)
				continue;
			for (size_t other = 0; other < ENGINE_PORTS_MAX; other++)
				assert_true(next[other] > BURST / 4);
		}
	}
	assert_int_equal(engine_receive(e, batch, CAPACITY, 0), 0);
	print_message("out of buffers %llu times\n", (unsigned long long)COUNTER(e, rx_no_buffers));
	close(client);
	engine_destroy(e);
}

/* What the kernel dropped is known as soon as one more datagram comes. */
static void counts_drops_of_the_socket(const struct engine_variant *v)
{
	enum { SENT = 300, SIZE = 1000, BUFFER = 16384 };
	struct engine *e;
	struct engine_config config = { .kind = v->kind,
					.want_gro = v->gro,
					.receive_buffer_bytes = BUFFER };
	uint8_t data[SIZE] = { 0 };
	uint64_t got = 0;
	assert_int_equal(engine_create(&e, &config), 0);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	for (int i = 0; i < SENT; i++)
		udp_test_send(client, &at, data, SIZE);
	for (int n = 1; n > 0; got += (uint64_t)n) {
		n = engine_receive(e, batch, ENGINE_BATCH_MAX, 0);
		assert_true(n >= 0);
	}
	udp_test_send(client, &at, data, SIZE);
	got += engine_test_receive(e, batch, ENGINE_BATCH_MAX);
	assert_true(COUNTER(e, rx_socket_drops) > 0);
	assert_int_equal(got + COUNTER(e, rx_socket_drops), SENT + 1);
	close(client);
	engine_destroy(e);
}

/* ---- errors ---- */

/*
 * Goal:   a pending socket error neither ends receiving nor costs the next datagram in either way.
 * Method: unconnected sockets hear no ICMP, so the engine's socket is connected behind its back,
 *         to a port that is closed until the error has come.
 */
static void survives_pending_errors(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	struct address me = udp_test_address(client);
	struct packet p = { .data = (uint8_t[]){ 1 },
			    .size = 1,
			    .path = { .remote = me, .door = DOOR } };
	union socket_name name;
	socklen_t size = socket_name_write(&name, &me);
	assert_int_equal(connect(e->slots[v->v6 ? 1 : 0].fd, &name.any, size), 0);
	for (int round = 0; round < 3; round++) {
		close(client);
		engine_send(e, &p, 1); /* met by port unreachable */
		client = udp_test_open(&me);
		if (round == 1)
			assert_int_equal(engine_receive(e, batch, 1, 0), 0);
		engine_send(e, &p, 1);
		uint8_t byte;
		assert_int_equal(udp_test_receive(client, &byte, 1, NULL), 1);

		close(client);
		engine_send(e, &p, 1);
		client = udp_test_open(&me);
		udp_test_send(client, &at, "x", 1);
		assert_int_equal(engine_test_receive(e, batch, 1), 1);
	}
	assert_int_equal(COUNTER(e, tx_refused), 0);
	close(client);
	engine_destroy(e);
}

/*
 * Goal:   where the kernel refuses GSO all packets still leave, and it is not asked again for a
 *         time.
 * Method: a socket without checksums cannot do GSO.
 */
static void does_without_gso(const struct engine_variant *v)
{
	enum { TRAIN = 20, SIZE = 500, UDP_NO_CHECK6_TX_OPTION = 101 };
	static uint8_t frames[TRAIN][SIZE];
	struct packet train[TRAIN];
	struct engine *e = engine_test_create(v);
	engine_test_open(e, v, DOOR);
	int client = engine_test_client(v), on = 1;
	int fd = e->slots[v->v6 ? 1 : 0].fd;
	if (v->v6)
		assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX_OPTION, &on,
					    sizeof(on)),
				 0);
	else
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	if (v->v6) {
		int rx = 1, option = 102; /* UDP_NO_CHECK6_RX */
		assert_int_equal(setsockopt(client, IPPROTO_UDP, option, &rx, sizeof(rx)), 0);
	}
	struct path path = { .remote = udp_test_address(client), .door = DOOR };
	for (size_t i = 0; i < TRAIN; i++) {
		memset(frames[i], (int)i, SIZE);
		train[i] = (struct packet){ .data = frames[i], .size = SIZE, .path = path };
	}
	for (int round = 0; round < 2; round++) {
		uint64_t calls = COUNTER(e, tx_calls);
		engine_send(e, train, TRAIN);
		for (size_t i = 0; i < TRAIN; i++) {
			uint8_t data[SIZE + 1];
			assert_int_equal(udp_test_receive(client, data, sizeof(data), NULL), SIZE);
			assert_int_equal(data[SIZE - 1], i);
		}
		/* Refused and repeated the first time; singles at once the second. */
		assert_int_equal(COUNTER(e, tx_calls) - calls, round == 0 ? 2 : 1);
	}
	assert_int_equal(COUNTER(e, tx_packets), 2 * TRAIN);
	assert_int_equal(COUNTER(e, tx_refused), 0);
	close(client);
	engine_destroy(e);
}

/* A socket whose port is free in the other family: programs beside us bind ports, too. */
static int hold_port(const struct engine_variant *v, struct address *free_one)
{
	struct engine_variant other = *v;
	other.v6 = !v->v6;
	for (int i = 0; i < 100; i++) {
		int holder = engine_test_client(v);
		*free_one = engine_test_loopback(&other);
		free_one->port = udp_test_address(holder).port;
		int probe = udp_test_try_open(free_one);
		if (probe >= 0) {
			close(probe);
			return holder;
		}
		close(holder);
	}
	fail_msg("no port is free in both families");
	return -1;
}

static void tells_that_a_port_is_taken(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct engine_variant other = *v;
	other.v6 = !v->v6;
	struct address free_one;
	int holder = hold_port(v, &free_one);
	struct address taken = udp_test_address(holder);
	struct engine_port port = { .door = DOOR };
	*(v->v6 ? &port.bind_v6 : &port.bind_v4) = taken;
	assert_int_equal(engine_open_port(e, &port), -EADDRINUSE);

	/* The other family, which is free, is not left open. */
	*(other.v6 ? &port.bind_v6 : &port.bind_v4) = free_one;
	assert_int_equal(engine_open_port(e, &port), -EADDRINUSE);
	close(udp_test_open(&free_one));

	close(holder);
	assert_int_equal(engine_open_port(e, &port), 0);
	assert_int_equal(port.port, taken.port);
	assert_true(port.receive_buffer_bytes > 0);
	assert_int_equal(engine_open_port(e, &port), -EEXIST);
	port = (struct engine_port){ .door = DOOR + 1 };
	assert_int_equal(engine_open_port(e, &port), -EINVAL);
	port.bind_v6 = address_v4(127, 0, 0, 1, 0);
	assert_int_equal(engine_open_port(e, &port), -EINVAL);
	engine_destroy(e);
}

/* ---- closing ---- */

/* Goal: closed and opened again on the same port at once, many times, with datagrams waiting in
 * every place; none comes out under the door that is gone. */
static void closes_and_reopens(const struct engine_variant *v)
{
	enum { ROUNDS = 50, WAITING = 40 };
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, 0), keep = engine_test_open(e, v, 1000);
	int client = engine_test_client(v);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		for (uint32_t i = 0; i < WAITING; i++)
			udp_test_send(client, &at, "old", 3);
		udp_test_send(client, &keep, "kept", 4);
		bool has_frame = round % 2 == 0;
		if (has_frame)
			assert_int_equal(engine_test_receive(e, batch, 1), 1);
		bool was_kept = has_frame && batch[0].path.door == 1000;
		engine_close_port(e, round - 1);
		if (has_frame)
			assert_memory_equal(batch[0].data, was_kept ? "kept" : "old", 3);

		struct engine_port port = { .door = round };
		*(v->v6 ? &port.bind_v6 : &port.bind_v4) = at;
		assert_int_equal(engine_open_port(e, &port), 0);
		udp_test_send(client, &at, "new", 3);
		for (int left = was_kept ? 1 : 2; left > 0; left--) {
			assert_int_equal(engine_test_receive(e, batch, 1), 1);
			bool kept = batch[0].path.door == 1000;
			assert_memory_equal(batch[0].data, kept ? "kept" : "new", 3);
			assert_int_equal(batch[0].path.door, kept ? 1000 : round);
		}
		assert_int_equal(engine_receive(e, batch, 1, 0), 0);
	}
	close(client);
	engine_destroy(e);
	/* And after the engine is gone the port is free. */
	close(udp_test_open(&at));
}

/* ---- waiting ---- */

/* Neither at once nor rounded up to a millisecond. Some waits may be interrupted: the kernel tears
 * down the rings of the tests before in this thread. */
static void waits_as_long_as_told(const struct engine_variant *v)
{
	enum { TRIES = 40 };
	struct engine *e = engine_test_create(v);
	engine_test_open(e, v, DOOR);
	int early = 0, exact = 0;
	assert_int_equal(engine_receive(e, batch, 1, 0), 0);
	for (int i = 0; i < TRIES; i++) {
		uint64_t start = now_ns();
		assert_int_equal(engine_receive(e, batch, 1, 200 * NS_PER_US), 0);
		uint64_t waited = now_ns() - start;
		early += waited < 200 * NS_PER_US;
		exact += waited >= 200 * NS_PER_US && waited < NS_PER_MS;
	}
	assert_true(early < TRIES / 4);
	assert_true(exact > 0);
	engine_destroy(e);
}

struct waker {
	struct engine *engine;
	_Atomic uint32_t asked, done;
};

static void *wake_when_asked(void *argument)
{
	struct waker *w = argument;
	for (uint32_t round = 1;; round++) {
		uint32_t asked;
		while ((asked = atomic_load(&w->asked)) < round)
			sched_yield();
		if (asked == UINT32_MAX)
			return NULL;
		atomic_store(&w->done, round);
		engine_wake(w->engine);
	}
}

/*
 * Goal:   no wake is lost, whether it comes before, while or after the owner begins to wait.
 * Method: each round waits, without a timeout that would help, until the other thread's number is
 *         seen; ports come and go meanwhile, as closing looks at the ring too.
 */
static void wakes(const struct engine_variant *v)
{
	enum { ROUNDS = 3000, REOPEN_EVERY = 50 };
	struct waker w = { .engine = engine_test_create(v) };
	pthread_t thread;
	engine_wake(w.engine);
	engine_wake(w.engine);
	assert_int_equal(engine_receive(w.engine, batch, 1, NEVER), 0);
	engine_test_open(w.engine, v, DOOR);
	assert_int_equal(pthread_create(&thread, NULL, wake_when_asked, &w), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		atomic_store(&w.asked, round);
		if (round % REOPEN_EVERY == 0) {
			engine_close_port(w.engine, DOOR);
			engine_test_open(w.engine, v, DOOR);
		}
		while (atomic_load(&w.done) < round) {
			uint64_t start = now_ns();
			assert_int_equal(engine_receive(w.engine, batch, 1, 20 * NS_PER_S), 0);
			assert_true(now_ns() - start < 10 * NS_PER_S);
		}
	}
	atomic_store(&w.asked, UINT32_MAX);
	pthread_join(thread, NULL);
	/* The last wake may still be there; then there is peace. */
	int early = 0;
	uint64_t start = now_ns();
	for (;;) {
		assert_int_equal(engine_receive(w.engine, batch, 1, 2 * NS_PER_MS), 0);
		if (now_ns() - start >= 2 * NS_PER_MS)
			break;
		assert_true(++early < 10);
		start = now_ns();
	}
	engine_destroy(w.engine);
}

struct prodder {
	struct engine *engine;
	int client;
	struct address at;
	_Atomic uint32_t asked;
};

/* Odd rounds send a datagram, even ones wake. */
static void *prod_when_asked(void *argument)
{
	struct prodder *d = argument;
	for (uint32_t round = 1;; round++) {
		uint32_t asked;
		while ((asked = atomic_load(&d->asked)) < round)
			sched_yield();
		if (asked == UINT32_MAX)
			return NULL;
		if (round % 2 != 0)
			udp_test_send(d->client, &d->at, "x", 1);
		else
			engine_wake(d->engine);
	}
}

/* Goal: an outer poll() ends for datagrams and wakes, whenever they come, and is quiet else. */
static void can_be_polled(const struct engine_variant *v)
{
	enum { ROUNDS = 1000 };
	struct engine *e = engine_test_create(v);
	struct prodder d = { .engine = e,
			     .at = engine_test_open(e, v, DOOR),
			     .client = engine_test_client(v) };
	struct pollfd p = { .fd = engine_fd(e), .events = POLLIN };
	pthread_t thread;
	assert_int_equal(engine_receive(e, batch, 1, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, prod_when_asked, &d), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		assert_int_equal(poll(&p, 1, 0), 0);
		atomic_store(&d.asked, round);
		assert_int_equal(poll(&p, 1, UDP_TEST_WAIT_MS), 1);
		assert_int_equal(engine_receive(e, batch, 1, 0), round % 2);
		assert_int_equal(engine_receive(e, batch, 1, 0), 0);
	}
	atomic_store(&d.asked, UINT32_MAX);
	pthread_join(thread, NULL);
	close(d.client);
	engine_destroy(e);
}

int main(void)
{
	static const struct engine_test tests[] = {
		ENGINE_TEST(survives_empty_datagrams),
		ENGINE_TEST(survives_large_datagrams),
		ENGINE_TEST(survives_bursts),
		ENGINE_TEST(counts_drops_of_the_socket),
		ENGINE_TEST(survives_pending_errors),
		ENGINE_TEST(does_without_gso),
		ENGINE_TEST(tells_that_a_port_is_taken),
		ENGINE_TEST(closes_and_reopens),
		ENGINE_TEST(waits_as_long_as_told),
		ENGINE_TEST(wakes),
		ENGINE_TEST(can_be_polled),
	};
	return engine_test_run(tests, COUNT_OF(tests));
}
