#pragma once
/* Time as an argument: core/ never reads a clock. */
#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)
#define NEVER UINT64_MAX

struct instant {
	uint64_t mono_ns; /* CLOCK_BOOTTIME: timers, lifetimes */
	uint64_t wall_ns; /* CLOCK_REALTIME since 1970: schedule, validity, timestamps */
};

static inline uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
