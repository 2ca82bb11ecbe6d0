#include "tests/support/engine.h"

#include "core/atomic.h"
#include "core/instant.h"
#include "tests/support/test.h"

static const struct engine_variant VARIANTS[] = {
	{ .kind = ENGINE_EPOLL, .gro = false, .v6 = false },
	{ .kind = ENGINE_EPOLL, .gro = false, .v6 = true },
	{ .kind = ENGINE_EPOLL, .gro = true, .v6 = false },
	{ .kind = ENGINE_EPOLL, .gro = true, .v6 = true },
	{ .kind = ENGINE_URING, .gro = false, .v6 = false },
	{ .kind = ENGINE_URING, .gro = false, .v6 = true },
	{ .kind = ENGINE_URING, .gro = true, .v6 = false },
	{ .kind = ENGINE_URING, .gro = true, .v6 = true },
};

enum { TESTS_MAX = 64, NAME_SIZE = 128 };

struct engine_run {
	const struct engine_test *test;
	const struct engine_variant *variant;
};

static bool can_have_ring(void)
{
	static bool is_known, can_have;
	struct engine *e;
	if (is_known)
		return can_have;
	is_known = true;
	can_have = engine_create(&e, &(struct engine_config){ .kind = ENGINE_URING }) == 0;
	if (can_have)
		engine_destroy(e);
	return can_have;
}

static void run_one(void **state)
{
	const struct engine_run *run = *state;
	if (run->variant->kind == ENGINE_URING && !can_have_ring()) {
		print_message("SKIPPED: the system refuses a ring\n");
		skip();
	}
	run->test->run(run->variant);
}

int engine_test_run(const struct engine_test *tests, size_t count)
{
	static struct engine_run runs[TESTS_MAX * COUNT_OF(VARIANTS)];
	static struct CMUnitTest units[COUNT_OF(runs)];
	static char names[COUNT_OF(runs)][NAME_SIZE];
	size_t used = 0;
	for (size_t i = 0; i < count && i < TESTS_MAX; i++) {
		for (size_t k = 0; k < COUNT_OF(VARIANTS); k++, used++) {
			const struct engine_variant *v = &VARIANTS[k];
			snprintf(names[used], NAME_SIZE, "%s, %s, GRO %s, IPv%d", tests[i].name,
				 engine_kind_name(v->kind), v->gro ? "on" : "off", v->v6 ? 6 : 4);
			runs[used] = (struct engine_run){ .test = &tests[i], .variant = v };
			units[used] = (struct CMUnitTest){
				.name = names[used],
				.test_func = run_one,
				.initial_state = &runs[used],
			};
		}
	}
	return _cmocka_run_group_tests("engine", units, used, NULL, NULL);
}

struct engine *engine_test_create(const struct engine_variant *v)
{
	struct engine *e;
	struct engine_config config = {
		.kind = v->kind,
		.want_gro = v->gro,
		.receive_buffer_bytes = ENGINE_TEST_BUFFER,
	};
	assert_int_equal(engine_create(&e, &config), 0);
	assert_int_equal(engine_kind(e), v->kind);
	return e;
}

struct address engine_test_loopback(const struct engine_variant *v)
{
	return v->v6 ? (struct address){ .ip = { [15] = 1 } } : address_v4(127, 0, 0, 1, 0);
}

struct address engine_test_open(struct engine *e, const struct engine_variant *v, uint64_t door)
{
	struct address at = engine_test_loopback(v);
	struct engine_port port = { .door = door };
	*(v->v6 ? &port.bind_v6 : &port.bind_v4) = at;
	assert_int_equal(engine_open_port(e, &port), 0);
	assert_int_not_equal(port.port, 0);
	at.port = port.port;
	return at;
}

int engine_test_client(const struct engine_variant *v)
{
	struct address at = engine_test_loopback(v);
	return udp_test_open(&at);
}

size_t engine_test_receive(struct engine *e, struct packet *packets, size_t capacity)
{
	/* A wait may end for something that is not handed out: an empty datagram, a late wake. */
	for (int i = 0; i < 100; i++) {
		int count = engine_receive(e, packets, capacity, UDP_TEST_WAIT_MS * NS_PER_MS);
		if (count < 0)
			fail_msg("engine_receive: %s", strerror(-count));
		if (count > 0)
			return (size_t)count;
	}
	fail_msg("no packet came");
	return 0;
}

uint64_t engine_test_counter(const _Atomic uint64_t *counter)
{
	return load_relaxed(counter);
}
