#pragma once
/*
 * A whole relay inside the test program, in a thread of its own: for the sanitizers, and for
 * looking at its threads. Its state directory and admin socket are those of `outside`, which runs
 * no process.
 */
#include <pthread.h>

#include "relay/server.h"
#include "tests/support/relay_process.h"

struct relay_inside {
	struct relay_process outside;
	struct settings settings;
	struct server_error error; /* why it did not start */
	pthread_t thread;
	bool is_running;
	_Atomic bool is_over; /* the thread has come to its end */
	int exit_code;
};

/* Call before any thread is made: the relay's signals are taken from a descriptor. */
void relay_inside_block_signals(void);

/* Listens on 127.0.0.1 and ::1. `options` as on the command line, NULL at the end. */
void relay_inside_init(struct relay_inside *r, const char *const *options);
void relay_inside_fini(struct relay_inside *r);

/* Returns when it runs; false: it does not, see r->error. */
bool relay_inside_start(struct relay_inside *r) MUST_CHECK;
int relay_inside_stop(struct relay_inside *r); /* exit code */

/* The state directory, for wire_file_read(). */
const char *relay_inside_state(const struct relay_inside *r);
