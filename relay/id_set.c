#include "relay/id_set.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

static const uint8_t EMPTY[ID_SIZE];

void id_set_fini(struct id_set *set)
{
	free(set->ids);
	*set = (struct id_set){ 0 };
}

/* The id's place, or the empty one where it belongs. */
static uint8_t *place_of(uint8_t (*ids)[ID_SIZE], size_t capacity, const uint8_t id[ID_SIZE])
{
	uint64_t hash;
	memcpy(&hash, id, sizeof(hash));
	for (size_t i = (size_t)hash & (capacity - 1);; i = (i + 1) & (capacity - 1))
		if (memcmp(ids[i], id, ID_SIZE) == 0 || memcmp(ids[i], EMPTY, ID_SIZE) == 0)
			return ids[i];
}

static bool grow(struct id_set *set)
{
	if (set->count * 4 < set->capacity * 3)
		return true;
	size_t capacity = set->capacity > 0 ? 2 * set->capacity : CAPACITY_FIRST;
	uint8_t(*ids)[ID_SIZE] = calloc(capacity, sizeof(*ids));
	if (ids == NULL)
		return false;
	for (size_t i = 0; i < set->capacity; i++)
		if (memcmp(set->ids[i], EMPTY, ID_SIZE) != 0)
			memcpy(place_of(ids, capacity, set->ids[i]), set->ids[i], ID_SIZE);
	free(set->ids);
	set->ids = ids;
	set->capacity = capacity;
	return true;
}

bool id_set_add(struct id_set *set, const uint8_t id[ID_SIZE])
{
	if (memcmp(id, EMPTY, ID_SIZE) == 0 || id_set_has(set, id))
		return true;
	if (!grow(set))
		return false;
	memcpy(place_of(set->ids, set->capacity, id), id, ID_SIZE);
	set->count++;
	return true;
}

bool id_set_has(const struct id_set *set, const uint8_t id[ID_SIZE])
{
	return set->count > 0 && memcmp(id, EMPTY, ID_SIZE) != 0 &&
	       memcmp(place_of(set->ids, set->capacity, id), id, ID_SIZE) == 0;
}
