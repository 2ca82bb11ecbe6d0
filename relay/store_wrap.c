#include <assert.h>
#include <stdio.h>

#include "relay/store_sqlite.h"

enum { AAD_SIZE_MAX = 128 };

/* table | column | row: a wrapped secret that was moved in the database does not open. */
static struct view cell_aad(const struct cell *cell, uint8_t aad[AAD_SIZE_MAX])
{
	int head = snprintf((char *)aad, AAD_SIZE_MAX, "%s|%s|", cell->table, cell->column);
	size_t size = (size_t)head + cell->row.size;

	assert(size <= AAD_SIZE_MAX);
	memcpy(aad + head, cell->row.data, cell->row.size);
	return view_of(aad, size);
}

void store_wrap(struct store *s, const struct cell *cell, struct view secret, uint8_t *out)
{
	uint8_t aad[AAD_SIZE_MAX];

	random_fill(&s->random, out, AEAD_NONCE_SIZE);
	aead_seal(s->wrap_key, out, cell_aad(cell, aad), secret, out + AEAD_NONCE_SIZE);
}

bool store_unwrap(struct store *s, const struct cell *cell, struct view wrapped, uint8_t *out,
		  size_t size)
{
	uint8_t aad[AAD_SIZE_MAX];

	if (wrapped.size != size + WRAP_OVERHEAD) {
		memset(out, 0, size);
		return false;
	}
	struct view sealed =
		view_of(wrapped.data + AEAD_NONCE_SIZE, wrapped.size - AEAD_NONCE_SIZE);
	return aead_open(s->wrap_key, wrapped.data, cell_aad(cell, aad), sealed, out);
}

void query_bind_secret(struct query *q, struct store *s, const struct cell *cell,
		       struct view secret)
{
	uint8_t wrapped[WRAPPED_SIZE_MAX];

	assert(secret.size <= STORE_VALUE_SIZE_MAX);
	store_wrap(s, cell, secret, wrapped);
	query_bind_blob(q, view_of(wrapped, secret.size + WRAP_OVERHEAD));
}

void query_take_secret(struct query *q, struct store *s, const struct cell *cell, uint8_t *out,
		       size_t size)
{
	struct view wrapped = query_take_view(q);

	if (wrapped.size == 0)
		memset(out, 0, size);
	else if (!store_unwrap(s, cell, wrapped, out, size))
		q->is_bad = true;
}
