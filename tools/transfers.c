#include "tools/transfers.h"

#include <stddef.h>

#include "tools/safe_text.h"

struct transfer *transfers_find(struct transfers *t, uint32_t number)
{
	for (size_t i = 0; i < TRANSFERS_MAX && number != 0; i++)
		if (t->list[i].number == number)
			return &t->list[i];
	return NULL;
}

struct transfer *transfers_add(struct transfers *t, uint32_t number, const char *name)
{
	struct transfer *found = transfers_find(t, number);
	if (found != NULL)
		return found;
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		if (t->list[i].number != 0)
			continue;
		t->list[i] = (struct transfer){ .number = number };
		safe_text_line(name, t->list[i].name, FILE_LABEL_SIZE);
		return &t->list[i];
	}
	return NULL;
}

void transfers_remove(struct transfers *t, uint32_t number)
{
	struct transfer *found = transfers_find(t, number);
	if (found != NULL)
		found->number = 0;
}

/* Numbers rise: the lowest is the oldest. */
struct transfer *transfers_oldest_offer(struct transfers *t)
{
	struct transfer *oldest = NULL;
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *one = &t->list[i];
		if (one->number == 0 || one->is_outgoing || one->is_accepted)
			continue;
		if (oldest == NULL || one->number < oldest->number)
			oldest = one;
	}
	return oldest;
}

struct transfer *transfers_running(struct transfers *t)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (t->list[i].number != 0 && (t->list[i].is_outgoing || t->list[i].is_accepted))
			return &t->list[i];
	return NULL;
}
