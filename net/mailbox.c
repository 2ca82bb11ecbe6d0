#include "net/mailbox.h"

#include <assert.h>
#include <stdlib.h>

#include "core/atomic.h"

enum { CACHE_LINE = 64 };

/*
 * A cell's number tells whose turn it is. At position p (which runs freely, index by mask):
 *
 *   number == p              free: the writer that wins p may fill it
 *   number == p + 1          full: the reader may empty it
 *   number == p + capacity   free for the next round
 *
 * The number is released after the item is copied, and acquired before; that orders the bytes.
 */
struct cell {
	_Atomic size_t number;
	uint8_t item[];
};

struct mailbox {
	/* Immutable after create. */
	uint8_t *cells;
	size_t stride;
	size_t mask;
	struct mailbox_config config;
	/* Atomic: the writers' next position, on a line of its own. */
	_Alignas(CACHE_LINE) _Atomic size_t tail;
	/* Owner: the reader. */
	_Alignas(CACHE_LINE) size_t head;
};

static struct cell *cell_at(const struct mailbox *m, size_t position)
{
	return (struct cell *)(void *)(m->cells + (position & m->mask) * m->stride);
}

struct mailbox *mailbox_create(const struct mailbox_config *config)
{
	size_t capacity = config->capacity;
	assert(capacity >= 2 && (capacity & (capacity - 1)) == 0);
	assert(config->item_size > 0);

	struct mailbox *m = aligned_alloc(CACHE_LINE, sizeof(*m));
	if (m == NULL)
		return NULL;
	size_t align = _Alignof(struct cell);
	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->mask = capacity - 1;
	m->stride = (sizeof(struct cell) + config->item_size + align - 1) & ~(align - 1);
	m->cells = calloc(capacity, m->stride);
	if (m->cells == NULL) {
		free(m);
		return NULL;
	}
	for (size_t i = 0; i < capacity; i++)
		store_relaxed(&cell_at(m, i)->number, i);
	return m;
}

void mailbox_destroy(struct mailbox *m)
{
	if (m == NULL)
		return;
	bytes_wipe(m->cells, (m->mask + 1) * m->stride);
	free(m->cells);
	free(m);
}

bool mailbox_put(struct mailbox *m, const void *item)
{
	size_t position = load_relaxed(&m->tail);
	struct cell *cell;
	for (;;) {
		cell = cell_at(m, position);
		size_t number = load_acquire(&cell->number); /* the reader's release in get */
		if (number == position) {
			if (cas_relaxed(&m->tail, &position, position + 1))
				break;
		} else if ((ptrdiff_t)(number - position) < 0) {
			return false; /* still full from the round before */
		} else {
			position = load_relaxed(&m->tail);
		}
	}
	memcpy(cell->item, item, m->config.item_size);
	store_release(&cell->number, position + 1); /* the reader's acquire in get */
	if (m->config.wake != NULL)
		m->config.wake(m->config.wake_state);
	return true;
}

bool mailbox_get(struct mailbox *m, void *item)
{
	struct cell *cell = cell_at(m, m->head);
	if (load_acquire(&cell->number) != m->head + 1) /* the writer's release in put */
		return false;
	memcpy(item, cell->item, m->config.item_size);
	bytes_wipe(cell->item, m->config.item_size);         /* items may carry keys */
	store_release(&cell->number, m->head + m->mask + 1); /* the writers' acquire in put */
	m->head++;
	return true;
}

size_t mailbox_count(const struct mailbox *m)
{
	return load_relaxed(&m->tail) - m->head;
}
