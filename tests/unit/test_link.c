/* Link: from the first HELLO to the session; refusals; where HELLOs go. */
#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

static const uint64_t TEN_MINUTES_NS = 600 * NS_PER_S;

static void connects(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	w->relay.clock_offset_ns = 3 * (int64_t)NS_PER_S;
	assert_int_equal(link_deadline(link_world_link(w)), w->now.mono_ns);
	assert_int_equal(link_world_status(w).state, LINK_CONNECTING);
	assert_true(link_world_run_until_up(w, 1, NS_PER_S));
	link_world_run(w, NS_PER_S);

	struct link_status s = link_world_status(w);
	assert_int_equal(s.state, LINK_ESTABLISHED);
	assert_int_equal(s.handshakes, 1);
	assert_int_equal(s.tries, 0);
	assert_int_equal(s.door, w->relay.door);
	assert_int_equal(s.relay.port, w->relay.port);
	assert_int_equal(s.observed.port, 40008);
	assert_int_equal(s.next_rotation_ns, w->config.doors[0].until_ns);
	assert_in_range(s.rtt_ns, 40 * NS_PER_MS, 60 * NS_PER_MS);
	assert_in_range(s.clock_offset_ns, 2990 * NS_PER_MS, 3010 * NS_PER_MS);
	assert_int_equal(w->relay.hellos, 1);
	assert_int_equal(w->ups, 1);
	assert_int_equal(w->downs, 0);
	/* Nothing is due until the next keepalive. */
	assert_true(link_deadline(w->link) > w->now.mono_ns + 15 * NS_PER_S);
	link_world_destroy(w);
}

/*
 * Goal:   a path that loses half of all datagrams only delays the connection.
 * Method: twenty seeds; each is connected within a minute.
 */
static void connects_through_loss(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		struct link_world *w = link_world_create(test_seed() + i);
		w->loss_percent = 50;
		assert_true(link_world_run_until_up(w, 1, 60 * NS_PER_S));
		link_world_destroy(w);
	}
}

static void backs_off_while_nobody_answers(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	w->is_cut = true;
	link_world_run(w, 60 * NS_PER_S);
	/* 0, 0.5, 1.5, 3.5, 7.5, 15.5, ... with up to a fifth more. */
	assert_in_range(w->sent, 9, 12);
	assert_int_equal(link_world_status(w).tries, w->sent);
	link_world_run(w, 3600 * NS_PER_S);
	assert_in_range(w->sent, 3600 / 10, 3600 / 8 + 12);
	assert_int_equal(w->events, 0);
	w->is_cut = false;
	assert_true(link_world_run_until_up(w, 1, 11 * NS_PER_S));
	link_world_destroy(w);
}

/* An answer to any of the latest three HELLOs is taken. */
static void takes_a_late_answer(void **state)
{
	static struct link_flight late;
	for (unsigned later = 0; later <= 3; later++) {
		struct link_world *w = link_world_create(test_seed());
		link_world_run(w, 25 * NS_PER_MS);
		assert_int_equal(w->relay.welcomes, 1);
		for (size_t i = 0; i < LINK_WORLD_FLIGHTS; i++) {
			if (w->flights[i].is_used)
				late = w->flights[i];
			w->flights[i].is_used = false;
		}
		w->is_cut = true;
		while (w->sent < 1 + later)
			link_world_run(w, 5 * NS_PER_MS);
		w->is_cut = false;
		link_world_inject(w, late.data, late.size);
		assert_int_equal(link_world_run_until_up(w, 1, 200 * NS_PER_MS), later < 3);
		link_world_destroy(w);
	}
	(void)state;
}

static void answers_a_cookie(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	w->relay.wants_cookie = true;
	assert_true(link_world_run_until_up(w, 1, 200 * NS_PER_MS)); /* at once */
	assert_int_equal(w->relay.hellos, 2);
	assert_int_equal(w->relay.cookies, 1);
	link_world_destroy(w);
}

/*
 * Goal:   cookies cannot be used to make a client send without end, nor one meant for another.
 * Method: a relay that is never content; then copies of a cookie, and one with a wrong tag.
 */
static void bounds_what_cookies_cause(void **state)
{
	struct link_world *w = link_world_create(test_seed());
	struct wire_cookie wrong = { .cookie = { 1 } };

	(void)state;
	w->relay.is_never_content = true;
	link_world_run(w, 10 * NS_PER_S);
	assert_in_range(w->relay.hellos, 5, 5 * 4); /* regular ones, and three each at once */

	w->is_cut = true;
	unsigned sent = w->sent;
	for (unsigned i = 0; i < 50; i++)
		relay_end_send_handshake(&w->relay, WIRE_COOKIE, view_of(&wrong, sizeof wrong));
	link_world_run(w, NS_PER_S);
	assert_in_range(w->sent, sent, sent + 1);
	link_world_destroy(w);
}

static void ignores_copies_of_a_cookie(void **state)
{
	struct link_world *w = link_world_create(test_seed());
	static struct link_flight cookie;

	(void)state;
	w->relay.wants_cookie = true;
	link_world_run(w, 25 * NS_PER_MS);
	assert_int_equal(w->relay.cookies, 1);
	for (size_t i = 0; i < LINK_WORLD_FLIGHTS; i++)
		if (w->flights[i].is_used)
			cookie = w->flights[i];
	w->is_cut = true;
	for (unsigned i = 0; i < 20; i++) {
		link_world_inject(w, cookie.data, cookie.size);
		link_world_run(w, 5 * NS_PER_MS);
	}
	assert_int_equal(w->sent, 2);
	link_world_destroy(w);
}

static void learns_the_time(void **state)
{
	static const int64_t offsets_s[] = { 600, -600, 119, 121, -86400 * 365, 86400 * 365 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(offsets_s); i++) {
		struct link_world *w = link_world_create(test_seed());
		int64_t offset_ns = offsets_s[i] * (int64_t)NS_PER_S;
		/* Ours is the clock that is wrong. */
		w->now.wall_ns -= (uint64_t)offset_ns;
		w->relay.clock_offset_ns = offset_ns;
		assert_true(link_world_run_until_up(w, 1, 200 * NS_PER_MS));
		assert_in_range(w->relay.hellos, 1, 2);
		link_world_run(w, NS_PER_S);
		int64_t error_ns = link_world_status(w).clock_offset_ns - offset_ns;
		assert_true(error_ns > -10 * (int64_t)NS_PER_MS);
		assert_true(error_ns < 10 * (int64_t)NS_PER_MS);
		link_world_destroy(w);
	}
}

/* Once the relay's time is known, a step of our own wall clock does not matter. */
static void does_not_mind_a_clock_step(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	assert_true(link_world_run_until_up(w, 1, NS_PER_S));
	w->now.wall_ns -= TEN_MINUTES_NS;
	w->relay.clock_offset_ns += (int64_t)TEN_MINUTES_NS;
	relay_end_restart(&w->relay);
	link_network_changed(w->link, w->now);
	assert_true(link_world_run_until_up(w, 2, 15 * NS_PER_S));
	assert_int_equal(w->relay.welcomes, 2);
	link_world_destroy(w);
}

static void is_patient_with_a_relay_that_is_always_off(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	w->relay.is_always_off = true;
	link_world_run(w, 60 * NS_PER_S);
	assert_in_range(w->relay.hellos, 9, 14);
	assert_int_equal(w->events, 0);
	w->relay.is_always_off = false;
	assert_true(link_world_run_until_up(w, 1, 11 * NS_PER_S));
	link_world_destroy(w);
}

static void gives_up_only_where_trying_is_no_use(void **state)
{
	static const struct {
		uint8_t status;
		bool is_final;
	} rows[] = {
		{ STATUS_EXPIRED, true }, { STATUS_SPENT, true },     { STATUS_REVOKED, true },
		{ STATUS_FULL, false },   { STATUS_DRAINING, false }, { 99, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_create(test_seed());
		w->relay.status = rows[i].status;
		link_world_run(w, 60 * NS_PER_S);
		assert_int_equal(w->refusals, rows[i].is_final ? 1 : 0);
		assert_int_equal(link_world_status(w).state,
				 rows[i].is_final ? LINK_REFUSED : LINK_CONNECTING);
		if (rows[i].is_final) {
			assert_int_equal(w->down.status, rows[i].status);
			assert_int_equal(w->relay.hellos, 1);
			assert_int_equal(link_deadline(w->link), NEVER);
		} else {
			assert_in_range(w->relay.hellos, 5, 7); /* slowly */
		}
		w->relay.status = STATUS_OK;
		assert_int_equal(link_world_run_until_up(w, 1, 13 * NS_PER_S), !rows[i].is_final);
		link_world_destroy(w);
	}
}

/* ---- where HELLOs go --------------------------------------------------------------------- */

static void takes_turns_with_the_addresses(void **state)
{
	struct link_world *w = link_world_create(test_seed());

	(void)state;
	assert_true(address_parse("2001:db8::1", &w->config.addresses[1]));
	w->relay.hears_v4 = false;
	assert_true(link_world_run_until_up(w, 1, NS_PER_S));
	assert_true(w->hello_count >= 2);
	for (unsigned i = 0; i < w->hello_count; i++)
		assert_int_equal(address_is_v4(&w->hello_to[i]), i % 2 == 0);
	struct address relay = link_world_status(w).relay;
	assert_false(address_is_v4(&relay));

	/* The family that worked fails: the other is found. */
	w->relay.hears_v4 = true;
	w->relay.hears_v6 = false;
	link_network_changed(w->link, w->now);
	assert_true(link_world_run_until_up(w, 2, 20 * NS_PER_S));
	relay = link_world_status(w).relay;
	assert_true(address_is_v4(&relay));
	link_world_destroy(w);
}

static void needs_one_address_and_one_door(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct link_world *w = link_world_create(test_seed());
		if (i == 0)
			memset(w->config.addresses, 0, sizeof w->config.addresses);
		else
			w->config.door_count = 0;
		link_world_run(w, 60 * NS_PER_S);
		assert_int_equal(w->sent, 0);
		assert_int_equal(w->events, 0);
		link_world_destroy(w);
	}
}

/* Three doors of an hour each, of which the relay listens at one; ours may be the wrong clock. */
static void finds_the_door_of_a_file(void **state)
{
	static const struct {
		int64_t now_s; /* by our clock, from the begin of the second door */
		unsigned door; /* that the relay listens at */
		uint64_t within_s;
	} rows[] = {
		{ 10, 1, 1 },                        /* the present one */
		{ 10, 0, 2 },                        /* in grace: second try */
		{ 3500, 2, 2 },                      /* announced: second try */
		{ 1800, 0, 90 },                     /* out of all windows: in time */
		{ 1800, 2, 90 },   { 90000, 0, 20 }, /* our clock is a day off: none is likelier */
		{ -90000, 2, 20 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_create(test_seed());
		uint64_t base_ns = w->config.doors[0].from_ns;
		w->now.wall_ns = base_ns + (uint64_t)(rows[i].now_s * (int64_t)NS_PER_S);
		w->config.door_count = 3;
		for (unsigned d = 0; d < 3; d++) {
			struct link_door *door = &w->config.doors[d];
			door->generation = 1000 + d;
			door->port = (uint16_t)(50000 + d);
			door->from_ns = base_ns + 3600 * NS_PER_S * d - 3600 * NS_PER_S;
			door->until_ns = door->from_ns + 3600 * NS_PER_S;
			memset(door->key, (int)d + 1, KEY_SIZE);
		}
		const struct link_door *door = &w->config.doors[rows[i].door];
		relay_end_set_door(&w->relay, door->generation, door->key, door->port);
		if (!link_world_run_until_up(w, 1, rows[i].within_s * NS_PER_S))
			fail_msg("row %zu", i);
		assert_int_equal(link_world_status(w).door, door->generation);
		link_world_destroy(w);
	}
}

static void finds_the_door_of_the_schedule(void **state)
{
	static const struct {
		int64_t offset_s; /* of our clock from the begin of the generation */
		int generation;   /* that the relay listens at, from the one of our clock */
		unsigned draw;
		uint64_t within_s;
	} rows[] = {
		{ 1800, 0, 0, 1 },  { 1800, 0, 1, 3 },  { 1800, 0, 2, 60 },
		{ 100, -1, 0, 2 },  { 3550, 1, 0, 2 },  { 1000, -1, 0, 90 },
		{ 2600, 1, 0, 90 }, { 1000, 1, 0, 90 }, { 2600, -1, 0, 90 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct link_world *w = link_world_create(test_seed());
		struct schedule *schedule = &w->config.schedule;
		w->config.has_schedule = true;
		w->config.door_count = 0;
		*schedule = (struct schedule){ .secret = { 9 },
					       .interval_s = PORT_INTERVAL_S,
					       .port_first = PORT_FIRST_DEFAULT,
					       .port_last = PORT_LAST_DEFAULT };
		w->now.wall_ns = (1000 * 3600 + (uint64_t)rows[i].offset_s) * NS_PER_S;
		uint64_t generation = 1000 + (uint64_t)rows[i].generation;
		uint8_t key[KEY_SIZE];
		schedule_door_key(schedule, generation, key);
		uint16_t port = schedule_port(schedule, generation, rows[i].draw);
		relay_end_set_door(&w->relay, generation, key, port);
		if (!link_world_run_until_up(w, 1, rows[i].within_s * NS_PER_S))
			fail_msg("row %zu", i);
		assert_int_equal(link_world_status(w).door, generation);
		assert_int_equal(link_world_status(w).next_rotation_ns, 1001 * 3600 * NS_PER_S);
		link_world_destroy(w);
	}
}

/* ---- strangers --------------------------------------------------------------------------- */

static unsigned output_count(struct link_world *w)
{
	uint8_t data[DATAGRAM_SIZE_MAX];
	struct packet packet;
	unsigned count = 0;
	struct view_out out = { .data = data, .capacity = sizeof data };
	while (link_output(w->link, w->now, out, &packet))
		count++;
	return count;
}

/*
 * Goal:   bytes of strangers change nothing and get no answer, in any state.
 * Method: random datagrams of every size before and after the session is up; then true packets
 *         with one bit turned, and copies of true ones.
 */
static void ignores_garbage(void **state)
{
	struct link_world *w = link_world_create(test_seed());
	uint8_t bytes[1500];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		link_world_link(w);
		(void)output_count(w);
		unsigned events = w->events;
		for (size_t size = 0; size <= sizeof bytes; size++) {
			random_fill(&w->random, bytes, size);
			link_world_inject(w, bytes, size);
			assert_int_equal(output_count(w), 0);
		}
		assert_int_equal(w->events, events);
		assert_true(link_world_run_until_up(w, 1, 10 * NS_PER_S));
		link_world_run(w, NS_PER_S);
	}

	static struct link_flight pong;
	struct wire_pong body = { .token = store_le64(1) };
	relay_end_send_frame(&w->relay, FRAME_PONG, view_of(&body, sizeof body));
	for (size_t i = 0; i < LINK_WORLD_FLIGHTS; i++)
		if (w->flights[i].is_used)
			pong = w->flights[i];
	uint64_t deadline_ns = link_deadline(w->link);
	for (size_t bit = 0; bit < pong.size * 8; bit++) {
		memcpy(bytes, pong.data, pong.size);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		link_world_inject(w, bytes, pong.size);
	}
	assert_int_equal(link_deadline(w->link), deadline_ns);
	assert_int_equal(w->ups, 1);
	link_world_destroy(w);
}

/* A WELCOME that opens under the door key, but is nobody's answer: it does not end the waiting. */
static void waits_on_after_a_forged_welcome(void **state)
{
	struct link_world *w = link_world_create(test_seed());
	uint8_t plain[300] = { 0 };
	struct wire_welcome head = { .noise_size = store_le16(WELCOME_NOISE_SIZE) };

	(void)state;
	random_fill(&w->random, plain + sizeof head, WELCOME_NOISE_SIZE);
	memcpy(plain, &head, sizeof head);
	link_world_run(w, 5 * NS_PER_MS);
	for (size_t size = 0; size <= sizeof plain; size += 25)
		relay_end_send_handshake(&w->relay, WIRE_WELCOME, view_of(plain, size));
	for (size_t size = 0; size < sizeof(struct wire_cookie); size++)
		relay_end_send_handshake(&w->relay, WIRE_COOKIE, view_of(plain, size));
	assert_true(link_world_run_until_up(w, 1, 200 * NS_PER_MS));
	assert_int_equal(w->relay.hellos, 1);
	link_world_destroy(w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(connects),
	cmocka_unit_test(connects_through_loss),
	cmocka_unit_test(backs_off_while_nobody_answers),
	cmocka_unit_test(takes_a_late_answer),
	cmocka_unit_test(answers_a_cookie),
	cmocka_unit_test(bounds_what_cookies_cause),
	cmocka_unit_test(ignores_copies_of_a_cookie),
	cmocka_unit_test(learns_the_time),
	cmocka_unit_test(does_not_mind_a_clock_step),
	cmocka_unit_test(is_patient_with_a_relay_that_is_always_off),
	cmocka_unit_test(gives_up_only_where_trying_is_no_use),
	cmocka_unit_test(takes_turns_with_the_addresses),
	cmocka_unit_test(needs_one_address_and_one_door),
	cmocka_unit_test(finds_the_door_of_a_file),
	cmocka_unit_test(finds_the_door_of_the_schedule),
	cmocka_unit_test(ignores_garbage),
	cmocka_unit_test(waits_on_after_a_forged_welcome),
};

CRYPTO_TESTS(TESTS)
