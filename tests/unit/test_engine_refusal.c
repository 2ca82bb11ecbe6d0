/* What the system may refuse: the ring, other operations on it, large packets, a full buffer; and
 * address kinds that the loopback of the test's own network does not have. All in children. */
#include "net/engine.h"

#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/instant.h"
#include "net/engine_internal.h"
#include "net/uring_setup.h"
#include "tests/support/child.h"
#include "tests/support/engine.h"
#include "tests/support/test.h"

enum { DOOR = 7, SMALL_MTU = 1500, FRAME = 4000 };

static struct packet batch[ENGINE_BATCH_MAX];

static void expect_child(int (*run)(const void *argument), const void *argument)
{
	int code = child_run(run, argument);
	if (code == CHILD_SKIP) {
		print_message("SKIPPED: not allowed here\n");
		skip();
	}
	assert_int_equal(code, 0);
}

/* ---- a ring refused ---- */

static int fall_back(const void *argument)
{
	int error = *(const int *)argument;
	struct engine *e;
	if (!child_refuse_call(__NR_io_uring_setup, error))
		return CHILD_SKIP;
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = ENGINE_URING }) == -error);
	CHILD_CHECK(e == NULL);
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = ENGINE_AUTO }) == 0);
	CHILD_CHECK(engine_kind(e) == ENGINE_EPOLL);
	CHILD_CHECK(engine_refusal(e) == error);
	struct engine_port port = { .bind_v4 = address_v4(127, 0, 0, 1, 0) };
	CHILD_CHECK(engine_open_port(e, &port) == 0);
	CHILD_CHECK(engine_receive(e, batch, 1, 0) == 0);
	engine_destroy(e);
	return 0;
}

static int do_not_fall_back(const void *argument)
{
	int error = *(const int *)argument;
	struct engine *e;
	if (!child_refuse_call(__NR_io_uring_setup, error))
		return CHILD_SKIP;
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = ENGINE_AUTO }) == -error);
	return 0;
}

static void falls_back_to_epoll(void **state)
{
	static const int errors[] = { EPERM, ENOSYS, EACCES, ENOMEM, EINVAL };
	static const int other = EMFILE;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		expect_child(fall_back, &errors[i]);
	expect_child(do_not_fall_back, &other);
}

/* The same where the ring is made but cannot be restricted. */
static int refuse_restrictions(const void *argument)
{
	struct engine *e;
	(void)argument;
	if (!child_refuse_call(__NR_io_uring_register, EINVAL))
		return CHILD_SKIP;
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = ENGINE_AUTO }) == 0);
	CHILD_CHECK(engine_kind(e) == ENGINE_EPOLL);
	CHILD_CHECK(engine_refusal(e) != 0);
	engine_destroy(e);
	return 0;
}

static void never_runs_unrestricted(void **state)
{
	(void)state;
	expect_child(refuse_restrictions, NULL);
}

/* A seccomp profile from before epoll_pwait2: waits are rounded up to milliseconds, and end. */
static int wait_in_ms(const void *argument)
{
	struct engine *e;
	if (!child_refuse_call(__NR_epoll_pwait2, *(const int *)argument))
		return CHILD_SKIP;
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = ENGINE_EPOLL }) == 0);
	CHILD_CHECK(engine_receive(e, batch, 1, 1) == 0);
	engine_wake(e);
	CHILD_CHECK(engine_receive(e, batch, 1, NEVER) == 0);
	engine_wake(e);
	CHILD_CHECK(engine_receive(e, batch, 1, NEVER - 1) == 0);
	engine_destroy(e);
	return 0;
}

static void waits_without_epoll_pwait2(void **state)
{
	static const int errors[] = { ENOSYS, EPERM };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		expect_child(wait_in_ms, &errors[i]);
}

/* ---- operations refused by the ring ---- */

/* Returns the result of one entry with this operation and these flags. */
static int try_operation(struct io_uring *ring, uint8_t op, uint8_t flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	assert_true(sqe != NULL);
	io_uring_prep_rw(op, sqe, -1, NULL, 0, 0);
	sqe->flags = flags;
	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	int result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static void ring_refuses_other_operations(void **state)
{
	static const uint8_t refused[] = {
		IORING_OP_NOP,      IORING_OP_OPENAT,    IORING_OP_WRITE,    IORING_OP_READV,
		IORING_OP_SENDMSG,  IORING_OP_SEND,      IORING_OP_RECV,     IORING_OP_CONNECT,
		IORING_OP_ACCEPT,   IORING_OP_SOCKET,    IORING_OP_CLOSE,    IORING_OP_SPLICE,
		IORING_OP_MSG_RING, IORING_OP_URING_CMD, IORING_OP_UNLINKAT, IORING_OP_POLL_ADD,
	};
	struct io_uring ring;
	struct uring_buffers buffers;
	(void)state;
	int error = uring_open(&ring);
	if (error < 0) {
		print_message("SKIPPED: the system refuses a ring: %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(uring_add_buffers(&ring, &buffers, 2), 0);
	assert_int_equal(uring_enable(&ring), 0);
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		assert_int_equal(try_operation(&ring, refused[i], 0), -EACCES);
	assert_int_equal(try_operation(&ring, IORING_OP_READ, IOSQE_ASYNC), -EACCES);
	/* What is allowed comes further, and fails for having no descriptor and no buffer. */
	assert_int_not_equal(try_operation(&ring, IORING_OP_READ, 0), -EACCES);
	assert_int_not_equal(try_operation(&ring, IORING_OP_RECVMSG, 0), -EACCES);
	assert_int_not_equal(try_operation(&ring, IORING_OP_ASYNC_CANCEL, 0), -EACCES);
	/* No registration, and no lifting of the restrictions. */
	int fd = 0;
	assert_int_equal(io_uring_register_files(&ring, &fd, 1), -EACCES);
	assert_true(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_RESTRICTIONS,
			    NULL, 0) < 0);
	uring_close(&ring, &buffers);
}

/* ---- sends refused ---- */

static int open_engine(const struct engine_variant *v, struct engine **e, struct engine_port *port)
{
	struct engine_config config = { .kind = v->kind, .want_gro = v->gro };
	struct address at = engine_test_loopback(v);
	*port = (struct engine_port){ .door = DOOR };
	*(v->v6 ? &port->bind_v6 : &port->bind_v4) = at;
	int error = engine_create(e, &config);
	return error < 0 ? error : engine_open_port(*e, port);
}

/*
 * Goal:   packets above the MTU are dropped and counted, in a train or singly; GSO stays in use,
 *         as it is not at fault; what fits passes.
 */
static int send_above_mtu(const void *argument)
{
	static uint8_t frames[6][FRAME];
	static const uint32_t sizes[6] = { 2000, 2000, 2000, 1400, 1400, 3000 };
	const struct engine_variant *v = argument;
	struct packet packets[6];
	struct engine *e;
	struct engine_port port;
	if (!child_unshare_network(SMALL_MTU))
		return CHILD_SKIP;
	CHILD_CHECK(open_engine(v, &e, &port) == 0);
	struct path path = { .remote = engine_test_loopback(v), .door = DOOR };
	path.remote.port = port.port; /* to itself */
	for (size_t i = 0; i < 6; i++)
		packets[i] = (struct packet){ .data = frames[i], .size = sizes[i], .path = path };
	engine_send(e, packets, 6);
	CHILD_CHECK(COUNTER(e, tx_refused) == 4);
	CHILD_CHECK(COUNTER(e, tx_packets) == 2);
	CHILD_CHECK(e->slots[v->v6 ? 1 : 0].gso_paused_until_ns == 0);
	int got = engine_receive(e, batch, 1, UDP_TEST_WAIT_MS * NS_PER_MS);
	CHILD_CHECK(got == 1 && batch[0].size == 1400);
	CHILD_CHECK(engine_receive(e, batch, 1, UDP_TEST_WAIT_MS * NS_PER_MS) == 1);
	engine_destroy(e);
	return 0;
}

static void drops_above_mtu(const struct engine_variant *v)
{
	expect_child(send_above_mtu, v);
}

static int send_to_full_buffer(const void *argument)
{
	const struct engine_variant *v = argument;
	struct packet packets[10];
	struct engine *e;
	struct engine_port port;
	uint8_t byte = 0;
	CHILD_CHECK(open_engine(v, &e, &port) == 0);
	if (!child_refuse_call(__NR_sendmmsg, EAGAIN))
		return CHILD_SKIP;
	struct path path = { .remote = engine_test_loopback(v), .door = DOOR };
	path.remote.port = port.port;
	for (size_t i = 0; i < COUNT_OF(packets); i++)
		packets[i] = (struct packet){ .data = &byte, .size = 1, .path = path };
	engine_send(e, packets, COUNT_OF(packets));
	CHILD_CHECK(COUNTER(e, tx_would_block) == COUNT_OF(packets));
	CHILD_CHECK(COUNTER(e, tx_calls) == 1);
	engine_destroy(e);
	return 0;
}

static void drops_when_the_buffer_is_full(const struct engine_variant *v)
{
	expect_child(send_to_full_buffer, v);
}

/* ---- addresses that the loopback does not have ---- */

/* True once it can be used: the kernel takes a moment even on a loopback interface. */
static bool can_bind_v6(const struct address *a)
{
	union socket_name name;
	socklen_t size = socket_name_write(&name, a);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = bind(fd, &name.any, size);
	for (int i = 0; result < 0 && errno == EADDRNOTAVAIL && i < UDP_TEST_WAIT_MS; i++) {
		poll(NULL, 0, 1);
		result = bind(fd, &name.any, size);
	}
	close(fd);
	return result == 0;
}

static bool add_v6(const struct address *a)
{
	struct in6_ifreq request = { .ifr6_prefixlen = 64, .ifr6_ifindex = 1 };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&request.ifr6_addr, a->ip, sizeof(a->ip));
	bool done = fd >= 0 && ioctl(fd, SIOCSIFADDR, &request) == 0;
	close(fd);
	return done && can_bind_v6(a);
}

/* Who asks a second or a link-local address is answered from there. */
static int answer_from(const void *argument)
{
	const struct engine_variant *v = argument;
	static const char *const texts[] = { "2001:db8::2", "2001:db8::3", "fe80::5%1" };
	struct engine *e;
	struct engine_port port = { .door = DOOR };
	if (!child_unshare_network(SMALL_MTU))
		return CHILD_SKIP;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct address a;
		CHILD_CHECK(address_parse(texts[i], &a) && add_v6(&a));
	}
	CHILD_CHECK(engine_create(&e, &(struct engine_config){ .kind = v->kind,
							       .want_gro = v->gro }) == 0);
	port.any_v6 = true;
	CHILD_CHECK(engine_open_port(e, &port) == 0);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct address asked, from;
		char answer[4];
		CHILD_CHECK(address_parse(texts[i], &asked));
		int client = udp_test_open(&asked);
		asked.port = port.port;
		udp_test_send(client, &asked, "who", 3);
		CHILD_CHECK(engine_receive(e, batch, 1, UDP_TEST_WAIT_MS * NS_PER_MS) == 1);
		CHILD_CHECK(memcmp(batch[0].path.local_ip, asked.ip, sizeof(asked.ip)) == 0);
		CHILD_CHECK(batch[0].path.remote.scope == asked.scope);
		engine_send(e, batch, 1);
		CHILD_CHECK(udp_test_receive(client, answer, sizeof(answer), &from) == 3);
		from.scope = asked.scope;
		CHILD_CHECK(address_equal(&from, &asked));
		close(client);
	}
	engine_destroy(e);
	return 0;
}

static void answers_from_many_v6_addresses(const struct engine_variant *v)
{
	if (v->v6)
		expect_child(answer_from, v);
}

int main(void)
{
	static const struct CMUnitTest once[] = {
		cmocka_unit_test(falls_back_to_epoll),
		cmocka_unit_test(never_runs_unrestricted),
		cmocka_unit_test(waits_without_epoll_pwait2),
		cmocka_unit_test(ring_refuses_other_operations),
	};
	static const struct engine_test tests[] = {
		ENGINE_TEST(drops_above_mtu),
		ENGINE_TEST(drops_when_the_buffer_is_full),
		ENGINE_TEST(answers_from_many_v6_addresses),
	};
	int failed = cmocka_run_group_tests(once, NULL, NULL);
	return failed + engine_test_run(tests, COUNT_OF(tests));
}
