#pragma once
/*
 * Two deliveries over a pipe that loses, copies and reorders, in virtual time, for the tests of
 * client/delivery.h; and messages that tell whether they are right.
 */
#include "client/delivery.h"
#include "crypto/random.h"
#include "tests/support/crypto.h"

enum { PIPE_MAX = 8192, PACKETS_KEPT = 64 };
#define DELIVERIES_STEP_NS (10 * NS_PER_MS)
#define DELAY_MAX_NS (40 * NS_PER_MS) /* below the least retransmission time */

struct packet {
	uint8_t bytes[DELIVERY_PACKET_MAX];
	size_t size;
	uint64_t at_ns;
	int to;
};

struct end {
	struct deliveries *world;
	int index;
};

struct deliveries {
	struct random_seeded seeded;
	struct random_source random;
	uint32_t loss, copies; /* percent */
	uint64_t delay_ns;     /* random, up to this */
	uint64_t now_ns;
	struct end ends[2];
	struct delivery *deliveries[2]; /* NULL: does not hear */
	struct packet *pipe;
	size_t pipe_count;
	size_t packets;                   /* sent by both */
	struct packet kept[PACKETS_KEPT]; /* the latest ones */
};

/* usrsctp's time goes on from test to test. A program that wants exact timing has gettimeofday()
 * of its own tell it, too: the library takes round trips from there. */
extern uint64_t deliveries_clock_ns;

void deliveries_init(struct deliveries *w, uint64_t seed);
void deliveries_fini(struct deliveries *w);
/* A new association at end `i`. */
void deliveries_make(struct deliveries *w, int i);
void deliveries_unmake(struct deliveries *w, int i);
/* Make both, until both are up. */
void deliveries_connect(struct deliveries *w);
/* Give packets that are due to the ends that exist. */
void deliveries_carry(struct deliveries *w);
void deliveries_step(struct deliveries *w);
void deliveries_run_ms(struct deliveries *w, uint64_t ms);
/* With that chance in percent. */
bool deliveries_happens(struct deliveries *w, uint32_t percent);

/* What one end has sent and the other has got, by stream. */
struct book {
	uint32_t sent[DELIVERY_STREAMS];
	uint32_t got[DELIVERY_STREAMS];
};

/* The next message of that stream. */
enum delivery_send_status book_send(struct delivery *d, struct book *book, uint16_t stream);
/* All that has arrived is the next in its stream, whole. Returns the count of messages. */
size_t book_check(struct delivery *d, struct book *book);
size_t book_total(const uint32_t counts[DELIVERY_STREAMS]);
/* Send `count` messages each way while time passes; fails if they are not there in time. */
void deliveries_exchange(struct deliveries *w, struct book books[2], size_t count,
			 uint64_t limit_ms);
