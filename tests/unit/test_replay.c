/* Replay window: against plain models that remember everything, and with several threads. */
#include "core/replay.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/test.h"

enum {
	SPACE = 1 << 14, /* counters of the models: 16 windows */
	THREADS = 2,
};

/* What has been accepted, and by the rule of the header what must be refused as too old. */
struct model {
	bool seen[SPACE];
	int64_t newest_block[REPLAY_WORDS]; /* -1: none */
	uint64_t highest;
};

static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < REPLAY_WORDS; i++)
		m->newest_block[i] = -1;
}

static bool model_accept(struct model *m, uint64_t counter)
{
	int64_t block = (int64_t)(counter / REPLAY_WORD_BITS);
	int64_t *newest = &m->newest_block[block % REPLAY_WORDS];

	if (m->seen[counter] || *newest > block)
		return false;
	m->seen[counter] = true;
	*newest = block;
	if (counter > m->highest)
		m->highest = counter;
	return true;
}

/* One step on both; also what a user of the header relies on, whatever the model says. */
static void step(struct replay *r, struct model *m, uint64_t counter)
{
	bool was_seen = m->seen[counter];
	bool is_within = m->highest < counter + REPLAY_WINDOW + 1;
	bool is_stale = replay_is_stale(r, counter);
	bool expected = model_accept(m, counter);

	assert_int_equal(is_stale, !expected);
	assert_int_equal(replay_accept(r, counter), expected);
	if (was_seen)
		assert_false(expected);
	else if (is_within)
		assert_true(expected);
	assert_true(replay_is_stale(r, counter));
}

/*
 * Goal:   every order of arrivals around the edges of words and of the window is right.
 * Method: all sequences of 6 out of 8 counters that sit on those edges, 8^6 = 262,144.
 */
static void exhaustive_on_edges(void **state)
{
	enum { EDGES = 8, LENGTH = 6 };
	static const uint64_t edges[EDGES] = {
		0,
		31,
		32,
		REPLAY_WINDOW - 1,
		REPLAY_WINDOW,
		REPLAY_WINDOW + 31,
		REPLAY_WINDOW + 32,
		2 * REPLAY_WINDOW + 64,
	};
	static struct model m;
	struct replay r;

	(void)state;
	for (uint32_t sequence = 0; sequence < 1u << 3 * LENGTH; sequence++) {
		replay_init(&r);
		model_init(&m);
		for (uint32_t i = 0, rest = sequence; i < LENGTH; i++, rest /= EDGES)
			step(&r, &m, edges[rest % EDGES]);
	}
}

static void window_and_limits(void **state)
{
	struct replay r;
	uint64_t high = 1000000;

	(void)state;
	replay_init(&r);
	assert_true(replay_accept(&r, high));
	assert_true(replay_accept(&r, high - REPLAY_WINDOW));
	assert_false(replay_accept(&r, high - REPLAY_WINDOW));
	assert_false(replay_accept(&r, high - REPLAY_WORDS * REPLAY_WORD_BITS));
	assert_true(replay_accept(&r, REPLAY_COUNTER_LIMIT - 1));
	assert_false(replay_accept(&r, REPLAY_COUNTER_LIMIT - 1));
	assert_false(replay_accept(&r, REPLAY_COUNTER_LIMIT));
	assert_true(replay_is_stale(&r, REPLAY_COUNTER_LIMIT));
	assert_false(replay_accept(&r, UINT64_MAX));
	assert_false(replay_accept(&r, REPLAY_COUNTER_LIMIT + 5));
}

static uint64_t xorshift(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/*
 * Goal:   the window agrees with the model over long random traffic.
 * Method: counters around a front that moves on: mostly new or a little late, some far off.
 *         REPLAY_STEPS=1000000000 for the long run.
 */
static void random_against_model(void **state)
{
	static struct model m;
	const char *text = getenv("REPLAY_STEPS");
	uint64_t steps = text != NULL ? strtoull(text, NULL, 0) : 10000000;
	uint64_t x = test_seed() | 1, front = 0, accepted = 0;
	struct replay r;

	(void)state;
	replay_init(&r);
	model_init(&m);
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t draw = xorshift(&x), back = draw >> 8;
		if (front + 200 >= SPACE) { /* a new life: both start again */
			replay_init(&r);
			model_init(&m);
			front = 0;
		}
		switch (draw % 16) {
		case 0:
			front += back % 200;
			back = 0;
			break;
		case 1: back %= SPACE; break;
		case 2: back %= 2 * REPLAY_WINDOW; break;
		case 3:
		case 4:
		case 5:
		case 6: back %= 64; break;
		default:
			front++;
			back = 0;
			break;
		}
		uint64_t counter = back <= front ? front - back : front;
		accepted += !m.seen[counter];
		step(&r, &m, counter);
	}
	assert_true(accepted > steps / 3);
}

/*
 * Several threads throw the same counters at one window, in step: they meet before each word, so
 * that they are in it at the same time; each takes note of what it was given.
 */
enum { CONTESTED = 1 << 19 };

struct contender {
	struct replay *window;
	_Atomic uint8_t *accepted; /* by counter */
	_Atomic uint32_t *arrived; /* threads, over all meetings */
	uint32_t index;
};

static void meet(const struct contender *c, uint32_t meeting)
{
	enum {
		SPINS = 5000
	}; /* to leave at the same moment; yields only where one is not running */

	add_relaxed(c->arrived, 1);
	for (uint32_t i = 0; load_acquire(c->arrived) < (meeting + 1) * THREADS; i++)
		if (i > SPINS)
			sched_yield();
}

static void offer(const struct contender *c, uint32_t counter)
{
	if (replay_accept(c->window, counter))
		add_relaxed(&c->accepted[counter], 1);
}

static void *contend(void *state)
{
	struct contender *c = state;
	uint64_t x = c->index + 1;

	for (uint32_t word = 0; word < CONTESTED / REPLAY_WORD_BITS; word++) {
		meet(c, word);
		for (uint32_t i = 0; i < REPLAY_WORD_BITS; i++) {
			uint32_t counter = word * REPLAY_WORD_BITS + i;
			offer(c, counter);
			offer(c, counter - (uint32_t)(xorshift(&x) % (counter + 1)));
		}
	}
	return NULL;
}

/*
 * Goal:   with several threads each counter is accepted exactly once in all.
 * Method: all threads offer all counters, one word at a time, and old ones between.
 */
static void threads_accept_once(void **state)
{
	static _Atomic uint8_t accepted[CONTESTED];
	_Atomic uint32_t arrived = 0;
	struct replay window;
	struct contender contenders[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	replay_init(&window);
	for (uint32_t i = 0; i < THREADS; i++) {
		contenders[i] = (struct contender){
			.window = &window,
			.accepted = accepted,
			.arrived = &arrived,
			.index = i,
		};
		assert_int_equal(pthread_create(&threads[i], NULL, contend, &contenders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < CONTESTED; i++)
		assert_int_equal(load_relaxed(&accepted[i]), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(exhaustive_on_edges),
		cmocka_unit_test(window_and_limits),
		cmocka_unit_test(random_against_model),
		cmocka_unit_test(threads_accept_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
