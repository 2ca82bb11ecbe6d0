/* The engines: traffic of every shape in, out and through, the same for both kinds. */
#include "net/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/instant.h"
#include "tests/support/engine.h"
#include "tests/support/test.h"

enum { DOOR = 7 };

static struct packet batch[ENGINE_BATCH_MAX];

static void echoes(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	struct address me = udp_test_address(client), from;
	char answer[16];

	udp_test_send(client, &at, "question", 8);
	assert_int_equal(engine_test_receive(e, batch, 1), 1);
	assert_int_equal(batch[0].size, 8);
	assert_memory_equal(batch[0].data, "question", 8);
	assert_true(address_equal(&batch[0].path.remote, &me));
	assert_memory_equal(batch[0].path.local_ip, at.ip, sizeof(at.ip));
	assert_int_equal(batch[0].path.door, DOOR);

	memcpy(batch[0].data, "answer", 6);
	batch[0].size = 6;
	engine_send(e, batch, 1);
	assert_int_equal(udp_test_receive(client, answer, sizeof(answer), &from), 6);
	assert_memory_equal(answer, "answer", 6);
	assert_true(address_equal(&from, &at));

	assert_int_equal(COUNTER(e, rx_packets), 1);
	assert_int_equal(COUNTER(e, rx_bytes), 8);
	assert_int_equal(COUNTER(e, tx_packets), 1);
	assert_int_equal(COUNTER(e, tx_bytes), 6);
	close(client);
	engine_destroy(e);
}

/* ---- ten thousand ---- */

enum { MANY = 10000, WINDOW = 32, MIXED_MAX = 1400, MIXED_MIN = 4 };

static size_t mixed_size(uint32_t number)
{
	return MIXED_MIN + number * 2654435761U % (MIXED_MAX - MIXED_MIN);
}

static void write_mixed(uint8_t *data, uint32_t number)
{
	memset(data, (int)(number & 0xff), mixed_size(number));
	memcpy(data, &number, sizeof(number));
}

static void check_mixed(const uint8_t *data, size_t size, uint32_t number)
{
	static uint8_t expected[MIXED_MAX];
	write_mixed(expected, number);
	assert_int_equal(size, mixed_size(number));
	assert_memory_equal(data, expected, size);
}

static void echo_count(struct engine *e, size_t count)
{
	for (size_t done = 0; done < count;) {
		size_t got = engine_test_receive(e, batch, ENGINE_BATCH_MAX);
		engine_send(e, batch, got);
		done += got;
	}
}

/* Goal: no loss, no damage, order kept, over sizes that change from packet to packet. */
static void echoes_ten_thousand(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct address at = engine_test_open(e, v, DOOR);
	int client = engine_test_client(v);
	uint8_t data[MIXED_MAX + 1];
	for (uint32_t number = 0; number < MANY; number += WINDOW) {
		for (uint32_t i = 0; i < WINDOW; i++) {
			write_mixed(data, number + i);
			udp_test_send(client, &at, data, mixed_size(number + i));
		}
		echo_count(e, WINDOW);
		for (uint32_t i = 0; i < WINDOW; i++)
			check_mixed(data, udp_test_receive(client, data, sizeof(data), NULL),
				    number + i);
	}
	assert_true(udp_test_is_silent(client));
	assert_int_equal(COUNTER(e, rx_packets), COUNTER(e, tx_packets));
	assert_int_equal(COUNTER(e, rx_bytes), COUNTER(e, tx_bytes));
	assert_int_equal(COUNTER(e, rx_cut), 0);
	assert_int_equal(COUNTER(e, tx_refused), 0);
	close(client);
	engine_destroy(e);
}

/* ---- trains ---- */

enum { TRAIN_MAX = 200, TRAIN_FRAME = 1500 };

struct train_row {
	const char *what;
	size_t count;
	uint32_t size;
	uint32_t odd_at; /* index of a packet of another size; beyond the end: none */
	uint32_t odd_size;
	uint64_t calls; /* sendmmsg calls expected */
};

static const struct train_row TRAINS[] = {
	{ "one", 1, 1000, 999, 0, 1 },
	{ "a train", 16, 1000, 999, 0, 1 },
	{ "the last one shorter", 16, 1000, 15, 10, 1 },
	{ "one in the middle shorter", 16, 1000, 7, 999, 1 },
	{ "one in the middle longer", 16, 1000, 7, 1001, 1 },
	{ "more segments than one train holds", 150, 200, 999, 0, 1 },
	{ "more bytes than one train holds", 64, 1400, 999, 0, 1 },
	{ "an empty one in the middle", 16, 300, 8, 0, 1 },
};

static uint32_t train_size(const struct train_row *row, size_t i)
{
	return i == row->odd_at ? row->odd_size : row->size;
}

static void make_train(const struct train_row *row, const struct path *path, struct packet *out)
{
	static uint8_t frames[TRAIN_MAX][TRAIN_FRAME];
	for (size_t i = 0; i < row->count; i++) {
		memset(frames[i], (int)i, sizeof(frames[i]));
		out[i] = (struct packet){ .data = frames[i],
					  .size = train_size(row, i),
					  .path = *path };
	}
}

static void expect_train(struct engine *e, const struct train_row *row, const struct address *from)
{
	size_t next = 0;
	while (next < row->count) {
		size_t got = engine_test_receive(e, batch, ENGINE_BATCH_MAX);
		for (size_t i = 0; i < got; i++, next++) {
			if (train_size(row, next) == 0)
				next++; /* empty ones are counted, not handed out */
			assert_int_equal(batch[i].size, train_size(row, next));
			assert_int_equal(batch[i].data[0], next);
			assert_int_equal(batch[i].data[batch[i].size - 1], next);
			assert_true(address_equal(&batch[i].path.remote, from));
		}
	}
	assert_int_equal(next, row->count);
}

/* Goal: what is joined on one side comes apart on the other, packet for packet, and costs one
 * system call. */
static void sends_and_splits_trains(const struct engine_variant *v)
{
	static struct packet train[TRAIN_MAX];
	struct engine *sender = engine_test_create(v), *receiver = engine_test_create(v);
	struct address from = engine_test_open(sender, v, DOOR);
	struct path path = { .remote = engine_test_open(receiver, v, DOOR + 1), .door = DOOR };
	for (size_t i = 0; i < COUNT_OF(TRAINS); i++) {
		print_message("%s\n", TRAINS[i].what);
		uint64_t calls = COUNTER(sender, tx_calls);
		make_train(&TRAINS[i], &path, train);
		engine_send(sender, train, TRAINS[i].count);
		assert_int_equal(COUNTER(sender, tx_calls) - calls, TRAINS[i].calls);
		expect_train(receiver, &TRAINS[i], &from);
	}
	assert_int_equal(COUNTER(sender, tx_refused), 0);
	assert_int_equal(COUNTER(receiver, rx_empty), 1);
	engine_destroy(sender);
	engine_destroy(receiver);
}

/* The wire side of a train: a plain socket that asks for GRO sees one datagram of 16 segments. */
static void joins_equal_packets(const struct engine_variant *v)
{
	static const struct train_row row = { "a train", 16, 1000, 999, 0, 1 };
	static uint8_t data[65536];
	struct packet train[16];
	struct engine *e = engine_test_create(v);
	engine_test_open(e, v, DOOR);
	int first = engine_test_client(v), second = engine_test_client(v), on = 1;
	struct path path = { .remote = udp_test_address(first), .door = DOOR };
	if (setsockopt(first, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) < 0) {
		print_message("SKIPPED: this kernel knows no UDP GRO\n");
		skip();
	}
	make_train(&row, &path, train);
	engine_send(e, train, row.count);
	assert_int_equal(udp_test_receive(first, data, sizeof(data), NULL), 16 * 1000);

	/* Another path in the middle divides it, and so does nothing else. */
	train[8].path.remote = udp_test_address(second);
	engine_send(e, train, row.count);
	assert_int_equal(udp_test_receive(first, data, sizeof(data), NULL), 8 * 1000);
	assert_int_equal(udp_test_receive(first, data, sizeof(data), NULL), 7 * 1000);
	assert_int_equal(udp_test_receive(second, data, sizeof(data), NULL), 1000);
	assert_int_equal(data[999], 8);
	assert_true(udp_test_is_silent(first));
	close(first);
	close(second);
	engine_destroy(e);
}

/* A train larger than the caller's array comes in parts, none of them lost. */
static void hands_out_in_parts(const struct engine_variant *v)
{
	static const struct train_row row = { "a train", 50, 700, 49, 3, 1 };
	struct packet train[50];
	struct engine *sender = engine_test_create(v), *receiver = engine_test_create(v);
	engine_test_open(sender, v, DOOR);
	struct path path = { .remote = engine_test_open(receiver, v, DOOR + 1), .door = DOOR };
	make_train(&row, &path, train);
	engine_send(sender, train, row.count);
	for (size_t next = 0; next < row.count;) {
		size_t got = engine_test_receive(receiver, batch, 7);
		assert_true(got <= 7);
		for (size_t i = 0; i < got; i++, next++) {
			assert_int_equal(batch[i].size, train_size(&row, next));
			assert_int_equal(batch[i].data[0], next);
		}
	}
	assert_int_equal(engine_receive(receiver, batch, 7, 0), 0);
	engine_destroy(sender);
	engine_destroy(receiver);
}

/* ---- addresses and doors ---- */

/* Goal: who asks 127.0.0.2 is answered from there, though the socket is bound to the wildcard. */
static void answers_from_the_address_asked(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct engine_port port = {
		.door = DOOR,
		.bind_v4 = address_v4(0, 0, 0, 0, 0),
	};
	assert_true(address_parse("::1", &port.bind_v6));
	assert_int_equal(engine_open_port(e, &port), 0);
	struct address here = address_v4(127, 0, 0, 1, 0), from;
	struct address asked = address_v4(127, 0, 0, 2, port.port);
	int client = udp_test_open(&here);
	char answer[8];
	udp_test_send(client, &asked, "who?", 4);
	assert_int_equal(engine_test_receive(e, batch, 1), 1);
	assert_memory_equal(batch[0].path.local_ip, asked.ip, sizeof(asked.ip));
	engine_send(e, batch, 1);
	assert_int_equal(udp_test_receive(client, answer, sizeof(answer), &from), 4);
	assert_true(address_equal(&from, &asked));

	/* Without it the system chooses. */
	memset(batch[0].path.local_ip, 0, sizeof(batch[0].path.local_ip));
	engine_send(e, batch, 1);
	assert_int_equal(udp_test_receive(client, answer, sizeof(answer), &from), 4);
	here.port = port.port;
	assert_true(address_equal(&from, &here));

	/* An address that is not ours is refused, and stops nothing. */
	struct packet two[2] = { batch[0], batch[0] };
	struct address strange = address_v4(192, 0, 2, 1, 0);
	memcpy(two[0].path.local_ip, strange.ip, sizeof(strange.ip));
	engine_send(e, two, 2);
	assert_int_equal(udp_test_receive(client, answer, sizeof(answer), &from), 4);
	assert_true(udp_test_is_silent(client));
	assert_int_equal(COUNTER(e, tx_refused), 1);
	close(client);
	engine_destroy(e);
}

static void serves_both_families_on_one_port(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct engine_port port = { .door = DOOR, .bind_v4 = address_v4(127, 0, 0, 1, 0) };
	assert_true(address_parse("::1", &port.bind_v6));
	assert_int_equal(engine_open_port(e, &port), 0);
	struct address v4 = address_v4(127, 0, 0, 1, port.port), v6 = port.bind_v6;
	v6.port = port.port;
	int clients[2] = { engine_test_client(&(struct engine_variant){ .v6 = false }),
			   engine_test_client(&(struct engine_variant){ .v6 = true }) };
	char answer[8];
	struct address from;
	udp_test_send(clients[0], &v4, "four", 4);
	udp_test_send(clients[1], &v6, "six", 3);
	echo_count(e, 2);
	assert_int_equal(udp_test_receive(clients[0], answer, sizeof(answer), &from), 4);
	assert_true(address_equal(&from, &v4));
	assert_int_equal(udp_test_receive(clients[1], answer, sizeof(answer), &from), 3);
	assert_true(address_equal(&from, &v6));
	close(clients[0]);
	close(clients[1]);
	engine_destroy(e);
}

/* Goal: answers leave by the door they are told to, and a closed door swallows them, counted. */
static void keeps_doors_apart(const struct engine_variant *v)
{
	struct engine *e = engine_test_create(v);
	struct address doors[ENGINE_PORTS_MAX], from;
	char answer[8];
	for (uint64_t d = 0; d < ENGINE_PORTS_MAX; d++)
		doors[d] = engine_test_open(e, v, d);
	struct engine_port more = { .door = 99, .bind_v4 = address_v4(127, 0, 0, 1, 0) };
	assert_int_equal(engine_open_port(e, &more), -ENOSPC);

	int client = engine_test_client(v);
	for (uint64_t d = 0; d < ENGINE_PORTS_MAX; d++) {
		udp_test_send(client, &doors[d], "x", 1);
		assert_int_equal(engine_test_receive(e, batch, 1), 1);
		assert_int_equal(batch[0].path.door, d);
		engine_send(e, batch, 1);
		assert_int_equal(udp_test_receive(client, answer, sizeof(answer), &from), 1);
		assert_true(address_equal(&from, &doors[d]));
	}
	/* All doors in one batch, and one that is closed. */
	struct packet mixed[2 * ENGINE_PORTS_MAX];
	engine_close_port(e, 1);
	for (uint64_t i = 0; i < COUNT_OF(mixed); i++) {
		mixed[i] = batch[0];
		mixed[i].path.door = i % ENGINE_PORTS_MAX;
	}
	engine_send(e, mixed, COUNT_OF(mixed));
	for (size_t i = 0; i < COUNT_OF(mixed) - 2; i++)
		udp_test_receive(client, answer, sizeof(answer), NULL);
	assert_true(udp_test_is_silent(client));
	assert_int_equal(COUNTER(e, tx_no_port), 2);
	assert_int_equal(COUNTER(e, tx_calls), 4 + 3);
	close(client);
	engine_destroy(e);
}

/* ---- one port, two engines ---- */

enum { FLOWS = 64, FLOW_PACKETS = 20, SHARERS = 2 };

struct sharer {
	pthread_t thread;
	sem_t is_open;
	struct engine *engine;
	struct engine_port port;
	_Atomic bool stop;
	int error;
};

static void *open_and_echo(void *argument)
{
	struct sharer *s = argument;
	struct packet packets[ENGINE_BATCH_MAX];
	s->error = engine_open_port(s->engine, &s->port);
	sem_post(&s->is_open);
	while (s->error == 0 && !atomic_load(&s->stop)) {
		int got = engine_receive(s->engine, packets, ENGINE_BATCH_MAX, NEVER);
		if (got < 0)
			s->error = got;
		else
			engine_send(s->engine, packets, (size_t)got);
	}
	engine_close_port(s->engine, s->port.door);
	return NULL;
}

static void start_sharer(struct sharer *s, const struct engine_variant *v, const struct address *at)
{
	struct engine_config config = { .kind = v->kind, .want_gro = v->gro, .share_port = true };
	*s = (struct sharer){ .port = { .door = DOOR } };
	*(v->v6 ? &s->port.bind_v6 : &s->port.bind_v4) = *at;
	sem_init(&s->is_open, 0, 0);
	assert_int_equal(engine_create(&s->engine, &config), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, open_and_echo, s), 0);
	sem_wait(&s->is_open);
}

static void stop_sharer(struct sharer *s)
{
	atomic_store(&s->stop, true);
	engine_wake(s->engine);
	pthread_join(s->thread, NULL);
	assert_int_equal(s->error, 0);
	assert_true(COUNTER(s->engine, rx_packets) > 0);
	engine_destroy(s->engine);
	sem_destroy(&s->is_open);
}

static void exchange_flows(const struct engine_variant *v, const struct address *at)
{
	int clients[FLOWS];
	for (uint32_t i = 0; i < FLOWS; i++)
		clients[i] = engine_test_client(v);
	for (uint32_t n = 0; n < FLOW_PACKETS; n++) {
		for (uint32_t i = 0; i < FLOWS; i++)
			udp_test_send(clients[i], at, &(uint32_t){ n * FLOWS + i }, 4);
		for (uint32_t i = 0; i < FLOWS; i++) {
			uint32_t answer;
			assert_int_equal(udp_test_receive(clients[i], &answer, 4, NULL), 4);
			assert_int_equal(answer, n * FLOWS + i);
		}
	}
	for (uint32_t i = 0; i < FLOWS; i++)
		close(clients[i]);
}

/*
 * Goal:   SO_REUSEPORT divides the flows, and together the engines answer everything.
 * Method: engines made here and owned by their threads from the first port on; 64 flows, of which
 *         each engine gets some but for a chance of 2^-63.
 */
static void shares_a_port_between_threads(const struct engine_variant *v)
{
	static struct sharer sharers[SHARERS];
	struct address at = engine_test_loopback(v);
	int probe = udp_test_open(&at);
	at.port = udp_test_address(probe).port;
	close(probe);
	for (size_t i = 0; i < SHARERS; i++)
		start_sharer(&sharers[i], v, &at);
	exchange_flows(v, &at);
	for (size_t i = 0; i < SHARERS; i++)
		stop_sharer(&sharers[i]);
}

int main(void)
{
	static const struct engine_test tests[] = {
		ENGINE_TEST(echoes),
		ENGINE_TEST(echoes_ten_thousand),
		ENGINE_TEST(sends_and_splits_trains),
		ENGINE_TEST(joins_equal_packets),
		ENGINE_TEST(hands_out_in_parts),
		ENGINE_TEST(answers_from_the_address_asked),
		ENGINE_TEST(serves_both_families_on_one_port),
		ENGINE_TEST(keeps_doors_apart),
		ENGINE_TEST(shares_a_port_between_threads),
	};
	return engine_test_run(tests, COUNT_OF(tests));
}
