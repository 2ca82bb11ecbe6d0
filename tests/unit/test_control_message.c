/* Control messages and socket names: both ways, and what is damaged is passed over. */
#include "net/control_message.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include "net/udp_socket.h"
#include "tests/support/test.h"

struct area {
	uint8_t bytes[256] __attribute__((aligned(8)));
	size_t used;
};

static void append(struct area *a, int level, int type, const void *data, size_t size)
{
	struct cmsghdr header = { .cmsg_len = CMSG_LEN(size),
				  .cmsg_level = level,
				  .cmsg_type = type };
	memcpy(a->bytes + a->used, &header, sizeof(header));
	memcpy(a->bytes + a->used + CMSG_LEN(0), data, size);
	a->used += CMSG_SPACE(size);
}

static struct control_received read_area(const struct area *a, size_t size)
{
	struct control_received out;
	control_read(view_of(a->bytes, size), &out);
	return out;
}

static void reads_what_the_kernel_says(void **state)
{
	struct area a = { .used = 0 };
	struct in_pktinfo info = { .ipi_ifindex = 1,
				   .ipi_spec_dst.s_addr = htonl(0x7f000002),
				   .ipi_addr.s_addr = htonl(0x7fffffff) };
	int segment = 1200;
	uint32_t drops = 5;
	struct address local = address_v4(127, 0, 0, 2, 0);
	(void)state;
	append(&a, SOL_SOCKET, SO_TIMESTAMP, "0123456789abcdef", 16); /* not asked for */
	append(&a, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	append(&a, IPPROTO_UDP, UDP_GRO, &segment, sizeof(segment));
	append(&a, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
	struct control_received got = read_area(&a, a.used);
	assert_true(got.has_local_ip);
	assert_memory_equal(got.local_ip, local.ip, sizeof(local.ip));
	assert_int_equal(got.segment_size, segment);
	assert_true(got.has_socket_drops);
	assert_int_equal(got.socket_drops, drops);

	/* Cut anywhere: what is whole counts, the rest does not. */
	size_t info_end = CMSG_SPACE(16) + CMSG_LEN(sizeof(info));
	size_t drops_end = a.used - CMSG_SPACE(sizeof(drops)) + CMSG_LEN(sizeof(drops));
	for (size_t size = 0; size < a.used; size++) {
		assert_int_equal(read_area(&a, size).has_local_ip, size >= info_end);
		assert_int_equal(read_area(&a, size).has_socket_drops, size >= drops_end);
	}
}

static void reads_nothing_beyond_the_first(void **state)
{
	struct area a = { .used = 0 };
	uint32_t drops = 5;
	(void)state;
	append(&a, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
	assert_false(read_area(&a, CMSG_LEN(sizeof(drops)) - 1).has_socket_drops);
	assert_true(read_area(&a, CMSG_LEN(sizeof(drops))).has_socket_drops);
}

static void passes_over_the_unfit(void **state)
{
	struct area a = { .used = 0 };
	struct in6_pktinfo multicast = { .ipi6_addr.s6_addr = { 0xff, 2, [15] = 1 } };
	int negative = -1;
	(void)state;
	append(&a, IPPROTO_IPV6, IPV6_PKTINFO, &multicast, sizeof(multicast));
	append(&a, IPPROTO_UDP, UDP_GRO, &negative, sizeof(negative));
	append(&a, SOL_SOCKET, SO_RXQ_OVFL, "xy", 2);
	append(&a, IPPROTO_IP, IP_PKTINFO, "short", 5);
	struct control_received got = read_area(&a, a.used);
	assert_false(got.has_local_ip);
	assert_int_equal(got.segment_size, 0);
	assert_false(got.has_socket_drops);
}

struct write_row {
	const char *remote, *local;
	uint16_t segment;
	size_t size;
};

static void writes_source_and_segment(void **state)
{
	static const struct write_row rows[] = {
		{ "192.0.2.1:5", NULL, 0, 0 },
		{ "192.0.2.1:5", NULL, 1200, CMSG_SPACE(2) },
		{ "192.0.2.1:5", "192.0.2.9", 0, CMSG_SPACE(sizeof(struct in_pktinfo)) },
		{ "[2001:db8::1]:5", "2001:db8::9", 9,
		  CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(2) },
		{ "192.0.2.1:5", "2001:db8::9", 0, 0 }, /* of the other family */
		{ "[2001:db8::1]:5", "192.0.2.9", 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct path path = { .door = 0 };
		struct address local = { 0 };
		struct area a;
		assert_true(address_parse(rows[i].remote, &path.remote));
		if (rows[i].local != NULL)
			assert_true(address_parse(rows[i].local, &local));
		memcpy(path.local_ip, local.ip, sizeof(local.ip));
		assert_int_equal(control_write(a.bytes, &path, rows[i].segment), rows[i].size);
		size_t alone = rows[i].segment != 0 ? CMSG_SPACE(2) : 0;
		assert_int_equal(control_write(a.bytes, NULL, rows[i].segment), alone);
	}
}

static void names_go_both_ways(void **state)
{
	static const char *const texts[] = { "192.0.2.1:4433", "[2001:db8::1]:65535",
					     "[fe80::1%3]:9" };
	union socket_name name;
	struct address a, b;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_true(address_parse(texts[i], &a));
		socklen_t size = socket_name_write(&name, &a);
		assert_true(socket_name_read(&name, size, &b));
		assert_true(address_equal(&a, &b));
		assert_false(socket_name_read(&name, size - 1, &b));
	}
	name.any.sa_family = AF_UNIX;
	assert_false(socket_name_read(&name, sizeof(name), &b));

	/* The kernel may name a scope for any address; ours have one for link-local only. */
	assert_true(address_parse("[2001:db8::1]:1", &a));
	socklen_t size = socket_name_write(&name, &a);
	name.v6.sin6_scope_id = 7;
	assert_true(socket_name_read(&name, size, &b));
	assert_true(address_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_kernel_says),
		cmocka_unit_test(reads_nothing_beyond_the_first),
		cmocka_unit_test(passes_over_the_unfit),
		cmocka_unit_test(writes_source_and_segment),
		cmocka_unit_test(names_go_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
