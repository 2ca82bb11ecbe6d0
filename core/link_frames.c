/* Control frames of a link: what comes from the relay, and what goes to it. */
#include <assert.h>

#include "core/link_internal.h"

void link_frames_start(struct link *l)
{
	reliable_init(&l->sender, 0);
	l->receiver = (struct reliable_receiver){ 0 };
	l->is_path_response_due = false;
	l->is_ping_due = false;
}

void link_ping(struct link *l)
{
	l->is_ping_due = true;
}

/* ---- in ---------------------------------------------------------------------------------- */

static struct address observed_address(const struct wire_pong *pong)
{
	struct address a = { .port = load_le16(pong->observed_port) };
	memcpy(a.ip, pong->observed_ip, IP_SIZE);
	return a;
}

static void take_pong(struct link *l, struct view body)
{
	const struct wire_pong *pong = (const void *)body.data;
	for (size_t i = 0; i < LINK_PINGS; i++) {
		struct link_ping *ping = &l->pings[i];
		if (!ping->is_used || ping->token != load_le64(pong->token))
			continue;
		ping->is_used = false;
		uint64_t rtt_ns = l->now.mono_ns - ping->sent_ns;
		l->rtt_ns = l->rtt_ns == 0 ? rtt_ns : (7 * l->rtt_ns + rtt_ns) / 8;
		l->observed = observed_address(pong);
		if (rtt_ns <= LINK_RTT_CREDIBLE_NS)
			link_learn_time(l, load_le64(pong->server_time_ns) + rtt_ns / 2);
		return;
	}
}

/* The latest one counts: the relay has one pending path for a session. */
static void take_path_challenge(struct link *l, struct view body, size_t plain_size)
{
	memcpy(&l->path_response, body.data, sizeof(l->path_response));
	l->path_response_max = plain_size;
	l->is_path_response_due = true;
}

static void take_offer(struct link *l, struct view body)
{
	const struct wire_offer *offer = (const void *)body.data;
	struct link_event *event = link_push(l, LINK_EVENT_OFFER);
	event->channel = load_le32(offer->channel);
	memcpy(event->peer, offer->peer, PEER_ID_SIZE);
}

static void take_opened(struct link *l, struct view body)
{
	const struct wire_opened *opened = (const void *)body.data;
	struct link_event *event = link_push(l, LINK_EVENT_OPENED);
	event->request = load_le32(opened->request);
	event->channel = load_le32(opened->channel);
	event->is_initiator = opened->is_initiator == 1;
	memcpy(event->peer, opened->peer, PEER_ID_SIZE);
}

static void take_open_failed(struct link *l, struct view body)
{
	const struct wire_open_failed *failed = (const void *)body.data;
	struct link_event *event = link_push(l, LINK_EVENT_OPEN_FAILED);
	event->request = load_le32(failed->request);
	event->reason = load_le32(failed->reason);
}

static void take_gone(struct link *l, struct view body)
{
	const struct wire_channel_reason *gone = (const void *)body.data;
	struct link_event *event = link_push(l, LINK_EVENT_GONE);
	event->channel = load_le32(gone->channel);
	event->reason = load_le32(gone->reason);
}

static void take_peers(struct link *l, struct view body)
{
	const struct wire_peers *peers = (const void *)body.data;
	uint32_t request = load_le32(peers->request);
	struct link_question *question = link_find_question(l, FRAME_PEERS_GET, request);
	if (question == NULL)
		return; /* answered before */
	question->is_used = false;
	struct link_event *event = link_push(l, LINK_EVENT_PEERS);
	event->request = request;
	event->count = peers->count;
	event->has_more = peers->has_more != 0;
	memcpy(event->peers, body.data + sizeof(*peers), peers->count * sizeof(event->peers[0]));
}

static void take_found(struct link *l, struct view body)
{
	const struct wire_found *found = (const void *)body.data;
	uint32_t request = load_le32(found->request);
	struct link_question *question = link_find_question(l, FRAME_FIND, request);
	if (question == NULL)
		return;
	question->is_used = false;
	struct link_event *event = link_push(l, LINK_EVENT_FOUND);
	event->request = request;
	event->count = found->count;
	memcpy(event->found, body.data + sizeof(*found), found->count * sizeof(event->found[0]));
}

static void take_goodbye(struct link *l, struct view body)
{
	const struct wire_goodbye *goodbye = (const void *)body.data;
	link_said_goodbye(l, load_le32(goodbye->reason));
}

static void take_port_next(struct link *l, struct view body)
{
	const struct wire_port_next *next = (const void *)body.data;
	uint64_t door = load_le64(next->door);
	uint16_t port = load_le16(next->port);
	uint64_t wait_ns = load_le32(next->seconds_left) * NS_PER_S;
	if (port == 0 || wait_ns > LINK_ROTATION_MAX_NS)
		return;
	link_learn_door(l, door, port, next->key, wait_ns);
	l->rotation = (struct link_rotation){
		.door = door,
		.port = port,
		.switch_ns = l->now.mono_ns + wait_ns,
	};
}

static bool needs_event(const struct link *l, enum frame_type type)
{
	if (type == FRAME_PORT_NEXT)
		return !link_computes_doors(l);
	if (type == FRAME_ENROL_OFFER || type == FRAME_ENROL_DONE || type == FRAME_SCHEDULE)
		return true;
	return type == FRAME_PEERS || type == FRAME_FOUND || type == FRAME_OFFER ||
	       type == FRAME_OPENED || type == FRAME_OPEN_FAILED || type == FRAME_GONE;
}

static void take_frame(struct link *l, const struct frame *frame, size_t plain_size)
{
	switch (frame->type) {
	case FRAME_ACK: {
		const struct wire_ack *ack = (const void *)frame->body.data;
		reliable_acknowledge(&l->sender, load_le32(ack->next), l->now.mono_ns);
		break;
	}
	case FRAME_PONG: take_pong(l, frame->body); break;
	case FRAME_PATH_CHALLENGE: take_path_challenge(l, frame->body, plain_size); break;
	case FRAME_PEERS: take_peers(l, frame->body); break;
	case FRAME_FOUND: take_found(l, frame->body); break;
	case FRAME_OFFER: take_offer(l, frame->body); break;
	case FRAME_OPENED: take_opened(l, frame->body); break;
	case FRAME_OPEN_FAILED: take_open_failed(l, frame->body); break;
	case FRAME_GONE: take_gone(l, frame->body); break;
	case FRAME_GOODBYE: take_goodbye(l, frame->body); break;
	case FRAME_PORT_NEXT: take_port_next(l, frame->body); break;
	case FRAME_ENROL_OFFER: link_take_enrol_offer(l, (const void *)frame->body.data); break;
	case FRAME_ENROL_DONE: link_take_enrol_done(l, (const void *)frame->body.data); break;
	case FRAME_SCHEDULE: link_take_schedule(l, (const void *)frame->body.data); break;
	case FRAME_BURN_ACK: link_take_burn_ack(l, (const void *)frame->body.data); break;
	case FRAME_REKEY_2: link_take_rekey(l, (const void *)frame->body.data); break;
	default: break; /* of a later version (acknowledged if it asks for that), or not for us */
	}
}

static void read_control(struct link *l, struct view plain)
{
	size_t plain_size = plain.size;
	struct frame frame;

	while (l->phase == PHASE_LIVE && frame_next(&plain, &frame) == FRAME_READ) {
		/* The rest is not taken either: reliable frames keep their order, and all of
		 * these come again. */
		if (needs_event(l, frame.type) && !link_has_event_room(l))
			return;
		if (!frame_is_reliable(frame.type) || reliable_accept(&l->receiver, frame.sequence))
			take_frame(l, &frame, plain_size);
	}
}

bool link_read(struct link *l, struct view plain, uint32_t *channel, struct view *blob)
{
	if (plain.size == 0 || plain.data[0] != FRAME_DATA) {
		read_control(l, plain);
		return false;
	}
	if (plain.size < DATA_FRAME_HEAD || l->phase != PHASE_LIVE)
		return false;
	const struct wire_data_frame *head = (const void *)plain.data;
	if (load_le16(head->size) > plain.size - DATA_FRAME_HEAD)
		return false;
	*channel = load_le24(head->channel);
	*blob = view_of(plain.data + DATA_FRAME_HEAD, load_le16(head->size));
	return true;
}

/* ---- out --------------------------------------------------------------------------------- */

static struct frame_writer writer_behind_header(const struct link *l, struct view_out out)
{
	assert(out.capacity >= DATAGRAM_SIZE_MAX);
	return (struct frame_writer){ .data = out.data + WIRE_HEADER_SIZE,
				      .capacity = l->plain_max };
}

/* Not larger than the challenge: its sender may not be where it says. */
static bool write_path_response(struct link *l, struct view_out out, struct packet *packet)
{
	if (!l->is_path_response_due)
		return false;
	l->is_path_response_due = false;
	struct frame_writer w = writer_behind_header(l, out);
	if (l->path_response_max < w.capacity)
		w.capacity = l->path_response_max;
	return frame_put(&w, FRAME_PATH_RESPONSE, VIEW(l->path_response.token)) &&
	       link_seal(l, out.data, frame_pad(&w), packet);
}

static bool write_control(struct link *l, struct view_out out, struct packet *packet)
{
	struct frame_writer w = writer_behind_header(l, out);
	if (l->receiver.is_ack_due) {
		struct wire_ack ack = { .next = store_le32(l->receiver.next) };
		l->receiver.is_ack_due = !frame_put(&w, FRAME_ACK, view_of(&ack, sizeof(ack)));
	}
	size_t unasked = w.size;
	(void)reliable_write(&l->sender, &w, l->now.mono_ns);
	if (l->phase == PHASE_LIVE)
		link_questions_write(l, &w);
	if (w.size > unasked)
		link_expect_answer(l);
	return w.size > 0 && link_seal(l, out.data, frame_pad(&w), packet);
}

/* Alone in its packet: so any worker of the relay answers it at once. */
static bool write_ping(struct link *l, struct view_out out, struct packet *packet)
{
	if (!l->is_ping_due)
		return false;
	l->is_ping_due = false;
	struct wire_ping ping;
	random_fill(&l->config.random, &ping, sizeof(ping));
	l->pings[l->ping_next++ % LINK_PINGS] = (struct link_ping){
		.is_used = true,
		.token = load_le64(ping.token),
		.sent_ns = l->now.mono_ns,
	};
	struct frame_writer w = writer_behind_header(l, out);
	link_expect_answer(l);
	return frame_put(&w, FRAME_PING, view_of(&ping, sizeof(ping))) &&
	       link_seal(l, out.data, frame_pad(&w), packet);
}

bool link_write(struct link *l, struct view_out out, struct packet *packet)
{
	if (l->phase == PHASE_NONE)
		return false;
	return write_path_response(l, out, packet) || write_control(l, out, packet) ||
	       (l->phase != PHASE_LEAVING && write_ping(l, out, packet));
}

uint64_t link_frames_deadline(const struct link *l)
{
	if (l->phase == PHASE_NONE)
		return NEVER;
	if (l->is_path_response_due || l->receiver.is_ack_due || l->is_ping_due)
		return 0;
	uint64_t deadline_ns = reliable_deadline(&l->sender);
	return l->phase == PHASE_LIVE ? earliest(deadline_ns, link_questions_deadline(l)) :
					deadline_ns;
}
