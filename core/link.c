#include "core/link.h"

#include <assert.h>
#include <stdlib.h>

#include "core/door.h"
#include "core/link_internal.h"

/* ---- life -------------------------------------------------------------------------------- */

struct link *link_create(const struct link_config *config, struct instant now)
{
	assert(config->door_count <= LINK_DOORS_MAX);
	struct link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->config = *config;
	l->now = now;
	l->rotation.switch_ns = NEVER;
	link_credentials_init(l);
	link_clock_init(l);
	l->cache = key_cache_create(config->cipher, LINK_KEY_CACHE_ENTRIES);
	if (!link_gates_init(l) || l->cache == NULL) {
		link_destroy(l);
		return NULL;
	}
	link_handshake_start(l, 0);
	return l;
}

void link_destroy(struct link *l)
{
	if (l == NULL)
		return;
	link_session_end(l);
	link_handshake_stop(l);
	link_gates_fini(l);
	if (l->cache != NULL)
		key_cache_destroy(l->cache);
	bytes_wipe(l, sizeof(*l));
	free(l);
}

void link_stop(struct link *l)
{
	struct wire_goodbye goodbye = { .reason = store_le32(REASON_DONE) };
	link_handshake_stop(l);
	l->state = LINK_STOPPED;
	if (l->phase != PHASE_PENDING && l->phase != PHASE_LIVE)
		return;
	l->phase = PHASE_LEAVING;
	if (!reliable_put(&l->sender, FRAME_GOODBYE, view_of(&goodbye, sizeof(goodbye))))
		return;          /* its queue is full: the relay finds out by itself */
	l->sender.repeat_ns = 0; /* frames are taken in order: those not acknowledged go along */
}

/* ---- datagrams --------------------------------------------------------------------------- */

static void note_time(struct link *l, struct instant now)
{
	bool has_slept = now.mono_ns > l->now.mono_ns + LINK_SLEEP_NS;
	l->now = now;
	if (has_slept)
		link_network_changed(l, now);
}

bool link_seal(struct link *l, uint8_t *frame, size_t plain_size, struct packet *packet)
{
	struct link_gate *gate = link_gate(l, l->route.door);
	assert(gate != NULL);
	if (!session_seal(&l->session, l->cache, gate->hide, frame, plain_size)) {
		link_session_lost(l, REASON_KEY_LIMIT);
		return false;
	}
	l->last_send_ns = l->now.mono_ns;
	*packet = (struct packet){ .data = frame, .size = (uint32_t)(WIRE_OVERHEAD + plain_size) };
	packet->path.remote = l->route.relay;
	return true;
}

bool link_send(struct link *l, uint32_t channel, uint8_t *frame, size_t blob_size,
	       struct packet *packet)
{
	if (l->phase != PHASE_LIVE || blob_size > l->plain_max - DATA_FRAME_HEAD)
		return false;
	struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(channel),
		.size = store_le16((uint16_t)blob_size),
	};
	memcpy(frame + WIRE_HEADER_SIZE, &head, DATA_FRAME_HEAD);
	struct frame_writer w = {
		.data = frame + WIRE_HEADER_SIZE,
		.capacity = l->plain_max,
		.size = DATA_FRAME_HEAD + blob_size,
	};
	/* Time is that of the latest call that brought it: at worst a PING goes too early. */
	if (l->blob_ns == NEVER)
		l->blob_ns = l->now.mono_ns;
	return link_seal(l, frame, frame_pad(&w), packet);
}

/* Is it a packet of our session? Then *header is what the mask of its door shows. */
static bool show_session_header(struct link *l, const struct packet *packet,
				struct wire_data_header *header)
{
	for (size_t i = 0; i < LINK_GATES && l->phase != PHASE_NONE; i++) {
		if (!l->gates[i].is_used)
			continue;
		memcpy(header, packet->data, WIRE_HEADER_SIZE);
		mask_blocks(l->gates[i].show, (uint8_t *)header, 1);
		if (header->first >> WIRE_KIND_SHIFT == WIRE_DATA &&
		    (header->first & WIRE_RESERVED_MASK) == 0 &&
		    load_le24(header->slot) == l->session.id.slot &&
		    load_le32(header->generation) == l->session.id.generation)
			return true;
	}
	return false;
}

/* Opened in a copy: under a wrong door's mask one packet in 256 looks like a handshake. */
static bool input_handshake(struct link *l, const struct link_gate *gate,
			    const struct packet *packet)
{
	struct wire_handshake_header header;
	uint8_t copy[DATAGRAM_SIZE_MAX];
	struct view plain;

	memcpy(&header, packet->data, WIRE_HEADER_SIZE);
	mask_blocks(gate->show, (uint8_t *)&header, 1);
	if (header.first != wire_first(WIRE_WELCOME, 0) &&
	    header.first != wire_first(WIRE_COOKIE, 0))
		return false;
	memcpy(copy, packet->data, packet->size);
	if (!door_open(gate->keys.s2c_handshake, &header, copy, packet->size, &plain))
		return false;
	if (header.first == wire_first(WIRE_COOKIE, 0))
		link_cookie(l, plain);
	else
		link_welcome(l, plain);
	return true;
}

bool link_input(struct link *l, struct packet *packet, struct instant now, uint32_t *channel,
		struct view *blob)
{
	struct wire_data_header header;
	struct view plain;

	note_time(l, now);
	if (packet->size < WIRE_SIZE_MIN || packet->size > DATAGRAM_SIZE_MAX)
		return false;
	if (l->phase != PHASE_LEAVING && show_session_header(l, packet, &header)) {
		struct view sealed = view_of(packet->data, packet->size);
		if (session_open(&l->session, l->cache, &header, sealed, &plain, now.mono_ns) !=
		    PKT_IDLE)
			return false;
		link_note_received(l);
		return link_read(l, plain, channel, blob);
	}
	for (size_t i = 0; i < LINK_GATES && l->handshake.is_on; i++)
		if (l->gates[i].is_used && input_handshake(l, &l->gates[i], packet))
			break;
	return false;
}

bool link_output(struct link *l, struct instant now, struct view_out out, struct packet *packet)
{
	note_time(l, now);
	if (!link_has_given_up(l))
		link_tick(l);
	if (link_write(l, out, packet))
		return true;
	if (l->phase == PHASE_LEAVING)
		link_session_end(l);
	if (link_has_given_up(l) || now.mono_ns < l->handshake.hello_ns)
		return false;
	/* Should the old session be alive after all, its PONG comes before the WELCOME. */
	if (l->phase == PHASE_LIVE && !l->handshake.is_old_asked) {
		l->handshake.is_old_asked = true;
		link_ping(l);
		return link_write(l, out, packet);
	}
	l->handshake.is_old_asked = false;
	return link_hello(l, out, packet);
}

void link_get_status(const struct link *l, struct link_status *out)
{
	*out = (struct link_status){
		.state = l->state,
		.relay = l->route.relay,
		.observed = l->observed,
		.rtt_ns = l->rtt_ns,
		.door = l->route.door,
		.next_rotation_ns = link_next_rotation(l),
		.clock_offset_ns = (int64_t)(link_relay_time(l) - l->now.wall_ns),
		.epoch = l->phase == PHASE_NONE ? 0 : load_relaxed(&l->session.epoch),
		.handshakes = l->handshakes,
		.rekeys = l->rekeys,
		.tries = l->hellos,
		.last_timestamp_ns = l->handshake.last_timestamp_ns,
		.is_clock_known = l->is_clock_sure,
		.is_by_device = l->phase != PHASE_NONE && l->credential.kind == CREDENTIAL_DEVICE,
	};
}
