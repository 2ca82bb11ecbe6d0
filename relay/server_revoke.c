/*
 * Revocation: of a device, of a file with its devices, of everything; and ending one session.
 *
 * Always in this order, so that nobody slips in between: the store (on the disk from there on),
 * the credentials (no new session), the keeper (no packet more, all keys erased), the files.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "net/clock.h"
#include "net/file.h"
#include "relay/log.h"
#include "relay/server_internal.h"

enum { DESTROYED_PER_ROUND = 32 };

#define ERASE_LIMIT_NS (5 * NS_PER_S) /* a worker that takes longer has failed: said in the log */
#define ERASE_LOOK_NS (1 * NS_PER_MS) /* each look wakes the keeper, who has work to do */

/* ---- store ------------------------------------------------------------------------------ */

enum store_status revoke_in_store(struct server *s, const struct revocation *r)
{
	enum store_status status = STORE_FAILED;
	switch (r->scope) {
	case COMPROMISED_DEVICE: status = store_revoke_device(s->store, r->id); break;
	case COMPROMISED_FILE: status = store_revoke_file(s->store, r->id); break;
	case COMPROMISED_SERVER: status = store_revoke_all(s->store); break;
	}
	return status;
}

/* ---- memory ----------------------------------------------------------------------------- */

void revoke_in_memory(struct server *s, const struct revocation *r)
{
	bool is_kept = true;
	switch (r->scope) {
	case COMPROMISED_DEVICE: is_kept = credentials_revoke_device(s->credentials, r->id); break;
	case COMPROMISED_FILE:
		is_kept = credentials_revoke_file(s->credentials, r->id);
		if (!is_kept)
			return; /* so old that it opens nothing any more */
		break;
	case COMPROMISED_SERVER: credentials_revoke_all(s->credentials); break;
	}
	if (!is_kept)
		log_event(LOG_LEVEL_ERROR, "revocation_not_kept",
			  LOG_TEXT("error", "out of memory: holds after a restart only"));
}

/* ---- sessions --------------------------------------------------------------------------- */

struct ending {
	struct keeper_match match;
	enum wire_reason reason;
	uint32_t count;
};

static void end_matching(struct keeper *k, void *state, struct instant now)
{
	struct ending *ending = state;
	ending->count = keeper_end_matching(k, &ending->match, ending->reason, now);
}

struct keeper_match revoke_match(const struct revocation *r)
{
	struct keeper_match match = {
		.kind = r->scope == COMPROMISED_DEVICE ? MATCH_DEVICE :
			r->scope == COMPROMISED_FILE   ? MATCH_FILE :
							 MATCH_ALL,
	};
	memcpy(match.id, r->id, sizeof(match.id));
	return match;
}

uint32_t revoke_sessions(struct server *s, const struct revocation *r, enum wire_reason reason)
{
	struct ending ending = { .match = revoke_match(r), .reason = reason };
	keeper_thread_call(s->keeper, end_matching, &ending);
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_forget_all(s->workers[i]);
	return ending.count;
}

static void has_ended_all(struct keeper *k, void *state, struct instant now)
{
	(void)now;
	*(bool *)state = keeper_has_ended_all(k);
}

static bool are_keys_erased(struct server *s)
{
	bool has_ended = false;
	for (unsigned i = 0; i < s->worker_count; i++)
		if (!worker_has_forgotten_all(s->workers[i]))
			return false;
	keeper_thread_call(s->keeper, has_ended_all, &has_ended);
	return has_ended;
}

bool revoke_wait(struct server *s)
{
	const struct timespec pause = { .tv_nsec = ERASE_LOOK_NS };
	uint64_t until_ns = clock_now().mono_ns + ERASE_LIMIT_NS;
	while (!are_keys_erased(s)) {
		if (clock_now().mono_ns >= until_ns)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- files ------------------------------------------------------------------------------ */

struct doomed {
	size_t count;
	char paths[DESTROYED_PER_ROUND][STORE_PATH_SIZE_MAX + 1];
};

static void note_doomed(void *state, const struct store_file *file)
{
	struct doomed *doomed = state;
	struct stat info;
	if (file->is_revoked && doomed->count < DESTROYED_PER_ROUND && file->path[0] == '/' &&
	    lstat(file->path, &info) == 0)
		memcpy(doomed->paths[doomed->count++], file->path, sizeof(doomed->paths[0]));
}

/* A path that the operator gave may have been written again since. */
static void spare_good(void *state, const struct store_file *file)
{
	struct doomed *doomed = state;
	for (size_t i = 0; i < doomed->count && !file->is_revoked; i++)
		if (strcmp(doomed->paths[i], file->path) == 0)
			doomed->paths[i][0] = '\0';
}

/* Returns how many went; 0: none is left, or none can be destroyed. */
static size_t destroy_some(struct server *s)
{
	struct doomed doomed = { 0 };
	size_t destroyed = 0;
	if (store_each_file(s->store, note_doomed, &doomed) != STORE_OK ||
	    store_each_file(s->store, spare_good, &doomed) != STORE_OK)
		return 0;
	for (size_t i = 0; i < doomed.count; i++) {
		if (doomed.paths[i][0] == '\0')
			continue;
		enum file_status status = file_destroy(doomed.paths[i]);
		destroyed += status == FILE_OK;
		if (status != FILE_OK && status != FILE_IS_MISSING)
			log_event(LOG_LEVEL_ERROR, "file_not_destroyed",
				  LOG_TEXT("path", doomed.paths[i]),
				  LOG_TEXT("error", file_status_text(status)));
	}
	return destroyed;
}

size_t revoke_files_on_disk(struct server *s, bool is_current_revoked)
{
	char path[ISSUER_PATH_MAX];
	size_t sum = 0, count;
	while ((count = destroy_some(s)) > 0)
		sum += count;
	snprintf(path, sizeof(path), "%s/" ISSUER_CURRENT_NAME, s->settings->security.files_dir);
	if (is_current_revoked && file_destroy(path) == FILE_OK)
		sum++;
	return sum;
}

bool revoke_covers_current(const struct server *s, const struct revocation *r)
{
	return r->scope == COMPROMISED_SERVER ||
	       (r->scope == COMPROMISED_FILE && memcmp(r->id, s->current.id, FILE_ID_SIZE) == 0);
}

/* ---- as the operator asks --------------------------------------------------------------- */

/* Devices that never enrolled are in no table of the store: their tombstone is what lasts. */
static enum store_status keep_tombstone(struct server *s, const struct revocation *r)
{
	uint64_t number;
	struct store_tombstone tombstone = {
		.time_s = clock_now().wall_ns / NS_PER_S,
		.scope = r->scope,
		.is_done = true,
		.reason = "revoked by the operator",
	};
	memcpy(tombstone.id, r->id, sizeof(tombstone.id));
	return store_add_tombstone(s->store, &tombstone, &number);
}

const char *revoke_scope_name(enum compromised_scope scope)
{
	static const char *const names[] = { [COMPROMISED_DEVICE] = "device",
					     [COMPROMISED_FILE] = "file",
					     [COMPROMISED_SERVER] = "server" };
	return names[scope];
}

enum store_status server_revoke(struct server *s, const struct revocation *r, uint32_t *ended)
{
	char error[ISSUER_ERROR_MAX];
	struct issued_file file;
	enum store_status status = STORE_OK;
	*ended = 0;
	if (r->scope == COMPROMISED_DEVICE)
		status = keep_tombstone(s, r);
	if (status == STORE_OK)
		status = revoke_in_store(s, r);
	if (r->scope == COMPROMISED_DEVICE && status == STORE_NOT_FOUND)
		status = STORE_OK; /* it has not enrolled */
	if (status != STORE_OK)
		return status;
	bool is_current = revoke_covers_current(s, r);
	revoke_in_memory(s, r);
	*ended = revoke_sessions(s, r, REASON_REVOKED);
	(void)revoke_files_on_disk(s, is_current);
	log_event(LOG_LEVEL_WARNING, "revoked", LOG_TEXT("scope", revoke_scope_name(r->scope)),
		  LOG_ID("id", r->id), LOG_NUMBER("sessions", *ended));
	if (is_current && !s->is_draining)
		(void)!server_issue(s, NULL, &file, error); /* said in the log */
	return STORE_OK;
}

struct kick {
	struct session_id id;
	bool is_found;
};

static void kick(struct keeper *k, void *state, struct instant now)
{
	struct kick *kick = state;
	kick->is_found = keeper_end_session(k, kick->id, REASON_KICKED, now);
}

bool server_kick(struct server *s, struct session_id id)
{
	struct kick call = { .id = id };
	keeper_thread_call(s->keeper, kick, &call);
	if (call.is_found)
		log_event(LOG_LEVEL_WARNING, "kicked", LOG_NUMBER("slot", id.slot));
	return call.is_found;
}
