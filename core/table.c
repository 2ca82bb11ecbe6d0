#include "core/table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/numbers.h"

enum {
	CACHE_LINE = 64,
	PREFETCH_LINES = 5, /* all of a session but its replay window */
};

/*
 * An entry is reserved, then published, then removed, then free:
 *
 *     free --reserve--> reserved --publish--> found --remove--> unfound --free--> free
 *                          \____________________free______________________________/
 *
 * `published` alone decides what table_find() sees; it lies apart from the entries, so that a
 * stranger's random slot costs one line of a small array and never touches an entry.
 */
struct table {
	/* Immutable after create. */
	uint8_t *entries; /* aligned to cache lines, in `memory` */
	void *memory;
	size_t entry_size;
	uint32_t slots;

	/* Atomic. */
	_Atomic uint32_t *published; /* by slot: the generation to be found there; 0: none */
	_Atomic uint32_t count;

	/* Owner: the keeper. */
	uint32_t *generations; /* by slot: the latest one; 0: never used */
	struct numbers free_slots;
};

_Static_assert(PREFETCH_LINES *CACHE_LINE >= offsetof(struct session, replay), "all but that");

struct table *table_create(const struct table_config *config)
{
	assert(config->slots > 0);
	assert(config->slots <= SESSIONS_MAX);
	assert(config->entry_size >= sizeof(struct session));

	struct table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->slots = config->slots;
	t->entry_size = (config->entry_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	/* calloc() hands out untouched pages for sizes like these: unused slots cost nothing. */
	t->memory = calloc((size_t)t->slots * t->entry_size + CACHE_LINE, 1);
	t->published = calloc(t->slots, sizeof(*t->published));
	t->generations = calloc(t->slots, sizeof(*t->generations));
	if (!numbers_init(&t->free_slots, t->slots) || t->memory == NULL || t->published == NULL ||
	    t->generations == NULL) {
		table_destroy(t);
		return NULL;
	}
	uintptr_t start = (uintptr_t)t->memory;
	t->entries = (uint8_t *)t->memory + (CACHE_LINE - start % CACHE_LINE) % CACHE_LINE;
	return t;
}

static struct session *entry_of(const struct table *t, uint32_t slot)
{
	return (struct session *)(t->entries + slot * t->entry_size);
}

void table_destroy(struct table *t)
{
	if (t == NULL)
		return;
	for (uint32_t slot = 0; slot < t->free_slots.fresh; slot++)
		bytes_wipe(entry_of(t, slot), t->entry_size);
	numbers_fini(&t->free_slots);
	free(t->generations);
	free(t->published);
	free(t->memory);
	free(t);
}

struct session *table_find(const struct table *t, struct session_id id)
{
	if (id.slot >= t->slots || id.generation == 0)
		return NULL;
	/* Pairs with table_publish(). */
	if (load_acquire(&t->published[id.slot]) != id.generation)
		return NULL;
	return entry_of(t, id.slot);
}

void table_prefetch(const struct table *t, uint32_t slot)
{
	if (slot >= t->slots)
		return;
	const uint8_t *entry = (const uint8_t *)entry_of(t, slot);
	__builtin_prefetch(&t->published[slot]);
	for (size_t line = 0; line < PREFETCH_LINES; line++)
		__builtin_prefetch(entry + line * CACHE_LINE);
}

/* Random at first, so that an id of before a restart finds nothing; then each the next: none
 * comes twice within 2^32 lives of a slot. 0 stands for none. */
static uint32_t next_generation(uint32_t latest, const struct random_source *random)
{
	uint32_t generation = latest + 1;
	if (latest == 0)
		random_fill(random, &generation, sizeof(generation));
	return generation != 0 ? generation : 1;
}

struct session *table_reserve(struct table *t, const struct random_source *random)
{
	uint32_t slot;
	if (!numbers_take(&t->free_slots, &slot))
		return NULL;
	t->generations[slot] = next_generation(t->generations[slot], random);
	struct session *s = entry_of(t, slot);
	s->id = (struct session_id){ .slot = slot, .generation = t->generations[slot] };
	return s;
}

static bool is_taken(const struct table *t, const struct session *s)
{
	return s->id.slot < t->free_slots.fresh && s == entry_of(t, s->id.slot) &&
	       s->id.generation == t->generations[s->id.slot];
}

void table_publish(struct table *t, struct session *s)
{
	assert(is_taken(t, s));
	assert(load_relaxed(&t->published[s->id.slot]) == 0);
	/* All of the entry before its generation; pairs with table_find(). */
	store_release(&t->published[s->id.slot], s->id.generation);
	add_relaxed(&t->count, 1);
}

void table_remove(struct table *t, struct session *s)
{
	assert(is_taken(t, s));
	assert(load_relaxed(&t->published[s->id.slot]) == s->id.generation);
	store_relaxed(&t->published[s->id.slot], 0);
	add_relaxed(&t->count, UINT32_MAX); /* one less */
}

void table_free(struct table *t, struct session *s)
{
	assert(is_taken(t, s));
	assert(load_relaxed(&t->published[s->id.slot]) == 0);
	uint32_t slot = s->id.slot;
	bytes_wipe(s, t->entry_size);
	numbers_give_back(&t->free_slots, slot);
}

uint32_t table_slots(const struct table *t)
{
	return t->slots;
}

uint32_t table_count(const struct table *t)
{
	return load_relaxed(&t->count);
}

struct session *table_next(const struct table *t, uint32_t *cursor)
{
	while (*cursor < t->free_slots.fresh) {
		uint32_t slot = (*cursor)++;
		if (load_relaxed(&t->published[slot]) != 0)
			return entry_of(t, slot);
	}
	return NULL;
}
