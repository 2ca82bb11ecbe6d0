#pragma once
/*
 * Preparer: derives the key of the next security file beforehand, some tenths of a second of work
 * by design, in a thread of its own. So a file is written at once when it is needed, and the
 * control thread never stands still while a report of a compromise waits.
 */
#include "core/security_file.h"

struct preparer;

struct preparer_config {
	uint8_t bootstrap[BOOTSTRAP_KEY_SIZE];
	uint32_t iterations;
};

/* 0 or -errno. */
int preparer_start(struct preparer **out, const struct preparer_config *config) MUST_CHECK;
/* Waits for the one under way. NULL is allowed. */
void preparer_stop(struct preparer *p);

/* Take what is ready and begin the next. False: nothing is ready yet. */
bool preparer_take(struct preparer *p, struct security_file_root *root) MUST_CHECK;
