#include "core/schedule.h"

#include <assert.h>

bool schedule_read(const struct wire_schedule *wire, struct schedule *out)
{
	*out = (struct schedule){
		.interval_s = load_le32(wire->interval_s),
		.port_first = load_le16(wire->port_first),
		.port_last = load_le16(wire->port_last),
	};
	memcpy(out->secret, wire->secret, KEY_SIZE);
	return out->interval_s > 0 && out->port_first > 0 && out->port_first <= out->port_last &&
	       wire->mode <= PORT_MODE_FIXED && load_le32(wire->grace_s) <= SCHEDULE_MARGIN_MAX_S &&
	       load_le32(wire->notice_s) <= SCHEDULE_MARGIN_MAX_S;
}

uint64_t schedule_generation(const struct schedule *s, uint64_t wall_ns)
{
	assert(s->interval_s > 0);
	return wall_ns / NS_PER_S / s->interval_s;
}

uint64_t schedule_begin_ns(const struct schedule *s, uint64_t generation)
{
	return generation * s->interval_s * NS_PER_S;
}

void schedule_door_key(const struct schedule *s, uint64_t generation, uint8_t out[KEY_SIZE])
{
	le64 context = store_le64(generation);
	hkdf_label(s->secret, PROTOCOL_NAME " door", VIEW(context.b), out, KEY_SIZE);
}

/* What tells one candidate for a port from all others. */
struct port_context {
	le64 generation;
	le32 n;
};
_Static_assert(sizeof(struct port_context) == sizeof(le64) + sizeof(le32), "no padding: hashed");

/* Candidate n of a generation: uniform over 32 bits. */
static uint32_t port_candidate(const struct schedule *s, uint64_t generation, uint32_t n)
{
	struct port_context context = {
		.generation = store_le64(generation),
		.n = store_le32(n),
	};
	le32 value;
	hkdf_label(s->secret, PROTOCOL_NAME " port", view_of(&context, sizeof(context)), value.b,
		   sizeof(value.b));
	return load_le32(value);
}

uint16_t schedule_port(const struct schedule *s, uint64_t generation, unsigned draw)
{
	assert(s->port_first <= s->port_last);
	assert(draw < PORT_DRAWS_MAX);

	/* Candidates in the last, incomplete run of `range` would favour the low ports. */
	uint32_t range = (uint32_t)s->port_last - s->port_first + 1;
	uint64_t candidates = UINT64_C(1) << 32;
	uint64_t limit = candidates - candidates % range;
	for (uint32_t n = 0;; n++) {
		uint32_t value = port_candidate(s, generation, n);
		if (value < limit && draw-- == 0)
			return (uint16_t)(s->port_first + value % range);
	}
}

void door_keys_derive(const uint8_t door_key[KEY_SIZE], struct door_keys *out)
{
	struct view none = { 0 };

	hkdf_label(door_key, PROTOCOL_NAME " c2s header", none, out->c2s_header, MASK_KEY_SIZE);
	hkdf_label(door_key, PROTOCOL_NAME " s2c header", none, out->s2c_header, MASK_KEY_SIZE);
	hkdf_label(door_key, PROTOCOL_NAME " c2s handshake", none, out->c2s_handshake,
		   AEAD_KEY_SIZE);
	hkdf_label(door_key, PROTOCOL_NAME " s2c handshake", none, out->s2c_handshake,
		   AEAD_KEY_SIZE);
}
