#include "relay/id_table.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 256 };

bool id_table_init(struct id_table *t, size_t record_size, uint32_t most)
{
	assert(record_size >= ID_TABLE_ID_SIZE);
	*t = (struct id_table){ .record_size = record_size, .most = most };
	/* Zeros that the system gives: room that is not used costs nothing. */
	t->records = calloc(most, record_size);
	t->places = calloc(CAPACITY_FIRST, sizeof(*t->places));
	t->capacity = CAPACITY_FIRST;
	if (t->records != NULL && t->places != NULL)
		return true;
	id_table_fini(t);
	return false;
}

void id_table_fini(struct id_table *t)
{
	if (t->records != NULL)
		bytes_wipe(t->records, t->count * t->record_size);
	free(t->records);
	free(t->places);
	*t = (struct id_table){ 0 };
}

void *id_table_at(const struct id_table *t, uint32_t number)
{
	assert(number < t->count);
	return t->records + number * t->record_size;
}

static size_t first_place(const struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE])
{
	uint64_t hash;
	memcpy(&hash, id, sizeof(hash));
	return (size_t)hash & (t->capacity - 1);
}

/* The id's place, or the empty one where it belongs. */
static uint32_t *place_of(const struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE])
{
	for (size_t i = first_place(t, id);; i = (i + 1) & (t->capacity - 1)) {
		uint32_t place = t->places[i];
		if (place == 0 || memcmp(id_table_at(t, place - 1), id, ID_TABLE_ID_SIZE) == 0)
			return &t->places[i];
	}
}

static bool grow(struct id_table *t)
{
	if ((size_t)t->count * 4 < t->capacity * 3)
		return true;
	size_t capacity = t->capacity * 2;
	uint32_t *places = calloc(capacity, sizeof(*places));
	if (places == NULL)
		return false;
	free(t->places);
	t->places = places;
	t->capacity = capacity;
	for (uint32_t number = 0; number < t->count; number++)
		*place_of(t, id_table_at(t, number)) = number + 1;
	return true;
}

void *id_table_find(const struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE])
{
	uint32_t place = *place_of(t, id);
	return place != 0 ? id_table_at(t, place - 1) : NULL;
}

void *id_table_need(struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE])
{
	void *record = id_table_find(t, id);
	if (record != NULL)
		return record;
	if (t->count == t->most || !grow(t))
		return NULL;
	uint32_t *place = place_of(t, id);
	*place = ++t->count;
	record = id_table_at(t, *place - 1);
	memcpy(record, id, ID_TABLE_ID_SIZE);
	return record;
}
