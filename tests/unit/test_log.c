#include "relay/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { OUTPUT_MAX = 1 << 20 };

static char output[OUTPUT_MAX];
static int capture_fd, stderr_fd;

/* Standard error goes to a file until taken(). */
static void capture(enum log_format format, enum log_addresses addresses)
{
	log_configure(LOG_LEVEL_INFO, format, addresses);
	fflush(stderr);
	char path[] = "/tmp/clawchat-log.XXXXXX";
	capture_fd = mkstemp(path);
	assert_true(capture_fd >= 0);
	unlink(path);
	stderr_fd = dup(STDERR_FILENO);
	assert_true(dup2(capture_fd, STDERR_FILENO) >= 0);
}

static const char *taken(void)
{
	dup2(stderr_fd, STDERR_FILENO);
	close(stderr_fd);
	ssize_t size = pread(capture_fd, output, sizeof(output) - 1, 0);
	close(capture_fd);
	assert_true(size >= 0);
	output[size] = '\0';
	return output;
}

/* What stands behind the time of one text line. */
static const char *taken_after_time(void)
{
	const char *text = taken();
	int year, day;
	char zone;
	assert_int_equal(sscanf(text, "%d-%*d-%dT%*d:%*d:%*d.%*d%c ", &year, &day, &zone), 3);
	assert_in_range(year, 2020, 2200);
	assert_int_equal(zone, 'Z');
	return strchr(text, ' ') + 1;
}

/* ---- text --------------------------------------------------------------------------------- */

static void test_text(void **state)
{
	const uint8_t id[8] = { 0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 0xff };
	(void)state;
	capture(LOG_FORMAT_TEXT, LOG_ADDRESSES_FULL);
	log_event(LOG_LEVEL_WARNING, "something", LOG_TEXT("plain", "word"),
		  LOG_NUMBER("number", -5), LOG_ID("id", id));
	assert_string_equal(taken_after_time(),
			    "warning something plain=word number=-5 id=deadbeef000102ff\n");
}

/* Goal: one event is one line, and nothing in it commands a terminal or passes for a field. */
static void test_hostile_text(void **state)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{ "two words", "\"two words\"" },
		{ "", "\"\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"no\" now", "\"say 'no' now\"" },
		{ "x\nerror y=1", "\"x?error y=1\"" },
		{ "tab\there", "tab?here" },
		{ "\x1b[2J", "?[2J" },
		{ "del\x7f", "del?" },
		{ "\xc2\x9b"
		  "31m",
		  "??31m" },
		{ "\xff\xfe", "??" },
		{ "100%s%n", "100%s%n" },
	};
	char expected[128];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		capture(LOG_FORMAT_JOURNALD, LOG_ADDRESSES_FULL);
		log_event(LOG_LEVEL_INFO, "hostile", LOG_TEXT("value", rows[i].value),
			  LOG_NUMBER("after", 1));
		snprintf(expected, sizeof(expected), "<6>hostile value=%s after=1\n",
			 rows[i].shown);
		assert_string_equal(taken(), expected);
	}
}

/* Goal: what is too long is cut, and still one line. */
static void test_long_text(void **state)
{
	static char text[20000];
	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JOURNALD; format++) {
		capture((enum log_format)format, LOG_ADDRESSES_FULL);
		struct log_field fields[16];
		for (size_t i = 0; i < COUNT_OF(fields); i++)
			fields[i] = LOG_TEXT("field", text);
		log_event_fields(LOG_LEVEL_INFO, "long", fields, COUNT_OF(fields));
		const char *line = taken();
		assert_in_range(strlen(line), 30, 9000);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	}
}

/* ---- JSON --------------------------------------------------------------------------------- */

static json_t *taken_json(void)
{
	json_error_t error;
	json_t *object = json_loads(taken(), 0, &error);
	if (object == NULL)
		fail_msg("%s: %s", error.text, output);
	return object;
}

static void test_json(void **state)
{
	static const char *const values[] = { "plain", "with \"quotes\" and \\", "new\nline", "" };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		capture(LOG_FORMAT_JSON, LOG_ADDRESSES_FULL);
		log_event(LOG_LEVEL_ERROR, "thing", LOG_TEXT("value", values[i]),
			  LOG_NUMBER("count", INT64_MAX));
		json_t *object = taken_json();
		const char *value = json_string_value(json_object_get(object, "value"));
		assert_string_equal(json_string_value(json_object_get(object, "event")), "thing");
		assert_string_equal(json_string_value(json_object_get(object, "level")), "error");
		assert_non_null(json_object_get(object, "time"));
		assert_true(json_integer_value(json_object_get(object, "count")) == INT64_MAX);
		assert_string_equal(value, i == 2 ? "new?line" : values[i]);
		json_decref(object);
	}
	/* What is no UTF-8 does not make the field vanish. */
	capture(LOG_FORMAT_JSON, LOG_ADDRESSES_FULL);
	log_event(LOG_LEVEL_INFO, "thing", LOG_TEXT("value", "caf\xe9"));
	json_t *object = taken_json();
	assert_string_equal(json_string_value(json_object_get(object, "value")), "caf?");
	json_decref(object);
}

/* ---- addresses ---------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
	static const struct {
		enum log_addresses mode;
		const char *text, *shown;
	} rows[] = {
		{ LOG_ADDRESSES_FULL, "192.0.2.77:4000", "192.0.2.77:4000" },
		{ LOG_ADDRESSES_SHORT, "192.0.2.77:4000", "192.0.2.0:0" },
		{ LOG_ADDRESSES_NONE, "192.0.2.77:4000", "-" },
		{ LOG_ADDRESSES_FULL, "[2001:db8:1:2::3]:5", "[2001:db8:1:2::3]:5" },
		{ LOG_ADDRESSES_SHORT, "[2001:db8:1:2::3]:5", "[2001:db8:1::]:0" },
		{ LOG_ADDRESSES_NONE, "[2001:db8:1:2::3]:5", "-" },
	};
	char expected[128];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address a;
		assert_true(address_parse(rows[i].text, &a));
		capture(LOG_FORMAT_JOURNALD, rows[i].mode);
		log_event(LOG_LEVEL_INFO, "seen", LOG_ADDRESS("from", &a));
		snprintf(expected, sizeof(expected), "<6>seen from=%s\n", rows[i].shown);
		assert_string_equal(taken(), expected);
	}
}

/* ---- how much ----------------------------------------------------------------------------- */

static void test_levels(void **state)
{
	(void)state;
	capture(LOG_FORMAT_JOURNALD, LOG_ADDRESSES_FULL);
	log_event(LOG_LEVEL_DEBUG, "hidden", LOG_NUMBER("n", 1));
	log_set_level(LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_DEBUG, "shown", LOG_NUMBER("n", 2));
	log_set_level(LOG_LEVEL_ERROR);
	log_event(LOG_LEVEL_WARNING, "hidden", LOG_NUMBER("n", 3));
	log_event(LOG_LEVEL_ERROR, "bad", LOG_NUMBER("n", 4));
	assert_string_equal(taken(), "<7>shown n=2\n<3>bad n=4\n");
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;
	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

/*
 * Goal:   an event that repeats is told LOG_EVENTS_PER_S times a second, the rest is counted;
 *         others are not held back for it.
 * Method: the same event until its next second has begun, which tells the count of the last.
 */
static void test_limit(void **state)
{
	long long held_back = 0;
	size_t calls = 0;
	(void)state;
	capture(LOG_FORMAT_JOURNALD, LOG_ADDRESSES_FULL);
	/* About half a minute of them at most: a second is over long before. */
	while (held_back == 0 && calls < 100000000) {
		for (int i = 0; i < 1000; i++, calls++)
			log_event(LOG_LEVEL_INFO, "often", LOG_NUMBER("n", 1));
		if (pread(capture_fd, output, sizeof(output) - 1, 0) > 0) {
			const char *line = strstr(output, "log_limited name=often count=");
			if (line != NULL)
				held_back = strtoll(strchr(line, '=') + sizeof("often count="),
						    NULL, 10);
		}
	}
	log_event(LOG_LEVEL_INFO, "seldom", LOG_NUMBER("n", 1));
	const char *text = taken();
	size_t told = count_of(text, "<6>often ");
	assert_true(held_back > 0);
	/* The second when it began, the one that was told of, and the next. */
	assert_in_range(told, LOG_EVENTS_PER_S, 3 * LOG_EVENTS_PER_S);
	assert_in_range((size_t)held_back, 1, calls - told);
	assert_int_equal(count_of(text, "<6>seldom "), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),      cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_json),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_levels),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
