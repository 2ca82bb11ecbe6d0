#pragma once
/* Inside of the virtual network: events in the order of their time, and who works on them. */
#include "core/forward.h"
#include "relay/burn_ledger.h"
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

enum {
	SIM_BATCH = 64,
	SIM_QUEUE = 8192, /* datagrams waiting at one worker */
	SIM_KEEPER_QUEUE = HANDSHAKE_QUEUE_MAX,
	SIM_FRAME_SIZE = 2048,
};

/* A datagram on its way. */
struct sim_datagram {
	struct address from, to;
	uint64_t door; /* that it came in on, once at the relay */
	size_t size;
	uint8_t data[];
};

enum sim_event_kind { SIM_ARRIVAL, SIM_CLIENT_WAKE, SIM_RELAY_WAKE };

struct sim_event {
	uint64_t at_ns;
	uint64_t order; /* equal times: as they were added */
	enum sim_event_kind kind;
	struct sim_client *client;     /* SIM_CLIENT_WAKE */
	struct sim_datagram *datagram; /* SIM_ARRIVAL */
};

struct sim_heap {
	struct sim_event *events;
	size_t count, capacity;
	uint64_t order;
};

struct sim_worker {
	struct forward *forward;
	struct sim_datagram *waiting[SIM_QUEUE];
	size_t first, count;
	uint8_t frames[SIM_BATCH][SIM_FRAME_SIZE] __attribute__((aligned(64)));
};

/* An upcall with its body, on its way to the keeper. */
struct sim_upcall {
	struct upcall upcall;
	uint8_t body[PLAIN_SIZE_MAX];
};

struct sim_upcalls {
	struct sim_upcall *ring;
	size_t first, count;
};

/* A port generation at which the relay listens. */
struct sim_door {
	bool is_open;
	uint64_t generation;
	uint16_t port;
};

struct sim_relay {
	bool is_running;
	struct hello_server server;
	uint8_t psk[KEY_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	struct schedule schedule;
	struct sim_door doors[DOORS_MAX];
	unsigned port_draw;
	uint32_t enrolled; /* devices, by the file */
	bool is_file_revoked, is_disk_broken;
	struct burn_ledger burns;
	struct sim_burns burn_counts;
	struct random_seeded seeded;
	struct random_source random;
	struct table *table;
	struct channels *channels;
	struct keeper *keeper;
	struct sim_worker *workers;
	struct sim_upcalls hellos, frames;
	uint64_t wake_ns;
	uint64_t verdicts_before[VERDICT_COUNT]; /* of earlier runs */
};

struct sim_watch {
	struct address address;
	uint64_t bytes;
};

struct sim {
	struct sim_config config;
	struct instant now;
	struct random_seeded seeded;
	struct random_source random;
	struct sim_heap heap;
	struct sim_relay relay;
	struct sim_client *clients[SIM_CLIENTS_MAX];
	unsigned client_count;
	uint32_t next_host; /* of addresses given out */
	bool (*enrol_stops)(void *state, struct sim_client *c, enum sim_enrol_step step);
	void *enrol_state;
	sim_tap *tap;
	void *tap_state;
	struct sim_watch watches[SIM_WATCHES_MAX];
	size_t watch_count;
};

/* sim.c */
void sim_schedule(struct sim *sim, const struct sim_event *event);

/* sim_network.c */
struct address sim_new_address(struct sim *sim);
void sim_send_up(struct sim_client *c, const struct packet *packet);
void sim_send_down(struct sim *sim, const struct packet *packet);
void sim_arrive(struct sim *sim, struct sim_datagram *datagram);

/* sim_doors.c */
void sim_doors_tick(struct sim *sim);               /* opens, announces, closes */
uint64_t sim_doors_deadline(const struct sim *sim); /* mono_ns of the next call */
void sim_doors_close_all(struct sim *sim);
/* NULL: the relay does not listen there. */
const struct sim_door *sim_door_at(const struct sim *sim, const struct address *address);
struct address sim_door_address(const struct sim *sim, uint64_t generation);

/* sim_relay.c */
void sim_relay_init(struct sim *sim);
void sim_relay_fini(struct sim *sim);
/* Takes the datagram. */
void sim_relay_receive(struct sim *sim, struct sim_datagram *datagram, uint64_t door);
void sim_relay_wake(struct sim *sim);
void sim_relay_client_config(struct sim *sim, bool is_by_file, struct link_config *out);

/* sim_enrol.c */
bool sim_enrol_stops(struct sim_client *c, enum sim_enrol_step step);
bool sim_find_device(struct sim *sim, const struct sim_client *c, struct credential *out);
void sim_relay_start_enrolment(struct sim *sim); /* the schedule, to the keeper */
void sim_relay_note_enrolment(struct sim_client *c, const struct keeper_event *event);
void sim_relay_end_enrolments(struct sim *sim);
void sim_client_save(struct sim_client *c, const struct link_event *event);
void sim_client_configure(struct sim_client *c); /* by what is on its disk */

/* sim_burn.c */
/* True: revoked, and *out says so. */
bool sim_is_revoked(const struct sim *sim, const struct sim_client *c, struct credential *out);
bool sim_is_muted(const struct sim_client *c);
void sim_relay_note_burn(struct sim_client *c, const struct keeper_event *event);
void sim_relay_end_burns(struct sim *sim);

/* sim_client.c */
void sim_client_receive(struct sim_client *c, struct sim_datagram *datagram);
void sim_client_wake(struct sim_client *c);
void sim_client_fini(struct sim_client *c);
