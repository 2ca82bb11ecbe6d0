/*
 * Keeper: what three clients can do to it with control frames, lost packets, reconnects, changes
 * of address and time. The input is a program, a byte of operation and client, then operands.
 *
 * At the end everything is over: no session, no channel number may be left in use. The lobby
 * checks on the way that no unproved address is sent more than came from it.
 */
#include <assert.h>

#include "tests/support/lobby.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 3, STEPS_MAX = 200 };

enum operation {
	SAY_PLAIN,   /* any bytes as plaintext */
	SAY_FRAME,   /* any body under any type, with the right sequence number */
	OPEN_PEER,   /* a well formed OPEN for another client */
	SAY_CHANNEL, /* ACCEPT, REFUSE or CLOSE of a small number */
	WAIT,
	RECONNECT,
	MOVE,
	CHANGE_MOOD, /* deaf, rude, stubborn */
	END_SESSION,
	OPERATION_COUNT,
};

static uint8_t take_byte(struct view *input)
{
	if (input->size == 0)
		return 0;
	uint8_t byte = input->data[0];
	*input = view_of(input->data + 1, input->size - 1);
	return byte;
}

static struct view take_bytes(struct view *input, size_t size)
{
	struct view taken = view_of(input->data, size < input->size ? size : input->size);
	*input = view_of(input->data + taken.size, input->size - taken.size);
	return taken;
}

static void say_frame(struct lobby *l, uint32_t client, struct view *input)
{
	uint8_t type = take_byte(input) % (FRAME_TYPE_LAST + 1);
	struct view body = take_bytes(input, take_byte(input));

	if (type != FRAME_END && type != FRAME_DATA)
		lobby_say(l, client, (enum frame_type)type, body.data, body.size);
}

static void open_peer(struct lobby *l, uint32_t client, struct view *input)
{
	uint8_t operand = take_byte(input);
	struct wire_open open = { .request = store_le32(operand) };

	lobby_peer(l, operand % CLIENTS, open.peer);
	lobby_say(l, client, FRAME_OPEN, &open, sizeof open);
}

static void say_channel(struct lobby *l, uint32_t client, struct view *input)
{
	static const enum frame_type types[] = { FRAME_ACCEPT, FRAME_ACCEPT, FRAME_REFUSE,
						 FRAME_CLOSE };
	uint8_t operand = take_byte(input);
	const struct wire_channel_reason body = { .channel = store_le32(operand >> 2) };

	lobby_say(l, client, types[operand & 3], &body, sizeof body);
}

static void change_mood(struct lobby_client *c, uint8_t mood)
{
	c->is_deaf = mood & 1;
	c->is_rude = mood & 2;
	c->is_stubborn = mood & 4;
}

static void reconnect(struct lobby *l, uint32_t client, uint8_t how)
{
	l->queue_depth = how & 1 ? HANDSHAKE_COOKIE_DEPTH + 1 : 0;
	l->credential.status = how & 2 ? STATUS_EXPIRED : STATUS_OK;
	lobby_hello(l, client);
}

static void step(struct lobby *l, struct view *input)
{
	uint8_t byte = take_byte(input);
	uint32_t client = byte % CLIENTS;
	struct lobby_client *c = &l->clients[client];

	switch ((enum operation)(byte / CLIENTS % OPERATION_COUNT)) {
	case SAY_PLAIN: lobby_say_plain(l, client, take_bytes(input, take_byte(input))); break;
	case SAY_FRAME: say_frame(l, client, input); break;
	case OPEN_PEER: open_peer(l, client, input); break;
	case SAY_CHANNEL: say_channel(l, client, input); break;
	case WAIT: lobby_wait(l, take_byte(input) * 50 * NS_PER_MS); break;
	case RECONNECT: reconnect(l, client, take_byte(input)); break;
	case MOVE: lobby_move(l, client, (uint16_t)(20000 + take_byte(input))); break;
	case CHANGE_MOOD: change_mood(c, take_byte(input)); break;
	default: (void)!keeper_end_session(l->keeper, c->session.id, REASON_REVOKED, l->now);
	}
	if (byte & 0x80)
		lobby_run(l);
}

static void check_all_is_over(struct lobby *l)
{
	keeper_end_all(l->keeper, REASON_STOPPING, l->now);
	lobby_run(l);
	lobby_wait(l, 0);
	assert(table_count(l->table) == 0);
	assert(channels_count(l->channels) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;
	const char *failed;

	if (!is_started && crypto_init(&failed) != CRYPTO_READY)
		return 0;
	is_started = true;
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = CLIENTS, .channels = 9 });
	for (uint32_t i = 0; i < CLIENTS; i++)
		lobby_connect(l, i);
	struct view input = view_of(data, size);
	for (unsigned steps = 0; input.size > 0 && steps < STEPS_MAX; steps++) {
		step(l, &input);
		if (l->queue_count > LOBBY_QUEUE / 2)
			lobby_run(l);
	}
	check_all_is_over(l);
	lobby_destroy(l);
	return 0;
}
