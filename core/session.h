#pragma once
/*
 * Session: what both ends of a tunnel keep for its packets: keys of the live epochs, the send
 * counter, the replay window, the peer's path, times and counts. One struct for the relay, the
 * client and for peers end to end.
 *
 * Any number of threads may use a session at once:
 *   - keys of an epoch never change once published; the next epoch is published beside them;
 *   - the send counter is one atomic add (one for a whole run of packets);
 *   - the replay window is lock-free;
 *   - the path is read and replaced under a sequence count.
 * Making, rekeying and ending a session is its keeper's alone (on the relay the thread that runs
 * struct relay; on a client its only thread).
 */
#include "core/address.h"
#include "core/atomic.h"
#include "core/key_cache.h"
#include "core/replay.h"
#include "core/verdict.h"
#include "core/wire.h"
#include "crypto/mask.h"
#include "crypto/noise.h"

/* What struct session.is_revoked can be. A session that is stopped or ending is dead to the packet
 * path; its keeper can still seal a last word. */
enum { SESSION_REVOKED = 1, SESSION_ENDING = 2, SESSION_STOPPED = 3 };

struct session_id {
	uint32_t slot;
	uint32_t generation;
};

static inline uint64_t session_id_pack(struct session_id id)
{
	return (uint64_t)id.generation << 32 | id.slot;
}

/* Keys of one direction in one epoch. */
struct session_secret {
	uint8_t key[AEAD_KEY_SIZE];
	uint8_t iv[AEAD_NONCE_SIZE];
};

struct session_epoch {
	struct session_secret send;
	struct session_secret receive;
};

struct session {
	/* Immutable after publication. */
	struct session_id id;
	uint32_t datagram_max; /* largest datagram that the other end takes */

	/* Atomic. */
	_Atomic uint32_t epoch;            /* number of the current keys; sends use these */
	_Atomic uint32_t newest;           /* number of the newest keys: epoch, or the one after */
	_Atomic uint32_t forgeries;        /* failed opens, for EPOCH_FORGERIES_MAX */
	_Atomic uint32_t path_sequence;    /* guards path_words: odd while it is being replaced */
	_Atomic uint8_t epochs_live;       /* bit e & 1 set: epochs[e & 1] may open packets */
	_Atomic uint8_t is_revoked;        /* not 0: nothing is opened or relayed any more */
	_Atomic uint8_t is_established;    /* a first authentic packet has come */
	_Atomic uint64_t send_counter;     /* next to use; runs on over epochs */
	_Atomic uint64_t highest_received; /* counter + 1 of the newest authentic packet */
	_Atomic uint64_t epoch_start;      /* send_counter when the current epoch began, or less */
	_Atomic uint64_t last_receive_ns;
	_Atomic uint64_t rx_bytes, tx_bytes;
	_Atomic uint64_t path_words[6]; /* struct path, in words so that reads cannot tear */

	struct session_epoch epochs[EPOCHS_LIVE];
	/* Last: a packet needs one word of it, and all of the five cache lines before. */
	struct replay replay;
};
_Static_assert(sizeof(struct session) <= 560, "see struct keeper_entry");

/* Start with epoch 0 from a finished handshake; everything else zero, not yet established. */
void session_init(struct session *s, struct session_id id, const struct noise_result *keys);
void session_fini(struct session *s); /* wipes */

/*
 * Publish the keys of the next epoch (keeper only); those before the current ones must have been
 * erased. They open packets from now on. Sends use them after session_next_epoch(), or, after
 * session_publish_epoch(), with the first packet that came under them: then the other end has them.
 *
 * The old ones open packets until session_retire_epoch(), and may be erased with
 * session_erase_retired() once no other thread can still hold them.
 */
void session_next_epoch(struct session *s, const struct noise_result *keys);
void session_publish_epoch(struct session *s, const struct noise_result *keys);
/* An authentic packet came under `epoch`. Any thread. */
void session_follow_epoch(struct session *s, uint32_t epoch);
void session_retire_epoch(struct session *s);
void session_erase_retired(struct session *s);

/* Any thread. */
struct path session_path(const struct session *s);
void session_set_path(struct session *s, const struct path *path);

/* Packets sealed under the current keys so far, or some more. Any thread. */
uint64_t session_sent(const struct session *s);
/* Reserve `count` consecutive send counters: one atomic add. Returns the first. False: past the
 * hard limit of the keys. Any thread. */
bool session_reserve(struct session *s, uint32_t count, uint64_t *first) MUST_CHECK;

/* The plain header of a packet that this session sends now under its current epoch. */
void session_header(const struct session *s, unsigned epoch, uint64_t counter,
		    struct wire_data_header *out);

/* The steps of session_open(), for batches (forward.h). Any thread. */

/* Which live epoch the two bits of a header mean. False: none. */
bool session_find_epoch(const struct session *s, unsigned wire_epoch, uint32_t *epoch) MUST_CHECK;

/* What an authentic packet was to its session. */
struct session_news {
	bool is_first;  /* the session is established by it */
	bool is_newest; /* its counter is the highest so far */
};

/* An authentic packet of `size` bytes: passes the replay window and leaves its traces, or is a
 * copy and changes nothing (false). */
bool session_accept(struct session *s, uint64_t counter, size_t size, uint64_t now_ns,
		    struct session_news *news) MUST_CHECK;

/*
 * One packet, for ends that handle single packets (clients, peers, the keeper's own frames).
 * The relay's batches go through forward.h.
 *
 * seal: `packet` holds WIRE_HEADER_SIZE bytes of room, then plain_size bytes of plaintext, then
 * room for the tag. Writes the header and masks it with `hide`, seals. False: key limit,
 * revoked, or no memory for a key.
 *
 * open: `packet` is a whole datagram whose header has been shown into *header by the caller
 * (the wire still holds the masked one, which is the AAD). On PKT_IDLE *plain points into the
 * packet; on any other verdict the session is untouched, but for the
 * count of forgeries.
 */
bool session_seal(struct session *s, struct key_cache *cache, struct mask *hide, uint8_t *packet,
		  size_t plain_size) MUST_CHECK;
enum verdict session_open(struct session *s, struct key_cache *cache,
			  const struct wire_data_header *header, struct view packet,
			  struct view *plain, uint64_t now_ns) MUST_CHECK;
