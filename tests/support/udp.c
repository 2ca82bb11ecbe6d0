#include "tests/support/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"

static socklen_t write_name(struct sockaddr_storage *name, const struct address *a)
{
	memset(name, 0, sizeof(*name));
	if (address_is_v4(a)) {
		struct sockaddr_in *v4 = (void *)name;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		memcpy(&v4->sin_addr, a->ip + 12, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (void *)name;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(a->port);
	v6->sin6_scope_id = a->scope;
	memcpy(&v6->sin6_addr, a->ip, 16);
	return sizeof(*v6);
}

static struct address read_name(const struct sockaddr_storage *name)
{
	if (name->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)name;
		const uint8_t *ip = (const void *)&v4->sin_addr;
		return address_v4(ip[0], ip[1], ip[2], ip[3], ntohs(v4->sin_port));
	}
	const struct sockaddr_in6 *v6 = (const void *)name;
	struct address a = { .port = ntohs(v6->sin6_port) };
	memcpy(a.ip, &v6->sin6_addr, 16);
	return a;
}

int udp_test_try_open(const struct address *bind_to)
{
	struct sockaddr_storage name;
	socklen_t size = write_name(&name, bind_to);
	int fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (bind(fd, (void *)&name, size) == 0)
		return fd;
	close(fd);
	return -1;
}

int udp_test_open(const struct address *bind_to)
{
	int fd = udp_test_try_open(bind_to);
	assert_true(fd >= 0);
	return fd;
}

struct address udp_test_address(int fd)
{
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);
	assert_int_equal(getsockname(fd, (void *)&name, &size), 0);
	return read_name(&name);
}

void udp_test_send(int fd, const struct address *to, const void *data, size_t size)
{
	struct sockaddr_storage name;
	socklen_t name_size = write_name(&name, to);
	ssize_t sent = sendto(fd, data, size, 0, (void *)&name, name_size);
	if (sent != (ssize_t)size)
		fail_msg("sendto: %s", strerror(errno));
}

size_t udp_test_receive(int fd, void *data, size_t capacity, struct address *from)
{
	struct sockaddr_storage name;
	socklen_t name_size = sizeof(name);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	if (poll(&p, 1, UDP_TEST_WAIT_MS) != 1)
		fail_msg("no datagram came");
	ssize_t got = recvfrom(fd, data, capacity, MSG_DONTWAIT, (void *)&name, &name_size);
	if (got < 0)
		fail_msg("recvfrom: %s", strerror(errno));
	if (from != NULL)
		*from = read_name(&name);
	return (size_t)got;
}

bool udp_test_is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) == 0;
}
