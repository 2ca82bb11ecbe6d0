/*
 * Memory: none is asked for while batches run, and every create says so when there is none.
 *
 * Goal:   a batch of known sessions asks for no memory and gives none back.
 * Method: this program's own malloc() and free() count while a batch runs; traffic of all
 *         kinds, good and hostile, after a first round has filled the key caches.
 */
#include "core/forward.h"

#include "tests/support/world.h"

static size_t calls;
static size_t fail_at = SIZE_MAX; /* the call that gets no memory */

#if !TEST_IS_SANITIZED
/* glibc's own, behind the names that are replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

#define REPLACEMENT __attribute__((visibility("default")))

REPLACEMENT void *malloc(size_t size)
{
	return calls++ == fail_at ? NULL : __libc_malloc(size);
}

REPLACEMENT void *calloc(size_t count, size_t size)
{
	return calls++ == fail_at ? NULL : __libc_calloc(count, size);
}

REPLACEMENT void *realloc(void *memory, size_t size)
{
	return calls++ == fail_at ? NULL : __libc_realloc(memory, size);
}

REPLACEMENT void *aligned_alloc(size_t alignment, size_t size)
{
	return calls++ == fail_at ? NULL : __libc_memalign(alignment, size);
}

REPLACEMENT void free(void *memory)
{
	calls++;
	__libc_free(memory);
}
#endif

enum { CLIENTS = 32, ROUNDS = 50 };

static void put_any(struct world *w, uint32_t index)
{
	static const uint8_t control[PAD_BUCKET] = { FRAME_PEERS_GET }, padding[PAD_BUCKET];
	const struct {
		struct wire_frame head;
		uint8_t rest[PAD_BUCKET];
	} ping = { .head = { .type = FRAME_PING, .size = store_le16(sizeof(struct wire_ping)) } };
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	uint32_t client = random_below(&w->random, CLIENTS);
	struct packet *p;

	switch (random_below(&w->random, 9)) {
	case 0:
		random_fill(&w->random, bytes, sizeof(bytes));
		world_put_bytes(w, index, view_of(bytes, random_below(&w->random, sizeof(bytes))),
				&w->clients[client].path);
		break;
	case 1: world_put(w, index, client, VIEW(control)); break;
	case 2: world_put(w, index, client, VIEW(padding)); break;
	case 3: world_put(w, index, client, view_of(&ping, sizeof(ping))); break;
	case 4: world_put_hello(w, index, 0, VIEW(control), &w->clients[client].path); break;
	case 5:
		p = world_put_data(w, index, client, VIEW(padding), 2 * PAD_BUCKET);
		p->data[20] ^= 1;
		break;
	default: world_put_data(w, index, client, VIEW(padding), 2 * PAD_BUCKET);
	}
}

static void batches_allocate_nothing(void **state)
{
	const struct packet_cipher *cipher = packet_cipher_by_name(*state);

	if (TEST_IS_SANITIZED || cipher == NULL) {
		print_message("skipped: %s\n", cipher == NULL ? "no such cipher on this machine" :
								"a sanitizer owns malloc()");
		skip();
	}
	/* The count sees what libcrypto takes, too. */
	uint8_t hash[HASH_SIZE];
	size_t start = calls;
	sha256_final(sha256_create(), hash);
	assert_true(calls > start + 2);

	struct world *w = world_create(cipher, CLIENTS);
	size_t in_batches = 0;
	for (int round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < WORLD_BATCH_MAX; i++)
			put_any(w, i);
		if (round == 0) /* every key is expanded once */
			for (uint32_t i = 0; i < WORLD_BATCH_MAX; i++)
				world_put_data(w, i, i % CLIENTS, view_of("", 0), PAD_BUCKET);
		size_t before = calls;
		world_run(w, WORLD_BATCH_MAX);
		if (round > 0)
			in_batches += calls - before;
	}
	assert_int_equal(in_batches, 0);
	assert_true(world_count(w, PKT_RELAYED) > 0);
	assert_true(world_count(w, PKT_HELLO) > 0);
	assert_true(world_count(w, PKT_PONG) > 0);
	world_destroy(w);
}

/* Create and destroy one of each; false: it was not made. */
static bool make_table(void)
{
	struct table *t = table_create(
		&(struct table_config){ .slots = 8, .entry_size = sizeof(struct session) });
	table_destroy(t);
	return t != NULL;
}

static bool make_channels(void)
{
	struct channels *c = channels_create(8);
	channels_destroy(c);
	return c != NULL;
}

static bool make_key_cache(void)
{
	struct key_cache *c = key_cache_create(packet_cipher_best(), 8);
	key_cache_destroy(c);
	return c != NULL;
}

static bool make_forward(void)
{
	struct forward *f = forward_create(&(struct forward_config){
		.cipher = packet_cipher_best(), .key_cache_entries = 8, .batch_max = 4 });
	forward_destroy(f);
	return f != NULL;
}

/* Goal:   whichever call gets no memory, a create gives NULL and leaves nothing behind.
 * Method: let the first fail, the second, and so on, until it succeeds. */
static void creates_say_when_memory_is_out(void **state)
{
	static bool (*const makers[])(void) = {
		make_table,
		make_channels,
		make_key_cache,
		make_forward,
	};

	(void)state;
	if (TEST_IS_SANITIZED) {
		print_message("skipped: a sanitizer owns malloc()\n");
		skip();
	}
	for (size_t i = 0; i < COUNT_OF(makers); i++) {
		size_t failures = 0;
		bool is_made = false;
		assert_true(makers[i]());
		while (!is_made) {
			fail_at = calls + failures;
			is_made = makers[i]();
			fail_at = SIZE_MAX;
			failures += !is_made;
		}
		assert_true(failures >= 3);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(creates_say_when_memory_is_out),
	cmocka_unit_test_prestate(batches_allocate_nothing, (void *)(uintptr_t) "openssl"),
	cmocka_unit_test_prestate(batches_allocate_nothing, (void *)(uintptr_t) "ipsec-mb"),
};

CRYPTO_TESTS(tests)
