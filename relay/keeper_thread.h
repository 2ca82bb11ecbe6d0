#pragma once
/*
 * The keeper's thread: runs struct keeper on what the workers pass on, and calls from the control
 * thread. Handshakes, at four X25519 each, happen here and never stand in a worker's way.
 */
#include "core/keeper.h"
#include "net/mailbox.h"
#include "relay/credentials.h"
#include "relay/seen_log.h"
#include "relay/worker.h"

enum {
	KEEPER_EVENTS = 4096, /* events waiting for the control thread */
};

struct keeper_thread_config {
	struct keeper_config keeper; /* hooks are set here */
	struct credentials *credentials;
	struct seen_log *seen; /* the keeper's from here on */
	struct quiesce *quiesce;
	struct mailbox *hellos; /* struct upcall_item, from the workers */
	struct mailbox *frames;
	struct mailbox *events; /* struct keeper_event, to the control thread */
	/* A KEEPER_BURN, in the keeper's thread, before it is passed on. NULL: none. */
	void (*hear_burn)(void *state, struct keeper *k, struct keeper_event *event,
			  struct instant now);
	void *burn_state;
	struct worker *const *workers; /* complete before keeper_thread_start() */
	unsigned worker_count;
};

struct keeper_thread;

/* The mailboxes to the keeper are made before it: their wake hook takes this. */
struct keeper_waker;
struct keeper_waker *keeper_waker_create(void) MUST_CHECK;
void keeper_waker_destroy(struct keeper_waker *waker);
void keeper_waker_wake(void *waker); /* any thread; fits mailbox_config.wake */

/* 0 or -errno. Control. */
int keeper_thread_start(struct keeper_thread **out, const struct keeper_thread_config *config,
			struct keeper_waker *waker) MUST_CHECK;
/* Joins; call before the workers are stopped, so that its last words are sent. NULL is allowed. */
void keeper_thread_stop(struct keeper_thread *t);

/*
 * Run `call` in the keeper's thread and wait for it: how the control thread looks at sessions and
 * ends them. The call should take no longer than a millisecond. Control.
 */
void keeper_thread_call(struct keeper_thread *t,
			void (*call)(struct keeper *k, void *state, struct instant now),
			void *state);

/* Because the control thread did not keep up (relay/event_post.h): events lost, all of them for the
 * log alone unless memory was out; events that something depends on, which waited. Any thread. */
uint64_t keeper_thread_events_lost(const struct keeper_thread *t);
uint64_t keeper_thread_events_waited(const struct keeper_thread *t);
/* HELLO ids that could not be kept (disk). Any thread. */
uint64_t keeper_thread_hellos_lost(const struct keeper_thread *t);
