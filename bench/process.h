#pragma once
/*
 * The process under load: what it costs by /proc, what it says over the admin socket, and a relay
 * of one's own for a run. Errors are texts for people; NULL is success. Owner: one thread.
 */
#include <jansson.h>
#include <sys/types.h>

#include "core/address.h"

enum { PROCESS_PATH_MAX = 256, PROCESS_OVERRIDES_MAX = 16 };

/* Processor time of all its threads, in nanoseconds; 0: no such process. */
uint64_t process_cpu_ns(pid_t pid);
/* Resident bytes; 0: no such process. */
uint64_t process_resident(pid_t pid);
/* Open descriptors; 0: no such process, or not ours to see. */
uint32_t process_descriptors(pid_t pid);

/* One command; a new object, or NULL. */
json_t *admin_ask(const char *socket_path, const char *command);

struct own_relay_config {
	const char *daemon;     /* clawchatd, by path or name */
	const char *under;      /* words before it: "ip netns exec NAME taskset -c 0"; or "" */
	struct address address; /* where it listens */
	const char *overrides[PROCESS_OVERRIDES_MAX];
	size_t override_count;
};

struct own_relay {
	pid_t pid;
	char directory[PROCESS_PATH_MAX];
	char admin[PROCESS_PATH_MAX];
	char key_file[PROCESS_PATH_MAX];
	char security_file[PROCESS_PATH_MAX];
};

/* One at a time. SIGINT, SIGTERM and SIGHUP from here on stop it before they end this process. */
const char *own_relay_start(struct own_relay *r, const struct own_relay_config *config);
/* And its folder goes. Any thread. */
void own_relay_stop(struct own_relay *r);
