#pragma once
/*
 * Every bound of the protocol and of the relay's tables, with unit and reason. What happens
 * at a bound has a name in core/verdict.h or in the counters of the module that keeps it.
 */
#include "core/instant.h"

enum {
	/* Datagrams. 1232 = 1280 (least IPv6 MTU) - 40 (IPv6) - 8 (UDP). */
	DATAGRAM_SIZE_MAX = 1232,
	DATAGRAM_MAX_LEAST = 576, /* what every client must take; all control frames fit */
	PAD_BUCKET = 128,         /* plaintexts are multiples of this: lengths tell little */

	/* Sessions and channels; both can be lowered by setting. */
	SESSIONS_MAX = 1 << 20, /* slots are 24 bits on the wire; memory is the reason */
	SESSIONS_DEFAULT = 65536,
	CHANNELS_MAX = 1 << 22, /* channel numbers are 24 bits on the wire */
	CHANNELS_DEFAULT = 262144,
	CHANNELS_PER_SESSION_MAX = 1024, /* one peer talks with that many at once */
	EPOCHS_LIVE = 2,                 /* current keys and those they replaced */

	/* Handshakes. */
	HANDSHAKE_QUEUE_MAX = 1024, /* 0.4 s of work for one thread at 4 X25519 of 50 us and more */
	HANDSHAKE_COOKIE_DEPTH = 256, /* from here on a cookie is asked for */
	HANDSHAKES_SEEN = 65536,      /* ephemeral keys, 8 bytes each: replays get no answer */
	HANDSHAKE_RATE_PER_S = 20,    /* per prefix: a household reconnecting after a restart */
	HANDSHAKE_BURST = 60,
	RATE_TABLE_ENTRIES = 16384, /* prefixes watched; 32 bytes each */

	/* Control frames. */
	FRAME_BODY_MAX = 1024,
	RELIABLE_BODY_MAX = 256,  /* the largest frame that must arrive */
	RELIABLE_QUEUE = 16,      /* frames not yet acknowledged, per session and direction */
	RELIABLE_TRIES_MAX = 12,  /* about 60 s with back-off, then the session is dead */
	PEERS_PER_FRAME_MAX = 20, /* 48 bytes each fit FRAME_BODY_MAX */
	FIND_RESULTS_MAX = 16,    /* several may announce the same name */

	/* Port generations. */
	DOORS_MAX = 4,              /* previous, current, next, one to spare */
	PORT_DRAWS_MAX = 8,         /* ports tried per generation before it is skipped */
	PORT_FIRST_DEFAULT = 49152, /* RFC 6335: dynamic ports */
	PORT_LAST_DEFAULT = 65535,
	PORT_INTERVAL_S = 3600,
	PORT_NOTICE_S = 120,
	PORT_GRACE_S = 300,

	/* Peers. */
	NAME_SIZE_MAX = 64,       /* bytes of UTF-8 in an announced name */
	MESSAGE_SIZE_MAX = 65536, /* bytes of one chat message */
};

/* Lifetimes, in nanoseconds of struct instant.mono_ns. */
#define SESSION_IDLE_NS (180 * NS_PER_S)    /* without an authentic packet: the session ends */
#define SESSION_PENDING_NS (10 * NS_PER_S)  /* welcomed, but no data packet yet */
#define KEEPALIVE_NS (25 * NS_PER_S)        /* NAT mappings live 30 s at worst (RFC 4787: 120) */
#define EPOCH_OVERLAP_NS (10 * NS_PER_S)    /* old receive keys, for packets on the way */
#define RELIABLE_FIRST_NS (300 * NS_PER_MS) /* first repetition; doubles up to RELIABLE_LAST_NS */
#define RELIABLE_LAST_NS (8 * NS_PER_S)
#define HANDSHAKE_RETRY_NS (500 * NS_PER_MS) /* first retry of a HELLO; doubles up to the next */
#define HANDSHAKE_RETRY_LAST_NS (8 * NS_PER_S)
#define HANDSHAKE_RETRY_BURN_NS (1 * NS_PER_S) /* the same while a report has 10 s to be heard */
#define HANDSHAKE_CLOCK_NS (120 * NS_PER_S)    /* a HELLO's timestamp may be this far off */
#define FILE_CLOCK_NS (300 * NS_PER_S)         /* tolerance of a security file's validity */
#define COOKIE_LIFETIME_NS (120 * NS_PER_S)
#define PATH_CHALLENGE_NS (1 * NS_PER_S) /* one pending path, at most one move a second */

/* AES-GCM: RFC 9001 B.1 allows 2^28 packets of 2^11 bytes; we change keys long before. */
#define EPOCH_PACKETS_SOFT (UINT64_C(1) << 24)
#define EPOCH_PACKETS_HARD (UINT64_C(1) << 27)
#define EPOCH_BYTES_SOFT (UINT64_C(1) << 30)
#define EPOCH_AGE_SOFT_NS (60 * 60 * NS_PER_S)
#define EPOCH_AGE_HARD_NS (70 * 60 * NS_PER_S)
#define EPOCH_FORGERIES_MAX (UINT64_C(1) << 20)

_Static_assert(PEERS_PER_FRAME_MAX * 48 + 8 <= FRAME_BODY_MAX, "a full PEERS frame fits");
_Static_assert(SESSIONS_MAX <= 1 << 24 && CHANNELS_MAX <= 1 << 24, "24 bits on the wire");
_Static_assert(PORT_GRACE_S < PORT_INTERVAL_S, "at most two generations in grace");
