#pragma once
/*
 * Worker: one thread with an engine and a packet path of its own. Between two waits it takes a
 * batch through forward_batch(), hands what the keeper must hear of to the keeper's mailboxes,
 * and sends what the keeper has sealed.
 *
 * worker_start() and worker_stop() belong to the control thread; the rest says who may call.
 */
#include <pthread.h>

#include "core/forward.h"
#include "net/engine.h"
#include "net/mailbox.h"
#include "relay/quiesce.h"

enum {
	WORKER_BATCH = 128,    /* datagrams per round: enough to share calls, few enough for L2 */
	WORKER_SENDS = 512,    /* sealed datagrams waiting from the keeper */
	WORKER_ORDERS = 16,    /* doors to open and close: few, and from one thread */
	WORKER_FORGETS = 1024, /* ended sessions; when full, all keys are forgotten */
	KEEPER_HELLOS = HANDSHAKE_QUEUE_MAX,
	KEEPER_FRAMES = 4096, /* control packets waiting, of all workers */
};

/* An upcall with a copy of its body, on its way to the keeper. */
struct upcall_item {
	struct upcall upcall; /* upcall.body.data is to be set to `body` by the reader */
	uint8_t body[PLAIN_SIZE_MAX];
};

/* A port generation as the workers open it. */
struct door_opening {
	struct engine_port port; /* door, addresses with their port; the rest is filled in */
	struct door_keys keys;
};

struct worker_config {
	unsigned index;
	struct engine_config engine;
	struct forward_config forward;
	struct quiesce *quiesce;
	struct mailbox *hellos; /* to the keeper; struct upcall_item */
	struct mailbox *frames;
};

struct worker;

/* 0 or -errno (engine, memory, thread). */
int worker_start(struct worker **out, const struct worker_config *config) MUST_CHECK;
/* Sends what it was given, closes its ports, joins and frees. Nobody else may call it any more.
 * NULL is allowed. */
void worker_stop(struct worker *w);

/* Open a port generation in this worker and wait for it; 0 or -errno (EADDRINUSE ...). Control. */
int worker_open_door(struct worker *w, struct door_opening *opening) MUST_CHECK;
/* Close one; returns at once. Control. */
void worker_close_door(struct worker *w, uint64_t door);

/* Any thread. False: the mailbox is full, and the datagram not taken. */
bool worker_send(struct worker *w, const struct packet *packet) MUST_CHECK;
/* Erase the session's expanded keys soon. Any thread. */
void worker_forget(struct worker *w, struct session_id session);
/* Erase all expanded keys; whoever still has a session gets new ones. Never fails. Any thread. */
void worker_forget_all(struct worker *w);
bool worker_has_forgotten_all(const struct worker *w) MUST_CHECK;

enum engine_kind worker_engine(const struct worker *w);
int worker_engine_refusal(const struct worker *w); /* why not io_uring; 0: none */

struct worker_counters {
	_Atomic uint64_t batches;
	_Atomic uint64_t forgets_full; /* all keys forgotten instead of some: mailbox full */
	_Atomic int failure;           /* -errno of an engine that broke: it has given up */
};

/* Any thread. */
const struct engine_counters *worker_engine_counters(const struct worker *w);
const struct verdict_counters *worker_verdicts(const struct worker *w);
const struct worker_counters *worker_counters(const struct worker *w);
pthread_t worker_thread(const struct worker *w);
