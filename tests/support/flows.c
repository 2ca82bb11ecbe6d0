#include "tests/support/flows.h"

#include <stdlib.h>

enum { BLOB_SMALL = 200, BLOB_LARGE = 1100 };

/* Datagram `n` of a flow: every byte follows from both. */
static size_t make_blob(size_t flow, uint64_t n, uint8_t out[BLOB_SIZE_MAX])
{
	size_t size = flow % 4 < 2 ? BLOB_SMALL : BLOB_LARGE;
	le64 numbers[2] = { store_le64(n), store_le64(flow) };
	memset(out, (int)(n + flow), size);
	memcpy(out, numbers, sizeof(numbers));
	return size;
}

static void take_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	struct flows *all = c->state;
	size_t index = (size_t)(c - all->clients);
	struct flow *f = &all->of[index];
	uint8_t expected[BLOB_SIZE_MAX];
	le64 number = { { 0 } };
	if (blob.size >= sizeof(number))
		memcpy(number.b, blob.data, sizeof(number.b));
	uint64_t n = load_le64(number);
	size_t size = make_blob(index, n, expected);
	if (channel != c->channel || n >= f->sent || blob.size != size ||
	    memcmp(blob.data, expected, size) != 0)
		f->altered++;
	else if (replay_accept(&f->seen, n)) {
		f->received++;
		if (f->received + f->given_up > f->sent)
			f->given_up = f->sent - f->received; /* it came after all */
	} else
		f->twice++;
	f->heard_ns = clock_now().mono_ns;
}

struct flows *flows_create(struct wire_client *clients, size_t count, uint64_t window)
{
	struct flows *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	*f = (struct flows){ .clients = clients, .count = count, .window = window };
	f->of = calloc(count, sizeof(*f->of));
	if (f->of == NULL) {
		free(f);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		replay_init(&f->of[i].seen);
		f->of[i].heard_ns = clock_now().mono_ns;
		clients[i].state = f;
		clients[i].on_blob = take_blob;
	}
	return f;
}

void flows_destroy(struct flows *f)
{
	if (f == NULL)
		return;
	free(f->of);
	free(f);
}

bool flows_are_joined(void *state)
{
	struct flows *f = state;
	bool all = true;
	for (size_t i = 0; i < f->count; i += 2)
		all &= wire_is_joined(&f->clients[i]);
	return all;
}

bool flows_have_arrived(void *state)
{
	const struct flows *f = state;
	return flows_add_up(f).lost == 0;
}

static void send_some(struct flows *all, size_t index)
{
	struct wire_client *from = &all->clients[index ^ 1];
	struct flow *f = &all->of[index];
	uint8_t blob[BLOB_SIZE_MAX];
	while (f->sent - f->received - f->given_up < all->window && from->channel != 0) {
		size_t size = make_blob(index, f->sent, blob);
		if (!wire_send(from, from->channel, view_of(blob, size)))
			break;
		f->sent++;
	}
}

void flows_send(struct flows *f)
{
	for (size_t i = 0; i < f->count; i++)
		send_some(f, i);
}

void flows_give_up(struct flows *all, uint64_t silence_ns)
{
	uint64_t now_ns = clock_now().mono_ns;
	for (size_t i = 0; i < all->count; i++) {
		struct flow *f = &all->of[i];
		if (now_ns < f->heard_ns + silence_ns)
			continue;
		f->given_up = f->sent - f->received;
		f->heard_ns = now_ns;
	}
}

struct flows_sum flows_add_up(const struct flows *f)
{
	struct flows_sum sum = { 0 };
	for (size_t i = 0; i < f->count; i++) {
		sum.sent += f->of[i].sent;
		sum.lost += f->of[i].sent - f->of[i].received;
		sum.twice += f->of[i].twice;
		sum.altered += f->of[i].altered;
	}
	return sum;
}
