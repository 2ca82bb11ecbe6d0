/* The epoll engine: wait, then one recvmmsg for each socket that has something. */
#include "net/engine_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	WAKE = ENGINE_SLOTS, /* stands for the wake descriptor among the slots */
	EVENTS = ENGINE_SLOTS + 1,
	/* A pending socket error (an ICMP message that came back) is told instead of a datagram,
	 * and is then over: read on. */
	ERRORS_PASSED_OVER = 4,
};

struct engine_epoll {
	int fd;
	bool has_ns_wait; /* epoll_pwait2 */
	uint32_t free_count;
	uint16_t free[SMALL_BUFFERS];
	struct mmsghdr messages[SMALL_BUFFERS];
	struct iovec payloads[SMALL_BUFFERS];
};
_Static_assert(SMALL_BUFFERS >= (int)LARGE_BUFFERS, "arrays fit both sizes");

static int watch_fd(struct engine *e, int fd, uint32_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = tag };
	return epoll_ctl(e->epoll->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void epoll_stop(struct engine *e)
{
	if (e->epoll == NULL)
		return;
	if (e->epoll->fd >= 0)
		close(e->epoll->fd);
	free(e->epoll);
	e->epoll = NULL;
}

static int epoll_start(struct engine *e)
{
	struct engine_epoll *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	e->epoll = p;
	p->has_ns_wait = true;
	p->free_count = e->buffers.count;
	for (uint16_t i = 0; i < p->free_count; i++)
		p->free[i] = i;
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	int error = p->fd < 0 ? -errno : watch_fd(e, e->wake_fd, WAKE);
	if (error < 0)
		epoll_stop(e);
	return error;
}

static int epoll_watch(struct engine *e, uint16_t slot)
{
	return watch_fd(e, e->slots[slot].fd, slot);
}

static void epoll_unwatch(struct engine *e, uint16_t slot)
{
	(void)epoll_ctl(e->epoll->fd, EPOLL_CTL_DEL, e->slots[slot].fd, NULL);
}

static void epoll_give_back(struct engine *e, const uint16_t *buffers, size_t count)
{
	struct engine_epoll *p = e->epoll;
	assert(p->free_count + count <= e->buffers.count);
	memcpy(p->free + p->free_count, buffers, count * sizeof(*buffers));
	p->free_count += (uint32_t)count;
}

/* ---- receiving ---- */

static void prepare(struct engine *e, uint32_t count)
{
	struct engine_epoll *p = e->epoll;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *buffer = engine_buffer(e, p->free[p->free_count - 1 - i]);
		p->payloads[i] = (struct iovec){
			.iov_base = buffer + HEAD_SIZE,
			.iov_len = e->buffers.payload_max,
		};
		p->messages[i].msg_hdr = (struct msghdr){
			.msg_name = buffer + HEAD_HEADER_SIZE,
			.msg_namelen = HEAD_NAME_SIZE,
			.msg_control = buffer + HEAD_HEADER_SIZE + HEAD_NAME_SIZE,
			.msg_controllen = HEAD_CONTROL_SIZE,
			.msg_iov = &p->payloads[i],
			.msg_iovlen = 1,
		};
	}
}

static void receive_some(struct engine *e, uint16_t slot, uint32_t count)
{
	struct engine_epoll *p = e->epoll;
	int got = -1;
	prepare(e, count);
	for (int i = 0; got < 0 && i < ERRORS_PASSED_OVER; i++) {
		got = recvmmsg(e->slots[slot].fd, p->messages, count, MSG_DONTWAIT, NULL);
		engine_count(e, rx_calls, 1);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
	}
	for (int i = 0; i < got; i++) {
		const struct mmsghdr *m = &p->messages[i];
		struct received r = {
			.slot = slot,
			.buffer = p->free[--p->free_count],
			.name_size = m->msg_hdr.msg_namelen,
			.control_size = (uint32_t)m->msg_hdr.msg_controllen,
			.size = m->msg_len,
			.flags = (uint32_t)m->msg_hdr.msg_flags,
		};
		engine_take(e, &r);
	}
}

/* Some old seccomp profiles answer EPERM to a system call that they do not know. */
static int wait_events(struct engine *e, struct epoll_event *events, uint64_t timeout_ns)
{
	struct engine_epoll *p = e->epoll;
	if (p->has_ns_wait) {
		struct timespec ts = {
			.tv_sec = (time_t)(timeout_ns / NS_PER_S),
			.tv_nsec = (long)(timeout_ns % NS_PER_S),
		};
		const struct timespec *limit = timeout_ns == NEVER ? NULL : &ts;
		int got = epoll_pwait2(p->fd, events, EVENTS, limit, NULL);
		if (got >= 0 || (errno != ENOSYS && errno != EPERM))
			return got >= 0 ? got : -errno;
		p->has_ns_wait = false;
	}
	uint64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
	int timeout_ms = timeout_ns == NEVER ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
	int got = epoll_wait(p->fd, events, EVENTS, timeout_ms);
	return got >= 0 ? got : -errno;
}

static void read_wake(struct engine *e)
{
	uint64_t value;
	ssize_t got = read(e->wake_fd, &value, sizeof(value));
	assert(got == (ssize_t)sizeof(value));
	engine_woken(e);
}

static int epoll_collect(struct engine *e, uint64_t timeout_ns)
{
	struct epoll_event events[EVENTS];
	int ready = wait_events(e, events, timeout_ns);
	engine_count(e, wakeups, 1);
	if (ready < 0)
		return ready == -EINTR ? 0 : ready;
	for (int i = 0; i < ready; i++) {
		if (events[i].data.u32 == WAKE) {
			read_wake(e);
			continue;
		}
		/* An equal share of what is left, so that a busy port starves no other. */
		uint32_t share = e->epoll->free_count / (uint32_t)(ready - i);
		receive_some(e, (uint16_t)events[i].data.u32, share);
	}
	return 0;
}

static int epoll_fd(const struct engine *e)
{
	return e->epoll->fd;
}

const struct engine_kind_ops engine_epoll_ops = {
	.kind = ENGINE_EPOLL,
	.start = epoll_start,
	.stop = epoll_stop,
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.collect = epoll_collect,
	.give_back = epoll_give_back,
	.fd = epoll_fd,
};
