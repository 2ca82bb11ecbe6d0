#include "bench/load.h"

#include <stdlib.h>
#include <time.h>

#include "core/instant.h"

enum {
	TRAINS_AT_ONCE = 32,   /* before what came is looked at again */
	SCATTER = 2654435761U, /* prime: goes round any smaller count of flows */
	STREAM_SHIFT = 56,     /* in a stamp; below it, the packet's number */
};
#define DRAIN_NS (300 * NS_PER_MS)       /* wait for the last arrivals */
#define LATE_MAX_NS (1 * NS_PER_S)       /* so far behind, a run is given up */
#define SLEEP_LEAST_NS (300 * NS_PER_US) /* nearer sends are waited for awake */
#define SLEEP_MOST_NS (1 * NS_PER_MS)
#define SLIP_MAX_NS (1 * NS_PER_MS) /* at the 99th percentile */
static const double IDLE_LEAST = 0.05;

/* Frames of one stream, written ahead of their time. */
struct ring {
	const struct load_stream *stream;
	struct load_frame *frames;
	uint32_t *slips_ns; /* by train: how late it left */
	uint64_t capacity, written, sent, total;
};

struct run {
	const struct target *target;
	const struct load_plan *plan;
	struct load_result *result;
	struct ring rings[LOAD_STREAMS_MAX];
	uint64_t start_ns, end_ns;
	uint64_t arrivals;
};

uint64_t load_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- schedule ---------------------------------------------------------------------------- */

/* When packet number `index` is due, after the start. */
static uint64_t due_ns(const struct load_stream *stream, uint64_t index)
{
	uint64_t train = index / stream->train;
	return (uint64_t)((double)train * stream->train * (double)NS_PER_S / stream->rate);
}

static uint32_t flow_of(const struct load_stream *stream, uint64_t index)
{
	uint64_t train = index / stream->train;
	return stream->flow_first +
	       (uint32_t)(train % stream->flow_count * SCATTER % stream->flow_count);
}

static void write_next(struct run *r, struct ring *ring)
{
	uint64_t index = ring->written++;
	uint64_t stream = (uint64_t)(ring - r->rings);
	r->target->ops->write(r->target->state, ring->stream, flow_of(ring->stream, index),
			      stream << STREAM_SHIFT | index,
			      &ring->frames[index % ring->capacity]);
}

static bool ring_init(struct ring *ring, const struct load_stream *stream, double seconds)
{
	uint64_t trains = (uint64_t)(stream->rate * seconds / stream->train);
	trains = trains > 0 ? trains : 1;
	*ring = (struct ring){ .stream = stream, .total = trains * stream->train };
	ring->capacity =
		ring->total < LOAD_RING_MAX || stream->is_costly ? ring->total : LOAD_RING_MAX;
	ring->frames = malloc(ring->capacity * sizeof(*ring->frames));
	ring->slips_ns = calloc(trains, sizeof(*ring->slips_ns));
	return ring->frames != NULL && ring->slips_ns != NULL;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void send_train(struct run *r, struct ring *ring)
{
	struct iovec datagrams[LOAD_TRAIN_MAX];
	uint32_t count = ring->stream->train;
	while (ring->written < ring->sent + count)
		write_next(r, ring);
	const struct load_frame *first = &ring->frames[ring->sent % ring->capacity];
	for (uint32_t i = 0; i < count; i++) {
		struct load_frame *frame = &ring->frames[(ring->sent + i) % ring->capacity];
		datagrams[i] = (struct iovec){ .iov_base = frame->data, .iov_len = frame->size };
	}
	if (sockets_send(r->target->sockets, first->socket, datagrams, count, first->size) == 0)
		r->result->sent[ring->stream->kind] += count;
	else
		r->result->unsent += count;
	ring->sent += count;
}

static bool send_due(struct run *r, uint64_t now_ns)
{
	bool has_sent = false;
	for (size_t i = 0; i < r->plan->stream_count; i++) {
		struct ring *ring = &r->rings[i];
		for (int n = 0; n < TRAINS_AT_ONCE && ring->sent < ring->total; n++) {
			uint64_t due = r->start_ns + due_ns(ring->stream, ring->sent);
			if (due > now_ns)
				break;
			uint64_t slip_ns = load_now_ns() - due;
			histogram_add(&r->result->slip, slip_ns);
			ring->slips_ns[ring->sent / ring->stream->train] =
				(uint32_t)earliest(slip_ns, UINT32_MAX);
			send_train(r, ring);
			has_sent = true;
		}
	}
	return has_sent;
}

static bool has_sent_all(const struct run *r)
{
	for (size_t i = 0; i < r->plan->stream_count; i++)
		if (r->rings[i].sent < r->rings[i].total)
			return false;
	return true;
}

/* ---- receiving --------------------------------------------------------------------------- */

static uint64_t span(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

static void note_latency(struct run *r, uint64_t stamp, uint64_t came_ns)
{
	size_t stream = stamp >> STREAM_SHIFT;
	uint64_t index = stamp & ((1ULL << STREAM_SHIFT) - 1);
	if (stream >= r->plan->stream_count || index >= r->rings[stream].sent)
		return; /* of an earlier run */
	const struct ring *ring = &r->rings[stream];
	if (ring->stream->is_beside)
		return;
	uint64_t due = r->start_ns + due_ns(ring->stream, index);
	uint64_t left = due + ring->slips_ns[index / ring->stream->train];
	histogram_add(&r->result->latency, span(due, came_ns));
	histogram_add(&r->result->transit, span(left, came_ns));
}

static void note_arrival(struct run *r, const struct arrival *a)
{
	struct load_result *result = r->result;
	result->delivered[a->kind]++;
	if (a->kind == LOAD_HELLO || a->kind == LOAD_NOTHING)
		return;
	if (a->has_stamp)
		note_latency(r, a->stamp, a->came_ns);
	else if (a->wants_stamp)
		result->bad++;
}

static bool receive(struct run *r, uint64_t timeout_ns)
{
	struct arrival *arrivals;
	size_t count = sockets_receive(r->target->sockets, timeout_ns, &arrivals);
	if (count == 0)
		return false;
	for (size_t i = 0; i < count; i++)
		arrivals[i].wants_stamp = r->arrivals++ % r->plan->sample_every == 0;
	r->target->ops->read(r->target->state, arrivals, count);
	for (size_t i = 0; i < count; i++)
		note_arrival(r, &arrivals[i]);
	return true;
}

/* ---- the loop ---------------------------------------------------------------------------- */

/* One packet, where there is room and time. */
static bool write_ahead(struct run *r)
{
	for (size_t i = 0; i < r->plan->stream_count; i++) {
		struct ring *ring = &r->rings[i];
		if (ring->written < ring->total && ring->written < ring->sent + ring->capacity) {
			write_next(r, ring);
			return true;
		}
	}
	return false;
}

static uint64_t next_due_ns(const struct run *r)
{
	uint64_t next = NEVER;
	for (size_t i = 0; i < r->plan->stream_count; i++) {
		const struct ring *ring = &r->rings[i];
		if (ring->sent < ring->total)
			next = earliest(next, r->start_ns + due_ns(ring->stream, ring->sent));
	}
	return next;
}

static void rest(struct run *r, uint64_t since_ns)
{
	uint64_t next = next_due_ns(r), now = load_now_ns();
	uint64_t left = next > now ? next - now : 0;
	if (left > SLEEP_LEAST_NS)
		receive(r, earliest(left - SLEEP_LEAST_NS, SLEEP_MOST_NS));
	r->result->idle_ns += load_now_ns() - since_ns;
}

static bool is_over(struct run *r, uint64_t now_ns)
{
	uint64_t length_ns = (uint64_t)(r->plan->seconds * (double)NS_PER_S);
	bool is_hopeless = now_ns > r->start_ns + length_ns + LATE_MAX_NS;
	if (!is_hopeless && !has_sent_all(r))
		return false;
	if (r->end_ns == 0)
		r->end_ns = now_ns;
	uint64_t sent = 0, delivered = 0;
	for (int kind = LOAD_DATA; kind < LOAD_KINDS; kind++) {
		sent += r->result->sent[kind];
		delivered += r->result->delivered[kind];
	}
	return delivered >= sent || now_ns > r->end_ns + DRAIN_NS;
}

static void loop(struct run *r)
{
	for (;;) {
		uint64_t now = load_now_ns();
		if (is_over(r, now))
			return;
		bool has_worked = send_due(r, now);
		has_worked |= receive(r, 0);
		if (!has_worked && !write_ahead(r))
			rest(r, now);
	}
}

static bool prepare(struct run *r)
{
	bool has_memory = true;
	for (size_t i = 0; i < r->plan->stream_count; i++)
		has_memory &= ring_init(&r->rings[i], &r->plan->streams[i], r->plan->seconds);
	while (has_memory && write_ahead(r))
		;
	return has_memory;
}

/* Sizes are known of what was sent alone: lost packets count as of the average size. */
static uint64_t delivered_bytes(const struct run *r)
{
	double bytes = 0, packets = 0;
	for (size_t i = 0; i < r->plan->stream_count; i++) {
		const struct ring *ring = &r->rings[i];
		if (ring->stream->kind != LOAD_DATA)
			continue;
		packets += (double)ring->sent;
		bytes += (double)ring->sent * ring->stream->size;
	}
	return packets > 0 ? (uint64_t)(bytes / packets * (double)r->result->delivered[LOAD_DATA]) :
			     0;
}

static void execute(struct run *r)
{
	struct load_result *result = r->result;
	r->start_ns = result->start_ns = load_now_ns();
	loop(r);
	result->elapsed_ns = r->end_ns - r->start_ns;
	/* Of the wait for the last arrivals nothing counts as idle. */
	uint64_t drained_ns = load_now_ns() - r->end_ns;
	result->idle_ns -= earliest(result->idle_ns, drained_ns);
	result->user_bytes = delivered_bytes(r);
}

bool load_run(const struct target *target, const struct load_plan *plan,
	      void (*at_start)(void *state), void *state, struct load_result *result)
{
	struct run r = { .target = target, .plan = plan, .result = result };
	memset(result, 0, sizeof(*result));
	bool has_memory = prepare(&r);
	if (has_memory) {
		receive(&r, 0); /* what an earlier run left */
		memset(result, 0, sizeof(*result));
		if (at_start != NULL)
			at_start(state);
		execute(&r);
	}
	for (size_t i = 0; i < plan->stream_count; i++) {
		free(r.rings[i].frames);
		free(r.rings[i].slips_ns);
	}
	return has_memory;
}

double load_idle_share(const struct load_result *result)
{
	return result->elapsed_ns > 0 ? (double)result->idle_ns / (double)result->elapsed_ns : 0;
}

const char *load_doubt(const struct load_result *result)
{
	if (result->unsent > 0)
		return "the generator's own sockets were full";
	if (load_idle_share(result) < IDLE_LEAST)
		return "the generator was busy for more than 95 % of the time";
	if (histogram_quantile(&result->slip, 0.99) > SLIP_MAX_NS)
		return "the generator fell behind its schedule by more than 1 ms";
	return NULL;
}
