#include "bench/histogram.h"

#include <string.h>

enum { STEP_BITS = 6, WORD_BITS = 64 };
_Static_assert(1 << STEP_BITS == HISTOGRAM_STEPS, "a power of two");

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

/* Values below HISTOGRAM_STEPS have a bucket each; from there on the leading STEP_BITS + 1 bits
 * choose one. */
static unsigned bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_STEPS)
		return (unsigned)value;
	unsigned shift = (unsigned)(WORD_BITS - 1 - __builtin_clzll(value)) - STEP_BITS;
	unsigned bucket = shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t last_value_of(unsigned bucket)
{
	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_STEPS - 1;
	uint64_t lead = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
	return ((lead + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->buckets[bucket_of(value)]++;
	if (value > h->max)
		h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	if (h->count == 0)
		return 0;
	double wanted = share * (double)h->count;
	uint64_t seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > 0 && (double)seen >= wanted)
			return i < HISTOGRAM_BUCKETS - 1 && last_value_of(i) < h->max ?
				       last_value_of(i) :
				       h->max;
	}
	return h->max;
}
