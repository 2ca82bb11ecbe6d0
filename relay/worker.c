#include "relay/worker.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/clock.h"
#include "net/slices.h"

enum { SENDS_PER_ROUND = 64 };

/* A datagram that the keeper sealed, with its bytes. */
struct outgoing {
	struct path path;
	uint32_t size;
	uint8_t bytes[DATAGRAM_SIZE_MAX];
};

enum order_kind { ORDER_OPEN_DOOR, ORDER_CLOSE_DOOR };

/* An order with somebody waiting for its result. */
struct opening_order {
	struct door_opening *opening;
	int result;
	sem_t done;
};

struct order {
	enum order_kind kind;
	uint64_t door;
	struct opening_order *opening;
};

struct worker {
	/* Immutable after start. */
	struct worker_config config;
	pthread_t thread;
	struct mailbox *sends;   /* struct outgoing */
	struct mailbox *orders;  /* struct order */
	struct mailbox *forgets; /* struct session_id */

	/* Atomic. */
	_Atomic bool is_stopping;
	_Atomic uint64_t forget_all_wanted; /* how often it was asked to forget all keys */
	_Atomic uint64_t forget_all_done;
	struct worker_counters counters;

	/* Owner: the worker's thread. */
	struct engine *engine;
	struct forward *forward;
	struct packet packets[WORKER_BATCH];
	struct outgoing outgoing[SENDS_PER_ROUND];
	struct upcall_item upcall;

	/* The engine lives and dies in the worker's thread: a ring gives its ports back at once
	 * only there. So its start is waited for, and its end waits for the last one who wakes
	 * it. */
	int start_result;
	sem_t started;
	sem_t released;
};

static void wake(void *state)
{
	struct worker *w = state;
	engine_wake(w->engine);
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		assert(errno == EINTR);
}

/* ---- the worker's own thread ------------------------------------------------------------ */

static void open_door(struct worker *w, struct opening_order *order)
{
	struct door_opening *opening = order->opening;
	order->result = engine_open_port(w->engine, &opening->port);
	if (order->result == 0 && !forward_open_door(w->forward, opening->port.door,
						     opening->port.port, &opening->keys)) {
		engine_close_port(w->engine, opening->port.door);
		order->result = -ENOSPC;
	}
	sem_post(&order->done);
}

static void carry_out_orders(struct worker *w)
{
	struct order order;
	while (mailbox_get(w->orders, &order)) {
		switch (order.kind) {
		case ORDER_OPEN_DOOR: open_door(w, order.opening); break;
		case ORDER_CLOSE_DOOR:
			forward_close_door(w->forward, order.door);
			engine_close_port(w->engine, order.door);
			break;
		}
	}
}

static void forget_sessions(struct worker *w)
{
	struct session_id session;
	while (mailbox_get(w->forgets, &session))
		forward_forget(w->forward, session);
	uint64_t wanted = load_acquire(&w->forget_all_wanted); /* pairs with worker_forget_all() */
	if (wanted == load_relaxed(&w->forget_all_done))
		return;
	forward_forget(w->forward, (struct session_id){ .slot = UINT32_MAX });
	store_release(&w->forget_all_done, wanted); /* pairs with worker_has_forgotten_all() */
}

/* True: there may be more. The datagrams' bytes stay in w->outgoing until the next round. */
static bool send_for_keeper(struct worker *w)
{
	struct packet packets[SENDS_PER_ROUND];
	size_t count = 0;
	while (count < SENDS_PER_ROUND && mailbox_get(w->sends, &w->outgoing[count])) {
		packets[count] = (struct packet){
			.data = w->outgoing[count].bytes,
			.size = w->outgoing[count].size,
			.path = w->outgoing[count].path,
		};
		count++;
	}
	if (count > 0)
		engine_send(w->engine, packets, count);
	return count == SENDS_PER_ROUND;
}

static void pass_upcalls(struct worker *w, const struct forward_result *result)
{
	for (size_t i = 0; i < result->upcall_count; i++) {
		const struct upcall *upcall = &result->upcalls[i];
		bool is_hello = upcall->kind == UPCALL_HELLO;
		w->upcall.upcall = *upcall;
		assert(upcall->body.size <= sizeof(w->upcall.body));
		if (upcall->body.size > 0)
			memcpy(w->upcall.body, upcall->body.data, upcall->body.size);
		w->upcall.upcall.body.data = NULL;
		if (!mailbox_put(is_hello ? w->config.hellos : w->config.frames, &w->upcall))
			bump_owned(&forward_counters(w->forward)->of[PKT_DROP_QUEUE_FULL], 1);
	}
}

static void work(struct worker *w, size_t count)
{
	struct forward_result result;
	quiesce_online(w->config.quiesce, w->config.index);
	forward_batch(w->forward, w->packets, count, clock_now(), &result);
	quiesce_offline(w->config.quiesce, w->config.index);
	engine_send(w->engine, result.send, result.send_count);
	pass_upcalls(w, &result);
	bump_owned(&w->counters.batches, 1);
}

static int set_up(struct worker *w)
{
	int result = engine_create(&w->engine, &w->config.engine);
	if (result < 0)
		return result;
	w->forward = forward_create(&w->config.forward);
	if (w->forward != NULL)
		return 0;
	engine_destroy(w->engine);
	return -ENOMEM;
}

static void serve(struct worker *w)
{
	uint64_t wait_ns = NEVER;
	while (!load_acquire(&w->is_stopping)) { /* pairs with worker_stop() */
		int count = engine_receive(w->engine, w->packets, WORKER_BATCH, wait_ns);
		if (count < 0) {
			store_relaxed(&w->counters.failure, count);
			return;
		}
		carry_out_orders(w);
		forget_sessions(w);
		if (count > 0)
			work(w, (size_t)count);
		wait_ns = send_for_keeper(w) ? 0 : NEVER;
	}
}

/* If the engine broke, nobody who waits for an order is to wait for ever. */
static void refuse_orders(struct worker *w)
{
	int failure = load_relaxed(&w->counters.failure);
	struct order order;
	while (failure != 0 && mailbox_get(w->orders, &order)) {
		if (order.kind != ORDER_OPEN_DOOR)
			continue;
		order.opening->result = failure;
		sem_post(&order.opening->done);
	}
}

static bool is_released_soon(struct worker *w)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	return sem_timedwait(&w->released, &until) == 0;
}

/* The last words of those who have stopped before. */
static void finish(struct worker *w)
{
	bool has_more = true;
	while (has_more) {
		/* What was sent must be left untouched until the next receive. */
		if (engine_receive(w->engine, w->packets, WORKER_BATCH, 0) < 0)
			return;
		carry_out_orders(w);
		has_more = send_for_keeper(w);
	}
}

static void *run(void *state)
{
	struct worker *w = state;
	w->start_result = set_up(w);
	bool is_running = w->start_result == 0;
	sem_post(&w->started);
	if (!is_running)
		return NULL;
	slices_shorten();
	serve(w);
	do /* until worker_stop() is done with waking the engine */
		refuse_orders(w);
	while (!is_released_soon(w));
	finish(w);
	forward_destroy(w->forward);
	engine_destroy(w->engine);
	return NULL;
}

/* ---- control ---------------------------------------------------------------------------- */

static void destroy(struct worker *w)
{
	mailbox_destroy(w->sends);
	mailbox_destroy(w->orders);
	mailbox_destroy(w->forgets);
	sem_destroy(&w->started);
	sem_destroy(&w->released);
	bytes_wipe(w, sizeof(*w));
	free(w);
}

static int start_thread(struct worker *w)
{
	char name[16];
	int result = pthread_create(&w->thread, NULL, run, w);
	if (result != 0)
		return -result;
	snprintf(name, sizeof(name), "worker-%u", w->config.index);
	pthread_setname_np(w->thread, name);
	wait_for(&w->started);
	if (w->start_result < 0)
		pthread_join(w->thread, NULL);
	return w->start_result;
}

int worker_start(struct worker **out, const struct worker_config *config)
{
	struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->config = *config;
	sem_init(&w->started, 0, 0);
	sem_init(&w->released, 0, 0);
	struct mailbox_config mail = { .wake = wake, .wake_state = w };
	mail.item_size = sizeof(struct outgoing);
	mail.capacity = WORKER_SENDS;
	w->sends = mailbox_create(&mail);
	mail.item_size = sizeof(struct order);
	mail.capacity = WORKER_ORDERS;
	w->orders = mailbox_create(&mail);
	mail.item_size = sizeof(struct session_id);
	mail.capacity = WORKER_FORGETS;
	w->forgets = mailbox_create(&mail);
	bool has_mailboxes = w->sends != NULL && w->orders != NULL && w->forgets != NULL;
	int result = has_mailboxes ? start_thread(w) : -ENOMEM;
	if (result < 0) {
		destroy(w);
		return result;
	}
	*out = w;
	return 0;
}

void worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	store_release(&w->is_stopping, true); /* pairs with serve() */
	engine_wake(w->engine);
	sem_post(&w->released);
	pthread_join(w->thread, NULL);
	destroy(w);
}

int worker_open_door(struct worker *w, struct door_opening *opening)
{
	struct opening_order waiting = { .opening = opening };
	struct order order = { .kind = ORDER_OPEN_DOOR, .opening = &waiting };
	if (load_relaxed(&w->counters.failure) != 0)
		return load_relaxed(&w->counters.failure); /* nobody would answer */
	sem_init(&waiting.done, 0, 0);
	bool is_put = mailbox_put(w->orders, &order);
	assert(is_put); /* one thread gives orders, and waits for each that opens */
	wait_for(&waiting.done);
	sem_destroy(&waiting.done);
	return waiting.result;
}

void worker_close_door(struct worker *w, uint64_t door)
{
	const struct order order = { .kind = ORDER_CLOSE_DOOR, .door = door };
	bool is_put = mailbox_put(w->orders, &order);
	assert(is_put || load_relaxed(&w->counters.failure) != 0);
}

void worker_forget(struct worker *w, struct session_id session)
{
	if (mailbox_put(w->forgets, &session))
		return;
	add_relaxed(&w->counters.forgets_full, 1);
	worker_forget_all(w);
}

void worker_forget_all(struct worker *w)
{
	atomic_fetch_add_explicit(&w->forget_all_wanted, 1, memory_order_release);
	engine_wake(w->engine);
}

bool worker_has_forgotten_all(const struct worker *w)
{
	uint64_t done = load_acquire(&w->forget_all_done); /* pairs with forget_sessions() */
	return done == load_relaxed(&w->forget_all_wanted) ||
	       load_relaxed(&w->counters.failure) != 0;
}

bool worker_send(struct worker *w, const struct packet *packet)
{
	struct outgoing item = { .path = packet->path, .size = packet->size };
	assert(packet->size <= sizeof(item.bytes));
	memcpy(item.bytes, packet->data, packet->size); /* the rest is zero: all of it is copied */
	return mailbox_put(w->sends, &item);
}

enum engine_kind worker_engine(const struct worker *w)
{
	return engine_kind(w->engine);
}

int worker_engine_refusal(const struct worker *w)
{
	return engine_refusal(w->engine);
}

const struct engine_counters *worker_engine_counters(const struct worker *w)
{
	return engine_counters(w->engine);
}

const struct verdict_counters *worker_verdicts(const struct worker *w)
{
	return forward_counters(w->forward);
}

const struct worker_counters *worker_counters(const struct worker *w)
{
	return &w->counters;
}

pthread_t worker_thread(const struct worker *w)
{
	return w->thread;
}
