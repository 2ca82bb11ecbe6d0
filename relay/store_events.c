#include <assert.h>

#include "relay/store_sqlite.h"

/* ---- tombstones --------------------------------------------------------------------------- */

enum store_status store_add_tombstone(struct store *s, const struct store_tombstone *tombstone,
				      uint64_t *number)
{
	struct query q = query_begin(s, "INSERT INTO tombstone (time, scope, id, done, reason)"
					" VALUES (?, ?, ?, ?, ?)");

	query_bind_integer(&q, tombstone->time_s);
	query_bind_integer(&q, tombstone->scope);
	query_bind_blob(&q, VIEW(tombstone->id));
	query_bind_integer(&q, tombstone->is_done);
	query_bind_text(&q, tombstone->reason);
	enum store_status status = query_run(&q);
	*number = status == STORE_OK ? (uint64_t)sqlite3_last_insert_rowid(s->database) : 0;
	return status;
}

enum store_status store_finish_tombstone(struct store *s, uint64_t number)
{
	struct query q = query_begin(s, "UPDATE tombstone SET done = 1 WHERE number = ?");

	query_bind_integer(&q, number);
	enum store_status status = query_run(&q);
	if (status != STORE_OK)
		return status;
	return store_changes(s) == 1 ? STORE_OK : STORE_NOT_FOUND;
}

static void take_tombstone(struct query *q, struct store_tombstone *out)
{
	memset(out, 0, sizeof *out);
	out->number = query_take_integer(q, INT64_MAX);
	out->time_s = query_take_integer(q, INT64_MAX);
	out->scope = (enum compromised_scope)query_take_integer(q, COMPROMISED_SERVER);
	query_take_blob(q, out->id, sizeof out->id);
	out->is_done = query_take_integer(q, 1) != 0;
	query_take_text(q, out->reason, sizeof out->reason);
}

enum store_status store_each_tombstone(struct store *s,
				       void (*visit)(void *state,
						     const struct store_tombstone *tombstone),
				       void *state)
{
	struct store_tombstone tombstone;
	struct query q = query_begin(s, "SELECT number, time, scope, id, done, reason"
					" FROM tombstone ORDER BY number");

	while (!q.is_bad && query_step(&q)) {
		take_tombstone(&q, &tombstone);
		if (!q.is_bad)
			visit(state, &tombstone);
	}
	return query_end(&q);
}

/* ---- events ------------------------------------------------------------------------------- */

/* Text of at most `max` bytes, cut between two characters of UTF-8. */
static struct view cut(const char *text, size_t max)
{
	enum { CONTINUED_MASK = 0xc0, CONTINUED = 0x80 };
	size_t size = strnlen(text, max + 1);

	if (size > max) {
		size = max;
		while (size > 0 && ((uint8_t)text[size] & CONTINUED_MASK) == CONTINUED)
			size--;
	}
	return view_of(text, size);
}

static void bind_cut(struct query *q, const char *text, size_t max)
{
	char copy[STORE_TEXT_SIZE_MAX + 1];
	struct view part = cut(text, max);

	assert(max < sizeof copy);
	memcpy(copy, part.data, part.size);
	copy[part.size] = '\0';
	query_bind_text(q, copy);
}

static enum store_status insert_event(struct store *s, const struct store_event *event)
{
	struct query q = query_begin(s, "INSERT INTO event (time, event, text) VALUES (?, ?, ?)");

	query_bind_integer(&q, event->time_s);
	bind_cut(&q, event->event, STORE_NAME_SIZE_MAX);
	bind_cut(&q, event->text, STORE_TEXT_SIZE_MAX);
	return query_run(&q);
}

static enum store_status drop_oldest(struct store *s)
{
	struct query q = query_begin(
		s, "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?");

	query_bind_integer(&q, STORE_EVENTS_MAX);
	return query_run(&q);
}

enum store_status store_add_event(struct store *s, const struct store_event *event)
{
	enum store_status status = transaction_begin(s);

	if (status != STORE_OK)
		return status;
	status = insert_event(s, event);
	if (status == STORE_OK)
		status = drop_oldest(s);
	return transaction_end(s, status);
}

enum store_status store_each_event(struct store *s, uint32_t limit,
				   void (*visit)(void *state, const struct store_event *event),
				   void *state)
{
	char name[STORE_NAME_SIZE_MAX + 1], text[STORE_TEXT_SIZE_MAX + 1];
	struct query q = query_begin(s, "SELECT time, event, text FROM (SELECT * FROM event"
					" ORDER BY number DESC LIMIT ?) ORDER BY number");

	query_bind_integer(&q, limit);
	while (!q.is_bad && query_step(&q)) {
		struct store_event event = { .event = name, .text = text };
		event.time_s = query_take_integer(&q, INT64_MAX);
		query_take_text(&q, name, sizeof name);
		query_take_text(&q, text, sizeof text);
		if (!q.is_bad)
			visit(state, &event);
	}
	return query_end(&q);
}
