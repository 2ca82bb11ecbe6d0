#include "core/directory.h"

#include <assert.h>
#include <stdlib.h>

enum { BITS = 64 };

enum index_kind { BY_DEVICE, BY_PEER, BY_NAME, INDEX_COUNT };

/* One way to look up: buckets of doubly linked lists of slots. `links` of a slot that is not
 * in the index are undefined. */
struct links {
	uint32_t next;
	uint32_t previous; /* DIRECTORY_NONE: the bucket's head */
};

struct index {
	uint32_t *heads;
	struct links *links;
};

struct directory {
	struct hash_seed seed;
	uint32_t slots;
	uint32_t buckets; /* power of two */
	struct index indexes[INDEX_COUNT];
	uint64_t *used;     /* a bit for each bucket of BY_PEER that holds something */
	uint8_t *announced; /* a flag for each slot */
	struct directory_record *records;
};

static const uint8_t ZEROS[PEER_ID_SIZE];

static bool index_create(struct index *index, uint32_t slots, uint32_t buckets)
{
	index->heads = malloc(buckets * sizeof *index->heads);
	index->links = malloc(slots * sizeof *index->links);
	if (index->heads == NULL || index->links == NULL)
		return false;
	memset(index->heads, 0xff, buckets * sizeof *index->heads); /* DIRECTORY_NONE */
	return true;
}

struct directory *directory_create(uint32_t slots, const struct random_source *random)
{
	assert(slots > 0 && slots <= SESSIONS_MAX);
	struct directory *d = calloc(1, sizeof *d);
	if (d == NULL)
		return NULL;
	d->seed = hash_seed_make(random);
	d->slots = slots;
	for (d->buckets = BITS; d->buckets < slots; d->buckets *= 2)
		;
	d->used = calloc(d->buckets / BITS, sizeof *d->used);
	d->announced = calloc(slots, sizeof *d->announced);
	d->records = calloc(slots, sizeof *d->records);
	bool is_made = d->used != NULL && d->announced != NULL && d->records != NULL;
	for (size_t i = 0; i < INDEX_COUNT; i++)
		is_made = index_create(&d->indexes[i], slots, d->buckets) && is_made;
	if (is_made)
		return d;
	directory_destroy(d);
	return NULL;
}

void directory_destroy(struct directory *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		free(d->indexes[i].heads);
		free(d->indexes[i].links);
	}
	free(d->used);
	free(d->announced);
	free(d->records);
	free(d);
}

/* ---- one index ------------------------------------------------------------------------- */

static struct view id_at(const struct directory *d, enum index_kind kind, uint32_t slot)
{
	const struct directory_record *record = &d->records[slot];

	switch (kind) {
	case BY_DEVICE: return VIEW(record->device);
	case BY_PEER: return VIEW(record->peer);
	default: return VIEW(record->name_tag);
	}
}

static uint32_t bucket_of(const struct directory *d, struct view id)
{
	return (uint32_t)keyed_hash(&d->seed, id) & (d->buckets - 1);
}

static void link_slot(struct directory *d, enum index_kind kind, uint32_t slot)
{
	struct index *index = &d->indexes[kind];
	uint32_t bucket = bucket_of(d, id_at(d, kind, slot));
	uint32_t head = index->heads[bucket];

	index->links[slot] = (struct links){ .next = head, .previous = DIRECTORY_NONE };
	if (head != DIRECTORY_NONE)
		index->links[head].previous = slot;
	index->heads[bucket] = slot;
	if (kind == BY_PEER)
		d->used[bucket / BITS] |= UINT64_C(1) << bucket % BITS;
}

static void unlink_slot(struct directory *d, enum index_kind kind, uint32_t slot)
{
	struct index *index = &d->indexes[kind];
	struct links *links = &index->links[slot];

	if (links->next != DIRECTORY_NONE)
		index->links[links->next].previous = links->previous;
	if (links->previous != DIRECTORY_NONE) {
		index->links[links->previous].next = links->next;
		return;
	}
	uint32_t bucket = bucket_of(d, id_at(d, kind, slot));
	assert(index->heads[bucket] == slot);
	index->heads[bucket] = links->next;
	if (kind == BY_PEER && links->next == DIRECTORY_NONE)
		d->used[bucket / BITS] &= ~(UINT64_C(1) << bucket % BITS);
}

/* The first of `slot` and those behind it that has this id. */
static uint32_t find_from(const struct directory *d, enum index_kind kind, uint32_t slot,
			  const void *id)
{
	for (; slot != DIRECTORY_NONE; slot = d->indexes[kind].links[slot].next) {
		struct view own = id_at(d, kind, slot);
		if (memcmp(own.data, id, own.size) == 0)
			return slot;
	}
	return DIRECTORY_NONE;
}

static uint32_t find(const struct directory *d, enum index_kind kind, struct view id)
{
	uint32_t head = d->indexes[kind].heads[bucket_of(d, id)];
	return find_from(d, kind, head, id.data);
}

static uint32_t find_next(const struct directory *d, enum index_kind kind, uint32_t slot)
{
	assert(slot < d->slots);
	return find_from(d, kind, d->indexes[kind].links[slot].next, id_at(d, kind, slot).data);
}

/* ---- sessions come and go --------------------------------------------------------------- */

void directory_enter(struct directory *d, uint32_t slot, const struct directory_record *record)
{
	assert(slot < d->slots);
	assert(!d->announced[slot]);
	d->records[slot] = *record;
	link_slot(d, BY_DEVICE, slot);
}

static bool has_name(const struct directory *d, uint32_t slot)
{
	return !bytes_equal(d->records[slot].name_tag, ZEROS, NAME_TAG_SIZE);
}

void directory_announce(struct directory *d, uint32_t slot)
{
	assert(slot < d->slots);
	assert(!d->announced[slot]);
	d->announced[slot] = true;
	link_slot(d, BY_PEER, slot);
	if (has_name(d, slot))
		link_slot(d, BY_NAME, slot);
}

void directory_remove(struct directory *d, uint32_t slot)
{
	assert(slot < d->slots);
	unlink_slot(d, BY_DEVICE, slot);
	if (d->announced[slot]) {
		unlink_slot(d, BY_PEER, slot);
		if (has_name(d, slot))
			unlink_slot(d, BY_NAME, slot);
	}
	d->announced[slot] = false;
	memset(&d->records[slot], 0, sizeof d->records[slot]);
}

const struct directory_record *directory_record(const struct directory *d, uint32_t slot)
{
	assert(slot < d->slots);
	return &d->records[slot];
}

bool directory_is_announced(const struct directory *d, uint32_t slot)
{
	assert(slot < d->slots);
	return d->announced[slot];
}

/* ---- questions -------------------------------------------------------------------------- */

uint32_t directory_find_device(const struct directory *d, const uint8_t device[DEVICE_ID_SIZE])
{
	return find(d, BY_DEVICE, view_of(device, DEVICE_ID_SIZE));
}

uint32_t directory_next_device(const struct directory *d, uint32_t slot)
{
	return find_next(d, BY_DEVICE, slot);
}

uint32_t directory_find_name(const struct directory *d, const uint8_t name_tag[NAME_TAG_SIZE])
{
	if (bytes_equal(name_tag, ZEROS, NAME_TAG_SIZE))
		return DIRECTORY_NONE;
	return find(d, BY_NAME, view_of(name_tag, NAME_TAG_SIZE));
}

uint32_t directory_next_name(const struct directory *d, uint32_t slot)
{
	return find_next(d, BY_NAME, slot);
}

uint32_t directory_find_peer(const struct directory *d, const uint8_t peer[PEER_ID_SIZE])
{
	return find(d, BY_PEER, view_of(peer, PEER_ID_SIZE));
}

/* The smallest peer id of the bucket above `after` (NULL: of all), of equals the newest slot. */
static uint32_t smallest_above(const struct directory *d, uint32_t bucket, const uint8_t *after)
{
	const struct index *index = &d->indexes[BY_PEER];
	uint32_t best = DIRECTORY_NONE;

	for (uint32_t slot = index->heads[bucket]; slot != DIRECTORY_NONE;
	     slot = index->links[slot].next) {
		const uint8_t *peer = d->records[slot].peer;
		if (after != NULL && memcmp(peer, after, PEER_ID_SIZE) <= 0)
			continue;
		if (best == DIRECTORY_NONE || memcmp(peer, d->records[best].peer, PEER_ID_SIZE) < 0)
			best = slot;
	}
	return best;
}

/* The first bucket at or behind `bucket` that holds something; d->buckets: none. */
static uint32_t used_from(const struct directory *d, uint32_t bucket)
{
	while (bucket < d->buckets) {
		uint64_t rest = d->used[bucket / BITS] >> bucket % BITS;
		if (rest != 0)
			return bucket + (uint32_t)__builtin_ctzll(rest);
		bucket += BITS - bucket % BITS;
	}
	return d->buckets;
}

uint32_t directory_next_peer(const struct directory *d, const uint8_t after[PEER_ID_SIZE])
{
	uint32_t bucket = 0;

	if (memcmp(after, ZEROS, PEER_ID_SIZE) != 0) {
		bucket = bucket_of(d, view_of(after, PEER_ID_SIZE));
		uint32_t slot = smallest_above(d, bucket, after);
		if (slot != DIRECTORY_NONE)
			return slot;
		bucket++;
	}
	bucket = used_from(d, bucket);
	return bucket < d->buckets ? smallest_above(d, bucket, NULL) : DIRECTORY_NONE;
}
