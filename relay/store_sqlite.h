#pragma once
/* The store over SQLite: what store_*.c share. Only for them. */
#include <sqlite3.h>

#include "relay/store.h"

struct store {
	sqlite3 *database;
	uint8_t *wrap_key; /* secret memory of KEY_SIZE bytes */
	int lock;
	struct random_source random;
	char key_path[STORE_PATH_SIZE_MAX + 1];
};

enum store_status store_status_of(int sqlite_code);

/* One statement. Parameters are bound in order; the first failure is kept until query_end(). */
struct query {
	sqlite3_stmt *statement;
	int code;
	int next;    /* parameter to bind, or column to take */
	bool is_bad; /* a column had not the form that we write */
};

struct query query_begin(struct store *s, const char *sql);
void query_bind_integer(struct query *q, uint64_t value);
void query_bind_blob(struct query *q, struct view value);
void query_bind_text(struct query *q, const char *text);

/* True: a row is there, its columns are taken in order. */
bool query_step(struct query *q);
uint64_t query_take_integer(struct query *q, uint64_t max);
void query_take_blob(struct query *q, uint8_t *out, size_t size);
void query_take_text(struct query *q, char *out, size_t capacity);
/* A view of the column, alive until the next step. */
struct view query_take_view(struct query *q);

enum store_status query_end(struct query *q) MUST_CHECK;
/* Of one row at most. STORE_NOT_FOUND: it was not there. `out` is wiped unless all is well. */
enum store_status query_end_row(struct query *q, bool is_there, void *out, size_t size) MUST_CHECK;
/* For a statement without rows. */
enum store_status query_run(struct query *q) MUST_CHECK;

enum store_status transaction_begin(struct store *s) MUST_CHECK;
/* Commits where `status` is STORE_OK, else rolls back; returns what came of it. */
enum store_status transaction_end(struct store *s, enum store_status status) MUST_CHECK;

/* How many rows the last statement changed. */
uint64_t store_changes(struct store *s);

/* Moves everything from the write-ahead log into the database and empties the log, so that what
 * was erased is in neither. */
enum store_status store_flush_log(struct store *s) MUST_CHECK;

/* ---- wrapped secrets ---------------------------------------------------------------------- */

enum {
	WRAP_OVERHEAD = AEAD_NONCE_SIZE + AEAD_TAG_SIZE,
	WRAPPED_SIZE_MAX = STORE_VALUE_SIZE_MAX + WRAP_OVERHEAD,
};

/* Where a secret stands: it opens nowhere else. */
struct cell {
	const char *table;
	const char *column;
	struct view row;
};

/* `out` receives secret.size + WRAP_OVERHEAD bytes. */
void store_wrap(struct store *s, const struct cell *cell, struct view secret, uint8_t *out);
/* False: not authentic, or not of `size` bytes; `out` is zeroed. */
bool store_unwrap(struct store *s, const struct cell *cell, struct view wrapped, uint8_t *out,
		  size_t size) MUST_CHECK;

/* Both with a statement. An empty column is a secret that was erased: zeros. */
void query_bind_secret(struct query *q, struct store *s, const struct cell *cell,
		       struct view secret);
void query_take_secret(struct query *q, struct store *s, const struct cell *cell, uint8_t *out,
		       size_t size);
