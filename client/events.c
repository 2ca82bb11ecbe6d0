#include <stdlib.h>

#include "client/client.h"

static char *copy(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

static void clear(struct client_event *e)
{
	free(e->text);
	free(e->name);
	free(e->file_name);
	memset(e, 0, sizeof(*e));
}

bool events_are_full(const struct clawchat *c)
{
	/* A quarter is kept for what cannot wait: connection, deliveries, transfers. */
	return c->event_count >= EVENTS_MAX * 3 / 4;
}

void events_put(struct clawchat *c, const struct clawchat_event *event)
{
	if (c->event_count == EVENTS_MAX)
		return;
	struct client_event *e = &c->events[(c->event_first + c->event_count) % EVENTS_MAX];
	c->event_count++;
	e->event = *event;
	e->text = copy(event->text);
	e->name = copy(event->name);
	e->file_name = copy(event->file_name);
	e->event.text = e->text;
	e->event.name = e->name;
	e->event.file_name = e->file_name;
}

void events_clear(struct clawchat *c)
{
	for (; c->event_count > 0; c->event_count--) {
		clear(&c->events[c->event_first]);
		c->event_first = (c->event_first + 1) % EVENTS_MAX;
	}
	clear(&c->shown);
}

bool clawchat_next_event(struct clawchat *c, struct clawchat_event *event)
{
	clear(&c->shown);
	if (c->event_count == 0)
		return false;
	c->shown = c->events[c->event_first];
	memset(&c->events[c->event_first], 0, sizeof(c->shown));
	c->event_first = (c->event_first + 1) % EVENTS_MAX;
	c->event_count--;
	*event = c->shown.event;
	return true;
}
