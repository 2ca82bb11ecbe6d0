/* Key cache: always the right key, the least recently used one gives way, erased means gone. */
#include "core/key_cache.h"

#include "tests/support/session.h"

enum { ENTRIES = 64, SESSIONS = 300 };

/* A cipher that counts what the cache asks of it; the slot remembers the key it was given. */
static size_t expanded, live;
static bool is_out_of_memory;

static bool fake_expand(void *slot, const uint8_t key[AEAD_KEY_SIZE])
{
	static const uint8_t zeros[AEAD_KEY_SIZE];
	assert_memory_equal(slot, zeros, sizeof(zeros)); /* never over a key that is not erased */
	if (is_out_of_memory)
		return false;
	memcpy(slot, key, AEAD_KEY_SIZE);
	expanded++;
	live++;
	return true;
}

static void fake_erase(void *slot)
{
	memset(slot, 0, PACKET_KEY_SIZE);
	live--;
}

static const struct packet_cipher fake = {
	.name = "fake",
	.expand = fake_expand,
	.erase = fake_erase,
};

static struct session *sessions_create(void)
{
	struct session *sessions = calloc(SESSIONS, sizeof(*sessions));

	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct noise_result keys = test_keys(i, true);
		session_init(&sessions[i], (struct session_id){ i, 1000 + i }, &keys);
	}
	expanded = live = 0;
	is_out_of_memory = false;
	return sessions;
}

static const uint8_t *raw(const struct session *s, unsigned epoch, enum key_direction direction)
{
	return direction == KEY_SEND ? s->epochs[epoch & 1].send.key :
				       s->epochs[epoch & 1].receive.key;
}

static void check(struct key_cache *c, const struct session *s, unsigned epoch,
		  enum key_direction direction)
{
	void *key = key_cache_get(c, s, epoch, direction);
	assert_non_null(key);
	assert_int_equal((uintptr_t)key % PACKET_KEY_ALIGN, 0);
	assert_memory_equal(key, raw(s, epoch, direction), AEAD_KEY_SIZE);
}

/* Far more sessions than entries, in random order: each get gives that session's own key. */
static void always_the_right_key(void **state)
{
	struct session *sessions = sessions_create();
	struct key_cache *c = key_cache_create(&fake, ENTRIES);
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());

	(void)state;
	assert_ptr_equal(key_cache_cipher(c), &fake);
	for (size_t i = 0; i < SESSIONS; i += 2) {
		struct noise_result keys = test_keys((uint32_t)i + 5000, true);
		session_next_epoch(&sessions[i], &keys);
	}
	for (int i = 0; i < 100000; i++) {
		uint32_t index = random_below(&random, SESSIONS);
		unsigned epoch = index % 2 == 0 ? random_below(&random, 2) : 0;
		enum key_direction direction = (enum key_direction)random_below(&random, 2);
		key_cache_prefetch(c, &sessions[index], epoch, direction);
		check(c, &sessions[index], epoch, direction);
		assert_true(live <= ENTRIES);
	}
	assert_true(expanded > ENTRIES);
	key_cache_destroy(c);
	assert_int_equal(live, 0);
	free(sessions);
}

/* A key in use stays; the one that was used longest ago goes. One session's direction always
 * falls into the same set, so its epochs fill that set: 4 epochs fit, a fifth does not. */
static void least_recently_used_gives_way(void **state)
{
	struct session *s = sessions_create();
	struct key_cache *c = key_cache_create(&fake, ENTRIES);
	struct session epochs[KEY_CACHE_WAYS + 1];

	(void)state;
	for (uint32_t e = 0; e <= KEY_CACHE_WAYS; e++) {
		struct noise_result keys = test_keys(1000 * (e + 1), true);
		session_init(&epochs[e], s->id, &keys);
		epochs[e].epochs[1] = epochs[e].epochs[0];
	}
	for (unsigned e = 0; e < KEY_CACHE_WAYS; e++)
		check(c, &epochs[e], e, KEY_SEND);
	assert_int_equal(expanded, KEY_CACHE_WAYS);
	check(c, &epochs[0], 0, KEY_SEND);
	assert_int_equal(expanded, KEY_CACHE_WAYS); /* was still there */
	check(c, &epochs[KEY_CACHE_WAYS], KEY_CACHE_WAYS, KEY_SEND);
	assert_int_equal(expanded, KEY_CACHE_WAYS + 1);
	check(c, &epochs[0], 0, KEY_SEND);
	check(c, &epochs[2], 2, KEY_SEND);
	check(c, &epochs[3], 3, KEY_SEND);
	assert_int_equal(expanded, KEY_CACHE_WAYS + 1); /* 1 went, the others stayed */
	check(c, &epochs[1], 1, KEY_SEND);
	assert_int_equal(expanded, KEY_CACHE_WAYS + 2);
	key_cache_destroy(c);
	free(s);
}

/* An entry made for an earlier session of the same id is never taken for the new one's. */
static void same_id_other_key(void **state)
{
	struct session *s = sessions_create();
	struct key_cache *c = key_cache_create(&fake, ENTRIES);
	struct noise_result keys = test_keys(77777, true);

	(void)state;
	check(c, &s[1], 0, KEY_RECEIVE);
	session_init(&s[1], s[1].id, &keys);
	check(c, &s[1], 0, KEY_RECEIVE);
	assert_int_equal(expanded, 2);
	key_cache_destroy(c);
	free(s);
}

static void erase_one_and_all(void **state)
{
	struct session *s = sessions_create();
	struct key_cache *c = key_cache_create(&fake, 1024);
	struct session only_id;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		check(c, &s[i], 0, KEY_SEND);
		check(c, &s[i], 0, KEY_RECEIVE);
	}
	assert_int_equal(live, 40);
	memset(&only_id, 0, sizeof(only_id));
	only_id.id = s[7].id;
	key_cache_erase(c, &only_id);
	assert_int_equal(live, 38);
	key_cache_erase(c, &only_id);
	assert_int_equal(live, 38);
	check(c, &s[7], 0, KEY_SEND);
	assert_int_equal(expanded, 41);
	key_cache_erase_all(c);
	assert_int_equal(live, 0);
	check(c, &s[7], 0, KEY_SEND);
	key_cache_destroy(c);
	assert_int_equal(live, 0);
	free(s);
}

static void out_of_memory_is_told(void **state)
{
	struct session *s = sessions_create();
	struct key_cache *c = key_cache_create(&fake, 1);

	(void)state;
	is_out_of_memory = true;
	assert_null(key_cache_get(c, s, 0, KEY_SEND));
	assert_null(key_cache_get(c, s, 0, KEY_SEND));
	is_out_of_memory = false;
	check(c, s, 0, KEY_SEND);
	assert_int_equal(expanded, 1);
	key_cache_destroy(c);
	key_cache_destroy(NULL);
	free(s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(always_the_right_key),  cmocka_unit_test(least_recently_used_gives_way),
	cmocka_unit_test(same_id_other_key),     cmocka_unit_test(erase_one_and_all),
	cmocka_unit_test(out_of_memory_is_told),
};

CRYPTO_TESTS(tests)
