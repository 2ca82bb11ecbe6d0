/* Link: enrolment against a relay that says what the test likes. */
#include "tests/support/link_world.h"

#include "tests/support/crypto.h"

static const struct wire_schedule SCHEDULE = {
	.secret = { 7 },
	.interval_s = { { 0x10, 0x0e } }, /* 3600 */
	.port_first = { { 0x00, 0xc0 } },
	.port_last = { { 0xff, 0xff } },
};

static struct link_world *connected(void)
{
	struct link_world *w = link_world_create(test_seed());
	assert_true(link_world_run_until_up(w, 1, 10 * NS_PER_S));
	link_world_run(w, NS_PER_S / 10);
	return w;
}

static void put(struct link_world *w, enum frame_type type, const void *body, size_t size)
{
	assert_true(relay_end_put(&w->relay, type, view_of(body, size)));
	link_world_run(w, NS_PER_S / 10);
}

static unsigned confirmations(const struct link_world *w)
{
	unsigned count = 0;
	for (unsigned i = 0; i < w->relay.log_count; i++)
		count += w->relay.log[i].type == FRAME_ENROL_CONFIRM;
	return count;
}

static void done(struct link_world *w, const uint8_t *device_public)
{
	struct wire_enrol_done body;
	device_id_of(device_public, body.device);
	put(w, FRAME_ENROL_DONE, &body, sizeof body);
}

static void enrols_step_by_step(void **state)
{
	struct link_world *w = connected();
	uint8_t psk[KEY_SIZE];

	(void)state;
	assert_false(link_confirm_enrolment(w->link)); /* nothing was offered */
	put(w, FRAME_ENROL_OFFER, &SCHEDULE, sizeof SCHEDULE);
	assert_int_equal(w->last.type, LINK_EVENT_ENROL);
	assert_memory_equal(&w->last.schedule, &SCHEDULE, sizeof SCHEDULE);
	memcpy(psk, w->last.psk, KEY_SIZE);
	assert_int_equal(confirmations(w), 0);  /* it is the application's word */
	done(w, w->config.hello.device.public); /* too early: not taken */
	assert_int_equal(w->last.type, LINK_EVENT_ENROL);

	assert_true(link_confirm_enrolment(w->link));
	assert_false(link_confirm_enrolment(w->link)); /* once */
	link_world_run(w, NS_PER_S / 10);
	assert_int_equal(confirmations(w), 1);
	done(w, w->relay.server.static_key.public); /* of another device */
	assert_int_equal(w->last.type, LINK_EVENT_ENROL);
	done(w, w->config.hello.device.public);
	assert_int_equal(w->last.type, LINK_EVENT_ENROLLED);
	assert_memory_equal(w->last.psk, psk, KEY_SIZE);
	assert_int_equal(w->ups, 1);
	assert_int_equal(w->downs, 0);
	link_world_destroy(w);
}

static void follows_no_unsound_schedule(void **state)
{
	struct wire_schedule bad[5];
	struct link_world *w = connected();

	(void)state;
	for (size_t i = 0; i < 5; i++)
		bad[i] = SCHEDULE;
	bad[0].interval_s = store_le32(0);
	bad[1].port_first = store_le16(0);
	bad[2].port_last = store_le16(1);
	bad[3].mode = PORT_MODE_FIXED + 1;
	bad[4].notice_s = store_le32(SCHEDULE_MARGIN_MAX_S + 1);
	w->last.type = LINK_EVENT_UP;
	for (size_t i = 0; i < 5; i++) {
		put(w, FRAME_ENROL_OFFER, &bad[i], sizeof bad[i]);
		put(w, FRAME_SCHEDULE, &bad[i], sizeof bad[i]);
		assert_int_equal(w->last.type, LINK_EVENT_UP);
		assert_false(link_confirm_enrolment(w->link));
	}
	assert_int_equal(w->relay.live.sender.count, 0); /* acknowledged all the same */
	link_world_destroy(w);
}

static void a_known_schedule_is_no_event(void **state)
{
	struct link_world *w = connected();
	struct wire_schedule other = SCHEDULE;

	(void)state;
	put(w, FRAME_SCHEDULE, &SCHEDULE, sizeof SCHEDULE);
	assert_int_equal(w->last.type, LINK_EVENT_SCHEDULE);
	w->last.type = LINK_EVENT_UP;
	put(w, FRAME_SCHEDULE, &SCHEDULE, sizeof SCHEDULE);
	assert_int_equal(w->last.type, LINK_EVENT_UP);
	other.grace_s = store_le32(5);
	put(w, FRAME_SCHEDULE, &other, sizeof other);
	assert_int_equal(w->last.type, LINK_EVENT_SCHEDULE);
	link_world_destroy(w);
}

/* A device whose enrolment was cut short: its own PSK first, then the file. */
static struct link_world *cut_short(uint8_t status)
{
	struct link_world *w = link_world_create(test_seed());
	struct link_credential *file = &w->config.others[0];
	*file = (struct link_credential){ .kind = w->config.hello.credential };
	memcpy(file->id, w->config.hello.id, FILE_ID_SIZE);
	memcpy(file->psk, w->config.hello.psk, KEY_SIZE);
	w->config.other_count = 1;
	w->config.hello.credential = CREDENTIAL_DEVICE;
	device_id_of(w->config.hello.device.public, w->config.hello.id);
	memset(w->config.hello.psk, 3, KEY_SIZE); /* the relay does not know it: silence */
	w->relay.status = status;
	return w;
}

static const uint8_t REFUSALS[] = { STATUS_SPENT, STATUS_EXPIRED, STATUS_REVOKED };
enum { REFUSAL_COUNT = sizeof(REFUSALS) / sizeof(REFUSALS[0]) };

/* Silence for the device, a refusal of its file each time: that refusal is the answer. */
static void a_refused_file_ends_an_unknown_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < REFUSAL_COUNT; i++) {
		struct link_world *w = cut_short(REFUSALS[i]);
		link_world_run(w, 10 * NS_PER_S);
		assert_int_equal(w->refusals, 1);
		assert_int_equal(w->down.status, REFUSALS[i]);
		assert_in_range(w->relay.hellos, 12, 13); /* six of each, and no more */
		link_world_destroy(w);
	}
}

/* What was silence may have been loss: a device that is answered in the end is connected. */
static void a_refused_file_leaves_a_known_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < REFUSAL_COUNT; i++) {
		struct link_world *w = cut_short(REFUSALS[i]);
		link_world_run(w, 2 * NS_PER_S);
		assert_true(w->relay.hellos >= 4); /* refused twice at least */
		assert_int_equal(w->refusals, 0);
		memset(w->relay.psk, 3, KEY_SIZE);
		w->relay.status = STATUS_OK;
		assert_true(link_world_run_until_up(w, 1, 10 * NS_PER_S));
		assert_int_equal(w->refusals, 0);
		link_world_destroy(w);
	}
}

/* A device that is enrolled has nothing but its own PSK; a file alone is refused at once. */
static void a_file_alone_is_refused_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < REFUSAL_COUNT; i++) {
		struct link_world *w = link_world_create(test_seed());
		w->relay.status = REFUSALS[i];
		link_world_run(w, NS_PER_S);
		assert_int_equal(w->refusals, 1);
		assert_int_equal(w->relay.hellos, 1);
		link_world_destroy(w);
	}
}

/* In mode random ports cannot be computed: the link keeps to those that it was told. */
static void random_ports_are_told(void **state)
{
	struct link_world *w = connected();
	struct wire_schedule schedule = SCHEDULE;
	struct link_config config = { 0 };
	struct schedule computed;
	struct wire_port_next next = { .door = store_le64(1001), .port = store_le16(1234) };
	struct link_status status;

	(void)state;
	schedule.mode = PORT_MODE_RANDOM;
	assert_true(link_config_schedule(&config, &schedule));
	computed = config.schedule;
	schedule_door_key(&computed, 1001, next.key);
	put(w, FRAME_SCHEDULE, &schedule, sizeof schedule);
	put(w, FRAME_PORT_NEXT, &next, sizeof next);
	assert_int_equal(w->last.type, LINK_EVENT_DOOR);
	assert_int_equal(w->last.door.port, 1234);
	relay_end_set_door(&w->relay, 1001, next.key, 1234);
	w->now.wall_ns += 3600 * NS_PER_S;
	w->now.mono_ns += 3600 * NS_PER_S;
	relay_end_restart(&w->relay);
	assert_true(link_world_run_until_up(w, 2, 10 * NS_PER_S));
	link_get_status(w->link, &status);
	assert_int_equal(status.relay.port, 1234);
	link_world_destroy(w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(enrols_step_by_step),
	cmocka_unit_test(follows_no_unsound_schedule),
	cmocka_unit_test(a_known_schedule_is_no_event),
	cmocka_unit_test(a_refused_file_ends_an_unknown_device),
	cmocka_unit_test(a_refused_file_leaves_a_known_device),
	cmocka_unit_test(a_file_alone_is_refused_at_once),
	cmocka_unit_test(random_ports_are_told),
};

CRYPTO_TESTS(TESTS)
