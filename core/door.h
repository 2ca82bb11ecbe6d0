#pragma once
/*
 * Handshake datagrams of one door, for single use (clients, tests, the relay's forward.c):
 * header of kind and random bytes, body sealed under the door's handshake key of that
 * direction with 12 of them as nonce. The tag is the cheap first proof that the sender holds
 * a file or the schedule.
 */
#include "core/schedule.h"

/* `packet` holds room for the header, plain_size bytes of plaintext, room for the tag.
 * Returns the size of the datagram. `hide` carries the header key of the same direction. */
size_t door_seal(const uint8_t handshake_key[AEAD_KEY_SIZE], struct mask *hide, enum wire_kind kind,
		 const struct random_source *random, uint8_t *packet, size_t plain_size);

/* `shown` is the header in plain, `packet` the datagram as received; opened in place. */
bool door_open(const uint8_t handshake_key[AEAD_KEY_SIZE],
	       const struct wire_handshake_header *shown, uint8_t *packet, size_t size,
	       struct view *plain) MUST_CHECK;
