/* Handshake datagrams of a door: both directions, every change refused, nothing visible. */
#include "core/door.h"

#include "tests/support/crypto.h"

enum { PLAIN_SIZE = 300, KINDS = 3 };

static const enum wire_kind kinds[KINDS] = { WIRE_HELLO, WIRE_WELCOME, WIRE_COOKIE };

struct fixture {
	struct door_keys keys;
	struct mask *hide;
	struct mask *show;
	struct random_seeded seeded;
	struct random_source random;
	uint8_t packet[DATAGRAM_SIZE_MAX];
	uint8_t plain[PLAIN_SIZE];
};

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t door_key[KEY_SIZE] = { 'd' };

	door_keys_derive(door_key, &f->keys);
	f->hide = mask_create(MASK_HIDE);
	f->show = mask_create(MASK_SHOW);
	mask_set_key(f->hide, f->keys.c2s_header);
	mask_set_key(f->show, f->keys.c2s_header);
	f->random = random_seeded_init(&f->seeded, test_seed());
	random_fill(&f->random, f->plain, sizeof(f->plain));
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	mask_destroy(f->hide);
	mask_destroy(f->show);
	free(f);
	return 0;
}

static size_t seal(struct fixture *f, enum wire_kind kind, size_t plain_size)
{
	memcpy(f->packet + WIRE_HEADER_SIZE, f->plain, plain_size);
	return door_seal(f->keys.c2s_handshake, f->hide, kind, &f->random, f->packet, plain_size);
}

static struct wire_handshake_header show(struct fixture *f, const uint8_t *packet)
{
	struct wire_handshake_header header;
	memcpy(&header, packet, sizeof(header));
	mask_blocks(f->show, (uint8_t *)&header, 1);
	return header;
}

static void opens_what_was_sealed(void **state)
{
	static const size_t sizes[] = { 0, 1, PLAIN_SIZE - 1, PLAIN_SIZE };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(sizes) * KINDS; i++) {
		enum wire_kind kind = kinds[i % KINDS];
		size_t plain_size = sizes[i / KINDS];
		struct view plain;
		size_t size = seal(f, kind, plain_size);
		assert_int_equal(size, plain_size + WIRE_OVERHEAD);
		struct wire_handshake_header header = show(f, f->packet);
		assert_int_equal(header.first, wire_first(kind, 0));
		assert_true(door_open(f->keys.c2s_handshake, &header, f->packet, size, &plain));
		assert_int_equal(plain.size, plain_size);
		assert_ptr_equal(plain.data, f->packet + WIRE_HEADER_SIZE);
		assert_memory_equal(plain.data, f->plain, plain_size);
	}
}

/* Every bit of the datagram counts: header (as sent), body and tag. */
static void refuses_any_change(void **state)
{
	struct fixture *f = *state;
	uint8_t copy[DATAGRAM_SIZE_MAX];
	struct view plain;
	size_t size = seal(f, WIRE_HELLO, PLAIN_SIZE);

	for (size_t at = 0; at < size; at++) {
		memcpy(copy, f->packet, size);
		copy[at] ^= (uint8_t)(1 << at % 8);
		struct wire_handshake_header header = show(f, f->packet); /* the nonce is right */
		assert_false(door_open(f->keys.c2s_handshake, &header, copy, size, &plain));
		memcpy(copy, f->packet, size);
		copy[at] ^= (uint8_t)(1 << at % 8);
		header = show(f, copy);
		assert_false(door_open(f->keys.c2s_handshake, &header, copy, size, &plain));
	}
}

static void refuses_wrong_keys_and_sizes(void **state)
{
	struct fixture *f = *state;
	uint8_t copy[DATAGRAM_SIZE_MAX + 1] = { 0 };
	struct view plain;
	size_t size = seal(f, WIRE_HELLO, PLAIN_SIZE);
	struct wire_handshake_header header = show(f, f->packet);

	memcpy(copy, f->packet, size);
	assert_false(door_open(f->keys.s2c_handshake, &header, copy, size, &plain));
	for (size_t cut = 0; cut < size; cut++) {
		memcpy(copy, f->packet, size);
		assert_false(door_open(f->keys.c2s_handshake, &header, copy, cut, &plain));
	}
	memcpy(copy, f->packet, size);
	assert_false(door_open(f->keys.c2s_handshake, &header, copy, size + 1, &plain));
	assert_false(door_open(f->keys.c2s_handshake, &header, copy, sizeof(copy), &plain));
	memcpy(copy, f->packet, size);
	assert_true(door_open(f->keys.c2s_handshake, &header, copy, size, &plain));
}

/* The same plaintext never looks the same, and its header's first byte takes all values. */
static void never_looks_the_same(void **state)
{
	enum { TRIES = 4000 };
	struct fixture *f = *state;
	static uint8_t headers[TRIES][WIRE_HEADER_SIZE];
	bool first_seen[256] = { false };
	size_t first_count = 0;

	for (size_t i = 0; i < TRIES; i++) {
		(void)seal(f, WIRE_HELLO, PLAIN_SIZE);
		memcpy(headers[i], f->packet, WIRE_HEADER_SIZE);
		first_count += !first_seen[f->packet[0]];
		first_seen[f->packet[0]] = true;
		if (i > 0)
			assert_memory_not_equal(headers[i], headers[i / 2], WIRE_HEADER_SIZE);
	}
	assert_int_equal(first_count, 256);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(opens_what_was_sealed, start, stop),
	cmocka_unit_test_setup_teardown(refuses_any_change, start, stop),
	cmocka_unit_test_setup_teardown(refuses_wrong_keys_and_sizes, start, stop),
	cmocka_unit_test_setup_teardown(never_looks_the_same, start, stop),
};

CRYPTO_TESTS(tests)
