/*
 * Packets of a peer that means harm: authentic, but anything. Two ends are connected; the input is
 * a list of packets, made afresh or by changing one that went over the wire before, given to one
 * of them. Nothing may be read or written out of bounds; what is delivered keeps to the limits.
 *
 * Input: operations of one byte and what they take, see act().
 */
#include <assert.h>
#include <stdlib.h>

#include "client/delivery.h"
#include "client/flight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 32, PIPE = 64, OPERATIONS_MAX = 200 };
#define STEP_NS (10 * NS_PER_MS)

struct packet {
	uint8_t bytes[DELIVERY_PACKET_MAX];
	size_t size;
};

static uint64_t now_ns = NS_PER_S;
static struct delivery *ends[2];
static struct packet kept[KEPT];     /* sent lately, by both */
static struct packet pipes[2][PIPE]; /* towards each end */
static size_t kept_count, pipe_counts[2];

static void send_packet(void *state, const uint8_t *bytes, size_t size)
{
	int to = state == &ends[0] ? 1 : 0;
	struct packet packet = { .size = size };

	assert(size <= DELIVERY_PACKET_MAX);
	memcpy(packet.bytes, bytes, size);
	kept[kept_count++ % KEPT] = packet;
	if (pipe_counts[to] < PIPE)
		pipes[to][pipe_counts[to]++] = packet;
}

static void read_all(int i)
{
	struct view message;
	uint16_t stream;

	while (delivery_next(ends[i], &stream, &message)) {
		assert(stream < DELIVERY_STREAMS);
		assert(message.size > 0 && message.size <= DELIVERY_MESSAGE_MAX);
	}
}

static void carry(void)
{
	for (int to = 0; to < 2; to++) {
		size_t count = pipe_counts[to];
		struct packet packets[PIPE];
		memcpy(packets, pipes[to], count * sizeof packets[0]);
		pipe_counts[to] = 0;
		for (size_t i = 0; i < count; i++)
			delivery_input(ends[to], packets[i].bytes, packets[i].size);
	}
	now_ns += STEP_NS;
	delivery_advance(now_ns);
}

static void make(int i)
{
	struct delivery_config config = { .send = send_packet, .state = &ends[i] };

	ends[i] = delivery_create(&config);
	assert(ends[i] != NULL);
}

static uint8_t take_byte(struct view *input)
{
	uint8_t byte = input->size > 0 ? input->data[0] : 0;

	if (input->size > 0)
		*input = view_of(input->data + 1, input->size - 1);
	return byte;
}

/* A packet that was sent before, with some bytes replaced, and cut or with a chunk behind it. */
static void change(struct view *input, int to)
{
	struct packet packet = kept[take_byte(input) % KEPT];
	unsigned changes = take_byte(input);

	if (packet.size == 0)
		return;
	for (unsigned i = 0; i < changes % 8; i++) {
		size_t at = take_byte(input) * (size_t)(changes >= 128 ? 5 : 1);
		packet.bytes[at % packet.size] = take_byte(input);
	}
	if ((changes & 8) != 0)
		packet.size = packet.size * take_byte(input) / 255;
	for (unsigned i = 0; (changes & 16) != 0 && i < 24 && packet.size < DELIVERY_PACKET_MAX;
	     i++)
		packet.bytes[packet.size++] = take_byte(input);
	delivery_input(ends[to], packet.bytes, packet.size);
}

static void act(struct view *input)
{
	uint8_t operation = take_byte(input);
	int side = operation & 1;
	static uint8_t message[4096];

	switch (operation >> 1 & 7) {
	case 0:
	case 1:
	case 2: change(input, side); break;
	case 3: {
		size_t size = take_byte(input);
		size = size < input->size ? size : input->size;
		delivery_input(ends[side], input->data, size);
		*input = view_of(input->data + size, input->size - size);
		break;
	}
	case 4:
		(void)!delivery_send(ends[side], operation >> 5,
				     view_of(message, 1 + (size_t)take_byte(input) * 16));
		break;
	case 5:
		for (unsigned i = 0; i <= (unsigned)operation >> 4; i++)
			carry();
		break;
	case 6: read_all(side); break;
	case 7:
		now_ns += (UINT64_C(1) << (operation >> 4)) * NS_PER_MS;
		delivery_advance(now_ns);
		break;
	}
	assert(delivery_unacknowledged(ends[side]) <= DELIVERY_SEND_BUFFER);
}

/* By itself: numbers of any kind never count more than was sent. */
static void check_flight(struct view input)
{
	static struct flight f;
	uint64_t sent = 0;

	flight_init(&f);
	while (input.size > 0) {
		size_t size = take_byte(&input);
		size = size < input.size ? size : input.size;
		flight_note_sent(&f, view_of(input.data, size));
		sent += size;
		flight_note_received(&f, view_of(input.data, size));
		input = view_of(input.data + size, input.size - size);
	}
	assert(f.acknowledged_bytes <= sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;
	struct view input = view_of(data, size);

	if (!is_started)
		is_started = delivery_start();
	check_flight(input);
	kept_count = pipe_counts[0] = pipe_counts[1] = 0;
	memset(kept, 0, sizeof kept);
	make(0);
	make(1);
	for (int rounds = take_byte(&input) % 16; rounds > 0; rounds--)
		carry();
	for (int i = 0; i < OPERATIONS_MAX && input.size > 0; i++)
		act(&input);
	for (int i = 0; i < 2; i++) {
		read_all(i);
		delivery_destroy(ends[i]);
	}
	return 0;
}
