/* What clawchatctl can ask about revocation: revoke, kick, files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "relay/server_internal.h"

enum { PREFIX_DIGITS_MIN = 8, SESSIONS_PER_LOOK = 1000 };

/* ---- ids by prefix ---------------------------------------------------------------------- */

/* The start of an id in hexadecimal, and the ids that fit it. */
struct prefix {
	char digits[2 * FILE_ID_SIZE + 1];
	size_t count;             /* different ids that fit */
	uint8_t id[FILE_ID_SIZE]; /* the latest */
};

static void format_id(const uint8_t id[FILE_ID_SIZE], char out[2 * FILE_ID_SIZE + 1])
{
	for (size_t i = 0; i < FILE_ID_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static bool prefix_parse(struct prefix *p, const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;
	memset(p, 0, sizeof(*p));
	if (length < PREFIX_DIGITS_MIN || length > 2 * FILE_ID_SIZE ||
	    strspn(text, "0123456789abcdefABCDEF") != length)
		return false;
	for (size_t i = 0; i < length; i++)
		p->digits[i] = (char)(text[i] | ('a' - 'A')); /* digits stay as they are */
	return true;
}

static void prefix_offer(struct prefix *p, const uint8_t id[FILE_ID_SIZE])
{
	char text[2 * FILE_ID_SIZE + 1];
	format_id(id, text);
	if (strncmp(text, p->digits, strlen(p->digits)) != 0)
		return;
	if (p->count == 0 || memcmp(p->id, id, FILE_ID_SIZE) != 0)
		p->count++;
	memcpy(p->id, id, FILE_ID_SIZE);
}

/* All digits are there: no list is needed to know which one is meant. */
static bool prefix_is_whole(const struct prefix *p)
{
	return strlen(p->digits) == 2 * FILE_ID_SIZE;
}

static void prefix_take_whole(struct prefix *p)
{
	for (size_t i = 0; i < FILE_ID_SIZE; i++) {
		char byte[3] = { p->digits[2 * i], p->digits[2 * i + 1], '\0' };
		p->id[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	p->count = 1;
}

static void offer_file(void *state, const struct store_file *file)
{
	prefix_offer(state, file->file_id);
}

static void offer_device(void *state, const struct store_device *device)
{
	prefix_offer(state, device->device_id);
}

struct session_look {
	struct prefix *prefix;
	uint32_t cursor;
	bool has_more;
};

static void offer_sessions(struct keeper *k, void *state, struct instant now)
{
	struct session_look *look = state;
	struct keeper_session session;
	(void)now;
	for (unsigned i = 0; i < SESSIONS_PER_LOOK; i++) {
		look->has_more = keeper_next_session(k, &look->cursor, &session);
		if (!look->has_more)
			return;
		prefix_offer(look->prefix, session.device);
	}
}

/* Devices that are enrolled, or connected. NULL, or what is wrong. */
static const char *find_id(struct server *s, enum compromised_scope scope, const char *text,
			   struct prefix *p)
{
	struct session_look look = { .prefix = p, .has_more = true };
	enum store_status status;
	if (!prefix_parse(p, text))
		return "the id must be 8 to 32 hexadecimal digits; see clawchatctl files and peers";
	if (prefix_is_whole(p)) {
		prefix_take_whole(p);
		return NULL;
	}
	status = scope == COMPROMISED_FILE ? store_each_file(s->store, offer_file, p) :
					     store_each_device(s->store, offer_device, p);
	if (status != STORE_OK)
		return store_status_text(status);
	while (scope == COMPROMISED_DEVICE && look.has_more)
		keeper_thread_call(s->keeper, offer_sessions, &look);
	if (p->count == 1)
		return NULL;
	return p->count == 0 ? "no such id" : "several ids begin so: give more digits";
}

bool server_read_scope(struct server *s, const json_t *request, struct revocation *out,
		       const char **error)
{
	const char *scope = json_string_value(json_object_get(request, "scope"));
	const char *id = json_string_value(json_object_get(request, "id"));
	struct prefix prefix;
	memset(out, 0, sizeof(*out));
	*error = NULL;
	if (scope != NULL && strcmp(scope, "device") == 0)
		out->scope = COMPROMISED_DEVICE;
	else if (scope != NULL && strcmp(scope, "file") == 0)
		out->scope = COMPROMISED_FILE;
	else if (scope != NULL && strcmp(scope, "server") == 0)
		out->scope = COMPROMISED_SERVER;
	else
		*error = "the scope must be device, file or server";
	if (*error != NULL)
		return false;
	if (out->scope == COMPROMISED_SERVER) {
		memcpy(out->id, s->keys->server_id, sizeof(out->id));
		return true;
	}
	*error = find_id(s, out->scope, id, &prefix);
	memcpy(out->id, prefix.id, sizeof(out->id));
	return *error == NULL;
}

/* ---- commands --------------------------------------------------------------------------- */

json_t *server_answer_revoke(void *state, const json_t *request)
{
	struct server *s = state;
	struct revocation revocation;
	const char *error;
	char id[2 * FILE_ID_SIZE + 1];
	uint32_t ended;
	if (!server_read_scope(s, request, &revocation, &error))
		return admin_error(EX_USAGE, error);
	enum store_status status = server_revoke(s, &revocation, &ended);
	if (status == STORE_NOT_FOUND)
		return admin_error(EX_USAGE, "no such id");
	if (status != STORE_OK)
		return admin_error(EX_IOERR, store_status_text(status));
	format_id(revocation.id, id);
	return json_pack("{s:s, s:s, s:i}", "scope", revoke_scope_name(revocation.scope), "id", id,
			 "sessions", (int)ended);
}

json_t *server_answer_compromised(void *state, const json_t *request)
{
	struct server *s = state;
	struct revocation revocation;
	struct compromise_times times;
	const char *error;
	char id[2 * FILE_ID_SIZE + 1];
	if (!server_read_scope(s, request, &revocation, &error))
		return admin_error(EX_USAGE, error);
	bool is_done = server_compromise(s, &revocation, "reported by the operator", NULL, &times);
	if (!times.has_tombstone)
		return admin_error(EX_IOERR,
				   "stopped, and its keys erased in memory, but the state "
				   "directory cannot be written: a restart would undo it. Make "
				   "room; it is tried again by itself; see the log");
	format_id(revocation.id, id);
	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:b}", "scope",
			 revoke_scope_name(revocation.scope), "id", id, "sessions",
			 (int)times.sessions, "kill_ms", (json_int_t)times.kill_ms, "erase_ms",
			 (json_int_t)times.erase_ms, "file_ms", (json_int_t)times.file_ms,
			 "current_file", s->current.path, "done", is_done);
}

json_t *server_answer_kick(void *state, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "session"));
	struct session_id id;
	char rest;
	if (text == NULL || sscanf(text, "%u:%x%c", &id.slot, &id.generation, &rest) != 2)
		return admin_error(EX_USAGE, "the session must look like 5:0a1b2c3d; see "
					     "clawchatctl sessions");
	if (!server_kick(state, id))
		return admin_error(EX_USAGE, "no such session");
	return json_pack("{s:s}", "session", text);
}

static void list_file(void *state, const struct store_file *file)
{
	char id[2 * FILE_ID_SIZE + 1];
	format_id(file->file_id, id);
	json_array_append_new(state,
			      json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:b}", "file", id, "path",
					file->path, "valid_from", (json_int_t)file->valid_from_s,
					"valid_until", (json_int_t)file->valid_until_s, "devices",
					(int)file->used, "max_devices", (int)file->max_devices,
					"revoked", file->is_revoked));
}

json_t *server_answer_files(void *state, const json_t *request)
{
	struct server *s = state;
	json_t *files = json_array();
	(void)request;
	enum store_status status = store_each_file(s->store, list_file, files);
	if (status == STORE_OK)
		return json_pack("{s:o}", "files", files);
	json_decref(files);
	return admin_error(EX_IOERR, store_status_text(status));
}
