/* New keys in band: when the link asks for them, and what it does with the relay's answer. */
#include "core/link_internal.h"

/*
 *   idle --due--> asked (REKEY_1 repeats until acknowledged) --REKEY_2--> new keys in use
 *    ^                       |                                               |
 *    |                       +--LINK_REKEY_ANSWER_NS--> session lost         |
 *    +----------------- old keys retired EPOCH_OVERLAP_NS later <------------+
 */

void link_rekey_start(struct link *l, const struct noise_result *keys)
{
	struct link_rekey *r = &l->rekey;

	rekey_chain_from(&r->chain, keys);
	r->is_asked = false;
	r->wanted_ns = NEVER;
	r->since_ns = l->now.mono_ns;
	r->received = 0;
	r->bytes = 0;
	r->not_before_ns = 0;
	r->retire_ns = NEVER;
}

void link_rekey_end(struct link *l)
{
	if (l->rekey.is_asked)
		noise_fini(&l->rekey.noise);
	bytes_wipe(&l->rekey, sizeof(l->rekey));
}

/* Many clients hear of a rotation at once: each asks at a moment of its own. */
void link_rekey_soon(struct link *l)
{
	uint32_t spread_ms = (uint32_t)(LINK_REKEY_SPREAD_NS / NS_PER_MS);
	if (l->rekey.wanted_ns == NEVER)
		l->rekey.wanted_ns =
			l->now.mono_ns + random_below(&l->config.random, spread_ms) * NS_PER_MS;
}

void link_request_rekey(struct link *l)
{
	l->rekey.wanted_ns = earliest(l->rekey.wanted_ns, l->now.mono_ns);
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool keys_are_worn(const struct link *l)
{
	const struct session *s = &l->session;
	const struct link_rekey *r = &l->rekey;
	uint64_t sent = session_sent(s);
	uint64_t received = load_relaxed(&s->highest_received) - r->received;
	uint64_t bytes = load_relaxed(&s->tx_bytes) + load_relaxed(&s->rx_bytes) - r->bytes;

	return sent >= EPOCH_PACKETS_SOFT || received >= EPOCH_PACKETS_SOFT ||
	       bytes >= EPOCH_BYTES_SOFT;
}

uint64_t link_rekey_due(const struct link *l)
{
	const struct link_rekey *r = &l->rekey;

	if (l->phase != PHASE_LIVE)
		return NEVER;
	if (r->is_asked)
		return r->answer_by_ns;
	uint64_t due_ns = earliest(r->wanted_ns, r->since_ns + EPOCH_AGE_SOFT_NS);
	if (l->config.rekey_interval_ns != 0)
		due_ns = earliest(due_ns, r->since_ns + l->config.rekey_interval_ns);
	if (keys_are_worn(l))
		due_ns = 0;
	return due_ns > r->not_before_ns ? due_ns : r->not_before_ns;
}

void link_rekey_act(struct link *l)
{
	struct link_rekey *r = &l->rekey;
	uint32_t epoch = load_relaxed(&l->session.newest) + 1;
	struct wire_rekey body = { .epoch = store_le32(epoch) };

	if (r->is_asked) {
		link_session_lost(l, REASON_KEY_LIMIT); /* the relay has lost count: begin anew */
		return;
	}
	if (!rekey_begin(&r->noise, &r->chain, epoch, &l->config.random, body.noise) ||
	    !reliable_put(&l->sender, FRAME_REKEY_1, view_of(&body, sizeof(body)))) {
		noise_fini(&r->noise);
		r->not_before_ns = l->now.mono_ns + LINK_REKEY_RETRY_NS;
		return; /* the queue is full for now */
	}
	r->is_asked = true;
	r->wanted_ns = NEVER;
	r->answer_by_ns = l->now.mono_ns + LINK_REKEY_ANSWER_NS;
}

/* ---- the answer -------------------------------------------------------------------------- */

static void retire(struct link *l)
{
	key_cache_erase(l->cache, &l->session);
	session_retire_epoch(&l->session);
	session_erase_retired(&l->session); /* no other thread holds them */
	l->rekey.retire_ns = NEVER;
}

uint64_t link_retire_due(const struct link *l)
{
	return l->phase == PHASE_LIVE ? l->rekey.retire_ns : NEVER;
}

void link_retire_act(struct link *l)
{
	retire(l);
}

void link_take_rekey(struct link *l, const struct wire_rekey *answer)
{
	struct link_rekey *r = &l->rekey;
	struct noise_result keys;

	if (!r->is_asked || load_le32(answer->epoch) != load_relaxed(&l->session.newest) + 1)
		return;
	r->is_asked = false;
	if (!rekey_finish(&r->noise, &r->chain, answer->noise, &keys)) {
		link_session_lost(l, REASON_KEY_LIMIT);
		return;
	}
	if (r->retire_ns != NEVER)
		retire(l);
	session_next_epoch(&l->session, &keys);
	bytes_wipe(&keys, sizeof(keys));
	r->since_ns = l->now.mono_ns;
	r->received = load_relaxed(&l->session.highest_received);
	r->bytes = load_relaxed(&l->session.tx_bytes) + load_relaxed(&l->session.rx_bytes);
	r->retire_ns = l->now.mono_ns + EPOCH_OVERLAP_NS;
	l->rekeys++;
	link_ping(l); /* the relay uses them once we have */
}
