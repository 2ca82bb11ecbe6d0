/* What the application asks of a link, and the events that tell it what came of it. */
#include <assert.h>

#include "core/link_internal.h"

/* ---- events ------------------------------------------------------------------------------ */

bool link_has_event_room(const struct link *l)
{
	return l->events.count < LINK_EVENTS_MAX;
}

struct link_event *link_push(struct link *l, enum link_event_type type)
{
	struct link_events *e = &l->events;
	assert(e->count < LINK_EVENTS_MAX);
	struct link_event *event = &e->ring[(e->first + e->count++) % LINK_EVENTS_MAX];
	memset(event, 0, sizeof(*event));
	event->type = type;
	return event;
}

bool link_next_event(struct link *l, struct link_event *event)
{
	struct link_events *e = &l->events;
	if (e->count == 0)
		return false;
	*event = e->ring[e->first];
	bytes_wipe(&e->ring[e->first], sizeof(e->ring[0])); /* it may hold keys */
	e->first = (e->first + 1) % LINK_EVENTS_MAX;
	e->count--;
	return true;
}

static bool is_of_a_channel(enum link_event_type type)
{
	return type == LINK_EVENT_OFFER || type == LINK_EVENT_OPENED || type == LINK_EVENT_GONE;
}

struct link_event *link_push_state(struct link *l, enum link_event_type type)
{
	struct link_events *e = &l->events;
	size_t kept = 0;
	for (size_t i = 0; i < e->count; i++) {
		const struct link_event *from = &e->ring[(e->first + i) % LINK_EVENTS_MAX];
		struct link_event *to = &e->ring[(e->first + kept) % LINK_EVENTS_MAX];
		if (is_of_a_channel(from->type))
			continue;
		if (to != from)
			*to = *from;
		kept++;
	}
	e->count = kept;
	if (e->count == LINK_EVENTS_MAX) { /* nobody reads them: the latest state counts */
		e->first = (e->first + 1) % LINK_EVENTS_MAX;
		e->count--;
	}
	return link_push(l, type);
}

/* ---- channels ---------------------------------------------------------------------------- */

static uint32_t next_request(struct link *l)
{
	if (++l->last_request == 0)
		l->last_request = 1;
	return l->last_request;
}

static bool put(struct link *l, enum frame_type type, const void *body, size_t size)
{
	return l->phase == PHASE_LIVE && reliable_put(&l->sender, type, view_of(body, size));
}

uint32_t link_open(struct link *l, const uint8_t peer[PEER_ID_SIZE])
{
	uint32_t request = next_request(l);
	struct wire_open body = { .request = store_le32(request) };
	memcpy(body.peer, peer, PEER_ID_SIZE);
	return put(l, FRAME_OPEN, &body, sizeof(body)) ? request : 0;
}

bool link_accept(struct link *l, uint32_t channel)
{
	struct wire_channel body = { .channel = store_le32(channel) };
	return put(l, FRAME_ACCEPT, &body, sizeof(body));
}

bool link_refuse(struct link *l, uint32_t channel, enum wire_reason reason)
{
	struct wire_channel_reason body = { .channel = store_le32(channel),
					    .reason = store_le32(reason) };
	return put(l, FRAME_REFUSE, &body, sizeof(body));
}

bool link_close(struct link *l, uint32_t channel)
{
	struct wire_channel body = { .channel = store_le32(channel) };
	return put(l, FRAME_CLOSE, &body, sizeof(body));
}

/* ---- questions --------------------------------------------------------------------------- */

static struct link_question *new_question(struct link *l, enum frame_type type)
{
	if (l->phase != PHASE_LIVE)
		return NULL;
	for (size_t i = 0; i < LINK_QUESTIONS_MAX; i++) {
		struct link_question *q = &l->questions[i];
		if (q->is_used)
			continue;
		*q = (struct link_question){ .is_used = true, .type = type };
		q->request = next_request(l);
		return q;
	}
	return NULL;
}

uint32_t link_ask_peers(struct link *l, const uint8_t after[PEER_ID_SIZE])
{
	struct link_question *q = new_question(l, FRAME_PEERS_GET);
	if (q == NULL)
		return 0;
	q->peers_get.request = store_le32(q->request);
	memcpy(q->peers_get.after, after, PEER_ID_SIZE);
	return q->request;
}

uint32_t link_find(struct link *l, const uint8_t name_tag[NAME_TAG_SIZE])
{
	struct link_question *q = new_question(l, FRAME_FIND);
	if (q == NULL)
		return 0;
	q->find.request = store_le32(q->request);
	memcpy(q->find.name_tag, name_tag, NAME_TAG_SIZE);
	return q->request;
}

struct link_question *link_find_question(struct link *l, enum frame_type type, uint32_t request)
{
	for (size_t i = 0; i < LINK_QUESTIONS_MAX; i++) {
		struct link_question *q = &l->questions[i];
		if (q->is_used && q->type == type && q->request == request)
			return q;
	}
	return NULL;
}

/* They outlive a session: ask again in the new one. */
void link_questions_restart(struct link *l)
{
	for (size_t i = 0; i < LINK_QUESTIONS_MAX; i++) {
		l->questions[i].tries = 0;
		l->questions[i].ask_ns = 0;
	}
}

/* The answer of a relay that does not answer: nobody. */
static void give_up(struct link *l, struct link_question *q)
{
	if (!link_has_event_room(l)) {
		q->ask_ns = l->now.mono_ns + LINK_QUESTION_NS;
		return;
	}
	enum link_event_type type = q->type == FRAME_FIND ? LINK_EVENT_FOUND : LINK_EVENT_PEERS;
	link_push(l, type)->request = q->request;
	q->is_used = false;
}

static bool ask(struct link_question *q, struct frame_writer *w)
{
	if (q->type == FRAME_FIND)
		return frame_put(w, FRAME_FIND, view_of(&q->find, sizeof(q->find)));
	return frame_put(w, FRAME_PEERS_GET, view_of(&q->peers_get, sizeof(q->peers_get)));
}

void link_questions_write(struct link *l, struct frame_writer *w)
{
	for (size_t i = 0; i < LINK_QUESTIONS_MAX; i++) {
		struct link_question *q = &l->questions[i];
		if (!q->is_used || l->now.mono_ns < q->ask_ns)
			continue;
		if (q->tries == LINK_QUESTION_TRIES_MAX) {
			give_up(l, q);
		} else if (ask(q, w)) {
			q->ask_ns = l->now.mono_ns + (LINK_QUESTION_NS << q->tries);
			q->tries++;
		}
	}
}

uint64_t link_questions_deadline(const struct link *l)
{
	uint64_t deadline_ns = NEVER;
	for (size_t i = 0; i < LINK_QUESTIONS_MAX; i++)
		if (l->questions[i].is_used)
			deadline_ns = earliest(deadline_ns, l->questions[i].ask_ns);
	return deadline_ns;
}
