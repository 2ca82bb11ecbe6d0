#pragma once
/*
 * UDP sockets as the engines want them, and addresses as the kernel wants them.
 *
 * The sockets are in blocking mode: io_uring would otherwise answer EAGAIN instead of waiting. All
 * other calls on them use MSG_DONTWAIT.
 */
#include <netinet/in.h>

#include "core/address.h"

union socket_name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct udp_socket_options {
	uint32_t receive_buffer_bytes; /* 0: the system's default */
	uint32_t send_buffer_bytes;    /* 0: the system's default */
	bool share_port;               /* SO_REUSEPORT */
	bool want_gro;                 /* a wish: older kernels do without */
	bool want_local_ip;            /* be told with each datagram where it was sent to */
};

/* The kernel's spelling of an address: AF_INET for a v4-mapped one. Returns its size. */
socklen_t socket_name_write(union socket_name *name, const struct address *a);

/* Our spelling of the kernel's. False: not an IP address. The scope is kept for link-local only. */
bool socket_name_read(const union socket_name *name, socklen_t size,
		      struct address *out) MUST_CHECK;

/*
 * Open and bind; the family follows from the address. IPv6 sockets carry IPv6 only. Datagrams are
 * never fragmented: one larger than the interface's MTU meets EMSGSIZE. ICMP has no say in that
 * (IP_PMTUDISC_PROBE), as it can be forged. Returns the descriptor or -errno.
 */
int udp_socket_open(const struct address *bind_to,
		    const struct udp_socket_options *options) MUST_CHECK;

/* What was bound; port 0 on a broken descriptor. */
struct address udp_socket_address(int fd);

/* The receive buffer that the kernel granted, in bytes as asked for (it doubles them). */
uint32_t udp_socket_receive_buffer(int fd);
