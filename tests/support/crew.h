#pragma once
/* Workers and a keeper's thread as the server would start them, without the server around them. */
#include "relay/keeper_thread.h"
#include "tests/support/crypto.h"

enum { CREW_WORKERS_MAX = 4, CREW_SLOTS = 64 };

struct crew {
	struct random_source random;
	struct table *table;
	struct channels *channels;
	struct credentials *credentials;
	struct quiesce quiesce;
	struct keeper_waker *waker;
	struct mailbox *hellos, *frames, *events;
	struct worker *workers[CREW_WORKERS_MAX];
	unsigned worker_count;
	struct keeper_thread *keeper; /* NULL: the test reads the mailboxes */
};

struct crew_config {
	enum engine_kind engine;
	unsigned workers;
	bool has_keeper;
	size_t mailbox_capacity; /* 0: enough */
};

/* Skips the test where the system refuses a ring. */
struct crew *crew_create(const struct crew_config *config);
void crew_destroy(struct crew *c);

/* All workers' count of a verdict. */
uint64_t crew_verdicts(const struct crew *c, enum verdict v);
/* Waits until `is_done`; fails the test after some seconds. */
void crew_wait(bool (*is_done)(void *state), void *state);
