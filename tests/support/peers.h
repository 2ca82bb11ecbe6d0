#pragma once
/*
 * Two peers over a pipe that loses, copies, delays and reorders, in virtual time, for the tests of
 * core/peer.h.
 */
#include "core/peer_internal.h"
#include "tests/support/crypto.h"

enum {
	PIPE_MAX = 512,
	EVENTS_MAX = 32,
};
#define STEP_NS (5 * NS_PER_MS)

struct blob {
	uint8_t bytes[BLOB_SIZE_MAX];
	size_t size;
	int to;
	uint64_t at_ns;
};

/* Chances in percent, the longest delay on top of STEP_NS. */
struct weather {
	uint32_t loss, copies;
	uint64_t delay_ns;
};

struct peers {
	struct random_seeded seeded;
	struct random_source random;
	struct weather weather;
	struct peer_self self[2];
	struct peer_pin pins[2]; /* what each has saved */
	bool has_pin[2];
	struct peer *peers[2];
	struct blob pipe[PIPE_MAX];
	size_t pipe_count;
	uint64_t now_ns;
	struct peer_event events[2][EVENTS_MAX];
	size_t event_count[2];
	size_t confirmed[2]; /* PEER_EVENT_CONFIRMED, not among the events */
	size_t received[2];  /* application packets */
	size_t blobs;        /* sent by both */
};

/* Two that never met. */
void peers_init(struct peers *w, uint64_t seed);
/* Two that have: their pins are saved. */
void peers_init_friends(struct peers *w, uint64_t seed);
void peers_fini(struct peers *w);
void peers_make_self(struct peers *w, struct peer_self *self, const char *name);
/* Start side `i` again, from what it has saved. */
void peers_make(struct peers *w, int i);
/* Save the pin of the latest event. */
void peers_save(struct peers *w, int i);
/* A channel opens. */
void peers_begin(struct peers *w, int initiator);
void peers_step(struct peers *w);
/* Let time pass in steps of STEP_NS. */
void peers_run_ms(struct peers *w, uint64_t ms);
/* One blob, untouched; returns what it carried. Packets are counted, events kept. */
enum peer_frame peers_hear(struct peers *w, int i, const struct blob *blob);
/* Returns the size; 0 where peer_seal() says so. */
size_t peers_seal(struct peers *w, int from, enum peer_frame type, const char *text,
		  struct blob *blob);
/* One packet each way, by hand. */
void peers_assert_talk(struct peers *w);
/* One event on each side, secure, and both tell of the other. */
void peers_assert_mirrored(const struct peers *w, bool is_first_contact);
size_t peers_count(const struct peers *w, int i, enum peer_event_type type);
const struct peer_event *peers_last_event(const struct peers *w, int i);
