#include "relay/store_sqlite.h"

#define COLUMNS "file_id, shared_secret, valid_from, valid_until, max_devices, used, revoked, path"

static struct cell secret_cell(const uint8_t file_id[FILE_ID_SIZE])
{
	return (struct cell){
		.table = "file",
		.column = "shared_secret",
		.row = view_of(file_id, FILE_ID_SIZE),
	};
}

enum store_status store_add_file(struct store *s, const struct store_file *file)
{
	const struct cell cell = secret_cell(file->file_id);
	struct query q =
		query_begin(s, "INSERT INTO file (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)");

	query_bind_blob(&q, VIEW(file->file_id));
	query_bind_secret(&q, s, &cell, VIEW(file->shared_secret));
	query_bind_integer(&q, file->valid_from_s);
	query_bind_integer(&q, file->valid_until_s);
	query_bind_integer(&q, file->max_devices);
	query_bind_integer(&q, file->used);
	query_bind_integer(&q, file->is_revoked);
	query_bind_text(&q, file->path);
	return query_run(&q);
}

static void take_file(struct query *q, struct store *s, struct store_file *out)
{
	memset(out, 0, sizeof *out);
	query_take_blob(q, out->file_id, sizeof out->file_id);
	const struct cell cell = secret_cell(out->file_id);
	query_take_secret(q, s, &cell, out->shared_secret, sizeof out->shared_secret);
	out->valid_from_s = query_take_integer(q, INT64_MAX);
	out->valid_until_s = query_take_integer(q, INT64_MAX);
	out->max_devices = (uint32_t)query_take_integer(q, UINT32_MAX);
	out->used = (uint32_t)query_take_integer(q, UINT32_MAX);
	out->is_revoked = query_take_integer(q, 1) != 0;
	query_take_text(q, out->path, sizeof out->path);
}

enum store_status store_get_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE],
				 struct store_file *out)
{
	struct query q = query_begin(s, "SELECT " COLUMNS " FROM file WHERE file_id = ?");

	memset(out, 0, sizeof *out);
	query_bind_blob(&q, view_of(file_id, FILE_ID_SIZE));
	bool is_there = query_step(&q);
	if (is_there)
		take_file(&q, s, out);
	return query_end_row(&q, is_there, out, sizeof *out);
}

static enum store_status why_not_spent(struct store *s, const uint8_t file_id[FILE_ID_SIZE],
				       uint64_t now_s)
{
	struct store_file file;

	enum store_status status = store_get_file(s, file_id, &file);
	if (status == STORE_OK && file.is_revoked)
		status = STORE_REVOKED;
	else if (status == STORE_OK && file.valid_until_s < now_s)
		status = STORE_EXPIRED;
	else if (status == STORE_OK)
		status = STORE_SPENT;
	bytes_wipe(&file, sizeof file);
	return status;
}

/* The check is the condition of the change: there is no moment in between. */
enum store_status store_spend_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE],
				   uint64_t now_s)
{
	struct query q = query_begin(s, "UPDATE file SET used = used + 1 WHERE file_id = ?"
					" AND revoked = 0 AND valid_until >= ?"
					" AND used < max_devices");

	query_bind_blob(&q, view_of(file_id, FILE_ID_SIZE));
	query_bind_integer(&q, now_s);
	enum store_status status = query_run(&q);
	if (status != STORE_OK)
		return status;
	return store_changes(s) == 1 ? STORE_OK : why_not_spent(s, file_id, now_s);
}

enum store_status store_remove_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE])
{
	struct query q = query_begin(s, "DELETE FROM file WHERE file_id = ?");

	query_bind_blob(&q, view_of(file_id, FILE_ID_SIZE));
	enum store_status status = query_run(&q);
	if (status != STORE_OK)
		return status;
	return store_changes(s) == 1 ? STORE_OK : STORE_NOT_FOUND;
}

enum store_status store_each_file(struct store *s,
				  void (*visit)(void *state, const struct store_file *file),
				  void *state)
{
	struct store_file file;
	struct query q =
		query_begin(s, "SELECT " COLUMNS " FROM file ORDER BY valid_from, file_id");

	while (!q.is_bad && query_step(&q)) {
		take_file(&q, s, &file);
		if (!q.is_bad)
			visit(state, &file);
	}
	bytes_wipe(&file, sizeof file);
	return query_end(&q);
}
