/* Session table: ids, order of reuse, a million slots for nothing, and finds under change. */
#include "core/table.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "tests/support/session.h"

enum { SLOTS = 8, EXTRA = 24 };

static struct random_seeded seeded;
static struct random_source rng;

static struct table *create(uint32_t slots)
{
	rng = random_seeded_init(&seeded, test_seed());
	struct table *t = table_create(&(struct table_config){
		.slots = slots, .entry_size = sizeof(struct session) + EXTRA });
	assert_non_null(t);
	return t;
}

static void publish_find_remove(void **state)
{
	struct table *t = create(SLOTS);
	struct session *s = table_reserve(t, &rng);
	struct session_id id = s->id, other = id;

	(void)state;
	assert_int_equal((uintptr_t)s % 64, 0);
	assert_int_not_equal(id.generation, 0);
	assert_null(table_find(t, id)); /* not yet */
	assert_int_equal(table_count(t), 0);
	table_publish(t, s);
	assert_ptr_equal(table_find(t, id), s);
	assert_int_equal(table_count(t), 1);
	table_prefetch(t, id.slot);
	table_prefetch(t, UINT32_MAX);

	other.generation = id.generation + 1;
	assert_null(table_find(t, other));
	other.generation = 0;
	assert_null(table_find(t, other));
	other = (struct session_id){ .slot = (id.slot + 1) % SLOTS, .generation = id.generation };
	assert_null(table_find(t, other));
	other = (struct session_id){ .slot = (id.slot + 1) % SLOTS };
	assert_null(table_find(t, other)); /* an empty slot has no generation, not even 0 */
	other = (struct session_id){ .slot = SLOTS, .generation = id.generation };
	assert_null(table_find(t, other));
	other.slot = UINT32_MAX;
	assert_null(table_find(t, other));

	table_remove(t, s);
	assert_null(table_find(t, id));
	assert_int_equal(table_count(t), 0);
	table_free(t, s);
	table_destroy(t);
	table_destroy(NULL);
}

static void entries_are_zeroed_and_apart(void **state)
{
	static const uint8_t zeros[sizeof(struct session) + EXTRA];
	struct table *t = create(SLOTS);
	struct session *entries[SLOTS];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SLOTS; i++) {
			entries[i] = table_reserve(t, &rng);
			struct session_id id = entries[i]->id;
			memset(&entries[i]->id, 0, sizeof(id));
			assert_memory_equal(entries[i], zeros, sizeof(zeros));
			memset(entries[i], 0xee, sizeof(zeros));
			entries[i]->id = id;
		}
		assert_null(table_reserve(t, &rng)); /* full */
		for (size_t i = 0; i < SLOTS; i++)
			table_free(t, entries[i]);
	}
	table_destroy(t);
}

/* A freed slot comes back after all others, and under another generation. */
static void slots_are_reused_late(void **state)
{
	enum { LIVES = 5 };
	struct table *t = create(SLOTS);
	struct session_id ids[SLOTS * LIVES];
	uint32_t same_generation = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		struct session *s = table_reserve(t, &rng);
		ids[i] = s->id;
		for (size_t k = 0; k < i; k++)
			assert_true(ids[k].slot != s->id.slot ||
				    ids[k].generation != s->id.generation);
		for (size_t k = i >= SLOTS ? i - SLOTS + 1 : 0; k < i; k++)
			assert_int_not_equal(ids[k].slot, s->id.slot);
		if (i > 0 && i < SLOTS)
			same_generation += ids[i].generation == ids[i - 1].generation + 1;
		table_publish(t, s);
		table_remove(t, s);
		table_free(t, s);
	}
	assert_int_equal(same_generation, 0); /* random from slot to slot */
	table_destroy(t);
}

/* The generation after 2^32 - 1 is 1: 0 stands for "none". */
static void fill_ones(void *state, void *out, size_t size)
{
	(void)state;
	memset(out, 0xff, size);
}

static void fill_zeros(void *state, void *out, size_t size)
{
	(void)state;
	memset(out, 0, size);
}

static void generation_is_never_zero(void **state)
{
	struct random_source ones = { .fill = fill_ones }, zeros = { .fill = fill_zeros };
	struct table *t = create(1);

	(void)state;
	struct session *s = table_reserve(t, &ones);
	assert_int_equal(s->id.generation, UINT32_MAX);
	table_free(t, s);
	s = table_reserve(t, &ones);
	assert_int_equal(s->id.generation, 1);
	table_free(t, s);
	table_destroy(t);
	t = create(1);
	s = table_reserve(t, &zeros);
	assert_int_not_equal(s->id.generation, 0);
	table_destroy(t);
}

static void walk_meets_all_published(void **state)
{
	struct table *t = create(SLOTS);
	struct session *entries[SLOTS];
	uint32_t cursor = 0, met = 0;

	(void)state;
	assert_null(table_next(t, &cursor));
	for (size_t i = 0; i < SLOTS; i++) {
		entries[i] = table_reserve(t, &rng);
		if (i % 2 == 0)
			table_publish(t, entries[i]);
	}
	table_remove(t, entries[2]);
	cursor = 0;
	for (struct session *s; (s = table_next(t, &cursor)) != NULL; met++)
		assert_true(s == entries[0] || s == entries[4] || s == entries[6]);
	assert_int_equal(met, 3);
	assert_null(table_next(t, &cursor));
	table_destroy(t);
}

static size_t resident_bytes(void)
{
	unsigned long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &total, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* A table for a million sessions takes memory only as they come. */
static void a_million_slots_cost_nothing_empty(void **state)
{
	enum { USED = 1000 };
	size_t before = resident_bytes();

	(void)state;
#if TEST_IS_SANITIZED
	print_message("skipped: a sanitizer's shadow memory counts too\n");
	skip();
#endif
	struct table *t = table_create(&(struct table_config){
		.slots = SESSIONS_MAX, .entry_size = 2 * sizeof(struct session) });
	assert_non_null(t);
	for (size_t i = 0; i < USED; i++) {
		struct session *s = table_reserve(t, &rng);
		memset((void *)(s + 1), 1, sizeof(*s));
		table_publish(t, s);
	}
	assert_int_equal(table_count(t), USED);
	assert_true(resident_bytes() - before < (size_t)16 << 20);
	table_destroy(t);
}

/*
 * Goal:   a find under change gives either nothing or the whole right entry.
 * Method: one keeper publishes and removes; readers look up ids from a board, some of them stale.
 *         An entry holds copies of its id; it is freed after every reader's quiet point.
 */
enum { READERS = 3, LIVES = 3000, BOARD = 4 };

struct board {
	struct table *t;
	_Atomic uint64_t ids[BOARD];
	_Atomic uint32_t quiet[READERS];
	_Atomic bool is_over;
};

struct reader {
	struct board *board;
	uint32_t index;
	uint32_t found;
	uint32_t wrong;
};

static void *look_up(void *state)
{
	struct reader *r = state;
	struct board *b = r->board;

	for (uint32_t i = 0; !load_acquire(&b->is_over); i++) {
		uint64_t packed = load_acquire(&b->ids[i % BOARD]);
		struct session_id id = { (uint32_t)packed, (uint32_t)(packed >> 32) };
		struct session *s = table_find(b->t, id);
		if (s != NULL) {
			r->found++;
			r->wrong += session_id_pack(s->id) != packed ||
				    s->datagram_max != id.generation ||
				    load_relaxed(&s->send_counter) != packed;
		}
		store_release(&b->quiet[r->index], load_relaxed(&b->quiet[r->index]) + 1);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void wait_for_quiet(struct board *b)
{
	for (int i = 0; i < READERS; i++) {
		uint32_t seen = load_acquire(&b->quiet[i]);
		while (load_acquire(&b->quiet[i]) - seen < 2)
			sched_yield();
	}
}

static void live_and_die(struct board *b, uint32_t place)
{
	struct session *s = table_reserve(b->t, &rng);
	s->datagram_max = s->id.generation;
	store_relaxed(&s->send_counter, session_id_pack(s->id));
	table_publish(b->t, s);
	store_release(&b->ids[place], session_id_pack(s->id));
	wait_for_quiet(b);
	table_remove(b->t, s); /* its id stays on the board: stale */
	wait_for_quiet(b);
	table_free(b->t, s);
}

static void finds_under_change(void **state)
{
	struct board board = { .t = create(2) };
	struct reader readers[READERS];
	pthread_t threads[READERS];

	(void)state;
	for (uint32_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .board = &board, .index = i };
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, &readers[i]), 0);
	}
	for (uint32_t i = 0; i < LIVES; i++)
		live_and_die(&board, i % BOARD);
	store_release(&board.is_over, true);
	for (uint32_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].wrong, 0);
		assert_true(readers[i].found > 0);
	}
	table_destroy(board.t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(publish_find_remove),
		cmocka_unit_test(entries_are_zeroed_and_apart),
		cmocka_unit_test(slots_are_reused_late),
		cmocka_unit_test(generation_is_never_zero),
		cmocka_unit_test(walk_meets_all_published),
		cmocka_unit_test(a_million_slots_cost_nothing_empty),
		cmocka_unit_test(finds_under_change),
	};
	return cmocka_run_group_tests(tests, test_crypto_start, test_crypto_stop);
}
