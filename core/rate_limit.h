#pragma once
/*
 * Rate limit: token buckets per address prefix, in a table of fixed size. An IPv4 address has a
 * bucket of its own (/32); an IPv6 address shares one with its /64 and, RATE_SITE_FACTOR times
 * as large, one with its /48: a site has 65536 times a /64 to call from.
 *
 * A bucket is kept as the time at which it will be full again. One that is full says nothing
 * that a new one would not say, so its place is free. Where all places of a set hold buckets in
 * use, new prefixes of that set are refused: flooding the table never resets a limit. Prefixes
 * are hashed under a key of ours, so nobody chooses the set.
 *
 * Owner: one thread. rate_limit_create() alone allocates.
 */
#include "core/address.h"
#include "core/instant.h"
#include "core/keyed_hash.h"

enum {
	RATE_WAYS = 8,
	RATE_SITE_FACTOR = 8, /* a /48 may do that many times what a /64 may */
};

struct rate_limit;

struct rate_limit_config {
	uint32_t entries; /* a power of two, at least RATE_WAYS */
	uint32_t rate_per_s;
	uint32_t burst; /* at least 1 */
};

/* NULL: memory. */
struct rate_limit *rate_limit_create(const struct rate_limit_config *config,
				     const struct random_source *random) MUST_CHECK;
void rate_limit_destroy(struct rate_limit *r);

/* Take one token for `address` from every bucket that it shares; false: one of them is empty,
 * and none was touched. */
bool rate_limit_take(struct rate_limit *r, const struct address *address,
		     uint64_t now_ns) MUST_CHECK;
