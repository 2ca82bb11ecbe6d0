/* Channels: who may find what, order of reuse, and finds under change. */
#include "core/channels.h"

#include <pthread.h>

#include "tests/support/test.h"

enum { CAPACITY = 6 };

static const struct session_id ALICE = { 1, 100 }, BOB = { 2, 200 }, EVE = { 3, 300 };

static uint32_t take(struct channels *c)
{
	uint32_t number = 0;
	assert_true(channels_take(c, &number));
	return number;
}

static void joined_ends_find_each_other(void **state)
{
	struct channels *c = channels_create(CAPACITY);
	struct channel_end a = { ALICE, take(c) }, b = { BOB, take(c) }, other;
	const struct session_id later = { ALICE.slot, ALICE.generation + 1 }, nobody = { 0, 0 };

	(void)state;
	assert_int_equal(channels_count(c), 2);
	assert_false(channels_find(c, a.number, ALICE, &other)); /* not yet joined */
	channels_join(c, a, b);
	assert_true(channels_find(c, a.number, ALICE, &other));
	assert_int_equal(session_id_pack(other.session), session_id_pack(BOB));
	assert_int_equal(other.number, b.number);
	assert_true(channels_find(c, b.number, BOB, &other));
	assert_int_equal(session_id_pack(other.session), session_id_pack(ALICE));
	assert_int_equal(other.number, a.number);
	channels_prefetch(c, a.number);
	channels_prefetch(c, UINT32_MAX);

	/* Only the owner, only its own number, only this life of its slot. */
	assert_false(channels_find(c, a.number, BOB, &other));
	assert_false(channels_find(c, b.number, ALICE, &other));
	assert_false(channels_find(c, a.number, EVE, &other));
	assert_false(channels_find(c, a.number, later, &other));
	assert_false(channels_find(c, 0, nobody, &other));
	assert_false(channels_find(c, 0, ALICE, &other));
	assert_false(channels_find(c, CAPACITY, nobody, &other));
	assert_false(channels_find(c, CAPACITY + 1, ALICE, &other));
	assert_false(channels_find(c, UINT32_MAX, ALICE, &other));

	channels_part(c, a.number);
	assert_false(channels_find(c, a.number, ALICE, &other));
	assert_true(channels_find(c, b.number, BOB, &other));
	channels_part(c, b.number);
	channels_give_back(c, a.number);
	channels_give_back(c, b.number);
	assert_int_equal(channels_count(c), 0);
	channels_destroy(c);
	channels_destroy(NULL);
}

static void numbers_are_reused_late(void **state)
{
	struct channels *c = channels_create(CAPACITY);
	uint32_t numbers[CAPACITY], none;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < CAPACITY; i++) {
			numbers[i] = take(c);
			assert_in_range(numbers[i], 1, CAPACITY);
			for (uint32_t k = 0; k < i; k++)
				assert_int_not_equal(numbers[i], numbers[k]);
		}
		assert_false(channels_take(c, &none));
		/* Given back in another order: they come again in that order. */
		static const uint32_t order[CAPACITY] = { 3, 0, 5, 1, 4, 2 };
		for (uint32_t i = 0; i < CAPACITY; i++)
			channels_give_back(c, numbers[order[i]]);
		for (uint32_t i = 0; i < CAPACITY; i++) {
			uint32_t again = take(c);
			assert_int_equal(again, numbers[order[i]]);
			channels_give_back(c, again);
		}
	}
	channels_destroy(c);
}

/*
 * Goal:   a find under change gives nothing or one join, never parts of two.
 * Method: a keeper joins the same owner with ever new partners over few numbers, so that numbers
 *         are reused at once; a partner's id says which number belongs to it. Until each reader
 *         has found many different partners (or, on one processor, looked often enough).
 */
enum {
	READERS = 2,
	NUMBERS = 5,
	CHANGES_SEEN = 100000,
	LOOKS_MAX = TEST_IS_SANITIZED ? 1000000 : 50000000,
};

static struct session_id partner_of(uint32_t join, uint32_t number)
{
	return (struct session_id){ .slot = number * 7 + join % 1000, .generation = join + 1 };
}

struct reader {
	struct channels *c;
	_Atomic uint32_t *done;
	uint32_t mixed;
};

static void *look_up(void *state)
{
	struct reader *r = state;
	struct channel_end other;
	uint32_t latest = 0;

	for (uint32_t looks = 0, changes = 0; looks < LOOKS_MAX && changes < CHANGES_SEEN;
	     looks++) {
		if (!channels_find(r->c, 1, ALICE, &other))
			continue;
		uint32_t join = other.session.generation - 1;
		struct session_id expected = partner_of(join, other.number);
		r->mixed += session_id_pack(other.session) != session_id_pack(expected);
		changes += join != latest;
		latest = join;
	}
	add_relaxed(r->done, 1);
	return NULL;
}

/* Number 1 stays Alice's; the other end's is a different one each time. */
static void join_again(struct channels *c, uint32_t own, uint32_t join)
{
	struct channel_end a = { ALICE, own }, b = { .number = take(c) };

	b.session = partner_of(join, b.number);
	channels_join(c, a, b);
	channels_part(c, a.number);
	channels_part(c, b.number);
	channels_give_back(c, b.number);
}

static void finds_under_change(void **state)
{
	struct channels *c = channels_create(NUMBERS);
	_Atomic uint32_t done = 0;
	struct reader readers[READERS];
	pthread_t threads[READERS];
	uint32_t own = take(c);

	(void)state;
	assert_int_equal(own, 1);
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .c = c, .done = &done };
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, &readers[i]), 0);
	}
	for (uint32_t join = 0; load_acquire(&done) < READERS; join++)
		join_again(c, own, join);
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].mixed, 0);
	}
	channels_destroy(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(joined_ends_find_each_other),
		cmocka_unit_test(numbers_are_reused_late),
		cmocka_unit_test(finds_under_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
