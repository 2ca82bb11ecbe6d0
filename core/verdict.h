#pragma once
/*
 * Verdicts: what became of a received packet. One list makes the enum, the names, the counters
 * and the rows of `clawchatctl stats`. A bad packet is never an error and never changes state.
 */
#include <stdatomic.h>
#include <stdint.h>

#define VERDICTS(X) \
	X(PKT_RELAYED, "relayed", "carried to another session") \
	X(PKT_CONTROL, "control", "control frames, handed to the session's keeper") \
	X(PKT_PONG, "pong", "keepalive, answered at once") \
	X(PKT_HELLO, "hello", "handshake that opened under the door key") \
	X(PKT_IDLE, "idle", "authentic packet that asks for nothing") \
	X(PKT_DROP_SIZE, "size", "too short or too long for any kind") \
	X(PKT_DROP_NO_DOOR, "no_door", "came in on a port generation that is closed") \
	X(PKT_DROP_KIND, "kind", "no such kind, or reserved bits set: a stranger's bytes") \
	X(PKT_DROP_NO_SESSION, "no_session", "no session with this slot and generation") \
	X(PKT_DROP_NO_EPOCH, "no_epoch", "no keys of this epoch") \
	X(PKT_DROP_REPLAY, "replay", "counter seen before or too old") \
	X(PKT_DROP_BAD_TAG, "bad_tag", "session packet that does not authenticate") \
	X(PKT_DROP_BAD_HELLO, "bad_hello", "handshake that does not open under the door key") \
	X(PKT_DROP_FRAME, "frame", "authentic, but not well formed") \
	X(PKT_DROP_NO_CHANNEL, "no_channel", "channel not open for this session") \
	X(PKT_DROP_PEER_GONE, "peer_gone", "the channel's other end has no session") \
	X(PKT_DROP_PEER_SIZE, "peer_size", "larger than the other end takes") \
	X(PKT_DROP_REVOKED, "revoked", "session or peer revoked") \
	X(PKT_DROP_KEY_LIMIT, "key_limit", "keys past their hard limit") \
	X(PKT_DROP_QUEUE_FULL, "queue_full", "mailbox to the keeper full") \
	X(PKT_DROP_RATE, "rate", "handshake over the rate of its address prefix") \
	X(PKT_DROP_HELLO_REPLAY, "hello_replay", "handshake seen before") \
	X(PKT_DROP_HELLO_AUTH, "hello_auth", "handshake of nobody we know, or forged") \
	X(PKT_DROP_COOKIE, "cookie", "handshake answered with a cookie instead of work")

enum verdict {
#define X(name, key, text) name,
	VERDICTS(X)
#undef X
		VERDICT_COUNT
};

/* Counters of one thread: the owner writes, any thread reads. */
struct verdict_counters {
	_Atomic uint64_t of[VERDICT_COUNT];
};

/* "bad_tag", for counters and settings. */
const char *verdict_key(enum verdict v);
/* A phrase for people. */
const char *verdict_text(enum verdict v);
