#pragma once
/*
 * One datagram in a batch: bytes in a frame that the engine or the caller owns, and the path
 * it came or will go. Packets are worked on in place; a packet that is sent on keeps its frame.
 */
#include "core/address.h"

struct packet {
	uint8_t *data;
	uint32_t size;
	uint32_t zero_;
	struct path path;
};
_Static_assert(sizeof(struct packet) == 64, "one cache line");
