#include "core/numbers.h"

#include <assert.h>
#include <stdlib.h>

bool numbers_init(struct numbers *n, uint32_t capacity)
{
	assert(capacity > 0);
	*n = (struct numbers){ .capacity = capacity };
	n->returned = calloc(capacity, sizeof(*n->returned));
	return n->returned != NULL;
}

void numbers_fini(struct numbers *n)
{
	free(n->returned);
	n->returned = NULL;
}

bool numbers_take(struct numbers *n, uint32_t *number)
{
	if (n->fresh < n->capacity) {
		*number = n->fresh++;
		return true;
	}
	if (n->count == 0)
		return false;
	*number = n->returned[n->oldest];
	n->oldest = (n->oldest + 1) % n->capacity;
	n->count--;
	return true;
}

void numbers_give_back(struct numbers *n, uint32_t number)
{
	assert(number < n->fresh);
	assert(n->count < n->fresh);
	/* The sum may pass 2^32 only for a capacity above 2^31, far beyond any table's. */
	n->returned[(n->oldest + n->count) % n->capacity] = number;
	n->count++;
}
