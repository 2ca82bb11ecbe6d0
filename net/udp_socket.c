#include "net/udp_socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t V4_MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

socklen_t socket_name_write(union socket_name *name, const struct address *a)
{
	if (address_is_v4(a)) {
		name->v4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(a->port),
		};
		memcpy(&name->v4.sin_addr, a->ip + sizeof(V4_MAPPED), sizeof(name->v4.sin_addr));
		return sizeof(name->v4);
	}
	name->v6 = (struct sockaddr_in6){
		.sin6_family = AF_INET6,
		.sin6_port = htons(a->port),
		.sin6_scope_id = a->scope,
	};
	memcpy(&name->v6.sin6_addr, a->ip, sizeof(a->ip));
	return sizeof(name->v6);
}

bool socket_name_read(const union socket_name *name, socklen_t size, struct address *out)
{
	*out = (struct address){ 0 };
	if (size >= sizeof(name->v4) && name->any.sa_family == AF_INET) {
		memcpy(out->ip, V4_MAPPED, sizeof(V4_MAPPED));
		memcpy(out->ip + sizeof(V4_MAPPED), &name->v4.sin_addr, sizeof(name->v4.sin_addr));
		out->port = ntohs(name->v4.sin_port);
		return true;
	}
	if (size >= sizeof(name->v6) && name->any.sa_family == AF_INET6) {
		memcpy(out->ip, &name->v6.sin6_addr, sizeof(out->ip));
		out->port = ntohs(name->v6.sin6_port);
		if (IN6_IS_ADDR_LINKLOCAL(&name->v6.sin6_addr))
			out->scope = name->v6.sin6_scope_id;
		return true;
	}
	return false;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/* Above the system's limit only the privileged variant helps; else take what is given. */
static void size_buffer(int fd, int forced, int plain, uint32_t bytes)
{
	if (bytes == 0)
		return;
	int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
	if (set_option(fd, SOL_SOCKET, forced, value) < 0)
		(void)set_option(fd, SOL_SOCKET, plain, value);
}

static int set_family_options(int fd, bool is_v4, bool want_local_ip)
{
	int error;
	if (is_v4) {
		error = set_option(fd, IPPROTO_IP, IP_PKTINFO, want_local_ip);
		if (error == 0)
			error = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
		return error;
	}
	error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (error == 0)
		error = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, want_local_ip);
	if (error == 0)
		error = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	return error;
}

static int configure(int fd, bool is_v4, const struct udp_socket_options *options)
{
	int error = set_family_options(fd, is_v4, options->want_local_ip);
	if (error == 0 && options->share_port)
		error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (error < 0)
		return error;
	size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options->receive_buffer_bytes);
	size_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options->send_buffer_bytes);
	(void)set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (options->want_gro)
		(void)set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
	return 0;
}

int udp_socket_open(const struct address *bind_to, const struct udp_socket_options *options)
{
	bool is_v4 = address_is_v4(bind_to);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	union socket_name name;
	socklen_t size = socket_name_write(&name, bind_to);
	int error = configure(fd, is_v4, options);
	if (error == 0 && bind(fd, &name.any, size) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

struct address udp_socket_address(int fd)
{
	union socket_name name;
	socklen_t size = sizeof(name);
	struct address a;
	if (getsockname(fd, &name.any, &size) < 0 || !socket_name_read(&name, size, &a))
		return (struct address){ 0 };
	return a;
}

uint32_t udp_socket_receive_buffer(int fd)
{
	int value = 0;
	socklen_t size = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &size) < 0 || value < 0)
		return 0;
	return (uint32_t)value / 2;
}
