#pragma once
/*
 * Histogram of durations with a resolution of 1.6 % at any size (the layout of an HDR histogram):
 * 64 steps for each power of two. Values above the last bucket are counted in it.
 *
 * Pure; no allocation. Owner: one thread.
 */
#include <stdint.h>

enum {
	HISTOGRAM_STEPS = 64,  /* per power of two */
	HISTOGRAM_POWERS = 36, /* up to 2^41 ns, half an hour */
	HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * HISTOGRAM_POWERS,
};

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);

/* The smallest value that `share` (0 to 1) of all values do not exceed, rounded up to the end of
 * its bucket, but never above the largest value. 0: empty. */
uint64_t histogram_quantile(const struct histogram *h, double share);
