/* File offers: what one peer may take of what all share. */
#include "client/files_internal.h"
#include "tests/support/test.h"

static struct clawchat client;

static void setup(struct tunnel *tunnel, uint8_t peer)
{
	*tunnel = (struct tunnel){ 0 };
	memset(tunnel->id, peer, sizeof(tunnel->id));
}

static void offer(struct tunnel *tunnel, uint8_t number)
{
	struct message m = {
		.type = MESSAGE_FILE_OFFER,
		.size = number,
		.body = VIEW_STRING("name"),
	};
	m.transfer[0] = number;
	transfer_take_offer(&client, tunnel, &m);
}

static unsigned count(const struct tunnel *tunnel)
{
	unsigned result = 0;
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		result += transfer_is_of(&client.files->list[i], tunnel);
	return result;
}

/*
 * Goal:   a peer that offers without end leaves room for the offers of others, and for our own.
 * Method: twice as many as it may, each of them twice; then one of somebody else.
 */
static void offers_of_one_peer_are_bounded(void **state)
{
	struct tunnel loud, calm;
	(void)state;
	assert_true(files_create(&client));
	setup(&loud, 1);
	setup(&calm, 2);
	for (uint8_t i = 0; i < 2 * OFFERS_PER_PEER_MAX; i++) {
		offer(&loud, i);
		offer(&loud, i);
		assert_int_equal(count(&loud),
				 i < OFFERS_PER_PEER_MAX ? i + 1u : (unsigned)OFFERS_PER_PEER_MAX);
	}
	assert_int_equal(client.event_count, OFFERS_PER_PEER_MAX);
	offer(&calm, 0);
	assert_int_equal(count(&calm), 1);
	assert_int_equal(count(&loud), OFFERS_PER_PEER_MAX);
	events_clear(&client);
	files_destroy(&client);
}

/* One that is over makes room for the next. */
static void room_comes_back(void **state)
{
	struct tunnel loud;
	(void)state;
	assert_true(files_create(&client));
	setup(&loud, 1);
	for (uint8_t i = 0; i <= OFFERS_PER_PEER_MAX; i++)
		offer(&loud, i);
	transfer_clear(&client.files->list[3]);
	assert_int_equal(count(&loud), OFFERS_PER_PEER_MAX - 1);
	offer(&loud, 200);
	assert_int_equal(count(&loud), OFFERS_PER_PEER_MAX);
	assert_int_equal(client.files->list[3].offer.transfer[0], 200);
	events_clear(&client);
	files_destroy(&client);
}

/* Offers that were not repeated after a new association give way; one at a time, and said. */
static void stale_offers_give_way(void **state)
{
	struct clawchat_event event;
	struct tunnel loud;
	(void)state;
	assert_true(files_create(&client));
	setup(&loud, 1);
	for (uint8_t i = 0; i < OFFERS_PER_PEER_MAX; i++)
		offer(&loud, i);
	files_restart(&client, &loud);
	offer(&loud, 0);
	offer(&loud, 200);
	assert_int_equal(count(&loud), OFFERS_PER_PEER_MAX);
	assert_int_equal(client.files->list[0].offer.transfer[0], 0);
	assert_int_equal(client.files->list[1].offer.transfer[0], 200);
	for (unsigned i = 0; i < OFFERS_PER_PEER_MAX + 2; i++) {
		assert_true(clawchat_next_event(&client, &event));
		assert_int_equal(event.type, i == OFFERS_PER_PEER_MAX ? CLAWCHAT_EVENT_FILE_FAILED :
									CLAWCHAT_EVENT_FILE_OFFER);
	}
	assert_false(clawchat_next_event(&client, &event));
	events_clear(&client);
	files_destroy(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers_of_one_peer_are_bounded),
		cmocka_unit_test(room_comes_back),
		cmocka_unit_test(stale_offers_give_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
