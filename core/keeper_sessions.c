#include "core/keeper_internal.h"

#include <assert.h>
#include <stdlib.h>

void keeper_describe(const struct keeper *k, const struct keeper_entry *e,
		     struct keeper_event *event)
{
	const struct directory_record *record = directory_record(k->directory, e->session.id.slot);

	event->session = e->session.id;
	event->remote = session_path(&e->session).remote;
	event->timestamp_ns = e->timestamp_ns;
	memcpy(event->device, record->device, sizeof event->device);
	memcpy(event->peer, record->peer, sizeof event->peer);
	memcpy(event->identity, e->identity, sizeof event->identity);
	memcpy(event->file_id, e->file_id, sizeof event->file_id);
}

static void tell(struct keeper *k, const struct keeper_entry *e, enum keeper_event_type type,
		 uint32_t reason)
{
	struct keeper_event event = { .type = type, .reason = reason };

	keeper_describe(k, e, &event);
	k->config.hooks.event(k->config.hooks.state, &event);
}

/* ---- beginning ------------------------------------------------------------------------- */

/* An older session of the same device, pending ones too; NULL: none. A pending one with a later
 * HELLO is left alone: the client may be about to use it. */
static struct keeper_entry *older_of_device(const struct keeper *k, const struct keeper_entry *e)
{
	const uint8_t *device = directory_record(k->directory, e->session.id.slot)->device;

	for (uint32_t slot = directory_find_device(k->directory, device); slot != DIRECTORY_NONE;
	     slot = directory_next_device(k->directory, slot)) {
		struct keeper_entry *other = keeper_entry_at(k, slot);
		if (other != e && other->timestamp_ns < e->timestamp_ns)
			return other;
	}
	return NULL;
}

void keeper_establish(struct keeper *k, struct keeper_entry *e)
{
	struct keeper_entry *older;

	assert(e->state == ENTRY_PENDING);
	while ((older = older_of_device(k, e)) != NULL)
		keeper_end(k, older, REASON_SUPERSEDED, older->state == ENTRY_ESTABLISHED);
	e->state = ENTRY_ESTABLISHED;
	k->pending_count--;
	k->stats.sessions_made++;
	directory_announce(k->directory, e->session.id.slot);
	keeper_set_timer(k, e);
	tell(k, e, KEEPER_SESSION_UP, REASON_NONE);
	keeper_mark(k, e); /* it may have to hear of the next door */
}

/* ---- roaming --------------------------------------------------------------------------- */

/* The challenge is never larger than the packet that provoked it: that may have been sent in
 * somebody else's name. */
static void send_challenge(struct keeper *k, struct keeper_entry *e, const struct upcall *upcall)
{
	struct keeper_outgoing o;

	if (upcall->datagram_size <= WIRE_OVERHEAD)
		return;
	keeper_outgoing_init(&o, earliest(upcall->datagram_size, e->session.datagram_max));
	if (!frame_put(&o.writer, FRAME_PATH_CHALLENGE, VIEW(e->probe->token)))
		return;
	k->stats.path_challenges++;
	k->stats.frames_out++;
	keeper_outgoing_send(k, e, &o, &upcall->path);
}

void keeper_take_path(struct keeper *k, struct keeper_entry *e, const struct upcall *upcall)
{
	struct path path = session_path(&e->session);

	if (k->now.mono_ns < e->probe_after_ns || path_equal(&path, &upcall->path))
		return;
	if (e->probe == NULL)
		e->probe = malloc(sizeof *e->probe);
	if (e->probe == NULL)
		return; /* no memory: the next packet asks again */
	e->probe->path = upcall->path;
	e->probe->until_ns = k->now.mono_ns + KEEPER_PROBE_NS;
	random_fill(&k->config.random, e->probe->token, sizeof e->probe->token);
	e->probe_after_ns = k->now.mono_ns + PATH_CHALLENGE_NS;
	send_challenge(k, e, upcall);
	keeper_set_timer(k, e);
}

static void drop_probe(struct keeper_entry *e)
{
	free(e->probe);
	e->probe = NULL;
}

void keeper_take_path_response(struct keeper *k, struct keeper_entry *e, const struct path *path,
			       const struct wire_path *response)
{
	struct keeper_probe *probe = e->probe;

	if (probe == NULL || !path_equal(&probe->path, path) ||
	    !bytes_equal(probe->token, response->token, sizeof probe->token))
		return;
	session_set_path(&e->session, path);
	k->stats.path_moves++;
	drop_probe(e);
}

/* ---- end ------------------------------------------------------------------------------- */

static void forget_keys(struct keeper *k, const struct keeper_entry *e)
{
	forward_forget(k->forward, e->session.id);
	k->config.hooks.forget(k->config.hooks.state, e->session.id);
}

void keeper_end(struct keeper *k, struct keeper_entry *e, enum wire_reason reason, bool is_told)
{
	bool was_established = e->state == ENTRY_ESTABLISHED;

	assert(e->state == ENTRY_PENDING || e->state == ENTRY_ESTABLISHED);
	if (keeper_is_ending(e)) {
		reason = (enum wire_reason)e->end_reason;
		k->ending.count--;
	}
	if (is_told)
		keeper_say_goodbye(k, e, reason);
	keeper_end_channels(k, e);
	e->state = ENTRY_ENDED;

	/* From here on no worker opens or seals anything with it. */
	store_release(&e->session.is_revoked, SESSION_REVOKED);
	if (was_established) {
		k->stats.sessions_ended++;
		tell(k, e, KEEPER_SESSION_DOWN, (uint32_t)reason);
	} else {
		k->pending_count--;
	}
	wheel_stop(&k->wheel, &e->timer);
	directory_remove(k->directory, e->session.id.slot);
	keeper_drop_sender(e);
	keeper_drop_enrolment(e);
	drop_probe(e);
	table_remove(k->config.table, &e->session);
	forget_keys(k, e);
	e->next_ended = k->ended;
	k->ended = e;
}

void keeper_reap(struct keeper *k)
{
	assert(k->dirty == NULL);
	if (k->ended == NULL && k->channels_done == 0 && k->retired == NULL)
		return;
	k->config.hooks.quiesce(k->config.hooks.state);
	keeper_erase_retired(k); /* before its entries are freed */
	for (struct keeper_entry *e = k->ended, *next; e != NULL; e = next) {
		next = e->next_ended;
		table_free(k->config.table, &e->session);
	}
	k->ended = NULL;
	keeper_give_back_channels(k);
}
