#pragma once
/*
 * Inside the keeper: its state, and what its files ask of each other. Everything here belongs to
 * the keeper's thread; only the struct session at the start of an entry is shared with workers.
 *
 *   keeper.c             life cycle, dispatch, timers, what the operator sees
 *   keeper_handshake.c   HELLO to WELCOME, COOKIE or silence
 *   keeper_sessions.c    a session's life: established, superseded, moved, ended, freed
 *   keeper_frames.c      control frames in, packets out, repetition
 *   keeper_channels.c    channels from OPEN to GONE
 *   keeper_rekey.c       new keys in band, old ones retired and erased
 *   keeper_burn.c        Compromised reports
 *   keeper_end.c         ending many sessions at once
 *   keeper_farewell.c    datagrams out; GOODBYEs that wait for a worker's room
 *   keeper_doors.c       telling sessions where to go at a port rotation
 *   keeper_enrol.c       enrolling devices, telling them the schedule
 */
#include "core/directory.h"
#include "core/keeper.h"
#include "core/rate_limit.h"
#include "core/rekey.h"
#include "core/seen.h"
#include "core/wheel.h"

enum {
	KEEPER_TIMERS_PER_TICK = 8192, /* 1 to 2 ms of work, then frames have a turn */
	KEEPER_OFFERS_PER_TICK = 1024,
	KEEPER_QUESTIONS_PER_PACKET = 4,  /* answered; a client asks the others again */
	KEEPER_KEY_CACHE = 512,           /* control frames of that many sessions at a time */
	KEEPER_ANNOUNCED_PER_TICK = 256,  /* sessions told of the next door, then 10 ms rest */
	KEEPER_ENDED_PER_SLICE = 256,     /* goodbyes sealed: about 1 ms, then frames have a turn */
	KEEPER_FAREWELLS_MAX = 262144,    /* goodbyes waiting: 256 bytes each, 64 MiB at worst */
	KEEPER_FAREWELLS_PER_SLICE = 256, /* within a worker's mailbox of 512 */
	KEEPER_ENDED_UNTOLD = 8192,       /* 10 ms of work */
	KEEPER_PENDING_SHARE = 4,         /* at most a quarter of all slots may be unproved */
};

#define KEEPER_OFFER_NS (10 * NS_PER_S)     /* an offer waits that long for its answer */
#define KEEPER_PROBE_NS (10 * NS_PER_S)     /* a path challenge can be answered that long */
#define KEEPER_ANNOUNCE_NS (10 * NS_PER_MS) /* 25,600 sessions a second: a million in 40 s */
#define KEEPER_BURN_NS (10 * NS_PER_MS)     /* between reports: each costs an Ed25519 and a disk */
#define KEEPER_STOPPED_LOOK_NS (1 * NS_PER_S)   /* its end is the control thread's to give */
#define KEEPER_FAREWELLS_NS (2 * NS_PER_MS)     /* between slices: 65,536 sessions in 0.5 s */
#define KEEPER_ENDING_TOLD_NS (500 * NS_PER_MS) /* erasing keys goes before good manners */
#define KEEPER_REKEY_NS (500 * NS_PER_MS)       /* between two rekeys: each costs two X25519 */
#define KEEPER_PENDING_LOOK_NS (1 * NS_PER_S)   /* should the news of its first packet get lost */

/* ---- sessions -------------------------------------------------------------------------- */

/*
 *   (HELLO accepted)        (first authentic packet)            (whatever ends it)
 *          |--> ENTRY_PENDING ------> ENTRY_ESTABLISHED ------> ENTRY_ENDED --> free
 *                     |--- SESSION_PENDING_NS ----------------------^   (after quiesce)
 */
enum keeper_state { ENTRY_NEW, ENTRY_PENDING, ENTRY_ESTABLISHED, ENTRY_ENDED };

/* A new path that has been challenged. */
struct keeper_probe {
	struct path path;
	uint64_t until_ns;
	uint8_t token[sizeof(struct wire_path)];
};

/*
 * Of a session by a file that may enrol; freed when it is done.
 *
 *   ENROL_OFFERED --ENROL_CONFIRM--> ENROL_SAVING --keeper_enrolled()--> ENROL_SAVED --> ENROL_DONE
 */
enum keeper_enrol_state { ENROL_OFFERED, ENROL_SAVING, ENROL_SAVED };

struct keeper_enrolment {
	enum keeper_enrol_state state;
	uint8_t psk[KEY_SIZE];
	uint8_t device_public[X25519_SIZE];
};

struct keeper_entry {
	struct session session; /* shared with workers; first: the table's entries */
	struct wheel_timer timer;
	struct reliable_sender *sender;     /* NULL: nothing waits for an acknowledgement */
	struct keeper_probe *probe;         /* NULL: none */
	struct keeper_enrolment *enrolment; /* NULL: none */
	struct keeper_entry *next_ended;
	struct keeper_entry *next_dirty;
	struct keeper_entry *next_retired;
	uint64_t timestamp_ns; /* of its HELLO */
	uint64_t since_ns;
	uint64_t probe_after_ns; /* no path challenge before */
	uint64_t epoch_since_ns; /* when the newest keys were made */
	uint64_t retire_ns;      /* when the older keys stop opening; NEVER: none */
	uint64_t door_told;      /* the newest door that a PORT_NEXT named to it */
	struct rekey_chain chain;
	struct reliable_receiver receiver;
	uint32_t schedule_told;     /* number of the schedule it knows; 0: none */
	uint32_t send_next;         /* sequence number to go on with, without a sender */
	uint32_t channels;          /* list of its ends; 0: none */
	uint32_t owing, owing_last; /* queue of its ends that owe it frames; 0: none */
	uint32_t epoch_received;    /* of highest_received, at epoch_since_ns: the low half */
	uint16_t channel_count;
	uint8_t state;      /* enum keeper_state */
	bool is_dirty;      /* to be flushed before the call returns */
	uint8_t end_reason; /* enum wire_reason, where keeper_is_ending() */
	bool is_enrolled;   /* the device needs no file */
	bool is_retired;    /* its older keys are to be erased after quiesce */
	bool has_lied; /* sent a Compromised report that is not genuine: no other is looked at */
	uint8_t identity[ED25519_PUBLIC_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
};
_Static_assert(sizeof(struct keeper_entry) <= 832, "13 cache lines: with all tables below 1 KiB");

/* ---- channels -------------------------------------------------------------------------- */

/*
 * Each number is one end; both ends of a channel are in the same state, until one is done.
 *
 *        OPEN                 ACCEPT, or the target's own OPEN
 *   free ----> CHANNEL_OFFERED ----> CHANNEL_OPEN
 *                     |                   |   CLOSE, REFUSE, a new OPEN, a session's end,
 *                     |--> CHANNEL_DONE <-|   an offer's time
 *                               |
 *                               | all that it owes is queued; then quiesce
 *                               v
 *                             free
 */
enum keeper_channel_state { CHANNEL_FREE, CHANNEL_OFFERED, CHANNEL_OPEN, CHANNEL_DONE };

/* Frames that an end owes its owner: queued when the owner's reliable sender has room, in the
 * order of the bits. */
enum {
	OWES_OFFER = 1,
	OWES_OPENED = 2,
	OWES_FAILED = 4,
	OWES_GONE = 8,
};

struct keeper_channel {
	struct keeper_entry *owner;
	uint64_t deadline_ns;    /* CHANNEL_OFFERED, opener's end */
	uint32_t other;          /* number of the other end */
	uint32_t request;        /* of the owner's OPEN, where has_request */
	uint32_t reason;         /* CHANNEL_DONE */
	uint32_t next, previous; /* ends of the same owner; free list of done ones */
	uint32_t next_owing;
	uint32_t next_offer, previous_offer;
	uint8_t state; /* enum keeper_channel_state */
	uint8_t owes;
	bool is_opener;
	bool has_request; /* an OPEN of the owner that is not answered yet */
	bool is_known;    /* the owner has been told the number */
	bool is_owing;    /* in the owner's queue */
};

/* ---- doors ----------------------------------------------------------------------------- */

/* The next door, and the walk over the table that tells of it. */
struct keeper_announcement {
	struct keeper_door next; /* door 0: none yet */
	uint32_t cursor;         /* of the table */
	uint64_t next_slice_ns;  /* NEVER: the walk is done */
};

/* ---- ending many ----------------------------------------------------------------------- */

/* Sessions that are marked and not yet ended: a walk over the table. */
struct keeper_ending {
	uint32_t cursor;
	uint32_t count;         /* marked ones left */
	uint64_t next_slice_ns; /* NEVER: none */
	uint64_t told_until_ns; /* later ones get no GOODBYE */
};

/* GOODBYEs, sealed, of sessions that are gone. */
struct keeper_farewells {
	struct keeper_farewell *first, *last;
	uint32_t count;
	uint64_t next_ns; /* of the next slice; NEVER: none waits */
};

/* ---- keeper ---------------------------------------------------------------------------- */

struct keeper_cookies {
	uint8_t secrets[2][KEY_SIZE]; /* current, previous */
	uint64_t until_ns;            /* of the current one */
};

struct keeper {
	struct keeper_config config;
	struct forward *forward;
	struct directory *directory;
	struct rate_limit *rate_limit;
	struct seen *seen;
	struct wheel wheel;
	struct keeper_cookies cookies;
	struct keeper_announcement announcement;
	struct keeper_ending ending;
	struct keeper_farewells farewells;
	struct wire_schedule schedule;
	uint32_t schedule_number;        /* 0: none */
	uint64_t burn_next_ns;           /* no Compromised report is looked at before */
	uint32_t mutes;                  /* keeper_mute() minus keeper_unmute() */
	struct keeper_channel *channels; /* by number */
	uint32_t channels_capacity;
	uint32_t channels_done;       /* list: to be given back after quiesce */
	uint32_t offers, offers_last; /* queue of openers' ends, by deadline; 0: none */
	uint32_t pending_count;
	uint32_t pending_max;
	bool is_draining;
	struct instant now;         /* of the call under way */
	struct keeper_entry *ended; /* to be freed after quiesce */
	struct keeper_entry *dirty;
	struct keeper_entry *retired; /* older keys to be erased after quiesce */
	struct keeper_stats stats;
	struct verdict_counters counters;
};

/* A packet under construction for a session. */
struct keeper_outgoing {
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct frame_writer writer;
	bool is_last; /* the session has no later packet: this one is not repeated */
};

/* keeper.c */
struct keeper_entry *keeper_entry_at(const struct keeper *k, uint32_t slot);
void keeper_set_timer(struct keeper *k, struct keeper_entry *e);

/* keeper_handshake.c */
void keeper_take_hello(struct keeper *k, const struct upcall *upcall, uint32_t queue_depth);

/* keeper_sessions.c */
void keeper_establish(struct keeper *k, struct keeper_entry *e);
void keeper_take_path(struct keeper *k, struct keeper_entry *e, const struct upcall *upcall);
/* The answer to a challenge came in along `path`. */
void keeper_take_path_response(struct keeper *k, struct keeper_entry *e, const struct path *path,
			       const struct wire_path *response);
void keeper_describe(const struct keeper *k, const struct keeper_entry *e,
		     struct keeper_event *event);
/* `is_told`: a GOODBYE goes to the client. The entry is freed by keeper_reap(). */
void keeper_end(struct keeper *k, struct keeper_entry *e, enum wire_reason reason, bool is_told);
/* Free what has ended, after one quiesce for all of it. No entry may be held by the caller. */
void keeper_reap(struct keeper *k);

/* keeper_frames.c */
void keeper_take_control(struct keeper *k, struct keeper_entry *e, const struct upcall *upcall);
/* Queue a frame that must arrive. False: the queue is full, or no memory. */
bool keeper_queue(struct keeper *k, struct keeper_entry *e, enum frame_type type,
		  struct view body) MUST_CHECK;
bool keeper_can_queue(const struct keeper_entry *e) MUST_CHECK;
void keeper_mark(struct keeper *k, struct keeper_entry *e); /* flush it before returning */
void keeper_flush(struct keeper *k, struct keeper_entry *e);
void keeper_flush_marked(struct keeper *k);
/* GOODBYE, with everything else that waits, once. */
void keeper_say_goodbye(struct keeper *k, struct keeper_entry *e, enum wire_reason reason);
void keeper_drop_sender(struct keeper_entry *e);
void keeper_outgoing_init(struct keeper_outgoing *o, size_t datagram_max);
/* `path` NULL: the session's own. An empty packet is not sent. */
void keeper_outgoing_send(struct keeper *k, struct keeper_entry *e, struct keeper_outgoing *o,
			  const struct path *path);

/* keeper_channels.c: what the frames of `e` ask for. */
void keeper_take_open(struct keeper *k, struct keeper_entry *e, const struct wire_open *open);
void keeper_take_accept(struct keeper *k, struct keeper_entry *e, uint32_t number);
void keeper_take_refuse(struct keeper *k, struct keeper_entry *e, uint32_t number, uint32_t reason);
void keeper_take_close(struct keeper *k, struct keeper_entry *e, uint32_t number);
/* Queue what is owed, as far as there is room. */
void keeper_pay_channels(struct keeper *k, struct keeper_entry *e);
/* The session ends: so do its channels. */
void keeper_end_channels(struct keeper *k, struct keeper_entry *e);
void keeper_expire_offers(struct keeper *k);
uint64_t keeper_offers_deadline(const struct keeper *k);
void keeper_give_back_channels(struct keeper *k); /* after quiesce */

/* keeper_burn.c */
void keeper_take_burn(struct keeper *k, struct keeper_entry *e, const struct wire_burn *burn);

/* keeper_end.c */
bool keeper_is_ending(const struct keeper_entry *e) MUST_CHECK;
/* Stopped or ending: nothing is taken from it, nothing is said to it but a last word. */
bool keeper_is_dead(const struct keeper_entry *e) MUST_CHECK;
void keeper_end_marked(struct keeper *k, struct keeper_entry *e);
void keeper_end_slice(struct keeper *k);

/* keeper_farewell.c */
/* Sealed; lost where there is no room now, as on the way. */
void keeper_send(struct keeper *k, const struct packet *packet);
/* Sealed last words: now, or as soon as a worker has room. */
void keeper_send_last(struct keeper *k, const struct packet *packet);
void keeper_send_farewells(struct keeper *k);
void keeper_drop_farewells(struct keeper *k);

/* keeper_doors.c */
void keeper_announce_slice(struct keeper *k);
/* Queue PORT_NEXT if the session has not heard of the next door, and there is room. */
void keeper_pay_door(struct keeper *k, struct keeper_entry *e);

/* Tell every established session what it has not heard of, in slices. */
void keeper_announce_start(struct keeper *k);

/* keeper_enrol.c */
void keeper_start_enrolment(struct keeper_entry *e, const struct noise_result *keys,
			    const uint8_t device_public[X25519_SIZE]);
void keeper_drop_enrolment(struct keeper_entry *e);
void keeper_take_confirm(struct keeper *k, struct keeper_entry *e);
/* Queue what the session has not heard of its enrolment and the schedule, where there is room. */
void keeper_pay_enrolment(struct keeper *k, struct keeper_entry *e);

/* keeper_rekey.c */
void keeper_start_keys(struct keeper *k, struct keeper_entry *e, const struct noise_result *keys);
/* False: too soon after the last one; the client repeats it. */
bool keeper_may_rekey(const struct keeper *k, const struct keeper_entry *e) MUST_CHECK;
void keeper_take_rekey(struct keeper *k, struct keeper_entry *e, const struct wire_rekey *request);
/* The older keys have had their time. They are erased by keeper_reap(). */
void keeper_retire_keys(struct keeper *k, struct keeper_entry *e);
void keeper_erase_retired(struct keeper *k); /* after quiesce */
bool keeper_keys_are_spent(const struct keeper *k, const struct keeper_entry *e) MUST_CHECK;
