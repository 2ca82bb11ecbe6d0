/* Compromised over the virtual network: the relay's side, in the order of relay/server_burn.c, but
 * for files on disk and new doors. */
#include "tests/support/sim_internal.h"

const struct sim_burns *sim_burns(const struct sim *sim)
{
	return &sim->relay.burn_counts;
}

/* What waited for the disk is kept by it now. */
void sim_break_disk(struct sim *sim, bool is_broken)
{
	struct sim_relay *r = &sim->relay;
	r->is_disk_broken = is_broken;
	for (unsigned i = 0; i < sim->client_count && !is_broken; i++) {
		r->burn_counts.taken += sim->clients[i]->is_unkept;
		sim->clients[i]->is_unkept = false;
	}
}

/* Nobody hears of a revocation that is not on the disk. */
bool sim_is_muted(const struct sim_client *c)
{
	return c != NULL && c->is_unkept;
}

/* The PSK of what is revoked is erased: zeros. */
bool sim_is_revoked(const struct sim *sim, const struct sim_client *c, struct credential *out)
{
	if (!sim->relay.is_file_revoked && (c == NULL || !c->is_revoked))
		return false;
	*out = (struct credential){ .status = STATUS_REVOKED };
	return true;
}

/* In the middle of the keeper's work: acted upon later, as by another thread. */
void sim_relay_note_burn(struct sim_client *c, const struct keeper_event *event)
{
	assert_non_null(c);
	c->reporting = event->session;
	c->report_scope = event->scope;
	memcpy(c->report_nonce, event->nonce, BURN_NONCE_SIZE);
}

static void answer(struct sim *sim, const struct sim_client *c, enum wire_burn_status status)
{
	struct sim_relay *r = &sim->relay;
	if (!keeper_answer_burn(r->keeper, c->reporting, c->report_nonce, status, sim->now))
		r->burn_counts.unanswered++;
}

static void revoke(struct sim *sim, struct sim_client *c, enum compromised_scope scope,
		   enum wire_reason reason)
{
	struct keeper_match match = { .kind = MATCH_DEVICE };
	memcpy(match.id, c->device_id, DEVICE_ID_SIZE);
	if (scope == COMPROMISED_DEVICE) {
		c->is_revoked = true;
	} else {
		match.kind = MATCH_FILE;
		memcpy(match.id, sim->relay.file_id, FILE_ID_SIZE);
		sim->relay.is_file_revoked = true;
	}
	keeper_end_matching(sim->relay.keeper, &match, reason, sim->now);
}

static void take_burn(struct sim *sim, struct sim_client *c)
{
	struct sim_relay *r = &sim->relay;
	const struct burn_policy policy = { .files_per_hour = 1 };
	uint8_t before;

	if (burn_ledger_find(&r->burns, c->report_nonce, &before)) {
		r->burn_counts.copies++;
		answer(sim, c, (enum wire_burn_status)before);
		return;
	}
	if (r->is_disk_broken) {
		r->burn_counts.failed++;
		answer(sim, c, BURN_FAILED);
		c->is_unkept = true;
		revoke(sim, c, COMPROMISED_DEVICE, REASON_NONE);
		return;
	}
	enum compromised_scope scope =
		burn_ledger_scope(&r->burns, &policy, (enum wire_scope)c->report_scope,
				  sim->now.mono_ns);
	enum wire_burn_status status = (int)scope < c->report_scope ? BURN_NARROWED : BURN_DONE;
	r->burn_counts.taken++;
	answer(sim, c, status);
	revoke(sim, c, scope, REASON_COMPROMISED);
	burn_ledger_note(&r->burns, c->report_nonce, status);
	if (scope == COMPROMISED_FILE)
		burn_ledger_count(&r->burns, sim->now.mono_ns);
}

void sim_relay_end_burns(struct sim *sim)
{
	for (unsigned i = 0; i < sim->client_count; i++) {
		struct sim_client *c = sim->clients[i];
		if (c->reporting.generation == 0)
			continue;
		take_burn(sim, c);
		c->reporting = (struct session_id){ 0 };
	}
}
