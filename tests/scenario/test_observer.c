/* What somebody sees who watches the wire, and what he can make the relay send. */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

enum { CLIENTS = 200, OFFSETS = 48, TAIL = 16 };

/* ---- no fixed bytes ---------------------------------------------------------------------- */

struct histogram {
	unsigned of[OFFSETS + TAIL][256];
	unsigned count;
};

struct watcher {
	struct address relay;
	struct histogram up, down;
	uint8_t digest[HASH_SIZE]; /* over everything, in its order */
};

/* Also at a port where it does not listen. */
static bool is_relay(const struct address *a, const struct address *relay)
{
	return memcmp(a->ip, relay->ip, sizeof(a->ip)) == 0;
}

static void watch(void *state, const struct address *from, const struct address *to,
		  struct view data)
{
	struct watcher *w = state;
	struct histogram *h = is_relay(to, &w->relay) ? &w->up : &w->down;
	struct view parts[] = { VIEW(w->digest), data };

	assert_true(is_relay(to, &w->relay) || is_relay(from, &w->relay));
	hmac_sha256(VIEW_STRING("digest"), parts, COUNT_OF(parts), w->digest);
	if (data.size < OFFSETS + TAIL)
		return;
	h->count++;
	for (size_t i = 0; i < OFFSETS; i++)
		h->of[i][data.data[i]]++;
	for (size_t i = 0; i < TAIL; i++)
		h->of[OFFSETS + i][data.data[data.size - TAIL + i]]++;
}

/* A crowd that connects, opens channels and talks, with all that losses add. */
static void run_watched(struct watcher *w, uint64_t seed)
{
	struct sim_config config = { .seed = seed,
				     .quality = { .loss_percent = 5,
						  .delay_ns = 20 * NS_PER_MS,
						  .jitter_ns = 10 * NS_PER_MS } };
	struct sim *sim = sim_create(&config);
	struct sim_client *clients[CLIENTS];

	memset(w, 0, sizeof(*w));
	w->relay = sim_relay_address(sim);
	sim_set_tap(sim, watch, w);
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = sim_add_client(sim, NULL);
	assert_true(sim_run_until_all_up(sim, 60 * NS_PER_S));
	for (size_t i = 0; i < CLIENTS; i += 2)
		assert_true(sim_open(clients[i], clients[i + 1]));
	sim_run(sim, 10 * NS_PER_S);
	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < CLIENTS; i++)
			(void)!sim_send_number(clients[i], clients[i ^ 1], 8 + round * 20);
		sim_run(sim, 100 * NS_PER_MS);
	}
	sim_run(sim, 60 * NS_PER_S);
	sim_destroy(sim);
}

/* Of 255 degrees of freedom: above 420 once in 10^9. */
static double chi_square(const struct histogram *h, size_t offset)
{
	double expected = (double)h->count / 256, sum = 0;
	for (size_t value = 0; value < 256; value++) {
		double off = (double)h->of[offset][value] - expected;
		sum += off * off / expected;
	}
	return sum;
}

static void check_even(const struct histogram *h, const char *name)
{
	for (size_t i = 0; i < OFFSETS + TAIL; i++)
		if (chi_square(h, i) > 420)
			fail_msg("%s: byte %zu is skewed (chi square %.0f)", name, i,
				 chi_square(h, i));
}

/*
 * Goal:   no byte at any fixed offset of any datagram is constant or skewed, either way.
 * Method: the first 48 and the last 16 bytes of all that a crowd and its relay send.
 */
static void no_byte_is_skewed(void **state)
{
	static struct watcher w;

	(void)state;
	run_watched(&w, test_seed());
	assert_true(w.up.count > 10000);
	assert_true(w.down.count > 10000);
	check_even(&w.up, "up");
	check_even(&w.down, "down");

	/* The check itself sees one value in a hundred too many. */
	w.up.of[5][17] += w.up.count / 100;
	assert_true(chi_square(&w.up, 5) > 420);
}

/* The harness: one seed, one run; another seed, another. */
static void a_seed_repeats_the_run(void **state)
{
	static struct watcher a, b, c;

	(void)state;
	run_watched(&a, 7);
	run_watched(&b, 7);
	run_watched(&c, 8);
	assert_memory_equal(a.digest, b.digest, HASH_SIZE);
	assert_memory_not_equal(a.digest, c.digest, HASH_SIZE);
}

/* ---- no amplification -------------------------------------------------------------------- */

struct account {
	struct address relay;
	struct sim *sim;
	uint64_t up[CLIENTS], down[CLIENTS];
};

/* Addresses are given out in order: 10.x.y.z, from 1 on. */
static size_t index_of(const struct address *a)
{
	return ((size_t)a->ip[13] << 16 | (size_t)a->ip[14] << 8 | a->ip[15]) - 1;
}

static void balance(void *state, const struct address *from, const struct address *to,
		    struct view data)
{
	struct account *a = state;
	if (is_relay(to, &a->relay)) {
		assert_true(index_of(from) < CLIENTS);
		if (address_equal(to, &a->relay))
			a->up[index_of(from)] += data.size;
		return;
	}
	assert_true(index_of(to) < CLIENTS);
	a->down[index_of(to)] += data.size;
	if (a->down[index_of(to)] > a->up[index_of(to)])
		fail_msg("the relay sent %llu bytes for %llu",
			 (unsigned long long)a->down[index_of(to)],
			 (unsigned long long)a->up[index_of(to)]);
}

/*
 * Goal:   nobody makes the relay send more to an address than came from it, until it has
 *         proved that it receives.
 * Method: the account of every address, at every datagram, while a crowd connects: handshakes,
 *         cookies, clocks that are off, first PINGs.
 */
static void the_relay_never_sends_more_than_it_got(void **state)
{
	struct sim_config config = { .hellos_per_ms = 1 };
	struct account account = { .sim = sim_create(&config) };
	struct sim *sim = account.sim;

	(void)state;
	account.relay = sim_relay_address(sim);
	sim_set_tap(sim, balance, &account);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct sim_client_config client = {
			.clock_offset_ns = i % 4 == 0 ? 300 * (int64_t)NS_PER_S : 0,
		};
		sim_add_client(sim, &client);
	}
	assert_true(sim_run_until_all_up(sim, 60 * NS_PER_S));
	sim_run(sim, 60 * NS_PER_S);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_true(account.down[i] > 0);
	sim_destroy(sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(no_byte_is_skewed),
	cmocka_unit_test(a_seed_repeats_the_run),
	cmocka_unit_test(the_relay_never_sends_more_than_it_got),
};

CRYPTO_TESTS(TESTS)
