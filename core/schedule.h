#pragma once
/*
 * Port schedule: which port generation ("door") is now, and from the schedule secret its port
 * and its door key. Generation k begins at k * interval seconds after 1970.
 *
 * Pure.
 */
#include "core/wire.h"
#include "crypto/kdf.h"
#include "crypto/mask.h"

enum { SCHEDULE_MARGIN_MAX_S = 86400 }; /* notice or grace: a longer one is nonsense */

/* All keys that come from one door key. */
struct door_keys {
	uint8_t c2s_header[MASK_KEY_SIZE];
	uint8_t s2c_header[MASK_KEY_SIZE];
	uint8_t c2s_handshake[AEAD_KEY_SIZE];
	uint8_t s2c_handshake[AEAD_KEY_SIZE];
};

struct schedule {
	uint8_t secret[KEY_SIZE];
	uint32_t interval_s;
	uint16_t port_first;
	uint16_t port_last;
};

/* What ENROL_OFFER and SCHEDULE say. False: no schedule that can be followed. */
bool schedule_read(const struct wire_schedule *wire, struct schedule *out) MUST_CHECK;

uint64_t schedule_generation(const struct schedule *s, uint64_t wall_ns);
uint64_t schedule_begin_ns(const struct schedule *s, uint64_t generation); /* wall clock */

void schedule_door_key(const struct schedule *s, uint64_t generation, uint8_t out[KEY_SIZE]);

/* Port of a generation; `draw` 0 is the first choice, 1 the next where that cannot be bound ...
 * up to PORT_DRAWS_MAX - 1. Unbiased over port_first..port_last. */
uint16_t schedule_port(const struct schedule *s, uint64_t generation, unsigned draw);

void door_keys_derive(const uint8_t door_key[KEY_SIZE], struct door_keys *out);
