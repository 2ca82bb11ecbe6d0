#pragma once
/* A passphrase from a descriptor or the terminal; never from the command line. */
#include <stddef.h>

struct client_loop;

enum { PASSPHRASE_SIZE = 1024 };

enum passphrase_status {
	PASSPHRASE_OK,
	PASSPHRASE_EMPTY,
	PASSPHRASE_TOO_LONG,
	PASSPHRASE_NO_TERMINAL,
	PASSPHRASE_UNREADABLE,  /* errno says why */
	PASSPHRASE_INTERRUPTED, /* by a signal: see the loop */
};

/* The first line of a descriptor. The caller wipes `out`. */
enum passphrase_status passphrase_read(int fd, char out[PASSPHRASE_SIZE]);

/* Ask on the terminal, without echo. The loop's signals must be set up: the terminal is put right
 * again when one comes. */
enum passphrase_status passphrase_ask(struct client_loop *loop, char out[PASSPHRASE_SIZE]);
