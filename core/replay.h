#pragma once
/*
 * Replay window: lets each packet counter through once, whichever thread it comes to,
 * tolerating reordering of at least REPLAY_WINDOW packets. Lock-free.
 *
 * A word is {32-bit block number, 32-bit bitmap}; counter c belongs to bit c mod 32 of block
 * c / 32, kept in word (c / 32) mod REPLAY_WORDS. One compare-and-swap accepts it; a word that
 * holds a higher block means "too old". (The bitmap of RFC 6479, cut into words that each carry
 * their own position, so that no two words need to change together.)
 *
 * For every received packet: authenticate first, then replay_accept(). replay_is_stale() is a
 * cheap look before the cipher's work; it may say false for a packet that accept refuses.
 *
 * Counters must stay below 2^37 (block numbers are 32 bits); a session's hard limits end it
 * long before. Any thread.
 */
#include "core/atomic.h"
#include "crypto/bytes.h"

enum {
	/* 256 bytes a session. 64 words would fill half of a table entry, and a batch is at most
	 * 256 packets: what several workers hold at once stays well inside the window. */
	REPLAY_WORDS = 32,
	REPLAY_WORD_BITS = 32,
	REPLAY_WINDOW = (REPLAY_WORDS - 1) * REPLAY_WORD_BITS,
};
#define REPLAY_COUNTER_LIMIT (UINT64_C(1) << 37)

struct replay {
	_Atomic uint64_t words[REPLAY_WORDS];
};

void replay_init(struct replay *r);
void replay_prefetch(const struct replay *r, uint64_t counter);
bool replay_is_stale(const struct replay *r, uint64_t counter) MUST_CHECK;
/* True exactly once for each counter. */
bool replay_accept(struct replay *r, uint64_t counter) MUST_CHECK;
