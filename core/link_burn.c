/* Reporting a compromise: until the relay has it on its disk, or the time is over. */
#include "core/burn.h"
#include "core/link_internal.h"

/*
 * The report goes as a frame that is repeated by itself, and is put again every second, because
 * the session may have been lost on the relay's side. A second without an answer begins a
 * handshake beside the session. Three things end it:
 *
 *   BURN_ACK (but "failed")                       acknowledged
 *   status 4 in a WELCOME, or a GOODBYE for it    acknowledged: the ACK was lost
 *   LINK_BURN_NS                                  not acknowledged
 */

static void end_burn(struct link *l, bool is_acknowledged, uint8_t status)
{
	bytes_wipe(&l->burn, sizeof(l->burn));
	link_handshake_stop(l);
	if (l->state != LINK_REFUSED)
		l->state = LINK_STOPPED;
	struct link_event *event = link_push_state(l, LINK_EVENT_BURNED);
	event->is_acknowledged = is_acknowledged;
	event->status = status;
}

static void put_burn(struct link *l)
{
	const struct hello_config *hello = &l->config.hello;
	struct wire_burn burn = {
		.scope = (uint8_t)l->burn.scope,
		.reason_size = l->burn.reason_size,
		.time_ns = store_le64(link_relay_time(l)),
	};

	memcpy(burn.server_id, hello->server_id, SERVER_ID_SIZE);
	memcpy(burn.file_id, hello->id, FILE_ID_SIZE);
	device_id_of(hello->device.public, burn.device_id);
	memcpy(burn.nonce, l->burn.nonce, BURN_NONCE_SIZE);
	memcpy(burn.reason, l->burn.reason, BURN_REASON_MAX);
	burn_sign(&burn, &hello->identity);
	/* Its queue is full of what is of no use any more. */
	if (l->sender.count == RELIABLE_QUEUE ||
	    !reliable_put(&l->sender, FRAME_BURN, view_of(&burn, sizeof(burn))))
		link_session_lost(l, REASON_UNRESPONSIVE);
}

uint64_t link_burn_due(const struct link *l)
{
	return l->burn.is_on ? earliest(l->burn.next_ns, l->burn.until_ns) : NEVER;
}

void link_burn_act(struct link *l)
{
	if (l->now.mono_ns >= l->burn.until_ns) {
		end_burn(l, false, BURN_FAILED);
		return;
	}
	l->burn.next_ns = l->now.mono_ns + LINK_BURN_REPEAT_NS;
	bool is_again = l->now.mono_ns + LINK_BURN_NS > l->burn.until_ns;
	if (is_again && l->phase == PHASE_LIVE && !l->handshake.is_on)
		link_handshake_start(l, 0); /* stopped by any packet that comes */
	if (l->phase == PHASE_LIVE)
		put_burn(l);
	else if (!l->handshake.is_on && l->phase == PHASE_NONE)
		link_handshake_start(l, 0);
}

void link_burn(struct link *l, enum wire_scope scope, struct view reason, struct instant now)
{
	l->now = now;
	if (l->burn.is_on)
		return;
	l->burn = (struct link_burn){
		.is_on = true,
		.next_ns = now.mono_ns,
		.until_ns = now.mono_ns + LINK_BURN_NS,
		.scope = scope,
		.reason_size = (uint8_t)earliest(reason.size, BURN_REASON_MAX),
	};
	random_fill(&l->config.random, l->burn.nonce, BURN_NONCE_SIZE);
	if (reason.size > 0)
		memcpy(l->burn.reason, reason.data, l->burn.reason_size);
	if (link_has_given_up(l)) {
		end_burn(l, false, BURN_FAILED); /* nobody listens to us, or we to nobody */
		return;
	}
	if (l->handshake.is_on)
		l->handshake.hello_ns = earliest(l->handshake.hello_ns, now.mono_ns);
}

void link_take_burn_ack(struct link *l, const struct wire_burn_ack *ack)
{
	if (l->burn.is_on && ack->status != BURN_FAILED &&
	    bytes_equal(ack->nonce, l->burn.nonce, BURN_NONCE_SIZE))
		end_burn(l, true, ack->status);
}

bool link_burn_refused(struct link *l, bool is_revoked)
{
	if (!l->burn.is_on)
		return false;
	end_burn(l, is_revoked, is_revoked ? BURN_DONE : BURN_FAILED);
	return true;
}

void link_burn_session(struct link *l)
{
	if (l->burn.is_on)
		l->burn.next_ns = l->now.mono_ns;
}
