#include "core/rate_limit.h"

#include <assert.h>
#include <stdlib.h>

enum {
	PREFIX_SIZE_HOST = 16, /* v4-mapped: all of it */
	PREFIX_SIZE_NET = 8,
	PREFIX_SIZE_SITE = 6,
};

struct entry {
	uint64_t prefix;  /* hashed */
	uint64_t full_ns; /* when it is full again; in the past: a free place */
};

/* A bucket of `burst` tokens, each of which takes token_ns to come back. */
struct allowance {
	uint64_t token_ns;
	uint64_t burst_ns;
};

struct rate_limit {
	struct hash_seed seed;
	struct allowance near; /* /32 and /64 */
	struct allowance site; /* /48 */
	uint32_t mask;         /* of sets */
	struct entry entries[];
};

static struct allowance allowance_of(uint32_t rate_per_s, uint32_t burst)
{
	uint64_t token_ns = NS_PER_S / rate_per_s;
	return (struct allowance){ .token_ns = token_ns, .burst_ns = token_ns * burst };
}

struct rate_limit *rate_limit_create(const struct rate_limit_config *config,
				     const struct random_source *random)
{
	uint32_t sets = config->entries / RATE_WAYS;

	assert(sets > 0);
	assert((config->entries & (config->entries - 1)) == 0);
	assert(config->rate_per_s > 0 && config->rate_per_s <= NS_PER_S / RATE_SITE_FACTOR);
	assert(config->burst > 0);
	struct rate_limit *r = calloc(1, sizeof *r + config->entries * sizeof(struct entry));
	if (r == NULL)
		return NULL;
	r->seed = hash_seed_make(random);
	r->near = allowance_of(config->rate_per_s, config->burst);
	r->site = allowance_of(config->rate_per_s * RATE_SITE_FACTOR,
			       config->burst * RATE_SITE_FACTOR);
	r->mask = sets - 1;
	return r;
}

void rate_limit_destroy(struct rate_limit *r)
{
	free(r);
}

/* Prefixes of different sizes are different things, also where their bytes agree: the hash
 * covers the size. */
static struct entry *find(struct rate_limit *r, const uint8_t *ip, size_t prefix_size,
			  uint64_t now_ns)
{
	uint64_t hash = keyed_hash(&r->seed, view_of(ip, prefix_size));
	struct entry *set = &r->entries[(hash & r->mask) * RATE_WAYS];
	struct entry *free_place = NULL;

	for (size_t i = 0; i < RATE_WAYS; i++) {
		if (set[i].full_ns <= now_ns)
			free_place = &set[i];
		else if (set[i].prefix == hash)
			return &set[i];
	}
	if (free_place != NULL)
		*free_place = (struct entry){ .prefix = hash, .full_ns = now_ns };
	return free_place;
}

static bool has_token(const struct entry *e, const struct allowance *a, uint64_t now_ns)
{
	return e != NULL && e->full_ns - now_ns <= a->burst_ns - a->token_ns;
}

bool rate_limit_take(struct rate_limit *r, const struct address *address, uint64_t now_ns)
{
	bool is_v4 = address_is_v4(address);
	struct entry *near =
		find(r, address->ip, is_v4 ? PREFIX_SIZE_HOST : PREFIX_SIZE_NET, now_ns);

	if (!has_token(near, &r->near, now_ns))
		return false;
	if (!is_v4) {
		/* Marks `near` as in use first, so that both cannot get one place. */
		near->full_ns += r->near.token_ns;
		struct entry *site = find(r, address->ip, PREFIX_SIZE_SITE, now_ns);
		if (!has_token(site, &r->site, now_ns)) {
			near->full_ns -= r->near.token_ns;
			return false;
		}
		site->full_ns += r->site.token_ns;
		return true;
	}
	near->full_ns += r->near.token_ns;
	return true;
}
