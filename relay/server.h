#pragma once
/*
 * Server: the relay as a whole. Assembles store, table, workers, keeper, doors, issuer and admin
 * socket, and runs the control thread's loop.
 *
 *   server_create()    check limits, open the store, load or make the keys
 *   server_start()     workers, keeper, doors, a first security file
 *   server_run()       until a signal asks to stop
 *   server_destroy()   in reverse
 *
 * All from the main thread, with signals blocked before server_create() (threads inherit that).
 */
#include "relay/settings.h"

enum { SERVER_ERROR_MAX = 512 };

struct server;

struct server_error {
	int exit_code;               /* sysexits: 69, 70, 74, 77, 78 */
	char text[SERVER_ERROR_MAX]; /* one line */
};

struct server *server_create(const struct settings *settings,
			     struct server_error *error) MUST_CHECK;
bool server_start(struct server *s, struct server_error *error) MUST_CHECK;
int server_run(struct server *s); /* exit code */
void server_destroy(struct server *s);
