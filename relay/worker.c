#include "relay/worker.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/clock.h"

enum { SENDS_PER_ROUND = 64 };

/* A datagram that the keeper sealed, with its bytes. */
struct outgoing {
	struct path path;
	uint32_t size;
	uint8_t bytes[DATAGRAM_SIZE_MAX];
};

enum order_kind { ORDER_OPEN_DOOR, ORDER_CLOSE_DOOR, ORDER_FORGET };

/* An order with somebody waiting for its result. */
struct opening_order {
	struct door_opening *opening;
	int result;
	sem_t done;
};

struct order {
	enum order_kind kind;
	uint64_t door;
	struct session_id session;
	struct opening_order *opening;
};

struct worker {
	/* Immutable after start. */
	struct worker_config config;
	pthread_t thread;
	struct mailbox *sends;          /* struct outgoing */
	struct mailbox *orders;         /* struct order */

	/* Atomic. */
	_Atomic bool is_stopping;
	struct worker_counters counters;

	/* Owner: the worker's thread. */
	struct engine *engine;
	struct forward *forward;
	struct packet packets[WORKER_BATCH];
	struct outgoing outgoing[SENDS_PER_ROUND];
	struct upcall_item upcall;

	/* Start-up: engine_create() runs in the worker's thread; its result comes back here. */
	int start_result;
	sem_t started;
};

static void wake(void *state)
{
	struct worker *w = state;
	engine_wake(w->engine);
}

/* ---- the worker's own thread ------------------------------------------------------------ */

static void open_door(struct worker *w, struct opening_order *order)
{
	struct door_opening *opening = order->opening;
	order->result = engine_open_port(w->engine, &opening->port);
	if (order->result == 0 &&
	    !forward_open_door(w->forward, opening->port.door, opening->port.port,
			       &opening->keys)) {
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
		case ORDER_OPEN_DOOR:
			open_door(w, order.opening);
			break;
		case ORDER_CLOSE_DOOR:
			forward_close_door(w->forward, order.door);
			engine_close_port(w->engine, order.door);
			break;
		case ORDER_FORGET:
			forward_forget(w->forward, order.session);
			break;
		}
	}
}

static void send_for_keeper(struct worker *w)
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
	if (count == SENDS_PER_ROUND)
		engine_wake(w->engine); /* there may be more: do not wait before the next round */
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
	return w->forward != NULL ? 0 : -ENOMEM;
}

static void *run(void *state)
{
	struct worker *w = state;
	w->start_result = set_up(w);
	bool is_running = w->start_result == 0;
	sem_post(&w->started);
	while (is_running && !load_acquire(&w->is_stopping)) { /* pairs with worker_stop() */
		int count = engine_receive(w->engine, w->packets, WORKER_BATCH, NEVER);
		carry_out_orders(w);
		if (count > 0)
			work(w, (size_t)count);
		send_for_keeper(w);
	}
	return NULL;
}

/* ---- control ---------------------------------------------------------------------------- */

static void destroy(struct worker *w)
{
	if (w->forward != NULL)
		forward_destroy(w->forward);
	if (w->engine != NULL)
		engine_destroy(w->engine);
	mailbox_destroy(w->sends);
	mailbox_destroy(w->orders);
	sem_destroy(&w->started);
	bytes_wipe(&w->upcall, sizeof(w->upcall));
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
	while (sem_wait(&w->started) != 0)
		;
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
	struct mailbox_config mail = { .wake = wake, .wake_state = w };
	mail.item_size = sizeof(struct outgoing);
	mail.capacity = WORKER_SENDS;
	w->sends = mailbox_create(&mail);
	mail.item_size = sizeof(struct order);
	mail.capacity = WORKER_ORDERS;
	w->orders = mailbox_create(&mail);
	int result = w->sends != NULL && w->orders != NULL ? start_thread(w) : -ENOMEM;
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
	store_release(&w->is_stopping, true); /* pairs with run() */
	engine_wake(w->engine);
	pthread_join(w->thread, NULL);
	destroy(w);
}

int worker_open_door(struct worker *w, struct door_opening *opening)
{
	struct opening_order waiting = { .opening = opening };
	struct order order = { .kind = ORDER_OPEN_DOOR, .opening = &waiting };
	sem_init(&waiting.done, 0, 0);
	if (!mailbox_put(w->orders, &order)) {
		sem_destroy(&waiting.done);
		return -EAGAIN;
	}
	while (sem_wait(&waiting.done) != 0)
		;
	sem_destroy(&waiting.done);
	return waiting.result;
}

static void put_order(struct worker *w, const struct order *order)
{
	if (!mailbox_put(w->orders, order))
		add_relaxed(&w->counters.orders_full, 1);
}

void worker_close_door(struct worker *w, uint64_t door)
{
	put_order(w, &(struct order){ .kind = ORDER_CLOSE_DOOR, .door = door });
}

void worker_forget(struct worker *w, struct session_id session)
{
	put_order(w, &(struct order){ .kind = ORDER_FORGET, .session = session });
}

void worker_send(struct worker *w, const struct packet *packet)
{
	struct outgoing item = { .path = packet->path, .size = packet->size };
	assert(packet->size <= sizeof(item.bytes));
	memcpy(item.bytes, packet->data, packet->size);
	if (!mailbox_put(w->sends, &item))
		add_relaxed(&w->counters.sends_full, 1);
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
