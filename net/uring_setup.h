#pragma once
/*
 * Making a ring: created disabled, restricted to the operations that the engine uses, and enabled
 * by the thread that will own it. Seccomp cannot see what is asked of a ring, so the ring itself
 * refuses everything else (EACCES), even to code that got hold of it.
 *
 *   uring_open()         any thread
 *   uring_add_buffers()  any thread, before enabling
 *   uring_enable()       the owner; from then on nobody else may submit or wait
 *   uring_close()
 */
#include <liburing.h>

#include "crypto/bytes.h"

struct uring_buffers {
	struct io_uring_buf_ring *ring;
	uint32_t count; /* power of two */
};

/* Errors: -EPERM, -ENOSYS, -EACCES where rings are refused; -EINVAL for a kernel before 6.1. */
int uring_open(struct io_uring *ring) MUST_CHECK;

/* A ring of `count` provided buffers, group 0, empty. */
int uring_add_buffers(struct io_uring *ring, struct uring_buffers *out, uint32_t count) MUST_CHECK;

int uring_enable(struct io_uring *ring) MUST_CHECK;

/* What is still in flight is cancelled in the background; the engine cancels it before. */
void uring_close(struct io_uring *ring, struct uring_buffers *buffers);

/*
 * Wait for `wanted` completions (0: only run what the kernel has put off) or the timeout. Returns 0
 * or -errno; that the time is up, or that a signal came, is no error.
 */
int uring_wait(struct io_uring *ring, unsigned wanted, uint64_t timeout_ns) MUST_CHECK;
