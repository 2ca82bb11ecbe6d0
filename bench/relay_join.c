/* Virtual peers: channels, with repetition, many at a time. */
#include <stdlib.h>

#include "bench/relay_peers.h"
#include "core/burn.h"
#include "core/frames.h"
#include "net/clock.h"

enum { JOINS_MAX = 64 };
#define REPEAT_NS (500 * NS_PER_MS)
#define STALL_NS (20 * NS_PER_S) /* no progress at all for so long: give up */
#define POLL_NS (10 * NS_PER_MS)

enum { CONTROL_BODY_MAX = 64 };

/* The one reliable frame that may wait for its ACK. */
struct control_frame {
	uint8_t type; /* FRAME_END: none */
	uint8_t size;
	uint8_t body[CONTROL_BODY_MAX];
};

/* ---- control frames ---------------------------------------------------------------------- */

static void put_frame(struct frame_writer *w, enum frame_type type, const void *body, size_t size)
{
	bool is_put = frame_put(w, type, view_of(body, size));
	(void)is_put; /* two small frames fit any packet */
}

static void send_control(struct relay_peers *r, struct relay_peer *peer,
			 const struct control_frame *frame)
{
	uint8_t packet[WIRE_OVERHEAD + 2 * CONTROL_PLAIN];
	struct frame_writer w = {
		.data = packet + WIRE_HEADER_SIZE,
		.capacity = (size_t)2 * CONTROL_PLAIN,
	};
	const struct wire_ack ack = { .next = store_le32(peer->expected) };
	if (peer->is_ack_due)
		put_frame(&w, FRAME_ACK, &ack, sizeof(ack));
	if (frame != NULL && frame->type != FRAME_END)
		put_frame(&w, (enum frame_type)frame->type, frame->body, frame->size);
	peer->is_ack_due = false;
	if (w.size > 0)
		relay_send_frame(r, peer->socket, packet, relay_seal(r, peer, packet, w.size));
}

void relay_acknowledge(struct relay_peers *r, struct relay_peer *peer, struct view plain)
{
	struct frame frame;
	while (frame_next(&plain, &frame) == FRAME_READ) {
		if (!frame_is_reliable(frame.type))
			continue;
		peer->is_ack_due = true;
		peer->expected += frame.sequence == peer->expected;
	}
	if (peer->is_ack_due)
		send_control(r, peer, NULL);
}

void relay_report(struct relay_peers *r, struct wire_burn *burn)
{
	uint8_t packet[WIRE_OVERHEAD + 4 * CONTROL_PLAIN];
	struct relay_peer *peer = &r->peers[0];
	struct frame_writer w = {
		.data = packet + WIRE_HEADER_SIZE,
		.capacity = sizeof(packet) - WIRE_OVERHEAD,
	};
	struct {
		le32 sequence;
		struct wire_burn burn;
	} body = { .sequence = store_le32(peer->sequence) };
	if (burn->scope == 0) {
		*burn = (struct wire_burn){ .scope = SCOPE_FILE,
					    .time_ns = store_le64(clock_now().wall_ns) };
		memcpy(burn->server_id, r->first.server_id, SERVER_ID_SIZE);
		memcpy(burn->file_id, r->first.id, FILE_ID_SIZE);
		device_id_of(r->first.device.public, burn->device_id);
		random_fill(&r->random, burn->nonce, BURN_NONCE_SIZE);
		burn_sign(burn, &r->first.identity);
	}
	body.burn = *burn;
	put_frame(&w, FRAME_BURN, &body, sizeof(body));
	relay_send_frame(r, peer->socket, packet, relay_seal(r, peer, packet, w.size));
}

/* ---- joining ----------------------------------------------------------------------------- */

enum join_state { JOIN_FREE, JOIN_ASKED, JOIN_ACCEPTED };

struct joining {
	enum join_state state;
	const struct relay_join *join;
	struct control_frame open, accept;
	uint64_t repeat_ns;
};

struct joiner {
	struct relay_peers *r;
	struct joining joining[JOINS_MAX];
	uint8_t *is_busy; /* by peer */
	size_t done;
};

static struct control_frame make_frame(struct relay_peer *peer, enum frame_type type,
				       const void *body, size_t size)
{
	struct control_frame frame = {
		.type = (uint8_t)type,
		.size = (uint8_t)(sizeof(le32) + size),
	};
	le32 sequence = store_le32(peer->sequence++);
	memcpy(frame.body, &sequence, sizeof(sequence));
	memcpy(frame.body + sizeof(sequence), body, size);
	return frame;
}

static void begin_join(struct joiner *j, struct joining *slot, const struct relay_join *join)
{
	struct relay_peer *from = &j->r->peers[join->from];
	struct wire_open open = { .request = store_le32(join->flow + 1) };
	memcpy(open.peer, j->r->peers[join->to].id, PEER_ID_SIZE);
	*slot = (struct joining){
		.state = JOIN_ASKED,
		.join = join,
		.open = make_frame(from, FRAME_OPEN, &open, sizeof(open)),
		.repeat_ns = load_now_ns() + REPEAT_NS,
	};
	j->is_busy[join->from] = j->is_busy[join->to] = 1;
	send_control(j->r, from, &slot->open);
}

static struct joining *joining_of(struct joiner *j, uint32_t peer, bool is_opener)
{
	for (size_t i = 0; i < JOINS_MAX; i++) {
		struct joining *slot = &j->joining[i];
		if (slot->state != JOIN_FREE &&
		    (is_opener ? slot->join->from : slot->join->to) == peer)
			return slot;
	}
	return NULL;
}

static void take_offer(struct joiner *j, uint32_t peer, const struct wire_offer *offer)
{
	struct joining *slot = joining_of(j, peer, false);
	if (slot == NULL || slot->state != JOIN_ASKED)
		return;
	const struct wire_channel channel = { .channel = offer->channel };
	slot->state = JOIN_ACCEPTED;
	slot->accept = make_frame(&j->r->peers[peer], FRAME_ACCEPT, &channel, sizeof(channel));
	if (slot->join->both_ways)
		j->r->flows[slot->join->flow + 1] = (struct relay_flow){
			.peer = peer,
			.channel = load_le32(offer->channel),
		};
	send_control(j->r, &j->r->peers[peer], &slot->accept);
}

static void take_opened(struct joiner *j, uint32_t peer, const struct wire_opened *opened)
{
	struct joining *slot = joining_of(j, peer, true);
	if (slot == NULL || load_le32(opened->request) != slot->join->flow + 1)
		return;
	j->r->flows[slot->join->flow] = (struct relay_flow){
		.peer = peer,
		.channel = load_le32(opened->channel),
	};
	j->is_busy[slot->join->from] = j->is_busy[slot->join->to] = 0;
	slot->state = JOIN_FREE;
	j->done++;
}

static void take_frame(struct joiner *j, uint32_t index, const struct frame *frame)
{
	struct relay_peer *peer = &j->r->peers[index];
	if (!frame_is_reliable(frame->type))
		return;
	peer->is_ack_due = true;
	if (frame->sequence != peer->expected)
		return;
	peer->expected++;
	if (frame->type == FRAME_OFFER)
		take_offer(j, index, (const struct wire_offer *)frame->body.data);
	else if (frame->type == FRAME_OPENED)
		take_opened(j, index, (const struct wire_opened *)frame->body.data);
}

static void take_joining(struct joiner *j, struct arrival *arrival)
{
	struct view plain;
	struct frame frame;
	struct relay_peer *peer = relay_open(j->r, arrival, &plain);
	if (peer == NULL)
		return;
	while (frame_next(&plain, &frame) == FRAME_READ)
		take_frame(j, (uint32_t)(peer - j->r->peers), &frame);
	if (peer->is_ack_due)
		send_control(j->r, peer, NULL);
}

static void repeat_joins(struct joiner *j)
{
	uint64_t now = load_now_ns();
	for (size_t i = 0; i < JOINS_MAX; i++) {
		struct joining *slot = &j->joining[i];
		if (slot->state == JOIN_FREE || slot->repeat_ns > now)
			continue;
		slot->repeat_ns = now + REPEAT_NS;
		j->r->retries++;
		send_control(j->r, &j->r->peers[slot->join->from], &slot->open);
		if (slot->state == JOIN_ACCEPTED)
			send_control(j->r, &j->r->peers[slot->join->to], &slot->accept);
	}
}

static struct joining *free_joining(struct joiner *j)
{
	for (size_t i = 0; i < JOINS_MAX; i++)
		if (j->joining[i].state == JOIN_FREE)
			return &j->joining[i];
	return NULL;
}

static const char *join_all(struct joiner *j, const struct relay_join *joins, size_t count)
{
	size_t next = 0;
	uint64_t progress_ns = load_now_ns();
	while (j->done < count) {
		struct joining *slot = free_joining(j);
		while (slot != NULL && next < count && !j->is_busy[joins[next].from] &&
		       !j->is_busy[joins[next].to]) {
			begin_join(j, slot, &joins[next++]);
			slot = free_joining(j);
		}
		struct arrival *arrivals;
		size_t before = j->done, got = sockets_receive(j->r->sockets, POLL_NS, &arrivals);
		for (size_t i = 0; i < got; i++)
			take_joining(j, &arrivals[i]);
		repeat_joins(j);
		if (j->done > before)
			progress_ns = load_now_ns();
		if (load_now_ns() - progress_ns > STALL_NS)
			return "the relay opens no more channels";
	}
	return NULL;
}

const char *relay_peers_join(struct relay_peers *r, const struct relay_join *joins, size_t count)
{
	struct joiner *j = calloc(1, sizeof(*j));
	const char *error = "out of memory";
	if (j != NULL) {
		j->r = r;
		j->is_busy = calloc(r->config.peers, sizeof(*j->is_busy));
		if (j->is_busy != NULL)
			error = join_all(j, joins, count);
		free(j->is_busy);
		free(j);
	}
	return error;
}
