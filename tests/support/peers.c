#include "tests/support/peers.h"

#include "core/hello.h"

void peers_make_self(struct peers *w, struct peer_self *self, const char *name)
{
	memset(self, 0, sizeof *self);
	ed25519_generate(&self->identity, &w->random);
	x25519_generate(&self->static_key, &w->random);
	peer_id_of(self->identity.public, self->id);
	random_fill(&w->random, self->instance, sizeof self->instance);
	memcpy(self->name, name, strlen(name));
}

void peers_make(struct peers *w, int i)
{
	struct peer_config config = {
		.self = &w->self[i],
		.pin = w->has_pin[i] ? &w->pins[i] : NULL,
		.random = w->random,
		.cipher = packet_cipher_by_name("openssl"),
	};

	memcpy(config.remote_id, w->self[1 - i].id, PEER_ID_SIZE);
	peer_destroy(w->peers[i]);
	w->peers[i] = peer_create(&config);
	assert_non_null(w->peers[i]);
	w->event_count[i] = 0;
	w->received[i] = 0;
}

void peers_init(struct peers *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random = random_seeded_init(&w->seeded, seed);
	w->now_ns = NS_PER_S;
	peers_make_self(w, &w->self[0], "Ada");
	peers_make_self(w, &w->self[1],
			"B\xc3\xb3"
			"b");
	peers_make(w, 0);
	peers_make(w, 1);
}

void peers_fini(struct peers *w)
{
	peer_destroy(w->peers[0]);
	peer_destroy(w->peers[1]);
	w->peers[0] = w->peers[1] = NULL;
}

static bool happens(struct peers *w, uint32_t percent)
{
	return random_below(&w->random, 100) < percent;
}

static void put(struct peers *w, int to, const uint8_t *bytes, size_t size)
{
	unsigned copies = happens(w, w->weather.loss) ? 0 : happens(w, w->weather.copies) ? 2 : 1;

	w->blobs++;
	assert_true(size <= BLOB_SIZE_MAX);
	while (copies-- > 0 && w->pipe_count < PIPE_MAX) {
		struct blob *blob = &w->pipe[w->pipe_count++];
		uint64_t delay = w->weather.delay_ns;
		memcpy(blob->bytes, bytes, size);
		blob->size = size;
		blob->to = to;
		blob->at_ns = w->now_ns + STEP_NS +
			      (delay > 0 ? random_below(&w->random, (uint32_t)delay) : 0);
	}
}

static void collect_events(struct peers *w, int i)
{
	struct peer_event event;

	while (peer_next_event(w->peers[i], &event)) {
		if (event.type == PEER_EVENT_CONFIRMED) {
			/* No event of its own for most tests: it completes the pin told before. */
			for (size_t e = 0; e < w->event_count[i]; e++)
				if (w->events[i][e].type == PEER_EVENT_SECURE)
					w->events[i][e].pin.is_tentative = false;
			w->confirmed[i]++;
			continue;
		}
		assert_true(w->event_count[i] < EVENTS_MAX);
		w->events[i][w->event_count[i]++] = event;
	}
}

static void speak(struct peers *w, int i)
{
	uint8_t out[BLOB_SIZE_MAX];
	size_t size;

	while (peer_output(w->peers[i], w->now_ns, (struct view_out){ out, sizeof out }, &size))
		put(w, 1 - i, out, size);
}

enum peer_frame peers_hear(struct peers *w, int i, const struct blob *blob)
{
	struct blob copy = *blob;
	struct view body;
	enum peer_frame type = peer_input(w->peers[i], copy.bytes, copy.size, w->now_ns, &body);

	w->received[i] += type != PEER_FRAME_NONE;
	collect_events(w, i);
	return type;
}

void peers_step(struct peers *w)
{
	w->now_ns += STEP_NS;
	for (size_t i = 0; i < w->pipe_count;) {
		if (w->pipe[i].at_ns > w->now_ns) {
			i++;
			continue;
		}
		struct blob blob = w->pipe[i];
		w->pipe[i] = w->pipe[--w->pipe_count];
		peers_hear(w, blob.to, &blob);
	}
	for (int i = 0; i < 2; i++) {
		if (w->now_ns >= peer_deadline(w->peers[i]))
			speak(w, i);
		collect_events(w, i);
	}
}

void peers_run_ms(struct peers *w, uint64_t ms)
{
	for (uint64_t end = w->now_ns + ms * NS_PER_MS; w->now_ns < end;)
		peers_step(w);
}

size_t peers_seal(struct peers *w, int from, enum peer_frame type, const char *text,
		  struct blob *blob)
{
	memcpy(blob->bytes + PEER_HEADROOM, text, strlen(text));
	blob->size = peer_seal(w->peers[from], type, blob->bytes, strlen(text));
	blob->to = 1 - from;
	return blob->size;
}

void peers_assert_talk(struct peers *w)
{
	struct view body;
	struct blob blob;

	for (int from = 0; from < 2; from++) {
		enum peer_frame type = from == 0 ? PEER_FRAME_SCTP : PEER_FRAME_DATAGRAM;
		assert_true(peers_seal(w, from, type, "hello", &blob) > 0);
		assert_int_equal(peer_input(w->peers[1 - from], blob.bytes, blob.size, w->now_ns,
					    &body),
				 type);
		assert_int_equal(body.size, strlen("hello"));
		assert_memory_equal(body.data, "hello", body.size);
	}
}

void peers_begin(struct peers *w, int initiator)
{
	peer_begin(w->peers[1 - initiator], false, w->now_ns);
	peer_begin(w->peers[initiator], true, w->now_ns);
}

size_t peers_count(const struct peers *w, int i, enum peer_event_type type)
{
	size_t count = 0;

	for (size_t e = 0; e < w->event_count[i]; e++)
		count += w->events[i][e].type == type;
	return count;
}

const struct peer_event *peers_last_event(const struct peers *w, int i)
{
	assert_true(w->event_count[i] > 0);
	return &w->events[i][w->event_count[i] - 1];
}

void peers_save(struct peers *w, int i)
{
	assert_int_equal(peers_last_event(w, i)->type, PEER_EVENT_SECURE);
	w->pins[i] = peers_last_event(w, i)->pin;
	w->has_pin[i] = true;
}

void peers_init_friends(struct peers *w, uint64_t seed)
{
	peers_init(w, seed);
	peers_begin(w, 0);
	peers_run_ms(w, 100);
	for (int i = 0; i < 2; i++)
		peers_save(w, i);
	for (int i = 0; i < 2; i++)
		peers_make(w, i);
	w->pipe_count = 0;
}

void peers_assert_mirrored(const struct peers *w, bool is_first_contact)
{
	for (int i = 0; i < 2; i++) {
		const struct peer_event *event = peers_last_event(w, i);
		const struct peer_self *other = &w->self[1 - i];
		assert_int_equal(peers_count(w, i, PEER_EVENT_SECURE), 1);
		assert_int_equal(w->event_count[i], 1);
		assert_int_equal(event->is_first_contact, is_first_contact);
		assert_memory_equal(event->pin.identity, other->identity.public, 32);
		assert_memory_equal(event->pin.static_public, other->static_key.public, 32);
		assert_memory_equal(event->instance, other->instance, PEER_INSTANCE_SIZE);
		assert_string_equal(event->name, other->name);
		assert_int_equal(event->pin.psk_count, is_first_contact ? 1 : 2);
		assert_true(peer_is_secure(w->peers[i]));
	}
	assert_memory_equal(peers_last_event(w, 0)->pin.psks, peers_last_event(w, 1)->pin.psks,
			    sizeof peers_last_event(w, 0)->pin.psks);
}
