/* Directory of sessions: against a plain array that is searched from end to end. */
#include "core/directory.h"

#include "tests/support/crypto.h"

enum { SLOTS = 100 };

static struct directory *make(uint32_t slots)
{
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct directory *d = directory_create(slots, &random);
	assert_non_null(d);
	return d;
}

/* Ids that begin with these numbers; name 0: none. */
static struct directory_record record_of(uint8_t peer, uint8_t device, uint8_t name)
{
	return (struct directory_record){
		.peer = { 1, peer },
		.device = { 2, device },
		.name_tag = { name },
	};
}

static void enter(struct directory *d, uint32_t slot, struct directory_record record)
{
	directory_enter(d, slot, &record);
}

static void only_the_announced_are_found(void **state)
{
	struct directory *d = make(SLOTS);
	struct directory_record r = record_of(1, 1, 1);

	(void)state;
	enter(d, 7, r);
	assert_int_equal(directory_find_device(d, r.device), 7);
	assert_int_equal(directory_find_peer(d, r.peer), DIRECTORY_NONE);
	assert_int_equal(directory_find_name(d, r.name_tag), DIRECTORY_NONE);
	assert_false(directory_is_announced(d, 7));
	directory_announce(d, 7);
	assert_int_equal(directory_find_peer(d, r.peer), 7);
	assert_int_equal(directory_find_name(d, r.name_tag), 7);
	assert_memory_equal(directory_record(d, 7), &r, sizeof r);
	directory_remove(d, 7);
	assert_int_equal(directory_find_device(d, r.device), DIRECTORY_NONE);
	assert_int_equal(directory_find_peer(d, r.peer), DIRECTORY_NONE);
	assert_int_equal(directory_find_name(d, r.name_tag), DIRECTORY_NONE);
	directory_destroy(d);
}

static void the_newest_comes_first(void **state)
{
	struct directory *d = make(SLOTS);
	struct directory_record same = record_of(1, 1, 1);

	(void)state;
	for (uint32_t slot = 10; slot < 13; slot++) {
		enter(d, slot, same);
		directory_announce(d, slot);
	}
	enter(d, 20, record_of(2, 2, 2));
	directory_announce(d, 20);
	assert_int_equal(directory_find_device(d, same.device), 12);
	assert_int_equal(directory_next_device(d, 12), 11);
	assert_int_equal(directory_next_device(d, 10), DIRECTORY_NONE);
	assert_int_equal(directory_next_name(d, 12), 11);
	directory_remove(d, 12);
	assert_int_equal(directory_find_peer(d, same.peer), 11);
	directory_remove(d, 10);
	assert_int_equal(directory_next_device(d, 11), DIRECTORY_NONE);
	directory_destroy(d);
}

static void no_name_is_found_by_nobody(void **state)
{
	struct directory *d = make(SLOTS);
	struct directory_record r = record_of(1, 1, 0);

	(void)state;
	enter(d, 0, r);
	directory_announce(d, 0);
	assert_int_equal(directory_find_name(d, r.name_tag), DIRECTORY_NONE);
	directory_remove(d, 0);
	directory_destroy(d);
}

/* The walk shows each peer id once, and goes on behind one that has left meanwhile. */
static void a_walk_shows_each_peer_once(void **state)
{
	enum { PEERS = 60 };
	struct directory *d = make(SLOTS);
	uint8_t after[PEER_ID_SIZE] = { 0 };
	unsigned shown[PEERS] = { 0 };

	(void)state;
	assert_int_equal(directory_next_peer(d, after), DIRECTORY_NONE);
	for (uint32_t slot = 0; slot < PEERS; slot++) {
		enter(d, slot, record_of((uint8_t)slot, (uint8_t)slot, 1));
		directory_announce(d, slot);
	}
	enter(d, PEERS, record_of(3, 77, 1)); /* a second device of peer 3 */
	directory_announce(d, PEERS);
	enter(d, PEERS + 1, record_of(200, 78, 1)); /* not announced */

	unsigned count = 0;
	for (uint32_t slot; (slot = directory_next_peer(d, after)) != DIRECTORY_NONE; count++) {
		memcpy(after, directory_record(d, slot)->peer, PEER_ID_SIZE);
		shown[after[1]]++;
		if (count % 3 == 0 && slot != PEERS && after[1] != 3)
			directory_remove(d, slot);
	}
	assert_int_equal(count, PEERS);
	for (size_t i = 0; i < PEERS; i++)
		assert_int_equal(shown[i], 1);
	directory_destroy(d);
}

struct model {
	struct directory_record record;
	bool is_entered, is_announced;
};

static bool model_has(const struct model *models, struct directory_record r, bool by_peer)
{
	for (size_t i = 0; i < SLOTS; i++) {
		const struct model *m = &models[i];
		if (by_peer && m->is_announced && memcmp(m->record.peer, r.peer, PEER_ID_SIZE) == 0)
			return true;
		if (!by_peer && m->is_entered &&
		    memcmp(m->record.device, r.device, DEVICE_ID_SIZE) == 0)
			return true;
	}
	return false;
}

static void agrees_with_an_array(void **state)
{
	static struct model models[SLOTS];
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	struct directory *d = make(SLOTS);

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t slot = random_below(&random, SLOTS);
		struct model *m = &models[slot];
		struct directory_record r = record_of((uint8_t)random_below(&random, 40),
						      (uint8_t)random_below(&random, 40),
						      (uint8_t)random_below(&random, 3));
		if (!m->is_entered) {
			*m = (struct model){ .record = r, .is_entered = true };
			enter(d, slot, r);
		} else if (!m->is_announced) {
			m->is_announced = true;
			directory_announce(d, slot);
		} else {
			directory_remove(d, slot);
			*m = (struct model){ 0 };
		}
		uint32_t peer = directory_find_peer(d, r.peer);
		uint32_t device = directory_find_device(d, r.device);
		assert_int_equal(peer != DIRECTORY_NONE, model_has(models, r, true));
		assert_int_equal(device != DIRECTORY_NONE, model_has(models, r, false));
		if (peer != DIRECTORY_NONE)
			assert_memory_equal(models[peer].record.peer, r.peer, PEER_ID_SIZE);
	}
	directory_destroy(d);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(only_the_announced_are_found),
	cmocka_unit_test(the_newest_comes_first),
	cmocka_unit_test(no_name_is_found_by_nobody),
	cmocka_unit_test(a_walk_shows_each_peer_once),
	cmocka_unit_test(agrees_with_an_array),
};

CRYPTO_TESTS(TESTS)
