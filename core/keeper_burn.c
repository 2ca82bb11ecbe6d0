#include "core/burn.h"
#include "core/keeper_internal.h"

/* The keeper knows whose session it is, so it checks the signature; what then happens is for
 * whoever keeps files and devices. A report that is not genuine is passed over in silence. */
void keeper_take_burn(struct keeper *k, struct keeper_entry *e, const struct wire_burn *burn)
{
	const struct burn_expected expected = {
		.server_id = k->config.server.server_id,
		.device_id = directory_record(k->directory, e->session.id.slot)->device,
		.identity = e->identity,
		.wall_ns = k->now.wall_ns,
	};
	struct keeper_event event = { .type = KEEPER_BURN };

	/* A session that has made one up does not keep others' reports waiting. */
	if (e->has_lied || k->now.mono_ns < k->burn_next_ns) {
		k->stats.burns_refused++; /* a genuine one comes again in a second */
		return;
	}
	k->burn_next_ns = k->now.mono_ns + KEEPER_BURN_NS;
	if (!burn_is_genuine(burn, &expected)) {
		e->has_lied = true;
		k->stats.burns_refused++;
		return;
	}
	k->stats.burns++;
	keeper_describe(k, e, &event);
	event.scope = burn->scope;
	memcpy(event.nonce, burn->nonce, sizeof event.nonce);
	memcpy(event.text, burn->reason, burn->reason_size);
	k->config.hooks.event(k->config.hooks.state, &event);
}

bool keeper_answer_burn(struct keeper *k, struct session_id id,
			const uint8_t nonce[BURN_NONCE_SIZE], enum wire_burn_status status,
			struct instant now)
{
	struct keeper_entry *e = (struct keeper_entry *)table_find(k->config.table, id);
	struct wire_burn_ack ack = { .status = (uint8_t)status };

	k->now = now;
	if (e == NULL || e->state != ENTRY_ESTABLISHED || keeper_is_ending(e))
		return false;
	memcpy(ack.nonce, nonce, sizeof ack.nonce);
	bool is_queued = keeper_queue(k, e, FRAME_BURN_ACK, view_of(&ack, sizeof ack));
	keeper_flush(k, e); /* though it may be stopped */
	keeper_flush_marked(k);
	return is_queued;
}

void keeper_replace_key(struct keeper *k, const struct x25519_pair *static_key)
{
	k->config.server.static_key = *static_key;
}
