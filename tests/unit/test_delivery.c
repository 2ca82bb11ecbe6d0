/*
 * Delivery: two associations over a pipe that loses, copies and reorders, in virtual time.
 * Time limit: 400 s
 */
#include "tests/support/deliveries.h"

#include <dirent.h>
#include <sched.h>
#include <sys/time.h>

/* The library takes round trips and the age of packets from the clock on the wall: it gets ours. */
__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict now,
							void *restrict zone)
{
	(void)zone;
	now->tv_sec = (time_t)(deliveries_clock_ns / NS_PER_S) + 1000000000;
	now->tv_usec = (suseconds_t)(deliveries_clock_ns % NS_PER_S / NS_PER_US);
	return 0;
}

static void carries_messages(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	assert_int_equal(delivery_unacknowledged(w.deliveries[0]), 0);
	deliveries_exchange(&w, books, 500, 60000);
	deliveries_run_ms(&w, 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(delivery_unacknowledged(w.deliveries[i]), 0);
	deliveries_fini(&w);
}

/*
 * Goal:   whatever the network does, each message arrives once, whole, in the order of its stream.
 * Method: 30 % loss, 20 % copies, delays that reorder; 2,000 messages of 1 to 65,536 bytes on eight
 *         streams each way.
 */
static void carries_messages_over_bad_networks(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;

	(void)state;
	deliveries_init(&w, test_seed());
	w.loss = 30;
	w.copies = 20;
	w.delay_ns = DELAY_MAX_NS;
	deliveries_connect(&w);
	deliveries_exchange(&w, books, 2000, 3600000);
	deliveries_fini(&w);
}

static void survives_outages(void **state)
{
	static const uint64_t outages_s[] = { 60, 330 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(outages_s); i++) {
		struct book books[2] = { 0 };
		struct deliveries w;
		deliveries_init(&w, test_seed());
		deliveries_connect(&w);
		deliveries_exchange(&w, books, 50, 60000);
		/* In the middle of much data, and of none. */
		for (int messages = 0; messages < (i == 0 ? 200 : 0); messages++)
			if (book_send(w.deliveries[0], &books[0], 1) != DELIVERY_SENT)
				break;
		w.loss = 100;
		deliveries_run_ms(&w, outages_s[i] * 500);
		assert_int_equal(book_send(w.deliveries[1], &books[1], 0), DELIVERY_SENT);
		deliveries_run_ms(&w, outages_s[i] * 500);
		w.loss = 0;
		deliveries_run_ms(&w, 2 * DELIVERY_RTO_LAST_MS);
		book_check(w.deliveries[0], &books[1]);
		assert_int_equal(book_total(books[1].got), book_total(books[1].sent));
		deliveries_exchange(&w, books, 400, 60000);
		deliveries_fini(&w);
	}
}

static void reports_a_peer_that_is_gone(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;

	(void)state;
	/* It says so. */
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	assert_int_equal(book_send(w.deliveries[0], &books[0], 0), DELIVERY_SENT);
	deliveries_run_ms(&w, 100);
	deliveries_unmake(&w, 0);
	deliveries_run_ms(&w, 100);
	/* What had arrived is still to be had. */
	assert_int_equal(delivery_state(w.deliveries[1]), DELIVERY_UP);
	assert_int_equal(book_check(w.deliveries[1], &books[0]), 1);
	assert_int_equal(delivery_state(w.deliveries[1]), DELIVERY_LOST);
	assert_int_equal(book_send(w.deliveries[1], &books[1], 0), DELIVERY_BROKEN);
	assert_int_equal(delivery_unacknowledged(w.deliveries[1]), 0);
	assert_false(delivery_next(w.deliveries[1], &(uint16_t){ 0 }, &(struct view){ 0 }));
	deliveries_fini(&w);

	/* It just does not answer any more. */
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	w.loss = 100;
	assert_int_equal(book_send(w.deliveries[1], &books[1], 0), DELIVERY_SENT);
	deliveries_run_ms(&w, 11 * 60 * 1000);
	assert_int_equal(delivery_state(w.deliveries[1]), DELIVERY_UP);
	deliveries_run_ms(&w, 5 * 60 * 1000);
	assert_int_equal(delivery_state(w.deliveries[1]), DELIVERY_LOST);
	deliveries_fini(&w);
}

/* A peer that lost its state comes back with a new association: the old one is over. */
static void reports_a_peer_that_began_anew(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	deliveries_exchange(&w, books, 20, 60000);
	w.loss = 100;
	deliveries_unmake(&w, 0);
	w.loss = 0;
	w.pipe_count = 0;
	deliveries_make(&w, 0);
	deliveries_run_ms(&w, 5000);
	assert_int_equal(delivery_state(w.deliveries[1]), DELIVERY_LOST);
	deliveries_unmake(&w, 1);
	deliveries_make(&w, 1);
	deliveries_run_ms(&w, 10000);
	if (delivery_state(w.deliveries[0]) == DELIVERY_LOST) {
		deliveries_unmake(&w, 0);
		deliveries_make(&w, 0);
		deliveries_run_ms(&w, 10000);
	}
	memset(books, 0, sizeof books);
	deliveries_exchange(&w, books, 20, 60000);
	deliveries_fini(&w);
}

static void either_may_come_first(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		struct book books[2] = { 0 };
		struct deliveries w;
		deliveries_init(&w, test_seed());
		deliveries_make(&w, first);
		deliveries_run_ms(&w, 20000);
		assert_int_equal(delivery_state(w.deliveries[first]), DELIVERY_CONNECTING);
		assert_int_equal(book_send(w.deliveries[first], &books[first], 0), DELIVERY_FULL);
		deliveries_make(&w, 1 - first);
		deliveries_run_ms(&w, 500);
		for (int i = 0; i < 2; i++)
			assert_int_equal(delivery_state(w.deliveries[i]), DELIVERY_UP);
		deliveries_exchange(&w, books, 20, 60000);
		deliveries_fini(&w);
	}
}

/* Both connect at once, over a network that mixes up the packets of it: always one association. */
static void both_connect_at_once(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 60; round++) {
		struct book books[2] = { 0 };
		struct deliveries w;
		deliveries_init(&w, test_seed() + round);
		w.loss = 20;
		w.copies = 30;
		w.delay_ns = DELAY_MAX_NS;
		deliveries_make(&w, 0);
		for (uint64_t i = 0; i < round % 8; i++)
			deliveries_step(&w);
		deliveries_make(&w, 1);
		deliveries_run_ms(&w, 30000);
		deliveries_exchange(&w, books, 10, 60000);
		deliveries_fini(&w);
	}
}

/*
 * Goal:   a full send buffer says so, keeps room for chat, and goes on when there is room.
 * Method: a reader that does not read; then reads all.
 */
static void holds_back_what_is_not_read(void **state)
{
	static uint8_t chunk[32768];
	struct view message;
	struct deliveries w;
	uint16_t stream;
	size_t sent = 0, got = 0;

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	for (int i = 0; i < 1000; i++) {
		while (delivery_send(w.deliveries[0], 3, VIEW(chunk)) == DELIVERY_SENT)
			sent++;
		deliveries_step(&w);
	}
	size_t bound = (DELIVERY_SEND_BUFFER + DELIVERY_RECEIVE_BUFFER) / sizeof chunk;
	assert_in_range(sent, bound / 2, bound + 2);
	assert_true(delivery_unacknowledged(w.deliveries[0]) <= DELIVERY_SEND_BUFFER);
	assert_int_equal(delivery_send(w.deliveries[0], 4, VIEW(chunk)), DELIVERY_FULL);
	/* Chat still goes. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(delivery_send(w.deliveries[0], 0, VIEW_STRING("chat")),
				 DELIVERY_SENT);
	for (int i = 0; i < 3000 && got < sent + 4; i++) {
		while (delivery_next(w.deliveries[1], &stream, &message))
			got++;
		deliveries_step(&w);
	}
	assert_int_equal(got, sent + 4);
	deliveries_run_ms(&w, 1000);
	assert_int_equal(delivery_unacknowledged(w.deliveries[0]), 0);
	assert_int_equal(delivery_send(w.deliveries[0], 4, VIEW(chunk)), DELIVERY_SENT);
	deliveries_fini(&w);
}

/* Chat does not wait for the files that were queued before it. */
static void chat_passes_files(void **state)
{
	static uint8_t chunk[32768];
	struct view message;
	struct deliveries w;
	uint16_t stream = 3;
	size_t before = 0;

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	size_t queued = 0;
	while (delivery_send(w.deliveries[0], 3, VIEW(chunk)) == DELIVERY_SENT)
		queued++;
	assert_true(queued > 16);
	assert_int_equal(delivery_send(w.deliveries[0], 0, VIEW_STRING("chat")), DELIVERY_SENT);
	for (int i = 0; i < 1000 && stream != 0; i++) {
		while (stream != 0 && delivery_next(w.deliveries[1], &stream, &message))
			before += stream == 3;
		deliveries_step(&w);
	}
	assert_int_equal(stream, 0);
	assert_true(before <= 3);
	deliveries_fini(&w);
}

static void ends_in_every_state(void **state)
{
	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		for (int who = 0; who < 4; who++) {
			struct book books[2] = { 0 };
			struct deliveries w;
			deliveries_init(&w, test_seed());
			w.delay_ns = DELAY_MAX_NS;
			deliveries_make(&w, 0);
			if (who != 3)
				deliveries_make(&w, 1);
			for (int i = 0; i < steps; i++) {
				while (book_send(w.deliveries[0], &books[0], 1) == DELIVERY_SENT)
					;
				deliveries_step(&w);
			}
			if (who < 2)
				deliveries_unmake(&w, who);
			for (int i = 0; i < who; i++)
				deliveries_step(&w);
			deliveries_fini(&w);
		}
	}
}

static void bad_packets_do_nothing(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;
	uint8_t bytes[DELIVERY_PACKET_MAX + 8];

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	for (size_t size = 0; size <= sizeof bytes; size++) {
		random_fill(&w.random, bytes, size);
		delivery_input(w.deliveries[0], bytes, size);
	}
	deliveries_exchange(&w, books, 20, 60000);
	deliveries_fini(&w);
}

/* Old packets, whole, cut and damaged: the association may end, nothing else may happen. */
static void damaged_packets_do_no_harm(void **state)
{
	struct book books[2] = { 0 };
	struct deliveries w;

	(void)state;
	deliveries_init(&w, test_seed());
	deliveries_connect(&w);
	deliveries_exchange(&w, books, 50, 60000);
	for (int i = 0; i < 20000; i++) {
		struct packet packet = w.kept[random_below(&w.random, PACKETS_KEPT)];
		if (deliveries_happens(&w, 50))
			packet.bytes[random_below(&w.random, (uint32_t)packet.size)] ^=
				(uint8_t)(1 + random_below(&w.random, 255));
		if (deliveries_happens(&w, 20))
			packet.size = random_below(&w.random, (uint32_t)packet.size);
		delivery_input(w.deliveries[packet.to], packet.bytes, packet.size);
		if (i % 100 == 0)
			deliveries_step(&w);
	}
	deliveries_fini(&w);
}

static void keeps_many_apart(void **state)
{
	enum { MANY = 40 };
	static struct deliveries all[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		deliveries_init(&all[i], test_seed() + (uint64_t)i);
		deliveries_make(&all[i], 0);
		deliveries_make(&all[i], 1);
	}
	for (int steps = 0; steps < 50; steps++) {
		deliveries_clock_ns += DELIVERIES_STEP_NS;
		for (int i = 0; i < MANY; i++) {
			all[i].now_ns = deliveries_clock_ns;
			deliveries_carry(&all[i]);
		}
		delivery_advance(deliveries_clock_ns);
	}
	for (int i = 0; i < MANY; i++) {
		uint8_t number = (uint8_t)i;
		assert_int_equal(delivery_send(all[i].deliveries[0], 2, view_of(&number, 1)),
				 DELIVERY_SENT);
	}
	for (int i = 0; i < MANY; i++) {
		struct view message;
		uint16_t stream;
		all[i].now_ns += DELIVERIES_STEP_NS;
		deliveries_carry(&all[i]);
		assert_true(delivery_next(all[i].deliveries[1], &stream, &message));
		assert_int_equal(message.data[0], i);
		assert_false(delivery_next(all[i].deliveries[1], &stream, &message));
	}
	for (int i = 0; i < MANY; i++)
		deliveries_fini(&all[i]);
}

/* An idle association wants to be called a few times a second, not a hundred. */
static void rests_when_idle(void **state)
{
	struct deliveries w;

	(void)state;
	deliveries_init(&w, test_seed());
	assert_int_equal(delivery_advance(w.now_ns), NEVER);
	deliveries_connect(&w);
	assert_true(delivery_advance(w.now_ns) <= w.now_ns + DELIVERIES_STEP_NS);
	deliveries_run_ms(&w, 3000);
	assert_true(delivery_advance(w.now_ns) > w.now_ns + 10 * DELIVERIES_STEP_NS);
	size_t packets = w.packets;
	deliveries_run_ms(&w, 120000);
	assert_in_range(w.packets - packets, 1, 40); /* heartbeats */
	assert_int_equal(delivery_send(w.deliveries[0], 0, VIEW_STRING("x")), DELIVERY_SENT);
	assert_true(delivery_advance(w.now_ns) <= w.now_ns + DELIVERIES_STEP_NS);
	deliveries_fini(&w);
}

static size_t count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	size_t count = 0;

	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static size_t threads_before;

/* ThreadSanitizer's own may start later than the count before. */
#ifdef __SANITIZE_THREAD__
enum { SANITIZER_THREADS = 1 };
#else
enum { SANITIZER_THREADS = 0 };
#endif

/* The kernel lists a thread a little longer than pthread_join() waits for it. */
static bool threads_become(size_t most)
{
	for (unsigned i = 0; i < 100000; i++) {
		if (count_threads() <= most + SANITIZER_THREADS)
			return true;
		sched_yield();
	}
	return false;
}

static void starts_and_stops_again(void **state)
{
	struct deliveries w;

	(void)state;
	for (int i = 0; i < 3; i++) {
		delivery_stop();
		assert_true(threads_become(threads_before));
		assert_true(delivery_start());
		deliveries_init(&w, test_seed());
		deliveries_connect(&w);
		deliveries_fini(&w);
		/* The library has an idle one. */
		assert_true(threads_become(threads_before + 1));
	}
}

static int start(void **state)
{
	threads_before = count_threads();
	return test_crypto_start(state) == 0 && delivery_start() ? 0 : -1;
}

static int stop(void **state)
{
	delivery_stop();
	return test_crypto_stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_messages),
		cmocka_unit_test(carries_messages_over_bad_networks),
		cmocka_unit_test(survives_outages),
		cmocka_unit_test(reports_a_peer_that_is_gone),
		cmocka_unit_test(reports_a_peer_that_began_anew),
		cmocka_unit_test(either_may_come_first),
		cmocka_unit_test(both_connect_at_once),
		cmocka_unit_test(holds_back_what_is_not_read),
		cmocka_unit_test(chat_passes_files),
		cmocka_unit_test(ends_in_every_state),
		cmocka_unit_test(bad_packets_do_nothing),
		cmocka_unit_test(damaged_packets_do_no_harm),
		cmocka_unit_test(keeps_many_apart),
		cmocka_unit_test(rests_when_idle),
		cmocka_unit_test(starts_and_stops_again),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
