#include "tests/support/sim.h"

#include "tests/support/sim_internal.h"

/* ---- events: a binary heap --------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct sim_heap *h, size_t a, size_t b)
{
	struct sim_event event = h->events[a];
	h->events[a] = h->events[b];
	h->events[b] = event;
}

void sim_schedule(struct sim *sim, const struct sim_event *event)
{
	struct sim_heap *h = &sim->heap;
	if (h->count == h->capacity) {
		h->capacity = h->capacity == 0 ? 1024 : 2 * h->capacity;
		h->events = realloc(h->events, h->capacity * sizeof(*h->events));
		assert_non_null(h->events);
	}
	size_t at = h->count++;
	h->events[at] = *event;
	h->events[at].order = ++h->order;
	if (h->events[at].at_ns < sim->now.mono_ns)
		h->events[at].at_ns = sim->now.mono_ns;
	while (at > 0 && is_before(&h->events[at], &h->events[(at - 1) / 2])) {
		swap(h, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

static struct sim_event take_first(struct sim_heap *h)
{
	struct sim_event first = h->events[0];
	h->events[0] = h->events[--h->count];
	for (size_t at = 0;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < h->count && is_before(&h->events[child], &h->events[least]))
				least = child;
		if (least == at)
			return first;
		swap(h, at, least);
		at = least;
	}
}

/* ---- time -------------------------------------------------------------------------------- */

static void move_to(struct sim *sim, uint64_t mono_ns)
{
	assert_true(mono_ns >= sim->now.mono_ns);
	sim->now.wall_ns += mono_ns - sim->now.mono_ns;
	sim->now.mono_ns = mono_ns;
}

static void work_on(struct sim *sim, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_ARRIVAL: sim_arrive(sim, event->datagram); break;
	case SIM_CLIENT_WAKE:
		if (event->client->wake_ns == event->at_ns) /* else it was put off */
			sim_client_wake(event->client);
		break;
	case SIM_RELAY_WAKE:
		if (sim->relay.wake_ns == event->at_ns)
			sim_relay_wake(sim);
		break;
	}
}

bool sim_run_until(struct sim *sim, bool (*is_done)(void *state), void *state, uint64_t limit_ns)
{
	uint64_t end_ns = sim->now.mono_ns + limit_ns;
	if (is_done != NULL && is_done(state))
		return true;
	while (sim->heap.count > 0 && sim->heap.events[0].at_ns <= end_ns) {
		struct sim_event event = take_first(&sim->heap);
		move_to(sim, event.at_ns);
		work_on(sim, &event);
		if (is_done != NULL && is_done(state))
			return true;
	}
	move_to(sim, end_ns);
	return false;
}

void sim_run(struct sim *sim, uint64_t duration_ns)
{
	if (sim_run_until(sim, NULL, NULL, duration_ns))
		fail_msg("nothing was waited for");
}

struct instant sim_now(const struct sim *sim)
{
	return sim->now;
}

const struct random_source *sim_random(struct sim *sim)
{
	return &sim->random;
}

void sim_set_clock(struct sim *sim, int64_t by_ns)
{
	sim->now.wall_ns += (uint64_t)by_ns;
	for (unsigned i = 0; i < sim->client_count; i++)
		sim->clients[i]->config.clock_offset_ns -= by_ns;
}

/* ---- life -------------------------------------------------------------------------------- */

static void set_defaults(struct sim_config *c)
{
	if (c->seed == 0)
		c->seed = test_seed();
	if (c->workers == 0)
		c->workers = 2;
	if (c->hellos_per_ms == 0)
		c->hellos_per_ms = 4;
	if (c->sessions == 0)
		c->sessions = SIM_CLIENTS_MAX;
	if (c->channels == 0)
		c->channels = 4 * c->sessions;
	if (c->keepalive_s == 0)
		c->keepalive_s = KEEPALIVE_NS / NS_PER_S;
	if (c->idle_timeout_ns == 0)
		c->idle_timeout_ns = SESSION_IDLE_NS;
	if (c->quality.delay_ns == 0)
		c->quality.delay_ns = 20 * NS_PER_MS;
}

struct sim *sim_create(const struct sim_config *config)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	assert_non_null(sim);
	if (config != NULL)
		sim->config = *config;
	set_defaults(&sim->config);
	assert_true(sim->config.workers <= SIM_WORKERS_MAX);
	sim->random = random_seeded_init(&sim->seeded, sim->config.seed);
	/* In the middle of a port generation. */
	sim->now = (struct instant){ .mono_ns = 1000 * NS_PER_S,
				     .wall_ns = (500000 * 3600 + UINT64_C(1800)) * NS_PER_S };
	sim_relay_init(sim);
	sim_relay_start(sim);
	return sim;
}

void sim_destroy(struct sim *sim)
{
	for (unsigned i = 0; i < sim->client_count; i++) {
		sim_client_fini(sim->clients[i]);
		free(sim->clients[i]);
	}
	sim_relay_stop(sim);
	sim_relay_fini(sim);
	for (size_t i = 0; i < sim->heap.count; i++)
		free(sim->heap.events[i].datagram);
	free(sim->heap.events);
	free(sim);
}
