#pragma once
/*
 * The inside of a peer, shared by core/peer.c (tunnels, packets, timing) and core/peer_handshake.c
 * (messages), and open to tests. The two halves of a handshake are independent, so that a stray
 * message 1 cannot disturb a handshake of our own:
 *
 *   call    IDLE -> WAITING (message 1 out) -> CONFIRMING (keys in use, none came back yet) -> IDLE
 *   answer  IDLE -> WAITING (XX: for message 3) -> IDLE
 *           IDLE -> PENDING (IKpsk2: for the first packet under the new keys) -> IDLE
 *
 * If both call at once, the device with the lower id does not answer.
 */
#include "core/peer.h"

enum {
	PEER_EVENTS_MAX = 4,    /* a step of a handshake makes one; the oldest gives way */
	PEER_TUNNELS = 3,       /* current, previous, pending */
	PEER_KEYS_EXPANDED = 8, /* two directions of each tunnel, and the cache's geometry */
	PEER_CONFIRM_TRIES = 4, /* 4.5 s without an answer under new keys: call again */
	PEER_REFUSAL_ECHO = PEER_PSKS_MAX * PEER_PSK_ID_SIZE,
};
#define PEER_RETRY_NS (300 * NS_PER_MS) /* first repetition; doubles up to the next */
#define PEER_RETRY_LAST_NS (8 * NS_PER_S)
#define PEER_ANSWER_INTERVAL_NS (100 * NS_PER_MS) /* between two first messages worked on */
#define PEER_KEYS_AGE_NS (60 * 60 * NS_PER_S)     /* a thief of keys is shut out after an hour */
#define PEER_KEYS_PAUSE_NS (60 * NS_PER_S)        /* after a renewal that nobody answered */

_Static_assert(WIRE_OVERHEAD + DATA_FRAME_HEAD + (int)sizeof(struct wire_peer_head) +
			       PEER_NOISE_SIZE_MAX <=
		       PEER_HANDSHAKE_SIZE_MIN,
	       "every message fits before its padding");
_Static_assert((int)PEER_HANDSHAKE_SIZE_MIN % (int)PAD_BUCKET == 0, "sizes like those of data");

struct peer_tunnel {
	struct session session;
	struct mask *hide; /* made once, keyed by each handshake anew */
	struct mask *show;
	bool is_live;
	bool is_initiator; /* we called */
	bool is_confirmed; /* the other has used its keys */
};

/* What a handshake has told; becomes the pin and the event. */
struct peer_outcome {
	struct peer_pin pin;
	uint8_t instance[PEER_INSTANCE_SIZE];
	char name[NAME_SIZE_MAX + 1];
	bool is_first_contact;
};

/* A Noise message of ours, kept to be repeated; sealed afresh each time. */
struct peer_message {
	uint8_t pattern;
	uint8_t choice;
	uint8_t psk_ids[PEER_PSKS_MAX][PEER_PSK_ID_SIZE];
	uint8_t noise[PEER_NOISE_SIZE_MAX];
	size_t noise_size;
};

enum peer_call_stage { CALL_IDLE, CALL_WAITING, CALL_CONFIRMING };

struct peer_call {
	enum peer_call_stage stage;
	enum wire_peer_pattern pattern;
	struct noise noise;
	struct peer_message message; /* 1, then 3 of XX */
	bool is_message_due;
	bool is_confirm_due; /* an empty packet under the new keys */
	unsigned tries;      /* messages 1 sent */
	unsigned confirms;
	uint64_t retry_ns;
	uint64_t backoff_ns;
};

enum peer_answer_stage { ANSWER_IDLE, ANSWER_WAITING, ANSWER_PENDING };

struct peer_answer {
	enum peer_answer_stage stage;
	struct noise noise;          /* XX, between messages 2 and 3 */
	uint8_t question[HASH_SIZE]; /* SHA-256 of the message 1 taken last */
	uint64_t taken_ns;
	bool has_taken;
	struct peer_message message; /* 2 */
	bool is_message_due;
	bool is_confirm_due;
	struct peer_outcome outcome; /* IKpsk2: not ours before it is confirmed */
	uint8_t refused[PEER_REFUSAL_ECHO];
	bool is_refusal_due;
};

struct peer {
	const struct peer_self *self;
	uint8_t remote_id[PEER_ID_SIZE];
	struct random_source random;
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	struct peer_pin pin;
	bool has_pin;

	/* Sealing of handshakes: one key and mask for each direction. */
	uint8_t send_key[KEY_SIZE];
	uint8_t receive_key[KEY_SIZE];
	struct mask *hide;
	struct mask *show;

	struct key_cache *keys;
	struct peer_tunnel tunnels[PEER_TUNNELS];
	struct peer_tunnel *current; /* NULL: not secure */
	struct peer_tunnel *previous;
	struct peer_tunnel *pending;
	uint64_t retire_ns;      /* end of `previous` */
	uint64_t renew_ns;       /* when to call again by ourselves */
	uint64_t renew_floor_ns; /* not before */

	struct peer_call call;
	struct peer_answer answer;
	bool has_told_refusal; /* since peer_begin(): the relay can forge many */
	bool has_settled;      /* since peer_begin(): a handshake was finished */

	struct peer_event events[PEER_EVENTS_MAX];
	size_t event_first;
	size_t event_count;
};

/* A handshake blob that opened: its head, and the Noise message inside. */
struct peer_letter {
	struct wire_peer_head head;
	struct view noise;
};

/* ---- core/peer.c ----------------------------------------------------------------------- */

/* Keys for a tunnel that nothing uses yet. */
struct peer_tunnel *peer_tunnel_open(struct peer *p, const struct noise_result *keys,
				     bool is_initiator);
void peer_tunnel_close(struct peer *p, struct peer_tunnel **tunnel);
/* It carries what we send from now on; the one before goes on opening for a while. */
void peer_tunnel_use(struct peer *p, struct peer_tunnel *tunnel, uint64_t now_ns);

struct peer_event *peer_event_push(struct peer *p, enum peer_event_type type);
void peer_refuse(struct peer *p, enum peer_refusal refusal);
/* Pin and event of a finished handshake. */
void peer_adopt(struct peer *p, const struct peer_outcome *outcome);

/* ---- core/peer_handshake.c ------------------------------------------------------------- */

/* Sign what every handshake shows, once. */
void peer_sign(struct peer *p);

void peer_call_start(struct peer *p, uint64_t now_ns);
void peer_call_stop(struct peer *p);
void peer_answer_stop(struct peer *p);

bool peer_letter_read(struct view plain, struct peer_letter *out) MUST_CHECK;
void peer_letter_1(struct peer *p, const struct peer_letter *letter, uint64_t now_ns);
void peer_letter_2(struct peer *p, const struct peer_letter *letter, uint64_t now_ns);
void peer_letter_3(struct peer *p, const struct peer_letter *letter, uint64_t now_ns);

/* Seal a message of ours into a blob; returns its size. */
size_t peer_message_seal(struct peer *p, enum wire_kind kind, const struct peer_message *message,
			 uint8_t *out);
