#include "tests/support/deliveries.h"

uint64_t deliveries_clock_ns = NS_PER_S;

bool deliveries_happens(struct deliveries *w, uint32_t percent)
{
	return random_below(&w->random, 100) < percent;
}

static void put(struct deliveries *w, int to, const uint8_t *bytes, size_t size)
{
	unsigned copies = deliveries_happens(w, w->loss)   ? 0 :
			  deliveries_happens(w, w->copies) ? 2 :
							     1;

	assert_true(size <= DELIVERY_PACKET_MAX);
	struct packet packet = { .size = size, .to = to };
	memcpy(packet.bytes, bytes, size);
	w->kept[w->packets++ % PACKETS_KEPT] = packet;
	while (copies-- > 0 && w->pipe_count < PIPE_MAX) {
		packet.at_ns = w->now_ns;
		if (w->delay_ns > 0)
			packet.at_ns += random_below(&w->random, (uint32_t)w->delay_ns);
		w->pipe[w->pipe_count++] = packet;
	}
}

static void send_packet(void *state, const uint8_t *packet, size_t size)
{
	struct end *end = state;

	put(end->world, 1 - end->index, packet, size);
}

void deliveries_make(struct deliveries *w, int i)
{
	struct delivery_config config = { .send = send_packet, .state = &w->ends[i] };

	w->deliveries[i] = delivery_create(&config);
	assert_non_null(w->deliveries[i]);
}

void deliveries_init(struct deliveries *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random = random_seeded_init(&w->seeded, seed);
	w->now_ns = deliveries_clock_ns;
	w->pipe = calloc(PIPE_MAX, sizeof *w->pipe);
	assert_non_null(w->pipe);
	for (int i = 0; i < 2; i++)
		w->ends[i] = (struct end){ .world = w, .index = i };
	delivery_advance(w->now_ns);
}

void deliveries_unmake(struct deliveries *w, int i)
{
	delivery_destroy(w->deliveries[i]);
	w->deliveries[i] = NULL;
}

void deliveries_fini(struct deliveries *w)
{
	deliveries_unmake(w, 0);
	deliveries_unmake(w, 1);
	free(w->pipe);
}

/* Packets that are due, in no particular order where delays overlap. */
void deliveries_carry(struct deliveries *w)
{
	for (size_t i = 0; i < w->pipe_count;) {
		if (w->pipe[i].at_ns > w->now_ns) {
			i++;
			continue;
		}
		struct packet packet = w->pipe[i];
		memmove(&w->pipe[i], &w->pipe[i + 1], (--w->pipe_count - i) * sizeof w->pipe[0]);
		if (w->deliveries[packet.to] != NULL)
			delivery_input(w->deliveries[packet.to], packet.bytes, packet.size);
	}
}

void deliveries_step(struct deliveries *w)
{
	deliveries_clock_ns = w->now_ns += DELIVERIES_STEP_NS;
	deliveries_carry(w);
	assert_true(delivery_advance(w->now_ns) > w->now_ns);
}

void deliveries_run_ms(struct deliveries *w, uint64_t ms)
{
	for (uint64_t end = w->now_ns + ms * NS_PER_MS; w->now_ns < end;)
		deliveries_step(w);
}

void deliveries_connect(struct deliveries *w)
{
	deliveries_make(w, 0);
	deliveries_make(w, 1);
	for (int i = 0; i < 6000 && (delivery_state(w->deliveries[0]) != DELIVERY_UP ||
				     delivery_state(w->deliveries[1]) != DELIVERY_UP);
	     i++)
		deliveries_step(w);
	assert_int_equal(delivery_state(w->deliveries[0]), DELIVERY_UP);
	assert_int_equal(delivery_state(w->deliveries[1]), DELIVERY_UP);
}

static size_t size_of(uint16_t stream, uint32_t number)
{
	static const size_t sizes[] = { 1, 5, 100, 1127, 1128, 1129, 3000, 20000, 32768, 65536 };
	uint32_t mixed = (number * 2654435761u + stream * 40503u) >> 16;
	size_t kind = mixed % 64;

	return kind < 10 ? sizes[kind] : kind < 20 ? 1 + mixed % 4000 : 1 + mixed % 300;
}

static void fill(uint8_t *bytes, uint16_t stream, uint32_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(number * 31 + stream * 7 + i);
}

enum delivery_send_status book_send(struct delivery *d, struct book *book, uint16_t stream)
{
	static uint8_t bytes[DELIVERY_MESSAGE_MAX];
	size_t size = size_of(stream, book->sent[stream]);

	fill(bytes, stream, book->sent[stream], size);
	enum delivery_send_status status = delivery_send(d, stream, view_of(bytes, size));
	book->sent[stream] += status == DELIVERY_SENT;
	return status;
}

size_t book_check(struct delivery *d, struct book *book)
{
	static uint8_t bytes[DELIVERY_MESSAGE_MAX];
	struct view message;
	uint16_t stream;
	size_t count = 0;

	while (delivery_next(d, &stream, &message)) {
		assert_true(stream < DELIVERY_STREAMS);
		size_t size = size_of(stream, book->got[stream]);
		fill(bytes, stream, book->got[stream]++, size);
		assert_int_equal(message.size, size);
		assert_memory_equal(message.data, bytes, size);
		count++;
	}
	return count;
}

size_t book_total(const uint32_t counts[DELIVERY_STREAMS])
{
	size_t sum = 0;

	for (size_t i = 0; i < DELIVERY_STREAMS; i++)
		sum += counts[i];
	return sum;
}

void deliveries_exchange(struct deliveries *w, struct book books[2], size_t count,
			 uint64_t limit_ms)
{
	uint64_t end = w->now_ns + limit_ms * NS_PER_MS;

	while (book_total(books[0].got) < count || book_total(books[1].got) < count) {
		for (int i = 0; i < 2; i++) {
			while (book_total(books[i].sent) < count) {
				uint16_t stream =
					(uint16_t)(book_total(books[i].sent) % DELIVERY_STREAMS);
				if (book_send(w->deliveries[i], &books[i], stream) != DELIVERY_SENT)
					break;
			}
			book_check(w->deliveries[1 - i], &books[i]);
		}
		deliveries_step(w);
		if (w->now_ns > end) {
			for (int i = 0; i < 2; i++)
				print_error("state %d, unacknowledged %zu, sent %zu\n",
					    delivery_state(w->deliveries[i]),
					    delivery_unacknowledged(w->deliveries[i]),
					    book_total(books[i].sent));
			fail_msg("only %zu and %zu of %zu messages arrived",
				 book_total(books[0].got), book_total(books[1].got), count);
		}
	}
}
