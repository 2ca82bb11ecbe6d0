#include "core/seen.h"

#include <assert.h>
#include <stdlib.h>

struct bucket {
	uint64_t ids[SEEN_WAYS]; /* hashed; 0: none */
	uint32_t next;           /* the oldest, replaced next */
};

struct seen {
	struct hash_seed seed;
	uint32_t mask;
	struct bucket buckets[];
};

struct seen *seen_create(uint32_t capacity, const struct random_source *random)
{
	uint32_t count = capacity / SEEN_WAYS;

	assert(count > 0);
	assert((capacity & (capacity - 1)) == 0);
	struct seen *s = calloc(1, sizeof *s + count * sizeof(struct bucket));
	if (s == NULL)
		return NULL;
	s->seed = hash_seed_make(random);
	s->mask = count - 1;
	return s;
}

void seen_destroy(struct seen *s)
{
	free(s);
}

/* Never 0, which marks an empty place. */
static uint64_t hash_of(const struct seen *s, uint64_t id)
{
	le64 bytes = store_le64(id);
	uint64_t hash = keyed_hash(&s->seed, VIEW(bytes.b));
	return hash != 0 ? hash : 1;
}

bool seen_has(const struct seen *s, uint64_t id)
{
	uint64_t hash = hash_of(s, id);
	const struct bucket *bucket = &s->buckets[hash & s->mask];

	for (size_t i = 0; i < SEEN_WAYS; i++)
		if (bucket->ids[i] == hash)
			return true;
	return false;
}

void seen_add(struct seen *s, uint64_t id)
{
	uint64_t hash = hash_of(s, id);
	struct bucket *bucket = &s->buckets[hash & s->mask];

	if (seen_has(s, id))
		return;
	bucket->ids[bucket->next] = hash;
	bucket->next = (bucket->next + 1) % SEEN_WAYS;
}
