#pragma once
/*
 * Numbers 0 .. capacity-1, given out in order while there are fresh ones and then in the order in
 * which they came back: each is reused as late as possible. Slots of the session table and
 * channel numbers are such numbers.
 *
 * Owner: one thread. No allocation after init; memory of numbers never given back is not touched.
 */
#include "crypto/bytes.h"

struct numbers {
	uint32_t *returned; /* ring of `capacity` */
	uint32_t capacity;
	uint32_t fresh;  /* the lowest that was never given out */
	uint32_t oldest; /* index of the first in `returned` */
	uint32_t count;  /* in `returned` */
};

bool numbers_init(struct numbers *n, uint32_t capacity) MUST_CHECK; /* false: memory */
void numbers_fini(struct numbers *n);

bool numbers_take(struct numbers *n, uint32_t *number) MUST_CHECK; /* false: none left */
void numbers_give_back(struct numbers *n, uint32_t number);
