/* What clawchatctl can ask: one function a command, each answering a JSON object. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "net/clock.h"
#include "relay/server_internal.h"

enum { SESSIONS_PER_ANSWER = 1000, TEXT_BYTES = 16 };

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void put_hex(json_t *object, const char *name, const uint8_t *bytes, size_t size)
{
	char text[2 * HASH_SIZE + 1] = "";
	for (size_t i = 0; i < size && i < HASH_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	json_object_set_new(object, name, json_string(text));
}

/* ---- status ----------------------------------------------------------------------------- */

static json_t *status(void *state, const json_t *request)
{
	const struct server *s = state;
	struct instant now = clock_now();
	const struct open_door *door = doors_current(&s->doors, now.wall_ns);
	int refusal = worker_engine_refusal(s->workers[0]);
	json_t *answer = json_object();
	(void)request;
	json_object_set_new(answer, "version", json_string(CLAWCHAT_VERSION));
	json_object_set_new(answer, "engine",
			    json_string(engine_kind_name(worker_engine(s->workers[0]))));
	json_object_set_new(answer, "engine_refusal",
			    json_string(refusal != 0 ? strerror(refusal) : ""));
	json_object_set_new(answer, "cipher", json_string(s->cipher->name));
	json_object_set_new(answer, "server_name", json_string(s->settings->server.name));
	put_hex(answer, "server_id", s->keys->server_id, SERVER_ID_SIZE);
	put(answer, "workers", s->worker_count);
	put(answer, "port", door != NULL ? door->port : 0);
	put(answer, "door", door != NULL ? door->generation : 0);
	put(answer, "rotations", s->doors.rotations);
	put(answer, "sessions", table_count(s->table));
	put(answer, "sessions_max", s->settings->limits.sessions);
	put(answer, "channels", channels_count(s->channels));
	put(answer, "channels_max", s->settings->limits.channels);
	put(answer, "uptime_s", (now.mono_ns - s->started_ns) / NS_PER_S);
	json_object_set_new(answer, "files_dir", json_string(s->settings->security.files_dir));
	json_object_set_new(answer, "current_file", json_string(s->current.path));
	put(answer, "file_valid_until", s->current.valid_until_s);
	json_object_set_new(answer, "draining", json_boolean(s->is_draining));
	return answer;
}

/* ---- stats ------------------------------------------------------------------------------ */

struct keeper_numbers {
	struct keeper_stats stats;
	uint64_t verdicts[VERDICT_COUNT];
};

static void copy_numbers(struct keeper *k, void *state, struct instant now)
{
	struct keeper_numbers *numbers = state;
	(void)now;
	numbers->stats = *keeper_stats(k);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		numbers->verdicts[i] = load_relaxed(&keeper_counters(k)->of[i]);
}

static json_t *packet_counters(const struct server *s, const struct keeper_numbers *numbers)
{
	json_t *object = json_object();
	for (size_t v = 0; v < VERDICT_COUNT; v++) {
		uint64_t sum = numbers->verdicts[v];
		for (unsigned i = 0; i < s->worker_count; i++)
			sum += load_relaxed(&worker_verdicts(s->workers[i])->of[v]);
		put(object, verdict_key((enum verdict)v), sum);
	}
	return object;
}

static json_t *engine_sums(const struct server *s)
{
	json_t *object = json_object();
	struct engine_counters_sum {
#define X(name, text) uint64_t name;
		ENGINE_COUNTERS(X)
#undef X
	} sum = { 0 };
	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct engine_counters *c = worker_engine_counters(s->workers[i]);
#define X(name, text) sum.name += load_relaxed(&c->name);
		ENGINE_COUNTERS(X)
#undef X
	}
#define X(name, text) put(object, #name, sum.name);
	ENGINE_COUNTERS(X)
#undef X
	return object;
}

static json_t *keeper_numbers_json(const struct keeper_stats *k)
{
	json_t *object = json_object();
	put(object, "handshakes_ok", k->handshakes_ok);
	put(object, "handshakes_refused", k->handshakes_refused);
	put(object, "handshakes_dropped", k->handshakes_dropped);
	put(object, "cookies_sent", k->cookies_sent);
	put(object, "sessions_made", k->sessions_made);
	put(object, "sessions_ended", k->sessions_ended);
	put(object, "channels_opened", k->channels_opened);
	put(object, "channels_closed", k->channels_closed);
	put(object, "channel_refusals", k->channel_refusals);
	put(object, "frames_in", k->frames_in);
	put(object, "frames_out", k->frames_out);
	put(object, "frames_repeated", k->frames_repeated);
	put(object, "frames_malformed", k->frames_malformed);
	put(object, "path_challenges", k->path_challenges);
	put(object, "path_moves", k->path_moves);
	put(object, "rekeys", k->rekeys);
	put(object, "rekeys_failed", k->rekeys_failed);
	put(object, "doors_told", k->doors_told);
	put(object, "enrolments_offered", k->enrolments_offered);
	put(object, "enrolments_done", k->enrolments_done);
	put(object, "schedules_told", k->schedules_told);
	put(object, "burns", k->burns);
	put(object, "burns_refused", k->burns_refused);
	put(object, "table_full", k->table_full);
	put(object, "channels_full", k->channels_full);
	put(object, "goodbyes_lost", k->goodbyes_lost);
	return object;
}

static json_t *queue_numbers(const struct server *s, const struct keeper_stats *k)
{
	json_t *object = json_object();
	uint64_t batches = 0, forgets_full = 0;
	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct worker_counters *c = worker_counters(s->workers[i]);
		batches += load_relaxed(&c->batches);
		forgets_full += load_relaxed(&c->forgets_full);
	}
	put(object, "batches", batches);
	put(object, "sends_full", k->sends_full);
	put(object, "forgets_full", forgets_full);
	put(object, "events_lost", keeper_thread_events_lost(s->keeper));
	put(object, "events_waited", keeper_thread_events_waited(s->keeper));
	put(object, "hellos_lost", keeper_thread_hellos_lost(s->keeper));
	put(object, "files_issued", s->files_issued);
	put(object, "ports_skipped", s->doors.ports_skipped);
	return object;
}

static json_t *stats(void *state, const json_t *request)
{
	struct server *s = state;
	struct keeper_numbers numbers = { 0 };
	json_t *answer = json_object();
	(void)request;
	keeper_thread_call(s->keeper, copy_numbers, &numbers);
	json_object_set_new(answer, "packets", packet_counters(s, &numbers));
	json_object_set_new(answer, "engine", engine_sums(s));
	json_object_set_new(answer, "keeper", keeper_numbers_json(&numbers.stats));
	json_object_set_new(answer, "queues", queue_numbers(s, &numbers.stats));
	return answer;
}

/* ---- sessions --------------------------------------------------------------------------- */

struct session_list {
	struct keeper_session sessions[SESSIONS_PER_ANSWER];
	size_t count;
	uint32_t cursor;
	struct instant now;
};

static json_t *session_json(const struct keeper_session *session, struct instant now)
{
	char text[ADDRESS_TEXT_SIZE];
	json_t *object = json_object();
	snprintf(text, sizeof(text), "%u:%08x", session->id.slot, session->id.generation);
	json_object_set_new(object, "session", json_string(text));
	put_hex(object, "peer", session->peer, TEXT_BYTES);
	put_hex(object, "device", session->device, DEVICE_ID_SIZE);
	put_hex(object, "file", session->file_id, FILE_ID_SIZE);
	json_object_set_new(object, "address",
			    json_string(address_format(&session->path.remote, text)));
	put(object, "door", session->path.door);
	put(object, "up_s", (now.mono_ns - session->since_ns) / NS_PER_S);
	put(object, "idle_s",
	    now.mono_ns > session->last_receive_ns ?
		    (now.mono_ns - session->last_receive_ns) / NS_PER_S :
		    0);
	put(object, "rx_packets", session->rx_packets);
	put(object, "tx_packets", session->tx_packets);
	put(object, "rx_bytes", session->rx_bytes);
	put(object, "tx_bytes", session->tx_bytes);
	put(object, "channels", session->channels);
	put(object, "epoch", session->epoch);
	json_object_set_new(object, "established", json_boolean(session->is_established));
	return object;
}

/* In the keeper's thread: copies only. */
static void list_sessions(struct keeper *k, void *state, struct instant now)
{
	struct session_list *list = state;
	list->now = now;
	while (list->count < SESSIONS_PER_ANSWER &&
	       keeper_next_session(k, &list->cursor, &list->sessions[list->count]))
		list->count++;
}

static json_t *sessions(void *state, const json_t *request)
{
	struct server *s = state;
	json_int_t cursor = json_integer_value(json_object_get(request, "cursor"));
	struct session_list *list = calloc(1, sizeof(*list));
	if (list == NULL)
		return NULL;
	/* Beyond the last slot the walk ends at once. */
	list->cursor = cursor < 0 || cursor > UINT32_MAX ? UINT32_MAX : (uint32_t)cursor;
	keeper_thread_call(s->keeper, list_sessions, list);
	json_t *array = json_array();
	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, session_json(&list->sessions[i], list->now));
	json_t *answer = json_object();
	json_object_set_new(answer, "sessions", array);
	if (list->count == SESSIONS_PER_ANSWER)
		put(answer, "cursor", list->cursor); /* ask again from here */
	free(list);
	return answer;
}

/* ---- issue ------------------------------------------------------------------------------ */

static json_t *issue(void *state, const json_t *request)
{
	struct server *s = state;
	struct issued_file file;
	char error[ISSUER_ERROR_MAX];
	const char *path = json_string_value(json_object_get(request, "path"));
	if (path != NULL && path[0] != '/')
		return admin_error(EX_USAGE,
				   "the path must be absolute: the relay writes the file");
	if (!server_issue(s, path, &file, error))
		return admin_error(EX_IOERR, error);
	json_t *answer = json_object();
	json_object_set_new(answer, "path", json_string(file.path));
	put_hex(answer, "file", file.id, FILE_ID_SIZE);
	put(answer, "valid_until", file.valid_until_s);
	return answer;
}

static json_t *rotate_port(void *state, const json_t *request)
{
	struct server *s = state;
	uint64_t opened = 0;
	(void)request;
	int result = server_rotate_port(s, &opened);
	if (result == -EOPNOTSUPP)
		return admin_error(EX_CONFIG, "[rotation] mode is fixed: the port stays");
	if (result == -ENOSPC)
		return admin_error(EX_UNAVAILABLE,
				   "as many ports are open as can be; try again when "
				   "the oldest has closed");
	if (result < 0)
		return admin_error(EX_UNAVAILABLE, strerror(-result));
	json_t *answer = json_object();
	put(answer, "door", opened);
	put(answer, "port", doors_find(&s->doors, opened)->port);
	return answer;
}

const struct admin_command server_commands[] = {
	{ "status", status },
	{ "stats", stats },
	{ "sessions", sessions },
	{ "peers", sessions },
	{ "issue", issue },
	{ "rotate-port", rotate_port },
	{ "revoke", server_answer_revoke },
	{ "compromised", server_answer_compromised },
	{ "kick", server_answer_kick },
	{ "files", server_answer_files },
};
const size_t server_command_count = sizeof(server_commands) / sizeof(server_commands[0]);
