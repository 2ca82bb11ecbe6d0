/*
 * Goal:   a batch of known sessions asks for no memory and gives none back.
 * Method: this program's own malloc() and free() count while a batch runs; traffic of all
 *         kinds, good and hostile, after a first round has filled the key caches.
 */
#include "core/forward.h"

#include "tests/support/world.h"

static size_t calls;

#if !TEST_IS_SANITIZED
/* glibc's own, behind the names that are replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	calls++;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	calls++;
	return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	calls++;
	return __libc_realloc(memory, size);
}

__attribute__((visibility("default"))) void free(void *memory)
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
	case 1:
		world_put(w, index, client, VIEW(control));
		break;
	case 2:
		world_put(w, index, client, VIEW(padding));
		break;
	case 3:
		world_put(w, index, client, view_of(&ping, sizeof(ping)));
		break;
	case 4:
		world_put_hello(w, index, 0, VIEW(control), &w->clients[client].path);
		break;
	case 5:
		p = world_put_data(w, index, client, VIEW(padding), 2 * PAD_BUCKET);
		p->data[20] ^= 1;
		break;
	default:
		world_put_data(w, index, client, VIEW(padding), 2 * PAD_BUCKET);
	}
}

static void batches_allocate_nothing(void **state)
{
	const struct packet_cipher *cipher = packet_cipher_by_name(*state);

	if (TEST_IS_SANITIZED || cipher == NULL) {
		print_message("skipped: %s\n", cipher == NULL ? "no such cipher on this machine"
							      : "a sanitizer owns malloc()");
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_prestate(batches_allocate_nothing, (void *)(uintptr_t) "openssl"),
	cmocka_unit_test_prestate(batches_allocate_nothing, (void *)(uintptr_t) "ipsec-mb"),
};

CRYPTO_TESTS(tests)
