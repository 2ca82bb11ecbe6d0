/* Id table: records by id, found again through all doublings of the index. */
#include "relay/id_table.h"

#include "tests/support/crypto.h"

struct record {
	uint8_t id[ID_TABLE_ID_SIZE];
	uint64_t value;
};

/* Ids share their first 5 bytes' places often: the index must step over others'. */
static void make_id(uint32_t number, uint8_t id[ID_TABLE_ID_SIZE])
{
	memset(id, 0, ID_TABLE_ID_SIZE);
	id[0] = (uint8_t)(number / 8);
	id[9] = (uint8_t)number;
	id[10] = (uint8_t)(number >> 8);
}

static void what_was_put_is_found(void **state)
{
	enum { COUNT = 2000 };
	struct id_table t;
	uint8_t id[ID_TABLE_ID_SIZE];

	(void)state;
	assert_true(id_table_init(&t, sizeof(struct record), COUNT));
	for (uint32_t i = 0; i < COUNT; i++) {
		make_id(i, id);
		assert_null(id_table_find(&t, id));
		struct record *record = id_table_need(&t, id);
		assert_non_null(record);
		assert_memory_equal(record->id, id, sizeof id);
		assert_int_equal(record->value, 0);
		record->value = i;
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		make_id(i, id);
		const struct record *record = id_table_find(&t, id);
		assert_non_null(record);
		assert_int_equal(record->value, i);
		assert_ptr_equal(record, id_table_at(&t, i));
		assert_ptr_equal(record, id_table_need(&t, id));
	}
	assert_int_equal(t.count, COUNT);
	id_table_fini(&t);
}

static void a_full_table_takes_no_more(void **state)
{
	struct id_table t;
	uint8_t id[ID_TABLE_ID_SIZE];

	(void)state;
	assert_true(id_table_init(&t, sizeof(struct record), 2));
	for (uint32_t i = 0; i < 2; i++) {
		make_id(i, id);
		assert_non_null(id_table_need(&t, id));
	}
	assert_non_null(id_table_need(&t, id)); /* it is there */
	make_id(2, id);
	assert_null(id_table_need(&t, id));
	assert_null(id_table_find(&t, id));
	id_table_fini(&t);
}

/* Zeros are an id like any other: an empty place is known by its number. */
static void zeros_are_an_id(void **state)
{
	static const uint8_t zeros[ID_TABLE_ID_SIZE];
	struct id_table t;

	(void)state;
	assert_true(id_table_init(&t, sizeof(struct record), 2));
	assert_null(id_table_find(&t, zeros));
	assert_non_null(id_table_need(&t, zeros));
	assert_ptr_equal(id_table_find(&t, zeros), id_table_at(&t, 0));
	id_table_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found),
		cmocka_unit_test(a_full_table_takes_no_more),
		cmocka_unit_test(zeros_are_an_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
