#include "core/keeper_internal.h"

#include <assert.h>

/*
 * Keys of a session, by the numbers in struct session (epoch: sends; newest: published):
 *
 *   one set   --REKEY_1--> two, sends old --first packet under new--> two, sends new
 *      ^                                                                    |
 *      +------ erased after quiesce <-- retired EPOCH_OVERLAP_NS later -----+
 */

static void note_new_keys(struct keeper *k, struct keeper_entry *e)
{
	e->epoch_since_ns = k->now.mono_ns;
	e->epoch_received = (uint32_t)load_relaxed(&e->session.highest_received);
}

void keeper_start_keys(struct keeper *k, struct keeper_entry *e, const struct noise_result *keys)
{
	rekey_chain_from(&e->chain, keys);
	note_new_keys(k, e);
	e->retire_ns = NEVER;
}

bool keeper_keys_are_spent(const struct keeper *k, const struct keeper_entry *e)
{
	const struct session *s = &e->session;
	uint64_t sent = session_sent(s);
	uint32_t received = (uint32_t)load_relaxed(&s->highest_received) - e->epoch_received;

	return k->now.mono_ns >= e->epoch_since_ns + EPOCH_AGE_HARD_NS ||
	       sent >= EPOCH_PACKETS_HARD || received >= EPOCH_PACKETS_HARD;
}

/* ---- old keys -------------------------------------------------------------------------- */

void keeper_retire_keys(struct keeper *k, struct keeper_entry *e)
{
	struct session *s = &e->session;

	e->retire_ns = NEVER;
	/* While the client has not used the new ones, the old ones are those it knows. */
	if (load_relaxed(&s->epoch) != load_relaxed(&s->newest)) {
		e->retire_ns = k->now.mono_ns + EPOCH_OVERLAP_NS;
		return;
	}
	session_retire_epoch(s);
	forward_forget(k->forward, s->id);
	k->config.hooks.forget(k->config.hooks.state, s->id);
	if (e->is_retired)
		return;
	e->is_retired = true;
	e->next_retired = k->retired;
	k->retired = e;
}

void keeper_erase_retired(struct keeper *k)
{
	for (struct keeper_entry *e = k->retired; e != NULL; e = e->next_retired) {
		session_erase_retired(&e->session);
		e->is_retired = false;
	}
	k->retired = NULL;
}

/* Make room for the next keys: a client may rekey sooner than EPOCH_OVERLAP_NS. */
static bool make_room(struct keeper *k, struct keeper_entry *e)
{
	if (load_relaxed(&e->session.epoch) != load_relaxed(&e->session.newest))
		return false; /* the last rekey is not finished */
	if (e->retire_ns != NEVER)
		keeper_retire_keys(k, e);
	if (e->is_retired) {
		k->config.hooks.quiesce(k->config.hooks.state);
		keeper_erase_retired(k);
	}
	return true;
}

/* ---- new keys -------------------------------------------------------------------------- */

bool keeper_may_rekey(const struct keeper *k, const struct keeper_entry *e)
{
	return k->now.mono_ns >= e->epoch_since_ns + KEEPER_REKEY_NS;
}

void keeper_take_rekey(struct keeper *k, struct keeper_entry *e, const struct wire_rekey *request)
{
	struct wire_rekey answer = { .epoch = request->epoch };
	struct noise_result keys;

	if (load_le32(request->epoch) != load_relaxed(&e->session.newest) + 1 || !make_room(k, e))
		return; /* of a client that has lost count: it connects anew when its keys end */
	if (!rekey_answer(&e->chain, request, &k->config.random, answer.noise, &keys)) {
		k->stats.rekeys_failed++;
		return;
	}
	session_publish_epoch(&e->session, &keys);
	bytes_wipe(&keys, sizeof keys);
	note_new_keys(k, e);
	e->retire_ns = k->now.mono_ns + EPOCH_OVERLAP_NS;
	k->stats.rekeys++;
	/* Room was checked before the frame was taken. */
	bool is_queued = keeper_queue(k, e, FRAME_REKEY_2, view_of(&answer, sizeof answer));
	assert(is_queued || !keeper_can_queue(e));
}
