/*
 * Peers end to end, through links and the relay, over a virtual network. Time limit: 500 s
 */
#include "core/peer.h"
#include "tests/support/crypto.h"
#include "tests/support/sim.h"

#define TALK_NS (100 * NS_PER_MS) /* a packet of the application every so often */
#define RETRY_NS (2 * NS_PER_S)

enum { PAIRS_MAX = 500 };

/* One device: a link of the sim, and a tunnel to its partner on top. */
struct end {
	struct sim *sim;
	struct sim_client *client;
	struct end *partner;
	struct peer_self self;
	struct peer *peer;
	bool opens; /* the one of the two that asks for the channel */
	uint32_t channel;
	uint32_t secured, refused;
	uint32_t sent, received, wrong;
	uint32_t last; /* highest number received */
	uint64_t talk_ns, open_ns;
};

struct pair {
	struct end ends[2];
};

static void note_events(struct end *e)
{
	struct peer_event event;
	while (peer_next_event(e->peer, &event)) {
		e->secured += event.type == PEER_EVENT_SECURE;
		e->refused += event.type == PEER_EVENT_REFUSED;
	}
}

static void take_event(void *state, struct sim_client *c, const struct link_event *event)
{
	struct end *e = state;
	uint64_t now_ns = sim_now(e->sim).mono_ns;
	switch (event->type) {
	case LINK_EVENT_UP:
		e->channel = 0;
		e->open_ns = e->opens ? now_ns : NEVER;
		break;
	case LINK_EVENT_OFFER:
		if (!link_accept(c->link, event->channel))
			break;
		e->channel = event->channel;
		peer_begin(e->peer, false, now_ns);
		break;
	case LINK_EVENT_OPENED:
		e->channel = event->channel;
		peer_begin(e->peer, event->is_initiator, now_ns);
		break;
	case LINK_EVENT_OPEN_FAILED:
	case LINK_EVENT_GONE:
		e->channel = 0;
		e->open_ns = e->opens ? now_ns + RETRY_NS : NEVER;
		break;
	default: break;
	}
}

static void take_blob(void *state, struct sim_client *c, uint32_t channel, struct view blob)
{
	struct end *e = state;
	struct view body;
	uint8_t copy[BLOB_SIZE_MAX];
	(void)c;
	if (channel != e->channel)
		return; /* a late one, of a channel that is gone */
	memcpy(copy, blob.data, blob.size);
	if (peer_input(e->peer, copy, blob.size, sim_now(e->sim).mono_ns, &body) ==
	    PEER_FRAME_DATAGRAM) {
		le32 number;
		assert_int_equal(body.size, sizeof(number) + PEER_ID_SIZE);
		memcpy(&number, body.data, sizeof(number));
		e->wrong +=
			memcmp(body.data + sizeof(number), e->partner->self.id, PEER_ID_SIZE) != 0;
		e->received++;
		if (load_le32(number) > e->last)
			e->last = load_le32(number);
	}
	note_events(e);
}

static void talk(struct end *e)
{
	uint8_t blob[BLOB_SIZE_MAX];
	le32 number = store_le32(++e->sent);
	memcpy(blob + PEER_HEADROOM, &number, sizeof(number));
	memcpy(blob + PEER_HEADROOM + sizeof(number), e->self.id, PEER_ID_SIZE);
	size_t size = peer_seal(e->peer, PEER_FRAME_DATAGRAM, blob, sizeof(number) + PEER_ID_SIZE);
	if (size == 0 || !sim_send(e->client, e->channel, view_of(blob, size)))
		e->sent--;
}

static uint64_t tick(void *state, struct sim_client *c, struct instant now)
{
	struct end *e = state;
	uint8_t blob[BLOB_SIZE_MAX];
	size_t size;
	(void)now;
	uint64_t now_ns = sim_now(e->sim).mono_ns;
	if (e->peer == NULL)
		return NEVER; /* the partner is still being made */
	if (e->channel == 0 && e->open_ns <= now_ns) {
		e->open_ns =
			link_open(c->link, e->partner->self.id) != 0 ? NEVER : now_ns + RETRY_NS;
		sim_wake(c);
	}
	while (e->channel != 0 &&
	       peer_output(e->peer, now_ns, (struct view_out){ blob, sizeof(blob) }, &size))
		if (!sim_send(c, e->channel, view_of(blob, size)))
			break;
	note_events(e);
	if (e->channel != 0 && peer_is_secure(e->peer) && now_ns >= e->talk_ns) {
		talk(e);
		e->talk_ns = now_ns + TALK_NS;
	}
	uint64_t next_ns = e->channel != 0 ? earliest(peer_deadline(e->peer), e->talk_ns) : NEVER;
	if (e->talk_ns < now_ns)
		next_ns = e->channel != 0 ? peer_deadline(e->peer) : NEVER;
	return earliest(next_ns, e->open_ns);
}

static void add_end(struct sim *sim, struct end *e, struct end *partner, bool opens)
{
	const struct sim_app app = {
		.state = e, .event = take_event, .blob = take_blob, .tick = tick
	};
	const struct sim_client_config config = { .app = &app };
	*e = (struct end){ .sim = sim, .partner = partner, .opens = opens, .open_ns = NEVER };
	e->client = sim_add_client(sim, &config);
	e->self.identity = e->client->link_config.hello.identity;
	x25519_generate(&e->self.static_key, sim_random(sim));
	random_fill(sim_random(sim), e->self.instance, sizeof(e->self.instance));
	memcpy(e->self.id, e->client->peer_id, PEER_ID_SIZE);
	snprintf(e->self.name, sizeof(e->self.name), "device %u", e->client->index);
}

static void make_peer(struct end *e)
{
	struct peer_config config = { .self = &e->self,
				      .random = *sim_random(e->sim),
				      .cipher = packet_cipher_best() };
	memcpy(config.remote_id, e->partner->self.id, PEER_ID_SIZE);
	e->peer = peer_create(&config);
	assert_non_null(e->peer);
}

static void add_pair(struct sim *sim, struct pair *p)
{
	add_end(sim, &p->ends[0], &p->ends[1], true);
	add_end(sim, &p->ends[1], &p->ends[0], false);
	make_peer(&p->ends[0]);
	make_peer(&p->ends[1]);
}

static struct pair *pairs;

static void destroy_all(struct sim *sim, size_t count)
{
	sim_destroy(sim);
	for (size_t i = 0; i < count; i++) {
		peer_destroy(pairs[i].ends[0].peer);
		peer_destroy(pairs[i].ends[1].peer);
	}
	free(pairs);
}

/*
 * Goal:   1,000 devices meet in pairs, end to end, and talk, in one process.
 * Method: 500 pairs over paths of 20 ms; each device sends ten packets a second for 10 s.
 */
static void a_thousand_peers_talk(void **state)
{
	struct sim *sim = sim_create(NULL);

	(void)state;
	pairs = calloc(PAIRS_MAX, sizeof(*pairs));
	for (size_t i = 0; i < PAIRS_MAX; i++)
		add_pair(sim, &pairs[i]);
	sim_run(sim, 20 * NS_PER_S);
	for (size_t i = 0; i < 2 * PAIRS_MAX; i++) {
		const struct end *e = &pairs[i / 2].ends[i % 2];
		assert_int_equal(e->secured, 1);
		assert_int_equal(e->refused, 0);
		assert_int_equal(e->wrong, 0);
		assert_in_range(e->received, 100, 200);
		/* All but what is on the way or was sent before the other end was ready. */
		assert_in_range(e->partner->sent - e->received, 0, 3);
	}
	destroy_all(sim, PAIRS_MAX);
}

/*
 * Goal:   30 % loss, a relay restart and a new address: tunnels come back by themselves.
 * Method: ten pairs; each trouble for a while, then quiet; the numbers received must go on.
 */
static void trouble_passes(void **state)
{
	const struct sim_quality bad = { .loss_percent = 30,
					 .copy_percent = 10,
					 .late_percent = 10,
					 .late_ns = NS_PER_S / 2,
					 .delay_ns = 20 * NS_PER_MS };
	const struct sim_quality good = { .delay_ns = 20 * NS_PER_MS };
	enum { COUNT = 10 };
	struct sim *sim = sim_create(NULL);

	(void)state;
	pairs = calloc(COUNT, sizeof(*pairs));
	for (size_t i = 0; i < COUNT; i++)
		add_pair(sim, &pairs[i]);
	sim_set_quality_of_all(sim, &bad);
	sim_run(sim, 60 * NS_PER_S);
	sim_relay_stop(sim);
	sim_run(sim, 5 * NS_PER_S);
	sim_relay_start(sim);
	sim_run(sim, 60 * NS_PER_S);
	for (size_t i = 0; i < COUNT; i++)
		sim_rebind(pairs[i].ends[i % 2].client);
	sim_set_quality_of_all(sim, &good);
	sim_run(sim, 60 * NS_PER_S);
	for (size_t i = 0; i < 2 * COUNT; i++) {
		const struct end *e = &pairs[i / 2].ends[i % 2];
		assert_true(e->secured >= 1);
		assert_int_equal(e->refused, 0);
		assert_int_equal(e->wrong, 0);
		assert_in_range(e->partner->sent - e->last, 0, 3);
		assert_true(e->received <= e->partner->sent); /* none twice */
	}
	destroy_all(sim, COUNT);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_thousand_peers_talk),
	cmocka_unit_test(trouble_passes),
};
CRYPTO_TESTS(TESTS)
