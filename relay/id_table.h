#pragma once
/*
 * Records by 16-byte ids that are hashes (device ids): each record begins with its id. They lie
 * one behind the other in the order in which they came, in memory that is taken as they come; what
 * is looked through is an index of 4 bytes a place. So a million of them cost their own size and
 * 8 bytes each. Records stay where they are and as long as the table. Not thread-safe.
 */
#include "crypto/bytes.h"

enum { ID_TABLE_ID_SIZE = 16 };

struct id_table {
	uint8_t *records; /* room for `most`, zeroed */
	size_t record_size;
	uint32_t count, most;
	uint32_t *places; /* open addressing, doubled when 3/4 full: number of a record + 1 */
	size_t capacity;  /* power of two */
};

/* False: memory, and nothing was taken. */
bool id_table_init(struct id_table *t, size_t record_size, uint32_t most) MUST_CHECK;
void id_table_fini(struct id_table *t); /* wipes */

/* NULL: not there. */
void *id_table_find(const struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE]);
/* Find or make, zeroed but for its id. NULL: full, or no memory. */
void *id_table_need(struct id_table *t, const uint8_t id[ID_TABLE_ID_SIZE]) MUST_CHECK;
/* By number, 0 to count - 1. */
void *id_table_at(const struct id_table *t, uint32_t number);
