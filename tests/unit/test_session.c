/* Session: packets both ways, epochs, replay, paths; with both packet ciphers. */
#include "core/session.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/session.h"

enum {
	PLAIN_SIZE = 200,
	CACHE_ENTRIES = 64,
	NOW = 5000,
};

/* Both ends of a tunnel, and what each of them needs. */
struct fixture {
	struct session relay;
	struct session client;
	struct key_cache *cache;
	struct mask *hide;
	struct mask *show;
	uint8_t plain[PLAIN_SIZE];
	uint8_t packet[DATAGRAM_SIZE_MAX];
};

static const struct session_id ID = { .slot = 0x123456, .generation = 0x89abcdef };

static void start(struct fixture *f, void **state)
{
	const struct packet_cipher *cipher = test_cipher(state);
	struct noise_result relay_keys = test_keys(1, true), client_keys = test_keys(1, false);
	session_init(&f->relay, ID, &relay_keys);
	session_init(&f->client, ID, &client_keys);
	f->cache = key_cache_create(cipher, CACHE_ENTRIES);
	f->hide = test_mask(MASK_HIDE, 1);
	f->show = test_mask(MASK_SHOW, 1);
	for (size_t i = 0; i < sizeof(f->plain); i++)
		f->plain[i] = (uint8_t)i;
}

static void stop(struct fixture *f)
{
	session_fini(&f->relay);
	session_fini(&f->client);
	key_cache_destroy(f->cache);
	mask_destroy(f->hide);
	mask_destroy(f->show);
}

static size_t seal(struct fixture *f, struct session *s, size_t plain_size)
{
	memcpy(f->packet + WIRE_HEADER_SIZE, f->plain, plain_size);
	assert_true(session_seal(s, f->cache, f->hide, f->packet, plain_size));
	return plain_size + WIRE_OVERHEAD;
}

static struct wire_data_header show(struct fixture *f, const uint8_t *packet)
{
	struct wire_data_header header;
	memcpy(&header, packet, sizeof(header));
	mask_blocks(f->show, (uint8_t *)&header, 1);
	return header;
}

static enum verdict open_copy(struct fixture *f, struct session *s, const uint8_t *packet,
			      size_t size, struct view *plain)
{
	static uint8_t frame[DATAGRAM_SIZE_MAX + 1];
	struct wire_data_header header = show(f, packet);
	memcpy(frame, packet, size);
	return session_open(s, f->cache, &header, view_of(frame, size), plain, NOW);
}

static enum verdict open(struct fixture *f, struct session *s, size_t size)
{
	struct view plain = { 0 };
	enum verdict verdict = open_copy(f, s, f->packet, size, &plain);
	if (verdict == PKT_IDLE) {
		assert_int_equal(plain.size, size - WIRE_OVERHEAD);
		assert_memory_equal(plain.data, f->plain, plain.size);
	}
	return verdict;
}

static void both_ways(void **state)
{
	static const size_t sizes[] = { 0, 1, 16, PLAIN_SIZE };
	struct fixture f;

	start(&f, state);
	for (uint64_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t size = seal(&f, &f.client, sizes[i]);
		struct wire_data_header header = show(&f, f.packet);
		assert_int_equal(header.first, wire_first(WIRE_DATA, 0));
		assert_int_equal(load_le24(header.slot), ID.slot);
		assert_int_equal(load_le32(header.generation), ID.generation);
		assert_int_equal(load_le64(header.counter), i);
		assert_int_equal(open(&f, &f.client, size), PKT_DROP_BAD_TAG); /* not its own */
		assert_int_equal(open(&f, &f.relay, size), PKT_IDLE);
		assert_int_equal(open(&f, &f.relay, size), PKT_DROP_REPLAY);
		assert_int_equal(load_relaxed(&f.relay.highest_received), i + 1);
		size = seal(&f, &f.relay, sizes[i]);
		assert_int_equal(open(&f, &f.client, size), PKT_IDLE);
	}
	assert_int_equal(load_relaxed(&f.client.tx_bytes), PLAIN_SIZE + 17 + 4 * WIRE_OVERHEAD);
	assert_int_equal(load_relaxed(&f.relay.rx_bytes), load_relaxed(&f.client.tx_bytes));
	assert_int_equal(load_relaxed(&f.relay.last_receive_ns), NOW);
	assert_int_equal(load_relaxed(&f.relay.is_established), 1);
	stop(&f);
}

/* The same packet sealed twice shows nothing of that; the counters of one session never repeat. */
static void same_plaintext_other_wire(void **state)
{
	struct fixture f;
	uint8_t first[DATAGRAM_SIZE_MAX];

	start(&f, state);
	size_t size = seal(&f, &f.client, PLAIN_SIZE);
	memcpy(first, f.packet, size);
	(void)seal(&f, &f.client, PLAIN_SIZE);
	assert_memory_not_equal(first, f.packet, WIRE_HEADER_SIZE);
	assert_memory_not_equal(first + WIRE_HEADER_SIZE, f.packet + WIRE_HEADER_SIZE, 16);
	stop(&f);
}

/* All but the count of forgeries must be as before, whatever a stranger sends. */
static void assert_untouched(struct session *s, const struct session *before)
{
	struct session now = *s;
	store_relaxed(&now.forgeries, load_relaxed(&before->forgeries));
	assert_memory_equal(&now, before, sizeof(now));
}

static void bit_flips_change_nothing(void **state)
{
	struct fixture f;
	uint8_t copy[DATAGRAM_SIZE_MAX];
	struct view plain;

	start(&f, state);
	size_t size = seal(&f, &f.client, PLAIN_SIZE);
	struct wire_data_header header = show(&f, f.packet);
	struct session before = f.relay;
	for (size_t at = 0; at < size; at++) {
		memcpy(copy, f.packet, size);
		copy[at] ^= (uint8_t)(1 << at % 8);
		/* With the right header, and with what the changed one shows. */
		assert_int_equal(session_open(&f.relay, f.cache, &header, view_of(copy, size),
					      &plain, NOW),
				 PKT_DROP_BAD_TAG);
		memcpy(copy, f.packet, size);
		copy[at] ^= (uint8_t)(1 << at % 8);
		assert_int_not_equal(open_copy(&f, &f.relay, copy, size, &plain), PKT_IDLE);
		assert_untouched(&f.relay, &before);
	}
	assert_true(load_relaxed(&f.relay.forgeries) >= size);
	assert_int_equal(open(&f, &f.relay, size), PKT_IDLE);
	stop(&f);
}

static void verdicts_before_the_cipher(void **state)
{
	struct fixture f;
	static uint8_t big[DATAGRAM_SIZE_MAX + 1];
	struct view plain;

	start(&f, state);
	size_t size = seal(&f, &f.client, PLAIN_SIZE);
	struct wire_data_header good = show(&f, f.packet), bad;
	struct view packet = view_of(f.packet, size);
	struct session before = f.relay;
#define OPEN() session_open(&f.relay, f.cache, &bad, packet, &plain, NOW)
	bad = good;
	packet = view_of(f.packet, WIRE_SIZE_MIN - 1);
	assert_int_equal(OPEN(), PKT_DROP_SIZE);
	packet = view_of(big, sizeof(big));
	assert_int_equal(OPEN(), PKT_DROP_SIZE);
	packet = view_of(f.packet, size);
	bad.first = wire_first(WIRE_HELLO, 0);
	assert_int_equal(OPEN(), PKT_DROP_KIND);
	bad.first = good.first | 1;
	assert_int_equal(OPEN(), PKT_DROP_KIND);
	for (unsigned epoch = 1; epoch <= WIRE_EPOCH_MASK; epoch++) {
		bad.first = wire_first(WIRE_DATA, epoch);
		assert_int_equal(OPEN(), PKT_DROP_NO_EPOCH);
	}
	bad = good;
	bad.slot = store_le24(ID.slot + 1);
	assert_int_equal(OPEN(), PKT_DROP_NO_SESSION);
	bad = good;
	bad.generation = store_le32(ID.generation - 1);
	assert_int_equal(OPEN(), PKT_DROP_NO_SESSION);
	bad = good;
	bad.counter = store_le64(REPLAY_COUNTER_LIMIT);
	assert_int_equal(OPEN(), PKT_DROP_REPLAY);
#undef OPEN
	assert_memory_equal(&f.relay, &before, sizeof(before));
	store_relaxed(&f.relay.is_revoked, 1);
	assert_int_equal(open(&f, &f.relay, size), PKT_DROP_REVOKED);
	assert_false(session_seal(&f.relay, f.cache, f.hide, f.packet, PLAIN_SIZE));
	stop(&f);
}

static void reordering_within_the_window(void **state)
{
	enum { COUNT = 40 };
	static uint8_t packets[COUNT][WIRE_OVERHEAD + 8];
	struct fixture f;
	struct view plain;

	start(&f, state);
	for (size_t i = 0; i < COUNT; i++) {
		(void)seal(&f, &f.client, 8);
		memcpy(packets[i], f.packet, sizeof(packets[i]));
	}
	for (size_t i = 0; i < COUNT; i++) {
		size_t at = i * 7 % COUNT; /* 7 and 40 share no factor: each once */
		assert_int_equal(open_copy(&f, &f.relay, packets[at], sizeof(packets[at]), &plain),
				 PKT_IDLE);
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(open_copy(&f, &f.relay, packets[i], sizeof(packets[i]), &plain),
				 PKT_DROP_REPLAY);
	assert_int_equal(load_relaxed(&f.relay.highest_received), COUNT);
	stop(&f);
}

static void rekey(struct session *s, uint32_t seed, bool is_relay)
{
	struct noise_result keys = test_keys(seed, is_relay);
	session_next_epoch(s, &keys);
}

/*
 * Goal:   over many rekeys packets of the current and the previous epoch open, and only these.
 * Method: the client keeps two packets back from each epoch: one is delivered in the next, one
 *         is tried two and four epochs later (when the header's two bits have come round).
 */
static void epochs_overlap_and_retire(void **state)
{
	enum { EPOCHS = 9, SMALL = WIRE_OVERHEAD + 8, SEALS = 3 };
	static const struct session_epoch erased;
	static uint8_t kept[EPOCHS + 1][2][SMALL];
	struct fixture f;
	struct view plain;

	start(&f, state);
	for (uint32_t epoch = 0; epoch <= EPOCHS; epoch++) {
		if (epoch > 0) {
			rekey(&f.relay, epoch + 1, true);
			rekey(&f.client, epoch + 1, false);
			assert_int_equal(load_relaxed(&f.client.epoch_start), SEALS * epoch);
			assert_int_equal(open_copy(&f, &f.relay, kept[epoch - 1][0], SMALL, &plain),
					 PKT_IDLE);
		}
		for (int i = 0; i < 2; i++) {
			(void)seal(&f, &f.client, 8);
			memcpy(kept[epoch][i], f.packet, SMALL);
		}
		(void)seal(&f, &f.client, 8); /* counters run on, headers name the epoch */
		assert_int_equal(show(&f, f.packet).first, wire_first(WIRE_DATA, epoch));
		assert_int_equal(load_le64(show(&f, f.packet).counter), SEALS * epoch + 2);
		assert_int_equal(open(&f, &f.relay, SMALL), PKT_IDLE);
		if (epoch >= 2)
			assert_int_equal(open_copy(&f, &f.relay, kept[epoch - 2][1], SMALL, &plain),
					 PKT_DROP_NO_EPOCH);
		if (epoch >= 4)
			assert_int_equal(open_copy(&f, &f.relay, kept[epoch - 4][1], SMALL, &plain),
					 PKT_DROP_BAD_TAG);

		session_retire_epoch(&f.relay);
		session_retire_epoch(&f.client);
		if (epoch > 0)
			assert_int_equal(open_copy(&f, &f.relay, kept[epoch - 1][1], SMALL, &plain),
					 PKT_DROP_NO_EPOCH);
		session_erase_retired(&f.relay);
		assert_memory_equal(&f.relay.epochs[(epoch + 1) & 1], &erased, sizeof(erased));
		assert_memory_not_equal(&f.relay.epochs[epoch & 1], &erased, sizeof(erased));
	}
	stop(&f);
}

static void hard_limit_of_keys(void **state)
{
	struct fixture f;
	uint64_t first;

	start(&f, state);
	store_relaxed(&f.relay.send_counter, EPOCH_PACKETS_HARD - 2);
	assert_true(session_reserve(&f.relay, 1, &first));
	assert_int_equal(first, EPOCH_PACKETS_HARD - 2);
	assert_true(session_seal(&f.relay, f.cache, f.hide, f.packet, 8));
	assert_false(session_seal(&f.relay, f.cache, f.hide, f.packet, 8));
	assert_false(session_reserve(&f.relay, 1, &first));
	rekey(&f.relay, 9, true);
	assert_true(session_seal(&f.relay, f.cache, f.hide, f.packet, 8));
	assert_false(session_reserve(&f.relay, (uint32_t)EPOCH_PACKETS_HARD, &first));

	/* However many rekeys: the other end's window takes no counter beyond its limit. */
	store_relaxed(&f.relay.send_counter, REPLAY_COUNTER_LIMIT - 1);
	store_relaxed(&f.relay.epoch_start, REPLAY_COUNTER_LIMIT - 1);
	assert_true(session_reserve(&f.relay, 1, &first));
	assert_false(session_reserve(&f.relay, 1, &first));
	stop(&f);
}

/* Runs of counters that several threads reserve are never shared. */
enum { RESERVERS = 4, RUNS = 20000, RUN = 3 };

struct reserver {
	struct session *s;
	uint64_t sum;
};

static void *reserve_runs(void *state)
{
	struct reserver *r = state;
	for (int i = 0; i < RUNS; i++) {
		uint64_t first;
		if (session_reserve(r->s, RUN, &first))
			r->sum += first + first + 1 + first + 2;
	}
	return NULL;
}

static void threads_share_counters(void **state)
{
	struct session s;
	struct noise_result keys = test_keys(1, true);
	struct reserver reservers[RESERVERS];
	pthread_t threads[RESERVERS];
	uint64_t sum = 0, total = (uint64_t)RESERVERS * RUNS * RUN;

	(void)state;
	session_init(&s, ID, &keys);
	for (int i = 0; i < RESERVERS; i++) {
		reservers[i] = (struct reserver){ .s = &s };
		assert_int_equal(pthread_create(&threads[i], NULL, reserve_runs, &reservers[i]), 0);
	}
	for (int i = 0; i < RESERVERS; i++) {
		pthread_join(threads[i], NULL);
		sum += reservers[i].sum;
	}
	assert_int_equal(load_relaxed(&s.send_counter), total);
	assert_int_equal(sum, total * (total - 1) / 2);
}

/*
 * Goal:   a reader of the path never sees halves of two.
 * Method: two writers and two readers, until each reader has seen many changes, which shows that
 *         they did run at the same time (or, on one processor, has read often enough).
 */
enum {
	PATHS = 4,
	CHANGES_SEEN = 10000,
	READS_MAX = TEST_IS_SANITIZED ? 500000 : 5000000,
};

struct path_user {
	struct session *s;
	_Atomic uint32_t *readers_done;
	uint32_t index;
	uint32_t torn;
	uint64_t writes;
};

/* All words of such a path say the same. */
static struct path uniform_path(uint8_t byte)
{
	struct path path;
	memset(&path, byte, sizeof(path));
	return path;
}

static void *write_paths(void *state)
{
	struct path_user *u = state;
	while (load_acquire(u->readers_done) < PATHS / 2) {
		struct path path = uniform_path((uint8_t)(u->index * 100 + u->writes++ % 100));
		session_set_path(u->s, &path);
	}
	return NULL;
}

static void *read_paths(void *state)
{
	struct path_user *u = state;
	uint8_t latest = 0;
	for (uint32_t reads = 0, changes = 0; reads < READS_MAX && changes < CHANGES_SEEN;
	     reads++) {
		struct path path = session_path(u->s);
		struct path expected = uniform_path(path.remote.ip[0]);
		u->torn += !path_equal(&path, &expected);
		changes += path.remote.ip[0] != latest;
		latest = path.remote.ip[0];
	}
	add_relaxed(u->readers_done, 1);
	return NULL;
}

static void path_is_never_torn(void **state)
{
	struct session s;
	struct noise_result keys = test_keys(1, true);
	_Atomic uint32_t readers_done = 0;
	struct path_user users[PATHS];
	pthread_t threads[PATHS];

	(void)state;
	session_init(&s, ID, &keys);
	struct path none = uniform_path(0), path = session_path(&s);
	assert_true(path_equal(&path, &none));
	for (uint32_t i = 0; i < PATHS; i++) {
		void *(*run)(void *) = i % 2 == 0 ? write_paths : read_paths;
		users[i] = (struct path_user){ .s = &s, .readers_done = &readers_done, .index = i };
		assert_int_equal(pthread_create(&threads[i], NULL, run, &users[i]), 0);
	}
	for (int i = 0; i < PATHS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(users[i].torn, 0);
	}
	assert_int_equal(load_relaxed(&s.path_sequence),
			 (uint32_t)(2 * (users[0].writes + users[2].writes)));
}

/* A path written is the path read, for all fields. */
static void path_is_kept(void **state)
{
	struct session s;
	struct noise_result keys = test_keys(1, true);
	struct path a = test_path(7, 99), b;

	(void)state;
	session_init(&s, ID, &keys);
	a.remote.scope = 3;
	session_set_path(&s, &a);
	b = session_path(&s);
	assert_true(path_equal(&a, &b));
	session_fini(&s);
	static const struct session zeros;
	assert_memory_equal(&s, &zeros, sizeof(s));
}

/* Rekeys go on while another thread opens what was sealed: no packet is lost, none torn. */
struct rekey_run {
	struct fixture *f;
	_Atomic uint32_t opened;
	_Atomic bool is_over;
	uint32_t lost;
};

static void *keep_rekeying(void *state)
{
	struct rekey_run *run = state;
	for (uint32_t epoch = 1; epoch < 200; epoch++) {
		rekey(&run->f->relay, epoch + 1, true);
		/* The old epoch stays until the reader has passed a quiet point. */
		uint32_t seen = load_acquire(&run->opened);
		while (load_acquire(&run->opened) < seen + 2)
			sched_yield();
		session_retire_epoch(&run->f->relay);
		seen = load_acquire(&run->opened);
		while (load_acquire(&run->opened) < seen + 2)
			sched_yield();
		session_erase_retired(&run->f->relay);
	}
	store_release(&run->is_over, true);
	return NULL;
}

static void rekey_under_traffic(void **state)
{
	struct fixture f;
	struct rekey_run run = { .f = &f };
	pthread_t thread;

	start(&f, state);
	assert_int_equal(pthread_create(&thread, NULL, keep_rekeying, &run), 0);
	while (!load_acquire(&run.is_over)) {
		/* The client follows at once: what it seals is of the relay's newest epoch. */
		uint32_t newest = load_acquire(&f.relay.epoch);
		while (load_relaxed(&f.client.epoch) < newest) {
			session_retire_epoch(&f.client);
			rekey(&f.client, load_relaxed(&f.client.epoch) + 2, false);
		}
		size_t size = seal(&f, &f.client, 8);
		run.lost += open(&f, &f.relay, size) != PKT_IDLE;
		store_release(&run.opened, load_relaxed(&run.opened) + 1);
	}
	pthread_join(thread, NULL);
	assert_int_equal(run.lost, 0);
	assert_int_equal(load_relaxed(&f.relay.epoch), 199);
	stop(&f);
}

static const struct CMUnitTest tests[] = {
	WITH_BOTH_CIPHERS(both_ways),
	WITH_BOTH_CIPHERS(same_plaintext_other_wire),
	WITH_BOTH_CIPHERS(bit_flips_change_nothing),
	WITH_BOTH_CIPHERS(verdicts_before_the_cipher),
	WITH_BOTH_CIPHERS(reordering_within_the_window),
	WITH_BOTH_CIPHERS(epochs_overlap_and_retire),
	WITH_BOTH_CIPHERS(hard_limit_of_keys),
	WITH_BOTH_CIPHERS(rekey_under_traffic),
	cmocka_unit_test(threads_share_counters),
	cmocka_unit_test(path_is_never_torn),
	cmocka_unit_test(path_is_kept),
};

CRYPTO_TESTS(tests)
