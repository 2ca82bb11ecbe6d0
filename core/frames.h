#pragma once
/*
 * Control frames: reading and writing them inside a packet's plaintext, and the repetition of
 * those that must arrive.
 *
 * Reliable frames carry a sequence number. The receiver takes only the next one in order and
 * answers with ACK{next}; the sender repeats all that are not acknowledged, with back-off
 * (go-back-N over a queue of RELIABLE_QUEUE). So each arrives once and in order, or the session
 * is found dead.
 *
 * Pure: time comes in, packets go out through the caller.
 */
#include "core/wire.h"

struct frame {
	enum frame_type type;
	uint32_t sequence; /* reliable frames only */
	struct view body;  /* without the sequence number */
};

enum frame_status { FRAME_READ, FRAME_NONE_LEFT, FRAME_MALFORMED };

/* Take the next frame off `plain`. Types beyond FRAME_TYPE_LAST are malformed; FRAME_DATA is
 * not a control frame and malformed here. Body sizes are checked against the type: a fixed
 * struct and the list behind it must be there in full (longer bodies are allowed, for later
 * versions). Types kept for later are read with any body. */
enum frame_status frame_next(struct view *plain, struct frame *out) MUST_CHECK;

static inline bool frame_is_reliable(enum frame_type type)
{
	return type >= FRAME_TYPE_RELIABLE_FIRST;
}

/* A packet's plaintext under construction. */
struct frame_writer {
	uint8_t *data;
	size_t capacity;
	size_t size;
};

/* The body of a reliable type begins with its sequence number. False: does not fit, and
 * nothing is written. */
bool frame_put(struct frame_writer *w, enum frame_type type, struct view body) MUST_CHECK;

/* Zeros up to wire_padded_size(), or to the capacity if that is less; returns the new size. */
size_t frame_pad(struct frame_writer *w);

/* ---- repetition ------------------------------------------------------------------------ */

struct reliable_entry {
	enum frame_type type;
	uint16_t size;
	uint8_t body[RELIABLE_BODY_MAX];
};

/* Sending side. Made only while frames wait: most sessions have none. */
struct reliable_sender {
	uint32_t first; /* sequence of the oldest entry */
	uint32_t count;
	uint32_t tries;     /* repetitions since the latest acknowledgement */
	uint64_t repeat_ns; /* when to send all again; NEVER while empty */
	uint32_t unsent;    /* entries at the end that were never sent */
	struct reliable_entry entries[RELIABLE_QUEUE];
};

struct reliable_receiver {
	uint32_t next; /* sequence expected */
	bool is_ack_due;
};

void reliable_init(struct reliable_sender *s, uint32_t first);
/* False: the queue is full or the body too large. */
bool reliable_put(struct reliable_sender *s, enum frame_type type, struct view body) MUST_CHECK;
void reliable_acknowledge(struct reliable_sender *s, uint32_t next, uint64_t now_ns);
/* Write what is due (new frames; all of them when the time has come) until the packet is full.
 * Returns the count of frames written; call again with a fresh packet while it is above 0. */
unsigned reliable_write(struct reliable_sender *s, struct frame_writer *w, uint64_t now_ns);
/* When reliable_write() has something to write: 0 with unsent ones, NEVER once dead. */
uint64_t reliable_deadline(const struct reliable_sender *s);
/* RELIABLE_TRIES_MAX repetitions went unanswered; turns true in reliable_write(). */
bool reliable_is_dead(const struct reliable_sender *s);

/* True: the frame is the next one and to be acted on. False: a copy or out of order. Either way
 * an acknowledgement is due. */
bool reliable_accept(struct reliable_receiver *r, uint32_t sequence) MUST_CHECK;
