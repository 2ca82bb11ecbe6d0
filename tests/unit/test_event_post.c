#include "relay/event_post.h"

#include "tests/support/test.h"

enum { CAPACITY = 4 };

static struct mailbox *make(struct event_post *p)
{
	struct mailbox *m = mailbox_create(&(struct mailbox_config){
		.item_size = sizeof(struct keeper_event), .capacity = CAPACITY });
	assert_non_null(m);
	event_post_init(p, m);
	return m;
}

static void put(struct event_post *p, enum keeper_event_type type, uint32_t number)
{
	event_post_put(p, &(struct keeper_event){ .type = type, .session = { number, 0 } });
}

static void expect(struct mailbox *m, enum keeper_event_type type, uint32_t number)
{
	struct keeper_event event;
	assert_true(mailbox_get(m, &event));
	assert_int_equal(event.type, type);
	assert_int_equal(event.session.slot, number);
}

static const enum keeper_event_type ESSENTIAL[] = { KEEPER_SESSION_UP, KEEPER_REFUSED, KEEPER_ENROL,
						    KEEPER_BURN };
static const enum keeper_event_type LOGGED[] = { KEEPER_SESSION_DOWN, KEEPER_FORGERIES };

static void all_pass_where_there_is_room(void **state)
{
	struct event_post p;
	struct mailbox *m = make(&p);

	(void)state;
	for (uint32_t i = 0; i < CAPACITY; i++)
		put(&p, ESSENTIAL[i], i);
	assert_false(event_post_is_waiting(&p));
	for (uint32_t i = 0; i < CAPACITY; i++)
		expect(m, ESSENTIAL[i], i);
	for (uint32_t i = 0; i < COUNT_OF(LOGGED); i++)
		put(&p, LOGGED[i], i);
	for (uint32_t i = 0; i < COUNT_OF(LOGGED); i++)
		expect(m, LOGGED[i], i);
	assert_int_equal(load_relaxed(&p.lost), 0);
	assert_int_equal(load_relaxed(&p.waited), 0);
	event_post_fini(&p);
	mailbox_destroy(m);
}

/* What something depends on waits, and keeps its order; what is for the log alone is counted. */
static void nothing_essential_is_lost(void **state)
{
	enum { EVENTS = 5 * CAPACITY };
	struct event_post p;
	struct keeper_event event;
	struct mailbox *m = make(&p);

	(void)state;
	for (uint32_t i = 0; i < EVENTS; i++)
		put(&p, ESSENTIAL[i % COUNT_OF(ESSENTIAL)], i);
	for (uint32_t i = 0; i < COUNT_OF(LOGGED); i++)
		put(&p, LOGGED[i], EVENTS);
	assert_true(event_post_is_waiting(&p));
	assert_false(event_post_flush(&p));
	assert_int_equal(load_relaxed(&p.lost), COUNT_OF(LOGGED));
	assert_int_equal(load_relaxed(&p.waited), EVENTS - CAPACITY);
	for (uint32_t i = 0; i < EVENTS; i++) {
		expect(m, ESSENTIAL[i % COUNT_OF(ESSENTIAL)], i);
		if (i % 3 == 0)
			(void)event_post_flush(&p);
	}
	assert_true(event_post_flush(&p));
	assert_false(event_post_is_waiting(&p));
	assert_false(mailbox_get(m, &event));
	put(&p, LOGGED[0], 7); /* there is room again */
	expect(m, LOGGED[0], 7);
	event_post_fini(&p);
	mailbox_destroy(m);
}

/* Left waiting at the end: freed (the address sanitizer looks). */
static void what_waits_at_the_end_is_freed(void **state)
{
	struct event_post p;
	struct mailbox *m = make(&p);

	(void)state;
	for (uint32_t i = 0; i < 3 * CAPACITY; i++)
		put(&p, KEEPER_ENROL, i);
	event_post_fini(&p);
	assert_false(event_post_is_waiting(&p));
	mailbox_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pass_where_there_is_room),
		cmocka_unit_test(nothing_essential_is_lost),
		cmocka_unit_test(what_waits_at_the_end_is_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
