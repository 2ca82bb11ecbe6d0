#pragma once
/*
 * Seen log: the ids of HELLOs taken in, kept over a restart, so that a recorded one is not
 * answered by the next run either. Two files of 8-byte ids in the state directory, the older one
 * replaced when the newer is full: at least HANDSHAKES_SEEN ids are there, more than a door's
 * life sees as a rule.
 *
 * Written without fsync: it outlives the process, not a power cut (then up to some seconds of
 * HELLOs could be answered once more). Owner: one thread at a time, first control, then the
 * keeper's.
 */
#include "crypto/bytes.h"

struct seen_log;

/* Opens or makes the files. NULL with errno set. */
struct seen_log *seen_log_open(const char *directory) MUST_CHECK;
void seen_log_close(struct seen_log *log); /* NULL is allowed */

/* Every id of earlier runs, oldest first. */
void seen_log_each(struct seen_log *log, void (*visit)(void *state, uint64_t id), void *state);

/* False: could not be written (errno). */
bool seen_log_add(struct seen_log *log, uint64_t id) MUST_CHECK;
