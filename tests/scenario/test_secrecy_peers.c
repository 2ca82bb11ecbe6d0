/*
 * End to end: what recorded blobs are worth to who steals keys of the two peers, before the theft
 * and after it. As test_secrecy.c, for core/peer.h.
 */
#include "tests/support/peers.h"
#include "tests/support/thief.h"

enum { ROUNDS = 3, BLOBS = 4 };

struct wiretap {
	struct peers peers;
	struct thief_packet packets[THIEF_PACKETS_MAX];
	size_t count;
};

/* Both peers, byte for byte, and what they have on their disks. */
struct peer_loot {
	struct peer peers[2];
	struct peer_self self[2];
	struct peer_pin pins[2];
};

/* One blob, recorded and heard. The thief is told the plain header, which the relay can not see:
 * so it is the keys alone that may be missing. */
static void say(struct wiretap *w, int from, unsigned round)
{
	struct thief_packet *p = &w->packets[w->count++];
	struct blob blob;
	uint8_t shown[WIRE_HEADER_SIZE];

	assert_true(w->count <= THIEF_PACKETS_MAX);
	assert_true(peers_seal(&w->peers, from, PEER_FRAME_SCTP, "hello", &blob) > 0);
	memcpy(shown, blob.bytes, sizeof(shown));
	mask_blocks(w->peers.peers[1 - from]->current->show, shown, 1);
	const struct wire_data_header *header = (const void *)shown;
	p->is_up = from == 0;
	p->epoch = round;
	p->counter = load_le64(header->counter);
	p->size = blob.size;
	memcpy(p->bytes, blob.bytes, blob.size);
	assert_int_equal(peers_hear(&w->peers, 1 - from, &blob), PEER_FRAME_SCTP);
}

static void talk(struct wiretap *w, unsigned round)
{
	for (unsigned i = 0; i < BLOBS; i++) {
		say(w, 0, round);
		say(w, 1, round);
	}
}

static void renew(struct wiretap *w)
{
	size_t before = peers_count(&w->peers, 1, PEER_EVENT_SECURE);
	peers_begin(&w->peers, 0);
	peers_run_ms(&w->peers, 200);
	assert_int_equal(peers_count(&w->peers, 1, PEER_EVENT_SECURE), before + 1);
	peers_save(&w->peers, 0);
	peers_save(&w->peers, 1);
}

static void rob(const struct wiretap *w, struct peer_loot *loot)
{
	for (int i = 0; i < 2; i++) {
		memcpy(&loot->peers[i], w->peers.peers[i], sizeof(struct peer));
		loot->self[i] = w->peers.self[i];
		loot->pins[i] = w->peers.pins[i];
	}
}

static struct thief_take try_all(const struct wiretap *w, const struct peer_loot *loot)
{
	return thief_try(view_of(loot, sizeof(*loot)), w->packets, w->count);
}

/*
 * Goal:   all that both peers hold, in memory and on disk, opens nothing that they said under keys
 *         which have had their 10 s.
 * Method: three handshakes with blobs between; a theft within the 10 s, which opens the round
 *         before, and one after them, which opens the present round alone.
 */
static void the_past_stays_closed(void **state)
{
	static struct wiretap w;
	static struct peer_loot loot;
	(void)state;
	w.count = 0;
	peers_init_friends(&w.peers, test_seed());
	for (unsigned round = 0; round < ROUNDS; round++) {
		renew(&w);
		talk(&w, round);
	}
	rob(&w, &loot);
	struct thief_take take = try_all(&w, &loot);
	assert_int_equal(take.opened[0], 0);
	assert_int_equal(take.opened[1], 2 * BLOBS);
	assert_int_equal(take.opened[2], 2 * BLOBS);

	peers_run_ms(&w.peers, EPOCH_OVERLAP_NS / NS_PER_MS + 1000);
	rob(&w, &loot);
	take = try_all(&w, &loot);
	assert_int_equal(take.opened[0], 0);
	assert_int_equal(take.opened[1], 0);
	assert_int_equal(take.opened[2], 2 * BLOBS);
	peers_fini(&w.peers);
}

/*
 * Goal:   who has copied all of both peers, their identity keys and pins included, and goes on
 *         listening, is shut out by the next handshake.
 */
static void the_next_handshake_shuts_a_listener_out(void **state)
{
	static struct wiretap w;
	static struct peer_loot loot;
	(void)state;
	w.count = 0;
	peers_init_friends(&w.peers, test_seed());
	renew(&w);
	talk(&w, 0);
	rob(&w, &loot);
	renew(&w);
	talk(&w, 1);
	struct thief_take take = try_all(&w, &loot);
	assert_int_equal(take.opened[0], 2 * BLOBS);
	assert_int_equal(take.all[1], 2 * BLOBS);
	assert_int_equal(take.opened[1], 0);
	peers_fini(&w.peers);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(the_past_stays_closed),
	cmocka_unit_test(the_next_handshake_shuts_a_listener_out),
};
CRYPTO_TESTS(TESTS)
