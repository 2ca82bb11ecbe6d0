#pragma once
/*
 * Quiescence: lets the keeper know when no worker can still hold a session that was taken out of
 * the table (quiescent-state-based reclamation; free on the readers' side).
 *
 * Each worker is online while it works on a batch and offline while it waits. The keeper's
 * quiesce_wait() returns when every worker has been offline or has begun a new batch since.
 *
 * Own code instead of liburcu: it is forty lines, and ThreadSanitizer understands C11 atomics
 * while Debian 12's liburcu uses barriers that it cannot see.
 */
#include "core/atomic.h"
#include "core/limits.h"

enum { WORKERS_MAX = 64 };

struct quiesce_reader {
	_Alignas(64) _Atomic uint64_t seen; /* global count at the last quiet point, or OFFLINE */
};

struct quiesce {
	_Atomic uint64_t count;
	unsigned readers;
	struct quiesce_reader reader[WORKERS_MAX];
};

void quiesce_init(struct quiesce *q, unsigned readers);

/* Worker `index` only: before and after it touches the session table. */
void quiesce_online(struct quiesce *q, unsigned index);
void quiesce_offline(struct quiesce *q, unsigned index);

/* The keeper: wait (a batch's time at most) until every reader has passed a quiet point. */
void quiesce_wait(struct quiesce *q);
