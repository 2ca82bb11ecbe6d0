#include "core/wheel.h"

enum { BITS = 64 };

static uint64_t step_of(uint64_t ns)
{
	return ns / WHEEL_STEP_NS;
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	*w = (struct wheel){ .now_step = step_of(now_ns) };
}

void wheel_stop(struct wheel *w, struct wheel_timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	if (w->steps[timer->step] == NULL)
		w->used[timer->step / BITS] &= ~(UINT64_C(1) << timer->step % BITS);
	timer->next = NULL;
	timer->link = NULL;
}

static void hang(struct wheel_timer **link, struct wheel_timer *timer)
{
	timer->link = link;
	timer->next = *link;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*link = timer;
}

void wheel_set(struct wheel *w, struct wheel_timer *timer, uint64_t due_ns)
{
	/* Rounded up: what fires is due. Not into the past, and within one turn. */
	uint64_t step = step_of(due_ns) + (due_ns % WHEEL_STEP_NS != 0);

	if (step <= w->now_step)
		step = w->now_step + 1;
	if (step > w->now_step + WHEEL_STEPS - 1)
		step = w->now_step + WHEEL_STEPS - 1;

	wheel_stop(w, timer);
	timer->step = (uint32_t)(step % WHEEL_STEPS);
	hang(&w->steps[timer->step], timer);
	w->used[timer->step / BITS] |= UINT64_C(1) << timer->step % BITS;
}

/* The first step after now_step that holds a timer, up to WHEEL_STEPS - 1 ahead; 0: none. */
static uint64_t steps_ahead(const struct wheel *w)
{
	for (uint64_t ahead = 1; ahead < WHEEL_STEPS;) {
		uint64_t step = (w->now_step + ahead) % WHEEL_STEPS;
		uint64_t rest = w->used[step / BITS] >> step % BITS;
		if (rest != 0)
			return ahead + (uint64_t)__builtin_ctzll(rest);
		ahead += BITS - step % BITS;
	}
	return 0;
}

/* Move all timers of a step over at once: one that is set again while its step fires waits for
 * a later step. */
static void start_firing(struct wheel *w, uint64_t step)
{
	uint64_t index = step % WHEEL_STEPS;

	w->now_step = step;
	w->firing = w->steps[index];
	w->firing->link = &w->firing;
	w->steps[index] = NULL;
	w->used[index / BITS] &= ~(UINT64_C(1) << index % BITS);
}

struct wheel_timer *wheel_take(struct wheel *w, uint64_t now_ns)
{
	if (w->firing == NULL) {
		uint64_t last = step_of(now_ns);
		/* After a long sleep all is due: one turn finds it. */
		if (last > w->now_step + WHEEL_STEPS)
			w->now_step = last - WHEEL_STEPS;
		uint64_t ahead = steps_ahead(w);
		if (ahead == 0 || w->now_step + ahead > last) {
			w->now_step = last > w->now_step ? last : w->now_step;
			return NULL;
		}
		start_firing(w, w->now_step + ahead);
	}
	struct wheel_timer *timer = w->firing;
	wheel_stop(w, timer);
	return timer;
}

uint64_t wheel_deadline(const struct wheel *w)
{
	uint64_t ahead = steps_ahead(w);

	if (w->firing != NULL)
		return w->now_step * WHEEL_STEP_NS;
	return ahead != 0 ? (w->now_step + ahead) * WHEEL_STEP_NS : NEVER;
}
