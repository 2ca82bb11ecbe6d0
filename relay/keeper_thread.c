#include "relay/keeper_thread.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/clock.h"
#include "relay/event_post.h"

enum {
	FRAMES_PER_ROUND = 256,
	HELLOS_PER_ROUND = 8, /* 2 ms of handshakes, then frames and timers have a turn */
	CALLS_MAX = 2,        /* one thread calls, and waits for each */
};

/* Until the next look whether the control thread has made room for events that wait. */
#define EVENTS_LOOK_NS (2 * NS_PER_MS)

struct keeper_waker {
	int event_fd;
	_Atomic bool is_woken; /* spares a system call per item */
};

struct keeper_call {
	void (*call)(struct keeper *k, void *state, struct instant now);
	void *state;
	sem_t *done;
};

struct keeper_thread {
	/* Immutable after start. */
	struct keeper_thread_config config;
	struct keeper_waker *waker;
	struct keeper *keeper;
	struct mailbox *calls; /* struct keeper_call */
	pthread_t thread;

	/* Atomic. */
	_Atomic bool is_stopping;
	_Atomic uint64_t hellos_lost;

	/* Owner: the keeper's thread. */
	struct upcall_item item;
	struct event_post post; /* its counters: atomic */
};

/* ---- waking ----------------------------------------------------------------------------- */

struct keeper_waker *keeper_waker_create(void)
{
	struct keeper_waker *waker = calloc(1, sizeof(*waker));
	if (waker == NULL)
		return NULL;
	waker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (waker->event_fd < 0) {
		free(waker);
		return NULL;
	}
	return waker;
}

void keeper_waker_destroy(struct keeper_waker *waker)
{
	if (waker == NULL)
		return;
	close(waker->event_fd);
	free(waker);
}

void keeper_waker_wake(void *state)
{
	struct keeper_waker *waker = state;
	if (exchange_acq_rel(&waker->is_woken, true)) /* pairs with wait_for_work() */
		return;
	uint64_t one = 1;
	if (write(waker->event_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: the counter is full, so the reader is awake */
}

static void wait_for_work(struct keeper_waker *waker, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_now().mono_ns, value;
	struct timespec timeout = { 0 };
	if (deadline_ns > now_ns) {
		uint64_t wait_ns = deadline_ns - now_ns;
		if (wait_ns > 60 * NS_PER_S)
			wait_ns = 60 * NS_PER_S;
		timeout.tv_sec = (time_t)(wait_ns / NS_PER_S);
		timeout.tv_nsec = (long)(wait_ns % NS_PER_S);
	}
	struct pollfd fd = { .fd = waker->event_fd, .events = POLLIN };
	if (ppoll(&fd, 1, &timeout, NULL) > 0 && read(waker->event_fd, &value, sizeof(value)) < 0)
		value = 0; /* nothing was lost: the flag below decides */
	/* What is put from now on wakes again; what was put before is seen by the next round. */
	exchange_acq_rel(&waker->is_woken, false);
}

/* ---- hooks of the keeper ---------------------------------------------------------------- */

/* All that goes to one client leaves by one worker, in its order: reliable frames that overtake
 * each other have to be repeated. */
static bool hook_send(void *state, const struct packet *packet)
{
	struct keeper_thread *t = state;
	const struct address *to = &packet->path.remote;
	unsigned spread = to->port;
	for (size_t i = 0; i < sizeof(to->ip); i++)
		spread = spread * 31 + to->ip[i];
	return worker_send(t->config.workers[spread % t->config.worker_count], packet);
}

static void hook_forget(void *state, struct session_id session)
{
	struct keeper_thread *t = state;
	for (unsigned i = 0; i < t->config.worker_count; i++)
		worker_forget(t->config.workers[i], session);
}

static void hook_quiesce(void *state)
{
	struct keeper_thread *t = state;
	quiesce_wait(t->config.quiesce);
}

static void hook_event(void *state, const struct keeper_event *event)
{
	struct keeper_thread *t = state;
	const struct keeper_thread_config *c = &t->config;
	struct keeper_event heard = *event;
	if (event->type == KEEPER_BURN && c->hear_burn != NULL)
		c->hear_burn(c->burn_state, t->keeper, &heard, clock_now());
	event_post_put(&t->post, &heard);
	bytes_wipe(&heard, sizeof(heard)); /* KEEPER_ENROL has a key in it */
}

static bool hook_find(void *state, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out)
{
	struct keeper_thread *t = state;
	return credentials_find(t->config.credentials, request, wall_ns, out);
}

static void hook_remember(void *state, uint64_t hello_id)
{
	struct keeper_thread *t = state;
	if (!seen_log_add(t->config.seen, hello_id))
		add_relaxed(&t->hellos_lost, 1);
}

static void note_hello(void *state, uint64_t hello_id)
{
	struct keeper_thread *t = state;
	keeper_note_hello(t->keeper, hello_id);
}

/* ---- the thread ------------------------------------------------------------------------- */

static bool take(struct keeper_thread *t, struct mailbox *from)
{
	if (!mailbox_get(from, &t->item))
		return false;
	t->item.upcall.body.data = t->item.body;
	return true;
}

/* True: there may be more. While an event waits nothing is taken that may bring another: the
 * mailboxes fill, and whoever does not get in tries again. */
static bool take_frames(struct keeper_thread *t, struct instant now)
{
	for (int i = 0; i < FRAMES_PER_ROUND && !event_post_is_waiting(&t->post); i++) {
		if (!take(t, t->config.frames))
			return false;
		keeper_upcall(t->keeper, &t->item.upcall, 0, now);
	}
	return true;
}

static bool take_hellos(struct keeper_thread *t, struct instant now)
{
	for (int i = 0; i < HELLOS_PER_ROUND && !event_post_is_waiting(&t->post); i++) {
		uint32_t depth = (uint32_t)mailbox_count(t->config.hellos);
		if (!take(t, t->config.hellos))
			return false;
		keeper_upcall(t->keeper, &t->item.upcall, depth, now);
	}
	return true;
}

static void take_calls(struct keeper_thread *t, struct instant now)
{
	struct keeper_call call;
	while (mailbox_get(t->calls, &call)) {
		call.call(t->keeper, call.state, now);
		sem_post(call.done);
	}
}

static void *run(void *state)
{
	struct keeper_thread *t = state;
	while (!load_acquire(&t->is_stopping)) { /* pairs with keeper_thread_stop() */
		struct instant now = clock_now();
		(void)event_post_flush(&t->post);
		bool has_more = take_frames(t, now);
		has_more |= take_hellos(t, now);
		take_calls(t, now);
		uint64_t deadline_ns = keeper_tick(t->keeper, now);
		bool is_held = event_post_is_waiting(&t->post);
		if (is_held)
			deadline_ns = earliest(deadline_ns, now.mono_ns + EVENTS_LOOK_NS);
		if (is_held || !has_more)
			wait_for_work(t->waker, deadline_ns);
	}
	take_calls(t, clock_now());
	return NULL;
}

/* ---- control ---------------------------------------------------------------------------- */

static void destroy(struct keeper_thread *t)
{
	if (t->keeper != NULL)
		keeper_destroy(t->keeper);
	mailbox_destroy(t->calls);
	event_post_fini(&t->post);
	bytes_wipe(&t->item, sizeof(t->item));
	bytes_wipe(&t->config, sizeof(t->config));
	free(t);
}

int keeper_thread_start(struct keeper_thread **out, const struct keeper_thread_config *config,
			struct keeper_waker *waker)
{
	struct keeper_thread *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->config = *config;
	t->waker = waker;
	event_post_init(&t->post, config->events);
	t->config.keeper.hooks.state = t;
	t->config.keeper.hooks.find_credential = hook_find;
	t->config.keeper.hooks.send = hook_send;
	t->config.keeper.hooks.forget = hook_forget;
	t->config.keeper.hooks.quiesce = hook_quiesce;
	t->config.keeper.hooks.event = hook_event;
	t->config.keeper.hooks.remember = t->config.seen != NULL ? hook_remember : NULL;
	struct mailbox_config mail = {
		.item_size = sizeof(struct keeper_call),
		.capacity = CALLS_MAX,
		.wake = keeper_waker_wake,
		.wake_state = waker,
	};
	t->calls = mailbox_create(&mail);
	t->keeper = keeper_create(&t->config.keeper);
	bytes_wipe(&t->config.keeper.server, sizeof(t->config.keeper.server)); /* it has its own */
	int result = t->calls != NULL && t->keeper != NULL ? 0 : -ENOMEM;
	if (result == 0 && t->config.seen != NULL)
		seen_log_each(t->config.seen, note_hello, t);
	if (result == 0)
		result = -pthread_create(&t->thread, NULL, run, t);
	if (result < 0) {
		destroy(t);
		return result;
	}
	pthread_setname_np(t->thread, "keeper");
	*out = t;
	return 0;
}

void keeper_thread_stop(struct keeper_thread *t)
{
	if (t == NULL)
		return;
	store_release(&t->is_stopping, true); /* pairs with run() */
	keeper_waker_wake(t->waker);
	pthread_join(t->thread, NULL);
	destroy(t);
}

void keeper_thread_call(struct keeper_thread *t,
			void (*call)(struct keeper *k, void *state, struct instant now),
			void *state)
{
	sem_t done;
	sem_init(&done, 0, 0);
	struct keeper_call item = { .call = call, .state = state, .done = &done };
	bool is_put = mailbox_put(t->calls, &item);
	assert(is_put); /* one thread calls, and waits each time */
	while (sem_wait(&done) != 0)
		assert(errno == EINTR);
	sem_destroy(&done);
}

uint64_t keeper_thread_events_lost(const struct keeper_thread *t)
{
	return load_relaxed(&t->post.lost);
}

uint64_t keeper_thread_events_waited(const struct keeper_thread *t)
{
	return load_relaxed(&t->post.waited);
}

uint64_t keeper_thread_hellos_lost(const struct keeper_thread *t)
{
	return load_relaxed(&t->hellos_lost);
}
