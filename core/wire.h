#pragma once
/*
 * What goes over the wire, byte by byte. docs/protocol.md is the text to this header.
 *
 * All structs consist of bytes and le16..le64, so there is no padding, no alignment and no
 * byte order to get wrong. Lengths are checked once, where a datagram or frame comes in:
 * wire_show_header() for datagrams, frame_next() for frames.
 *
 * Pure.
 */
#include "core/limits.h"
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"

#define PROTOCOL_NAME "ClawChat/3"

enum {
	SERVER_ID_SIZE = 16,
	FILE_ID_SIZE = 16,
	DEVICE_ID_SIZE = 16, /* SHA-256("ClawChat/3 device" || device public key), cut */
	PEER_ID_SIZE = 32,   /* SHA-256("ClawChat/3 peer" || identity public key) */
	NAME_TAG_SIZE = 16,  /* HMAC(server id, "ClawChat/3 name" || name), cut; zero: none */
	COOKIE_SIZE = 16,
	IP_SIZE = 16,
};

/* ---- datagram: header (masked), ciphertext, tag -------------------------------------- */

enum wire_kind {
	WIRE_DATA = 1,    /* packet of a session, either way */
	WIRE_HELLO = 2,   /* client to relay: Noise message 1 */
	WIRE_WELCOME = 3, /* relay to client: Noise message 2, accepted or refused */
	WIRE_COOKIE = 4,  /* relay to client: try again with this cookie */
	WIRE_PEER_1 = 5,  /* peer to peer handshake messages, inside a channel */
	WIRE_PEER_2 = 6,
	WIRE_PEER_3 = 7,
};

/* First byte of a header: kind in the upper 3 bits, epoch in the next 2, reserved zeros. */
enum {
	WIRE_KIND_SHIFT = 5,
	WIRE_EPOCH_SHIFT = 3,
	WIRE_EPOCH_MASK = 3,
	WIRE_RESERVED_MASK = 7,
};

struct wire_data_header {
	uint8_t first;
	le24 slot;
	le32 generation;
	le64 counter;
};

struct wire_handshake_header {
	uint8_t first;
	uint8_t random[3];
	uint8_t nonce[AEAD_NONCE_SIZE]; /* random; also the AEAD nonce of the body */
};

enum {
	WIRE_HEADER_SIZE = 16,
	WIRE_OVERHEAD = WIRE_HEADER_SIZE + AEAD_TAG_SIZE,
	WIRE_SIZE_MIN = WIRE_OVERHEAD,
	PLAIN_SIZE_MAX = DATAGRAM_SIZE_MAX - WIRE_OVERHEAD,
};
_Static_assert(sizeof(struct wire_data_header) == WIRE_HEADER_SIZE, "one AES block");
_Static_assert(sizeof(struct wire_handshake_header) == WIRE_HEADER_SIZE, "one AES block");

/* ---- handshake, client and relay ----------------------------------------------------- */

/* Plaintext of a HELLO: this, the Noise message, zeros up to a random length. */
struct wire_hello {
	le16 noise_size;
	uint8_t zero[2];
	uint8_t cookie_mac[COOKIE_SIZE]; /* HMAC(cookie, Noise message), cut; zeros without one */
};

enum wire_credential {
	CREDENTIAL_FILE = 1,   /* id is a file id, the PSK its shared secret */
	CREDENTIAL_DEVICE = 2, /* id is a device id, the PSK the device's */
};

/* Payload of Noise message 1. */
struct wire_hello_payload {
	uint8_t credential; /* enum wire_credential */
	uint8_t zero;
	le16 datagram_max; /* largest datagram that the client takes */
	uint8_t id[FILE_ID_SIZE];
	le64 timestamp_s; /* client's clock: greater than in any HELLO before */
	le32 timestamp_ns;
	uint8_t name_tag[NAME_TAG_SIZE];
	uint8_t identity[ED25519_PUBLIC_SIZE];
	uint8_t signature[ED25519_SIGNATURE_SIZE]; /* over "ClawChat/3 hello" || payload hash */
};
_Static_assert(sizeof(struct wire_hello_payload) == 144, "as in docs/protocol.md");

/* Plaintext of a WELCOME: this, the Noise message, zeros; never longer than the HELLO. */
struct wire_welcome {
	le16 noise_size;
	uint8_t zero[2];
};

enum wire_status {
	STATUS_OK = 0,
	STATUS_TIME = 1,    /* your clock is off: see server_time_ns */
	STATUS_EXPIRED = 2, /* the file's validity is over */
	STATUS_SPENT = 3,   /* the file has enrolled as many devices as it may */
	STATUS_REVOKED = 4,
	STATUS_FULL = 5,     /* no room for another session */
	STATUS_DRAINING = 6, /* the relay is about to stop */
};

/* Payload of Noise message 2. Only `status` and `server_time_ns` count where it is refused. */
struct wire_welcome_payload {
	uint8_t status; /* enum wire_status */
	uint8_t zero;
	le16 datagram_max; /* largest datagram that the relay takes */
	le32 slot;
	le32 generation;
	uint8_t observed_ip[IP_SIZE]; /* where the HELLO came from */
	le16 observed_port;
	le16 keepalive_s;
	le64 server_time_ns;
	le64 door; /* port generation it came in on */
	le32 idle_timeout_s;
};
_Static_assert(sizeof(struct wire_welcome_payload) == 52, "as in docs/protocol.md");

/* Plaintext of a COOKIE. */
struct wire_cookie {
	uint8_t hello_tag[AEAD_TAG_SIZE]; /* tag of the HELLO it answers: no other takes it */
	uint8_t cookie[COOKIE_SIZE];
};

enum {
	HELLO_NOISE_SIZE = X25519_SIZE + X25519_SIZE + AEAD_TAG_SIZE +
			   (int)sizeof(struct wire_hello_payload) + AEAD_TAG_SIZE,
	WELCOME_NOISE_SIZE = X25519_SIZE + (int)sizeof(struct wire_welcome_payload) + AEAD_TAG_SIZE,
	HELLO_SIZE_MIN = 400,   /* before random padding; above the largest answer */
	HELLO_SIZE_LAST = 1100, /* padded to a random size in between */
};
_Static_assert(WIRE_OVERHEAD + (int)sizeof(struct wire_hello) + HELLO_NOISE_SIZE <= HELLO_SIZE_MIN,
	       "a HELLO fits before its padding");
_Static_assert(WIRE_OVERHEAD + (int)sizeof(struct wire_welcome) + WELCOME_NOISE_SIZE <=
		       HELLO_SIZE_MIN,
	       "an answer is never longer than its request");

/* ---- handshake, peer and peer (inside a channel) --------------------------------------- */

enum wire_peer_pattern {
	PEER_PATTERN_NONE = 0,   /* in a PEER_2: the responder refuses */
	PEER_PATTERN_XX = 1,     /* first contact */
	PEER_PATTERN_IKPSK2 = 2, /* later ones */
};

enum {
	PEER_INSTANCE_SIZE = 8,
	PEER_PSK_ID_SIZE = 8,
	PEER_PSKS_MAX = 2, /* newest, and the one that the newest was made under */
};

/* Plaintext of a PEER_1, PEER_2 or PEER_3: this, the Noise message, zeros up to a random size. */
struct wire_peer_head {
	le16 noise_size;
	uint8_t pattern; /* enum wire_peer_pattern */
	uint8_t choice;  /* PEER_1: how many ids follow; PEER_2: the index of the one taken */
	/* PEER_1: HKDF(psk, "ClawChat/3 psk id"), newest first. A refusal: the start of the PEER_1
	 * that it answers. Zeros otherwise. */
	uint8_t psk_ids[PEER_PSKS_MAX][PEER_PSK_ID_SIZE];
};

/* Payload of the encrypted Noise messages. */
struct wire_peer_payload {
	uint8_t identity[ED25519_PUBLIC_SIZE];
	/* Over "ClawChat/3 peer static" || own static key || own peer id || other's peer id. */
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	uint8_t instance[PEER_INSTANCE_SIZE];
	uint8_t name_size;
	uint8_t zero[3];
	uint8_t name[NAME_SIZE_MAX]; /* UTF-8, then zeros */
};
_Static_assert(sizeof(struct wire_peer_head) == 20, "as in docs/protocol.md");
_Static_assert(sizeof(struct wire_peer_payload) == 172, "as in docs/protocol.md");

enum {
	PEER_NOISE_SIZE_MAX = X25519_SIZE + X25519_SIZE + AEAD_TAG_SIZE +
			      (int)sizeof(struct wire_peer_payload) + AEAD_TAG_SIZE,
	PEER_HANDSHAKE_SIZE_MIN = 512, /* with the DATA frame's head, before random padding */
};

/* Inside a peer's packets: this head, `size` bytes of body, zeros. */
struct wire_peer_frame {
	uint8_t type; /* enum peer_frame */
	uint8_t zero;
	le16 size;
};

/* ---- plaintext of a session's packets ------------------------------------------------- */

/* A packet is either one DATA frame or a sequence of control frames; zeros follow. */
enum frame_type {
	FRAME_END = 0,  /* padding: nothing behind it is read */
	FRAME_DATA = 1, /* blob for the other end of a channel: the fast path */
	/* control frames that are not repeated */
	FRAME_ACK = 2,
	FRAME_PING = 3,
	FRAME_PONG = 4,
	FRAME_PATH_CHALLENGE = 5,
	FRAME_PATH_RESPONSE = 6,
	/* questions and answers: the client asks again until it is answered */
	FRAME_PEERS_GET = 7, /* c2s: who is here */
	FRAME_PEERS = 8,     /* s2c */
	FRAME_FIND = 9,      /* c2s: who announces this name tag */
	FRAME_FOUND = 10,    /* s2c */
	/* control frames that are repeated until acknowledged (reliable) */
	FRAME_OPEN = 16,          /* c2s: a channel to this peer, please */
	FRAME_OFFER = 17,         /* s2c: somebody wants a channel to you */
	FRAME_ACCEPT = 18,        /* c2s: yes */
	FRAME_REFUSE = 19,        /* c2s: no */
	FRAME_OPENED = 20,        /* s2c: here is your channel */
	FRAME_OPEN_FAILED = 21,   /* s2c: no channel, and why */
	FRAME_CLOSE = 22,         /* c2s: done with this channel */
	FRAME_GONE = 23,          /* s2c: the other end of this channel has left */
	FRAME_GOODBYE = 24,       /* either: the session ends now */
	FRAME_PORT_NEXT = 25,     /* s2c: the port of the next generation */
	FRAME_REKEY_1 = 26,       /* c2s: Noise_NNpsk0 message 1 for the next epoch */
	FRAME_REKEY_2 = 27,       /* s2c: message 2 */
	FRAME_ENROL_OFFER = 28,   /* s2c: the schedule; keep it with the device PSK, then confirm */
	FRAME_ENROL_CONFIRM = 29, /* c2s: kept */
	FRAME_ENROL_DONE = 30,    /* s2c: the relay has kept it too: the file is not needed again */
	FRAME_SCHEDULE = 31,      /* s2c: another schedule secret, from now on */
	FRAME_BURN = 32,          /* c2s: Compromised */
	FRAME_BURN_ACK = 33,      /* s2c: the tombstone is on disk */
	/* 34..47 are kept for diagnosis and path work */
	FRAME_TYPE_RELIABLE_FIRST = 16,
	FRAME_TYPE_LAST = 47,
};

struct wire_data_frame { /* FRAME_DATA: fixed head, then `size` bytes of blob */
	uint8_t type;
	le24 channel;
	le16 size;
};

struct wire_frame { /* every control frame */
	uint8_t type;
	uint8_t zero;
	le16 size; /* bytes of body behind this head */
};

enum {
	DATA_FRAME_HEAD = sizeof(struct wire_data_frame),
	FRAME_HEAD = sizeof(struct wire_frame),
	BLOB_SIZE_MAX = PLAIN_SIZE_MAX - DATA_FRAME_HEAD,
};
_Static_assert(DATA_FRAME_HEAD == 6 && FRAME_HEAD == 4, "as in docs/protocol.md");

/* Bodies. Reliable ones begin with their sequence number (le32), not shown here. */
struct wire_ack {
	le32 next;
}; /* all below this have arrived */
struct wire_ping {
	le64 token;
};
struct wire_pong {
	le64 token;
	uint8_t observed_ip[IP_SIZE];
	le16 observed_port;
	uint8_t zero[2];
	le64 server_time_ns;
};
struct wire_path {
	uint8_t token[8];
}; /* PATH_CHALLENGE and PATH_RESPONSE */
struct wire_open {
	le32 request;
	uint8_t peer[PEER_ID_SIZE];
};
struct wire_offer {
	le32 channel;
	uint8_t peer[PEER_ID_SIZE];
};
struct wire_channel {
	le32 channel;
}; /* ACCEPT, CLOSE */
struct wire_channel_reason {
	le32 channel;
	le32 reason;
}; /* REFUSE, GONE */
struct wire_opened {
	le32 request;
	le32 channel;
	uint8_t peer[PEER_ID_SIZE];
	uint8_t is_initiator; /* 1: you begin the end-to-end handshake */
	uint8_t zero[3];
};
struct wire_open_failed {
	le32 request;
	le32 reason;
};
struct wire_peers_get {
	le32 request;
	uint8_t after[PEER_ID_SIZE];
}; /* zeros: from the start */
struct wire_peer_entry {
	uint8_t peer[PEER_ID_SIZE];
	uint8_t name_tag[NAME_TAG_SIZE];
};
struct wire_peers {
	le32 request;
	uint8_t count;
	uint8_t has_more;
	uint8_t zero[2];
};
struct wire_find {
	le32 request;
	uint8_t name_tag[NAME_TAG_SIZE];
};
struct wire_found {
	le32 request;
	uint8_t count;
	uint8_t zero[3];
}; /* then count peer ids */
struct wire_goodbye {
	le32 reason;
};
/* The door key goes along, so that a session by file outlives the doors in its file. */
struct wire_port_next {
	le64 door;
	le16 port;
	uint8_t zero[2];
	le32 seconds_left; /* until the generation begins; sends move then */
	uint8_t key[KEY_SIZE];
};
enum { REKEY_NOISE_SIZE = X25519_SIZE + AEAD_TAG_SIZE };
struct wire_rekey {
	le32 epoch;
	uint8_t noise[REKEY_NOISE_SIZE];
}; /* number of the new epoch */
/* A fixed port is port_first = port_last: the doors still change their keys. In mode random the
 * ports are not those of the schedule: only PORT_NEXT and files tell them. */
struct wire_schedule { /* ENROL_OFFER, SCHEDULE */
	uint8_t secret[KEY_SIZE];
	le32 interval_s;
	le16 port_first;
	le16 port_last;
	le32 grace_s;
	le32 notice_s;
	uint8_t mode; /* enum wire_port_mode */
	uint8_t zero[3];
};
enum wire_port_mode { PORT_MODE_SCHEDULE = 0, PORT_MODE_RANDOM = 1, PORT_MODE_FIXED = 2 };
struct wire_enrol_done {
	uint8_t device[DEVICE_ID_SIZE];
};

enum wire_scope { SCOPE_DEVICE = 1, SCOPE_FILE = 2, SCOPE_SERVER = 3 };
enum { BURN_REASON_MAX = 64, BURN_NONCE_SIZE = 16 };
/* Signed by the device's identity over "ClawChat/3 burn" || all fields before the signature:
 * session keys may be in a thief's hands. */
struct wire_burn {
	uint8_t server_id[SERVER_ID_SIZE];
	uint8_t file_id[FILE_ID_SIZE]; /* the file that the device came from */
	uint8_t device_id[DEVICE_ID_SIZE];
	uint8_t scope; /* enum wire_scope */
	uint8_t reason_size;
	uint8_t zero[2];
	le64 time_ns; /* client's clock */
	uint8_t nonce[BURN_NONCE_SIZE];
	uint8_t reason[BURN_REASON_MAX]; /* UTF-8, zeros behind */
	uint8_t signature[ED25519_SIGNATURE_SIZE];
};
_Static_assert(sizeof(struct wire_burn) <= RELIABLE_BODY_MAX, "repeated like the others");
/* What the relay made of it; anything but failed is on its disk. */
enum wire_burn_status {
	BURN_DONE = 0,
	BURN_NARROWED = 1, /* for a smaller scope than asked for: rate, or not allowed */
	BURN_FAILED = 2,   /* its disk failed: ask again */
};
struct wire_burn_ack {
	uint8_t nonce[BURN_NONCE_SIZE];
	uint8_t status; /* enum wire_burn_status */
	uint8_t zero[3];
};

#define WIRE_REASONS(X) \
	X(REASON_NONE, 0, "no reason given") \
	X(REASON_ABSENT, 1, "that peer is not connected") \
	X(REASON_REFUSED, 2, "that peer refuses") \
	X(REASON_LIMIT, 3, "too many channels") \
	X(REASON_SELF, 4, "that is yourself") \
	X(REASON_CLOSED, 5, "closed by the other end") \
	X(REASON_SUPERSEDED, 6, "the same device has connected again") \
	X(REASON_IDLE, 7, "nothing heard for too long") \
	X(REASON_STOPPING, 8, "the relay is stopping") \
	X(REASON_REVOKED, 9, "revoked") \
	X(REASON_KEY_LIMIT, 10, "keys past their limit") \
	X(REASON_DONE, 11, "finished") \
	X(REASON_UNRESPONSIVE, 12, "control frames were not acknowledged") \
	X(REASON_KICKED, 13, "ended by the operator") \
	X(REASON_COMPROMISED, 14, "reported as compromised") \
	X(REASON_SPENT, 15, "the file has enrolled as many devices as it may") \
	X(REASON_EXPIRED, 16, "the validity of the file is over")

enum wire_reason {
#define X(name, number, text) name = number,
	WIRE_REASONS(X)
#undef X
};

/* A phrase for people; unknown numbers have one too. */
const char *wire_reason_text(uint32_t reason);

/* Plaintext size that hides `size`: the next multiple of PAD_BUCKET, at most PLAIN_SIZE_MAX. */
static inline size_t wire_padded_size(size_t size)
{
	size_t padded = (size + PAD_BUCKET - 1) / PAD_BUCKET * PAD_BUCKET;
	return padded < (size_t)PLAIN_SIZE_MAX ? padded : (size_t)PLAIN_SIZE_MAX;
}

static inline unsigned wire_kind(const uint8_t header[WIRE_HEADER_SIZE])
{
	return header[0] >> WIRE_KIND_SHIFT;
}

static inline unsigned wire_epoch(const uint8_t header[WIRE_HEADER_SIZE])
{
	return header[0] >> WIRE_EPOCH_SHIFT & WIRE_EPOCH_MASK;
}

static inline uint8_t wire_first(enum wire_kind kind, unsigned epoch)
{
	return (uint8_t)(kind << WIRE_KIND_SHIFT | (epoch & WIRE_EPOCH_MASK) << WIRE_EPOCH_SHIFT);
}

/* nonce = iv XOR counter (little-endian, in the last 8 bytes): RFC 8446 section 5.3 in our
 * order. */
void wire_nonce(const uint8_t iv[AEAD_NONCE_SIZE], uint64_t counter,
		uint8_t nonce[AEAD_NONCE_SIZE]);
