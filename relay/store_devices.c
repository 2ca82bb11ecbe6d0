#include "relay/store_sqlite.h"

#define COLUMNS \
	"device_id, device_public, identity_public, psk, file_id, enrolled, hello_s, hello_ns," \
	" revoked"

enum { NS_LAST = 999999999 };

static struct cell psk_cell(const uint8_t device_id[DEVICE_ID_SIZE])
{
	return (struct cell){
		.table = "device",
		.column = "psk",
		.row = view_of(device_id, DEVICE_ID_SIZE),
	};
}

static enum store_status put_device(struct store *s, const struct store_device *device)
{
	const struct cell cell = psk_cell(device->device_id);
	struct query q = query_begin(s, "INSERT OR REPLACE INTO device (" COLUMNS
					") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");

	query_bind_blob(&q, VIEW(device->device_id));
	query_bind_blob(&q, VIEW(device->device_public));
	query_bind_blob(&q, VIEW(device->identity_public));
	query_bind_secret(&q, s, &cell, VIEW(device->psk));
	query_bind_blob(&q, VIEW(device->file_id));
	query_bind_integer(&q, device->enrolled_s);
	query_bind_integer(&q, device->hello_s);
	query_bind_integer(&q, device->hello_ns);
	query_bind_integer(&q, device->is_revoked);
	return query_run(&q);
}

static void take_device(struct query *q, struct store *s, struct store_device *out)
{
	memset(out, 0, sizeof *out);
	query_take_blob(q, out->device_id, sizeof out->device_id);
	query_take_blob(q, out->device_public, sizeof out->device_public);
	query_take_blob(q, out->identity_public, sizeof out->identity_public);
	const struct cell cell = psk_cell(out->device_id);
	query_take_secret(q, s, &cell, out->psk, sizeof out->psk);
	query_take_blob(q, out->file_id, sizeof out->file_id);
	out->enrolled_s = query_take_integer(q, INT64_MAX);
	out->hello_s = query_take_integer(q, INT64_MAX);
	out->hello_ns = (uint32_t)query_take_integer(q, NS_LAST);
	out->is_revoked = query_take_integer(q, 1) != 0;
}

enum store_status store_get_device(struct store *s, const uint8_t device_id[DEVICE_ID_SIZE],
				   struct store_device *out)
{
	struct query q = query_begin(s, "SELECT " COLUMNS " FROM device WHERE device_id = ?");

	memset(out, 0, sizeof *out);
	query_bind_blob(&q, view_of(device_id, DEVICE_ID_SIZE));
	bool is_there = query_step(&q);
	if (is_there)
		take_device(&q, s, out);
	return query_end_row(&q, is_there, out, sizeof *out);
}

/* Whether this enrolment is the first from its file; else what forbids it, or STORE_EXISTS. */
static enum store_status check_known(struct store *s, const struct store_device *device)
{
	struct store_device known;

	enum store_status status = store_get_device(s, device->device_id, &known);
	if (status == STORE_OK && known.is_revoked)
		status = STORE_REVOKED;
	else if (status == STORE_OK)
		status = memcmp(known.file_id, device->file_id, FILE_ID_SIZE) == 0 ? STORE_EXISTS :
										     STORE_OK;
	else if (status == STORE_NOT_FOUND)
		status = STORE_OK;
	bytes_wipe(&known, sizeof known);
	return status;
}

enum store_status store_enrol_device(struct store *s, const struct store_device *device,
				     uint64_t now_s)
{
	enum store_status status = transaction_begin(s);

	if (status != STORE_OK)
		return status;
	status = check_known(s, device);
	if (status == STORE_OK)
		status = store_spend_file(s, device->file_id, now_s);
	else if (status == STORE_EXISTS)
		status = STORE_OK;
	if (status == STORE_OK)
		status = put_device(s, device);
	return transaction_end(s, status);
}

enum store_status store_note_hello(struct store *s, const uint8_t device_id[DEVICE_ID_SIZE],
				   uint64_t hello_s, uint32_t hello_ns)
{
	struct store_device device;
	struct query q = query_begin(s, "UPDATE device SET hello_s = ?1, hello_ns = ?2"
					" WHERE device_id = ?3 AND ((hello_s, hello_ns) < (?1, ?2)"
					" OR hello_s > ?1 + ?4)");

	query_bind_integer(&q, hello_s);
	query_bind_integer(&q, hello_ns);
	query_bind_blob(&q, view_of(device_id, DEVICE_ID_SIZE));
	query_bind_integer(&q, STORE_HELLO_BACK_S);
	enum store_status status = query_run(&q);
	if (status != STORE_OK || store_changes(s) == 1)
		return status;
	status = store_get_device(s, device_id, &device);
	bytes_wipe(&device, sizeof device);
	return status == STORE_OK ? STORE_STALE : status;
}

enum store_status store_note_hellos(struct store *s, const struct store_hello *hellos, size_t count)
{
	enum store_status status = transaction_begin(s);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < count && status == STORE_OK; i++) {
		status = store_note_hello(s, hellos[i].device_id, hellos[i].hello_s,
					  hellos[i].hello_ns);
		if (status == STORE_STALE || status == STORE_NOT_FOUND)
			status = STORE_OK;
	}
	return transaction_end(s, status);
}

/* One statement with at most one id. */
static enum store_status run_with_id(struct store *s, const char *sql, const uint8_t *id)
{
	struct query q = query_begin(s, sql);

	if (id != NULL)
		query_bind_blob(&q, view_of(id, FILE_ID_SIZE));
	return query_run(&q);
}

enum store_status store_revoke_device(struct store *s, const uint8_t device_id[DEVICE_ID_SIZE])
{
	enum store_status status =
		run_with_id(s, "UPDATE device SET revoked = 1, psk = NULL WHERE device_id = ?",
			    device_id);

	if (status != STORE_OK)
		return status;
	return store_changes(s) == 1 ? store_flush_log(s) : STORE_NOT_FOUND;
}

/* Files and devices in one transaction. `file_id` NULL: all of them. */
static enum store_status revoke(struct store *s, const char *files, const char *devices,
				const uint8_t *file_id)
{
	enum store_status status = transaction_begin(s);

	if (status != STORE_OK)
		return status;
	status = run_with_id(s, files, file_id);
	uint64_t changed = store_changes(s);
	if (status == STORE_OK)
		status = run_with_id(s, devices, file_id);
	changed += store_changes(s);
	if (status == STORE_OK && changed == 0 && file_id != NULL)
		status = STORE_NOT_FOUND;
	status = transaction_end(s, status);
	return status == STORE_OK ? store_flush_log(s) : status;
}

enum store_status store_revoke_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE])
{
	return revoke(s, "UPDATE file SET revoked = 1, shared_secret = NULL WHERE file_id = ?",
		      "UPDATE device SET revoked = 1, psk = NULL WHERE file_id = ?", file_id);
}

enum store_status store_revoke_all(struct store *s)
{
	return revoke(s, "UPDATE file SET revoked = 1, shared_secret = NULL",
		      "UPDATE device SET revoked = 1, psk = NULL", NULL);
}

enum store_status store_each_device(struct store *s,
				    void (*visit)(void *state, const struct store_device *device),
				    void *state)
{
	struct store_device device;
	struct query q =
		query_begin(s, "SELECT " COLUMNS " FROM device ORDER BY enrolled, device_id");

	while (!q.is_bad && query_step(&q)) {
		take_device(&q, s, &device);
		if (!q.is_bad)
			visit(state, &device);
	}
	bytes_wipe(&device, sizeof device);
	return query_end(&q);
}
