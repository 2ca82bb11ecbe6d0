#pragma once
/*
 * Open-loop load: packets leave by a schedule, whatever comes back. A target writes the packets
 * (sealed ahead of their time, so that a send is all that the timed part costs) and recognizes
 * those that arrive.
 *
 * Each packet tells which of the schedule it is. Latency counts from the time at which it was due:
 * a generator that is late makes latency worse, never better. Transit counts from the time at which
 * it left: what the target alone did to it. Both end when the kernel had the packet, not when the
 * generator found time to look.
 *
 * Owner: one thread.
 */
#include "bench/histogram.h"
#include "bench/sockets.h"
#include "crypto/bytes.h"

enum {
	LOAD_STREAMS_MAX = 3,
	LOAD_FRAME_SIZE = 1280,  /* the largest datagram of any target */
	LOAD_RING_MAX = 1 << 16, /* frames written ahead per stream: 80 MiB */
	LOAD_TRAIN_MAX = 48,     /* GSO: below 65,507 bytes at the largest size */
	LOAD_STAMP_SIZE = 8,
};

enum load_kind {
	LOAD_NOTHING,
	LOAD_DATA,
	LOAD_PING,  /* of sessions at rest */
	LOAD_HELLO, /* handshakes; arrivals are the answers */
	LOAD_KINDS,
};

/* Trains go round the flows, one flow after the other in a scattered order. */
struct load_stream {
	enum load_kind kind;
	uint32_t flow_first, flow_count;
	uint32_t size;  /* bytes of the user's in a packet */
	uint32_t train; /* packets that leave at once */
	double rate;    /* packets a second */
	bool is_costly; /* all of it is written before the start */
	bool is_beside; /* it is load, but no latency is taken of it */
};

struct load_frame {
	uint32_t socket;
	uint32_t size;
	uint8_t data[LOAD_FRAME_SIZE];
};

struct target_ops {
	const char *name;
	/* The next packet of a flow, with `stamp` in it, which read() gives back. */
	void (*write)(void *state, const struct load_stream *stream, uint32_t flow, uint64_t stamp,
		      struct load_frame *frame);
	/* Set kind in each arrival, and where wants_stamp is set and the packet authentic, stamp
	 * and has_stamp. */
	void (*read)(void *state, struct arrival *arrivals, size_t count);
};

struct target {
	const struct target_ops *ops;
	void *state;
	struct sockets *sockets;
};

struct load_plan {
	struct load_stream streams[LOAD_STREAMS_MAX];
	size_t stream_count;
	double seconds;
	uint32_t sample_every; /* one in so many arrivals is opened */
};

struct load_result {
	uint64_t sent[LOAD_KINDS], delivered[LOAD_KINDS];
	uint64_t user_bytes; /* delivered, LOAD_DATA alone */
	uint64_t unsent;     /* the generator's own socket was full */
	uint64_t bad;        /* sampled, and not authentic */
	uint64_t start_ns;
	uint64_t elapsed_ns; /* of the schedule, without the wait for the last arrivals */
	uint64_t idle_ns;
	struct histogram latency; /* of LOAD_DATA and LOAD_PING, since they were due */
	struct histogram transit; /* the same, since they left */
	struct histogram slip;    /* how late packets left */
};

/* False: no memory. `at_start` is called when all is written and the schedule begins. */
bool load_run(const struct target *target, const struct load_plan *plan,
	      void (*at_start)(void *state), void *state, struct load_result *result) MUST_CHECK;

/* NULL: the figures tell of what was loaded; else why they tell of the generator only. */
const char *load_doubt(const struct load_result *result);
double load_idle_share(const struct load_result *result);
uint64_t load_now_ns(void);
