#pragma once
/*
 * Compromised reports: signing and checking the frame BURN (docs/protocol.md, section 9).
 *
 * Signed by the device's identity key, because the session's keys may be in a thief's hands.
 * Pure; one Ed25519 operation each, so never on a worker.
 */
#include "core/wire.h"

/* Sign what is filled in but for the signature. */
void burn_sign(struct wire_burn *burn, const struct ed25519_pair *identity);

/* Well formed, of this server and device, at most HANDSHAKE_CLOCK_NS off `wall_ns`, and signed by
 * this identity. The file id is what the device believes: the relay goes by its own books. */
struct burn_expected {
	const uint8_t *server_id;
	const uint8_t *device_id;
	const uint8_t *identity; /* public key */
	uint64_t wall_ns;
};
bool burn_is_genuine(const struct wire_burn *burn, const struct burn_expected *expected) MUST_CHECK;
