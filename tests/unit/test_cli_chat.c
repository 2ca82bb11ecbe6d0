/* What a chat remembers: its messages with what became of them, and its transfers. */
#include "tools/chat_messages.h"
#include "tools/transfers.h"

#include "tests/support/test.h"

static struct chat_messages M;

static int empty(void **state)
{
	(void)state;
	memset(&M, 0, sizeof(M));
	return 0;
}

static void expect_summary(const char *expected)
{
	char text[64];
	chat_messages_summary(&M, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void follows_a_message(void **state)
{
	(void)state;
	expect_summary("");
	chat_messages_add(&M, 11, "hello");
	expect_summary("queued");
	assert_int_equal(chat_messages_pending(&M), 1);
	const struct chat_message *m = chat_messages_update(&M, 11, CLAWCHAT_SENT);
	assert_non_null(m);
	assert_string_equal(m->excerpt, "hello");
	expect_summary("sent");
	chat_messages_update(&M, 11, CLAWCHAT_DELIVERED);
	expect_summary("delivered");
	assert_int_equal(chat_messages_pending(&M), 0);
	assert_null(chat_messages_update(&M, 12, CLAWCHAT_DELIVERED));
}

/* Receipts can overtake each other. */
static void read_stays_read(void **state)
{
	(void)state;
	chat_messages_add(&M, 11, "hello");
	chat_messages_update(&M, 11, CLAWCHAT_READ);
	chat_messages_update(&M, 11, CLAWCHAT_DELIVERED);
	expect_summary("read");
}

static void sums_up(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		chat_messages_add(&M, i, "x");
	expect_summary("3 queued");
	chat_messages_update(&M, 1, CLAWCHAT_SENT);
	expect_summary("2 queued, 1 sent");
	chat_messages_update(&M, 2, CLAWCHAT_SENT);
	chat_messages_update(&M, 3, CLAWCHAT_SENT);
	expect_summary("3 sent");
	chat_messages_update(&M, 1, CLAWCHAT_DELIVERED);
	chat_messages_update(&M, 2, CLAWCHAT_UNDELIVERED);
	expect_summary("sent");
	chat_messages_update(&M, 3, CLAWCHAT_READ);
	expect_summary("read");
}

static void keeps_what_is_under_way(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= CHAT_MESSAGES; i++) {
		assert_false(chat_messages_are_full(&M));
		chat_messages_add(&M, i, "x");
	}
	assert_true(chat_messages_are_full(&M));
	chat_messages_update(&M, 2, CLAWCHAT_DELIVERED);
	assert_true(chat_messages_are_full(&M)); /* the oldest is still under way */
	chat_messages_update(&M, 1, CLAWCHAT_DELIVERED);
	assert_false(chat_messages_are_full(&M));
	chat_messages_add(&M, 1000, "newest");
	assert_int_equal(chat_messages_at(&M, 0)->id, 2);
	assert_string_equal(chat_messages_at(&M, CHAT_MESSAGES - 1)->excerpt, "newest");
	assert_null(chat_messages_at(&M, CHAT_MESSAGES));
}

static void finds_transfers(void **state)
{
	static struct transfers t;

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_null(transfers_oldest_offer(&t));
	assert_null(transfers_find(&t, 0));
	transfers_add(&t, 9, "nine");
	transfers_add(&t, 4, "four\033[m");
	struct transfer *out = transfers_add(&t, 1, "out");
	out->is_outgoing = true;
	assert_ptr_equal(transfers_add(&t, 9, "nine"), transfers_find(&t, 9));
	assert_string_equal(transfers_find(&t, 4)->name, "four\xef\xbf\xbd[m");
	assert_int_equal(transfers_oldest_offer(&t)->number, 4);
	assert_int_equal(transfers_running(&t)->number, 1);
	transfers_find(&t, 4)->is_accepted = true;
	assert_int_equal(transfers_oldest_offer(&t)->number, 9);
	transfers_remove(&t, 1);
	assert_int_equal(transfers_running(&t)->number, 4);
	transfers_remove(&t, 1);
}

static void bounds_transfers(void **state)
{
	static struct transfers t;

	(void)state;
	memset(&t, 0, sizeof(t));
	for (uint32_t i = 1; i <= TRANSFERS_MAX; i++)
		assert_non_null(transfers_add(&t, i, "x"));
	assert_null(transfers_add(&t, TRANSFERS_MAX + 1, "x"));
	transfers_remove(&t, 3);
	assert_non_null(transfers_add(&t, TRANSFERS_MAX + 1, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(follows_a_message, empty),
		cmocka_unit_test_setup(read_stays_read, empty),
		cmocka_unit_test_setup(sums_up, empty),
		cmocka_unit_test_setup(keeps_what_is_under_way, empty),
		cmocka_unit_test(finds_transfers),
		cmocka_unit_test(bounds_transfers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
