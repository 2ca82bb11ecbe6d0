#pragma once
/*
 * A virtual network in one process: a relay (session table, channels, keeper and several workers;
 * each datagram goes to a worker drawn at random), clients (struct link each), and paths between
 * them that lose, copy, delay and reorder. One virtual clock; everything random comes from one
 * seed, so a run can be repeated to the last byte (SEED=, see test_seed()).
 *
 *   struct sim *sim = sim_create(NULL);
 *   struct sim_client *alice = sim_add_client(sim, NULL);
 *   struct sim_client *bob = sim_add_client(sim, NULL);
 *   assert_true(sim_connect(sim, alice, bob));
 *   assert_true(sim_send_number(sim, alice, bob, 100));
 *   sim_run(sim, NS_PER_S);
 *   assert_int_equal(sim_channel(bob, alice)->received, 1);
 *   sim_destroy(sim);
 *
 * Time moves in sim_run*() only. What cannot be (memory, a broken invariant) fails the test.
 *
 * A layer above the link (peers end to end) sits on a client as struct sim_app.
 */
#include "core/keeper.h"
#include "core/link.h"

enum {
	SIM_CLIENTS_MAX = 2048,
	SIM_WORKERS_MAX = 8,
	SIM_WATCHES_MAX = 16,
};

/* One way of a path; each datagram draws for itself. */
struct sim_quality {
	unsigned loss_percent;
	unsigned copy_percent;
	unsigned late_percent; /* held back for late_ns: overtaken by later ones */
	uint64_t late_ns;
	uint64_t delay_ns;
	uint64_t jitter_ns; /* 0 .. this on top: reorders what follows closely */
};

struct sim_config {
	uint64_t seed;              /* 0: test_seed() */
	unsigned workers;           /* 0: 2 */
	unsigned hellos_per_ms;     /* what the keeper gets done; 0: 4 */
	uint32_t sessions;          /* size of the table; 0: SIM_CLIENTS_MAX */
	uint32_t channels;          /* 0: 4 for each session */
	uint32_t keepalive_s;       /* 0: 25 */
	uint64_t idle_timeout_ns;   /* 0: SESSION_IDLE_NS */
	uint32_t enrols;            /* devices that the file may enrol; 0: none */
	struct sim_quality quality; /* of all paths at first; delay_ns 0: 20 ms */
};

struct sim;
struct sim_client;

/* What sits above a client's link instead of the sim's own bookkeeping. All may be NULL. */
struct sim_app {
	void *state;
	void (*event)(void *state, struct sim_client *c, const struct link_event *event);
	void (*blob)(void *state, struct sim_client *c, uint32_t channel, struct view blob);
	/* Called after all input and when its deadline has come; sends with sim_send(). Returns
	 * when to be called again, as mono_ns. */
	uint64_t (*tick)(void *state, struct sim_client *c, struct instant now);
};

/* Steps of an enrolment, each told before the next thing is done. */
enum sim_enrol_step {
	SIM_ENROL_OFFERED,   /* the client has the offer, nothing is saved */
	SIM_ENROL_KEPT,      /* the client has saved it, the relay is not told */
	SIM_ENROL_CONFIRMED, /* the relay is told, nothing is saved there */
	SIM_ENROL_SAVED,     /* the relay has saved it, the client is not told */
	SIM_ENROL_DONE,      /* the client is told, the file's secret still there */
	SIM_ENROL_STEPS,
};

/* What a client has on its disk, beside what never changes. */
struct sim_profile {
	bool has_file, has_psk, has_before;
	uint8_t psk[KEY_SIZE], before[KEY_SIZE];
	bool has_schedule, has_clock;
	struct wire_schedule schedule;
	int64_t clock_offset_ns;
	uint64_t last_timestamp_ns;
};

/* What a client knows of another, kept over reconnects. */
struct sim_channel {
	struct sim_client *other;
	bool is_open;
	bool is_initiator;
	uint32_t number;
	uint32_t opened;      /* how often */
	uint32_t failed;      /* OPEN_FAILED */
	uint32_t last_reason; /* of GONE or OPEN_FAILED */
	uint32_t sent;        /* numbered blobs, to the other */
	uint32_t received;    /* different ones, from the other */
	uint32_t copies;      /* received before: must stay 0 */
	uint32_t swapped;     /* came with a number below an earlier one's */
	uint32_t highest;
	uint32_t request; /* OPEN under way; 0: none */
	uint8_t *seen;    /* bits by number */
	size_t seen_size;
};

struct sim_client_config {
	int64_t clock_offset_ns; /* its wall clock minus the true one */
	bool refuses_offers;
	bool is_by_file;           /* knows the present door alone, not the schedule */
	const struct sim_app *app; /* copied; NULL: the sim's own */
	const struct hello_config *same_device_as; /* the same keys as another client */
};

struct sim_client {
	struct sim *sim;
	unsigned index;
	struct sim_client_config config;
	struct sim_app app;
	struct random_seeded seeded;
	struct link_config link_config;
	struct link *link; /* NULL once stopped */
	uint8_t peer_id[PEER_ID_SIZE];
	uint8_t device_id[DEVICE_ID_SIZE];
	struct address address; /* as the network sees it now */
	struct sim_quality up, down;
	bool is_cut; /* partitioned: nothing passes either way */
	uint64_t wake_ns;
	uint64_t last_timestamp_ns;  /* of its HELLOs, as the relay keeps it over restarts */
	bool is_enrolled;            /* likewise */
	uint8_t psk[KEY_SIZE];       /* likewise */
	struct session_id enrolling; /* generation 0: none */
	uint8_t enrolling_psk[KEY_SIZE];
	struct session_id reporting; /* a Compromised report at the relay; generation 0: none */
	uint8_t report_scope, report_nonce[BURN_NONCE_SIZE];
	bool is_revoked; /* at the relay, likewise */
	bool is_unkept;  /* so, but not on its disk yet */
	struct sim_profile profile;
	bool is_asleep;

	unsigned ups, downs, refusals;
	unsigned burns; /* LINK_EVENT_BURNED */
	struct link_event last_burn;
	struct link_event last_state;  /* latest UP, DOWN or REFUSED */
	struct link_event last_answer; /* latest PEERS or FOUND */
	uint64_t datagrams_in, datagrams_out;

	struct sim_channel *channels;
	size_t channel_count;
};

/* Sees every datagram as it is sent, before the path's losses. */
typedef void sim_tap(void *state, const struct address *from, const struct address *to,
		     struct view data);

/* NULL: the defaults. */
struct sim *sim_create(const struct sim_config *config);
void sim_destroy(struct sim *sim);

struct instant sim_now(const struct sim *sim);
const struct random_source *sim_random(struct sim *sim);
void sim_run(struct sim *sim, uint64_t duration_ns);
/* Until `is_done` says so; false after `limit_ns`. Asked after every event. */
bool sim_run_until(struct sim *sim, bool (*is_done)(void *state), void *state,
		   uint64_t limit_ns) MUST_CHECK;

/* ---- network ----------------------------------------------------------------------------- */

void sim_set_quality(struct sim *sim, struct sim_client *c, const struct sim_quality *quality);
void sim_set_quality_of_all(struct sim *sim, const struct sim_quality *quality);
/* A partition of one client from everything. */
void sim_cut(struct sim_client *c, bool is_cut);
/* Its NAT forgets: from now on it has another address, and the old one leads nowhere. The client
 * is not told. */
void sim_rebind(struct sim_client *c);
/* Where the relay hears now: its address and the current door's port. Doors change each hour, as
 * the schedule has it; a sim begins in the middle of one. */
struct address sim_relay_address(const struct sim *sim);
/* A datagram of anybody, with any source; it takes no delay and is not lost. */
void sim_inject(struct sim *sim, const struct address *from, const struct address *to,
		struct view data);
void sim_set_tap(struct sim *sim, sim_tap *tap, void *state);
/* Count what the relay sends to an address from now on. */
void sim_watch(struct sim *sim, const struct address *address);
uint64_t sim_watched_bytes(const struct sim *sim, const struct address *address);

/* ---- relay ------------------------------------------------------------------------------- */

/* Stop without a word (a crash), and start with the same keys and an empty table. */
void sim_relay_stop(struct sim *sim);
void sim_relay_start(struct sim *sim);
struct keeper *sim_keeper(struct sim *sim);
uint32_t sim_session_count(const struct sim *sim);
/* Sum over workers and keeper. */
uint64_t sim_verdicts(const struct sim *sim, enum verdict verdict);
/* The relay's session of a client. False: it has none. */
bool sim_find_session(struct sim *sim, const struct sim_client *c,
		      struct keeper_session *out) MUST_CHECK;

/* The relay's wall clock is set; the clients keep theirs. */
void sim_set_clock(struct sim *sim, int64_t by_ns);

/* Compromised: what the relay did with reports. */
struct sim_burns {
	unsigned taken;      /* acted upon */
	unsigned copies;     /* known by their nonce, and answered again */
	unsigned failed;     /* its disk refused */
	unsigned unanswered; /* the session that it came in had ended */
};
const struct sim_burns *sim_burns(const struct sim *sim);
/* From now on the relay's disk takes nothing, or does again. */
void sim_break_disk(struct sim *sim, bool is_broken);

/* Doors that open from now on have their port by this draw of the schedule: the first ones are
 * taken. */
void sim_set_port_draw(struct sim *sim, unsigned draw);
/* True stops whoever is at that step before it does the next thing. NULL: nobody. */
void sim_set_enrol_hook(struct sim *sim,
			bool (*stops)(void *state, struct sim_client *c, enum sim_enrol_step step),
			void *state);
/* The relay forgets a device, as after an old copy was restored. */
void sim_forget_device(struct sim_client *c);

/* ---- clients ----------------------------------------------------------------------------- */

struct sim_client *sim_add_client(struct sim *sim, const struct sim_client_config *config);
/* A crash, and a new start with what is on its disk. */
void sim_restart_client(struct sim_client *c);
/* Its machine sleeps: it does nothing and hears nothing, but its clocks go on. */
void sim_sleep(struct sim_client *c, bool is_asleep);
/* GOODBYE, and no more. */
void sim_stop_client(struct sim_client *c);
bool sim_is_up(const struct sim_client *c);
/* All clients that were not stopped are up; false after `limit_ns`. */
bool sim_run_until_all_up(struct sim *sim, uint64_t limit_ns) MUST_CHECK;

/* Ask for a channel; the answer comes with time. False: not possible now. */
bool sim_open(struct sim_client *c, struct sim_client *other) MUST_CHECK;
/* Both up and joined by a channel, within a minute. */
bool sim_connect(struct sim *sim, struct sim_client *a, struct sim_client *b) MUST_CHECK;

struct sim_pair {
	struct sim *sim;
	struct sim_client *alice, *bob;
};

/* A new simulation with two clients that have a channel. `quality` of all paths; NULL: perfect. */
struct sim_pair sim_connect_pair(const struct sim_quality *quality);
/* Never NULL; is_open says whether there is one now. */
struct sim_channel *sim_channel(struct sim_client *c, const struct sim_client *other);
struct sim_client *sim_client_by_peer_id(struct sim *sim, const uint8_t peer[PEER_ID_SIZE]);

/* A blob of `size` bytes (8 at least) with the next number; the receiver keeps the books. False:
 * no channel, or the link does not take it. */
bool sim_send_number(struct sim_client *from, struct sim_client *to, size_t size) MUST_CHECK;
/* Any blob; for apps. */
bool sim_send(struct sim_client *from, uint32_t channel, struct view blob) MUST_CHECK;
/* The link has something to send, or its deadline may have changed: after calling link_*() on
 * it directly. */
void sim_wake(struct sim_client *c);
