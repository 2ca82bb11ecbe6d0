#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

enum { STEP_MS = 5 };

static void add_flight(struct link_world *w, const uint8_t *data, size_t size,
		       const struct address *to)
{
	if (w->is_cut || random_below(&w->random, 100) < w->loss_percent)
		return;
	for (size_t i = 0; i < LINK_WORLD_FLIGHTS; i++) {
		struct link_flight *f = &w->flights[i];
		if (f->is_used)
			continue;
		f->is_used = true;
		f->is_to_relay = to != NULL;
		f->arrives_ns = w->now.mono_ns + LINK_WORLD_DELAY_MS * NS_PER_MS;
		f->order = ++w->order;
		f->size = size;
		memcpy(f->data, data, size);
		if (to != NULL)
			f->to = *to;
		return;
	}
	fail_msg("too many datagrams under way");
}

static void send_from_relay(void *state, const uint8_t *data, size_t size)
{
	add_flight(state, data, size, NULL);
}

struct link_world *link_world_create(uint64_t seed)
{
	struct link_world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->random = random_seeded_init(&w->seeded, seed);
	w->now = (struct instant){ .mono_ns = 100 * NS_PER_S,
				   .wall_ns = (1000 * 3600 + 1800) * NS_PER_S };
	relay_end_init(&w->relay, &w->random);
	w->relay.send = send_from_relay;
	w->relay.state = w;
	w->relay.now = w->now;
	relay_end_client(&w->relay, &w->config);
	return w;
}

void link_world_destroy(struct link_world *w)
{
	link_destroy(w->link);
	relay_end_fini(&w->relay);
	free(w);
}

struct link *link_world_link(struct link_world *w)
{
	if (w->link == NULL)
		w->link = link_create(&w->config, w->now);
	assert_non_null(w->link);
	return w->link;
}

static void take_event(struct link_world *w, const struct link_event *event)
{
	w->events++;
	if (event->type == LINK_EVENT_UP) {
		w->ups++;
		w->up_ns = w->now.mono_ns;
	} else if (event->type == LINK_EVENT_DOWN) {
		w->downs++;
		w->down = *event;
	} else if (event->type == LINK_EVENT_REFUSED) {
		w->refusals++;
		w->down = *event;
	} else {
		w->last = *event;
	}
	if (w->on_event != NULL)
		w->on_event(w, event);
}

void link_world_inject(struct link_world *w, const void *data, size_t size)
{
	uint8_t copy[2048];
	uint32_t channel;
	struct view blob;
	struct packet packet = { .data = copy, .size = (uint32_t)size };

	memcpy(copy, data, size);
	if (link_input(link_world_link(w), &packet, w->now, &channel, &blob))
		w->blobs++;
	struct link_event event;
	while (!w->leaves_events && link_next_event(w->link, &event))
		take_event(w, &event);
}

static struct link_flight *next_arrival(struct link_world *w)
{
	struct link_flight *first = NULL;
	for (size_t i = 0; i < LINK_WORLD_FLIGHTS; i++) {
		struct link_flight *f = &w->flights[i];
		if (f->is_used && f->arrives_ns <= w->now.mono_ns &&
		    (first == NULL || f->order < first->order))
			first = f;
	}
	return first;
}

static void deliver(struct link_world *w)
{
	struct link_flight *f;
	while ((f = next_arrival(w)) != NULL) {
		if (f->is_to_relay)
			relay_end_input(&w->relay, f->data, f->size, &f->to);
		else
			link_world_inject(w, f->data, f->size);
		f->is_used = false; /* only now: answers take free places */
	}
}

bool link_world_send_blob(struct link_world *w, uint32_t channel, size_t size)
{
	uint8_t frame[DATAGRAM_SIZE_MAX + 512] = { 0 };
	struct packet packet;

	if (!link_send(link_world_link(w), channel, frame, size, &packet))
		return false;
	assert_true(packet.size <= DATAGRAM_SIZE_MAX);
	assert_int_equal(packet.size - WIRE_OVERHEAD, wire_padded_size(size + DATA_FRAME_HEAD));
	w->sent++;
	add_flight(w, packet.data, packet.size, &packet.path.remote);
	return true;
}

static void note_hello(struct link_world *w, const struct packet *packet)
{
	struct link_status status;
	link_get_status(w->link, &status);
	if (status.state != LINK_ESTABLISHED && status.tries > 0 &&
	    w->hello_count < LINK_WORLD_HELLOS && packet->size >= HELLO_SIZE_MIN)
		w->hello_to[w->hello_count++] = packet->path.remote;
}

static void drain_output(struct link_world *w)
{
	uint8_t data[DATAGRAM_SIZE_MAX];
	struct view_out out = { .data = data, .capacity = sizeof(data) };
	struct packet packet;
	unsigned count = 0;

	while (link_output(link_world_link(w), w->now, out, &packet)) {
		assert_true(++count < 100); /* it comes to an end */
		assert_ptr_equal(packet.data, data);
		w->sent++;
		note_hello(w, &packet);
		add_flight(w, packet.data, packet.size, &packet.path.remote);
	}
}

static void step(struct link_world *w)
{
	deliver(w);
	relay_end_tick(&w->relay, w->now);
	if (w->blob_interval_ns > 0 && w->now.mono_ns >= w->blob_ns) {
		w->blob_ns = w->now.mono_ns + w->blob_interval_ns;
		if (!link_world_send_blob(w, 5, 300))
			w->blob_ns = 0;
	}
	/* Only when it asked for it: so its deadlines are tested too. */
	if (link_deadline(link_world_link(w)) <= w->now.mono_ns)
		drain_output(w);
	struct link_event event;
	while (!w->leaves_events && link_next_event(w->link, &event))
		take_event(w, &event);
	w->now.mono_ns += STEP_MS * NS_PER_MS;
	w->now.wall_ns += STEP_MS * NS_PER_MS;
}

void link_world_run(struct link_world *w, uint64_t duration_ns)
{
	uint64_t end_ns = w->now.mono_ns + duration_ns;
	while (w->now.mono_ns < end_ns)
		step(w);
}

bool link_world_run_until_up(struct link_world *w, unsigned ups, uint64_t limit_ns)
{
	uint64_t end_ns = w->now.mono_ns + limit_ns;
	while (w->now.mono_ns < end_ns && w->ups < ups)
		step(w);
	return w->ups >= ups;
}

struct link_status link_world_status(struct link_world *w)
{
	struct link_status status;
	link_get_status(w->link, &status);
	return status;
}

struct link_world *link_world_connect(uint64_t seed)
{
	struct link_world *w = link_world_create(seed);
	assert_true(link_world_run_until_up(w, 1, 10 * NS_PER_S));
	link_world_run(w, NS_PER_S / 10);
	return w;
}
