/* Link: doors that the relay tells of. */
#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

/*
 * Goal:   the session moves to the door that the relay has announced, when it begins, and the
 *         link still knows that door when it has to connect anew.
 * Method: a file with one door; PORT_NEXT brings the next one with its key.
 */
static void moves_to_the_next_door_in_time(void **state)
{
	struct link_world *w = link_world_connect(test_seed());
	struct wire_port_next next = { .door = store_le64(1001),
				       .port = store_le16(50001),
				       .seconds_left = store_le32(30),
				       .key = { 5 } };
	struct wire_port_next nowhere = { .door = store_le64(1002) };

	(void)state;
	assert_true(relay_end_put(&w->relay, FRAME_PORT_NEXT, view_of(&next, sizeof next)));
	assert_true(relay_end_put(&w->relay, FRAME_PORT_NEXT, view_of(&nowhere, sizeof nowhere)));
	link_world_run(w, 29 * NS_PER_S);
	assert_int_equal(link_world_status(w).relay.port, 50000);
	assert_int_equal(w->relay.live.sender.count, 0);

	relay_end_set_door(&w->relay, 1001, next.key, 50001);
	link_world_run(w, 2 * NS_PER_S);
	assert_int_equal(link_world_status(w).relay.port, 50001);
	assert_int_equal(link_world_status(w).door, 1001);
	w->relay.pings = 0;
	link_world_run(w, 60 * NS_PER_S);
	assert_in_range(w->relay.pings, 2, 3);
	assert_int_equal(w->relay.hellos, 1);
	assert_int_equal(w->ups, 1);

	w->now.wall_ns += 3600 * NS_PER_S;
	w->now.mono_ns += 3600 * NS_PER_S;
	relay_end_restart(&w->relay);
	assert_true(link_world_run_until_up(w, 2, 10 * NS_PER_S));
	assert_int_equal(link_world_status(w).door, 1001);
	link_world_destroy(w);
}

/* However many doors it is told of, it keeps the latest, and none twice. */
static void keeps_the_latest_doors(void **state)
{
	struct link_world *w = link_world_connect(test_seed());

	(void)state;
	for (unsigned i = 1; i <= 3 * LINK_DOORS_MAX; i++) {
		struct wire_port_next next = { .door = store_le64(1000 + i),
					       .port = store_le16((uint16_t)(50000 + i)),
					       .key = { (uint8_t)i } };
		for (unsigned twice = 0; twice < 2; twice++)
			assert_true(relay_end_put(&w->relay, FRAME_PORT_NEXT,
						  view_of(&next, sizeof next)));
		link_world_run(w, 30 * NS_PER_MS);
		relay_end_set_door(&w->relay, 1000 + i, next.key, (uint16_t)(50000 + i));
		link_world_run(w, 2 * NS_PER_S);
		assert_int_equal(link_world_status(w).door, 1000 + i);
	}
	assert_int_equal(w->ups, 1);
	link_world_destroy(w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(moves_to_the_next_door_in_time),
	cmocka_unit_test(keeps_the_latest_doors),
};

CRYPTO_TESTS(TESTS)
