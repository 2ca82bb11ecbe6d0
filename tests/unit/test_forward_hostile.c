/* The packet path: strangers' bytes, changed packets, and good ones between them. */
#include "core/forward.h"

#include "tests/support/world.h"

static void assert_nothing_came_of_it(const struct world *w, const struct session *before)
{
	struct session now = *w->clients[0].session;

	assert_int_equal(w->result.send_count, 0);
	assert_int_equal(w->result.upcall_count, 0);
	store_relaxed(&now.forgeries, 0);
	assert_memory_equal(&now, before, sizeof(now));
}

static void garbage_of_all_lengths(void **state)
{
	enum { LONGEST = 2048, ROUNDS = 20 };
	struct world *w = world_start(state, 2);
	uint8_t bytes[LONGEST];
	struct session before = *w->clients[0].session;

	for (int round = 0; round < ROUNDS; round++) {
		for (size_t size = 0; size <= LONGEST; size++) {
			random_fill(&w->random, bytes, sizeof(bytes));
			world_put_bytes(w, 0, view_of(bytes, size), &w->clients[0].path);
			if (size < WIRE_SIZE_MIN || size > DATAGRAM_SIZE_MAX)
				world_expect(w, PKT_DROP_SIZE);
			else
				world_run(w, 1);
			assert_nothing_came_of_it(w, &before);
		}
	}
	assert_true(world_count(w, PKT_DROP_KIND) > 0);
	assert_true(world_count(w, PKT_DROP_NO_SESSION) > 0);
	assert_true(world_count(w, PKT_DROP_BAD_HELLO) > 0);
	assert_int_equal(load_relaxed(&w->clients[0].session->forgeries), 0);
	world_destroy(w);
}

/* One bit changed anywhere, and the packet is nothing; afterwards the right one still counts. */
static void flipped_bits(void **state)
{
	struct world *w = world_start(state, 2);
	uint8_t good[WORLD_PADDED + WIRE_OVERHEAD], bad[sizeof(good)];
	struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	struct session before = *w->clients[0].session;

	assert_int_equal(p->size, sizeof(good));
	memcpy(good, p->data, sizeof(good));
	for (size_t at = 0; at < sizeof(good); at++) {
		memcpy(bad, good, sizeof(bad));
		bad[at] ^= (uint8_t)(1 << at % 8);
		world_put_bytes(w, 0, VIEW(bad), &w->clients[0].path);
		if (at >= WIRE_HEADER_SIZE)
			world_expect(w, PKT_DROP_BAD_TAG);
		else
			world_run(w, 1);
		assert_nothing_came_of_it(w, &before);
	}
	for (size_t size = WIRE_SIZE_MIN; size < sizeof(good); size++) {
		world_put_bytes(w, 0, view_of(good, size), &w->clients[0].path);
		world_expect(w, PKT_DROP_BAD_TAG);
	}
	world_put_bytes(w, 0, VIEW(good), &w->clients[0].path);
	world_expect(w, PKT_RELAYED);
	world_assert_blob(w, 1, world_receive(w, 1, &w->result.send[0]));
	world_destroy(w);
}

/*
 * Goal:   hostile datagrams in a batch do not touch the good ones between them.
 * Method: random mixtures; every good packet must arrive, in order, and the counts must fit.
 */
static void good_among_hostile(void **state)
{
	enum { ROUNDS = 200 };
	struct world *w = world_start(state, 8);
	uint8_t bytes[DATAGRAM_SIZE_MAX], copy[DATAGRAM_SIZE_MAX];
	uint64_t good_total = 0, total = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint32_t count = 1 + random_below(&w->random, WORLD_BATCH_MAX), good = 0;
		size_t copy_size = 0;
		for (uint32_t i = 0; i < count; i++) {
			uint32_t client = random_below(&w->random, 8);
			size_t size = random_below(&w->random, sizeof(bytes) + 1);
			random_fill(&w->random, bytes, sizeof(bytes));
			struct packet *p;
			switch (random_below(&w->random, 5)) {
			case 0: /* a stranger's bytes */
				world_put_bytes(w, i, view_of(bytes, size), &w->clients[0].path);
				break;
			case 1: /* a copy */
				world_put_bytes(w, i, view_of(copy, copy_size),
						&w->clients[client].path);
				break;
			case 2: /* one byte wrong */
				p = world_put_data(w, i, client, WORLD_BLOB, WORLD_PADDED);
				p->data[size % p->size] ^= 0x80;
				break;
			default:
				p = world_put_data(w, i, client, WORLD_BLOB, WORLD_PADDED);
				memcpy(copy, p->data, p->size);
				copy_size = p->size;
				good++;
			}
		}
		world_run(w, count);
		assert_int_equal(w->result.send_count, good);
		for (uint32_t i = 0; i < good; i++) {
			const struct packet *out = &w->result.send[i];
			uint32_t to = (uint32_t)out->path.remote.ip[15];
			world_assert_blob(w, to, world_receive(w, to, out));
		}
		good_total += good;
		total += count;
	}
	uint64_t counted = 0;
	for (int i = 0; i < VERDICT_COUNT; i++)
		counted += world_count(w, (enum verdict)i);
	assert_int_equal(counted, total);
	assert_int_equal(world_count(w, PKT_RELAYED), good_total);
	assert_true(world_count(w, PKT_DROP_REPLAY) > 0);
	world_destroy(w);
}

static const struct CMUnitTest tests[] = {
	WITH_BOTH_CIPHERS(garbage_of_all_lengths),
	WITH_BOTH_CIPHERS(flipped_bits),
	WITH_BOTH_CIPHERS(good_among_hostile),
};

CRYPTO_TESTS(tests)
