/*
 * Tunnels: for each peer that we talk with, the channel through the relay, the end-to-end session,
 * and the SCTP association in it.
 *
 *   wanted -> OPEN sent -> channel -> handshake -> secure -> association up -> messages
 *
 * The association outlives channel and handshake: after a reconnect it goes on where it was, unless
 * the other program was started anew (its instance number tells).
 */
#include <stdlib.h>

#include "client/client.h"

#define RETRY_FIRST_NS (1 * NS_PER_S)
#define RETRY_LAST_NS (15 * NS_PER_S)

/* ---- making and finding ----------------------------------------------------------------- */

struct tunnel *tunnel_find(struct clawchat *c, const uint8_t id[PEER_ID_SIZE])
{
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next)
		if (memcmp(t->id, id, PEER_ID_SIZE) == 0)
			return t;
	return NULL;
}

static struct tunnel *tunnel_make(struct clawchat *c, const uint8_t id[PEER_ID_SIZE])
{
	if (c->is_burning || c->is_erased || c->tunnel_count == TUNNELS_MAX)
		return NULL;
	if (memcmp(id, c->self.id, PEER_ID_SIZE) == 0)
		return NULL;
	struct contact *contact = contacts_need(&c->contacts, id);
	struct tunnel *t = calloc(1, sizeof(*t));
	if (t == NULL || contact == NULL) {
		free(t);
		return NULL;
	}
	struct peer_config config = {
		.self = &c->self,
		.pin = contact->is_known ? &contact->pin : NULL,
		.random = c->random,
		.cipher = packet_cipher_best(),
	};
	memcpy(config.remote_id, id, PEER_ID_SIZE);
	memcpy(t->id, id, PEER_ID_SIZE);
	t->retry_ns = NEVER;
	t->peer = peer_create(&config);
	if (t->peer == NULL) {
		free(t);
		return NULL;
	}
	t->next = c->tunnels;
	c->tunnels = t;
	c->tunnel_count++;
	return t;
}

struct tunnel *tunnel_need(struct clawchat *c, const uint8_t id[PEER_ID_SIZE])
{
	struct tunnel *t = tunnel_find(c, id);
	if (t == NULL)
		t = tunnel_make(c, id);
	if (t != NULL)
		tunnel_want(c, t);
	return t;
}

void tunnel_want(struct clawchat *c, struct tunnel *t)
{
	if (t->channel == 0 && t->request == 0 && t->retry_ns == NEVER)
		t->retry_ns = c->now.mono_ns;
}

static bool is_wanted(const struct clawchat *c, const struct tunnel *t)
{
	return t->texts != NULL || files_are_wanted(c, t);
}

bool tunnel_is_up(const struct tunnel *t)
{
	return t->delivery != NULL && delivery_state(t->delivery) == DELIVERY_UP &&
	       t->channel != 0 && peer_is_secure(t->peer);
}

bool tunnel_send(struct tunnel *t, uint16_t stream, const struct message *m)
{
	static uint8_t buffer[DELIVERY_MESSAGE_MAX]; /* one client a process, one thread */
	size_t size =
		message_encode(m, (struct view_out){ .data = buffer, .capacity = sizeof(buffer) });
	return size > 0 && t->delivery != NULL &&
	       delivery_send(t->delivery, stream, view_of(buffer, size)) == DELIVERY_SENT;
}

/* ---- events for the program ------------------------------------------------------------- */

static void tell(struct clawchat *c, const struct tunnel *t, enum clawchat_event_type type,
		 const char *text)
{
	const struct contact *contact = contacts_find(&c->contacts, t->id);
	struct clawchat_event event = {
		.type = type,
		.text = text,
		.name = contact != NULL ? contact->name : "",
	};
	memcpy(event.peer.bytes, t->id, PEER_ID_SIZE);
	events_put(c, &event);
}

static const char *refusal_text(enum peer_refusal refusal)
{
	switch (refusal) {
	case PEER_REFUSAL_WRONG_ID:
		return "shows an identity that is not its id's: somebody stands in between";
	case PEER_REFUSAL_BAD_SIGNATURE:
		return "shows a key that its identity has not signed: somebody stands in between";
	case PEER_REFUSAL_CHANGED:
		return "shows another key than before; compare the safety number, then accept it "
		       "(clawchat verify --forget)";
	case PEER_REFUSAL_NO_CONTINUITY: break;
	}
	return "one of the two sides has lost what was agreed before; compare the safety number, "
	       "then both accept it (clawchat verify --forget)";
}

/* ---- association ------------------------------------------------------------------------ */

struct association {
	struct clawchat *client;
	struct tunnel *tunnel;
};

static void carry(struct clawchat *c, struct tunnel *t, const uint8_t *packet, size_t size)
{
	struct packet *out;
	uint8_t *frame = t->channel != 0 ? client_frame(c, &out) : NULL;
	if (frame == NULL || size > PEER_BODY_MAX)
		return;
	memcpy(frame + LINK_HEADROOM + PEER_HEADROOM, packet, size);
	size_t blob = peer_seal(t->peer, PEER_FRAME_SCTP, frame + LINK_HEADROOM, size);
	if (blob > 0 && link_send(c->link, t->channel, frame, blob, out))
		client_frame_done(c);
}

static void send_packet(void *state, const uint8_t *packet, size_t size)
{
	const struct association *a = state;
	carry(a->client, a->tunnel, packet, size);
}

static void close_association(struct tunnel *t)
{
	if (t->delivery != NULL)
		delivery_destroy(t->delivery);
	t->delivery = NULL;
	free(t->association);
	t->association = NULL;
}

static void open_association(struct clawchat *c, struct tunnel *t)
{
	struct association *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return;
	*a = (struct association){ .client = c, .tunnel = t };
	t->association = a;
	t->delivery = delivery_create(&(struct delivery_config){
		.send = send_packet,
		.state = a,
	});
	texts_restart(t);
	files_restart(c, t);
}

static void renew_association(struct clawchat *c, struct tunnel *t)
{
	close_association(t);
	t->was_up = false;
	open_association(c, t);
}

static void take_messages(struct clawchat *c, struct tunnel *t)
{
	struct view bytes;
	uint16_t stream;
	while (t->delivery != NULL && !events_are_full(c) &&
	       delivery_next(t->delivery, &stream, &bytes)) {
		struct message m;
		if (!message_decode(bytes, &m))
			continue; /* of a later version, or nonsense: either way not ours to read */
		if (m.type == MESSAGE_TEXT || m.type == MESSAGE_RECEIPT)
			texts_take(c, t, &m);
		else
			files_take(c, t, stream, &m);
	}
}

/* ---- session ---------------------------------------------------------------------------- */

static void take_secure(struct clawchat *c, struct tunnel *t, const struct peer_event *event)
{
	struct contact *contact = contacts_need(&c->contacts, t->id);
	if (contact == NULL)
		return;
	contact->pin = event->pin;
	contact->is_known = true;
	contact->is_changed = false;
	memcpy(contact->name, event->name, sizeof(contact->name));
	client_save_contacts(c); /* says what is wrong by an event */
	bool is_same = t->delivery != NULL && delivery_state(t->delivery) != DELIVERY_LOST &&
		       memcmp(t->instance, event->instance, PEER_INSTANCE_SIZE) == 0;
	memcpy(t->instance, event->instance, PEER_INSTANCE_SIZE);
	t->failures = 0;
	t->is_refused = false;
	t->is_first_contact = event->is_first_contact;
	if (!is_same)
		renew_association(c, t);
}

static void take_confirmed(struct clawchat *c, const struct tunnel *t,
			   const struct peer_event *event)
{
	struct contact *contact = contacts_find(&c->contacts, t->id);
	if (contact == NULL)
		return;
	contact->pin = event->pin;
	client_save_contacts(c);
}

static void take_refused(struct clawchat *c, struct tunnel *t, const struct peer_event *event)
{
	struct contact *contact = contacts_find(&c->contacts, t->id);
	if (contact != NULL)
		contact->is_changed = true;
	t->is_refused = true;
	t->retry_ns = NEVER;
	tell(c, t, CLAWCHAT_EVENT_PEER_CHANGED, refusal_text(event->refusal));
	texts_clear(c, t, "the peer's identity is not the one known");
}

static void give_up_channel(struct clawchat *c, struct tunnel *t)
{
	/* Where CLOSE cannot be queued, the next OPEN of this pair replaces the channel. */
	if (t->channel != 0 && !link_close(c->link, t->channel))
		t->failures++;
	t->channel = 0;
}

static void back_off(struct clawchat *c, struct tunnel *t)
{
	uint64_t wait = RETRY_FIRST_NS << (t->failures < 4 ? t->failures : 4);
	t->failures++;
	t->retry_ns = is_wanted(c, t) && !t->is_refused ?
			      c->now.mono_ns + earliest(wait, RETRY_LAST_NS) :
			      NEVER;
}

static void take_peer_events(struct clawchat *c, struct tunnel *t)
{
	struct peer_event event;
	while (peer_next_event(t->peer, &event)) {
		switch (event.type) {
		case PEER_EVENT_SECURE: take_secure(c, t, &event); break;
		case PEER_EVENT_CONFIRMED: take_confirmed(c, t, &event); break;
		case PEER_EVENT_REFUSED: take_refused(c, t, &event); break;
		case PEER_EVENT_FAILED:
			give_up_channel(c, t);
			back_off(c, t);
			break;
		}
		bytes_wipe(&event, sizeof(event));
	}
}

void tunnels_input(struct clawchat *c, uint32_t channel, struct view blob)
{
	struct tunnel *t = c->tunnels;
	struct view body;
	while (t != NULL && t->channel != channel)
		t = t->next;
	if (t == NULL)
		return;
	enum peer_frame frame = peer_input(t->peer, (uint8_t *)(uintptr_t)blob.data, blob.size,
					   c->now.mono_ns, &body);
	take_peer_events(c, t);
	if (frame == PEER_FRAME_SCTP && t->delivery != NULL)
		delivery_input(t->delivery, body.data, body.size);
}

void tunnel_forget(struct clawchat *c, struct tunnel *t)
{
	peer_forget_pin(t->peer);
	close_association(t);
	t->was_up = false;
	t->is_refused = false;
	t->failures = 0;
	give_up_channel(c, t);
}

/* ---- the relay's word ------------------------------------------------------------------- */

void tunnels_link_up(struct clawchat *c)
{
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next) {
		bool was_open = t->channel != 0;
		t->channel = 0;
		t->request = 0;
		t->failures = 0;
		t->retry_ns = NEVER;
		if (!t->is_refused && (was_open || is_wanted(c, t)))
			t->retry_ns = c->now.mono_ns;
	}
}

static void take_offer(struct clawchat *c, const struct link_event *event)
{
	struct tunnel *t = tunnel_find(c, event->peer);
	if (t == NULL)
		t = tunnel_make(c, event->peer);
	/* A refused peer may try again: its user may have set things right on that side. */
	bool is_accepted = t != NULL ? link_accept(c->link, event->channel) :
				       link_refuse(c->link, event->channel, REASON_LIMIT);
	if (t == NULL || !is_accepted)
		return; /* an offer without an answer ends at the relay in time */
	t->channel = event->channel;
	t->request = 0;
	t->retry_ns = NEVER;
	peer_begin(t->peer, false, c->now.mono_ns);
}

static void take_opened(struct clawchat *c, const struct link_event *event)
{
	struct tunnel *t = tunnel_find(c, event->peer);
	if (t == NULL)
		return; /* cannot be: tunnels live as long as the client */
	t->channel = event->channel;
	t->request = 0;
	t->retry_ns = NEVER;
	peer_begin(t->peer, event->is_initiator, c->now.mono_ns);
}

static void take_failed(struct clawchat *c, const struct link_event *event)
{
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next) {
		if (t->request != event->request)
			continue;
		t->request = 0;
		back_off(c, t);
		return;
	}
}

static void take_gone(struct clawchat *c, const struct link_event *event)
{
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next) {
		if (t->channel != event->channel)
			continue;
		t->channel = 0;
		if (t->was_up)
			tell(c, t, CLAWCHAT_EVENT_PEER_DOWN, wire_reason_text(event->reason));
		t->was_up = false;
		back_off(c, t);
		return;
	}
}

void tunnels_link_event(struct clawchat *c, const struct link_event *event)
{
	switch (event->type) {
	case LINK_EVENT_OFFER: take_offer(c, event); break;
	case LINK_EVENT_OPENED: take_opened(c, event); break;
	case LINK_EVENT_OPEN_FAILED: take_failed(c, event); break;
	case LINK_EVENT_GONE: take_gone(c, event); break;
	default: break;
	}
}

/* ---- as time goes by -------------------------------------------------------------------- */

static void send_handshake(struct clawchat *c, struct tunnel *t)
{
	for (;;) {
		struct packet *out;
		size_t size;
		uint8_t *frame = t->channel != 0 ? client_frame(c, &out) : NULL;
		if (frame == NULL)
			return;
		struct view_out room = { .data = frame + LINK_HEADROOM, .capacity = BLOB_SIZE_MAX };
		if (!peer_output(t->peer, c->now.mono_ns, room, &size))
			return;
		if (link_send(c->link, t->channel, frame, size, out))
			client_frame_done(c);
	}
}

static void check_association(struct clawchat *c, struct tunnel *t)
{
	if (t->delivery == NULL)
		return;
	enum delivery_state state = delivery_state(t->delivery);
	if (state == DELIVERY_UP && !t->was_up && tunnel_is_up(t)) {
		const struct contact *contact = contacts_find(&c->contacts, t->id);
		struct clawchat_event event = {
			.type = CLAWCHAT_EVENT_PEER_UP,
			.name = contact != NULL ? contact->name : "",
			.is_first_contact = t->is_first_contact,
		};
		memcpy(event.peer.bytes, t->id, PEER_ID_SIZE);
		t->was_up = true;
		events_put(c, &event);
	}
	if (state == DELIVERY_LOST && t->channel != 0 && peer_is_secure(t->peer))
		renew_association(c, t);
}

void tunnels_advance(struct clawchat *c)
{
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next) {
		if (t->retry_ns == NEVER && !t->is_refused && is_wanted(c, t))
			tunnel_want(c, t); /* something was queued since the last try failed */
		if (t->channel == 0 && t->request == 0 && t->retry_ns <= c->now.mono_ns) {
			t->request = link_open(c->link, t->id);
			t->retry_ns = t->request != 0 ? NEVER : c->now.mono_ns + RETRY_FIRST_NS;
		}
		take_peer_events(c, t);
		send_handshake(c, t);
		check_association(c, t); /* UP is told before what came through it */
		take_messages(c, t);
		texts_advance(c, t);
		files_advance(c, t);
	}
}

uint64_t tunnels_deadline(const struct clawchat *c)
{
	uint64_t deadline = NEVER;
	for (const struct tunnel *t = c->tunnels; t != NULL; t = t->next)
		deadline = earliest(deadline,
				    earliest(t->retry_ns,
					     t->channel != 0 ? peer_deadline(t->peer) : NEVER));
	return deadline;
}

void tunnels_close(struct clawchat *c)
{
	while (c->tunnels != NULL) {
		struct tunnel *t = c->tunnels;
		c->tunnels = t->next;
		texts_clear(c, t, NULL);
		close_association(t);
		peer_destroy(t->peer);
		free(t);
	}
	c->tunnel_count = 0;
}
