#include "net/train.h"

#include <assert.h>
#include <stdlib.h>

bool train_queue_init(struct train_queue *q, uint32_t capacity)
{
	assert((capacity & (capacity - 1)) == 0);
	*q = (struct train_queue){ .capacity = capacity };
	q->trains = calloc(capacity, sizeof(*q->trains));
	return q->trains != NULL;
}

void train_queue_fini(struct train_queue *q)
{
	free(q->trains);
	q->trains = NULL;
}

void train_queue_put(struct train_queue *q, const struct train *t)
{
	assert(q->tail - q->head < q->capacity);
	q->trains[q->tail++ & (q->capacity - 1)] = *t;
}

struct train *train_queue_first(struct train_queue *q)
{
	assert(!train_queue_is_empty(q));
	return &q->trains[q->head & (q->capacity - 1)];
}

void train_queue_drop_first(struct train_queue *q)
{
	assert(!train_queue_is_empty(q));
	q->head++;
}

size_t train_hand_out(struct train *t, struct packet *packets, size_t capacity)
{
	size_t count = 0;
	while (count < capacity && t->size > 0) {
		uint32_t size = t->size < t->segment_size ? t->size : t->segment_size;
		packets[count++] = (struct packet){
			.data = t->data,
			.size = size,
			.path = t->path,
		};
		t->data += size;
		t->size -= size;
	}
	return count;
}
