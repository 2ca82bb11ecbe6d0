#pragma once
/*
 * Trains: what one receive brought. Without GRO that is one datagram; with it, several of one size
 * lying end to end in one buffer, only the last of which may be shorter. Trains wait in a queue of
 * fixed capacity until they have been handed out as packets.
 *
 * Pure.
 */
#include "core/packet.h"

struct train {
	uint8_t *data; /* what has not been handed out yet */
	uint32_t size;
	uint32_t segment_size; /* never 0 */
	uint16_t buffer;       /* index of the buffer it lies in */
	uint16_t slot;         /* index of the socket it came from */
	struct path path;
};

/* First in, first out. Every train holds a buffer, so `capacity` is the count of buffers. */
struct train_queue {
	struct train *trains;
	uint32_t capacity; /* power of two */
	uint32_t head;     /* free-running; index by mask */
	uint32_t tail;
};

/* False: no memory. */
bool train_queue_init(struct train_queue *q, uint32_t capacity) MUST_CHECK;
void train_queue_fini(struct train_queue *q);

static inline bool train_queue_is_empty(const struct train_queue *q)
{
	return q->head == q->tail;
}

/* The queue is never full: see `capacity`. */
void train_queue_put(struct train_queue *q, const struct train *t);

/* The oldest; the queue is not empty. */
struct train *train_queue_first(struct train_queue *q);
void train_queue_drop_first(struct train_queue *q);

/* Cut datagrams off the front of a train. Returns how many; it is done when its size is 0. */
size_t train_hand_out(struct train *t, struct packet *packets, size_t capacity);
