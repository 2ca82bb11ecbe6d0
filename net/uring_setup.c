#include "net/uring_setup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/instant.h"

enum {
	/* A receive and a cancel for each of 8 sockets, and the wake: never more at once. */
	RING_ENTRIES = 32,
	/* One for each buffer, and as many without a buffer; what overflows the kernel keeps. */
	RING_COMPLETIONS = 512,
	/* The memory of rings just closed is charged to us (RLIMIT_MEMLOCK) for a while longer. */
	MEMORY_TRIES = 20,
	BUFFER_RING_ALIGNMENT = 4096,
};

#define MEMORY_PAUSE_NS (10 * NS_PER_MS)

/* Newer than Debian 12's header: an idle wait is not shown as waiting for a disk. */
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT (1U << 7)

static int call_register(const struct io_uring *ring, unsigned opcode, const void *data,
			 unsigned count)
{
	long result = syscall(__NR_io_uring_register, ring->ring_fd, opcode, data, count);
	return result < 0 ? -errno : 0;
}

/* No registration is allowed later, and no flag of an entry but the choice of a buffer. */
static int restrict_ring(const struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECVMSG },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
		  .sqe_flags = IOSQE_BUFFER_SELECT },
	};
	return call_register(ring, IORING_REGISTER_RESTRICTIONS, allowed,
			     sizeof(allowed) / sizeof(allowed[0]));
}

static int create_ring(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = RING_COMPLETIONS,
	};
	int error = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
	for (int i = 1; error == -ENOMEM && i < MEMORY_TRIES; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = (long)MEMORY_PAUSE_NS }, NULL);
		error = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
	}
	return error;
}

int uring_open(struct io_uring *ring)
{
	int error = create_ring(ring);
	if (error < 0)
		return error;
	error = restrict_ring(ring);
	if (error < 0)
		io_uring_queue_exit(ring);
	return error;
}

int uring_add_buffers(struct io_uring *ring, struct uring_buffers *out, uint32_t count)
{
	assert((count & (count - 1)) == 0);
	size_t size = count * sizeof(struct io_uring_buf);
	size = (size + BUFFER_RING_ALIGNMENT - 1) & ~(size_t)(BUFFER_RING_ALIGNMENT - 1);
	struct io_uring_buf_ring *memory = aligned_alloc(BUFFER_RING_ALIGNMENT, size);
	if (memory == NULL)
		return -ENOMEM;
	memset(memory, 0, size);
	struct io_uring_buf_reg request = {
		.ring_addr = (uint64_t)(uintptr_t)memory,
		.ring_entries = count,
	};
	int error = call_register(ring, IORING_REGISTER_PBUF_RING, &request, 1);
	if (error < 0) {
		free(memory);
		return error;
	}
	io_uring_buf_ring_init(memory);
	*out = (struct uring_buffers){ .ring = memory, .count = count };
	return 0;
}

int uring_enable(struct io_uring *ring)
{
	return call_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

void uring_close(struct io_uring *ring, struct uring_buffers *buffers)
{
	io_uring_queue_exit(ring);
	free(buffers->ring);
	buffers->ring = NULL;
}

int uring_wait(struct io_uring *ring, unsigned wanted, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(timeout_ns / NS_PER_S),
		.tv_nsec = (long long)(timeout_ns % NS_PER_S),
	};
	struct io_uring_getevents_arg argument = {
		.ts = timeout_ns == NEVER ? 0 : (uint64_t)(uintptr_t)&ts,
	};
	unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	if (ring->features & FEATURE_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	long result = syscall(__NR_io_uring_enter, ring->ring_fd, 0, wanted, flags, &argument,
			      sizeof(argument));
	if (result >= 0 || errno == ETIME || errno == EINTR)
		return 0;
	return -errno;
}
