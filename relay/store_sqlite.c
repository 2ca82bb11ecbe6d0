#include "relay/store_sqlite.h"

#include <assert.h>

const char *store_status_text(enum store_status status)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		STORE_STATUSES(X)
#undef X
	};
	return texts[status];
}

enum store_status store_status_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return STORE_OK;
	case SQLITE_CONSTRAINT: return STORE_EXISTS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA: return STORE_DAMAGED;
	case SQLITE_FULL: return STORE_NO_SPACE;
	case SQLITE_NOMEM: return STORE_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return STORE_IN_USE;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY: return STORE_REFUSED;
	default: return STORE_FAILED;
	}
}

struct query query_begin(struct store *s, const char *sql)
{
	struct query q = { .next = 1 };

	q.code = sqlite3_prepare_v2(s->database, sql, -1, &q.statement, NULL);
	return q;
}

static void keep_first(struct query *q, int code)
{
	if (q->code == SQLITE_OK)
		q->code = code;
}

void query_bind_integer(struct query *q, uint64_t value)
{
	assert(value <= INT64_MAX);
	keep_first(q, sqlite3_bind_int64(q->statement, q->next++, (sqlite3_int64)value));
}

void query_bind_blob(struct query *q, struct view value)
{
	keep_first(q, sqlite3_bind_blob64(q->statement, q->next++, value.data, value.size,
					  SQLITE_TRANSIENT));
}

void query_bind_text(struct query *q, const char *text)
{
	keep_first(q, sqlite3_bind_text(q->statement, q->next++, text, -1, SQLITE_TRANSIENT));
}

bool query_step(struct query *q)
{
	if (q->code != SQLITE_OK && q->code != SQLITE_ROW)
		return false;
	q->code = sqlite3_step(q->statement);
	q->next = 0;
	return q->code == SQLITE_ROW;
}

uint64_t query_take_integer(struct query *q, uint64_t max)
{
	int column = q->next++;
	sqlite3_int64 value = sqlite3_column_int64(q->statement, column);

	if (sqlite3_column_type(q->statement, column) != SQLITE_INTEGER || value < 0 ||
	    (uint64_t)value > max) {
		q->is_bad = true;
		return 0;
	}
	return (uint64_t)value;
}

struct view query_take_view(struct query *q)
{
	int column = q->next++;
	const void *data = sqlite3_column_blob(q->statement, column);

	return view_of(data, data != NULL ? (size_t)sqlite3_column_bytes(q->statement, column) : 0);
}

void query_take_blob(struct query *q, uint8_t *out, size_t size)
{
	struct view value = query_take_view(q);

	if (value.size == size)
		memcpy(out, value.data, size);
	else
		q->is_bad = true;
}

void query_take_text(struct query *q, char *out, size_t capacity)
{
	struct view value = query_take_view(q);

	if (value.size >= capacity) {
		q->is_bad = true;
		value.size = 0;
	}
	if (value.size > 0)
		memcpy(out, value.data, value.size);
	out[value.size] = '\0';
}

enum store_status query_end(struct query *q)
{
	sqlite3_finalize(q->statement);
	q->statement = NULL;
	return q->is_bad ? STORE_DAMAGED : store_status_of(q->code);
}

enum store_status query_end_row(struct query *q, bool is_there, void *out, size_t size)
{
	enum store_status status = query_end(q);

	if (status == STORE_OK && !is_there)
		status = STORE_NOT_FOUND;
	if (status != STORE_OK)
		bytes_wipe(out, size);
	return status;
}

enum store_status query_run(struct query *q)
{
	while (query_step(q))
		;
	return query_end(q);
}

static enum store_status run(struct store *s, const char *sql)
{
	return store_status_of(sqlite3_exec(s->database, sql, NULL, NULL, NULL));
}

enum store_status transaction_begin(struct store *s)
{
	return run(s, "BEGIN IMMEDIATE");
}

enum store_status transaction_end(struct store *s, enum store_status status)
{
	if (status == STORE_OK)
		status = run(s, "COMMIT");
	/* After some errors SQLite has rolled back by itself. */
	if (status != STORE_OK && sqlite3_get_autocommit(s->database) == 0)
		(void)!run(s, "ROLLBACK");
	return status;
}

uint64_t store_changes(struct store *s)
{
	return (uint64_t)sqlite3_changes64(s->database);
}

enum store_status store_flush_log(struct store *s)
{
	return run(s, "PRAGMA wal_checkpoint(TRUNCATE)");
}
