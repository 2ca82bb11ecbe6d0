/*
 * Preloaded into a program: the time of day is $CLOCK_SHIFT_S seconds off, as on a computer whose
 * clock is wrong. Clocks that measure spans stay right.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
	const char *shift = getenv("CLOCK_SHIFT_S");
	int result = (int)syscall(SYS_clock_gettime, clock, out);
	if (result == 0 && clock == CLOCK_REALTIME && shift != NULL)
		out->tv_sec += strtol(shift, NULL, 10);
	return result;
}
