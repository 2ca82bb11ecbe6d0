/* Noise: the product's three patterns against each other, and every way to fail one. */
#include "crypto/noise.h"

#include "crypto/random.h"
#include "tests/support/crypto.h"

enum { MESSAGE_MAX = 512 };

/* What both sides of a test know and are. */
struct scene {
	struct random_seeded seeded;
	struct random_source random;
	struct x25519_pair client, relay;
	uint8_t psk[KEY_SIZE];
	struct noise_config initiator, responder;
};

static void scene_init(struct scene *s, const struct noise_pattern *pattern)
{
	s->random = random_seeded_init(&s->seeded, test_seed());
	x25519_generate(&s->client, &s->random);
	x25519_generate(&s->relay, &s->random);
	random_fill(&s->random, s->psk, sizeof s->psk);
	s->initiator = (struct noise_config){
		.pattern = pattern,
		.is_initiator = true,
		.prologue = VIEW_STRING("prologue"),
		.static_key = &s->client,
		.remote_static = pattern->pre_responder != NULL ? s->relay.public : NULL,
		.psks = { s->psk },
		.random = &s->random,
	};
	s->responder = s->initiator;
	s->responder.is_initiator = false;
	s->responder.static_key = &s->relay;
	s->responder.remote_static = NULL;
}

/* A message on its way; the tests damage it here. */
struct letter {
	uint8_t bytes[MESSAGE_MAX];
	size_t size;
};

static void write_letter(struct noise *n, struct letter *letter, struct view payload)
{
	letter->size = 0;
	assert_true(noise_write(n, payload, letter->bytes, sizeof letter->bytes, &letter->size));
	assert_true(letter->size <= payload.size + NOISE_OVERHEAD_MAX);
}

static bool read_letter(struct noise *n, const struct letter *letter)
{
	uint8_t payload[MESSAGE_MAX];
	size_t size;

	return noise_read(n, view_of(letter->bytes, letter->size), payload, sizeof payload, &size);
}

/* Run the handshake up to, and not with, the reading of message `until`. */
static struct noise *run_until(struct noise sides[2], const struct scene *s, size_t until,
			       struct letter *letter)
{
	noise_init(&sides[0], &s->initiator);
	noise_init(&sides[1], &s->responder);
	for (size_t i = 0;; i++) {
		struct noise *writer = &sides[i % 2];
		struct noise *reader = &sides[1 - i % 2];
		write_letter(writer, letter, VIEW_STRING("payload"));
		if (i == until)
			return reader;
		assert_true(read_letter(reader, letter));
	}
}

static size_t message_count(const struct noise_pattern *pattern)
{
	size_t count = 0;

	while (count < NOISE_MESSAGES_MAX && pattern->messages[count] != NULL)
		count++;
	return count;
}

static void stop(struct noise sides[2])
{
	static const uint8_t zeros[sizeof(struct noise)];

	for (int i = 0; i < 2; i++) {
		noise_fini(&sides[i]);
		assert_memory_equal(&sides[i], zeros, sizeof zeros);
	}
}

static void both_sides_agree(void **state)
{
	const struct noise_pattern *pattern = *state;
	struct noise_result a, b, other;
	struct noise sides[2];
	struct letter letter;
	struct scene s;

	scene_init(&s, pattern);
	for (int round = 0; round < 2; round++) {
		struct noise *last = run_until(sides, &s, message_count(pattern) - 1, &letter);
		assert_false(noise_is_done(last));
		assert_true(read_letter(last, &letter));
		assert_true(noise_is_done(&sides[0]));
		assert_true(noise_is_done(&sides[1]));
		assert_memory_equal(sides[0].payload_hash, sides[1].payload_hash, HASH_SIZE);
		noise_split(&sides[0], &a);
		noise_split(&sides[1], &b);
		assert_memory_equal(a.send_key, b.receive_key, KEY_SIZE);
		assert_memory_equal(a.receive_key, b.send_key, KEY_SIZE);
		assert_memory_equal(a.exporter, b.exporter, KEY_SIZE);
		assert_memory_equal(a.hash, b.hash, HASH_SIZE);
		assert_memory_not_equal(a.send_key, a.receive_key, KEY_SIZE);
		assert_memory_not_equal(a.send_key, a.exporter, KEY_SIZE);
		stop(sides);
		if (round == 0)
			other = a;
	}
	/* Fresh ephemerals: the same secrets never give the same keys again. */
	assert_memory_not_equal(a.send_key, other.send_key, KEY_SIZE);
	assert_memory_not_equal(a.hash, other.hash, HASH_SIZE);
}

/*
 * Goal:   no damaged message gets through, and none crashes the reader.
 * Method: every message of the pattern, cut to every size and flipped in every byte. An
 *         unencrypted payload (message 0 of XX) may change unseen: then the next one fails.
 */
static void refuses_damaged_messages(void **state)
{
	const struct noise_pattern *pattern = *state;
	struct noise sides[2], copy;
	struct letter letter, damaged;
	struct scene s;

	scene_init(&s, pattern);
	for (size_t i = 0; i < message_count(pattern); i++) {
		const struct noise *reader = run_until(sides, &s, i, &letter);
		bool is_plain = pattern == &NOISE_XX && i == 0;
		for (size_t size = 0; size < letter.size; size++) {
			copy = *reader;
			damaged = letter;
			damaged.size = size;
			assert_int_equal(read_letter(&copy, &damaged),
					 is_plain && size >= X25519_SIZE);
		}
		for (size_t at = 0; !is_plain && at < letter.size; at++) {
			copy = *reader;
			damaged = letter;
			damaged.bytes[at] ^= 4;
			assert_false(read_letter(&copy, &damaged));
			assert_true(copy.is_failed);
		}
		copy = *reader;
		assert_true(read_letter(&copy, &letter));
		noise_fini(&copy);
		stop(sides);
	}
}

static void later_message_covers_plain_payload(void **state)
{
	struct noise sides[2];
	struct letter letter;
	struct scene s;

	(void)state;
	scene_init(&s, &NOISE_XX);
	struct noise *reader = run_until(sides, &s, 0, &letter);
	letter.bytes[letter.size - 1] ^= 1;
	assert_true(read_letter(reader, &letter));
	write_letter(reader, &letter, view_of(NULL, 0));
	assert_false(read_letter(&sides[0], &letter));
	stop(sides);
}

/* A change to one side's config that the other must notice, and at which message. */
struct mismatch {
	const struct noise_pattern *pattern;
	size_t refused_at;
};

static void refuses_another_psk(void **state)
{
	static const struct mismatch rows[] = { { &NOISE_IKPSK2, 1 }, { &NOISE_NNPSK0, 0 } };
	uint8_t wrong[KEY_SIZE] = { 1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct noise sides[2];
		struct letter letter;
		struct scene s;
		scene_init(&s, rows[i].pattern);
		s.responder.psks[0] = wrong;
		struct noise *reader = run_until(sides, &s, rows[i].refused_at, &letter);
		assert_false(read_letter(reader, &letter));
		stop(sides);
	}
}

static void refuses_another_prologue(void **state)
{
	static const struct mismatch rows[] = {
		{ &NOISE_IKPSK2, 0 },
		{ &NOISE_XX, 1 },
		{ &NOISE_NNPSK0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct noise sides[2];
		struct letter letter;
		struct scene s;
		scene_init(&s, rows[i].pattern);
		s.responder.prologue = VIEW_STRING("prologuE");
		struct noise *reader = run_until(sides, &s, rows[i].refused_at, &letter);
		assert_false(read_letter(reader, &letter));
		stop(sides);
	}
}

static void refuses_another_relay(void **state)
{
	struct noise sides[2];
	struct letter letter;
	struct scene s;

	(void)state;
	scene_init(&s, &NOISE_IKPSK2);
	s.initiator.remote_static = s.client.public;
	struct noise *reader = run_until(sides, &s, 0, &letter);
	assert_false(read_letter(reader, &letter));
	stop(sides);
}

/* An ephemeral of zeros would make "ee" a secret that everyone knows. */
static void refuses_zero_ephemeral(void **state)
{
	struct noise sides[2];
	struct letter letter;
	uint8_t out[MESSAGE_MAX];
	size_t size = 0;
	struct scene s;

	(void)state;
	scene_init(&s, &NOISE_XX);
	struct noise *reader = run_until(sides, &s, 0, &letter);
	memset(letter.bytes, 0, X25519_SIZE);
	assert_true(read_letter(reader, &letter));
	assert_false(noise_write(reader, view_of(NULL, 0), out, sizeof out, &size));
	assert_int_equal(size, 0);
	stop(sides);

	scene_init(&s, &NOISE_IKPSK2);
	reader = run_until(sides, &s, 0, &letter);
	memset(letter.bytes, 0, X25519_SIZE);
	assert_false(read_letter(reader, &letter));
	stop(sides);
}

/* The exact capacity is enough, one byte less is not, for writer and for reader. */
static void keeps_to_capacity(void **state)
{
	const struct noise_pattern *pattern = *state;
	uint8_t out[MESSAGE_MAX], payload[MESSAGE_MAX];
	struct noise sides[2], copy;
	struct letter letter;
	struct scene s;

	scene_init(&s, pattern);
	for (size_t i = 0; i < message_count(pattern); i++) {
		struct noise *reader = run_until(sides, &s, i, &letter);
		size_t size = 0;
		copy = *reader;
		assert_false(noise_read(&copy, view_of(letter.bytes, letter.size), payload,
					strlen("payload") - 1, &size));
		assert_true(noise_read(reader, view_of(letter.bytes, letter.size), payload,
				       strlen("payload"), &size));
		assert_int_equal(size, strlen("payload"));
		assert_memory_equal(payload, "payload", size);
		if (noise_is_done(reader)) {
			stop(sides);
			continue;
		}
		copy = *reader;
		write_letter(&copy, &letter, VIEW_STRING("answer"));
		for (size_t capacity = 0; capacity <= letter.size; capacity++) {
			copy = *reader;
			size = 0;
			memset(out, 0xa5, sizeof out);
			assert_int_equal(noise_write(&copy, VIEW_STRING("answer"), out, capacity,
						     &size),
					 capacity == letter.size);
			assert_int_equal(out[capacity], 0xa5);
		}
		stop(sides);
	}
}

/* The specification's limit holds, whatever room the caller has. */
static void refuses_beyond_the_largest_message(void **state)
{
	static uint8_t large[NOISE_MESSAGE_MAX + 1], out[2 * sizeof large];
	struct noise sides[2], copy;
	struct letter letter;
	struct scene s;
	size_t size = 0;

	(void)state;
	scene_init(&s, &NOISE_XX);
	struct noise *reader = run_until(sides, &s, 0, &letter);
	memcpy(large, letter.bytes, letter.size);
	copy = *reader;
	assert_false(noise_read(&copy, VIEW(large), out, sizeof out, &size));
	copy = *reader;
	assert_true(noise_read(&copy, view_of(large, NOISE_MESSAGE_MAX), out, sizeof out, &size));
	assert_int_equal(size, NOISE_MESSAGE_MAX - X25519_SIZE);

	size = 0;
	assert_false(noise_write(&copy, VIEW(large), out, sizeof out, &size));
	stop(sides);
	noise_fini(&copy);
}

/* Two steps give the bytes of one, and the hash before the payload is the same for both. */
static void writes_in_two_steps(void **state)
{
	const struct noise_pattern *pattern = *state;
	struct x25519_pair ephemeral;
	struct noise at_once, in_steps, reader;
	struct letter a = { .size = 0 }, b = { .size = 3 };
	struct scene s;

	scene_init(&s, pattern);
	x25519_generate(&ephemeral, &s.random);
	s.initiator.fixed_ephemeral = &ephemeral;
	noise_init(&at_once, &s.initiator);
	noise_init(&in_steps, &s.initiator);
	noise_init(&reader, &s.responder);
	write_letter(&at_once, &a, VIEW_STRING("signed"));
	/* Appended to what is in the buffer already. */
	assert_true(noise_write_tokens(&in_steps, b.bytes, sizeof b.bytes, &b.size));
	assert_true(noise_write_payload(&in_steps, VIEW_STRING("signed"), b.bytes, sizeof b.bytes,
					&b.size));
	assert_int_equal(b.size, a.size + 3);
	assert_memory_equal(a.bytes, b.bytes + 3, a.size);
	assert_true(read_letter(&reader, &a));
	assert_memory_equal(reader.payload_hash, in_steps.payload_hash, HASH_SIZE);
	noise_fini(&at_once);
	noise_fini(&in_steps);
	noise_fini(&reader);
}

/* The responder of IKpsk2 learns from message 1 who calls, and picks the PSK then. */
static void psk_is_set_late(void **state)
{
	struct noise sides[2];
	struct letter letter;
	struct scene s;

	(void)state;
	scene_init(&s, &NOISE_IKPSK2);
	s.responder.psks[0] = NULL;
	struct noise *relay = run_until(sides, &s, 0, &letter);
	assert_true(read_letter(relay, &letter));
	assert_memory_equal(relay->remote_static, s.client.public, X25519_SIZE);
	noise_set_psk(relay, 0, s.psk);
	write_letter(relay, &letter, view_of(NULL, 0));
	assert_true(read_letter(&sides[0], &letter));
	stop(sides);
}

#define WITH_EACH_PATTERN(test) \
	cmocka_unit_test_prestate(test, (void *)&NOISE_IKPSK2), \
		cmocka_unit_test_prestate(test, (void *)&NOISE_XX), \
		cmocka_unit_test_prestate(test, (void *)&NOISE_NNPSK0)

static const struct CMUnitTest TESTS[] = {
	WITH_EACH_PATTERN(both_sides_agree),
	WITH_EACH_PATTERN(refuses_damaged_messages),
	WITH_EACH_PATTERN(keeps_to_capacity),
	WITH_EACH_PATTERN(writes_in_two_steps),
	cmocka_unit_test(refuses_beyond_the_largest_message),
	cmocka_unit_test(later_message_covers_plain_payload),
	cmocka_unit_test(refuses_another_psk),
	cmocka_unit_test(refuses_another_prologue),
	cmocka_unit_test(refuses_another_relay),
	cmocka_unit_test(refuses_zero_ephemeral),
	cmocka_unit_test(psk_is_set_late),
};

CRYPTO_TESTS(TESTS)
