#pragma once
/*
 * Two users of libclawchat, each in a process of its own, who write to each other at a steady pace
 * through a real relay and count what arrives.
 *
 *   messengers_start()      before the program has threads
 *   messengers_wait_up()
 *   messengers_pause()      waits until all that was written is delivered
 *   messengers_stop()
 */
#include <stdatomic.h>
#include <sys/types.h>

#include "client/clawchat.h"
#include "tests/support/directory.h"

enum { MESSENGERS = 2 };

/* Atomic: written by the user's process, read by any. */
struct messenger {
	_Atomic bool has_id, is_up, has_failed;
	char id[CLAWCHAT_PEER_ID_TEXT]; /* valid with has_id */
	_Atomic uint64_t sent;
	_Atomic uint64_t delivered;   /* acknowledged by the other program */
	_Atomic uint64_t undelivered; /* given up by the library */
	_Atomic uint64_t received;    /* each in its turn */
	_Atomic uint64_t wrong;       /* twice, out of turn, or altered */
	_Atomic uint64_t connects;    /* 1: the session has lasted */
	_Atomic uint64_t rekeys;
};

struct messengers_shared {
	_Atomic bool is_paused, is_over;
	struct messenger of[MESSENGERS];
};

struct messengers {
	struct messengers_shared *shared;
	pid_t pids[MESSENGERS];
	char profiles[MESSENGERS][TEST_PATH_SIZE];
	uint64_t rekey_ns;
	char file[TEST_PATH_SIZE];
	char key[TEST_PATH_SIZE];
};

/* For a relay whose state directory is DIRECTORY/state; profiles are made beside it. Each user asks
 * for new keys every `rekey_ns`; 0: never. */
bool messengers_start(struct messengers *m, const struct test_directory *directory,
		      uint64_t rekey_ns) MUST_CHECK;
/* False: they have not met in that time. */
bool messengers_wait_up(struct messengers *m, unsigned seconds) MUST_CHECK;
/* False: not all was delivered in that time, or one of them failed. */
bool messengers_pause(struct messengers *m, unsigned seconds) MUST_CHECK;
void messengers_stop(struct messengers *m);

/* Of both: written, and neither received in its turn by the other. */
uint64_t messengers_sent(const struct messengers *m);
uint64_t messengers_lost(const struct messengers *m);
