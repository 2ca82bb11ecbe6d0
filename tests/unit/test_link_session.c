/* Link: the session once it is up: liveness, outages, goodbyes, frames, questions, blobs. */
#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

/* ---- liveness ---------------------------------------------------------------------------- */

static void keeps_the_session_alive(void **state)
{
	static const struct {
		uint16_t keepalive_s; /* as the relay says */
		unsigned least, most; /* PINGs in 1000 s */
	} rows[] = {
		{ 0, 36, 45 }, { 25, 36, 45 }, { 10, 90, 112 }, { 1, 180, 223 }, { 60000, 10, 13 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_create(test_seed());
		w->relay.keepalive_s = rows[i].keepalive_s;
		assert_true(link_world_run_until_up(w, 1, NS_PER_S));
		w->relay.pings = 0;
		link_world_run(w, 1000 * NS_PER_S);
		assert_in_range(w->relay.pings, rows[i].least, rows[i].most);
		assert_int_equal(w->ups, 1);
		link_world_destroy(w);
	}
}

static void blobs_spare_the_keepalive(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	w->relay.pings = 0;
	w->blob_interval_ns = NS_PER_S;
	/* The relay answers no blobs, so one PING each five silent seconds asks if it is there. */
	link_world_run(w, 100 * NS_PER_S);
	assert_in_range(w->relay.blobs, 99, 101);
	assert_in_range(w->relay.pings, 15, 21);
	assert_int_equal(w->relay.hellos, 1);
	link_world_destroy(w);
}

/*
 * Goal:   a relay that was restarted is found out and joined again.
 * Method: it forgets all sessions; once while blobs go out, once idle.
 */
static void reconnects_after_a_restart(void **state)
{
	static const struct {
		uint64_t blob_interval_ns, within_ns;
	} rows[] = {
		{ 100 * NS_PER_MS, 15 * NS_PER_S },
		{ 0, 40 * NS_PER_S }, /* keepalive, and then as above */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_connect(test_seed());
		w->blob_interval_ns = rows[i].blob_interval_ns;
		relay_end_restart(&w->relay);
		assert_true(link_world_run_until_up(w, 2, rows[i].within_ns));
		assert_int_equal(link_world_status(w).handshakes, 2);
		assert_int_equal(w->downs, 0); /* the old session was usable until then */
		link_world_destroy(w);
	}
}

/* Cut for less than the idle time: the session is the same one afterwards. */
static void survives_an_outage(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	w->blob_interval_ns = NS_PER_S;
	w->is_cut = true;
	link_world_run(w, 60 * NS_PER_S);
	assert_int_equal(link_world_status(w).state, LINK_ESTABLISHED);
	assert_true(link_world_status(w).tries > 3);
	w->is_cut = false;
	link_world_run(w, 60 * NS_PER_S);
	assert_int_equal(w->events, 1);
	assert_int_equal(link_world_status(w).handshakes, 1);
	unsigned hellos = w->relay.hellos;
	link_world_run(w, 60 * NS_PER_S);
	assert_int_equal(w->relay.hellos, hellos); /* it does not go on seeking */
	link_world_destroy(w);
}

static void tells_of_a_long_outage(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	w->is_cut = true;
	link_world_run(w, 170 * NS_PER_S);
	assert_int_equal(w->downs, 0);
	link_world_run(w, 20 * NS_PER_S);
	assert_int_equal(w->downs, 1);
	assert_int_equal(w->down.reason, REASON_IDLE);
	assert_int_equal(link_world_status(w).state, LINK_RECONNECTING);
	assert_false(link_world_send_blob(w, 1, 10));
	assert_int_equal(link_open(w->link, w->relay.psk), 0);
	link_world_run(w, 3600 * NS_PER_S);
	assert_int_equal(w->downs, 1);
	w->is_cut = false;
	assert_true(link_world_run_until_up(w, 2, 12 * NS_PER_S));
	link_world_destroy(w);
}

static void checks_at_once_after_sleep_or_a_new_network(void **state)
{
	(void)state;
	for (unsigned is_sleep = 0; is_sleep < 2; is_sleep++) {
		struct link_world *w = link_world_connect(test_seed());
		w->relay.pings = 0;
		if (is_sleep) {
			w->now.mono_ns += 100 * NS_PER_S;
			w->now.wall_ns += 100 * NS_PER_S;
		} else {
			link_network_changed(w->link, w->now);
		}
		link_world_run(w, 50 * NS_PER_MS);
		assert_int_equal(w->relay.pings, 1);
		link_world_run(w, 5 * NS_PER_S);
		assert_int_equal(w->relay.hellos, 1);
		link_world_destroy(w);
	}
}

/* Only WELCOMEs pass, the session's packets never: it must not believe itself connected. */
static void is_not_up_before_the_first_packet(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	while (w->relay.welcomes == 0)
		link_world_run(w, 5 * NS_PER_MS);
	relay_end_restart(&w->relay);
	link_world_run(w, 2 * NS_PER_S);
	assert_int_equal(w->events, 0);
	assert_int_equal(link_world_status(w).state, LINK_CONNECTING);
	assert_false(link_world_send_blob(w, 1, 10));
	assert_true(link_world_run_until_up(w, 1, 8 * NS_PER_S));
	assert_int_equal(w->downs, 0);
	link_world_destroy(w);
}

/* ---- goodbyes ---------------------------------------------------------------------------- */

static void takes_a_goodbye(void **state)
{
	static const struct {
		enum wire_reason reason;
		bool is_final;
		uint64_t least_ns, most_ns; /* until it is up again */
	} rows[] = {
		{ REASON_STOPPING, false, NS_PER_S, 3 * NS_PER_S },
		{ REASON_IDLE, false, NS_PER_S, 3 * NS_PER_S },
		{ REASON_KEY_LIMIT, false, NS_PER_S, 3 * NS_PER_S },
		{ 77, false, NS_PER_S, 3 * NS_PER_S },
		{ REASON_SUPERSEDED, false, 30 * NS_PER_S, 37 * NS_PER_S },
		{ REASON_REVOKED, true, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_connect(test_seed());
		struct wire_goodbye body = { .reason = store_le32(rows[i].reason) };
		assert_true(relay_end_put(&w->relay, FRAME_GOODBYE, view_of(&body, sizeof body)));
		uint64_t then_ns = w->now.mono_ns;
		link_world_run(w, 200 * NS_PER_MS);
		assert_int_equal(w->relay.live.sender.count, 0); /* acknowledged */
		assert_int_equal(w->downs, !rows[i].is_final);
		assert_int_equal(w->refusals, rows[i].is_final);
		assert_int_equal(rows[i].is_final ? STATUS_REVOKED : (int)rows[i].reason,
				 rows[i].is_final ? w->down.status : (int)w->down.reason);
		assert_false(link_world_send_blob(w, 1, 10));
		assert_int_equal(link_world_run_until_up(w, 2, 60 * NS_PER_S), !rows[i].is_final);
		if (!rows[i].is_final)
			assert_in_range(w->up_ns - then_ns, rows[i].least_ns, rows[i].most_ns);
		assert_int_equal(w->relay.hellos, rows[i].is_final ? 1 : 2);
		link_world_destroy(w);
	}
}

static void a_new_network_ends_the_truce(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	struct wire_goodbye body = { .reason = store_le32(REASON_SUPERSEDED) };

	(void)state;
	assert_true(relay_end_put(&w->relay, FRAME_GOODBYE, view_of(&body, sizeof body)));
	link_world_run(w, NS_PER_S);
	link_network_changed(w->link, w->now);
	assert_true(link_world_run_until_up(w, 2, NS_PER_S));
	link_world_destroy(w);
}

static void says_goodbye(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint8_t peer[PEER_ID_SIZE] = { 3 };

	(void)state;
	assert_true(link_open(w->link, peer) != 0);
	link_stop(w->link);
	link_world_run(w, NS_PER_S);
	assert_int_equal(w->relay.log_count, 2);
	assert_int_equal(w->relay.log[0].type, FRAME_OPEN);
	assert_int_equal(w->relay.log[1].type, FRAME_GOODBYE);
	assert_int_equal(w->relay.log[1].body[0], REASON_DONE);
	assert_int_equal(link_world_status(w).state, LINK_STOPPED);
	assert_int_equal(link_deadline(w->link), NEVER);
	unsigned sent = w->sent;
	link_network_changed(w->link, w->now);
	link_world_run(w, 600 * NS_PER_S);
	assert_int_equal(w->sent, sent);
	link_world_destroy(w);
}

/* Not yet connected: there is nobody to say it to. */
static void stops_in_silence(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	w->is_cut = true;
	link_world_run(w, NS_PER_S);
	unsigned sent = w->sent;
	link_stop(w->link);
	link_world_run(w, 100 * NS_PER_S);
	assert_int_equal(w->sent, sent);
	link_world_destroy(w);
}

/* ---- frames ------------------------------------------------------------------------------ */

/* Opens, accepts, refuses and closes, over a path that loses a third: each once, in order. */
static void requests_arrive_once_and_in_order(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint8_t peer[PEER_ID_SIZE] = { 0 };
	unsigned put = 0;

	(void)state;
	w->loss_percent = 33;
	while (w->relay.log_count < 100) {
		bool is_taken = true;
		if (put % 4 == 0)
			is_taken = link_open(w->link, peer) != 0;
		else if (put % 4 == 1)
			is_taken = link_accept(w->link, put);
		else if (put % 4 == 2)
			is_taken = link_refuse(w->link, put, REASON_REFUSED);
		else
			is_taken = link_close(w->link, put);
		put += is_taken;
		link_world_run(w, 5 * NS_PER_MS);
		assert_int_equal(w->ups, 1);
	}
	static const enum frame_type types[] = { FRAME_OPEN, FRAME_ACCEPT, FRAME_REFUSE,
						 FRAME_CLOSE };
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(w->relay.log[i].type, types[i % 4]);
		if (i % 4 != 0)
			assert_int_equal(w->relay.log[i].body[0], i);
	}
	link_world_destroy(w);
}

static void tells_of_channels(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	struct wire_offer offer = { .channel = store_le32(11), .peer = { 1, 2, 3 } };
	struct wire_opened opened = { .request = store_le32(21),
				      .channel = store_le32(22),
				      .peer = { 4, 5, 6 },
				      .is_initiator = 1 };
	struct wire_open_failed failed = { .request = store_le32(31),
					   .reason = store_le32(REASON_ABSENT) };
	struct wire_channel_reason gone = { .channel = store_le32(41),
					    .reason = store_le32(REASON_CLOSED) };

	(void)state;
	assert_true(relay_end_put(&w->relay, FRAME_OFFER, view_of(&offer, sizeof offer)));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->last.type, LINK_EVENT_OFFER);
	assert_int_equal(w->last.channel, 11);
	assert_memory_equal(w->last.peer, offer.peer, PEER_ID_SIZE);
	assert_true(relay_end_put(&w->relay, FRAME_OPENED, view_of(&opened, sizeof opened)));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->last.type, LINK_EVENT_OPENED);
	assert_int_equal(w->last.request, 21);
	assert_int_equal(w->last.channel, 22);
	assert_true(w->last.is_initiator);
	assert_true(relay_end_put(&w->relay, FRAME_OPEN_FAILED, view_of(&failed, sizeof failed)));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->last.type, LINK_EVENT_OPEN_FAILED);
	assert_int_equal(w->last.request, 31);
	assert_int_equal(w->last.reason, REASON_ABSENT);
	assert_true(relay_end_put(&w->relay, FRAME_GONE, view_of(&gone, sizeof gone)));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->last.type, LINK_EVENT_GONE);
	assert_int_equal(w->last.channel, 41);
	assert_int_equal(w->last.reason, REASON_CLOSED);

	/* Of a later version: acknowledged, and nothing else. */
	assert_true(relay_end_put(&w->relay, 40, VIEW_STRING("whatever")));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->relay.live.sender.count, 0);
	assert_int_equal(w->events, 5);
	link_world_destroy(w);
}

static uint32_t offers_seen;

static void expect_next_offer(struct link_world *w, const struct link_event *event)
{
	(void)w;
	if (event->type == LINK_EVENT_OFFER)
		assert_int_equal(event->channel, offers_seen++);
}

/* An application that reads no events for a while loses none, and gets none twice. */
static void a_full_event_queue_loses_nothing(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint32_t put = 0;

	(void)state;
	offers_seen = 0;
	w->on_event = expect_next_offer;
	w->leaves_events = true;
	for (unsigned i = 0; i < 400; i++) {
		struct wire_offer offer = { .channel = store_le32(put) };
		if (put < LINK_EVENTS_MAX + 10 &&
		    relay_end_put(&w->relay, FRAME_OFFER, view_of(&offer, sizeof offer)))
			put++;
		link_world_run(w, 10 * NS_PER_MS);
	}
	assert_int_equal(put, LINK_EVENTS_MAX + 10);
	assert_int_equal(w->relay.live.sender.count, 10);
	w->leaves_events = false;
	link_world_run(w, 10 * NS_PER_S);
	assert_int_equal(offers_seen, put);
	assert_int_equal(w->relay.live.sender.count, 0);
	link_world_destroy(w);
}

/* The offers of a session that is gone do not come after the news that it is gone. */
static void state_events_push_out_stale_ones(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	struct wire_offer offer = { .channel = store_le32(1) };
	struct wire_goodbye goodbye = { .reason = store_le32(REASON_STOPPING) };

	(void)state;
	w->leaves_events = true;
	for (unsigned i = 0; i < 5; i++)
		assert_true(relay_end_put(&w->relay, FRAME_OFFER, view_of(&offer, sizeof offer)));
	assert_true(relay_end_put(&w->relay, FRAME_GOODBYE, view_of(&goodbye, sizeof goodbye)));
	link_world_run(w, NS_PER_S / 10);
	w->leaves_events = false;
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->downs, 1);
	assert_int_equal(w->events, 2);
	link_world_destroy(w);
}

static void answers_a_path_challenge_no_longer_than_it(void **state)
{
	static const size_t sizes[] = { FRAME_HEAD + 8, 20, 127, 128, 500, PLAIN_SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct link_world *w = link_world_connect(test_seed());
		uint8_t plain[PLAIN_SIZE_MAX] = { 0 };
		struct frame_writer writer = { .data = plain, .capacity = sizeof plain };
		assert_true(frame_put(&writer, FRAME_PATH_CHALLENGE, VIEW_STRING("a token.")));
		relay_end_send_plain(&w->relay, view_of(plain, sizes[i]));
		uint8_t out[DATAGRAM_SIZE_MAX];
		struct packet packet = { 0 };
		for (size_t f = 0; f < LINK_WORLD_FLIGHTS; f++)
			if (w->flights[f].is_used && !w->flights[f].is_to_relay)
				link_world_inject(w, w->flights[f].data, w->flights[f].size);
		assert_int_equal(link_deadline(w->link), 0);
		assert_true(link_output(w->link, w->now,
					(struct view_out){ .data = out, .capacity = sizeof out },
					&packet));
		assert_true(packet.size <= sizes[i] + WIRE_OVERHEAD);
		link_world_destroy(w);
	}
}

static void the_path_response_carries_the_token(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	relay_end_send_frame(&w->relay, FRAME_PATH_CHALLENGE, VIEW_STRING("token 1."));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->relay.path_responses, 1);
	assert_memory_equal(w->relay.path_response.token, "token 1.", 8);
	link_world_destroy(w);
}

/* ---- questions --------------------------------------------------------------------------- */

static void asks_until_answered(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint8_t zeros[PEER_ID_SIZE] = { 0 };

	(void)state;
	uint32_t request = link_ask_peers(w->link, zeros);
	link_world_run(w, 10 * NS_PER_S);
	assert_int_equal(w->last.type, LINK_EVENT_PEERS);
	assert_int_equal(w->last.request, request);
	assert_int_equal(w->last.count, 2);
	assert_int_equal(w->last.peers[1].peer[0], 'p');
	assert_int_equal(w->relay.questions, 1);
	assert_int_equal(w->events, 2);

	w->loss_percent = 40;
	uint32_t found = link_find(w->link, zeros);
	assert_true(found != 0 && found != request);
	link_world_run(w, 60 * NS_PER_S);
	w->loss_percent = 0;
	assert_int_equal(w->last.type, LINK_EVENT_FOUND);
	assert_int_equal(w->last.request, found);
	assert_int_equal(w->events, 3); /* once, however often it was asked */
	link_world_destroy(w);
}

static void stops_asking_after_some_time(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint8_t zeros[PEER_ID_SIZE] = { 0 };

	(void)state;
	w->relay.ignores_questions = true;
	for (unsigned i = 0; i < LINK_QUESTIONS_MAX; i++)
		assert_true(link_find(w->link, zeros) != 0);
	assert_int_equal(link_ask_peers(w->link, zeros), 0);
	link_world_run(w, 60 * NS_PER_S);
	assert_int_equal(w->relay.questions, LINK_QUESTIONS_MAX * 5);
	assert_int_equal(w->events, 1 + LINK_QUESTIONS_MAX);
	assert_int_equal(w->last.type, LINK_EVENT_FOUND);
	assert_int_equal(w->last.count, 0);
	assert_true(link_ask_peers(w->link, zeros) != 0);
	link_world_destroy(w);
}

static void questions_outlive_the_session(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	uint8_t zeros[PEER_ID_SIZE] = { 0 };

	(void)state;
	relay_end_restart(&w->relay);
	assert_true(link_ask_peers(w->link, zeros) != 0);
	assert_true(link_world_run_until_up(w, 2, 15 * NS_PER_S));
	link_world_run(w, NS_PER_S);
	assert_int_equal(w->last.type, LINK_EVENT_PEERS);
	assert_int_equal(w->last.count, 2);
	link_world_destroy(w);
}

/* ---- blobs ------------------------------------------------------------------------------- */

static void carries_blobs_of_every_size(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	for (size_t size = 0; size <= BLOB_SIZE_MAX; size += size < 140 ? 1 : 83)
		assert_true(link_world_send_blob(w, 0xffffff, size));
	assert_true(link_world_send_blob(w, 1, BLOB_SIZE_MAX));
	unsigned sent = w->sent;
	assert_false(link_world_send_blob(w, 1, BLOB_SIZE_MAX + 1));
	link_world_run(w, NS_PER_S / 10);
	assert_true(w->relay.blobs > 140);
	assert_int_equal(w->sent, sent);

	static const uint8_t blob[BLOB_SIZE_MAX];
	relay_end_send_blob(&w->relay, 9, view_of(blob, BLOB_SIZE_MAX));
	relay_end_send_blob(&w->relay, 9, view_of(blob, 0));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->blobs, 2);

	/* Cut heads, and a size beyond the packet. */
	relay_end_send_plain(&w->relay, VIEW_STRING("\x01\x01\x00\x00\x00"));
	relay_end_send_plain(&w->relay, VIEW_STRING("\x01\x01\x00\x00\x02\x00x"));
	relay_end_send_plain(&w->relay, view_of(blob, 0));
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(w->blobs, 2);
	link_world_destroy(w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(keeps_the_session_alive),
	cmocka_unit_test(blobs_spare_the_keepalive),
	cmocka_unit_test(reconnects_after_a_restart),
	cmocka_unit_test(survives_an_outage),
	cmocka_unit_test(tells_of_a_long_outage),
	cmocka_unit_test(checks_at_once_after_sleep_or_a_new_network),
	cmocka_unit_test(is_not_up_before_the_first_packet),
	cmocka_unit_test(takes_a_goodbye),
	cmocka_unit_test(a_new_network_ends_the_truce),
	cmocka_unit_test(says_goodbye),
	cmocka_unit_test(stops_in_silence),
	cmocka_unit_test(requests_arrive_once_and_in_order),
	cmocka_unit_test(tells_of_channels),
	cmocka_unit_test(a_full_event_queue_loses_nothing),
	cmocka_unit_test(state_events_push_out_stale_ones),
	cmocka_unit_test(answers_a_path_challenge_no_longer_than_it),
	cmocka_unit_test(the_path_response_carries_the_token),
	cmocka_unit_test(asks_until_answered),
	cmocka_unit_test(stops_asking_after_some_time),
	cmocka_unit_test(questions_outlive_the_session),
	cmocka_unit_test(carries_blobs_of_every_size),
};

CRYPTO_TESTS(TESTS)
