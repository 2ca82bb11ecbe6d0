#include "core/keeper_internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- life cycle ------------------------------------------------------------------------ */

size_t keeper_entry_size(void)
{
	return sizeof(struct keeper_entry);
}

static bool create_parts(struct keeper *k)
{
	const struct keeper_config *config = &k->config;
	const struct forward_config forward = {
		.table = config->table,
		.channels = config->channels,
		.cipher = config->cipher,
		.key_cache_entries = KEEPER_KEY_CACHE,
		.batch_max = 1,
	};
	const struct rate_limit_config rate = {
		.entries = RATE_TABLE_ENTRIES,
		.rate_per_s = config->handshake_rate_per_s,
		.burst = config->handshake_burst,
	};

	k->forward = forward_create(&forward);
	k->directory = directory_create(table_slots(config->table), &config->random);
	k->rate_limit = rate_limit_create(&rate, &config->random);
	k->seen = seen_create(HANDSHAKES_SEEN, &config->random);
	k->channels_capacity = channels_capacity(config->channels);
	k->channels = calloc((size_t)k->channels_capacity + 1, sizeof *k->channels);
	return k->forward != NULL && k->directory != NULL && k->rate_limit != NULL &&
	       k->seen != NULL && k->channels != NULL;
}

struct keeper *keeper_create(const struct keeper_config *config)
{
	assert(config->idle_timeout_ns > 0);
	struct keeper *k = calloc(1, sizeof *k);
	if (k == NULL)
		return NULL;
	k->config = *config;
	k->pending_max =
		(table_slots(config->table) + KEEPER_PENDING_SHARE - 1) / KEEPER_PENDING_SHARE;
	wheel_init(&k->wheel, 0);
	k->announcement.next_slice_ns = NEVER;
	k->ending.next_slice_ns = NEVER;
	k->farewells.next_ns = NEVER;
	random_fill(&k->config.random, k->cookies.secrets, sizeof k->cookies.secrets);
	if (create_parts(k))
		return k;
	keeper_destroy(k);
	return NULL;
}

static void destroy_entries(struct keeper *k)
{
	uint32_t cursor = 0;
	struct session *s;

	while ((s = table_next(k->config.table, &cursor)) != NULL) {
		struct keeper_entry *e = (struct keeper_entry *)s;
		keeper_drop_sender(e);
		keeper_drop_enrolment(e);
		free(e->probe);
		e->probe = NULL;
	}
}

void keeper_destroy(struct keeper *k)
{
	if (k == NULL)
		return;
	destroy_entries(k);
	keeper_drop_farewells(k);
	forward_destroy(k->forward);
	directory_destroy(k->directory);
	rate_limit_destroy(k->rate_limit);
	seen_destroy(k->seen);
	free(k->channels);
	bytes_wipe(k, sizeof *k);
	free(k);
}

bool keeper_open_door(struct keeper *k, uint64_t door, uint16_t port, const struct door_keys *keys)
{
	return forward_open_door(k->forward, door, port, keys);
}

void keeper_close_door(struct keeper *k, uint64_t door)
{
	forward_close_door(k->forward, door);
}

void keeper_drain(struct keeper *k)
{
	k->is_draining = true;
}

/* ---- sessions by slot and id ----------------------------------------------------------- */

static struct keeper_entry *find(const struct keeper *k, struct session_id id)
{
	return (struct keeper_entry *)table_find(k->config.table, id);
}

/* Of a slot that the directory names: what is entered there is published. */
struct keeper_entry *keeper_entry_at(const struct keeper *k, uint32_t slot)
{
	uint32_t cursor = slot;
	struct session *s = table_next(k->config.table, &cursor);

	assert(s != NULL);
	assert(s->id.slot == slot);
	return (struct keeper_entry *)s;
}

/* ---- timers ---------------------------------------------------------------------------- */

static struct keeper_entry *entry_of_timer(struct wheel_timer *timer)
{
	return (struct keeper_entry *)((uint8_t *)timer - offsetof(struct keeper_entry, timer));
}

/* Workers move last_receive_ns and the counters on without telling us, so these are looked at
 * when the timer fires, and it is set for the earliest time at which they can matter. */
static uint64_t idle_at(const struct keeper *k, const struct keeper_entry *e)
{
	return load_relaxed(&e->session.last_receive_ns) + k->config.idle_timeout_ns;
}

void keeper_set_timer(struct keeper *k, struct keeper_entry *e)
{
	uint64_t due_ns;

	if (e->state == ENTRY_PENDING) {
		due_ns = k->now.mono_ns + KEEPER_PENDING_LOOK_NS;
	} else {
		due_ns = earliest(idle_at(k, e), e->epoch_since_ns + EPOCH_AGE_HARD_NS);
		due_ns = earliest(due_ns, e->retire_ns);
		if (e->sender != NULL)
			due_ns = earliest(due_ns, reliable_deadline(e->sender));
		if (e->probe != NULL)
			due_ns = earliest(due_ns, e->probe->until_ns);
	}
	wheel_set(&k->wheel, &e->timer, due_ns);
}

static void look_at_pending(struct keeper *k, struct keeper_entry *e)
{
	/* The upcall can get lost where a mailbox is full. Set by session_accept(). */
	if (load_relaxed(&e->session.is_established))
		keeper_establish(k, e);
	else if (k->now.mono_ns >= e->since_ns + SESSION_PENDING_NS)
		keeper_end(k, e, REASON_IDLE, false);
	else
		keeper_set_timer(k, e);
}

static void look_at(struct keeper *k, struct keeper_entry *e)
{
	if (keeper_is_ending(e)) {
		keeper_end_marked(k, e);
		return;
	}
	if (keeper_is_dead(e)) {
		wheel_set(&k->wheel, &e->timer, k->now.mono_ns + KEEPER_STOPPED_LOOK_NS);
		return;
	}
	if (e->state == ENTRY_PENDING) {
		look_at_pending(k, e);
		return;
	}
	if (e->probe != NULL && k->now.mono_ns >= e->probe->until_ns) {
		free(e->probe);
		e->probe = NULL;
	}
	if (k->now.mono_ns >= idle_at(k, e)) {
		keeper_end(k, e, REASON_IDLE, true);
		return;
	}
	if (keeper_keys_are_spent(k, e)) {
		keeper_end(k, e, REASON_KEY_LIMIT, true);
		return;
	}
	if (k->now.mono_ns >= e->retire_ns)
		keeper_retire_keys(k, e);
	keeper_flush(k, e);
	if (e->sender != NULL && reliable_is_dead(e->sender))
		keeper_end(k, e, REASON_UNRESPONSIVE, false);
}

uint64_t keeper_tick(struct keeper *k, struct instant now)
{
	struct wheel_timer *timer;

	k->now = now;
	keeper_expire_offers(k);
	keeper_announce_slice(k);
	keeper_end_slice(k);
	keeper_send_farewells(k);
	for (unsigned i = 0; i < KEEPER_TIMERS_PER_TICK; i++) {
		timer = wheel_take(&k->wheel, now.mono_ns);
		if (timer == NULL)
			break;
		look_at(k, entry_of_timer(timer));
	}
	keeper_flush_marked(k);
	keeper_reap(k);
	uint64_t slices_ns = earliest(k->announcement.next_slice_ns, k->ending.next_slice_ns);
	slices_ns = earliest(slices_ns, k->farewells.next_ns);
	return earliest(slices_ns, earliest(wheel_deadline(&k->wheel), keeper_offers_deadline(k)));
}

/* ---- upcalls --------------------------------------------------------------------------- */

static void take_session_upcall(struct keeper *k, struct keeper_entry *e,
				const struct upcall *upcall)
{
	/* Only an authentic packet makes any of these, and the first may overtake the news. */
	if (e->state == ENTRY_PENDING && upcall->kind != UPCALL_FORGERIES)
		keeper_establish(k, e);

	switch (upcall->kind) {
	case UPCALL_CONTROL: keeper_take_control(k, e, upcall); break;
	case UPCALL_PATH: keeper_take_path(k, e, upcall); break;
	case UPCALL_FORGERIES: {
		struct keeper_event event = { .type = KEEPER_FORGERIES };
		keeper_describe(k, e, &event);
		k->config.hooks.event(k->config.hooks.state, &event);
		break;
	}
	default: /* UPCALL_ESTABLISHED: done above */ break;
	}
}

void keeper_upcall(struct keeper *k, const struct upcall *upcall, uint32_t queue_depth,
		   struct instant now)
{
	k->now = now;
	if (upcall->kind == UPCALL_HELLO) {
		keeper_take_hello(k, upcall, queue_depth);
	} else {
		struct keeper_entry *e = find(k, upcall->session);
		/* Else it ended while this was under way. */
		if (e != NULL && !keeper_is_dead(e))
			take_session_upcall(k, e, upcall);
	}
	keeper_flush_marked(k);
}

/* ---- the operator ---------------------------------------------------------------------- */

/* The news of its first packet may still be under way: a client that is connected, and may have
 * been for a while, is told. */
static void end_and_tell(struct keeper *k, struct keeper_entry *e, enum wire_reason reason)
{
	if (e->state == ENTRY_PENDING && load_relaxed(&e->session.is_established))
		keeper_establish(k, e);
	keeper_end(k, e, reason, e->state == ENTRY_ESTABLISHED);
}

bool keeper_end_session(struct keeper *k, struct session_id id, enum wire_reason reason,
			struct instant now)
{
	struct keeper_entry *e = find(k, id);

	k->now = now;
	if (e == NULL)
		return false;
	end_and_tell(k, e, reason);
	keeper_flush_marked(k);
	return true;
}

void keeper_end_all(struct keeper *k, enum wire_reason reason, struct instant now)
{
	uint32_t cursor = 0;
	struct session *s;

	k->now = now;
	while ((s = table_next(k->config.table, &cursor)) != NULL)
		end_and_tell(k, (struct keeper_entry *)s, reason);
	keeper_flush_marked(k);
}

bool keeper_next_session(const struct keeper *k, uint32_t *cursor, struct keeper_session *out)
{
	const struct session *s = table_next(k->config.table, cursor);

	if (s == NULL)
		return false;
	const struct keeper_entry *e = (const struct keeper_entry *)s;
	const struct directory_record *record = directory_record(k->directory, s->id.slot);
	*out = (struct keeper_session){
		.id = s->id,
		.path = session_path(s),
		.since_ns = e->since_ns,
		.last_receive_ns = load_relaxed(&s->last_receive_ns),
		.rx_packets = load_relaxed(&s->highest_received),
		.tx_packets = load_relaxed(&s->send_counter),
		.rx_bytes = load_relaxed(&s->rx_bytes),
		.tx_bytes = load_relaxed(&s->tx_bytes),
		.channels = e->channel_count,
		.epoch = load_relaxed(&s->epoch),
		.is_established = e->state == ENTRY_ESTABLISHED,
	};
	memcpy(out->peer, record->peer, sizeof out->peer);
	memcpy(out->device, record->device, sizeof out->device);
	memcpy(out->file_id, e->file_id, sizeof out->file_id);
	return true;
}

const struct keeper_stats *keeper_stats(const struct keeper *k)
{
	return &k->stats;
}

struct verdict_counters *keeper_counters(struct keeper *k)
{
	return &k->counters;
}
