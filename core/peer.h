#pragma once
/*
 * Peer: one end of an end-to-end tunnel between two devices, whatever carries its datagrams.
 * The relay sees blobs of the same form as its own packets and nothing inside.
 *
 * First contact is Noise_XX, every later one Noise_IKpsk2 under a key from the last handshake
 * (continuity). Identities are pinned by the caller; there is no silent fall back to XX.
 *
 *   peer_create()
 *   peer_begin()                 each time a channel has opened
 *   peer_input() for each blob; peer_next_event(); peer_output() until it has none
 *   peer_seal() for what is to be carried
 *   peer_destroy()
 *
 * The initiator is secure as soon as it has read message 2. The responder is so with message 3
 * (XX), or with the first packet that the initiator sends under the new keys (IKpsk2: message 1
 * may be a copy of an old one, so until then nothing changes for it, the pin neither). The
 * initiator sends packets for this by itself until one comes back.
 *
 * A new handshake replaces the keys when it is finished; until then, and EPOCH_OVERLAP_NS longer,
 * the old ones go on opening. Whoever was the initiator begins one by itself when keys have grown
 * old: each ends in a PEER_EVENT_SECURE.
 *
 * The key under which handshake blobs are sealed is no secret to the relay. So it can drop and
 * forge what precedes Noise's proofs: make a handshake fail, or have it "refused" for lost
 * continuity. It can neither read, nor join, nor change what is pinned.
 *
 * Owner: one thread. No system call, no clock.
 */
#include "core/session.h"

enum {
	PEER_HANDSHAKE_TRIES = 10, /* about 40 s with back-off; then PEER_EVENT_FAILED */
	PEER_FRAME_HEAD = sizeof(struct wire_peer_frame),
	PEER_HEADROOM = WIRE_HEADER_SIZE + PEER_FRAME_HEAD,
	PEER_PLAIN_MAX = BLOB_SIZE_MAX - WIRE_OVERHEAD,
	PEER_BODY_MAX = PEER_PLAIN_MAX - PEER_FRAME_HEAD, /* largest packet carried: 1158 bytes */
};

/* Who we are; must outlive the peers made with it. */
struct peer_self {
	struct ed25519_pair identity;
	struct x25519_pair static_key; /* peer static key, not the device key */
	uint8_t id[PEER_ID_SIZE];
	uint8_t instance[PEER_INSTANCE_SIZE]; /* random per run of the program */
	char name[NAME_SIZE_MAX + 1];         /* announced, UTF-8 */
};

/* What is known of the other from before. */
struct peer_pin {
	uint8_t identity[ED25519_PUBLIC_SIZE];
	uint8_t static_public[X25519_SIZE];
	uint8_t psks[PEER_PSKS_MAX][KEY_SIZE]; /* newest first */
	uint8_t psk_count;
	bool is_tentative; /* first contact that the other end has not confirmed yet */
};

enum peer_event_type {
	/* Tunnel up: save `pin` durably before the next peer_input(). It holds the key used now and
	 * the new one, so that a crash on either side before saving leaves one that both have. */
	PEER_EVENT_SECURE,
	PEER_EVENT_CONFIRMED, /* the other end knows us too: save `pin`, not tentative any more */
	PEER_EVENT_REFUSED,   /* see refusal; nothing was opened, the user decides */
	PEER_EVENT_FAILED,    /* no answer: open the channel again, later */
};

enum peer_refusal {
	PEER_REFUSAL_WRONG_ID, /* the identity does not belong to the peer id of the channel */
	PEER_REFUSAL_BAD_SIGNATURE,
	PEER_REFUSAL_CHANGED,       /* pinned, but shows another static key */
	PEER_REFUSAL_NO_CONTINUITY, /* we know it, it does not know us any more (or the reverse) */
};

struct peer_event {
	enum peer_event_type type;
	enum peer_refusal refusal;
	bool is_first_contact;
	struct peer_pin pin;
	uint8_t instance[PEER_INSTANCE_SIZE]; /* the other's: a new one has lost its state */
	char name[NAME_SIZE_MAX + 1];         /* as announced; valid UTF-8, no controls */
};

/* What a blob carried. */
enum peer_frame {
	PEER_FRAME_NONE = 0,
	PEER_FRAME_SCTP = 1,     /* a packet of the delivery layer */
	PEER_FRAME_DATAGRAM = 2, /* an application's datagram, may be lost */
				 /* 3..15 are kept for candidates, probes and rekey */
};

struct peer_config {
	const struct peer_self *self;
	uint8_t remote_id[PEER_ID_SIZE];
	const struct peer_pin *pin; /* NULL: never met; copied */
	struct random_source random;
	const struct packet_cipher *cipher;
};

struct peer;

struct peer *peer_create(const struct peer_config *config) MUST_CHECK; /* NULL: memory */
void peer_destroy(struct peer *p);

/* A channel is open: begin (or await) a handshake over it. */
void peer_begin(struct peer *p, bool is_initiator, uint64_t now_ns);

/* The user has accepted a changed identity or lost continuity: forget the pin, meet afresh. */
void peer_forget_pin(struct peer *p);

/* Take a blob, in place. PEER_FRAME_NONE: nothing to carry up. */
enum peer_frame peer_input(struct peer *p, uint8_t *blob, size_t size, uint64_t now_ns,
			   struct view *body) MUST_CHECK;

/* The next handshake blob to send. False: none now. At least BLOB_SIZE_MAX of room. */
bool peer_output(struct peer *p, uint64_t now_ns, struct view_out out, size_t *size) MUST_CHECK;
bool peer_next_event(struct peer *p, struct peer_event *event) MUST_CHECK;
uint64_t peer_deadline(const struct peer *p);

bool peer_is_secure(const struct peer *p);

/*
 * Seal one packet: `blob` holds PEER_HEADROOM bytes of room, body_size bytes, and room up to
 * BLOB_SIZE_MAX. Pads so that the relay sees sizes of PAD_BUCKET steps. Returns the blob's size;
 * 0: not secure, too large, or key limit.
 */
size_t peer_seal(struct peer *p, enum peer_frame type, uint8_t *blob, size_t body_size);

/* The 60 digits that both users compare (5200 rounds of SHA-256 over each identity and id, as
 * Signal's numeric fingerprints do): the same on both sides. */
enum { SAFETY_NUMBER_DIGITS = 60 };
void peer_safety_number(const uint8_t identity_a[ED25519_PUBLIC_SIZE],
			const uint8_t identity_b[ED25519_PUBLIC_SIZE],
			char out[SAFETY_NUMBER_DIGITS + 1]);
