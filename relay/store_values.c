#include <assert.h>

#include "relay/store_sqlite.h"

static struct cell value_cell(const char *name)
{
	return (struct cell){
		.table = "value",
		.column = "wrapped",
		.row = view_of(name, strlen(name)),
	};
}

static enum store_status put_value(struct store *s, const struct store_value *value)
{
	const struct cell cell = value_cell(value->name);

	assert(cell.row.size > 0 && cell.row.size <= STORE_NAME_SIZE_MAX);
	struct query q = query_begin(s, "INSERT OR REPLACE INTO value VALUES (?, ?)");
	query_bind_text(&q, value->name);
	query_bind_secret(&q, s, &cell, value->value);
	return query_run(&q);
}

enum store_status store_put_values(struct store *s, const struct store_value *values, size_t count)
{
	enum store_status status = transaction_begin(s);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < count && status == STORE_OK; i++)
		status = put_value(s, &values[i]);
	return transaction_end(s, status);
}

enum store_status store_get_value(struct store *s, const char *name, uint8_t *out, size_t size)
{
	const struct cell cell = value_cell(name);
	struct query q = query_begin(s, "SELECT wrapped FROM value WHERE name = ?");

	memset(out, 0, size);
	query_bind_text(&q, name);
	bool is_there = query_step(&q);
	if (is_there)
		query_take_secret(&q, s, &cell, out, size);
	enum store_status status = query_end(&q);
	if (status != STORE_OK)
		return status;
	return is_there ? STORE_OK : STORE_NOT_FOUND;
}
