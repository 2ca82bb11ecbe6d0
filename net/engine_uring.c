/*
 * The io_uring engine: one multishot receive per socket, all of them into one ring of provided
 * buffers, and a read of the wake descriptor. In steady state a batch costs one system call, and
 * a completion is one train.
 *
 * A multishot receive ends, and is armed again at the next collect, whenever a completion comes
 * without F_MORE: after an empty datagram, after a pending socket error, and when the buffers ran
 * out (what came since waits in the socket).
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/engine_internal.h"
#include "net/uring_setup.h"

_Static_assert(HEAD_HEADER_SIZE == sizeof(struct io_uring_recvmsg_out), "the kernel's layout");

/* How often, and how long each time, to wait for a cancelled receive to end. */
enum { CANCEL_TRIES = 100 };
#define CANCEL_WAIT_NS (20 * NS_PER_MS)

enum uring_op {
	OP_RECEIVE,
	OP_WAKE,
	OP_CANCEL,
	OPS,
};

struct engine_uring {
	struct io_uring ring;
	struct uring_buffers buffers;
	struct msghdr layout; /* of the head of each buffer */
	bool is_enabled;
	pthread_t owner;
	int broken; /* -errno once the ring is of no use */
	uint64_t wake_value;
	bool is_wake_armed;
	bool is_woken; /* it may have come in unwatch: the next wait ends at once */
	bool is_armed[ENGINE_SLOTS];
	uint16_t first_armed; /* moves on: who arms first gets the buffers first */
	int poll_fd;          /* -1 until asked for: see uring_fd() */
};

/* ---- what is asked: {operation, index, generation} ---- */

enum { INDEX_SHIFT = 8, GENERATION_SHIFT = 32 };

static uint64_t user_data(enum uring_op op, uint16_t index, uint32_t generation)
{
	return (uint64_t)op | (uint64_t)index << INDEX_SHIFT |
	       (uint64_t)generation << GENERATION_SHIFT;
}

static struct io_uring_sqe *next_entry(struct engine_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	assert(sqe != NULL); /* RING_ENTRIES covers all that can be asked between two submits */
	return sqe;
}

static void arm_receive(struct engine *e, uint16_t slot)
{
	struct engine_uring *u = e->uring;
	const struct engine_slot *s = &e->slots[slot];
	struct io_uring_sqe *sqe = next_entry(u);
	io_uring_prep_recvmsg_multishot(sqe, s->fd, &u->layout, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	io_uring_sqe_set_data64(sqe, user_data(OP_RECEIVE, slot, s->generation));
	u->is_armed[slot] = true;
}

static void arm_wake(struct engine *e)
{
	struct engine_uring *u = e->uring;
	struct io_uring_sqe *sqe = next_entry(u);
	io_uring_prep_read(sqe, e->wake_fd, &u->wake_value, sizeof(u->wake_value), 0);
	io_uring_sqe_set_data64(sqe, user_data(OP_WAKE, 0, 0));
	u->is_wake_armed = true;
}

static void arm_all(struct engine *e)
{
	struct engine_uring *u = e->uring;
	if (!u->is_wake_armed)
		arm_wake(e);
	for (uint16_t i = 0; i < ENGINE_SLOTS; i++) {
		uint16_t slot = (uint16_t)((u->first_armed + i) % ENGINE_SLOTS);
		if (e->slots[slot].fd >= 0 && !u->is_armed[slot])
			arm_receive(e, slot);
	}
	u->first_armed = (uint16_t)((u->first_armed + 1) % ENGINE_SLOTS);
}

static int submit(struct engine_uring *u)
{
	while (io_uring_sq_ready(&u->ring) > 0) {
		int result = io_uring_submit(&u->ring);
		if (result < 0 && result != -EINTR)
			return result == -EBUSY || result == -EAGAIN ? 0 : result;
	}
	return 0;
}

/* ---- what comes back ---- */

static bool is_current(const struct engine *e, uint16_t slot, uint32_t generation)
{
	return e->slots[slot].fd >= 0 && e->slots[slot].generation == generation;
}

static void take_datagram(struct engine *e, uint16_t slot, uint16_t buffer)
{
	struct io_uring_recvmsg_out out;
	memcpy(&out, engine_buffer(e, buffer), sizeof(out));
	uint32_t payload_max = (uint32_t)e->buffers.payload_max;
	struct received r = {
		.slot = slot,
		.buffer = buffer,
		.name_size = out.namelen,
		.control_size = out.controllen,
		.size = out.payloadlen < payload_max ? out.payloadlen : payload_max,
		.flags = out.flags,
	};
	if (r.control_size > HEAD_CONTROL_SIZE)
		r.flags |= MSG_CTRUNC;
	engine_take(e, &r);
}

/* Errors that come back at each try: the ring or the kernel is not what we think it is. */
static bool is_fatal(int error)
{
	return error == -EINVAL || error == -EBADF || error == -EFAULT || error == -ENOTSOCK ||
	       error == -EACCES || error == -EOPNOTSUPP;
}

static void on_receive(struct engine *e, uint16_t slot, uint32_t generation,
		       const struct io_uring_cqe *cqe)
{
	bool current = is_current(e, slot, generation);
	engine_count(e, rx_calls, 1);
	if (current && !(cqe->flags & IORING_CQE_F_MORE))
		e->uring->is_armed[slot] = false;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		if (current && cqe->res >= HEAD_SIZE) {
			take_datagram(e, slot, buffer);
		} else {
			engine_count(e, rx_no_port, cqe->res >= HEAD_SIZE);
			engine_spend(e, buffer);
		}
	} else if (cqe->res == -ENOBUFS) {
		engine_count(e, rx_no_buffers, 1);
	} else if (current && is_fatal(cqe->res)) {
		e->uring->broken = cqe->res;
	}
}

static void on_wake(struct engine *e, uint16_t index, uint32_t generation,
		    const struct io_uring_cqe *cqe)
{
	(void)index;
	(void)generation;
	e->uring->is_wake_armed = false;
	if (cqe->res < 0 && is_fatal(cqe->res))
		e->uring->broken = cqe->res;
	if (cqe->res > 0) {
		e->uring->is_woken = true;
		engine_woken(e);
	}
}

/* The receive that was cancelled tells its own end. */
static void on_cancel(struct engine *e, uint16_t index, uint32_t generation,
		      const struct io_uring_cqe *cqe)
{
	(void)e;
	(void)index;
	(void)generation;
	(void)cqe;
}

static void (*const ON_DONE[OPS])(struct engine *e, uint16_t index, uint32_t generation,
				  const struct io_uring_cqe *cqe) = {
	[OP_RECEIVE] = on_receive,
	[OP_WAKE] = on_wake,
	[OP_CANCEL] = on_cancel,
};

static void reap(struct engine *e)
{
	struct io_uring *ring = &e->uring->ring;
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		uint64_t data = cqe->user_data;
		uint8_t op = (uint8_t)data, index = (uint8_t)(data >> INDEX_SHIFT);
		assert(op < OPS);
		assert(index < ENGINE_SLOTS);
		ON_DONE[op](e, index, (uint32_t)(data >> GENERATION_SHIFT), cqe);
		count++;
	}
	io_uring_cq_advance(ring, count);
}

/* ---- operations ---- */

static void uring_give_back(struct engine *e, const uint16_t *buffers, size_t count)
{
	struct uring_buffers *b = &e->uring->buffers;
	int mask = io_uring_buf_ring_mask(b->count);
	for (size_t i = 0; i < count; i++)
		io_uring_buf_ring_add(b->ring, engine_buffer(e, buffers[i]),
				      (unsigned)(HEAD_SIZE + e->buffers.payload_max), buffers[i],
				      mask, (int)i);
	io_uring_buf_ring_advance(b->ring, (int)count);
}

static void uring_stop(struct engine *e)
{
	if (e->uring->poll_fd >= 0)
		close(e->uring->poll_fd);
	uring_close(&e->uring->ring, &e->uring->buffers);
	free(e->uring);
	e->uring = NULL;
}

static int uring_start(struct engine *e)
{
	struct engine_uring *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	u->poll_fd = -1;
	u->layout.msg_namelen = HEAD_NAME_SIZE;
	u->layout.msg_controllen = HEAD_CONTROL_SIZE;
	int error = uring_open(&u->ring);
	if (error < 0) {
		free(u);
		return error;
	}
	e->uring = u;
	error = uring_add_buffers(&u->ring, &u->buffers, e->buffers.count);
	if (error < 0) {
		uring_stop(e);
		return error;
	}
	for (uint16_t i = 0; i < e->buffers.count; i++)
		uring_give_back(e, &i, 1);
	return 0;
}

static bool is_owner(const struct engine_uring *u)
{
	return u->is_enabled && pthread_equal(u->owner, pthread_self());
}

/* The first thread that comes here owns the ring. */
static int own(struct engine_uring *u)
{
	if (u->is_enabled) {
		assert(is_owner(u));
		return 0;
	}
	int error = uring_enable(&u->ring);
	if (error < 0)
		return error;
	u->owner = pthread_self();
	u->is_enabled = true;
	return 0;
}

static int poll_too(const struct engine_uring *u, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	if (u->poll_fd < 0)
		return 0;
	return epoll_ctl(u->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int uring_watch(struct engine *e, uint16_t slot)
{
	int error = own(e->uring);
	if (error == 0)
		error = poll_too(e->uring, e->slots[slot].fd);
	if (error < 0)
		return error;
	e->uring->is_armed[slot] = false;
	arm_all(e);
	return submit(e->uring);
}

/*
 * The socket lives, and keeps its port, as long as a receive is in flight: cancel and wait for
 * its end. What came for other sockets meanwhile is queued as always.
 */
static void uring_unwatch(struct engine *e, uint16_t slot)
{
	struct engine_uring *u = e->uring;
	if (u->poll_fd >= 0)
		(void)epoll_ctl(u->poll_fd, EPOLL_CTL_DEL, e->slots[slot].fd, NULL);
	if (!u->is_armed[slot] || !is_owner(u))
		return;
	uint32_t generation = e->slots[slot].generation;
	struct io_uring_sqe *sqe = next_entry(u);
	io_uring_prep_cancel64(sqe, user_data(OP_RECEIVE, slot, generation), 0);
	io_uring_sqe_set_data64(sqe, user_data(OP_CANCEL, slot, generation));
	int error = submit(u);
	for (int i = 0; error == 0 && u->is_armed[slot] && i < CANCEL_TRIES; i++) {
		if (io_uring_cq_ready(&u->ring) == 0)
			error = uring_wait(&u->ring, 1, CANCEL_WAIT_NS);
		reap(e);
	}
	u->is_armed[slot] = false;
}

static int uring_collect(struct engine *e, uint64_t timeout_ns)
{
	struct engine_uring *u = e->uring;
	int error = own(u);
	if (error < 0)
		return error;
	arm_all(e);
	error = submit(u);
	bool may_wait = timeout_ns > 0 && !u->is_woken;
	if (error == 0 && io_uring_cq_ready(&u->ring) == 0)
		error = uring_wait(&u->ring, may_wait ? 1 : 0, timeout_ns);
	engine_count(e, wakeups, 1);
	reap(e);
	u->is_woken = false;
	return error < 0 ? error : u->broken;
}

/*
 * The ring's own descriptor will not do: with DEFER_TASKRUN a poll() that has begun is not woken
 * by what comes later. So this one watches the sockets and the wake descriptor themselves, for
 * those who ask for it.
 */
static int uring_fd(const struct engine *e)
{
	struct engine_uring *u = e->uring;
	if (u->poll_fd >= 0)
		return u->poll_fd;
	u->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	int error = u->poll_fd < 0 ? -errno : poll_too(u, e->wake_fd);
	for (size_t slot = 0; slot < ENGINE_SLOTS && error == 0; slot++)
		if (e->slots[slot].fd >= 0)
			error = poll_too(u, e->slots[slot].fd);
	if (error == 0)
		return u->poll_fd;
	if (u->poll_fd >= 0)
		close(u->poll_fd);
	u->poll_fd = -1;
	return error;
}

const struct engine_kind_ops engine_uring_ops = {
	.kind = ENGINE_URING,
	.start = uring_start,
	.stop = uring_stop,
	.watch = uring_watch,
	.unwatch = uring_unwatch,
	.collect = uring_collect,
	.give_back = uring_give_back,
	.fd = uring_fd,
};
