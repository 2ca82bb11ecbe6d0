/* The mailbox: order, bounds, and nothing lost or doubled between threads. */
#include "net/mailbox.h"

#include <pthread.h>
#include <sched.h>

#include "core/atomic.h"
#include "tests/support/test.h"

struct note {
	uint32_t writer;
	uint32_t number;
	uint64_t check; /* made of the two: a torn copy shows */
};

static uint64_t check_of(uint32_t writer, uint32_t number)
{
	return ((uint64_t)writer << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct note note(uint32_t writer, uint32_t number)
{
	uint64_t check = check_of(writer, number);
	return (struct note){ .writer = writer, .number = number, .check = check };
}

static struct mailbox *create(size_t item_size, size_t capacity)
{
	struct mailbox *m = mailbox_create(
		&(struct mailbox_config){ .item_size = item_size, .capacity = capacity });
	assert_non_null(m);
	return m;
}

static void keeps_order_and_says_full(void **state)
{
	enum { CAPACITY = 4, ROUNDS = 11 };
	struct mailbox *m = create(sizeof(struct note), CAPACITY);
	struct note got;
	(void)state;
	assert_false(mailbox_get(m, &got));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < CAPACITY; i++)
			assert_true(mailbox_put(m, &(struct note){ .number = round + i }));
		assert_false(mailbox_put(m, &(struct note){ .number = 99 }));
		for (uint32_t i = 0; i < CAPACITY; i++) {
			assert_true(mailbox_get(m, &got));
			assert_int_equal(got.number, round + i);
		}
		assert_false(mailbox_get(m, &got));
	}
	mailbox_destroy(m);
}

/* One place is given back per item taken, at every position of the ring. */
static void gives_back_one_by_one(void **state)
{
	enum { CAPACITY = 8, STEPS = 3 * CAPACITY };
	struct mailbox *m = create(1, CAPACITY);
	(void)state;
	for (uint8_t i = 0; i < CAPACITY; i++)
		assert_true(mailbox_put(m, &i));
	for (uint8_t i = 0; i < STEPS; i++) {
		uint8_t got, next = (uint8_t)(i + CAPACITY);
		assert_false(mailbox_put(m, &next));
		assert_true(mailbox_get(m, &got));
		assert_int_equal(got, i);
		assert_true(mailbox_put(m, &next));
	}
	mailbox_destroy(m);
}

static void carries_odd_sizes(void **state)
{
	static const size_t sizes[] = { 1, 3, 8, 13, 64, 257 };
	(void)state;
	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		uint8_t in[257], out[257];
		struct mailbox *m = create(sizes[s], 2);
		for (uint8_t round = 1; round < 6; round++) {
			memset(in, round, sizeof(in));
			memset(out, 0, sizeof(out));
			assert_true(mailbox_put(m, in));
			assert_true(mailbox_get(m, out));
			assert_memory_equal(in, out, sizes[s]);
			if (sizes[s] < sizeof(out))
				assert_int_equal(out[sizes[s]], 0);
		}
		mailbox_destroy(m);
	}
}

static void count_wake(void *state)
{
	++*(int *)state;
}

static void wakes_for_what_was_put(void **state)
{
	int wakes = 0;
	struct mailbox_config config = {
		.item_size = 1,
		.capacity = 2,
		.wake = count_wake,
		.wake_state = &wakes,
	};
	struct mailbox *m = mailbox_create(&config);
	(void)state;
	assert_non_null(m);
	assert_true(mailbox_put(m, "a"));
	assert_true(mailbox_put(m, "b"));
	assert_int_equal(wakes, 2);
	assert_false(mailbox_put(m, "c"));
	assert_int_equal(wakes, 2);
	mailbox_destroy(m);
	mailbox_destroy(NULL);
}

/*
 * Goal:   nothing lost, doubled or torn, and each writer's order kept, with a ring that is full
 *         most of the time.
 * Method: four writers, one reader that checks each writer's numbers; the ring holds 16.
 */
enum { WRITERS = 4, NOTES = 50000, SMALL = 16 };

struct writer {
	pthread_t thread;
	struct mailbox *mailbox;
	uint32_t id;
	uint64_t full;
};

static void *write_notes(void *argument)
{
	struct writer *w = argument;
	for (uint32_t i = 0; i < NOTES; i++) {
		struct note n = note(w->id, i);
		while (!mailbox_put(w->mailbox, &n)) {
			w->full++;
			sched_yield();
		}
	}
	return NULL;
}

static void loses_nothing_between_threads(void **state)
{
	struct mailbox *m = create(sizeof(struct note), SMALL);
	struct writer writers[WRITERS];
	uint32_t next[WRITERS] = { 0 };
	uint64_t full = 0;
	(void)state;
	for (uint32_t i = 0; i < WRITERS; i++) {
		struct writer *w = &writers[i];
		*w = (struct writer){ .mailbox = m, .id = i };
		assert_int_equal(pthread_create(&w->thread, NULL, write_notes, w), 0);
	}
	for (uint32_t got = 0; got < WRITERS * NOTES;) {
		struct note n;
		if (!mailbox_get(m, &n)) {
			sched_yield();
			continue;
		}
		got++;
		assert_true(n.writer < WRITERS);
		assert_int_equal(n.number, next[n.writer]++);
		assert_true(n.check == check_of(n.writer, n.number));
	}
	for (uint32_t i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		full += writers[i].full;
	}
	assert_false(mailbox_get(m, &(struct note){ 0 }));
	print_message("full %llu times\n", (unsigned long long)full);
	mailbox_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_says_full),
		cmocka_unit_test(gives_back_one_by_one),
		cmocka_unit_test(carries_odd_sizes),
		cmocka_unit_test(wakes_for_what_was_put),
		cmocka_unit_test(loses_nothing_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
