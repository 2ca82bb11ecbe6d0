#pragma once
/*
 * Event post: what the keeper tells the control thread, through a bounded mailbox. Where that is
 * full, events that something depends on (a device to save, a Compromised report, the time of a
 * HELLO) wait here and go as soon as there is room, in their order; those that are for the log
 * alone are dropped, and counted.
 *
 * The keeper takes no upcall while any waits. So there are never more than one upcall or a round
 * of timers makes: some, and one for each session that is pending.
 *
 * Owner: the keeper's thread.
 */
#include "core/atomic.h"
#include "core/keeper.h"
#include "net/mailbox.h"

struct event_waiting;

struct event_post {
	struct mailbox *to; /* struct keeper_event */
	struct event_waiting *first, *last;
	_Atomic uint64_t lost;   /* for the log alone, or no memory to wait in */
	_Atomic uint64_t waited; /* had to wait, so far */
};

void event_post_init(struct event_post *p, struct mailbox *to);
void event_post_fini(struct event_post *p); /* what waits is dropped */

void event_post_put(struct event_post *p, const struct keeper_event *event);
/* What waits, as far as there is room. True: nothing waits any more. */
bool event_post_flush(struct event_post *p);
bool event_post_is_waiting(const struct event_post *p) MUST_CHECK;
