#pragma once
/*
 * Keeper: the relay's slow path, as a state machine without system calls. It alone makes, changes
 * and ends sessions and channels: handshakes, control frames, presence, timers. The packet path
 * (forward.h) tells it what it must hear of by upcalls; it answers with sealed datagrams and
 * publishes in the session table and the channels.
 *
 *   keeper_create()
 *   keeper_open_door()
 *   loop: keeper_upcall() for what workers passed on; keeper_tick() at the time it asked for
 *   keeper_destroy()
 *
 * Owner: one thread (the handshake thread). Sharing with workers: struct table and struct channels.
 */
#include "core/forward.h"
#include "core/frames.h"
#include "core/hello.h"

/* What a credential in a HELLO stands for; filled in by whoever keeps files and devices. */
struct credential {
	uint8_t psk[KEY_SIZE];
	uint8_t file_id[FILE_ID_SIZE]; /* the file that it came from: revoking a file reaches all */
	enum wire_status status;       /* STATUS_OK, _EXPIRED, _SPENT, _REVOKED */
	uint64_t last_timestamp_ns;    /* of that device's HELLOs, over restarts; 0: none */
	bool may_enrol;                /* a file's: the device is offered to need none again */
	bool is_proved; /* a session of this device was up as this identity: a HELLO's holder of the
			 * device key need not prove it again */
};

enum keeper_event_type {
	KEEPER_SESSION_UP,
	KEEPER_SESSION_DOWN, /* reason */
	KEEPER_REFUSED,      /* status: a holder of a credential was turned away */
	KEEPER_FORGERIES,    /* a session under attack */
	KEEPER_ENROL,        /* psk: save it, then keeper_enrolled() */
	KEEPER_BURN,         /* scope, nonce, text: a genuine Compromised report, that comes
				    * again until keeper_answer_burn() */
};

struct keeper_event {
	enum keeper_event_type type;
	struct session_id session;
	uint8_t device[DEVICE_ID_SIZE];
	uint8_t device_public[X25519_SIZE]; /* KEEPER_ENROL, KEEPER_REFUSED */
	uint8_t peer[PEER_ID_SIZE];
	uint8_t identity[ED25519_PUBLIC_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	struct address remote;
	uint64_t timestamp_ns; /* of the HELLO: to be remembered over restarts */
	uint32_t reason;       /* enum wire_reason */
	uint8_t status;        /* enum wire_status */
	uint8_t psk[KEY_SIZE]; /* KEEPER_ENROL: the device's, secret */
	uint8_t scope;         /* enum wire_scope: as asked for */
	uint8_t granted;       /* for who passes a KEEPER_BURN on: enum compromised_scope */
	uint64_t heard_ns;     /* and when, mono */
	uint8_t nonce[BURN_NONCE_SIZE];
	char text[BURN_REASON_MAX + 1]; /* as the client wrote it: for logs, to be cleaned */
};

struct keeper_hooks {
	void *state;
	/* Look up what a HELLO names. False: unknown, to be dropped in silence. */
	bool (*find_credential)(void *state, const struct hello_request *request, uint64_t wall_ns,
				struct credential *out);
	/* A sealed datagram, to be sent along packet->path; the bytes are the callee's to copy.
	 * False: no room now. */
	bool (*send)(void *state, const struct packet *packet);
	/* Every worker is to drop its expanded keys of this session (asynchronously is enough). */
	void (*forget)(void *state, struct session_id session);
	/* Return when no worker can still hold an entry found before this call. */
	void (*quiesce)(void *state);
	void (*event)(void *state, const struct keeper_event *event);
	/* A HELLO was taken in: keep its id over restarts, for keeper_note_hello(). May be NULL. */
	void (*remember)(void *state, uint64_t hello_id);
};

struct keeper_config {
	struct table *table; /* made with entry_size = keeper_entry_size() */
	struct channels *channels;
	const struct packet_cipher *cipher;
	struct hello_server server;
	struct keeper_hooks hooks;
	struct random_source random;
	uint64_t idle_timeout_ns;
	uint32_t keepalive_s;
	uint32_t handshake_rate_per_s; /* per address prefix */
	uint32_t handshake_burst;
};

/* What the operator sees of a session. */
struct keeper_session {
	struct session_id id;
	uint8_t peer[PEER_ID_SIZE];
	uint8_t device[DEVICE_ID_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	struct path path;
	uint64_t since_ns;               /* mono */
	uint64_t last_receive_ns;        /* mono */
	uint64_t rx_packets, tx_packets; /* by counters */
	uint64_t rx_bytes, tx_bytes;
	uint32_t channels;
	uint32_t epoch;
	bool is_established;
};

struct keeper_stats {
	uint64_t handshakes_ok, handshakes_refused, handshakes_dropped, cookies_sent;
	uint64_t sessions_made, sessions_ended;
	uint64_t channels_opened, channels_closed, channel_refusals;
	uint64_t frames_in, frames_out, frames_repeated, frames_malformed;
	uint64_t path_challenges, path_moves;
	uint64_t rekeys, rekeys_failed;
	uint64_t burns, burns_refused; /* Compromised reports, genuine or not */
	uint64_t doors_told;           /* PORT_NEXT queued */
	uint64_t enrolments_offered, enrolments_done;
	uint64_t schedules_told; /* SCHEDULE queued */
	uint64_t table_full, channels_full;
	uint64_t sends_full;    /* datagrams lost: no room now; what matters is repeated */
	uint64_t goodbyes_lost; /* sessions ended, their clients not told */
};

struct keeper;

size_t keeper_entry_size(void);
struct keeper *keeper_create(const struct keeper_config *config) MUST_CHECK; /* NULL: memory */
void keeper_destroy(struct keeper *k); /* after all workers have stopped */

/* A HELLO that an earlier run took in: a copy of it gets no answer. Before the first upcall. */
void keeper_note_hello(struct keeper *k, uint64_t hello_id);

bool keeper_open_door(struct keeper *k, uint64_t door, uint16_t port,
		      const struct door_keys *keys) MUST_CHECK;
void keeper_close_door(struct keeper *k, uint64_t door);

/* The door that sessions are to go to next: every session that is not there yet is told, some
 * thousands a second, each until it has acknowledged. A later door takes the place of this one. */
struct keeper_door {
	uint64_t door;
	uint16_t port;
	uint64_t begins_ns; /* wall clock: when to go there */
	uint8_t key[KEY_SIZE];
};
void keeper_announce_door(struct keeper *k, const struct keeper_door *door, struct instant now);

/*
 * The schedule from now on: sessions of enrolled devices are told of it (SCHEDULE), those by a file
 * that may enrol are offered it (ENROL_OFFER), later ones when they are established. Until the
 * first call nobody is enrolled.
 */
void keeper_set_schedule(struct keeper *k, const struct wire_schedule *schedule,
			 struct instant now);

/* What came of KEEPER_ENROL. REASON_NONE: the device is saved durably; else its session ends so. */
void keeper_enrolled(struct keeper *k, struct session_id id, enum wire_reason reason,
		     struct instant now);

/* `queue_depth`: handshakes that wait behind this one; above HANDSHAKE_COOKIE_DEPTH a cookie is
 * asked for. */
void keeper_upcall(struct keeper *k, const struct upcall *upcall, uint32_t queue_depth,
		   struct instant now);

/* Do what time demands, and free what has ended; returns the mono_ns of the next call. Also to be
 * called after each round of upcalls: they bring new deadlines. */
uint64_t keeper_tick(struct keeper *k, struct instant now);

/* End sessions, telling their clients: one, or all of them (drain). */
bool keeper_end_session(struct keeper *k, struct session_id id, enum wire_reason reason,
			struct instant now) MUST_CHECK;
void keeper_end_all(struct keeper *k, enum wire_reason reason, struct instant now);

enum keeper_match_kind { MATCH_ALL, MATCH_DEVICE, MATCH_FILE };
struct keeper_match {
	enum keeper_match_kind kind;
	uint8_t id[FILE_ID_SIZE]; /* of the device or the file */
};
_Static_assert((int)DEVICE_ID_SIZE == (int)FILE_ID_SIZE, "one field for both");

/*
 * Nothing of any session that matches is opened, relayed or sealed by a worker when this returns,
 * and none hears of it, until keeper_end_matching(): for a signal that the disk does not have yet.
 * Returns how many that are new.
 */
uint32_t keeper_stop_matching(struct keeper *k, const struct keeper_match *match,
			      struct instant now);
/*
 * While muted, holders of revoked credentials get no answer instead of STATUS_REVOKED: they would
 * take it for an acknowledgement of what the disk does not have yet. As many unmutes as mutes.
 */
void keeper_mute(struct keeper *k);
void keeper_unmute(struct keeper *k);

/*
 * End every session that matches. When this returns, no worker opens, relays or seals anything
 * for any of them. keeper_tick() does the rest in slices: GOODBYE sealed (for half a second; later
 * ones are ended without, and counted; REASON_NONE: none is told), keys erased. The GOODBYEs leave
 * as workers take them, and hold up nothing. Returns how many.
 */
uint32_t keeper_end_matching(struct keeper *k, const struct keeper_match *match,
			     enum wire_reason reason, struct instant now);
/* Nothing is left of what was ended: the keys of all of it are erased in the table. */
bool keeper_has_ended_all(const struct keeper *k) MUST_CHECK;
/* No GOODBYE waits to be sent. */
bool keeper_has_said_goodbye(const struct keeper *k) MUST_CHECK;

/* Answer a KEEPER_BURN, at once, also where its session is stopped: it may end with the next call.
 * False: it has ended. */
bool keeper_answer_burn(struct keeper *k, struct session_id id,
			const uint8_t nonce[BURN_NONCE_SIZE], enum wire_burn_status status,
			struct instant now);
/* Handshakes are answered with this key from now on; the former one is overwritten. */
void keeper_replace_key(struct keeper *k, const struct x25519_pair *static_key);

/* New HELLOs are answered with STATUS_DRAINING from now on. */
void keeper_drain(struct keeper *k);

/* Walk over the sessions: *cursor starts at 0; false at the end. */
bool keeper_next_session(const struct keeper *k, uint32_t *cursor,
			 struct keeper_session *out) MUST_CHECK;
const struct keeper_stats *keeper_stats(const struct keeper *k);
/* Verdicts of handshakes that the keeper dropped itself. */
struct verdict_counters *keeper_counters(struct keeper *k);
