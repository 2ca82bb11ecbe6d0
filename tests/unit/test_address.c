/* Addresses: one spelling of each, both ways, and nothing that is not an address. */
#include "core/address.h"

#include "tests/support/test.h"

static void reads_and_writes(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "192.0.2.1:4433", "192.0.2.1:4433" },
		{ "192.0.2.1", "192.0.2.1:0" },
		{ "0.0.0.0:65535", "0.0.0.0:65535" },
		{ "[2001:db8::1]:4433", "[2001:db8::1]:4433" },
		{ "2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:0" },
		{ "::", "[::]:0" },
		{ "::1", "[::1]:0" },
		{ "[1::]:5", "[1::]:5" },
		{ "1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:0" },
		{ "1:0:0:2:0:0:0:3", "[1:0:0:2::3]:0" },
		{ "1:0:2:3:4:5:6:7", "[1:0:2:3:4:5:6:7]:0" },
		{ "[fe80::1%3]:9", "[fe80::1%3]:9" },
		{ "::ffff:127.0.0.1", "127.0.0.1:0" },
		{ "[::ffff:7f00:1]:80", "127.0.0.1:80" },
		{ "64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:0" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address a;
		char text[ADDRESS_TEXT_SIZE];
		print_message("%s\n", rows[i].in);
		assert_true(address_parse(rows[i].in, &a));
		assert_string_equal(address_format(&a, text), rows[i].out);
	}
}

static void refuses(void **state)
{
	static const char *const rows[] = {
		"",
		"1.2.3",
		"1.2.3.256",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:80x",
		"01.2.3.4",
		"1.2.3.4.5",
		"localhost",
		":",
		":::",
		"1::2::3",
		"1:2:3:4:5:6:7",
		"12345::",
		"1:2:3:4:5:6:7:8:9",
		"[::1",
		"[::1]80",
		"[::1]:",
		"::1%",
		"::1%eth0",
		"g::",
		"1:2:3:4:5:6:7:8::",
		"1.2.3.4::",
		" 1.2.3.4",
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct address a;
		print_message("'%s'\n", rows[i]);
		assert_false(address_parse(rows[i], &a));
	}
}

static void mapped_is_the_same_address(void **state)
{
	struct address a, b;
	(void)state;
	assert_true(address_parse("[::ffff:192.0.2.1]:5", &a));
	assert_true(address_parse("192.0.2.1:5", &b));
	assert_true(address_equal(&a, &b));
	assert_true(address_is_v4(&a));
	b.port = 6;
	assert_false(address_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(mapped_is_the_same_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
