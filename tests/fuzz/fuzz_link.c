/*
 * A link under datagrams of every kind. The first byte of the input chooses how the rest comes:
 * raw from the network, as the plaintext of a session's packet, of a WELCOME or of a COOKIE, all
 * sealed as the relay would. The link must stay within its bounds and able to go on.
 */
#include <assert.h>

#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 };

static struct link_world *world;

static void inject(void *state, const uint8_t *data, size_t size)
{
	link_world_inject(state, data, size);
}

static void give(uint8_t how, struct view input)
{
	struct view plain = input;
	if (plain.size > PLAIN_SIZE_MAX)
		plain.size = PLAIN_SIZE_MAX;

	switch (how % 4) {
	case 0: link_world_inject(world, input.data, input.size); break;
	case 1: relay_end_send_handshake(&world->relay, WIRE_WELCOME, plain); break;
	case 2: relay_end_send_handshake(&world->relay, WIRE_COOKIE, plain); break;
	default:
		if (world->relay.live.is_used)
			relay_end_send_plain(&world->relay, plain);
	}
}

/* What it wants to send after any input: a few datagrams, none too large. */
static void drain(void)
{
	uint8_t out[DATAGRAM_SIZE_MAX];
	struct packet packet;
	unsigned count = 0;

	while (link_output(world->link, world->now,
			   (struct view_out){ .data = out, .capacity = sizeof out }, &packet)) {
		assert(packet.size <= DATAGRAM_SIZE_MAX);
		assert(++count < INPUT_MAX);
	}
	(void)link_deadline(world->link);
}

static void start(bool is_connected)
{
	static bool is_crypto_up;
	if (!is_crypto_up)
		assert(crypto_init(NULL) == CRYPTO_READY);
	is_crypto_up = true;
	world = link_world_create(1);
	link_world_link(world);
	if (is_connected)
		assert(link_world_run_until_up(world, 1, NS_PER_S));
	else
		link_world_run(world, 5 * NS_PER_MS);
	world->relay.send = inject;
	world->is_cut = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 2000)
		return 0;
	start(data[0] & 4);
	give(data[0], view_of(data + 1, size - 1));
	drain();
	world->now.mono_ns += 10 * NS_PER_S;
	drain();
	link_world_destroy(world);
	return 0;
}
