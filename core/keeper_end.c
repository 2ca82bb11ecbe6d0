#include "core/keeper_internal.h"

#include <assert.h>

/*
 * Ending many sessions at once, in two parts. First each of them is marked: from then on no worker
 * opens or seals anything with it, and after one quiesce none is still at it. That costs some
 * nanoseconds a session and is over within the call. Then they are taken apart in slices, a
 * GOODBYE sealed for each, as fast as the keeper can without starving the rest: their keys go with
 * that. The GOODBYEs themselves leave at the workers' pace (keeper_farewell.c).
 *
 * Between the two can lie a disk that is slow: who is stopped neither passes nor hears anything
 * until it is known what came of that.
 *
 *   established or pending ---keeper_end_matching()---> marked --slice--> ended --reap--> wiped
 *              |--keeper_stop_matching()--> stopped -------^
 */

static bool matches(const struct keeper *k, const struct keeper_entry *e,
		    const struct keeper_match *match)
{
	switch (match->kind) {
	case MATCH_DEVICE:
		return memcmp(directory_record(k->directory, e->session.id.slot)->device, match->id,
			      DEVICE_ID_SIZE) == 0;
	case MATCH_FILE: return memcmp(e->file_id, match->id, FILE_ID_SIZE) == 0;
	case MATCH_ALL: break;
	}
	return true;
}

bool keeper_is_ending(const struct keeper_entry *e)
{
	return load_relaxed(&e->session.is_revoked) == SESSION_ENDING;
}

bool keeper_is_dead(const struct keeper_entry *e)
{
	return load_relaxed(&e->session.is_revoked) != 0;
}

/* Give every session that matches and is not that far yet this mark, more than SESSION_REVOKED,
 * and wait until no worker is at any of them. */
static uint32_t mark(struct keeper *k, const struct keeper_match *match, uint8_t mark,
		     uint8_t reason)
{
	uint32_t cursor = 0, count = 0, alive = 0;
	struct session *s;

	while ((s = table_next(k->config.table, &cursor)) != NULL) {
		struct keeper_entry *e = (struct keeper_entry *)s;
		if (keeper_is_ending(e) || (keeper_is_dead(e) && mark == SESSION_STOPPED) ||
		    !matches(k, e, match))
			continue;
		alive += !keeper_is_dead(e);
		store_release(&s->is_revoked, mark);
		e->end_reason = reason;
		count++;
	}
	if (alive > 0)
		k->config.hooks.quiesce(k->config.hooks.state);
	return count;
}

uint32_t keeper_stop_matching(struct keeper *k, const struct keeper_match *match,
			      struct instant now)
{
	k->now = now;
	return mark(k, match, SESSION_STOPPED, REASON_NONE);
}

uint32_t keeper_end_matching(struct keeper *k, const struct keeper_match *match,
			     enum wire_reason reason, struct instant now)
{
	k->now = now;
	keeper_flush_marked(k); /* what was owed so far is said */
	uint32_t count = mark(k, match, SESSION_ENDING, (uint8_t)reason);
	if (count == 0)
		return 0;
	if (k->ending.count == 0)
		k->ending.told_until_ns = now.mono_ns + KEEPER_ENDING_TOLD_NS;
	k->ending.cursor = 0; /* earlier ones may lie before those that are left */
	k->ending.count += count;
	k->ending.next_slice_ns = now.mono_ns;
	return count;
}

void keeper_end_marked(struct keeper *k, struct keeper_entry *e)
{
	assert(keeper_is_ending(e));
	assert(k->ending.count > 0);
	bool is_meant = e->state == ENTRY_ESTABLISHED && e->end_reason != REASON_NONE;
	bool is_told = is_meant && k->now.mono_ns < k->ending.told_until_ns;
	if (is_meant && !is_told)
		k->stats.goodbyes_lost++;
	keeper_end(k, e, REASON_NONE, is_told); /* it knows its own reason */
}

void keeper_end_slice(struct keeper *k)
{
	struct keeper_ending *ending = &k->ending;

	if (k->now.mono_ns < ending->next_slice_ns)
		return;
	bool is_told = k->now.mono_ns < ending->told_until_ns;
	unsigned most = is_told ? KEEPER_ENDED_PER_SLICE : KEEPER_ENDED_UNTOLD;
	for (unsigned i = 0; i < most && ending->count > 0;) {
		struct session *s = table_next(k->config.table, &ending->cursor);
		if (s == NULL)
			break;
		if (!keeper_is_ending((struct keeper_entry *)s))
			continue;
		keeper_end_marked(k, (struct keeper_entry *)s);
		i++;
	}
	ending->next_slice_ns = ending->count > 0 ? k->now.mono_ns : NEVER;
}

void keeper_mute(struct keeper *k)
{
	k->mutes++;
}

void keeper_unmute(struct keeper *k)
{
	assert(k->mutes > 0);
	k->mutes--;
}

bool keeper_has_ended_all(const struct keeper *k)
{
	return k->ending.count == 0 && k->ended == NULL;
}
