#pragma once
/*
 * Handshake of client and relay: Noise_IKpsk2_25519_AESGCM_SHA256 with the payloads of wire.h.
 * These functions make and read the plaintext bodies of HELLO and WELCOME; the door's sealing
 * is core/door.h.
 *
 * Prologue: "ClawChat/3" || server id. Pure; a handful of X25519 each, so never on a worker.
 */
#include "core/wire.h"
#include "crypto/noise.h"

/* ---- client ---------------------------------------------------------------------------- */

struct hello_config {
	enum wire_credential credential;
	uint8_t id[FILE_ID_SIZE];
	uint8_t psk[KEY_SIZE];
	uint8_t server_id[SERVER_ID_SIZE];
	uint8_t server_public[X25519_SIZE];
	struct x25519_pair device;
	struct ed25519_pair identity;
	uint8_t name_tag[NAME_TAG_SIZE];
};

/* Write the plaintext of a HELLO with a fresh ephemeral and random padding. `timestamp_ns` must
 * be greater than in any HELLO of this device before. `cookie` NULL: none. Leaves `noise` ready
 * for hello_finish(). Returns the plaintext's size; 0 (and no noise to wipe) if there is no room
 * for the largest one, HELLO_SIZE_LAST - WIRE_OVERHEAD, or the relay's key is of small order. */
size_t hello_write(struct noise *noise, const struct hello_config *config, uint64_t timestamp_ns,
		   const uint8_t *cookie, const struct random_source *random,
		   struct view_out out) MUST_CHECK;

/* Read a WELCOME. False: not authentic; `noise` can wait on for the true one (who holds a file
 * can forge a datagram, not a WELCOME). True: `noise` is wiped; *keys only for STATUS_OK. */
bool hello_finish(struct noise *noise, struct view plain, struct wire_welcome_payload *payload,
		  struct noise_result *keys) MUST_CHECK;

/* ---- relay ----------------------------------------------------------------------------- */

struct hello_request {
	struct wire_hello_payload payload;
	uint8_t device_public[X25519_SIZE];
	uint64_t timestamp_ns;
};

/* Cheap looks before any X25519: well formed (which the other two take for granted); carries a
 * right MAC under `cookie`; the ephemeral key, as an id to know copies by. */
bool hello_is_well_formed(struct view plain) MUST_CHECK;
bool hello_has_cookie(struct view plain, const uint8_t cookie[COOKIE_SIZE]) MUST_CHECK;
uint64_t hello_ephemeral_id(struct view plain);

struct hello_server {
	uint8_t server_id[SERVER_ID_SIZE];
	struct x25519_pair static_key;
};

/* Read Noise message 1, and check that a device's credential is the device's own. False: forged
 * or malformed; `noise` is wiped. True: it comes from the holder of request->device_public, but
 * the identity is no more than a claim: go on with hello_is_signed(), or noise_fini(). */
bool hello_read(struct noise *noise, const struct hello_server *server, struct view plain,
		const struct random_source *random, struct hello_request *out) MUST_CHECK;

/* The identity has signed this very handshake, and its key is sound. Between hello_read() and
 * hello_answer(). Twice as slow as all the rest of hello_read(). */
bool hello_is_signed(const struct noise *noise, const struct hello_request *request) MUST_CHECK;

/* Write the plaintext of a WELCOME under the credential's PSK, padded to a random size that
 * keeps the whole datagram within `datagram_max`. Returns its size, 0 for a device key of small
 * order. `noise` is wiped. *keys as in hello_finish(). */
size_t hello_answer(struct noise *noise, const uint8_t psk[KEY_SIZE],
		    const struct wire_welcome_payload *payload, size_t datagram_max,
		    struct view_out out, struct noise_result *keys) MUST_CHECK;

/* ---- ids ------------------------------------------------------------------------------- */

/* The device's PSK for its later connections, of the handshake that it enrolled in. */
void device_psk_of(const struct noise_result *keys, uint8_t out[KEY_SIZE]);

void device_id_of(const uint8_t device_public[X25519_SIZE], uint8_t out[DEVICE_ID_SIZE]);
void peer_id_of(const uint8_t identity[ED25519_PUBLIC_SIZE], uint8_t out[PEER_ID_SIZE]);
void name_tag_of(const uint8_t server_id[SERVER_ID_SIZE], struct view name,
		 uint8_t out[NAME_TAG_SIZE]);
