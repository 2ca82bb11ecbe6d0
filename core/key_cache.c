#include "core/key_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "core/session.h"

/*
 * A mark holds what must agree besides the session's id: direction, epoch, and some bits of the
 * key itself, so that a session made later under the same id does not meet an earlier one's key.
 */
enum {
	MARK_EPOCH_SHIFT = 1,
	MARK_EPOCH_MASK = 3,
	MARK_OTHER_BITS = 7,
};
#define MARK_OCCUPIED (UINT32_C(1) << 31)

struct set {
	uint64_t id[KEY_CACHE_WAYS];
	uint32_t mark[KEY_CACHE_WAYS]; /* 0: empty */
	uint32_t used[KEY_CACHE_WAYS]; /* clock of the latest use */
};
_Static_assert(sizeof(struct set) == 64, "one cache line");

struct key_cache {
	const struct packet_cipher *cipher;
	struct set *sets;
	uint8_t *memory;  /* of the keys */
	uint8_t *keys;    /* KEY_CACHE_WAYS for each set, PACKET_KEY_STRIDE apart */
	size_t set_count; /* a power of two */
	uint32_t clock;
};

static uint8_t *align(uint8_t *memory)
{
	size_t beyond = (uintptr_t)memory % PACKET_KEY_ALIGN;
	return beyond == 0 ? memory : memory + PACKET_KEY_ALIGN - beyond;
}

struct key_cache *key_cache_create(const struct packet_cipher *cipher, size_t entries)
{
	struct key_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->cipher = cipher;
	/* One session's two directions lie in two sets: at least that many. */
	c->set_count = 2;
	while (c->set_count * KEY_CACHE_WAYS < entries)
		c->set_count *= 2;
	c->sets = aligned_alloc(sizeof(*c->sets), c->set_count * sizeof(*c->sets));
	/* Zeros that the system gives: a large cache takes memory only as sessions come. */
	c->memory = calloc(1, c->set_count * KEY_CACHE_WAYS * PACKET_KEY_STRIDE + PACKET_KEY_ALIGN);
	if (c->sets == NULL || c->memory == NULL) {
		free(c->sets);
		free(c->memory);
		free(c);
		return NULL;
	}
	memset(c->sets, 0, c->set_count * sizeof(*c->sets));
	c->keys = align(c->memory);
	return c;
}

void key_cache_destroy(struct key_cache *c)
{
	if (c == NULL)
		return;
	key_cache_erase_all(c);
	free(c->sets);
	free(c->memory);
	free(c);
}

const struct packet_cipher *key_cache_cipher(const struct key_cache *c)
{
	return c->cipher;
}

static struct set *set_of(const struct key_cache *c, uint64_t id, enum key_direction direction)
{
	/* Slots are given out in order: spread them by Fibonacci hashing. */
	uint64_t spread = id * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	return &c->sets[(spread ^ direction) & (c->set_count - 1)];
}

static void *key_of(const struct key_cache *c, const struct set *set, size_t way)
{
	size_t index = (size_t)(set - c->sets) * KEY_CACHE_WAYS + way;
	return c->keys + index * PACKET_KEY_STRIDE;
}

static const uint8_t *raw_key(const struct session *s, unsigned epoch, enum key_direction direction)
{
	const struct session_epoch *e = &s->epochs[epoch % EPOCHS_LIVE];
	return direction == KEY_SEND ? e->send.key : e->receive.key;
}

static uint32_t mark_of(const uint8_t *key, unsigned epoch, enum key_direction direction)
{
	uint32_t bits;
	memcpy(&bits, key, sizeof(bits));
	return MARK_OCCUPIED | (bits & ~(uint32_t)MARK_OTHER_BITS) |
	       (epoch & MARK_EPOCH_MASK) << MARK_EPOCH_SHIFT | direction;
}

/* KEY_CACHE_WAYS where it is not there. */
static size_t find(const struct set *set, uint64_t id, uint32_t mark)
{
	size_t way = 0;
	while (way < KEY_CACHE_WAYS && (set->id[way] != id || set->mark[way] != mark))
		way++;
	return way;
}

static void evict(struct key_cache *c, struct set *set, size_t way)
{
	if (set->mark[way] == 0)
		return;
	c->cipher->erase(key_of(c, set, way));
	set->mark[way] = 0;
}

static size_t least_recently_used(const struct key_cache *c, const struct set *set)
{
	size_t oldest = 0;
	for (size_t way = 0; way < KEY_CACHE_WAYS; way++) {
		if (set->mark[way] == 0)
			return way;
		if (c->clock - set->used[way] > c->clock - set->used[oldest])
			oldest = way;
	}
	return oldest;
}

void *key_cache_get(struct key_cache *c, const struct session *s, unsigned epoch,
		    enum key_direction direction)
{
	uint64_t id = session_id_pack(s->id);
	const uint8_t *key = raw_key(s, epoch, direction);
	uint32_t mark = mark_of(key, epoch, direction);
	struct set *set = set_of(c, id, direction);

	c->clock++;
	size_t way = find(set, id, mark);
	if (way == KEY_CACHE_WAYS) {
		way = least_recently_used(c, set);
		evict(c, set, way);
		if (!c->cipher->expand(key_of(c, set, way), key))
			return NULL;
		set->id[way] = id;
		set->mark[way] = mark;
	}
	set->used[way] = c->clock;
	return key_of(c, set, way);
}

void key_cache_prefetch(const struct key_cache *c, const struct session *s, unsigned epoch,
			enum key_direction direction)
{
	uint64_t id = session_id_pack(s->id);
	const struct set *set = set_of(c, id, direction);
	size_t way = find(set, id, mark_of(raw_key(s, epoch, direction), epoch, direction));

	if (way == KEY_CACHE_WAYS)
		return;
	/* Into the second-level cache: a few keys would push each other out of the first. */
	const uint8_t *key = key_of(c, set, way);
	for (size_t at = 0; at < PACKET_KEY_SIZE; at += PACKET_KEY_ALIGN)
		__builtin_prefetch(key + at, 0, 2);
}

void key_cache_erase_all(struct key_cache *c)
{
	for (size_t i = 0; i < c->set_count; i++)
		for (size_t way = 0; way < KEY_CACHE_WAYS; way++)
			evict(c, &c->sets[i], way);
}

void key_cache_erase(struct key_cache *c, const struct session *s)
{
	uint64_t id = session_id_pack(s->id);

	for (int direction = KEY_SEND; direction <= KEY_RECEIVE; direction++) {
		struct set *set = set_of(c, id, (enum key_direction)direction);
		for (size_t way = 0; way < KEY_CACHE_WAYS; way++)
			if (set->id[way] == id)
				evict(c, set, way);
	}
}
