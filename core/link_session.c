/* The session of a link: from WELCOME to its end, its timers, and the relay's clock. */
#include "core/link_internal.h"

/* ---- the relay's clock ------------------------------------------------------------------- */

/* Hung on mono_ns, which nobody sets: so a correction of our wall clock is not counted twice. */
uint64_t link_relay_time(const struct link *l)
{
	if (!l->is_clock_learned)
		return l->now.wall_ns;
	return l->now.mono_ns + (uint64_t)l->relay_minus_mono_ns;
}

void link_learn_time(struct link *l, uint64_t relay_wall_ns)
{
	l->is_clock_learned = l->is_clock_sure = true;
	l->relay_minus_mono_ns = (int64_t)(relay_wall_ns - l->now.mono_ns);
}

void link_clock_init(struct link *l)
{
	const struct link_config *config = &l->config;
	l->handshake.last_timestamp_ns = l->handshake.taken_timestamp_ns =
		config->last_timestamp_ns;
	if (!config->has_clock_offset)
		return;
	uint64_t relay_wall_ns = l->now.wall_ns + (uint64_t)config->clock_offset_ns;
	l->is_clock_learned = true;
	l->relay_minus_mono_ns = (int64_t)(relay_wall_ns - l->now.mono_ns);
}

/* ---- session ----------------------------------------------------------------------------- */

void link_session_end(struct link *l)
{
	if (l->phase == PHASE_NONE)
		return;
	key_cache_erase_all(l->cache);
	session_fini(&l->session);
	bytes_wipe(&l->sender, sizeof(l->sender));
	link_rekey_end(l);
	link_enrolment_end(l);
	l->phase = PHASE_NONE;
}

/* The relay takes the session for established by our first packet: a PING, now. */
void link_session_begin(struct link *l, const struct link_try *try, struct session_id id,
			const struct noise_result *keys)
{
	uint64_t now_ns = l->now.mono_ns;
	link_session_end(l);
	session_init(&l->session, id, keys);
	link_rekey_start(l, keys);
	l->credential = try->credential;
	link_enrolment_start(l, keys);
	l->phase = PHASE_PENDING;
	l->state = l->handshakes > 0 ? LINK_RECONNECTING : LINK_CONNECTING;
	l->route = try->route;
	l->rotation.switch_ns = NEVER;
	l->pending_until_ns = now_ns + LINK_PENDING_NS;
	l->pending_ping_ns = now_ns;
	l->last_send_ns = l->last_receive_ns = now_ns;
	l->waiting_ns = l->blob_ns = NEVER;
	l->rtt_ns = 0;
	memset(l->pings, 0, sizeof(l->pings));
	link_frames_start(l);
}

static void draw_ping_wait(struct link *l)
{
	uint32_t spread = 2 * LINK_KEEPALIVE_JITTER_PERCENT;
	uint64_t percent = 100 - spread / 2 + random_below(&l->config.random, spread + 1);
	l->ping_wait_ns = l->keepalive_ns / 100 * percent;
}

static void session_is_live(struct link *l)
{
	l->phase = PHASE_LIVE;
	l->state = LINK_ESTABLISHED;
	l->handshakes++;
	l->hellos = 0;
	draw_ping_wait(l);
	link_questions_restart(l);
	link_burn_session(l);
	link_push_state(l, LINK_EVENT_UP);
	l->is_up_told = true;
	link_credential_proved(l);
}

void link_note_received(struct link *l)
{
	l->last_receive_ns = l->now.mono_ns;
	l->waiting_ns = l->blob_ns = NEVER;
	if (l->phase == PHASE_PENDING)
		session_is_live(l);
	/* It answers, so another one sought beside it is not needed. */
	if (l->phase == PHASE_LIVE && l->handshake.is_on)
		link_handshake_stop(l);
}

static void tell_down(struct link *l, uint32_t reason)
{
	l->state = l->handshakes > 0 ? LINK_RECONNECTING : LINK_CONNECTING;
	if (!l->is_up_told)
		return;
	l->is_up_told = false;
	link_push_state(l, LINK_EVENT_DOWN)->reason = reason;
}

void link_session_lost(struct link *l, uint32_t reason)
{
	link_session_end(l);
	if (link_has_given_up(l))
		return;
	tell_down(l, reason);
	if (!l->handshake.is_on)
		link_handshake_start(l, 0);
	else
		l->handshake.hello_ns =
			earliest(l->handshake.hello_ns, l->now.mono_ns + l->handshake.retry_ns);
}

void link_refused(struct link *l, uint8_t status)
{
	link_session_end(l);
	link_handshake_stop(l);
	l->state = LINK_REFUSED;
	l->is_up_told = false;
	if (link_burn_refused(l, status == STATUS_REVOKED))
		return;
	link_push_state(l, LINK_EVENT_REFUSED)->status = status;
}

/* A GOODBYE after which trying again is of no use; STATUS_OK: another one. */
static enum wire_status final_status(uint32_t reason)
{
	switch (reason) {
	case REASON_REVOKED:
	case REASON_COMPROMISED: return STATUS_REVOKED;
	case REASON_SPENT: return STATUS_SPENT;
	case REASON_EXPIRED: return STATUS_EXPIRED;
	default: return STATUS_OK;
	}
}

/* Acknowledged with the next output; only then is the session over. */
void link_said_goodbye(struct link *l, uint32_t reason)
{
	enum wire_status status = final_status(reason);
	link_handshake_stop(l);
	reliable_init(&l->sender, 0);
	l->phase = PHASE_LEAVING;
	if (status != STATUS_OK) {
		l->state = LINK_REFUSED;
		l->is_up_told = false;
		if (link_burn_refused(l, true))
			return;
		struct link_event *event = link_push_state(l, LINK_EVENT_REFUSED);
		event->status = (uint8_t)status;
		event->reason = reason;
		return;
	}
	tell_down(l, reason);
	link_handshake_start(l, reason == REASON_SUPERSEDED ? LINK_SUPERSEDED_NS :
				reason == REASON_KICKED     ? LINK_SLOW_NS :
							      LINK_RESTART_NS);
}

void link_expect_answer(struct link *l)
{
	if (l->waiting_ns != NEVER)
		return;
	l->waiting_ns = l->now.mono_ns;
	l->probes = 0;
	l->probe_ns = l->now.mono_ns + LINK_PROBE_NS;
}

/* ---- timers ------------------------------------------------------------------------------ */

static uint64_t live_or_never(const struct link *l, uint64_t due_ns)
{
	return l->phase == PHASE_LIVE ? due_ns : NEVER;
}

static uint64_t rotation_due(const struct link *l)
{
	return live_or_never(l, l->rotation.switch_ns);
}

static void rotate(struct link *l)
{
	l->route.door = l->rotation.door;
	l->route.relay.port = l->rotation.port;
	l->rotation.switch_ns = NEVER;
	link_ping(l); /* the relay answers on the port that our latest packet came to */
	link_rekey_soon(l);
}

static uint64_t idle_due(const struct link *l)
{
	return live_or_never(l, l->last_receive_ns + l->idle_ns);
}

static void end_idle(struct link *l)
{
	link_session_lost(l, REASON_IDLE);
}

static uint64_t unacknowledged_due(const struct link *l)
{
	return live_or_never(l, reliable_is_dead(&l->sender) ? 0 : NEVER);
}

static void end_unresponsive(struct link *l)
{
	link_session_lost(l, REASON_UNRESPONSIVE);
}

static uint64_t keepalive_due(const struct link *l)
{
	return live_or_never(l, l->last_send_ns + l->ping_wait_ns);
}

static void keep_alive(struct link *l)
{
	draw_ping_wait(l);
	l->last_send_ns = l->now.mono_ns;
	link_ping(l);
}

static uint64_t blob_silence_due(const struct link *l)
{
	bool is_watched = l->blob_ns != NEVER && l->waiting_ns == NEVER;
	return live_or_never(l, is_watched ? l->blob_ns + LINK_BLOB_SILENCE_NS : NEVER);
}

static void end_blob_silence(struct link *l)
{
	l->blob_ns = NEVER;
	link_ping(l);
}

static uint64_t probe_due(const struct link *l)
{
	bool is_probing = l->waiting_ns != NEVER && l->probes < LINK_PROBES;
	return live_or_never(l, is_probing ? l->probe_ns : NEVER);
}

static void probe(struct link *l)
{
	l->probes++;
	l->probe_ns = l->now.mono_ns + LINK_PROBE_NS;
	link_ping(l);
}

static uint64_t dead_due(const struct link *l)
{
	bool is_waiting = l->waiting_ns != NEVER && !l->handshake.is_on;
	return live_or_never(l, is_waiting ? l->waiting_ns + LINK_DEAD_NS : NEVER);
}

static void seek_another(struct link *l)
{
	link_handshake_start(l, 0);
}

static uint64_t pending_ping_due(const struct link *l)
{
	return l->phase == PHASE_PENDING ? l->pending_ping_ns : NEVER;
}

static void ping_pending(struct link *l)
{
	l->pending_ping_ns = l->now.mono_ns + LINK_PENDING_PING_NS;
	link_ping(l);
}

static uint64_t pending_due(const struct link *l)
{
	return l->phase == PHASE_PENDING ? l->pending_until_ns : NEVER;
}

static const struct timer {
	uint64_t (*due_ns)(const struct link *l);
	void (*act)(struct link *l);
} TIMERS[] = {
	{ link_burn_due, link_burn_act },
	{ pending_due, end_unresponsive },
	{ idle_due, end_idle },
	{ unacknowledged_due, end_unresponsive },
	{ rotation_due, rotate },
	{ link_rekey_due, link_rekey_act },
	{ link_retire_due, link_retire_act },
	{ pending_ping_due, ping_pending },
	{ keepalive_due, keep_alive },
	{ blob_silence_due, end_blob_silence },
	{ probe_due, probe },
	{ dead_due, seek_another },
};
enum { TIMER_COUNT = sizeof(TIMERS) / sizeof(TIMERS[0]) };

void link_tick(struct link *l)
{
	for (size_t i = 0; i < TIMER_COUNT; i++)
		if (TIMERS[i].due_ns(l) <= l->now.mono_ns)
			TIMERS[i].act(l);
}

uint64_t link_deadline(const struct link *l)
{
	if (l->phase == PHASE_LEAVING)
		return 0;
	if (link_has_given_up(l))
		return NEVER;
	uint64_t deadline_ns = earliest(l->handshake.hello_ns, link_frames_deadline(l));
	for (size_t i = 0; i < TIMER_COUNT; i++)
		deadline_ns = earliest(deadline_ns, TIMERS[i].due_ns(l));
	return deadline_ns;
}

/* The way to the relay may be another one now, and what we wait for may never come. */
void link_network_changed(struct link *l, struct instant now)
{
	l->now = now;
	if (link_has_given_up(l))
		return;
	if (l->handshake.is_on && l->phase != PHASE_PENDING)
		link_handshake_start(l, 0);
	if (l->phase == PHASE_PENDING)
		l->pending_until_ns = now.mono_ns + LINK_PENDING_NS;
	if (l->phase == PHASE_PENDING || l->phase == PHASE_LIVE) {
		l->waiting_ns = NEVER;
		link_ping(l);
	}
}
