#pragma once
/*
 * A real clawchatd of this build on loopback, in a state directory of its own. What it logs goes to
 * relay.log in there.
 */
#include <jansson.h>
#include <signal.h>
#include <sys/types.h>

#include "tests/support/directory.h"

enum {
	RELAY_OPTIONS_MAX = 16,
	RELAY_START_LIMIT_MS = 30000, /* a loaded machine under a sanitizer */
	RELAY_LOOK_MS = 20,
};

struct relay_process {
	struct test_directory directory;
	const char *options[RELAY_OPTIONS_MAX]; /* beside those that make it reachable */
	size_t option_count;
	pid_t pid; /* 0: not running */
};

/* "uring" or "epoll", as the setting has it: false where the system refuses a ring. */
bool relay_process_has_engine(const char *engine);

/* A directory; nothing runs yet. */
void relay_process_init(struct relay_process *r, const char *engine);
void relay_process_fini(struct relay_process *r);
void relay_process_option(struct relay_process *r, const char *option); /* kept, not copied */

/* Returns when it answers on its admin socket; false: it does not. */
bool relay_process_start(struct relay_process *r) MUST_CHECK;
/* Does it answer? */
bool relay_process_is_up(const struct relay_process *r);
/* Its exit code; 128 + signal if it died of one. */
int relay_process_stop(struct relay_process *r, int signal);

/* An admin command's answer, to be decref'd; NULL: none. */
json_t *relay_process_ask(const struct relay_process *r, const char *command);
/* The same for a command with arguments, as a whole JSON object. */
json_t *relay_process_request(const struct relay_process *r, const char *request);
/* A number of `stats`, as ("keeper", "path_moves"), or of `status` where group is NULL. */
long long relay_process_number(const struct relay_process *r, const char *group, const char *name);

/* Resident memory; 0: not known. */
size_t relay_process_bytes(const struct relay_process *r);
