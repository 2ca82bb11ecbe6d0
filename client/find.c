/* Who is meant: an id, the beginning of one, a contact's name, or a name announced at the relay. */
#include <stdio.h>

#include "client/client.h"

static void tell_found(struct clawchat *c, uint32_t number, const uint8_t id[PEER_ID_SIZE])
{
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FOUND, .request = number };
	memcpy(event.peer.bytes, id, PEER_ID_SIZE);
	events_put(c, &event);
}

/* PEER_ABSENT: may be found later. PEER_UNKNOWN: not by this text. */
static void tell_not_found(struct clawchat *c, uint32_t number, enum clawchat_result result,
			   const char *text)
{
	events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_NOT_FOUND,
						.result = result,
						.request = number,
						.text = text });
}

static struct find *free_place(struct clawchat *c)
{
	for (size_t i = 0; i < FINDS_MAX; i++)
		if (c->finds[i].number == 0)
			return &c->finds[i];
	return NULL;
}

/* `known`: the contact that is called so, or NULL. */
static void ask_relay(struct clawchat *c, struct find *find, const char *name,
		      const struct contact *known)
{
	find->number = c->next_number;
	find->link_request = 0;
	find->is_known = known != NULL;
	if (known != NULL)
		memcpy(find->known, known->id, PEER_ID_SIZE);
	snprintf(find->what, sizeof(find->what), "%s", name);
	finds_advance(c);
	if (known == NULL || find->link_request != 0)
		return;
	tell_found(c, find->number, known->id); /* not connected: nobody can be asked */
	memset(find, 0, sizeof(*find));
}

uint32_t clawchat_find(struct clawchat *c, const char *name_or_id)
{
	uint8_t id[PEER_ID_SIZE];
	const struct contact *match = NULL;
	struct find *find = free_place(c);
	char text[256];
	if (find == NULL)
		return 0;
	uint32_t number = ++c->next_number;
	if (peer_id_parse(name_or_id, id)) {
		tell_found(c, number, id);
		return number;
	}
	size_t matches = contacts_match(&c->contacts, name_or_id, &match);
	if (matches == 1 && strcmp(match->name, name_or_id) != 0) {
		tell_found(c, number, match->id);
	} else if (matches > 1) {
		snprintf(text, sizeof(text),
			 "%zu contacts are called '%.64s': use an id (clawchat peers), or forget "
			 "one (clawchat verify ID --forget)",
			 matches, name_or_id);
		tell_not_found(c, number, CLAWCHAT_PEER_UNKNOWN, text);
	} else if (strlen(name_or_id) >= CLAWCHAT_NAME_SIZE) {
		tell_not_found(c, number, CLAWCHAT_PEER_UNKNOWN,
			       "too long for a name, and not an id");
	} else {
		bool is_known = matches == 1 && match->is_known; /* not one forgotten since */
		ask_relay(c, find, name_or_id, is_known ? match : NULL);
	}
	return number;
}

void finds_advance(struct clawchat *c)
{
	for (size_t i = 0; i < FINDS_MAX && c->link != NULL; i++) {
		struct find *find = &c->finds[i];
		uint8_t tag[NAME_TAG_SIZE];
		if (find->number == 0 || find->link_request != 0)
			continue;
		name_tag_of(c->profile.relay.server_id, view_of(find->what, strlen(find->what)),
			    tag);
		find->link_request = link_find(c->link, tag); /* 0 while not connected */
	}
}

static void several(struct clawchat *c, const struct find *find, const struct link_event *event)
{
	char text[CLAWCHAT_ERROR_SIZE];
	int used = snprintf(text, sizeof(text),
			    "%u peers call themselves '%s', use an id:", event->count, find->what);
	for (size_t i = 0; i < event->count && i < 3 && used < (int)sizeof(text); i++) {
		char id[CLAWCHAT_PEER_ID_TEXT];
		peer_id_format(event->found[i], id);
		used += snprintf(text + used, sizeof(text) - (size_t)used, " %s", id);
	}
	tell_not_found(c, find->number, CLAWCHAT_PEER_UNKNOWN, text);
}

/*
 * A contact's name. Whoever else announces it is not the contact: where that one is away, its user
 * may have a new identity, or somebody poses as it; which of the two, no program can know.
 */
static void take_known(struct clawchat *c, const struct find *find, const struct link_event *event)
{
	char text[CLAWCHAT_ERROR_SIZE], other[CLAWCHAT_PEER_ID_TEXT], known[CLAWCHAT_PEER_ID_TEXT];
	bool is_here = event->count == 0 || event->count > FIND_RESULTS_MAX;
	for (size_t i = 0; i < event->count && !is_here; i++)
		is_here = memcmp(event->found[i], find->known, PEER_ID_SIZE) == 0;
	if (is_here) {
		tell_found(c, find->number, find->known);
		return;
	}
	peer_id_format(event->found[0], other);
	peer_id_format(find->known, known);
	snprintf(text, sizeof(text),
		 "the '%s' that you know is away, and another identity calls itself so (%.*s); ask "
		 "by another way who that is, then accept it (clawchat verify %.*s --forget)",
		 find->what, CONTACT_PREFIX_MIN, other, CONTACT_PREFIX_MIN, known);
	tell_not_found(c, find->number, CLAWCHAT_PEER_CHANGED, text);
}

static void take_found(struct clawchat *c, const struct link_event *event)
{
	char text[256];
	for (size_t i = 0; i < FINDS_MAX; i++) {
		struct find *find = &c->finds[i];
		if (find->number == 0 || find->link_request != event->request)
			continue;
		if (find->is_known) {
			take_known(c, find, event);
		} else if (event->count == 1) {
			tell_found(c, find->number, event->found[0]);
		} else if (event->count == 0) {
			snprintf(text, sizeof(text), "nobody called '%s' is connected", find->what);
			tell_not_found(c, find->number, CLAWCHAT_PEER_ABSENT, text);
		} else {
			several(c, find, event);
		}
		memset(find, 0, sizeof(*find));
	}
}

static void take_peers(struct clawchat *c, const struct link_event *event)
{
	if (event->request != c->peers_request)
		return;
	for (size_t i = 0; i < event->count; i++) {
		struct contact *contact = contacts_need(&c->contacts, event->peers[i].peer);
		if (contact == NULL)
			break;
		contact->is_present = true;
		memcpy(contact->name_tag, event->peers[i].name_tag, NAME_TAG_SIZE);
	}
	if (event->has_more && event->count > 0)
		c->peers_request = link_ask_peers(c->link, event->peers[event->count - 1].peer);
	else
		c->peers_request = 0;
	if (c->peers_request == 0)
		events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_PEERS });
}

void finds_link_event(struct clawchat *c, const struct link_event *event)
{
	if (event->type == LINK_EVENT_FOUND)
		take_found(c, event);
	else if (event->type == LINK_EVENT_PEERS)
		take_peers(c, event);
}

enum clawchat_result clawchat_ask_peers(struct clawchat *c)
{
	static const uint8_t start[PEER_ID_SIZE];
	c->wants_peers = false;
	if (c->peers_request != 0)
		return CLAWCHAT_OK; /* under way */
	for (size_t i = 0; i < c->contacts.count; i++)
		c->contacts.list[i].is_present = false;
	c->peers_request = c->link != NULL ? link_ask_peers(c->link, start) : 0;
	c->wants_peers = c->peers_request == 0;
	return CLAWCHAT_OK;
}
