#include "relay/event_post.h"

#include <stdlib.h>

struct event_waiting {
	struct event_waiting *next;
	struct keeper_event event;
};

void event_post_init(struct event_post *p, struct mailbox *to)
{
	memset(p, 0, sizeof(*p));
	p->to = to;
}

static void drop_first(struct event_post *p)
{
	struct event_waiting *first = p->first;
	p->first = first->next;
	if (p->first == NULL)
		p->last = NULL;
	bytes_wipe(first, sizeof(*first)); /* KEEPER_ENROL has a key in it */
	free(first);
}

void event_post_fini(struct event_post *p)
{
	while (p->first != NULL)
		drop_first(p);
}

static bool is_for_the_log_alone(const struct keeper_event *event)
{
	return event->type == KEEPER_SESSION_DOWN || event->type == KEEPER_FORGERIES;
}

static bool wait_for_room(struct event_post *p, const struct keeper_event *event)
{
	struct event_waiting *waiting = malloc(sizeof(*waiting));
	if (waiting == NULL)
		return false;
	waiting->next = NULL;
	waiting->event = *event;
	if (p->last != NULL)
		p->last->next = waiting;
	else
		p->first = waiting;
	p->last = waiting;
	add_relaxed(&p->waited, 1);
	return true;
}

void event_post_put(struct event_post *p, const struct keeper_event *event)
{
	if (event_post_flush(p) && mailbox_put(p->to, event))
		return;
	if (is_for_the_log_alone(event) || !wait_for_room(p, event))
		add_relaxed(&p->lost, 1);
}

bool event_post_flush(struct event_post *p)
{
	while (p->first != NULL && mailbox_put(p->to, &p->first->event))
		drop_first(p);
	return p->first == NULL;
}

bool event_post_is_waiting(const struct event_post *p)
{
	return p->first != NULL;
}
