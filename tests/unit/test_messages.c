/* Messages: everything written is read back, nothing else is taken. */
#include "client/messages.h"

#include "tests/support/test.h"

/* clang-format off */
#define TRANSFER { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }
/* clang-format on */

static const struct message SAMPLES[] = {
	{ .type = MESSAGE_TEXT,
	  .id = 0x1122334455667788,
	  .time_ms = 1700000000123,
	  .body = VIEW_STRING("na\xc3\xafve\nsecond line") },
	{ .type = MESSAGE_RECEIPT, .id = UINT64_MAX, .receipt = RECEIPT_DELIVERED },
	{ .type = MESSAGE_RECEIPT, .id = 7, .receipt = RECEIPT_READ },
	{ .type = MESSAGE_FILE_OFFER,
	  .transfer = TRANSFER,
	  .size = FILE_SIZE_MAX,
	  .sha256 = { 9, 8, 7 },
	  .body = VIEW_STRING("holiday.jpg") },
	{ .type = MESSAGE_FILE_OFFER, .transfer = TRANSFER, .body = VIEW_STRING("empty") },
	{ .type = MESSAGE_FILE_ANSWER, .transfer = TRANSFER, .is_accepted = true, .stream = 1 },
	{ .type = MESSAGE_FILE_ANSWER,
	  .transfer = TRANSFER,
	  .is_accepted = true,
	  .stream = DELIVERY_STREAMS - 1,
	  .offset = FILE_SIZE_MAX },
	{ .type = MESSAGE_FILE_ANSWER, .transfer = TRANSFER },
	{ .type = MESSAGE_FILE_ANSWER,
	  .transfer = TRANSFER,
	  .is_accepted = true,
	  .stream = 2,
	  .offset = 32768 },
	{ .type = MESSAGE_FILE_RESULT, .transfer = TRANSFER, .result = FILE_RESULT_OK },
	{ .type = MESSAGE_FILE_RESULT,
	  .transfer = TRANSFER,
	  .result = FILE_RESULT_FAILED,
	  .body = VIEW_STRING("no space left on device") },
	{ .type = MESSAGE_FILE_CANCEL, .transfer = TRANSFER },
	{ .type = MESSAGE_FILE_CANCEL, .transfer = TRANSFER, .body = VIEW_STRING("changed") },
	{ .type = MESSAGE_FILE_CHUNK,
	  .transfer = TRANSFER,
	  .offset = 32768,
	  .body = VIEW_STRING("\xff\xfe not text \x80") },
};

static void assert_same(const struct message *a, const struct message *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->time_ms, b->time_ms);
	assert_int_equal(a->receipt, b->receipt);
	assert_memory_equal(a->transfer, b->transfer, TRANSFER_ID_SIZE);
	assert_int_equal(a->size, b->size);
	assert_memory_equal(a->sha256, b->sha256, HASH_SIZE);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->stream, b->stream);
	assert_int_equal(a->is_accepted, b->is_accepted);
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->body.size, b->body.size);
	if (a->body.size > 0)
		assert_memory_equal(a->body.data, b->body.data, a->body.size);
}

static void reads_what_it_writes(void **state)
{
	uint8_t bytes[256];
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SAMPLES); i++) {
		struct view_out out = { .data = bytes, .capacity = sizeof bytes };
		size_t size = message_encode(&SAMPLES[i], out);
		assert_true(size > 0);
		assert_true(message_decode(view_of(bytes, size), &m));
		assert_same(&m, &SAMPLES[i]);
		/* The exact room is enough, a byte less is not. */
		out.capacity = size;
		assert_int_equal(message_encode(&SAMPLES[i], out), size);
		out.capacity = size - 1;
		assert_int_equal(message_encode(&SAMPLES[i], out), 0);
	}
}

/* Each cut of each sample gives a shorter body of a type that may have one, or nothing; and a
 * decoded message is always one that encodes to the same bytes. */
static void takes_only_what_it_would_write(void **state)
{
	uint8_t bytes[256], again[256];
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SAMPLES); i++) {
		struct view_out out = { .data = bytes, .capacity = sizeof bytes };
		size_t size = message_encode(&SAMPLES[i], out);
		for (size_t at = 0; at < size; at++) {
			for (unsigned flip = 1; flip < 256; flip++) {
				bytes[at] = (uint8_t)(bytes[at] ^ flip);
				for (size_t cut = size - (flip % 2); cut <= size; cut++) {
					if (!message_decode(view_of(bytes, cut), &m))
						continue;
					struct view_out room = { .data = again, .capacity = cut };
					assert_int_equal(message_encode(&m, room), cut);
					assert_memory_equal(again, bytes, cut);
				}
				bytes[at] = (uint8_t)(bytes[at] ^ flip);
			}
		}
	}
}

static void refuses_cut_heads(void **state)
{
	static const size_t heads[] = { 0, 20, 12, 60, 28, 20, 20, 20, 28 };
	uint8_t bytes[256];
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(SAMPLES); i++) {
		struct view_out out = { .data = bytes, .capacity = sizeof bytes };
		assert_true(message_encode(&SAMPLES[i], out) > 0);
		for (size_t size = 0; size < heads[SAMPLES[i].type]; size++)
			assert_false(message_decode(view_of(bytes, size), &m));
	}
}

/* One field of a good message made bad: neither written nor read. */
static void refuses_bad_fields(void **state)
{
	static const struct {
		size_t sample, at;
		uint8_t value;
	} rows[] = {
		{ 0, 0, 0 },  /* no type */
		{ 11, 0, 5 }, /* nor this one */
		{ 0, 0, 9 },
		{ 0, 0, 255 },
		{ 0, 1, 1 },     /* reserved */
		{ 0, 22, 0xff }, /* text that is not UTF-8 */
		{ 1, 1, 0 },     /* receipt of nothing */
		{ 1, 1, 3 },
		{ 3, 25, 0x11 }, /* a byte above the largest size */
		{ 3, 60, '.' },  /* hidden name */
		{ 3, 63, '/' },
		{ 3, 64, 0x1b },
		{ 5, 1, 2 }, /* neither yes nor no */
		{ 5, 2, 0 }, /* accepted, on no stream or a wrong one */
		{ 5, 2, DELIVERY_STREAMS },
		{ 7, 2, 1 },  /* refused, but with a stream */
		{ 7, 20, 1 }, /* and with an offset */
		{ 10, 1, 3 }, /* unknown result */
		{ 10, 21, 0xff },
		{ 10, 21, 0x1b }, /* a reason that would speak to the terminal */
		{ 12, 21, '\n' },
		{ 13, 27, 1 }, /* chunk beyond the end of any file */
	};
	uint8_t bytes[256];
	struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view_out out = { .data = bytes, .capacity = sizeof bytes };
		size_t size = message_encode(&SAMPLES[rows[i].sample], out);
		assert_true(size > 0);
		bytes[rows[i].at] = rows[i].value;
		if (message_decode(view_of(bytes, size), &m))
			fail_msg("row %zu was taken", i);
	}
}

static void assert_refused(const struct message *m)
{
	static uint8_t bytes[DELIVERY_MESSAGE_MAX + 1];

	assert_int_equal(message_encode(m, (struct view_out){ bytes, sizeof bytes }), 0);
}

static void refuses_to_write_what_is_wrong(void **state)
{
	struct message m = SAMPLES[3];

	(void)state;
	m.size = FILE_SIZE_MAX + 1;
	assert_refused(&m);
	m = SAMPLES[3];
	m.body = VIEW_STRING("../x");
	assert_refused(&m);
	m = SAMPLES[0];
	m.body = VIEW_STRING("\xff");
	assert_refused(&m);
	m.body = VIEW_STRING("");
	assert_refused(&m);
	m = SAMPLES[8];
	m.body = VIEW_STRING("too much");
	assert_refused(&m);
	m.type = (enum message_type)9;
	assert_refused(&m);
	m.type = (enum message_type)0;
	assert_refused(&m);
}

/* The largest of each kind goes through delivery, one byte more does not. */
static void keeps_to_sizes(void **state)
{
	static const struct {
		size_t sample, largest;
	} rows[] = {
		{ 0, MESSAGE_TEXT_MAX },    { 3, FILE_NAME_SIZE_MAX }, { 9, MESSAGE_REASON_MAX },
		{ 11, MESSAGE_REASON_MAX }, { 13, MESSAGE_CHUNK_MAX },
	};
	static uint8_t bytes[DELIVERY_MESSAGE_MAX + 1], body[DELIVERY_MESSAGE_MAX];
	struct message read;

	(void)state;
	memset(body, 'x', sizeof body);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct message m = SAMPLES[rows[i].sample];
		m.body = view_of(body, rows[i].largest);
		size_t size = message_encode(&m, (struct view_out){ bytes, DELIVERY_MESSAGE_MAX });
		assert_true(size > rows[i].largest);
		assert_true(message_decode(view_of(bytes, size), &read));
		assert_int_equal(read.body.size, rows[i].largest);
		bytes[size] = 'x';
		assert_false(message_decode(view_of(bytes, size + 1), &read));
		m.body.size++;
		assert_refused(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(takes_only_what_it_would_write),
		cmocka_unit_test(refuses_cut_heads),
		cmocka_unit_test(refuses_bad_fields),
		cmocka_unit_test(refuses_to_write_what_is_wrong),
		cmocka_unit_test(keeps_to_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
