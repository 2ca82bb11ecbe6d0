#pragma once
/*
 * Admin socket: one JSON object a line in, one JSON object a line out, over a Unix socket of mode
 * 0600. There is no TCP admin. What the commands do is the caller's table.
 *
 * Owner: the control thread, which waits on admin_fd() and calls admin_process().
 */
#include <jansson.h>

#include "crypto/bytes.h"

enum {
	ADMIN_CLIENTS_MAX = 8,
	ADMIN_REQUEST_MAX = 65536, /* bytes of one request */
	ADMIN_IDLE_S = 30,         /* a client that says nothing is dropped */
};

struct admin_command {
	const char *name;
	/* Answer a request: a new object, owned by the caller. NULL: out of memory. */
	json_t *(*answer)(void *state, const json_t *request);
};

struct admin_config {
	const char *socket_path;
	const struct admin_command *commands;
	size_t command_count;
	void *state;
};

struct admin;

/* 0 or -errno. A socket left by a dead process is replaced; a live one gives -EADDRINUSE, anything
 * else in its place -EEXIST. One request a connection. Call it while there is one thread: it
 * changes the umask for a moment. */
int admin_create(struct admin **out, const struct admin_config *config) MUST_CHECK;
void admin_destroy(struct admin *a); /* removes the socket; NULL is allowed */

int admin_fd(const struct admin *a); /* polls readable when there is something to do */
void admin_process(struct admin *a);

/* {"error": text, "exit": code}, for commands that cannot be carried out. */
json_t *admin_error(int exit_code, const char *text);
