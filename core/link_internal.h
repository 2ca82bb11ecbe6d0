#pragma once
/*
 * Inside of struct link, shared by the link's own files:
 *
 *   link.c             life; datagrams in and out
 *   link_session.c     the session's phases and timers, liveness, the relay's clock
 *   link_doors.c       door keys in use; which door and address the next HELLO tries
 *   link_handshake.c   HELLO, COOKIE, WELCOME
 *   link_rekey.c       new keys in band
 *   link_burn.c        reporting a compromise
 *   link_frames.c      control frames in, answers and repetitions out
 *   link_enrol.c       credentials, enrolment, the schedule
 *   link_requests.c    what the application asks for; events
 *
 * The session and its handshakes are two machines that run beside each other:
 *
 *   session:   NONE --WELCOME--> PENDING --first packet--> LIVE --GOODBYE--> LEAVING --> NONE
 *                                   |                       |   (acknowledge it first)
 *                                   +--nothing came---------+--silent too long--> NONE
 *
 *   handshake: off --no session, or 8 s without an answer--> on --LIVE, or the old session
 *              answers after all--> off
 *
 * So a session that has gone silent stays usable while a new one is sought.
 */
#include "core/frames.h"
#include "core/link.h"
#include "core/rekey.h"
#include "core/session.h"

enum {
	LINK_TRIES = 3,          /* HELLOs whose answers are still taken */
	LINK_GATES = 4,          /* doors with keys at hand: old and new, of tries */
	LINK_HASTE_MAX = 3,      /* HELLOs at once (COOKIE, TIME) between two regular ones */
	LINK_TIME_TRIES_MAX = 2, /* STATUS_TIME in a row that are answered at once */
	LINK_FILE_REFUSALS = 6,  /* with silence for the device between: 30 % loss, 1 in 50 */
	LINK_QUESTION_TRIES_MAX = 5,
	LINK_PINGS = 4,             /* PINGs whose PONG still measures a round trip */
	LINK_PROBES = 6,            /* at 30 % loss each way one in 100 silences is not silence */
	LINK_KEY_CACHE_ENTRIES = 8, /* one session, EPOCHS_LIVE epochs, two directions; to spare */
	LINK_JITTER_PERCENT = 20,   /* HELLOs: clients of one relay must not retry in step */
	LINK_KEEPALIVE_JITTER_PERCENT = 10,
};

#define LINK_PENDING_NS (4 * NS_PER_S) /* welcomed, but no packet yet */
#define LINK_PENDING_PING_NS (400 * NS_PER_MS)
#define LINK_PROBE_NS (1 * NS_PER_S)            /* between PINGs while an answer is wanted */
#define LINK_DEAD_NS (8 * NS_PER_S)             /* without an answer: seek a new session */
#define LINK_BLOB_SILENCE_NS (5 * NS_PER_S)     /* blobs go out, nothing comes in: probe */
#define LINK_SLEEP_NS (30 * NS_PER_S)           /* so long between two calls: we slept */
#define LINK_SUPERSEDED_NS (30 * NS_PER_S)      /* another of us is connected: do not fight */
#define LINK_SLOW_NS (10 * NS_PER_S)            /* the relay is full, draining, or kicks us */
#define LINK_RESTART_NS (1 * NS_PER_S)          /* the relay said goodbye: let it come back */
#define LINK_ROTATION_MAX_NS (86400 * NS_PER_S) /* a door further off is nonsense */
#define LINK_REKEY_SPREAD_NS (60 * NS_PER_S)    /* after a rotation: not all at once */
#define LINK_REKEY_ANSWER_NS (60 * NS_PER_S)    /* as long as a frame is repeated */
#define LINK_REKEY_RETRY_NS (1 * NS_PER_S)
#define LINK_BURN_REPEAT_NS (1 * NS_PER_S)
#define LINK_QUESTION_NS (1 * NS_PER_S)        /* first repetition; doubles */
#define LINK_IDLE_LEAST_NS (20 * NS_PER_S)     /* whatever the relay says */
#define LINK_KEEPALIVE_LEAST_NS (5 * NS_PER_S) /* likewise */
#define LINK_RTT_CREDIBLE_NS (2 * NS_PER_S)    /* a slower PONG says nothing about the clock */

/* A door whose keys are at hand. */
struct link_gate {
	bool is_used;
	uint64_t generation;
	uint64_t used; /* order of use: the least recent gives way */
	struct door_keys keys;
	struct mask *hide; /* headers that we send */
	struct mask *show; /* headers that come */
};

/* Where to: the relay's address and port, and the door behind it. */
struct link_route {
	struct address relay;
	uint64_t door;
};

/* A HELLO that may still be answered. */
struct link_try {
	bool is_used;
	bool is_answered; /* by a COOKIE: once is enough */
	uint32_t order;
	uint32_t turn;
	uint64_t timestamp_ns;
	struct link_credential credential;
	struct noise noise;
	uint8_t tag[AEAD_TAG_SIZE];
	struct link_route route;
};

struct link_handshake {
	bool is_on;
	bool is_route_kept;          /* the next HELLO takes `route` again: it was answered */
	bool is_old_asked;           /* a PING in the old session went before the next HELLO */
	uint32_t order;              /* HELLOs of this round */
	uint32_t turn;               /* likewise, without repetitions: chooses where and as whom */
	uint32_t file_refusals;      /* of a file beside which a device waits for its answer */
	uint32_t haste;              /* sent at once since the last regular one */
	uint32_t time_answers;       /* STATUS_TIME in a row */
	uint64_t hello_ns;           /* when the next HELLO goes; NEVER: off */
	uint64_t retry_ns;           /* back-off */
	uint64_t last_timestamp_ns;  /* of a HELLO */
	uint64_t taken_timestamp_ns; /* of the latest HELLO that made a session */
	uint64_t cookie_until_ns;    /* 0: none */
	uint8_t cookie[COOKIE_SIZE];
	struct link_route route;
	struct link_credential credential; /* likewise kept */
	uint32_t kept_turn;
	struct link_try tries[LINK_TRIES];
};

enum link_phase { PHASE_NONE, PHASE_PENDING, PHASE_LIVE, PHASE_LEAVING };

struct link_ping {
	bool is_used;
	uint64_t token;
	uint64_t sent_ns;
};

/* PORT_NEXT, until it is time to go there. */
struct link_rotation {
	uint64_t door;
	uint16_t port;
	uint64_t switch_ns; /* NEVER: none known */
};

struct link_rekey {
	struct rekey_chain chain;
	bool is_asked; /* REKEY_1 is under way; `noise` is in use */
	struct noise noise;
	uint64_t answer_by_ns;
	uint64_t wanted_ns;       /* NEVER: for no reason but age and use */
	uint64_t not_before_ns;   /* the queue was full: try again then */
	uint64_t since_ns;        /* when the keys in use were made */
	uint64_t received, bytes; /* counts of the session at that time */
	uint64_t retire_ns;       /* when those before them end; NEVER: none */
};

struct link_burn {
	bool is_on;
	uint64_t next_ns; /* when it is sent again */
	uint64_t until_ns;
	enum wire_scope scope;
	uint8_t nonce[BURN_NONCE_SIZE];
	uint8_t reason[BURN_REASON_MAX];
	uint8_t reason_size;
};

struct link_question {
	bool is_used;
	enum frame_type type; /* FRAME_PEERS_GET or FRAME_FIND */
	uint32_t request;
	uint32_t tries;
	uint64_t ask_ns;
	union {
		struct wire_peers_get peers_get;
		struct wire_find find;
	};
};

/*
 * Of a session by a file:
 *
 *   none --ENROL_OFFER--> offered --link_confirm_enrolment()--> confirmed --ENROL_DONE--> enrolled
 *
 * A session under a device PSK is as good as ENROL_DONE: the relay has that PSK.
 */
struct link_enrolment {
	bool is_offered, is_confirmed;
	uint8_t psk[KEY_SIZE]; /* of this session's handshake */
	struct wire_schedule schedule;
};

struct link_events {
	struct link_event ring[LINK_EVENTS_MAX];
	size_t first;
	size_t count;
};

struct link {
	struct link_config config;
	struct instant now; /* of the latest call that knew it */
	enum link_state state;
	bool is_clock_learned;       /* from the relay, or by an earlier run */
	bool is_clock_sure;          /* from the relay, by this one */
	int64_t relay_minus_mono_ns; /* relay's wall clock minus our mono_ns, once learned */

	uint64_t gate_uses;
	struct link_gate gates[LINK_GATES];
	struct link_handshake handshake;
	struct link_credential credentials[LINK_CREDENTIALS_MAX]; /* the likeliest first */
	size_t credential_count;

	/* Session. */
	enum link_phase phase;
	struct session session;
	struct key_cache *cache;
	struct link_credential credential;
	struct link_enrolment enrolment;
	bool is_schedule_new; /* the keys of its doors are of the one before */
	struct link_route route;
	struct link_rotation rotation;
	struct link_rekey rekey;
	struct link_burn burn;
	struct address observed;
	size_t plain_max; /* what the relay takes in one packet */
	uint64_t keepalive_ns, idle_ns;
	uint64_t rtt_ns;
	uint32_t handshakes;
	uint32_t rekeys;
	uint32_t hellos; /* since the last session */
	bool is_up_told; /* UP went to the application, DOWN has not */

	/* Times of mono_ns; NEVER: not set. */
	uint64_t pending_until_ns, pending_ping_ns;
	uint64_t last_send_ns, last_receive_ns;
	uint64_t ping_wait_ns; /* from the last packet to the next keepalive */
	uint64_t waiting_ns;   /* since when an answer is wanted */
	uint64_t probe_ns;     /* the next PING because of that */
	uint32_t probes;
	uint64_t blob_ns; /* since when blobs go out and nothing comes in */
	struct link_ping pings[LINK_PINGS];
	uint32_t ping_next;
	bool is_ping_due;

	/* Control frames. */
	struct reliable_sender sender;
	struct reliable_receiver receiver;
	bool is_path_response_due;
	struct wire_path path_response;
	size_t path_response_max; /* plaintext of the challenge */
	uint32_t last_request;
	struct link_question questions[LINK_QUESTIONS_MAX];

	struct link_events events;
};

/* ---- link.c ------------------------------------------------------------------------------ */

static inline bool link_has_given_up(const struct link *l)
{
	return l->state == LINK_REFUSED || l->state == LINK_STOPPED;
}

/* `plain_size` bytes, padded, lie behind the header's room in `frame`. False: key limit. */
bool link_seal(struct link *l, uint8_t *frame, size_t plain_size, struct packet *packet) MUST_CHECK;

/* ---- link_session.c ---------------------------------------------------------------------- */

uint64_t link_relay_time(const struct link *l); /* wall clock, corrected */
void link_learn_time(struct link *l, uint64_t relay_wall_ns);
void link_clock_init(struct link *l);

/* The session of a WELCOME takes the place of the present one. */
void link_session_begin(struct link *l, const struct link_try *try, struct session_id id,
			const struct noise_result *keys);
/* Wipe it; nobody is told. */
void link_session_end(struct link *l);
/* It is over, by our own judgement or by the relay's GOODBYE: tell, and seek another. */
void link_session_lost(struct link *l, uint32_t reason);
void link_said_goodbye(struct link *l, uint32_t reason);
void link_refused(struct link *l, uint8_t status);

/* An authentic packet came. */
void link_note_received(struct link *l);
/* Something that wants an answer goes out now. */
void link_expect_answer(struct link *l);
/* Do what time demands. */
void link_tick(struct link *l);

/* ---- link_doors.c ------------------------------------------------------------------------ */

bool link_gates_init(struct link *l) MUST_CHECK; /* false: memory */
void link_gates_fini(struct link *l);
/* Its keys, derived if need be. NULL: a door that we have no key of. */
struct link_gate *link_gate(struct link *l, uint64_t generation);
/* The relay told of a door, which begins in `wait_ns`: keep it beside those of the file. */
void link_learn_door(struct link *l, uint64_t generation, uint16_t port,
		     const uint8_t key[KEY_SIZE], uint64_t wait_ns);
/* Another schedule: what was computed by the one before goes. */
void link_forget_doors(struct link *l);
void link_forget_gates(struct link *l);
/* The ports of the schedule are those of the relay. */
bool link_computes_doors(const struct link *l) MUST_CHECK;
/* Where the HELLO number `order` of a round goes. False: no door or address at all. */
bool link_choose_route(const struct link *l, uint32_t order, struct link_route *out) MUST_CHECK;
/* When the present door ends by the relay's wall clock; 0: unknown. */
uint64_t link_next_rotation(const struct link *l);

/* ---- link_handshake.c -------------------------------------------------------------------- */

void link_handshake_start(struct link *l, uint64_t after_ns);
void link_handshake_stop(struct link *l);
bool link_hello(struct link *l, struct view_out out, struct packet *packet) MUST_CHECK;
void link_welcome(struct link *l, struct view plain);
void link_cookie(struct link *l, struct view plain);

/* ---- link_enrol.c ------------------------------------------------------------------------ */

void link_credentials_init(struct link *l);
/* A file beside which there is a device: the relay may know that one. */
bool link_is_file_beside_device(const struct link *l,
				const struct link_credential *file) MUST_CHECK;
void link_enrolment_start(struct link *l, const struct noise_result *keys);
void link_enrolment_end(struct link *l);
/* The session is live: what it proves of our credentials. */
void link_credential_proved(struct link *l);
void link_take_enrol_offer(struct link *l, const struct wire_schedule *schedule);
void link_take_enrol_done(struct link *l, const struct wire_enrol_done *done);
void link_take_schedule(struct link *l, const struct wire_schedule *schedule);

/* ---- link_rekey.c ------------------------------------------------------------------------ */

void link_rekey_start(struct link *l, const struct noise_result *keys);
void link_rekey_end(struct link *l);
void link_rekey_soon(struct link *l);
uint64_t link_rekey_due(const struct link *l);
void link_rekey_act(struct link *l);
uint64_t link_retire_due(const struct link *l);
void link_retire_act(struct link *l);
void link_take_rekey(struct link *l, const struct wire_rekey *answer);

/* ---- link_burn.c ------------------------------------------------------------------------- */

uint64_t link_burn_due(const struct link *l);
void link_burn_act(struct link *l);
void link_take_burn_ack(struct link *l, const struct wire_burn_ack *ack);
/* The relay turns us away; where that is because we are revoked it has the report. False: none is
 * under way. */
bool link_burn_refused(struct link *l, bool is_revoked) MUST_CHECK;
void link_burn_session(struct link *l); /* there is a session to send it in */

/* ---- link_frames.c ----------------------------------------------------------------------- */

void link_frames_start(struct link *l); /* of a new session */
/* The plaintext of a session's packet. True: a blob. */
bool link_read(struct link *l, struct view plain, uint32_t *channel, struct view *blob) MUST_CHECK;
/* The next packet of control frames that is due. False: none. */
bool link_write(struct link *l, struct view_out out, struct packet *packet) MUST_CHECK;
/* When link_write() is to be called. */
uint64_t link_frames_deadline(const struct link *l);
void link_ping(struct link *l); /* a PING with the next output */

/* ---- link_requests.c --------------------------------------------------------------------- */

bool link_has_event_room(const struct link *l);
struct link_event *link_push(struct link *l, enum link_event_type type); /* room was checked */
/* UP, DOWN, REFUSED: takes the events of ended channels out, and never fails. */
struct link_event *link_push_state(struct link *l, enum link_event_type type);
struct link_question *link_find_question(struct link *l, enum frame_type type, uint32_t request);
void link_questions_restart(struct link *l);
/* Write the questions that are due; drop those asked often enough. */
void link_questions_write(struct link *l, struct frame_writer *w);
uint64_t link_questions_deadline(const struct link *l);
