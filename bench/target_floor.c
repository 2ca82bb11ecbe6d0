/*
 * The bare forwarders: a datagram's first 8 bytes are the tag of its sender, and it goes on to the
 * sender of tag ^ 1. A datagram of the tag alone makes it known, and is sent back.
 */
#include <string.h>

#include "bench/target.h"
#include "core/wire.h"

enum { TAG_SIZE = 8 };

/* As long as the relay's datagrams with so much in them. */
static void floor_write(void *state, const struct load_stream *stream, uint32_t flow,
			uint64_t stamp, struct load_frame *frame)
{
	uint64_t tag = other_sender(state, flow);
	frame->socket = (uint32_t)tag;
	frame->size = (uint32_t)(WIRE_OVERHEAD + wire_padded_size(DATA_FRAME_HEAD + stream->size));
	memset(frame->data, 0, frame->size);
	memcpy(frame->data, &tag, TAG_SIZE);
	memcpy(frame->data + TAG_SIZE, &stamp, sizeof(stamp));
}

static void floor_read(void *state, struct arrival *arrivals, size_t count)
{
	(void)state;
	other_read(arrivals, count, TAG_SIZE);
}

static bool is_echo(void *state, const struct arrival *a)
{
	return a->size == TAG_SIZE && memcmp(a->data, state, TAG_SIZE) == 0;
}

const char *floor_create(const struct other_config *config, struct other **out)
{
	static const struct target_ops ops = {
		.name = "floor",
		.write = floor_write,
		.read = floor_read,
	};
	const char *error = other_open(out, config, &ops);
	for (uint32_t i = 0; error == NULL && i < 2 * config->pairs; i++) {
		uint64_t tag = i;
		if (!other_ask(*out, i, view_of(&tag, TAG_SIZE), is_echo, &tag))
			error = "the forwarder does not answer";
	}
	return error;
}
