/*
 * The relay and its clients in one process, over a virtual network. Time limit: 500 s
 */
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

static void exchange(struct sim_pair *p, unsigned count, uint64_t interval_ns)
{
	for (unsigned i = 0; i < count; i++) {
		size_t size = 8 + random_below(sim_random(p->sim), BLOB_SIZE_MAX - 8 + 1);
		assert_true(sim_send_number(p->alice, p->bob, size));
		assert_true(sim_send_number(p->bob, p->alice, size));
		sim_run(p->sim, interval_ns);
	}
	sim_run(p->sim, NS_PER_S);
}

/* The relay has not met anything that it had to drop. */
static void check_nothing_dropped(struct sim *sim)
{
	for (unsigned v = PKT_DROP_SIZE; v < VERDICT_COUNT; v++)
		if (sim_verdicts(sim, v) != 0)
			fail_msg("%s: %llu", verdict_key(v),
				 (unsigned long long)sim_verdicts(sim, v));
}

static void carries_ten_thousand_blobs_each_way(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);

	(void)state;
	exchange(&p, 10000, 300 * NS_PER_US);
	struct sim_channel *a = sim_channel(p.alice, p.bob), *b = sim_channel(p.bob, p.alice);
	assert_int_equal(a->received, 10000);
	assert_int_equal(b->received, 10000);
	assert_int_equal(a->copies + b->copies, 0);
	assert_true(sim_verdicts(p.sim, PKT_RELAYED) == 20000);
	check_nothing_dropped(p.sim);
	sim_destroy(p.sim);
}

/* Every pair of them is joined, each end by one channel. Returns the sessions made so far. */
static unsigned join_all(struct sim *sim, struct sim_client **clients, size_t count)
{
	unsigned ups = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			assert_true(sim_connect(sim, clients[i], clients[j]));
			assert_int_not_equal(sim_channel(clients[i], clients[j])->is_initiator,
					     sim_channel(clients[j], clients[i])->is_initiator);
		}
		ups += clients[i]->ups;
	}
	return ups;
}

/*
 * Goal:   a path that loses 30 % of all datagrams delays control and loses none of it.
 * Method: eight clients, each opens a channel to each of the lower ones; then one closes all of
 *         its own. Should so many in a row be lost that a client seeks a new session, its
 *         channels go with the old one, rightly: then it begins again.
 */
static void control_converges_through_loss(void **state)
{
	struct sim_quality lossy = { .loss_percent = 30,
				     .delay_ns = 30 * NS_PER_MS,
				     .jitter_ns = 30 * NS_PER_MS };
	struct sim_config config = { .quality = lossy };
	struct sim *sim = sim_create(&config);
	struct sim_client *clients[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(clients); i++)
		clients[i] = sim_add_client(sim, NULL);
	assert_true(sim_run_until_all_up(sim, 120 * NS_PER_S));
	unsigned ups = join_all(sim, clients, COUNT_OF(clients));
	while (ups != join_all(sim, clients, COUNT_OF(clients)))
		ups = join_all(sim, clients, COUNT_OF(clients));
	assert_in_range(ups, COUNT_OF(clients), COUNT_OF(clients) + 2);
	assert_int_equal(sim_session_count(sim), COUNT_OF(clients));

	/* One closes its channels: the others learn of it, each once. */
	for (size_t j = 1; j < COUNT_OF(clients); j++)
		assert_true(
			link_close(clients[0]->link, sim_channel(clients[0], clients[j])->number));
	sim_wake(clients[0]);
	sim_run(sim, 30 * NS_PER_S);
	for (size_t j = 1; j < COUNT_OF(clients); j++)
		assert_false(sim_channel(clients[j], clients[0])->is_open);
	sim_destroy(sim);
}

static void a_close_reaches_the_other_end(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);

	(void)state;
	assert_true(link_close(p.alice->link, sim_channel(p.alice, p.bob)->number));
	sim_wake(p.alice);
	sim_run(p.sim, NS_PER_S);
	assert_false(sim_channel(p.bob, p.alice)->is_open);
	assert_int_equal(sim_channel(p.bob, p.alice)->last_reason, REASON_CLOSED);
	/* What still comes for it goes nowhere. */
	assert_true(sim_send_number(p.alice, p.bob, 100));
	sim_run(p.sim, NS_PER_S);
	assert_true(sim_verdicts(p.sim, PKT_DROP_NO_CHANNEL) == 1);
	sim_destroy(p.sim);
}

/* Two ends that ask for each other at the same time get one channel, not two. */
static void crossing_opens_make_one_channel(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *alice = sim_add_client(sim, NULL), *bob = sim_add_client(sim, NULL);

	(void)state;
	assert_true(sim_run_until_all_up(sim, NS_PER_S));
	assert_true(sim_open(alice, bob));
	assert_true(sim_open(bob, alice));
	sim_run(sim, NS_PER_S);
	struct sim_channel *a = sim_channel(alice, bob), *b = sim_channel(bob, alice);
	assert_true(a->is_open);
	assert_true(b->is_open);
	assert_int_not_equal(a->is_initiator, b->is_initiator);
	assert_true(sim_send_number(alice, bob, 100));
	assert_true(sim_send_number(bob, alice, 100));
	sim_run(sim, NS_PER_S);
	assert_int_equal(a->received, 1);
	assert_int_equal(b->received, 1);
	sim_destroy(sim);
}

static void says_why_there_is_no_channel(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client_config shy = { .refuses_offers = true };
	struct sim_client *alice = sim_add_client(sim, NULL), *bob = sim_add_client(sim, &shy);
	struct sim_client *gone = sim_add_client(sim, NULL);

	(void)state;
	assert_true(sim_run_until_all_up(sim, NS_PER_S));
	sim_stop_client(gone);
	sim_run(sim, NS_PER_S);
	assert_true(sim_open(alice, bob));
	assert_true(sim_open(alice, gone));
	assert_true(sim_open(alice, alice));
	sim_run(sim, NS_PER_S);
	assert_int_equal(sim_channel(alice, bob)->last_reason, REASON_REFUSED);
	assert_int_equal(sim_channel(alice, gone)->last_reason, REASON_ABSENT);
	assert_int_equal(sim_channel(alice, alice)->last_reason, REASON_SELF);
	assert_int_equal(sim_session_count(sim), 2);
	sim_destroy(sim);
}

/*
 * Goal:   a blob is delivered at most once, whichever worker its copies come to.
 * Method: half of all datagrams are doubled and all are shuffled, over eight workers.
 */
static void copies_are_delivered_once(void **state)
{
	struct sim_quality wild = { .copy_percent = 50,
				    .late_percent = 20,
				    .late_ns = 50 * NS_PER_MS,
				    .delay_ns = 20 * NS_PER_MS,
				    .jitter_ns = 10 * NS_PER_MS };
	struct sim_config config = { .workers = SIM_WORKERS_MAX, .quality = wild };
	struct sim_pair p = { .sim = sim_create(&config) };

	(void)state;
	p.alice = sim_add_client(p.sim, NULL);
	p.bob = sim_add_client(p.sim, NULL);
	assert_true(sim_connect(p.sim, p.alice, p.bob));
	exchange(&p, 5000, 500 * NS_PER_US);
	struct sim_channel *a = sim_channel(p.alice, p.bob), *b = sim_channel(p.bob, p.alice);
	assert_int_equal(a->received, 5000);
	assert_int_equal(b->received, 5000);
	assert_int_equal(a->copies, 0);
	assert_int_equal(b->copies, 0);
	assert_true(a->swapped > 100); /* the path did shuffle */
	assert_true(sim_verdicts(p.sim, PKT_DROP_REPLAY) > 4000);
	assert_true(sim_verdicts(p.sim, PKT_RELAYED) == 10000);
	sim_destroy(p.sim);
}

static void a_restart_is_survived(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);

	(void)state;
	sim_relay_stop(p.sim);
	sim_run(p.sim, 3 * NS_PER_S);
	sim_relay_start(p.sim);
	assert_int_equal(sim_session_count(p.sim), 0);
	uint64_t begin_ns = sim_now(p.sim).mono_ns;
	while (p.alice->ups < 2 || p.bob->ups < 2) {
		(void)!sim_send_number(p.alice, p.bob, 100);
		(void)!sim_send_number(p.bob, p.alice, 100);
		sim_run(p.sim, 100 * NS_PER_MS);
		assert_true(sim_now(p.sim).mono_ns < begin_ns + 15 * NS_PER_S);
	}
	assert_true(sim_connect(p.sim, p.alice, p.bob));
	uint32_t before = sim_channel(p.bob, p.alice)->received;
	exchange(&p, 100, NS_PER_MS);
	assert_int_equal(sim_channel(p.bob, p.alice)->received, before + 100);
	assert_int_equal(sim_channel(p.bob, p.alice)->copies, 0);
	sim_destroy(p.sim);
}

/* ---- addresses --------------------------------------------------------------------------- */

static struct view last_up;
static uint8_t last_up_data[DATAGRAM_SIZE_MAX];

static void remember(void *state, const struct address *from, const struct address *to,
		     struct view data)
{
	const struct sim_client *c = state;
	(void)to;
	if (!address_equal(from, &c->address))
		return;
	memcpy(last_up_data, data.data, data.size);
	last_up = view_of(last_up_data, data.size);
}

enum { REBIND_LOSS_MAX = 30 }; /* at 5 ms each: one round trip and some */

/*
 * Goal:   a NAT that gives Alice a new address mid-session costs nothing but a few packets, and
 *         nobody else can move her: neither with a copy nor with a forged packet.
 * Method: rebind while both send; then repeat her latest packet, and show one with a bit
 *         turned, from a third address.
 */
static void a_new_address_costs_a_few_packets(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);
	struct keeper_session session;

	(void)state;
	exchange(&p, 100, 5 * NS_PER_MS);
	sim_rebind(p.alice);
	exchange(&p, 400, 5 * NS_PER_MS);
	struct sim_channel *a = sim_channel(p.alice, p.bob), *b = sim_channel(p.bob, p.alice);
	assert_int_equal(b->received, 500);
	assert_in_range(a->received, 500 - REBIND_LOSS_MAX, 500 - 1);
	assert_int_equal(p.alice->ups, 1);
	assert_true(sim_find_session(p.sim, p.alice, &session));
	assert_true(address_equal(&session.path.remote, &p.alice->address));

	struct address stranger = address_v4(172, 16, 0, 1, 1234);
	struct address relay = sim_relay_address(p.sim);
	sim_watch(p.sim, &stranger);
	sim_set_tap(p.sim, remember, p.alice);
	exchange(&p, 1, 5 * NS_PER_MS);
	sim_inject(p.sim, &stranger, &relay, last_up);
	sim_cut(p.alice, true);
	/* The relay never sees this one whole. */
	assert_true(sim_send_number(p.alice, p.bob, 100));
	sim_cut(p.alice, false);
	last_up_data[last_up.size / 2] ^= 1;
	sim_inject(p.sim, &stranger, &relay, last_up);
	sim_run(p.sim, 5 * NS_PER_S);
	assert_true(sim_find_session(p.sim, p.alice, &session));
	assert_true(address_equal(&session.path.remote, &p.alice->address));
	assert_int_equal(sim_watched_bytes(p.sim, &stranger), 0);
	assert_true(sim_verdicts(p.sim, PKT_DROP_BAD_TAG) == 1);
	assert_true(sim_verdicts(p.sim, PKT_DROP_REPLAY) == 1);
	sim_destroy(p.sim);
}

static struct address thief;
static bool is_stolen;

/* Alice's packet reaches the relay from the thief's address first (and never from hers). */
static void steal(void *state, const struct address *from, const struct address *to,
		  struct view data)
{
	struct sim_client *c = state;
	if (is_stolen || !address_equal(from, &c->address))
		return;
	is_stolen = true;
	sim_inject(c->sim, &thief, to, data);
}

/*
 * Goal:   who carries one of Alice's packets to the relay from elsewhere gets a challenge no
 *         longer than it, and never her traffic.
 */
static void a_stolen_packet_moves_nothing(void **state)
{
	struct sim_pair p = sim_connect_pair(NULL);
	struct keeper_session session;

	(void)state;
	thief = address_v4(172, 16, 0, 2, 4321);
	is_stolen = false;
	sim_watch(p.sim, &thief);
	sim_set_tap(p.sim, steal, p.alice);
	assert_true(sim_send_number(p.alice, p.bob, 500));
	assert_true(is_stolen);
	for (unsigned i = 0; i < 200; i++) {
		assert_true(sim_send_number(p.bob, p.alice, 500));
		sim_run(p.sim, 50 * NS_PER_MS);
	}
	assert_in_range(sim_watched_bytes(p.sim, &thief), 1, 700);
	assert_true(sim_find_session(p.sim, p.alice, &session));
	assert_true(address_equal(&session.path.remote, &p.alice->address));
	assert_int_equal(sim_channel(p.alice, p.bob)->received, 200);
	sim_destroy(p.sim);
}

/*
 * Goal:   the change of ports costs no session and not one packet.
 * Method: three pairs across it: one that sends all the time, one idle, one that knows a file's
 *         only door; first over a good path, then over one that loses a fifth.
 */
static void a_rotation_costs_nothing(void **state)
{
	static const unsigned losses[] = { 0, 20 };

	(void)state;
	for (size_t l = 0; l < COUNT_OF(losses); l++) {
		struct sim_config config = { .quality.loss_percent = losses[l] };
		struct sim *sim = sim_create(&config);
		struct sim_client_config by_file = { .is_by_file = true };
		struct sim_client *c[6];
		for (size_t i = 0; i < COUNT_OF(c); i++)
			c[i] = sim_add_client(sim, i >= 4 ? &by_file : NULL);
		for (size_t i = 0; i < COUNT_OF(c); i += 2)
			assert_true(sim_connect(sim, c[i], c[i + 1]));
		uint16_t before = sim_relay_address(sim).port;
		for (unsigned i = 0; i < 40 * 60; i++) {
			for (size_t k = 0; k < COUNT_OF(c); k++)
				if ((k < 2 || k >= 4) && !sim_send_number(c[k], c[k ^ 1], 100))
					assert_true(losses[l] > 0);
			sim_run(sim, NS_PER_S);
		}
		assert_int_not_equal(sim_relay_address(sim).port, before);
		assert_true(sim_connect(sim, c[2], c[3]));
		assert_true(sim_send_number(c[2], c[3], 100));
		sim_run(sim, NS_PER_S);
		for (size_t k = 0; k < COUNT_OF(c); k++) {
			struct link_status status;
			link_get_status(c[k]->link, &status);
			assert_int_equal(status.relay.port, sim_relay_address(sim).port);
			if (losses[l] > 0)
				continue;
			assert_int_equal(c[k]->ups, 1);
			assert_int_equal(sim_channel(c[k], c[k ^ 1])->received,
					 sim_channel(c[k ^ 1], c[k])->sent);
		}
		sim_destroy(sim);
	}
}

/* ---- strangers --------------------------------------------------------------------------- */

enum { CAPTURE_MAX = 400 };

struct capture {
	size_t count;
	struct {
		size_t size;
		uint8_t data[DATAGRAM_SIZE_MAX];
	} datagrams[CAPTURE_MAX];
};

static void capture(void *state, const struct address *from, const struct address *to,
		    struct view data)
{
	struct capture *c = state;
	(void)from;
	(void)to;
	if (c->count == CAPTURE_MAX)
		return;
	memcpy(c->datagrams[c->count].data, data.data, data.size);
	c->datagrams[c->count++].size = data.size;
}

/*
 * Goal:   to who holds no file the relay does not exist.
 * Method: garbage of every size, and everything that was ever sent (handshakes and packets, both
 *         ways), whole, cut and changed, from an address of its own.
 */
static void a_stranger_gets_nothing(void **state)
{
	static struct capture seen;
	struct sim *sim = sim_create(NULL);
	struct address stranger = address_v4(172, 16, 0, 3, 5555);
	struct address relay = sim_relay_address(sim);
	uint8_t bytes[2000];

	(void)state;
	seen.count = 0;
	sim_watch(sim, &stranger);
	sim_set_tap(sim, capture, &seen);
	struct sim_client *alice = sim_add_client(sim, NULL), *bob = sim_add_client(sim, NULL);
	assert_true(sim_connect(sim, alice, bob));
	for (unsigned i = 0; i < 50; i++)
		assert_true(sim_send_number(alice, bob, 8 + i * 20));
	sim_run(sim, NS_PER_S);
	sim_set_tap(sim, NULL, NULL);
	assert_true(seen.count > 100);

	for (size_t size = 0; size <= sizeof bytes; size++) {
		random_fill(sim_random(sim), bytes, size);
		sim_inject(sim, &stranger, &relay, view_of(bytes, size));
		sim_run(sim, NS_PER_MS);
	}
	for (size_t i = 0; i < seen.count; i++) {
		uint8_t *data = seen.datagrams[i].data;
		size_t size = seen.datagrams[i].size;
		sim_inject(sim, &stranger, &relay, view_of(data, size));
		sim_inject(sim, &stranger, &relay, view_of(data, size - 1));
		data[random_below(sim_random(sim), (uint32_t)size)] ^= 0x80;
		sim_inject(sim, &stranger, &relay, view_of(data, size));
		sim_run(sim, NS_PER_MS);
	}
	sim_run(sim, 60 * NS_PER_S);
	assert_int_equal(sim_watched_bytes(sim, &stranger), 0);
	assert_int_equal(alice->ups, 1);
	assert_int_equal(sim_session_count(sim), 2);
	assert_int_equal(sim_channel(bob, alice)->received, 50);
	sim_destroy(sim);
}

/* ---- devices ----------------------------------------------------------------------------- */

/* The same device once more: the later one has the session, and the first does not fight. */
static void a_second_instance_takes_over(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *first = sim_add_client(sim, NULL);

	(void)state;
	assert_true(sim_run_until_all_up(sim, NS_PER_S));
	struct sim_client_config config = { .same_device_as = &first->link_config.hello };
	struct sim_client *second = sim_add_client(sim, &config);
	sim_run(sim, 10 * NS_PER_S);
	assert_true(sim_is_up(second));
	assert_false(sim_is_up(first));
	assert_int_equal(first->downs, 1);
	assert_int_equal(first->last_state.reason, REASON_SUPERSEDED);
	assert_int_equal(first->ups, 1);
	assert_int_equal(sim_session_count(sim), 1);
	sim_destroy(sim);
}

static void the_idle_session_ends_at_the_relay_too(void **state)
{
	struct sim *sim = sim_create(NULL);
	struct sim_client *alice = sim_add_client(sim, NULL);

	(void)state;
	assert_true(sim_run_until_all_up(sim, NS_PER_S));
	sim_run(sim, 600 * NS_PER_S);
	assert_int_equal(sim_session_count(sim), 1);
	assert_int_equal(alice->ups, 1);
	sim_cut(alice, true);
	sim_run(sim, 200 * NS_PER_S);
	assert_int_equal(sim_session_count(sim), 0);
	assert_int_equal(alice->downs, 1);
	sim_cut(alice, false);
	sim_run(sim, 15 * NS_PER_S);
	assert_int_equal(alice->ups, 2);
	sim_destroy(sim);
}

static void clocks_may_be_wrong(void **state)
{
	static const int64_t offsets_s[] = { 0, -600, 600, 119, -121 };
	struct sim *sim = sim_create(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(offsets_s); i++) {
		struct sim_client_config config = { .clock_offset_ns =
							    offsets_s[i] * (int64_t)NS_PER_S };
		sim_add_client(sim, &config);
	}
	assert_true(sim_run_until_all_up(sim, 2 * NS_PER_S));
	sim_destroy(sim);
}

/* ---- many -------------------------------------------------------------------------------- */

enum { MANY = 1000 };

/*
 * Goal:   a crowd that comes at the same moment is let in, by cookies where need be, and served.
 * Method: a thousand clients at once; each opens a channel to its neighbour and sends.
 */
static void a_thousand_clients_talk(void **state)
{
	static struct sim_client *clients[MANY];
	struct sim *sim = sim_create(NULL);

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		clients[i] = sim_add_client(sim, NULL);
	assert_true(sim_run_until_all_up(sim, 30 * NS_PER_S));
	assert_true(sim_verdicts(sim, PKT_DROP_COOKIE) > 0);
	assert_int_equal(sim_session_count(sim), MANY);
	for (unsigned i = 0; i < MANY; i += 2)
		assert_true(sim_open(clients[i], clients[i + 1]));
	sim_run(sim, 5 * NS_PER_S);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < MANY; i++)
			assert_true(sim_send_number(clients[i], clients[i ^ 1], 200));
		sim_run(sim, 100 * NS_PER_MS);
	}
	sim_run(sim, NS_PER_S);
	for (unsigned i = 0; i < MANY; i++) {
		struct sim_channel *channel = sim_channel(clients[i], clients[i ^ 1]);
		assert_int_equal(channel->received, 10);
		assert_int_equal(channel->copies, 0);
		assert_int_equal(clients[i]->ups, 1);
	}
	sim_destroy(sim);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(carries_ten_thousand_blobs_each_way),
	cmocka_unit_test(control_converges_through_loss),
	cmocka_unit_test(a_close_reaches_the_other_end),
	cmocka_unit_test(crossing_opens_make_one_channel),
	cmocka_unit_test(says_why_there_is_no_channel),
	cmocka_unit_test(copies_are_delivered_once),
	cmocka_unit_test(a_restart_is_survived),
	cmocka_unit_test(a_new_address_costs_a_few_packets),
	cmocka_unit_test(a_stolen_packet_moves_nothing),
	cmocka_unit_test(a_rotation_costs_nothing),
	cmocka_unit_test(a_stranger_gets_nothing),
	cmocka_unit_test(a_second_instance_takes_over),
	cmocka_unit_test(the_idle_session_ends_at_the_relay_too),
	cmocka_unit_test(clocks_may_be_wrong),
	cmocka_unit_test(a_thousand_clients_talk),
};

CRYPTO_TESTS(TESTS)
