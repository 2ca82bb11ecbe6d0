/* Control frames: the codec, and the repetition of those that must arrive. */
#include "core/frames.h"

#include "tests/support/crypto.h"

/* ---- codec ------------------------------------------------------------------------------- */

struct buffer {
	uint8_t data[PLAIN_SIZE_MAX];
	struct frame_writer writer;
};

static struct frame_writer *begin(struct buffer *b, size_t capacity)
{
	memset(b->data, 0xa5, sizeof b->data);
	b->writer = (struct frame_writer){ .data = b->data, .capacity = capacity };
	return &b->writer;
}

static const struct {
	enum frame_type type;
	size_t size_min; /* of the body without a sequence number */
} TYPES[] = {
	/* clang-format off */
	{ FRAME_ACK, 4 }, { FRAME_PING, 8 }, { FRAME_PONG, 36 }, { FRAME_PATH_CHALLENGE, 8 },
	{ FRAME_PATH_RESPONSE, 8 }, { FRAME_PEERS_GET, 36 }, { FRAME_PEERS, 8 },
	{ FRAME_FIND, 20 }, { FRAME_FOUND, 8 }, { FRAME_OPEN, 36 }, { FRAME_OFFER, 36 },
	{ FRAME_ACCEPT, 4 }, { FRAME_REFUSE, 8 }, { FRAME_OPENED, 44 },
	{ FRAME_OPEN_FAILED, 8 }, { FRAME_CLOSE, 4 }, { FRAME_GONE, 8 }, { FRAME_GOODBYE, 4 },
	{ FRAME_PORT_NEXT, 48 }, { FRAME_REKEY_1, 52 }, { FRAME_REKEY_2, 52 },
	{ FRAME_ENROL_OFFER, 52 }, { FRAME_ENROL_CONFIRM, 0 }, { FRAME_ENROL_DONE, 16 },
	{ FRAME_SCHEDULE, 52 }, { FRAME_BURN, 204 }, { FRAME_BURN_ACK, 20 },
	{ 12, 0 }, { 34, 0 }, { FRAME_TYPE_LAST, 0 },
	/* clang-format on */
};

/* Writes one frame of `type` with `size` zero bytes of body behind its sequence number. */
static void put_zeros(struct frame_writer *w, enum frame_type type, size_t size)
{
	static const uint8_t zeros[FRAME_BODY_MAX];
	size += frame_is_reliable(type) ? sizeof(le32) : 0;
	assert_true(frame_put(w, type, view_of(zeros, size)));
}

static void reads_what_was_written(void **state)
{
	struct buffer b;
	struct frame frame;

	(void)state;
	struct frame_writer *w = begin(&b, sizeof b.data);
	assert_true(frame_put(w, FRAME_PING, VIEW_STRING("12345678")));
	assert_true(frame_put(w, FRAME_CLOSE,
			      VIEW_STRING("\x01\x02\x03\x04"
					  "abcd, and more")));
	struct view plain = view_of(b.data, frame_pad(w));
	assert_int_equal(plain.size, PAD_BUCKET);

	assert_int_equal(frame_next(&plain, &frame), FRAME_READ);
	assert_int_equal(frame.type, FRAME_PING);
	assert_int_equal(frame.body.size, 8);
	assert_memory_equal(frame.body.data, "12345678", 8);
	assert_int_equal(frame_next(&plain, &frame), FRAME_READ);
	assert_int_equal(frame.type, FRAME_CLOSE);
	assert_int_equal(frame.sequence, 0x04030201);
	assert_int_equal(frame.body.size, 14);
	assert_memory_equal(frame.body.data, "abcd, and more", 14);
	assert_int_equal(frame_next(&plain, &frame), FRAME_NONE_LEFT);
	assert_int_equal(frame_next(&plain, &frame), FRAME_NONE_LEFT);
}

static void checks_the_size_of_each_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
		struct buffer b;
		struct frame frame;
		for (size_t size = 0; size <= TYPES[i].size_min + 3; size++) {
			struct frame_writer *w = begin(&b, sizeof b.data);
			put_zeros(w, TYPES[i].type, size);
			struct view plain = view_of(b.data, w->size);
			enum frame_status expected =
				size < TYPES[i].size_min ? FRAME_MALFORMED : FRAME_READ;
			assert_int_equal(frame_next(&plain, &frame), expected);
			if (expected != FRAME_READ)
				continue;
			assert_int_equal(frame.type, TYPES[i].type);
			assert_int_equal(frame.body.size, size);
			assert_int_equal(plain.size, 0);
		}
	}
}

static void refuses_what_is_malformed(void **state)
{
	static const struct {
		const char *hex;
		enum frame_status status;
	} rows[] = {
		{ "", FRAME_NONE_LEFT },
		{ "00", FRAME_NONE_LEFT },
		{ "00ffff", FRAME_NONE_LEFT },
		{ "03000800"
		  "0102030405060708",
		  FRAME_READ },
		{ "03000700"
		  "0102030405060708",
		  FRAME_MALFORMED }, /* too small for a PING */
		{ "03000900"
		  "0102030405060708",
		  FRAME_MALFORMED }, /* longer than what is there */
		{ "03ff0800"
		  "0102030405060708",
		  FRAME_READ },            /* reserved byte is not read */
		{ "03", FRAME_MALFORMED }, /* cut head */
		{ "030008", FRAME_MALFORMED },
		{ "01000000", FRAME_MALFORMED }, /* DATA among control frames */
		{ "30000000", FRAME_MALFORMED }, /* type 48 */
		{ "ff000000", FRAME_MALFORMED },
		{ "2f000400"
		  "00000000",
		  FRAME_READ }, /* type 47, only a sequence */
		{ "2f000300"
		  "000000",
		  FRAME_MALFORMED }, /* not even that */
		{ "0800"
		  "0800"
		  "00000000"
		  "01000000",
		  FRAME_MALFORMED }, /* no entry */
		{ "0800"
		  "0800"
		  "00000000"
		  "00000000",
		  FRAME_READ },
		{ "0a00"
		  "1700"
		  "00000000"
		  "01000000"
		  "000102030405060708090a0b0c0d0e",
		  FRAME_MALFORMED }, /* FOUND, cut entry */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t bytes[64];
		struct frame frame;
		struct view plain = view_of(bytes, test_hex(rows[i].hex, bytes, sizeof bytes));
		if (frame_next(&plain, &frame) != rows[i].status)
			fail_msg("row %zu: %s", i, rows[i].hex);
	}
}

/* The count of a list may reach its limit and what is there, and nothing above. */
static void bounds_the_lists(void **state)
{
	static const struct {
		enum frame_type type;
		unsigned count;
		size_t size;
		enum frame_status status;
	} rows[] = {
		{ FRAME_PEERS, PEERS_PER_FRAME_MAX, 8 + PEERS_PER_FRAME_MAX * 48, FRAME_READ },
		{ FRAME_PEERS, PEERS_PER_FRAME_MAX, 7 + PEERS_PER_FRAME_MAX * 48, FRAME_MALFORMED },
		{ FRAME_PEERS, PEERS_PER_FRAME_MAX + 1, FRAME_BODY_MAX, FRAME_MALFORMED },
		{ FRAME_PEERS, 1, 8 + 48, FRAME_READ },
		{ FRAME_PEERS, 2, 8 + 48, FRAME_MALFORMED },
		{ FRAME_FOUND, FIND_RESULTS_MAX, 8 + FIND_RESULTS_MAX * 32, FRAME_READ },
		{ FRAME_FOUND, FIND_RESULTS_MAX, 7 + FIND_RESULTS_MAX * 32, FRAME_MALFORMED },
		{ FRAME_FOUND, FIND_RESULTS_MAX + 1, FRAME_BODY_MAX, FRAME_MALFORMED },
		{ FRAME_FOUND, 255, FRAME_BODY_MAX, FRAME_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buffer b;
		struct frame frame;
		struct frame_writer *w = begin(&b, sizeof b.data);
		put_zeros(w, rows[i].type, rows[i].size);
		b.data[FRAME_HEAD + offsetof(struct wire_peers, count)] = (uint8_t)rows[i].count;
		struct view plain = view_of(b.data, w->size);
		if (frame_next(&plain, &frame) != rows[i].status)
			fail_msg("row %zu", i);
	}
}

static void writes_only_what_fits(void **state)
{
	static const uint8_t body[FRAME_BODY_MAX + 1];
	struct buffer b;

	(void)state;
	struct frame_writer *w = begin(&b, FRAME_HEAD + 8);
	assert_false(frame_put(w, FRAME_PING, view_of(body, 9)));
	assert_int_equal(w->size, 0);
	assert_int_equal(b.data[0], 0xa5);
	assert_true(frame_put(w, FRAME_PING, view_of(body, 8)));
	assert_false(frame_put(w, FRAME_PING, view_of(body, 0)));
	assert_int_equal(b.data[FRAME_HEAD + 8], 0xa5);

	w = begin(&b, sizeof b.data);
	assert_false(frame_put(w, FRAME_PEERS, view_of(body, FRAME_BODY_MAX + 1)));
	assert_true(frame_put(w, FRAME_PEERS, view_of(body, FRAME_BODY_MAX)));
}

static void pads_with_zeros(void **state)
{
	static const struct {
		size_t size, capacity, padded;
	} rows[] = {
		{ 1, PLAIN_SIZE_MAX, 128 },
		{ 128, PLAIN_SIZE_MAX, 128 },
		{ 129, PLAIN_SIZE_MAX, 256 },
		{ 1190, PLAIN_SIZE_MAX, PLAIN_SIZE_MAX },
		{ 20, 60, 60 },
		{ 60, 60, 60 },
		{ 0, PLAIN_SIZE_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buffer b;
		struct frame_writer *w = begin(&b, rows[i].capacity);
		w->size = rows[i].size;
		assert_int_equal(frame_pad(w), rows[i].padded);
		for (size_t at = 0; at < sizeof b.data; at++) {
			bool is_padding = at >= rows[i].size && at < rows[i].padded;
			assert_int_equal(b.data[at], is_padding ? 0 : 0xa5);
		}
	}
}

/* ---- repetition -------------------------------------------------------------------------- */

/* Returns the count of frames in one fresh packet at `now_ns`. */
static unsigned write_at(struct reliable_sender *s, uint64_t now_ns)
{
	struct buffer b;
	return reliable_write(s, begin(&b, sizeof b.data), now_ns);
}

static bool put_number(struct reliable_sender *s, uint32_t number)
{
	struct wire_channel body = { .channel = store_le32(number) };
	return reliable_put(s, FRAME_CLOSE, view_of(&body, sizeof body));
}

static void repeats_with_back_off_until_dead(void **state)
{
	struct reliable_sender s;
	uint64_t now_ns = 5 * NS_PER_S, wait_ns = RELIABLE_FIRST_NS;

	(void)state;
	reliable_init(&s, 0);
	assert_int_equal(reliable_deadline(&s), NEVER);
	assert_int_equal(write_at(&s, now_ns), 0);
	assert_true(put_number(&s, 1));
	assert_int_equal(reliable_deadline(&s), 0);
	assert_int_equal(write_at(&s, now_ns), 1);
	for (unsigned try = 0; try <= RELIABLE_TRIES_MAX; try++) {
		assert_int_equal(reliable_deadline(&s), now_ns + wait_ns);
		assert_int_equal(write_at(&s, now_ns + wait_ns - 1), 0);
		assert_false(reliable_is_dead(&s));
		now_ns += wait_ns;
		wait_ns = earliest(2 * wait_ns, RELIABLE_LAST_NS);
		assert_int_equal(write_at(&s, now_ns), try < RELIABLE_TRIES_MAX ? 1 : 0);
	}
	assert_true(reliable_is_dead(&s));
	assert_int_equal(reliable_deadline(&s), NEVER);
	assert_in_range(now_ns, 60 * NS_PER_S, 90 * NS_PER_S);
}

static void acknowledgement_frees_and_restarts_the_clock(void **state)
{
	struct reliable_sender s;

	(void)state;
	reliable_init(&s, 7);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(put_number(&s, i));
	assert_int_equal(write_at(&s, 0), 3);
	assert_int_equal(write_at(&s, RELIABLE_FIRST_NS), 3);
	assert_int_equal(reliable_deadline(&s), 3 * RELIABLE_FIRST_NS);

	reliable_acknowledge(&s, 7, 2 * RELIABLE_FIRST_NS);  /* nothing new */
	reliable_acknowledge(&s, 6, 2 * RELIABLE_FIRST_NS);  /* old */
	reliable_acknowledge(&s, 11, 2 * RELIABLE_FIRST_NS); /* never put */
	assert_int_equal(s.count, 3);
	assert_int_equal(reliable_deadline(&s), 3 * RELIABLE_FIRST_NS);

	reliable_acknowledge(&s, 9, 2 * RELIABLE_FIRST_NS);
	assert_int_equal(s.count, 1);
	assert_int_equal(reliable_deadline(&s), 3 * RELIABLE_FIRST_NS);
	assert_int_equal(write_at(&s, 3 * RELIABLE_FIRST_NS), 1);
	reliable_acknowledge(&s, 10, 4 * RELIABLE_FIRST_NS);
	assert_int_equal(reliable_deadline(&s), NEVER);
	assert_int_equal(write_at(&s, 100 * NS_PER_S), 0);
}

static void bounds_its_queue_and_bodies(void **state)
{
	static const uint8_t body[RELIABLE_BODY_MAX + 1];
	struct reliable_sender s;

	(void)state;
	reliable_init(&s, 0);
	assert_false(reliable_put(&s, FRAME_OPEN, view_of(body, RELIABLE_BODY_MAX + 1)));
	for (unsigned i = 0; i < RELIABLE_QUEUE; i++)
		assert_true(reliable_put(&s, FRAME_OPEN, view_of(body, RELIABLE_BODY_MAX)));
	assert_false(reliable_put(&s, FRAME_OPEN, view_of(body, 1)));

	/* Several packets' worth: call after call, then nothing until the repetition. */
	unsigned total = 0, written;
	while ((written = write_at(&s, 0)) > 0) {
		assert_in_range(written, 1, PLAIN_SIZE_MAX / RELIABLE_BODY_MAX);
		total += written;
	}
	assert_int_equal(total, RELIABLE_QUEUE);
	reliable_acknowledge(&s, 1, 0);
	assert_true(reliable_put(&s, FRAME_OPEN, view_of(body, 1)));
}

static void receiver_takes_the_next_alone(void **state)
{
	struct reliable_receiver r = { .next = UINT32_MAX };

	(void)state;
	assert_false(reliable_accept(&r, 0));
	assert_true(r.is_ack_due);
	r.is_ack_due = false;
	assert_true(reliable_accept(&r, UINT32_MAX));
	assert_true(r.is_ack_due);
	assert_false(reliable_accept(&r, UINT32_MAX));
	assert_true(reliable_accept(&r, 0));
	assert_int_equal(r.next, 1);
}

/* ---- over a pipe that loses, copies and reorders ----------------------------------------- */

enum { PIPE_DEPTH = 256, STEP_NS = 10000000, DELAY_STEPS_MAX = 40 };

struct flight {
	bool is_used;
	uint64_t arrives_ns;
	struct view plain;
	uint8_t data[PLAIN_SIZE_MAX];
};

struct pipe {
	struct flight flights[PIPE_DEPTH];
	struct random_source *random;
	unsigned loss_percent;
};

static void pipe_add(struct pipe *p, struct view plain, uint64_t now_ns)
{
	for (size_t i = 0; i < PIPE_DEPTH; i++) {
		struct flight *f = &p->flights[i];
		if (f->is_used)
			continue;
		uint64_t steps = 1 + random_below(p->random, DELAY_STEPS_MAX);
		*f = (struct flight){ .is_used = true, .arrives_ns = now_ns + steps * STEP_NS };
		memcpy(f->data, plain.data, plain.size);
		f->plain = view_of(f->data, plain.size);
		return;
	}
}

static void pipe_send(struct pipe *p, struct view plain, uint64_t now_ns)
{
	unsigned copies = 1 + (random_below(p->random, 4) == 0);
	for (unsigned i = 0; i < copies; i++)
		if (random_below(p->random, 100) >= p->loss_percent)
			pipe_add(p, plain, now_ns);
}

static struct flight *pipe_take(struct pipe *p, uint64_t now_ns)
{
	for (size_t i = 0; i < PIPE_DEPTH; i++) {
		struct flight *f = &p->flights[i];
		if (f->is_used && f->arrives_ns <= now_ns) {
			f->is_used = false;
			return f;
		}
	}
	return NULL;
}

struct ends {
	struct reliable_sender sender;
	struct reliable_receiver receiver;
	struct pipe there, back;
	uint32_t put, got;
};

static void deliver(struct ends *e, uint64_t now_ns)
{
	struct flight *f;
	struct frame frame;

	while ((f = pipe_take(&e->there, now_ns)) != NULL) {
		while (frame_next(&f->plain, &frame) == FRAME_READ) {
			if (!reliable_accept(&e->receiver, frame.sequence))
				continue;
			const struct wire_channel *body = (const void *)frame.body.data;
			assert_int_equal(load_le32(body->channel), e->got);
			e->got++;
		}
	}
	while ((f = pipe_take(&e->back, now_ns)) != NULL) {
		assert_int_equal(frame_next(&f->plain, &frame), FRAME_READ);
		const struct wire_ack *ack = (const void *)frame.body.data;
		reliable_acknowledge(&e->sender, load_le32(ack->next), now_ns);
	}
}

static void send_all(struct ends *e, uint64_t now_ns)
{
	struct buffer b;

	while (reliable_write(&e->sender, begin(&b, sizeof b.data), now_ns) > 0)
		pipe_send(&e->there, view_of(b.data, b.writer.size), now_ns);
	if (e->receiver.is_ack_due) {
		struct wire_ack ack = { .next = store_le32(e->receiver.next) };
		assert_true(
			frame_put(begin(&b, sizeof b.data), FRAME_ACK, view_of(&ack, sizeof ack)));
		pipe_send(&e->back, view_of(b.data, b.writer.size), now_ns);
		e->receiver.is_ack_due = false;
	}
}

/*
 * Goal:   each frame arrives exactly once and in order, whatever the path does.
 * Method: 500 numbered frames over pipes that lose 0 to 30 %, copy a quarter and delay each
 *         packet by a time of its own; starting just below the wrap of the sequence.
 */
static void arrives_once_and_in_order(void **state)
{
	static struct ends e;
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());

	(void)state;
	for (unsigned loss = 0; loss <= 30; loss += 10) {
		memset(&e, 0, sizeof e);
		e.there = (struct pipe){ .random = &random, .loss_percent = loss };
		e.back = (struct pipe){ .random = &random, .loss_percent = loss };
		reliable_init(&e.sender, UINT32_MAX - 100);
		e.receiver.next = UINT32_MAX - 100;
		uint64_t now_ns = 0;
		while (e.got < 500 && now_ns < 3600 * NS_PER_S) {
			while (e.put < 500 && put_number(&e.sender, e.put))
				e.put++;
			send_all(&e, now_ns);
			now_ns += STEP_NS;
			deliver(&e, now_ns);
			assert_false(reliable_is_dead(&e.sender));
		}
		assert_int_equal(e.got, 500);
	}
}

static void a_cut_path_is_found_dead(void **state)
{
	static struct ends e;
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	uint64_t now_ns = 0;

	(void)state;
	memset(&e, 0, sizeof e);
	e.there = (struct pipe){ .random = &random, .loss_percent = 100 };
	reliable_init(&e.sender, 0);
	assert_true(put_number(&e.sender, 0));
	while (!reliable_is_dead(&e.sender) && now_ns < 3600 * NS_PER_S) {
		send_all(&e, now_ns);
		now_ns = earliest(reliable_deadline(&e.sender), 3600 * NS_PER_S);
	}
	assert_true(reliable_is_dead(&e.sender));
	assert_int_equal(e.got, 0);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(reads_what_was_written),
	cmocka_unit_test(checks_the_size_of_each_type),
	cmocka_unit_test(refuses_what_is_malformed),
	cmocka_unit_test(bounds_the_lists),
	cmocka_unit_test(writes_only_what_fits),
	cmocka_unit_test(pads_with_zeros),
	cmocka_unit_test(repeats_with_back_off_until_dead),
	cmocka_unit_test(acknowledgement_frees_and_restarts_the_clock),
	cmocka_unit_test(bounds_its_queue_and_bodies),
	cmocka_unit_test(receiver_takes_the_next_alone),
	cmocka_unit_test(arrives_once_and_in_order),
	cmocka_unit_test(a_cut_path_is_found_dead),
};

CRYPTO_TESTS(TESTS)
