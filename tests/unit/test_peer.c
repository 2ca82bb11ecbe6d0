/* Peers: contacts, keys, sizes and names, on good networks and bad ones. */
#include "tests/support/peers.h"

/* ---- contacts -------------------------------------------------------------------------- */

static void first_contact(void **state)
{
	(void)state;
	for (int initiator = 0; initiator < 2; initiator++) {
		struct peers w;
		peers_init(&w, test_seed());
		assert_false(peer_is_secure(w.peers[0]));
		peers_begin(&w, initiator);
		peers_run_ms(&w, 100);
		peers_assert_mirrored(&w, true);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

static void later_contact(void **state)
{
	(void)state;
	for (int initiator = 0; initiator < 2; initiator++) {
		struct peers w;
		peers_init_friends(&w, test_seed());
		peers_begin(&w, initiator);
		peers_run_ms(&w, 100);
		peers_assert_mirrored(&w, false);
		peers_assert_talk(&w);
		/* New key for the next time; this time's is kept beside it. */
		const struct peer_pin *pin = &peers_last_event(&w, 0)->pin;
		assert_memory_not_equal(pin->psks[0], w.pins[0].psks[0], KEY_SIZE);
		assert_memory_equal(pin->psks[1], w.pins[0].psks[0], KEY_SIZE);
		peers_fini(&w);
	}
}

/* Quiet once they know of each other: nothing more is sent. */
static void falls_silent_when_done(void **state)
{
	struct peers w;

	(void)state;
	for (int round = 0; round < 2; round++) {
		if (round == 0)
			peers_init(&w, test_seed());
		else
			peers_init_friends(&w, test_seed());
		peers_begin(&w, 0);
		peers_run_ms(&w, 1000);
		size_t blobs = w.blobs;
		peers_run_ms(&w, 20000);
		assert_int_equal(w.blobs, blobs);
		assert_true(blobs <= 16);
		peers_fini(&w);
	}
}

/*
 * Goal:   a bad network delays a handshake and does nothing worse.
 * Method: 30 % loss, copies, delays up to 200 ms (many reorderings), both patterns, 60 seeds each;
 *         within 60 s both are secure, once, and what one seals the other opens.
 */
static void survives_bad_networks(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 120; round++) {
		struct peers w;
		if (round % 2 == 0)
			peers_init(&w, test_seed() + round);
		else
			peers_init_friends(&w, test_seed() + round);
		w.weather =
			(struct weather){ .loss = 30, .copies = 20, .delay_ns = 200 * NS_PER_MS };
		peers_begin(&w, (int)(round / 2 % 2));
		for (int ms = 0; ms < 60000; ms += 100) {
			peers_run_ms(&w, 100);
			if (w.event_count[0] > 0 && w.event_count[1] > 0 &&
			    w.peers[0]->call.stage == CALL_IDLE &&
			    w.peers[1]->call.stage == CALL_IDLE)
				break;
		}
		w.weather = (struct weather){ 0 };
		peers_run_ms(&w, 500);
		for (int i = 0; i < 2; i++)
			assert_true(peers_count(&w, i, PEER_EVENT_SECURE) >= 1);
		assert_memory_equal(peers_last_event(&w, 0)->pin.psks[0],
				    peers_last_event(&w, 1)->pin.psks[0], KEY_SIZE);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

static void gives_up_when_nobody_answers(void **state)
{
	struct peers w;

	(void)state;
	peers_init(&w, test_seed());
	w.weather.loss = 100;
	peers_begin(&w, 0);
	peers_run_ms(&w, 30000);
	assert_int_equal(w.event_count[0], 0);
	peers_run_ms(&w, 30000);
	assert_int_equal(w.event_count[0], 1);
	assert_int_equal(peers_last_event(&w, 0)->type, PEER_EVENT_FAILED);
	assert_int_equal(w.blobs, PEER_HANDSHAKE_TRIES);
	assert_int_equal(peer_deadline(w.peers[0]), NEVER);
	/* Another channel, another try. */
	w.weather.loss = 0;
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	assert_true(peer_is_secure(w.peers[0]) && peer_is_secure(w.peers[1]));
	peers_fini(&w);
}

/* The relay names one initiator; should both call all the same, one of the calls goes through. */
static void both_may_call(void **state)
{
	(void)state;
	for (uint64_t round = 0; round < 20; round++) {
		struct peers w;
		if (round % 2 == 0)
			peers_init(&w, test_seed() + round);
		else
			peers_init_friends(&w, test_seed() + round);
		peer_begin(w.peers[0], true, w.now_ns);
		peer_begin(w.peers[1], true, w.now_ns);
		peers_run_ms(&w, 2000);
		peers_assert_mirrored(&w, round % 2 == 0);
		peers_run_ms(&w, 15000);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

/* ---- keys ------------------------------------------------------------------------------ */

/*
 * Goal:   a new handshake costs no packet.
 * Method: packets both ways at every step of a second handshake on a bad network; what is sealed
 *         is opened at once, except by a responder that has not seen the new keys used.
 */
static void old_keys_go_on_meanwhile(void **state)
{
	struct peers w;
	struct blob blob;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	for (int round = 0; round < 3; round++) {
		peers_begin(&w, round % 2);
		for (int i = 0; i < 100; i++) {
			for (int from = 0; from < 2; from++) {
				assert_true(peers_seal(&w, from, PEER_FRAME_SCTP, "x", &blob) > 0);
				assert_int_equal(peers_hear(&w, 1 - from, &blob), PEER_FRAME_SCTP);
			}
			peers_step(&w);
		}
	}
	assert_int_equal(peers_count(&w, 0, PEER_EVENT_SECURE), 4);
	assert_int_equal(peers_count(&w, 1, PEER_EVENT_SECURE), 4);
	peers_fini(&w);
}

/* Packets sealed before the change are opened for a while, then not. */
static void old_keys_end(void **state)
{
	struct blob early, late;
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	assert_true(peers_seal(&w, 0, PEER_FRAME_SCTP, "early", &early) > 0);
	assert_true(peers_seal(&w, 0, PEER_FRAME_SCTP, "late", &late) > 0);
	peers_begin(&w, 0);
	peers_run_ms(&w, 5000);
	assert_int_equal(peers_hear(&w, 1, &early), PEER_FRAME_SCTP);
	peers_run_ms(&w, 10000);
	assert_int_equal(peers_hear(&w, 1, &late), PEER_FRAME_NONE);
	assert_null(w.peers[0]->previous);
	assert_null(w.peers[1]->previous);
	peers_assert_talk(&w);
	peers_fini(&w);
}

static void worn_keys_are_renewed(void **state)
{
	(void)state;
	for (int reason = 0; reason < 5; reason++) {
		struct peers w;
		peers_init_friends(&w, test_seed());
		peers_begin(&w, 1);
		peers_run_ms(&w, 100);
		struct session *s = &w.peers[1]->current->session;
		size_t events = w.event_count[0];
		if (reason == 0)
			add_relaxed(&s->send_counter, EPOCH_PACKETS_SOFT);
		else if (reason == 1)
			store_relaxed(&s->highest_received, EPOCH_PACKETS_SOFT);
		else if (reason == 2)
			store_relaxed(&s->tx_bytes, EPOCH_BYTES_SOFT);
		else if (reason == 3)
			store_relaxed(&s->rx_bytes, EPOCH_BYTES_SOFT);
		else
			w.now_ns += PEER_KEYS_AGE_NS;
		peers_assert_talk(&w);
		peers_run_ms(&w, 200);
		assert_int_equal(w.event_count[0], events + 1);
		assert_int_equal(peers_count(&w, 0, PEER_EVENT_SECURE), 2);
		assert_int_equal(peers_count(&w, 1, PEER_EVENT_SECURE), 2);
		assert_ptr_not_equal(&w.peers[1]->current->session, s);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

/* Nobody answers the renewal: said once a minute, and the old keys go on up to the hard limit. */
static void keys_end_at_the_hard_limit(void **state)
{
	struct peers w;
	struct blob blob;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	w.weather.loss = 100;
	struct session *s = &w.peers[0]->current->session;
	store_relaxed(&s->send_counter, EPOCH_PACKETS_HARD - 1);
	assert_true(peers_seal(&w, 0, PEER_FRAME_SCTP, "last", &blob) > 0);
	assert_int_equal(peers_hear(&w, 1, &blob), PEER_FRAME_SCTP);
	assert_int_equal(peers_seal(&w, 0, PEER_FRAME_SCTP, "more", &blob), 0);
	peers_run_ms(&w, 60000);
	assert_int_equal(peers_count(&w, 0, PEER_EVENT_FAILED), 1);
	w.weather.loss = 0;
	peers_run_ms(&w, 61000);
	assert_int_equal(peers_count(&w, 0, PEER_EVENT_SECURE), 2);
	peers_assert_talk(&w);
	peers_fini(&w);
}

/* ---- sizes, names, numbers ------------------------------------------------------------- */

static void assert_bucket(size_t size)
{
	size_t framed = size + DATA_FRAME_HEAD;

	assert_true(framed % PAD_BUCKET == 0 || framed == PLAIN_SIZE_MAX);
}

static void sizes_tell_little(void **state)
{
	struct peers w;
	struct blob blob;
	size_t seen[PLAIN_SIZE_MAX + 1] = { 0 };

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	for (size_t size = 0; size <= PEER_BODY_MAX; size++) {
		memset(blob.bytes + PEER_HEADROOM, 'x', size);
		blob.size = peer_seal(w.peers[0], PEER_FRAME_SCTP, blob.bytes, size);
		assert_bucket(blob.size);
		struct view body;
		assert_int_equal(peer_input(w.peers[1], blob.bytes, blob.size, w.now_ns, &body),
				 PEER_FRAME_SCTP);
		assert_int_equal(body.size, size);
	}
	assert_int_equal(blob.size, BLOB_SIZE_MAX);
	assert_int_equal(peer_seal(w.peers[0], PEER_FRAME_SCTP, blob.bytes, PEER_BODY_MAX + 1), 0);
	for (int i = 0; i < 200; i++) {
		struct peer_message message = { .noise_size = PEER_NOISE_SIZE_MAX };
		size_t size = peer_message_seal(w.peers[0], WIRE_PEER_1, &message, blob.bytes);
		assert_bucket(size);
		seen[size]++;
	}
	size_t sizes = 0;
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		sizes += seen[i] > 0;
	assert_int_equal(sizes, 6);
	peers_fini(&w);
}

static void names_are_made_safe(void **state)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
		{ "", "" },
		{ "a\x1b[31mb", "a_[31mb" },
		{ "\xe2\x80\xae"
		  "evil",
		  "_evil" },
		{ "caf\xe9", "caf_" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct peers w;
		peers_init(&w, test_seed());
		memset(w.self[0].name, 0, sizeof w.self[0].name);
		memcpy(w.self[0].name, rows[i].name, strlen(rows[i].name));
		peers_begin(&w, 0);
		peers_run_ms(&w, 100);
		assert_string_equal(peers_last_event(&w, 1)->name, rows[i].shown);
		peers_fini(&w);
	}
	struct peers w;
	peers_init(&w, test_seed());
	memset(w.self[0].name, 'n', NAME_SIZE_MAX);
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	assert_int_equal(strlen(peers_last_event(&w, 1)->name), NAME_SIZE_MAX);
	peers_fini(&w);
}

static void strangers_bytes_do_nothing(void **state)
{
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	size_t blobs = w.blobs;
	for (size_t size = 0; size <= BLOB_SIZE_MAX; size++) {
		struct blob blob = { .size = size };
		random_fill(&w.random, blob.bytes, size);
		assert_int_equal(peers_hear(&w, 0, &blob), PEER_FRAME_NONE);
	}
	peers_run_ms(&w, 100);
	assert_int_equal(w.blobs, blobs);
	assert_int_equal(w.event_count[0], 1);
	peers_fini(&w);
}

static void safety_numbers(void **state)
{
	char ab[SAFETY_NUMBER_DIGITS + 1], ba[SAFETY_NUMBER_DIGITS + 1],
		ac[SAFETY_NUMBER_DIGITS + 1];
	uint8_t a[32] = { 1 }, b[32] = { 2 }, c[32] = { 2, [31] = 1 };

	(void)state;
	peer_safety_number(a, b, ab);
	peer_safety_number(b, a, ba);
	peer_safety_number(a, c, ac);
	assert_int_equal(strlen(ab), SAFETY_NUMBER_DIGITS);
	assert_int_equal(strspn(ab, "0123456789"), SAFETY_NUMBER_DIGITS);
	assert_string_equal(ab, ba);
	assert_string_not_equal(ab, ac);
	/* The half that is a's is the same in both, b's and c's have nothing in common. */
	const char *const halves[] = { ab, ab + 30 };
	size_t common = 0;
	for (size_t i = 0; i < 2; i++)
		common += strncmp(halves[i], ac, 30) == 0 || strncmp(halves[i], ac + 30, 30) == 0;
	assert_int_equal(common, 1);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(first_contact),
	cmocka_unit_test(later_contact),
	cmocka_unit_test(falls_silent_when_done),
	cmocka_unit_test(survives_bad_networks),
	cmocka_unit_test(gives_up_when_nobody_answers),
	cmocka_unit_test(both_may_call),
	cmocka_unit_test(old_keys_go_on_meanwhile),
	cmocka_unit_test(old_keys_end),
	cmocka_unit_test(worn_keys_are_renewed),
	cmocka_unit_test(keys_end_at_the_hard_limit),
	cmocka_unit_test(sizes_tell_little),
	cmocka_unit_test(names_are_made_safe),
	cmocka_unit_test(strangers_bytes_do_nothing),
	cmocka_unit_test(safety_numbers),
};

CRYPTO_TESTS(TESTS)
