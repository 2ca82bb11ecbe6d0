#pragma once
/*
 * Tests of the engine: every test runs for each kind of engine, with GRO and without, over IPv4
 * and IPv6. Where the system refuses a ring, those runs are skipped aloud.
 */
#include "net/engine.h"
#include "tests/support/udp.h"

enum { ENGINE_TEST_BUFFER = 4 * 1024 * 1024 };

struct engine_variant {
	enum engine_kind kind;
	bool gro;
	bool v6;
};

struct engine_test {
	const char *name;
	void (*run)(const struct engine_variant *v);
};

#define ENGINE_TEST(function) \
	{ \
		.name = #function, .run = (function) \
	}

/* Returns what main() returns. */
int engine_test_run(const struct engine_test *tests, size_t count);

/* An engine with one open port of the variant's family on the loopback address, door as given. */
struct engine *engine_test_create(const struct engine_variant *v);
struct address engine_test_open(struct engine *e, const struct engine_variant *v, uint64_t door);

/* 127.0.0.1 or ::1 with port 0, and a socket bound to it. */
struct address engine_test_loopback(const struct engine_variant *v);
int engine_test_client(const struct engine_variant *v);

/* At least one packet, or the test fails. */
size_t engine_test_receive(struct engine *e, struct packet *packets, size_t capacity);

uint64_t engine_test_counter(const _Atomic uint64_t *counter);
#define COUNTER(e, name) engine_test_counter(&engine_counters(e)->name)
