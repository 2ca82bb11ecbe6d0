#include "net/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct instant clock_now(void)
{
	return (struct instant){
		.mono_ns = read_ns(CLOCK_BOOTTIME),
		.wall_ns = read_ns(CLOCK_REALTIME),
	};
}
