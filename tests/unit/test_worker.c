#include <errno.h>
#include <unistd.h>

#include "core/door.h"
#include "net/udp_socket.h"
#include "tests/support/crew.h"
#include "tests/support/udp.h"

enum {
	DOOR = 700,
	PLAIN_SIZE = 200,
	THREADS = 4,
	EACH = 50, /* four times as many fit the buffer of a plain socket */
};

static enum engine_kind kind; /* of the group under way */

static struct crew *start(unsigned workers, size_t capacity)
{
	return crew_create(&(struct crew_config){
		.engine = kind, .workers = workers, .mailbox_capacity = capacity });
}

/* A door on a port of the system's choice; its port. */
static uint16_t open_door(struct crew *c, uint64_t door, struct door_keys *keys)
{
	struct door_opening opening = { .port = { .door = door,
						  .bind_v4 = address_v4(127, 0, 0, 1, 0) } };
	const uint8_t key[KEY_SIZE] = { (uint8_t)door };
	door_keys_derive(key, &opening.keys);
	*keys = opening.keys;
	assert_int_equal(worker_open_door(c->workers[0], &opening), 0);
	return opening.port.port;
}

static size_t make_hello(const struct door_keys *keys, uint8_t out[DATAGRAM_SIZE_MAX])
{
	const struct random_source random = random_system();
	struct mask *hide = mask_create(MASK_HIDE);
	assert_non_null(hide);
	mask_set_key(hide, keys->c2s_header);
	memset(out + WIRE_HEADER_SIZE, 0x5a, PLAIN_SIZE);
	size_t size = door_seal(keys->c2s_handshake, hide, WIRE_HELLO, &random, out, PLAIN_SIZE);
	mask_destroy(hide);
	return size;
}

/* ---- life --------------------------------------------------------------------------------- */

static void test_starts_and_stops(void **state)
{
	struct door_keys keys;
	(void)state;
	for (int i = 0; i < 5; i++)
		crew_destroy(start(4, 0));
	struct crew *c = start(1, 0);
	open_door(c, DOOR, &keys);
	crew_destroy(c);
	worker_stop(NULL);
}

struct port_wish {
	struct address at;
};

static bool can_bind(void *state)
{
	const struct port_wish *wish = state;
	int fd = udp_socket_open(&wish->at, &(struct udp_socket_options){ 0 });
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Goal: a stopped worker's ports are free at once, a closed door's soon. */
static void test_gives_ports_back(void **state)
{
	struct door_keys keys;
	(void)state;
	struct crew *c = start(1, 0);
	struct port_wish first = { address_v4(127, 0, 0, 1, open_door(c, DOOR, &keys)) };
	struct port_wish second = { address_v4(127, 0, 0, 1, open_door(c, DOOR + 1, &keys)) };
	assert_false(can_bind(&first));
	worker_close_door(c->workers[0], DOOR);
	crew_wait(can_bind, &first);
	assert_false(can_bind(&second));
	crew_destroy(c);
	assert_true(can_bind(&second));
}

static void test_refuses_doors(void **state)
{
	struct door_keys keys;
	(void)state;
	struct crew *c = start(1, 0);
	struct door_opening again = { .port = { .door = DOOR,
						.bind_v4 = address_v4(127, 0, 0, 1, 0) } };
	struct door_opening taken = { .port = { .door = DOOR + 1 } };
	open_door(c, DOOR, &keys);
	assert_int_equal(worker_open_door(c->workers[0], &again), -EEXIST);

	const struct address any = address_v4(127, 0, 0, 1, 0);
	int fd = udp_test_open(&any);
	taken.port.bind_v4 = udp_test_address(fd);
	assert_int_equal(worker_open_door(c->workers[0], &taken), -EADDRINUSE);
	close(fd);
	assert_int_equal(worker_open_door(c->workers[0], &taken), 0);
	open_door(c, DOOR + 2, &keys);
	open_door(c, DOOR + 3, &keys);
	again.port.door = DOOR + 4;
	assert_int_equal(worker_open_door(c->workers[0], &again), -ENOSPC);
	crew_destroy(c);
}

/* ---- upcalls ------------------------------------------------------------------------------ */

struct expectation {
	struct crew *crew;
	enum verdict verdict;
	uint64_t count;
};

static bool has_counted(void *state)
{
	const struct expectation *e = state;
	return crew_verdicts(e->crew, e->verdict) >= e->count;
}

static void expect(struct crew *c, enum verdict v, uint64_t count)
{
	struct expectation e = { c, v, count };
	crew_wait(has_counted, &e);
	assert_int_equal(crew_verdicts(c, v), count);
}

static void test_passes_hellos_on(void **state)
{
	uint8_t hello[DATAGRAM_SIZE_MAX];
	struct door_keys keys;
	struct upcall_item item;
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	struct crew *c = start(1, 0);
	const struct address relay = address_v4(127, 0, 0, 1, open_door(c, DOOR, &keys));
	int fd = udp_test_open(&any);
	size_t size = make_hello(&keys, hello);
	udp_test_send(fd, &relay, hello, size);
	expect(c, PKT_HELLO, 1);
	/* Counted before it is put: the bell rings a moment later. */
	while (!mailbox_get(c->hellos, &item))
		;
	assert_int_equal(item.upcall.kind, UPCALL_HELLO);
	assert_int_equal(item.upcall.body.size, PLAIN_SIZE);
	assert_int_equal(item.upcall.datagram_size, size);
	assert_int_equal(item.body[0], 0x5a);
	assert_int_equal(item.body[PLAIN_SIZE - 1], 0x5a);
	assert_int_equal(item.upcall.path.door, DOOR);
	assert_int_equal(item.upcall.path.remote.port, udp_test_address(fd).port);

	hello[size - 1] ^= 1;
	udp_test_send(fd, &relay, hello, size);
	expect(c, PKT_DROP_BAD_HELLO, 1);
	assert_false(mailbox_get(c->hellos, &item));
	assert_true(udp_test_is_silent(fd));
	close(fd);
	crew_destroy(c);
}

/* Goal: a keeper that does not keep up costs handshakes, and each is counted. */
static void test_counts_what_finds_no_room(void **state)
{
	uint8_t hello[DATAGRAM_SIZE_MAX];
	struct door_keys keys;
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	struct crew *c = start(1, 4);
	const struct address relay = address_v4(127, 0, 0, 1, open_door(c, DOOR, &keys));
	int fd = udp_test_open(&any);
	for (int i = 0; i < 10; i++) {
		size_t size = make_hello(&keys, hello);
		udp_test_send(fd, &relay, hello, size);
	}
	expect(c, PKT_DROP_QUEUE_FULL, 6);
	close(fd);
	crew_destroy(c);
}

/* ---- sends -------------------------------------------------------------------------------- */

struct sender {
	struct worker *worker;
	struct path path;
	uint8_t number;
	pthread_t thread;
};

static void *send_many(void *state)
{
	struct sender *s = state;
	for (uint8_t i = 0; i < EACH; i++) {
		uint8_t bytes[2] = { s->number, i };
		struct packet packet = { .data = bytes, .size = sizeof(bytes), .path = s->path };
		assert_true(worker_send(s->worker, &packet));
	}
	return NULL;
}

/* Goal: each sender's datagrams leave once and in their order, also the last before the end. */
static void test_sends_for_others(void **state)
{
	struct sender senders[THREADS];
	struct door_keys keys;
	uint8_t next[THREADS] = { 0 }, bytes[16];
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	struct crew *c = start(1, 0);
	open_door(c, DOOR, &keys);
	int fd = udp_test_open(&any);
	_Static_assert(THREADS * EACH <= WORKER_SENDS, "all fit, however slow the worker is");
	for (uint8_t i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){ .worker = c->workers[0], .number = i };
		senders[i].path = (struct path){ .remote = udp_test_address(fd), .door = DOOR };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]),
				 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(senders[i].thread, NULL);
	crew_destroy(c); /* at once: what was handed over is sent all the same */
	for (size_t i = 0; i < THREADS * EACH; i++) {
		assert_int_equal(udp_test_receive(fd, bytes, sizeof(bytes), NULL), 2);
		assert_true(bytes[0] < THREADS);
		assert_int_equal(bytes[1], next[bytes[0]]++);
	}
	assert_true(udp_test_is_silent(fd));
	close(fd);
}

/* Goal: a flood of ended sessions stops nothing, and doors open in the midst of it. */
static void test_forgets_storm(void **state)
{
	struct door_keys keys;
	(void)state;
	struct crew *c = start(1, 0);
	for (uint32_t i = 0; i < 20000; i++) {
		worker_forget(c->workers[0], (struct session_id){ .slot = i, .generation = 1 });
		if (i % 5000 == 0)
			open_door(c, DOOR + i, &keys);
	}
	crew_destroy(c);
}

/* ---- main --------------------------------------------------------------------------------- */

#define TESTS \
	{ \
		cmocka_unit_test(test_starts_and_stops), cmocka_unit_test(test_gives_ports_back), \
			cmocka_unit_test(test_refuses_doors), \
			cmocka_unit_test(test_passes_hellos_on), \
			cmocka_unit_test(test_counts_what_finds_no_room), \
			cmocka_unit_test(test_sends_for_others), \
			cmocka_unit_test(test_forgets_storm), \
	}

int main(void)
{
	const struct CMUnitTest epoll[] = TESTS, uring[] = TESTS;
	kind = ENGINE_EPOLL;
	int failed = cmocka_run_group_tests(epoll, test_crypto_start, test_crypto_stop);
	kind = ENGINE_URING;
	return failed + cmocka_run_group_tests(uring, test_crypto_start, test_crypto_stop);
}
