#pragma once
/*
 * The event loop of clawchat: the client's socket, input, signals and one deadline, pulled one
 * happening at a time:
 *
 *   client_loop_init()       blocks the signals; before anything that lasts
 *   client_loop_attach()     the client, once it is there
 *   client_loop_wait()       again and again
 *
 * Signals arrive through a file descriptor only; no handler runs.
 */
#include <stdbool.h>
#include <stdint.h>

#include "client/clawchat.h"

enum loop_wake {
	LOOP_EVENT,   /* of the client, in *event */
	LOOP_INPUT,   /* input_fd can be read */
	LOOP_SIGNAL,  /* which is in `signal` */
	LOOP_TIMEOUT, /* the deadline has come; there is none any more */
};

struct client_loop {
	struct clawchat *client; /* NULL: none yet */
	int signal_fd;
	int input_fd; /* -1: not listened to */
	int signal;
	uint64_t deadline_ms; /* of client_loop_now_ms(); 0: none */
	uint64_t asleep_ms;   /* how far the clock that counts sleep is ahead */
};

bool client_loop_init(struct client_loop *l);
void client_loop_fini(struct client_loop *l);
void client_loop_attach(struct client_loop *l, struct clawchat *client);

/* Also take SIGWINCH, SIGTSTP: a program that draws has to know. */
bool client_loop_watch_terminal(struct client_loop *l);

uint64_t client_loop_now_ms(void);
/* In so many seconds from now; 0: none. */
void client_loop_set_timeout(struct client_loop *l, unsigned seconds);

enum loop_wake client_loop_wait(struct client_loop *l, struct clawchat_event *event);
