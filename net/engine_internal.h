#pragma once
/*
 * What the two engines share. A kind of engine knows how to wait and how to turn what came into
 * trains; ports, handing out and sending are the same for both.
 *
 *   slots    one per port generation and family: index = 2 * port + (0 for IPv4, 1 for IPv6)
 *   buffers  a frame each: a head with room for what the kernel writes before the payload, then
 *            the payload
 *
 * A buffer is free (the kernel's or ours), queued (a train lies in it) or spent (handed out, until
 * the next receive).
 *
 * Owner: the engine's thread, except what is marked Atomic.
 */
#include "core/atomic.h"
#include "core/instant.h"
#include "net/control_message.h"
#include "net/engine.h"
#include "net/train.h"
#include "net/udp_socket.h"

enum {
	ENGINE_SLOTS = 2 * ENGINE_PORTS_MAX,

	/* Fewer than would be handy, so that they stay in the L2 cache (measured: 6 to 18 %). */
	SMALL_BUFFERS = 128,
	SMALL_BUFFER_SIZE = 2048,     /* payload above 1,904 bytes is cut: jumbo frames want GRO */
	LARGE_BUFFERS = 16,           /* each may hold a whole train: 11 % for bulk over 32 */
	LARGE_BUFFER_PAYLOAD = 65536, /* the longest datagram or train is 65,507 or 65,527 bytes */

	/* The head, as a multishot receive lays it out: header, name, control messages. */
	HEAD_HEADER_SIZE = 16,
	HEAD_NAME_SIZE = 32, /* a sockaddr_in6 of 28, rounded up for alignment */
	HEAD_CONTROL_SIZE = CONTROL_RECEIVE_SIZE,
	HEAD_SIZE = HEAD_HEADER_SIZE + HEAD_NAME_SIZE + HEAD_CONTROL_SIZE,

	/* Odd in cache lines: a power of two would put all frames into the same cache sets. */
	LARGE_BUFFER_SIZE = LARGE_BUFFER_PAYLOAD + 192,
};
_Static_assert(HEAD_NAME_SIZE >= sizeof(union socket_name), "a whole IPv6 name");
_Static_assert(LARGE_BUFFER_SIZE - HEAD_SIZE >= LARGE_BUFFER_PAYLOAD, "a whole train");
_Static_assert(HEAD_SIZE % 16 == 0, "payload stays aligned");

struct engine_slot {
	int fd;              /* -1: closed */
	uint32_t generation; /* raised at each opening: late completions are told apart */
	uint64_t door;
	uint8_t local_ip[16];  /* what it is bound to; all zero: the wildcard */
	uint32_t socket_drops; /* the kernel's running count, as last told */
	uint64_t gso_paused_until_ns;
};

struct engine_buffers {
	uint8_t *memory;
	size_t stride;
	size_t payload_max;
	uint32_t count;
};

/* What the kernel wrote about one received datagram or train. */
struct received {
	uint16_t slot;
	uint16_t buffer;
	uint32_t name_size;
	uint32_t control_size;
	uint32_t size;
	uint32_t flags; /* MSG_TRUNC, MSG_CTRUNC */
};

struct engine_kind_ops {
	enum engine_kind kind;
	int (*start)(struct engine *e);
	void (*stop)(struct engine *e);
	/* A socket was opened, is about to be closed. */
	int (*watch)(struct engine *e, uint16_t slot);
	void (*unwatch)(struct engine *e, uint16_t slot);
	/* Wait and queue what came; the queue is empty. 0 or -errno. */
	int (*collect)(struct engine *e, uint64_t timeout_ns);
	/* Buffers that are free again. */
	void (*give_back)(struct engine *e, const uint16_t *buffers, size_t count);
	int (*fd)(const struct engine *e);
};

extern const struct engine_kind_ops engine_epoll_ops;
extern const struct engine_kind_ops engine_uring_ops;

struct engine_sender;
struct engine_epoll;
struct engine_uring;

struct engine {
	const struct engine_kind_ops *ops;
	struct engine_config config;
	int refusal;
	struct engine_slot slots[ENGINE_SLOTS];
	struct engine_buffers buffers;
	struct train_queue queue;
	uint16_t *spent;
	size_t spent_count;
	struct engine_sender *sender;
	struct engine_epoll *epoll; /* the one of its kind */
	struct engine_uring *uring;
	int wake_fd;                     /* an eventfd; written by any thread */
	_Atomic bool is_wake_pending;    /* Atomic: written to wake_fd, not yet read */
	struct engine_counters counters; /* Atomic */
};

/* Queue a received train or count why not; in the second case the buffer is spent. */
void engine_take(struct engine *e, const struct received *r);
void engine_spend(struct engine *e, uint16_t buffer);

/* The wake descriptor was read: from here on a new engine_wake() writes to it again. */
void engine_woken(struct engine *e);

static inline uint8_t *engine_buffer(const struct engine *e, uint16_t index)
{
	return e->buffers.memory + (size_t)index * e->buffers.stride;
}

struct engine_sender *engine_sender_create(void) MUST_CHECK; /* NULL: memory */
void engine_sender_destroy(struct engine_sender *s);

#define engine_count(e, name, n) bump_owned(&(e)->counters.name, (uint64_t)(n))
