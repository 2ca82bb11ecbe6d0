#pragma once
/*
 * Key rotation in band: Noise_NNpsk0_25519_AESGCM_SHA256 inside the session, with a PSK that only
 * the two ends of the last handshake know, and that handshake's hash in the prologue.
 *
 * Fresh ephemeral keys on both sides lock out whoever stole keys before (post-compromise security);
 * each chain step is one way, so stolen keys open nothing of the past (forward secrecy).
 *
 * Prologue: "ClawChat/3 rekey" || handshake hash of the chain || le32 number of the new epoch.
 * Pure; two X25519 each side, so never on a worker.
 */
#include "core/wire.h"
#include "crypto/noise.h"

/* What one handshake hands to the next. */
struct rekey_chain {
	uint8_t seed[KEY_SIZE]; /* label(exporter, "ClawChat/3 next key seed") */
	uint8_t hash[HASH_SIZE];
};

void rekey_chain_from(struct rekey_chain *chain, const struct noise_result *keys);

/* Client: the message for REKEY_1; keep `noise` for rekey_finish(). */
bool rekey_begin(struct noise *noise, const struct rekey_chain *chain, uint32_t epoch,
		 const struct random_source *random, uint8_t out[REKEY_NOISE_SIZE]) MUST_CHECK;

/* Relay: read message 1, write message 2. False: forged; nothing has changed. The chain moves on
 * with success. */
bool rekey_answer(struct rekey_chain *chain, const struct wire_rekey *request,
		  const struct random_source *random, uint8_t out[REKEY_NOISE_SIZE],
		  struct noise_result *keys) MUST_CHECK;

/* Client: read message 2. Wipes `noise` in any case; the chain moves on with success. */
bool rekey_finish(struct noise *noise, struct rekey_chain *chain,
		  const uint8_t in[REKEY_NOISE_SIZE], struct noise_result *keys) MUST_CHECK;
