#include "net/control_message.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/udp.h>

enum { V4_OFFSET = 12 }; /* of the IPv4 address inside its v4-mapped form */

_Static_assert(CONTROL_RECEIVE_SIZE >=
		       CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)),
	       "packet information, GRO size, drops");
_Static_assert(CONTROL_SEND_SIZE >=
		       CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t)),
	       "packet information, GSO size");

static bool is(const struct cmsghdr *c, int level, int type, size_t size)
{
	return c->cmsg_level == level && c->cmsg_type == type && c->cmsg_len >= CMSG_LEN(size);
}

static void read_v4(const struct cmsghdr *c, struct control_received *out)
{
	struct in_pktinfo info;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	/* ipi_spec_dst, not ipi_addr: ours even when the datagram was broadcast. */
	struct address a = address_v4(0, 0, 0, 0, 0);
	memcpy(a.ip + V4_OFFSET, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
	memcpy(out->local_ip, a.ip, sizeof(a.ip));
	out->has_local_ip = true;
}

static void read_v6(const struct cmsghdr *c, struct control_received *out)
{
	struct in6_pktinfo info;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
		return;
	memcpy(out->local_ip, &info.ipi6_addr, sizeof(out->local_ip));
	out->has_local_ip = true;
}

void control_read(struct view area, struct control_received *out)
{
	struct msghdr message = {
		.msg_control = (void *)(uintptr_t)area.data,
		.msg_controllen = area.size,
	};
	*out = (struct control_received){ 0 };
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		/* The macros promise a whole header, not a whole message. */
		if (c->cmsg_len > (size_t)(area.data + area.size - (const uint8_t *)c))
			return;
		if (is(c, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo))) {
			read_v4(c, out);
		} else if (is(c, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo))) {
			read_v6(c, out);
		} else if (is(c, IPPROTO_UDP, UDP_GRO, sizeof(int))) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			out->segment_size = size > 0 ? (uint32_t)size : 0;
		} else if (is(c, SOL_SOCKET, SO_RXQ_OVFL, sizeof(uint32_t))) {
			memcpy(&out->socket_drops, CMSG_DATA(c), sizeof(out->socket_drops));
			out->has_socket_drops = true;
		}
	}
}

/* Appends one message; returns where the next one goes. */
static size_t put(uint8_t *area, size_t used, const struct cmsghdr *header, const void *data)
{
	size_t size = header->cmsg_len - CMSG_LEN(0);
	assert(used + CMSG_SPACE(size) <= CONTROL_SEND_SIZE);
	memset(area + used, 0, CMSG_SPACE(size));
	memcpy(area + used, header, sizeof(*header));
	memcpy(area + used + CMSG_LEN(0), data, size);
	return used + CMSG_SPACE(size);
}

static size_t put_source_v4(uint8_t *area, const uint8_t *ip)
{
	static const struct cmsghdr header = {
		.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
		.cmsg_level = IPPROTO_IP,
		.cmsg_type = IP_PKTINFO,
	};
	struct in_pktinfo info = { .ipi_ifindex = 0 };
	memcpy(&info.ipi_spec_dst, ip + V4_OFFSET, sizeof(info.ipi_spec_dst));
	return put(area, 0, &header, &info);
}

static size_t put_source_v6(uint8_t *area, const struct path *path)
{
	static const struct cmsghdr header = {
		.cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo)),
		.cmsg_level = IPPROTO_IPV6,
		.cmsg_type = IPV6_PKTINFO,
	};
	/* The scope is set for link-local remotes only, and these need the interface. */
	struct in6_pktinfo info = { .ipi6_ifindex = path->remote.scope };
	memcpy(&info.ipi6_addr, path->local_ip, sizeof(info.ipi6_addr));
	return put(area, 0, &header, &info);
}

static size_t put_source(uint8_t *area, const struct path *path)
{
	struct address local = { 0 };
	memcpy(local.ip, path->local_ip, sizeof(local.ip));
	bool is_v4 = address_is_v4(&path->remote);
	if (!address_is_set(&local) || address_is_v4(&local) != is_v4)
		return 0;
	return is_v4 ? put_source_v4(area, local.ip) : put_source_v6(area, path);
}

size_t control_write(uint8_t area[CONTROL_SEND_SIZE], const struct path *source_or_null,
		     uint16_t segment_size)
{
	static const struct cmsghdr segment_header = {
		.cmsg_len = CMSG_LEN(sizeof(uint16_t)),
		.cmsg_level = IPPROTO_UDP,
		.cmsg_type = UDP_SEGMENT,
	};
	size_t used = source_or_null != NULL ? put_source(area, source_or_null) : 0;
	if (segment_size != 0)
		used = put(area, used, &segment_header, &segment_size);
	return used;
}
