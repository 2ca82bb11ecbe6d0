#include "relay/quiesce.h"

#include <assert.h>
#include <sched.h>

#define OFFLINE UINT64_MAX

/* Both sides write, then read what the other has written: one of them sees the other's write.
 * ThreadSanitizer knows no fences; the exchanges around them tell it enough. */
static void fence(void)
{
#ifndef __SANITIZE_THREAD__
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

void quiesce_init(struct quiesce *q, unsigned readers)
{
	assert(readers <= WORKERS_MAX);
	store_relaxed(&q->count, 1);
	q->readers = readers;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		store_relaxed(&q->reader[i].seen, OFFLINE);
}

void quiesce_online(struct quiesce *q, unsigned index)
{
	/* Either the keeper sees this worker online, or this worker's look-ups see the session
	 * gone. */
	atomic_exchange(&q->reader[index].seen, atomic_load(&q->count));
	fence();
}

void quiesce_offline(struct quiesce *q, unsigned index)
{
	store_release(&q->reader[index].seen, OFFLINE); /* pairs with quiesce_wait() */
}

void quiesce_wait(struct quiesce *q)
{
	fence();
	uint64_t target = atomic_fetch_add(&q->count, 1) + 1;
	for (unsigned i = 0; i < q->readers; i++)
		while (atomic_load(&q->reader[i].seen) < target)
			sched_yield();
}
