#pragma once
/*
 * Timing wheel: any number of timers, each set and stopped in constant time; they fire at most
 * WHEEL_STEP_NS late. A timer further ahead than the wheel turns fires at the end of the turn,
 * so whoever uses it looks at what is due and sets it again: a keepalive needs no exact timer.
 *
 * Intrusive: a struct wheel_timer lies in what it times, zeroed at first. Pure; one owner.
 */
#include "core/instant.h"
#include "crypto/bytes.h"

enum { WHEEL_STEPS = 256 }; /* power of two */
#define WHEEL_STEP_NS (50 * NS_PER_MS)
#define WHEEL_TURN_NS ((WHEEL_STEPS - 1) * WHEEL_STEP_NS)

struct wheel_timer {
	struct wheel_timer *next;
	struct wheel_timer **link; /* what points here; NULL: not set */
	uint32_t step;
};

struct wheel {
	uint64_t now_step; /* the timers of this one are in `firing`, or have fired */
	struct wheel_timer *firing;
	uint64_t used[WHEEL_STEPS / 64];
	struct wheel_timer *steps[WHEEL_STEPS];
};

void wheel_init(struct wheel *w, uint64_t now_ns);

/* Set, or set anew. */
void wheel_set(struct wheel *w, struct wheel_timer *timer, uint64_t due_ns);
void wheel_stop(struct wheel *w, struct wheel_timer *timer);

/* The next timer that is due, no longer set; NULL: none now. */
struct wheel_timer *wheel_take(struct wheel *w, uint64_t now_ns);

/* When wheel_take() has something; NEVER: no timer is set. */
uint64_t wheel_deadline(const struct wheel *w);
