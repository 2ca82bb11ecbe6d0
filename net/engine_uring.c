/* The io_uring engine: not there yet; ENGINE_AUTO falls back to epoll. */
#include <errno.h>

#include "net/engine_internal.h"

static int uring_start(struct engine *e)
{
	(void)e;
	return -ENOSYS;
}

const struct engine_kind_ops engine_uring_ops = { .kind = ENGINE_URING, .start = uring_start };
