#include "core/door.h"

#include <assert.h>

size_t door_seal(const uint8_t handshake_key[AEAD_KEY_SIZE], struct mask *hide, enum wire_kind kind,
		 const struct random_source *random, uint8_t *packet, size_t plain_size)
{
	assert(plain_size <= PLAIN_SIZE_MAX);

	struct wire_handshake_header header = { .first = wire_first(kind, 0) };
	random_fill(random, header.random, sizeof(header.random));
	random_fill(random, header.nonce, sizeof(header.nonce));
	memcpy(packet, &header, sizeof(header));
	mask_blocks(hide, packet, 1);

	uint8_t *plain = packet + WIRE_HEADER_SIZE;
	aead_seal(handshake_key, header.nonce, view_of(packet, WIRE_HEADER_SIZE),
		  view_of(plain, plain_size), plain);
	return WIRE_OVERHEAD + plain_size;
}

bool door_open(const uint8_t handshake_key[AEAD_KEY_SIZE],
	       const struct wire_handshake_header *shown, uint8_t *packet, size_t size,
	       struct view *plain)
{
	if (size < WIRE_SIZE_MIN || size > DATAGRAM_SIZE_MAX)
		return false;

	uint8_t *body = packet + WIRE_HEADER_SIZE;
	if (!aead_open(handshake_key, shown->nonce, view_of(packet, WIRE_HEADER_SIZE),
		       view_of(body, size - WIRE_HEADER_SIZE), body))
		return false;
	*plain = view_of(body, size - WIRE_OVERHEAD);
	return true;
}
