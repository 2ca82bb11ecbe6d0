/*
 * The Compromised Protocol, the relay's side. docs/protocol.md has the order of steps; each can
 * be repeated, and a start of the relay finishes what a crash interrupted.
 *
 *   report ----> stopped ----> tombstone ----> answered, ended ----> erased ----> new keys, file
 *   (refused)    no packet     on disk: the                          store,       tombstone
 *                passes, no    point of no                           memory,      done
 *                word is said  return                                .sec files
 *                                |
 *                                '-- the disk refuses: erased in memory, tried again
 *
 * Stopping waits for no disk. A crash before the tombstone is as if no report had come: nobody has
 * heard that one did, so the client repeats it.
 */
#include <stdio.h>

#include "core/text.h"
#include "net/clock.h"
#include "relay/log.h"
#include "relay/server_internal.h"

enum { TOMBSTONES_PER_START = 64 };

#define UNKEPT_RETRY_NS (5 * NS_PER_S)

static bool log_failure(const char *step, enum store_status status)
{
	if (status == STORE_OK || status == STORE_NOT_FOUND)
		return true;
	log_event(LOG_LEVEL_ERROR, "compromised_failed", LOG_TEXT("step", step),
		  LOG_TEXT("error", store_status_text(status)));
	return false;
}

/* ---- what lasts: also done at start, without threads ------------------------------------ */

/*
 * A new schedule secret, for the server also a new static key. The signing key stays: by it a
 * client knows that a new file is of the relay that it knew, and whoever could steal it from the
 * host holds the state directory, against which no new key there helps.
 */
static bool replace_keys(struct server *s, enum compromised_scope scope)
{
	struct relay_keys *k = s->keys;
	struct store_value values[2];
	size_t count = 0;
	if (scope == COMPROMISED_DEVICE ||
	    (scope == COMPROMISED_FILE && s->settings->security.keep_schedule != 0))
		return true;
	random_fill(&s->random, k->schedule_secret, sizeof(k->schedule_secret));
	values[count++] = (struct store_value){ STORE_SCHEDULE_SECRET,
						view_of(k->schedule_secret, KEY_SIZE) };
	if (scope == COMPROMISED_SERVER) {
		x25519_generate(&k->static_key, &s->random);
		values[count++] =
			(struct store_value){ STORE_STATIC_KEY,
					      view_of(k->static_key.secret, X25519_SIZE) };
	}
	return log_failure("new keys", store_put_values(s->store, values, count));
}

/* Store, files on disk, keys. */
static bool erase_what_lasts(struct server *s, const struct revocation *r, bool is_current_revoked)
{
	if (!log_failure("revocation", revoke_in_store(s, r)))
		return false;
	(void)revoke_files_on_disk(s, is_current_revoked);
	return replace_keys(s, r->scope);
}

struct tombstones {
	struct revocation revocations[TOMBSTONES_PER_START];
	uint64_t numbers[TOMBSTONES_PER_START];
	size_t count;
};

static void note_unfinished(void *state, const struct store_tombstone *tombstone)
{
	struct tombstones *list = state;
	if (tombstone->is_done || list->count == TOMBSTONES_PER_START)
		return;
	struct revocation *r = &list->revocations[list->count];
	r->scope = tombstone->scope;
	memcpy(r->id, tombstone->id, sizeof(r->id));
	list->numbers[list->count++] = tombstone->number;
}

bool server_finish_erasing(struct server *s)
{
	struct tombstones list = { 0 };
	if (!log_failure("tombstones", store_each_tombstone(s->store, note_unfinished, &list)))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		const struct revocation *r = &list.revocations[i];
		log_event(LOG_LEVEL_WARNING, "compromised_resumed",
			  LOG_TEXT("scope", revoke_scope_name(r->scope)), LOG_ID("id", r->id));
		/* The current file may be any: the start writes another. */
		if (!erase_what_lasts(s, r, true))
			return false;
	}
	s->has_tombstones = list.count > 0;
	return true;
}

void server_finish_tombstones(struct server *s)
{
	struct tombstones list = { 0 };
	if (!s->has_tombstones ||
	    !log_failure("tombstones", store_each_tombstone(s->store, note_unfinished, &list)))
		return;
	bool is_finished = list.count < TOMBSTONES_PER_START;
	for (size_t i = 0; i < list.count; i++)
		is_finished &=
			log_failure("tombstone", store_finish_tombstone(s->store, list.numbers[i]));
	s->has_tombstones = !is_finished;
}

/* ---- while running ---------------------------------------------------------------------- */

static uint64_t elapsed_ms(uint64_t since_ns)
{
	return (clock_now().mono_ns - since_ns + NS_PER_MS / 2) / NS_PER_MS;
}

static void replace_static_key(struct keeper *k, void *state, struct instant now)
{
	(void)now;
	keeper_replace_key(k, state);
}

/* The running parts take the keys that replace_keys() made. */
static void take_new_keys(struct server *s, enum compromised_scope scope)
{
	uint64_t opened, wall_ns = clock_now().wall_ns;
	if (scope == COMPROMISED_SERVER) {
		keeper_thread_call(s->keeper, replace_static_key, &s->keys->static_key);
		memcpy(s->issuer.server_public, s->keys->static_key.public, X25519_SIZE);
	}
	if (bytes_equal(s->doors.config.schedule.secret, s->keys->schedule_secret, KEY_SIZE))
		return; /* kept */
	int result = doors_replace_secret(&s->doors, s->keys->schedule_secret, wall_ns, &opened);
	server_tell_schedule(s);    /* to those that are left, in their sessions */
	s->doors_next_ns = wall_ns; /* old doors close soon */
	if (result < 0)
		log_event(LOG_LEVEL_ERROR, "door_not_opened", LOG_TEXT("error", strerror(-result)));
	else
		log_event(LOG_LEVEL_INFO, "door_opened", LOG_NUMBER("generation", opened),
			  LOG_NUMBER("port", doors_find(&s->doors, opened)->port));
}

static bool add_tombstone(struct server *s, const struct revocation *r, const char *reason,
			  uint64_t *number)
{
	struct store_tombstone tombstone = { .time_s = clock_now().wall_ns / NS_PER_S,
					     .scope = r->scope };
	memcpy(tombstone.id, r->id, sizeof(tombstone.id));
	snprintf(tombstone.reason, sizeof(tombstone.reason), "%s", reason);
	return log_failure("tombstone", store_add_tombstone(s->store, &tombstone, number));
}

struct burn_answer {
	struct session_id session;
	uint8_t nonce[BURN_NONCE_SIZE];
	enum wire_burn_status status;
	uint64_t heard_ns; /* mono */
};

static void answer(struct keeper *k, void *state, struct instant now)
{
	const struct burn_answer *a = state;
	(void)keeper_answer_burn(k, a->session, a->nonce, a->status, now);
}

struct stopping {
	struct keeper_match match;
	bool is_muted; /* already: by server_hear_burn() */
};

static void stop(struct keeper *k, void *state, struct instant now)
{
	const struct stopping *stopping = state;
	if (!stopping->is_muted)
		keeper_mute(k);
	(void)keeper_stop_matching(k, &stopping->match, now);
}

static void unmute(struct keeper *k, void *state, struct instant now)
{
	(void)state;
	(void)now;
	keeper_unmute(k);
}

static bool is_unkept(const struct server *s, const struct revocation *r)
{
	for (size_t i = 0; i < s->unkept_count; i++)
		if (s->unkept[i].scope == r->scope &&
		    memcmp(s->unkept[i].id, r->id, sizeof(r->id)) == 0)
			return true;
	return false;
}

/*
 * No tombstone: what can be done without a disk is done, and nobody is told, until the disk takes
 * it. That holds as long as the relay runs, which the operator has to know.
 */
static void fail_closed(struct server *s, const struct revocation *r, struct burn_answer *to)
{
	if (to != NULL) {
		to->status = BURN_FAILED;
		keeper_thread_call(s->keeper, answer, to);
	}
	(void)revoke_sessions(s, r, REASON_NONE);
	bool is_erased = revoke_wait(s);
	log_event(LOG_LEVEL_ERROR, "compromised_not_kept",
		  LOG_TEXT("scope", revoke_scope_name(r->scope)), LOG_ID("id", r->id),
		  LOG_TEXT("result", is_erased ? "erased in memory alone" : "stopped alone"),
		  LOG_TEXT("advice", "make the state directory writable before any restart"));
	if (is_unkept(s, r))
		keeper_thread_call(s->keeper, unmute, NULL); /* one is enough */
	else if (s->unkept_count < UNKEPT_MAX)
		s->unkept[s->unkept_count++] = *r;
	if (s->unkept_count > 0)
		s->unkept_next_ns = clock_now().mono_ns + UNKEPT_RETRY_NS;
}

/* Up to the point of no return. */
static bool stop_and_keep(struct server *s, const struct revocation *r, const char *reason,
			  struct burn_answer *to, struct compromise_times *times)
{
	struct stopping stopping = { .match = revoke_match(r), .is_muted = to != NULL };
	uint64_t number;
	revoke_in_memory(s, r);
	keeper_thread_call(s->keeper, stop, &stopping);
	times->kill_ms = elapsed_ms(times->since_ns);
	times->has_tombstone = add_tombstone(s, r, reason, &number);
	if (!times->has_tombstone) {
		fail_closed(s, r, to);
		return false;
	}
	s->has_tombstones = true;
	if (to != NULL)
		keeper_thread_call(s->keeper, answer, to);
	keeper_thread_call(s->keeper, unmute, NULL);
	times->sessions = revoke_sessions(s, r, REASON_COMPROMISED);
	return true;
}

bool server_compromise(struct server *s, const struct revocation *r, const char *reason,
		       struct burn_answer *to, struct compromise_times *times)
{
	char error[ISSUER_ERROR_MAX];
	struct issued_file file;
	bool is_current = revoke_covers_current(s, r);

	memset(times, 0, sizeof(*times));
	times->since_ns = to != NULL ? to->heard_ns : clock_now().mono_ns;
	if (!stop_and_keep(s, r, reason, to, times))
		return false;
	bool is_erased = erase_what_lasts(s, r, is_current);
	is_erased &= revoke_wait(s);
	times->erase_ms = elapsed_ms(times->since_ns);
	if (is_erased)
		take_new_keys(s, r->scope);
	bool needs_file = r->scope != COMPROMISED_DEVICE && !s->is_draining;
	bool is_written = !needs_file || server_issue(s, NULL, &file, error);
	times->file_ms = elapsed_ms(times->since_ns);
	if (is_erased && is_written)
		server_finish_tombstones(s); /* else at the next start */
	log_event(LOG_LEVEL_WARNING, "compromised", LOG_TEXT("scope", revoke_scope_name(r->scope)),
		  LOG_ID("id", r->id), LOG_NUMBER("sessions", times->sessions),
		  LOG_NUMBER("kill_ms", times->kill_ms), LOG_NUMBER("erase_ms", times->erase_ms),
		  LOG_NUMBER("file_ms", times->file_ms), LOG_TEXT("reason", reason));
	return is_erased && is_written;
}

void server_retry_unkept(struct server *s)
{
	struct revocation unkept[UNKEPT_MAX];
	struct compromise_times times;
	size_t count = s->unkept_count;
	memcpy(unkept, s->unkept, sizeof(unkept));
	s->unkept_count = 0;
	s->unkept_next_ns = NEVER;
	for (size_t i = 0; i < count; i++) {
		(void)!server_compromise(s, &unkept[i], "tried again", NULL, &times);
		keeper_thread_call(s->keeper, unmute, NULL); /* of the try before */
	}
}

/* ---- reports of clients ----------------------------------------------------------------- */

static struct revocation revocation_of(const struct server *s, const struct keeper_event *event,
				       enum compromised_scope scope)
{
	struct revocation r = { .scope = scope };
	memcpy(r.id,
	       scope == COMPROMISED_DEVICE ? event->device :
	       scope == COMPROMISED_FILE   ? event->file_id :
					     s->keys->server_id,
	       sizeof(r.id));
	return r;
}

/* False: a copy, which gets *before for its answer. */
static bool is_new_report(struct server *s, const struct keeper_event *event, uint8_t *before)
{
	pthread_mutex_lock(&s->burns_lock);
	bool is_copy = burn_ledger_find(&s->burns, event->nonce, before);
	pthread_mutex_unlock(&s->burns_lock);
	return !is_copy;
}

static enum compromised_scope grant_scope(struct server *s, const struct keeper_event *event,
					  uint64_t now_ns)
{
	const struct burn_policy policy = {
		.may_burn_server = s->settings->security.client_may_burn_server != 0,
		.files_per_hour = s->settings->security.burns_per_hour,
	};
	pthread_mutex_lock(&s->burns_lock);
	enum compromised_scope scope =
		burn_ledger_scope(&s->burns, &policy, (enum wire_scope)event->scope, now_ns);
	if (scope == COMPROMISED_FILE)
		burn_ledger_count(&s->burns, now_ns);
	pthread_mutex_unlock(&s->burns_lock);
	return scope;
}

/* The control thread may be waiting for its disk: so what is reported is stopped here. */
void server_hear_burn(void *state, struct keeper *k, struct keeper_event *event, struct instant now)
{
	struct server *s = state;
	uint8_t before;

	event->heard_ns = now.mono_ns;
	if (!is_new_report(s, event, &before))
		return;
	enum compromised_scope scope = grant_scope(s, event, now.mono_ns);
	struct revocation r = revocation_of(s, event, scope);
	struct keeper_match match = revoke_match(&r);
	event->granted = (uint8_t)scope;
	revoke_in_memory(s, &r);
	keeper_mute(k);
	(void)keeper_stop_matching(k, &match, now);
}

static void act_on_report(struct server *s, const struct keeper_event *event,
			  struct burn_answer *to)
{
	enum compromised_scope scope = (enum compromised_scope)event->granted;
	struct revocation r = revocation_of(s, event, scope);
	struct compromise_times times;
	char reason[STORE_TEXT_SIZE_MAX + 1];

	to->status = (int)scope < (int)event->scope ? BURN_NARROWED : BURN_DONE;
	(void)text_clean_line(view_of(event->text, strlen(event->text)), reason, sizeof(reason));
	log_event(LOG_LEVEL_WARNING, "compromised_report", LOG_ID("device", event->device),
		  LOG_ID("peer", event->peer), LOG_NUMBER("asked", event->scope),
		  LOG_TEXT("scope", revoke_scope_name(scope)), LOG_ADDRESS("from", &event->remote));
	(void)!server_compromise(s, &r, reason, to, &times); /* said in the log */
	if (!times.has_tombstone)
		return;
	pthread_mutex_lock(&s->burns_lock);
	burn_ledger_note(&s->burns, event->nonce, to->status);
	pthread_mutex_unlock(&s->burns_lock);
}

void server_take_burn(struct server *s, const struct keeper_event *event)
{
	struct burn_answer to = { .session = event->session, .heard_ns = event->heard_ns };
	uint8_t before;

	memcpy(to.nonce, event->nonce, sizeof(to.nonce));
	if (is_new_report(s, event, &before)) {
		act_on_report(s, event, &to);
		return;
	}
	to.status = (enum wire_burn_status)before;
	keeper_thread_call(s->keeper, answer, &to);
	if (event->granted != 0) /* heard before it was known to be a copy */
		keeper_thread_call(s->keeper, unmute, NULL);
}
