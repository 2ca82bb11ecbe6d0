#pragma once
/*
 * Tests that must not touch the test's own process: run in a forked child, without cmocka's
 * asserts (return an exit code; CHILD_CHECK does).
 */
#include <stdbool.h>
#include <stdint.h>

enum { CHILD_SKIP = 77 };

#define CHILD_CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			return 1; \
		} \
	} while (0)

/* Fork, run, return the exit code; 128 + signal if it died of one. */
int child_run(int (*run)(const void *argument), const void *argument);

/* In a child: a network namespace of its own with nothing but a loopback interface of this MTU, up.
 * False: not allowed here. */
bool child_unshare_network(int mtu);

/* In a child: from now on this system call fails with `error`. False: not allowed here. */
bool child_refuse_call(long number, int error);
