#include "bench/sockets.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/instant.h"
#include "net/control_message.h"
#include "net/udp_socket.h"

enum {
	EVENTS = 256,
	PLAIN_BUFFERS = 64,
	PLAIN_SIZE = 2048,
	GRO_BUFFERS = 16,
	GRO_SIZE = 65536,
	PER_CALL = 8, /* datagrams or trains taken from one socket at a time */
	ARRIVALS_MAX = 4096,
	SEGMENTS_LEAST = GRO_SIZE / (ARRIVALS_MAX / GRO_BUFFERS),
	SOCKET_BUFFER = 1 << 20,
	DESCRIPTORS_SPARE = 64,
	/* What the engines get, and the time of arrival. */
	CONTROL_SIZE = CONTROL_RECEIVE_SIZE + CMSG_SPACE(sizeof(struct timespec)),
};

struct sockets {
	int *fds;
	uint32_t count, capacity;
	bool want_gro;
	int epoll;
	/* Readable ones not yet looked at. */
	struct epoll_event events[EVENTS];
	int event_count, event_next;
	uint8_t *memory;
	size_t buffers, buffer_size;
	struct mmsghdr messages[PLAIN_BUFFERS];
	struct iovec vectors[PLAIN_BUFFERS];
	uint8_t control[PLAIN_BUFFERS][CONTROL_SIZE] __attribute__((aligned(8)));
	struct arrival arrivals[ARRIVALS_MAX];
};

struct sockets *sockets_create(const struct sockets_config *config)
{
	struct sockets *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->capacity = config->capacity;
	s->want_gro = config->want_gro;
	s->buffers = config->want_gro ? GRO_BUFFERS : PLAIN_BUFFERS;
	s->buffer_size = config->want_gro ? GRO_SIZE : PLAIN_SIZE;
	s->fds = calloc(s->capacity, sizeof(*s->fds));
	s->memory = malloc(s->buffers * s->buffer_size);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->fds != NULL && s->memory != NULL && s->epoll >= 0)
		return s;
	sockets_destroy(s);
	return NULL;
}

void sockets_destroy(struct sockets *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		close(s->fds[i]);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s->fds);
	free(s->memory);
	free(s);
}

int sockets_connect(struct sockets *s, uint32_t index, const struct address *remote)
{
	union socket_name name;
	socklen_t size = socket_name_write(&name, remote);
	return connect(s->fds[index], &name.any, size) == 0 ? 0 : -errno;
}

int sockets_add(struct sockets *s, const struct address *local, const struct address *remote)
{
	const struct udp_socket_options options = {
		.receive_buffer_bytes = SOCKET_BUFFER,
		.send_buffer_bytes = SOCKET_BUFFER,
		.want_gro = s->want_gro,
	};
	struct address any = address_v4(0, 0, 0, 0, 0);
	if (s->count == s->capacity)
		return -ENOSPC;
	int fd = udp_socket_open(address_is_set(local) ? local : &any, &options);
	if (fd < 0)
		return fd;
	int yes = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes));
	uint32_t index = s->count;
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
	s->fds[s->count++] = fd;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	int error = address_is_set(remote) ? sockets_connect(s, index, remote) : 0;
	return error < 0 ? error : (int)index;
}

struct address sockets_local(const struct sockets *s, uint32_t index)
{
	return udp_socket_address(s->fds[index]);
}

int sockets_send(struct sockets *s, uint32_t index, struct iovec *datagrams, size_t count,
		 size_t segment_size)
{
	uint8_t control[CONTROL_SEND_SIZE] = { 0 };
	struct msghdr message = { .msg_iov = datagrams, .msg_iovlen = count };
	if (count > 1) {
		message.msg_control = control;
		message.msg_controllen = control_write(control, NULL, (uint16_t)segment_size);
	}
	for (;;) {
		if (sendmsg(s->fds[index], &message, MSG_DONTWAIT) >= 0)
			return 0;
		/* ECONNREFUSED is the answer to an earlier datagram, told once. */
		if (errno != EINTR && errno != ECONNREFUSED)
			return -errno;
	}
}

/* ---- receiving --------------------------------------------------------------------------- */

static void prepare(struct sockets *s, size_t index)
{
	s->vectors[index] = (struct iovec){
		.iov_base = s->memory + index * s->buffer_size,
		.iov_len = s->buffer_size,
	};
	s->messages[index].msg_hdr = (struct msghdr){
		.msg_iov = &s->vectors[index],
		.msg_iovlen = 1,
		.msg_control = s->control[index],
		.msg_controllen = sizeof(s->control[index]),
	};
}

static uint64_t ns_of(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * NS_PER_S + (uint64_t)ts->tv_nsec;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ns_of(&ts);
}

/* How long ago the kernel had the message: what waits for us in a socket is not the relay's
 * affair. The kernel says it by the wall clock. 0: it said nothing. */
static uint64_t age_ns(const struct mmsghdr *m, uint64_t wall_ns)
{
	struct msghdr head = m->msg_hdr;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c != NULL; c = CMSG_NXTHDR(&head, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		struct timespec ts;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return wall_ns > ns_of(&ts) ? wall_ns - ns_of(&ts) : 0;
	}
	return 0;
}

/* The datagrams of one message, as arrivals. */
static size_t split(struct sockets *s, size_t index, uint32_t socket, size_t used)
{
	const struct mmsghdr *m = &s->messages[index];
	uint64_t came_ns = clock_ns(CLOCK_MONOTONIC) - age_ns(m, clock_ns(CLOCK_REALTIME));
	struct control_received control;
	control_read(view_of(s->control[index], m->msg_hdr.msg_controllen), &control);
	uint32_t segment = control.segment_size > 0 ? control.segment_size : m->msg_len;
	if (segment < SEGMENTS_LEAST && control.segment_size > 0 &&
	    m->msg_len / segment > ARRIVALS_MAX / GRO_BUFFERS)
		return used; /* never: GRO joins 64 at most */
	for (uint32_t at = 0; at < m->msg_len; at += segment)
		s->arrivals[used++] = (struct arrival){
			.data = (uint8_t *)m->msg_hdr.msg_iov->iov_base + at,
			.size = segment < m->msg_len - at ? segment : m->msg_len - at,
			.socket = socket,
			.came_ns = came_ns,
		};
	return used;
}

static void wait_for_more(struct sockets *s, uint64_t timeout_ns)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (long)(timeout_ns % NS_PER_S),
	};
	s->event_next = 0;
	s->event_count = epoll_pwait2(s->epoll, s->events, EVENTS, &ts, NULL);
}

size_t sockets_receive(struct sockets *s, uint64_t timeout_ns, struct arrival **arrivals)
{
	size_t buffer = 0, used = 0;
	*arrivals = s->arrivals;
	if (s->event_next >= s->event_count)
		wait_for_more(s, timeout_ns);
	while (s->event_next < s->event_count && buffer < s->buffers) {
		uint32_t socket = s->events[s->event_next++].data.u32;
		size_t room = s->buffers - buffer;
		unsigned wanted = (unsigned)(room < PER_CALL ? room : PER_CALL);
		for (size_t i = 0; i < wanted; i++)
			prepare(s, buffer + i);
		int got =
			recvmmsg(s->fds[socket], s->messages + buffer, wanted, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++)
			used = split(s, buffer + (size_t)i, socket, used);
		buffer += got > 0 ? (size_t)got : 0;
	}
	return used;
}

uint32_t sockets_raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DESCRIPTORS_SPARE;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return (uint32_t)(limit.rlim_cur < UINT16_MAX ? limit.rlim_cur : UINT16_MAX) -
	       DESCRIPTORS_SPARE;
}
