#include "relay/quiesce.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/test.h"

enum { READERS = 3, ROUNDS = 300, OBJECTS = 4, MAGIC = 0x600d };

/* A table of one entry, as small as can be. */
struct world {
	struct quiesce quiesce;
	_Atomic(int *) published;
	_Atomic bool is_over;
	_Atomic unsigned reads;
	int objects[OBJECTS];
};

struct reader {
	struct world *world;
	unsigned index;
	unsigned bad;
	pthread_t thread;
};

static void *read_on(void *state)
{
	struct reader *r = state;
	struct world *w = r->world;
	while (!load_acquire(&w->is_over)) {
		quiesce_online(&w->quiesce, r->index);
		const int *object = load_acquire(&w->published);
		for (int i = 0; object != NULL && i < 8; i++)
			r->bad += *object != MAGIC;
		quiesce_offline(&w->quiesce, r->index);
		if (object != NULL)
			add_relaxed(&w->reads, 1);
	}
	return NULL;
}

/*
 * Goal:   what was taken out of the table before quiesce_wait() is nobody's after it.
 * Method: readers look at an object without a pause while it is published, taken away, spoilt by
 *         plain writes and published again. ThreadSanitizer sees a race where there is one.
 */
static void test_nobody_holds_what_was_removed(void **state)
{
	static struct world w;
	struct reader readers[READERS];
	(void)state;
	memset(&w, 0, sizeof(w));
	quiesce_init(&w.quiesce, READERS);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .world = &w, .index = i };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	unsigned round = 0;
	/* Until the readers have really read: on a busy machine they may be late. */
	for (; round < ROUNDS || load_relaxed(&w.reads) < ROUNDS; round++) {
		int *object = &w.objects[round % OBJECTS];
		*object = MAGIC;
		store_release(&w.published, object);
		if (round % 16 == 0)
			sched_yield();
		store_release(&w.published, NULL);
		quiesce_wait(&w.quiesce);
		*object = -1;
	}
	store_release(&w.is_over, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].bad, 0);
	}
}

struct waiter {
	struct quiesce *quiesce;
	_Atomic bool has_begun, is_done;
};

static void *wait_once(void *state)
{
	struct waiter *w = state;
	store_release(&w->has_begun, true);
	quiesce_wait(w->quiesce);
	store_release(&w->is_done, true);
	return NULL;
}

/* Goal: a reader at work holds the wait up; its next batch, or its pause, lets it go. */
static void expect_release(void (*let_go)(struct quiesce *q))
{
	static struct quiesce q;
	struct waiter w = { .quiesce = &q };
	pthread_t thread;
	quiesce_init(&q, 2);
	quiesce_online(&q, 1);
	assert_int_equal(pthread_create(&thread, NULL, wait_once, &w), 0);
	while (!load_acquire(&w.has_begun))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	assert_false(load_acquire(&w.is_done));
	let_go(&q);
	pthread_join(thread, NULL);
	assert_true(load_acquire(&w.is_done));
}

static void go_offline(struct quiesce *q)
{
	quiesce_offline(q, 1);
}

static void begin_another(struct quiesce *q)
{
	quiesce_offline(q, 1);
	quiesce_online(q, 1);
}

static void test_reader_at_work_is_waited_for(void **state)
{
	(void)state;
	expect_release(go_offline);
	expect_release(begin_another);
}

static void test_idle_readers_hold_nothing_up(void **state)
{
	static struct quiesce q;
	(void)state;
	quiesce_init(&q, WORKERS_MAX);
	for (int i = 0; i < 1000; i++)
		quiesce_wait(&q);
	quiesce_init(&q, 0);
	quiesce_wait(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_holds_what_was_removed),
		cmocka_unit_test(test_reader_at_work_is_waited_for),
		cmocka_unit_test(test_idle_readers_hold_nothing_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
