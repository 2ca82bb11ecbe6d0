/* Security files: what goes in comes out, and for each way to be bad there is one status. */
#include "core/security_file_json.h"
#include "tests/support/security_file.h"

static struct test_security_file T;

static int start(void **state)
{
	(void)state;
	security_file_init();
	test_security_file_init(&T, 1);
	test_security_file_seal(&T);
	return 0;
}

static void expect_open(enum security_file_status expected)
{
	struct security_file out;

	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  expected);
}

static void gives_back_what_was_sealed(void **state)
{
	struct security_file out, expected = T.file;

	(void)state;
	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  SECURITY_FILE_OK);
	bootstrap_id(T.writer.bootstrap, expected.bootstrap_key_id);
	memcpy(expected.server_signing_key, T.signing.public, sizeof T.signing.public);
	assert_memory_equal(&out, &expected, sizeof out);
}

static void what_is_prepared_opens_the_same(void **state)
{
	struct security_file_root root;
	struct security_file out;

	(void)state;
	security_file_prepare(T.writer.bootstrap, T.writer.iterations, T.writer.random, &root);
	T.writer.prepared = &root;
	test_security_file_seal(&T);
	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  SECURITY_FILE_OK);
	root.root[0] ^= 1;
	test_security_file_seal(&T);
	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  SECURITY_FILE_WRONG_KEY);
	T.writer.prepared = NULL;
}

/* The smallest and the largest of what may stand in each field. */
static void takes_the_bounds(void **state)
{
	struct security_file out;

	(void)state;
	T.file.door_count = SECURITY_FILE_DOORS_MAX;
	for (size_t i = 0; i < SECURITY_FILE_DOORS_MAX; i++)
		T.file.doors[i] = (struct security_file_door){
			.generation = (uint64_t)INT64_MAX - SECURITY_FILE_DOORS_MAX + i,
			.port = UINT16_MAX,
			.from_s = UINT64_C(253402300798),
			.until_s = UINT64_C(253402300799),
		};
	T.file.stun_count = SECURITY_FILE_STUN_MAX;
	for (size_t i = 0; i < SECURITY_FILE_STUN_MAX; i++)
		memset(T.file.stun_servers[i], 'x', SECURITY_FILE_STUN_SIZE_MAX);
	memset(T.file.server_name, '"', NAME_SIZE_MAX);
	T.file.grace_period_s = SECURITY_FILE_GRACE_MAX_S;
	T.file.enrol_max_devices = SECURITY_FILE_DEVICES_MAX;
	test_security_file_seal(&T);
	print_message("the largest file has %zu bytes\n", T.size);
	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  SECURITY_FILE_OK);

	T.file.door_count = 1;
	T.file.doors[0] = (struct security_file_door){ .port = 1, .from_s = 1, .until_s = 2 };
	T.file.stun_count = 0;
	memset(T.file.server_name, 0, sizeof T.file.server_name);
	memset(&T.file.public_ip, 0, sizeof T.file.public_ip);
	T.file.grace_period_s = 0;
	T.file.enrol_max_devices = 0;
	test_security_file_seal(&T);
	test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size), &out),
				  SECURITY_FILE_OK);
	assert_false(address_is_set(&out.public_ip));
	assert_int_equal(out.public_ip6.port, T.file.udp_port);
}

static void set_name(struct security_file *f, const char *name)
{
	snprintf(f->server_name, sizeof f->server_name, "%s", name);
}

#define CHANGE(name, statement) \
	static void name(struct security_file *f) \
	{ \
		statement; \
	}
CHANGE(no_door, f->door_count = 0)
CHANGE(same_doors, f->doors[1].generation = f->doors[0].generation)
CHANGE(door_without_port, f->doors[1].port = 0)
CHANGE(door_backwards, f->doors[1].until_s = f->doors[1].from_s)
CHANGE(no_address, memset(&f->public_ip, 0, 24); memset(&f->public_ip6, 0, 24))
CHANGE(wrong_family, f->public_ip = f->public_ip6)
CHANGE(other_family, f->public_ip6 = f->public_ip)
CHANGE(scoped_address, f->public_ip6.scope = 2)
CHANGE(no_port, f->udp_port = 0)
CHANGE(control_in_name, set_name(f, "a\x1b[2J"))
CHANGE(c1_in_name, set_name(f, "a\xc2\x9b"))
CHANGE(delete_in_name, set_name(f, "a\x7f"))
CHANGE(turned_name, set_name(f, "a\xe2\x80\xae"))
CHANGE(name_not_utf8, set_name(f, "a\xff"))
CHANGE(never_valid, f->valid_until_s = f->valid_from_s)
CHANGE(no_issue_time, f->issued_s = 0)
CHANGE(time_too_late, f->valid_until_s = UINT64_C(253402300800))
CHANGE(time_huge, f->valid_until_s = UINT64_MAX)
CHANGE(no_scope, f->compromised_scope = 0)
CHANGE(unknown_scope, f->compromised_scope = 4)
CHANGE(no_response_time, f->response_timeout_s = 0)
CHANGE(long_punch, f->hole_punch_timeout_s = SECURITY_FILE_TIMEOUT_MAX_S + 1)
CHANGE(long_grace, f->grace_period_s = SECURITY_FILE_GRACE_MAX_S + 1)
CHANGE(many_devices, f->enrol_max_devices = SECURITY_FILE_DEVICES_MAX + 1)
CHANGE(empty_stun, f->stun_servers[1][0] = '\0')

/* What a reader would refuse is never written. */
static void refuses_to_seal_nonsense(void **state)
{
	static void (*const rows[])(struct security_file *) = {
		no_door,          same_doors,      door_without_port, door_backwards,
		no_address,       wrong_family,    other_family,      scoped_address,
		no_port,          control_in_name, c1_in_name,        delete_in_name,
		turned_name,      name_not_utf8,   never_valid,       no_issue_time,
		time_too_late,    time_huge,       no_scope,          unknown_scope,
		no_response_time, long_punch,      long_grace,        many_devices,
		empty_stun,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct security_file file = T.file;
		char text[SECURITY_FILE_WRITTEN_MAX];
		size_t size = 1;
		print_message("row %zu\n", i);
		rows[i](&file);
		test_security_file_expect(security_file_seal(&T.writer, &file, text, sizeof text,
							     &size),
					  SECURITY_FILE_BAD_CONTENT);
		assert_int_equal(size, 0);
	}
}

static void says_when_there_is_no_room(void **state)
{
	size_t whole = T.size;

	(void)state;
	for (size_t capacity = 0; capacity <= whole + 1;
	     capacity += capacity < whole - 2 ? 97 : 1) {
		char *out = malloc(capacity + 1);
		assert_non_null(out);
		out[capacity] = 'z';
		enum security_file_status status =
			security_file_seal(&T.writer, &T.file, out, capacity, &T.size);
		test_security_file_expect(status, capacity >= whole ? SECURITY_FILE_OK :
								      SECURITY_FILE_TOO_LARGE);
		assert_int_equal(out[capacity], 'z');
		free(out);
	}
}

static void needs_the_right_key(void **state)
{
	const struct view passphrase = VIEW_STRING("correct horse battery staple");

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof T.bootstrap; bit++) {
		T.bootstrap[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_open(SECURITY_FILE_WRONG_KEY);
		T.bootstrap[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	T.reader.bootstrap = passphrase;
	expect_open(SECURITY_FILE_WRONG_KEY);
	T.writer.bootstrap = passphrase;
	test_security_file_seal(&T);
	expect_open(SECURITY_FILE_OK);
	T.reader.bootstrap = VIEW_STRING("correct horse battery stapl");
	expect_open(SECURITY_FILE_WRONG_KEY);
}

static bool is_between(size_t at, const char *begin, const char *end)
{
	const char *from = strstr(T.text, begin), *to = strstr(T.text, end);

	assert_non_null(from);
	assert_non_null(to);
	return at >= (size_t)(from - T.text) + strlen(begin) && at < (size_t)(to - T.text);
}

/*
 * Goal:   no byte of a file can be changed without notice, and the notice fits.
 * Method: every position, each bit of it and some other characters. Where the value of the
 *         ciphertext changes, the key was right and the file is damaged; the head gives others.
 */
static void notices_every_change(void **state)
{
	static const char characters[] = "\0 \t\r\n\"\\{}[]:,=A+9-.eE\x80\xff";
	size_t counts[SECURITY_FILE_CLOCK_BEHIND + 1] = { 0 };

	(void)state;
	for (size_t at = 0; at < T.size; at++) {
		char kept = T.text[at];
		bool in_ciphertext = is_between(at, "\"ciphertext\":\"", "\"}");
		for (size_t i = 0; i < 8 + sizeof characters - 1; i++) {
			char changed = i < 8 ? (char)(kept ^ 1 << i) : characters[i - 8];
			struct security_file out;
			if (changed == kept)
				continue;
			T.text[at] = changed;
			enum security_file_status status =
				test_security_file_open(&T, view_of(T.text, T.size), &out);
			T.text[at] = kept;
			counts[status]++;
			if (in_ciphertext)
				assert_true(status == SECURITY_FILE_DAMAGED ||
					    status == SECURITY_FILE_MALFORMED ||
					    status == SECURITY_FILE_NOT_JSON);
			else
				assert_true(status != SECURITY_FILE_OK &&
					    status < SECURITY_FILE_BAD_CONTENT);
		}
	}
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		print_message("%7zu %s\n", counts[i],
			      security_file_status_text((enum security_file_status)i));
	assert_int_equal(counts[SECURITY_FILE_OK], 0);
	assert_true(counts[SECURITY_FILE_DAMAGED] > 0);
	assert_true(counts[SECURITY_FILE_WRONG_KEY] > 0);
}

static void notices_cuts_and_additions(void **state)
{
	static const char extra[] = " \n}x\0{";
	struct security_file out;

	(void)state;
	for (size_t size = 0; size < T.size; size++) {
		test_security_file_expect(test_security_file_open(&T, view_of(T.text, size), &out),
					  SECURITY_FILE_NOT_JSON);
		test_security_file_expect(
			test_security_file_open(&T, view_of(T.text + T.size - size, size), &out),
			SECURITY_FILE_NOT_JSON);
	}
	for (size_t i = 0; i < sizeof extra; i++) {
		T.text[T.size] = extra[i];
		test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size + 1),
								  &out),
					  SECURITY_FILE_NOT_JSON);
	}
}

/* Replaces the first `old` in T.text by `new`. */
static void replace(const char *old, const char *new)
{
	char *at = strstr(T.text, old);

	assert_non_null(at);
	size_t tail = (size_t)(T.text + T.size - at) - strlen(old);
	memmove(at + strlen(new), at + strlen(old), tail);
	memcpy(at, new, strlen(new));
	T.size = T.size - strlen(old) + strlen(new);
}

static void tells_what_is_wrong_with_an_envelope(void **state)
{
	static const struct {
		const char *old, *new;
		enum security_file_status status;
	} rows[] = {
		{ "{\"", "{\"more\":[{\"a\":[1]}],\"", SECURITY_FILE_OK },
		{ "{\"", "{\"more\":[[{\"a\":[1]}]],\"", SECURITY_FILE_TOO_DEEP },
		{ "{\"", "{\"more\":\"[[[[\\\"[[[[\",\"", SECURITY_FILE_OK },
		{ "{\"", "{\"more\":1.5,\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"more\":1e5,\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"more\":[true,false,null],\"", SECURITY_FILE_OK },
		{ "{\"", "{\"version\":\"3.0\",\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"a\":1,\"a\":1,\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"a\":\"\xff\",\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"a\":\"\\u0000\",\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "{\"a\":99999999999999999999,\"", SECURITY_FILE_NOT_JSON },
		{ "{\"", "[{\"", SECURITY_FILE_NOT_JSON },
		{ "\"3.0\"", "\"3.1\"", SECURITY_FILE_TOO_NEW },
		{ "\"3.0\"", "\"4.0\"", SECURITY_FILE_TOO_NEW },
		{ "\"3.0\"", "\"2.9\"", SECURITY_FILE_TOO_OLD },
		{ "\"3.0\"", "\"3\"", SECURITY_FILE_MALFORMED },
		{ "\"3.0\"", "\"3.0.1\"", SECURITY_FILE_MALFORMED },
		{ "\"3.0\"", "\"1000.0\"", SECURITY_FILE_MALFORMED },
		{ "\"3.0\"", "\"\"", SECURITY_FILE_MALFORMED },
		{ "\"3.0\"", "3", SECURITY_FILE_MALFORMED },
		{ "aes-256-gcm-pbkdf2", "aes-128-gcm-pbkdf2", SECURITY_FILE_OTHER_ALGORITHM },
		{ "\"iterations\":2", "\"iterations\":1", SECURITY_FILE_TOO_FEW_ITERATIONS },
		{ "\"iterations\":2", "\"iterations\":0", SECURITY_FILE_TOO_FEW_ITERATIONS },
		{ "\"iterations\":2", "\"iterations\":-2", SECURITY_FILE_MALFORMED },
		{ "\"iterations\":2", "\"iterations\":\"2\"", SECURITY_FILE_MALFORMED },
		{ "\"iterations\":2", "\"iterations\":3", SECURITY_FILE_WRONG_KEY },
		{ "\"iterations\":2", "\"iterations\":1000", SECURITY_FILE_WRONG_KEY },
		{ "\"iterations\":2", "\"iterations\":1001", SECURITY_FILE_TOO_MANY_ITERATIONS },
		{ "\"iterations\":2", "\"iterations\":4294967298",
		  SECURITY_FILE_TOO_MANY_ITERATIONS },
		{ "\"iterations\":2", "\"iterations\":9223372036854775807",
		  SECURITY_FILE_TOO_MANY_ITERATIONS },
		{ "\"iterations\":2,", "", SECURITY_FILE_MALFORMED },
		{ "\"salt\":\"", "\"salt\":\"AAAA", SECURITY_FILE_MALFORMED },
		{ "\"salt\":\"", "\"salt\":\"\",\"x\":\"", SECURITY_FILE_MALFORMED },
		{ "\"tag\":\"", "\"tag\":\"AAAA", SECURITY_FILE_MALFORMED },
		{ "\"ciphertext\":\"", "\"ciphertext\":\"AAAA", SECURITY_FILE_DAMAGED },
		{ "\"ciphertext\":\"", "\"ciphertext\":\"\",\"x\":\"", SECURITY_FILE_DAMAGED },
		{ "\"ciphertext\":", "\"ciphertext\":{},\"x\":", SECURITY_FILE_MALFORMED },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("%s -> %s\n", rows[i].old, rows[i].new);
		start(state);
		replace(rows[i].old, rows[i].new);
		expect_open(rows[i].status);
	}
}

static void is_bounded_in_size(void **state)
{
	static char large[SECURITY_FILE_SIZE_MAX + 2];
	struct security_file out;

	(void)state;
	/* An unknown field of spaces pads the file to the last size and one beyond. */
	int head = snprintf(large, sizeof large, "{\"pad\":\"");
	memset(large + head, ' ', sizeof large - (size_t)head);
	for (size_t size = SECURITY_FILE_SIZE_MAX; size <= SECURITY_FILE_SIZE_MAX + 1; size++) {
		size_t tail = T.size - 1;
		memcpy(large + size - tail, T.text + 1, tail);
		memcpy(large + size - tail - 2, "\",", 2);
		test_security_file_expect(test_security_file_open(&T, view_of(large, size), &out),
					  size <= SECURITY_FILE_SIZE_MAX ? SECURITY_FILE_OK :
									   SECURITY_FILE_TOO_LARGE);
	}
}

static void keeps_to_the_product_bounds(void **state)
{
	(void)state;
	T.reader.iterations_min = PBKDF2_ITERATIONS_MIN;
	T.reader.iterations_max = PBKDF2_ITERATIONS_MAX;
	expect_open(SECURITY_FILE_TOO_FEW_ITERATIONS);
	replace("\"iterations\":2", "\"iterations\":10000001");
	expect_open(SECURITY_FILE_TOO_MANY_ITERATIONS);
}

static void judges_the_time(void **state)
{
	const uint64_t from = T.file.valid_from_s, until = T.file.valid_until_s;
	const struct {
		uint64_t issued, now;
		enum security_file_status status;
		uint64_t off;
	} rows[] = {
		{ from, from, SECURITY_FILE_OK, 0 },
		{ from, until, SECURITY_FILE_OK, 0 },
		{ from, until + 300, SECURITY_FILE_OK, 0 },
		{ from, until + 301, SECURITY_FILE_EXPIRED, 301 },
		{ from, UINT64_MAX, SECURITY_FILE_EXPIRED, UINT64_MAX - until },
		{ from, from - 300, SECURITY_FILE_OK, 0 },
		{ from, from - 301, SECURITY_FILE_CLOCK_BEHIND, 301 },
		{ from, 0, SECURITY_FILE_CLOCK_BEHIND, from },
		{ from - 1000, from - 300, SECURITY_FILE_OK, 0 },
		{ from - 1000, from - 301, SECURITY_FILE_NOT_YET_VALID, 301 },
		{ from - 1000, from - 1300, SECURITY_FILE_NOT_YET_VALID, 1300 },
		{ from - 1000, from - 1301, SECURITY_FILE_CLOCK_BEHIND, 301 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct security_file out;
		uint64_t off;
		print_message("row %zu\n", i);
		T.file.issued_s = rows[i].issued;
		T.reader.now_s = rows[i].now;
		test_security_file_seal(&T);
		test_security_file_expect(test_security_file_open(&T, view_of(T.text, T.size),
								  &out),
					  rows[i].status);
		assert_memory_equal(out.file_id, T.file.file_id, sizeof out.file_id);
		test_security_file_expect(security_file_judge_time(&out, rows[i].now, &off),
					  rows[i].status);
		assert_int_equal(off, rows[i].off);
	}
}

/* Two files of the same fields share nothing that could be compared. */
static void never_seals_the_same_twice(void **state)
{
	static char before[SECURITY_FILE_WRITTEN_MAX];
	static const char *const keys[] = { "salt", "iv", "commit", "tag", "ciphertext" };

	(void)state;
	memcpy(before, T.text, T.size);
	test_security_file_seal(&T);
	json_t *a = json_loads(before, 0, NULL), *b = json_loadb(T.text, T.size, 0, NULL);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		assert_string_not_equal(json_string_value(json_object_get(a, keys[i])),
					json_string_value(json_object_get(b, keys[i])));
	json_decref(a);
	json_decref(b);
}

/*
 * Goal:   files written by this version can be read by all others of the same number.
 * Method: the file of seed 1 hashes to what it hashed to when the format was fixed. Where this
 *         fails, the format has changed, and its version must change too.
 */
static void format_is_fixed(void **state)
{
	uint8_t hash[HASH_SIZE], expected[HASH_SIZE];

	(void)state;
	hash_sha256(view_of(T.text, T.size), hash);
	for (size_t i = 0; i < sizeof hash; i++)
		print_message("%02x", hash[i]);
	print_message("\n");
	test_hex("6112e35f7fa79a95ef4a3782156ed6aa34d818d15867ea7dec6e1ee9a4499220", expected,
		 sizeof expected);
	assert_memory_equal(hash, expected, sizeof hash);
}

#define FILE_TEST(name) cmocka_unit_test_setup(name, start)

static const struct CMUnitTest TESTS[] = {
	FILE_TEST(gives_back_what_was_sealed),
	FILE_TEST(what_is_prepared_opens_the_same),
	FILE_TEST(takes_the_bounds),
	FILE_TEST(refuses_to_seal_nonsense),
	FILE_TEST(says_when_there_is_no_room),
	FILE_TEST(needs_the_right_key),
	FILE_TEST(notices_every_change),
	FILE_TEST(notices_cuts_and_additions),
	FILE_TEST(tells_what_is_wrong_with_an_envelope),
	FILE_TEST(is_bounded_in_size),
	FILE_TEST(keeps_to_the_product_bounds),
	FILE_TEST(judges_the_time),
	FILE_TEST(never_seals_the_same_twice),
	FILE_TEST(format_is_fixed),
};

CRYPTO_TESTS(TESTS)
