#include "core/keeper_internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- packets out ----------------------------------------------------------------------- */

void keeper_outgoing_init(struct keeper_outgoing *o, size_t datagram_max)
{
	assert(datagram_max > WIRE_OVERHEAD);
	if (datagram_max > sizeof o->bytes)
		datagram_max = sizeof o->bytes;
	o->is_last = false;
	o->writer = (struct frame_writer){
		.data = o->bytes + WIRE_HEADER_SIZE,
		.capacity = datagram_max - WIRE_OVERHEAD,
	};
}

void keeper_outgoing_send(struct keeper *k, struct keeper_entry *e, struct keeper_outgoing *o,
			  const struct path *path)
{
	struct packet packet = { .data = o->bytes };

	if (o->writer.size == 0)
		return;
	size_t size = frame_pad(&o->writer);
	/* Where it cannot be sealed (door closed, key limit) it is as good as lost on the way. */
	bool is_sealed = forward_seal(k->forward, e->session.id, path, &packet, size);
	if (is_sealed && o->is_last)
		keeper_send_last(k, &packet);
	else if (is_sealed)
		keeper_send(k, &packet);
	o->writer.size = 0;
}

/* Into this packet, or where it is full into the next one. */
static void put(struct keeper *k, struct keeper_entry *e, struct keeper_outgoing *o,
		const struct frame *frame)
{
	if (!frame_put(&o->writer, frame->type, frame->body)) {
		keeper_outgoing_send(k, e, o, NULL);
		bool fits = frame_put(&o->writer, frame->type, frame->body);
		assert(fits); /* answers are made to fit */
	}
	k->stats.frames_out++;
}

/* ---- frames that must arrive ----------------------------------------------------------- */

bool keeper_can_queue(const struct keeper_entry *e)
{
	return e->sender == NULL || e->sender->count < RELIABLE_QUEUE;
}

bool keeper_queue(struct keeper *k, struct keeper_entry *e, enum frame_type type, struct view body)
{
	if (e->sender == NULL) {
		e->sender = malloc(sizeof *e->sender);
		if (e->sender == NULL)
			return false;
		reliable_init(e->sender, e->send_next);
	}
	if (!reliable_put(e->sender, type, body))
		return false;
	keeper_mark(k, e);
	return true;
}

void keeper_drop_sender(struct keeper_entry *e)
{
	if (e->sender == NULL)
		return;
	e->send_next = e->sender->first + e->sender->count;
	bytes_wipe(e->sender, sizeof *e->sender);
	free(e->sender);
	e->sender = NULL;
}

/* All that is due, in as many packets as it takes. */
static void write_due(struct keeper *k, struct keeper_entry *e, struct keeper_outgoing *o)
{
	struct reliable_sender *sender = e->sender;
	const unsigned fresh = sender->unsent;
	unsigned total = 0;

	do {
		unsigned written = reliable_write(sender, &o->writer, k->now.mono_ns);
		total += written;
		if (written == 0 && o->writer.size == 0)
			break;
		if (reliable_deadline(sender) == 0)
			keeper_outgoing_send(k, e, o, NULL); /* full: more in the next */
	} while (reliable_deadline(sender) == 0);
	k->stats.frames_out += total;
	k->stats.frames_repeated += total > fresh ? total - fresh : 0;
}

static void flush_into(struct keeper *k, struct keeper_entry *e, struct keeper_outgoing *o)
{
	if (e->receiver.is_ack_due) {
		const le32 next = store_le32(e->receiver.next);
		put(k, e, o, &(struct frame){ .type = FRAME_ACK, .body = VIEW(next.b) });
		e->receiver.is_ack_due = false;
	}
	keeper_pay_channels(k, e);
	keeper_pay_door(k, e);
	keeper_pay_enrolment(k, e);
	if (e->sender != NULL)
		write_due(k, e, o);
	keeper_outgoing_send(k, e, o, NULL);
	if (e->sender != NULL && e->sender->count == 0)
		keeper_drop_sender(e);
	keeper_set_timer(k, e);
}

void keeper_flush(struct keeper *k, struct keeper_entry *e)
{
	struct keeper_outgoing o;

	assert(e->state == ENTRY_ESTABLISHED);
	keeper_outgoing_init(&o, e->session.datagram_max);
	flush_into(k, e, &o);
}

void keeper_mark(struct keeper *k, struct keeper_entry *e)
{
	if (e->is_dirty)
		return;
	e->is_dirty = true;
	e->next_dirty = k->dirty;
	k->dirty = e;
}

void keeper_flush_marked(struct keeper *k)
{
	while (k->dirty != NULL) {
		struct keeper_entry *e = k->dirty;
		k->dirty = e->next_dirty;
		e->next_dirty = NULL;
		e->is_dirty = false;
		if (e->state == ENTRY_ESTABLISHED && !keeper_is_dead(e))
			keeper_flush(k, e);
	}
}

void keeper_say_goodbye(struct keeper *k, struct keeper_entry *e, enum wire_reason reason)
{
	const struct wire_goodbye body = { .reason = store_le32((uint32_t)reason) };
	struct keeper_outgoing o;

	/* Behind 16 frames that were never acknowledged it would not be read either. */
	if (!keeper_queue(k, e, FRAME_GOODBYE, VIEW(body.reason.b)))
		return;
	/* With all before it, or it is out of order. */
	e->sender->repeat_ns = k->now.mono_ns;
	e->sender->tries = 0;
	keeper_outgoing_init(&o, e->session.datagram_max);
	o.is_last = true;
	write_due(k, e, &o);
	keeper_outgoing_send(k, e, &o, NULL);
}

/* ---- questions ------------------------------------------------------------------------- */

/* A packet of control frames under work. */
struct control {
	struct keeper_entry *e;
	const struct upcall *upcall;
	struct keeper_outgoing out;
	unsigned questions; /* answered so far */
	bool has_path_answer;
};

/* A packet of small questions must not fetch many large answers. */
static bool may_answer(struct control *c)
{
	return c->questions++ < KEEPER_QUESTIONS_PER_PACKET;
}

static void answer_ping(struct keeper *k, struct control *c, const struct wire_ping *ping)
{
	const struct address *remote = &c->upcall->path.remote;
	struct wire_pong body = {
		.token = ping->token,
		.observed_port = store_le16(remote->port),
		.server_time_ns = store_le64(k->now.wall_ns),
	};

	if (!may_answer(c))
		return;
	memcpy(body.observed_ip, remote->ip, IP_SIZE);
	put(k, c->e, &c->out,
	    &(struct frame){ .type = FRAME_PONG, .body = view_of(&body, sizeof body) });
}

/* How many of `size` bytes fit behind a head, in an empty packet of this session. */
static size_t room_for(const struct control *c, size_t head_size, size_t size, size_t most)
{
	size_t room = (c->out.writer.capacity - FRAME_HEAD - head_size) / size;
	return room < most ? room : most;
}

static void answer_peers(struct keeper *k, struct control *c, const struct wire_peers_get *get)
{
	struct {
		struct wire_peers head;
		struct wire_peer_entry entries[PEERS_PER_FRAME_MAX];
	} body = { .head.request = get->request };
	const uint32_t own = c->e->session.id.slot;
	const uint8_t *own_peer = directory_record(k->directory, own)->peer;
	size_t room = room_for(c, sizeof body.head, sizeof body.entries[0], PEERS_PER_FRAME_MAX);
	const uint8_t *after = get->after;

	if (!may_answer(c))
		return;
	for (;;) {
		uint32_t slot = directory_next_peer(k->directory, after);
		if (slot == DIRECTORY_NONE)
			break;
		const struct directory_record *record = directory_record(k->directory, slot);
		after = record->peer;
		if (memcmp(record->peer, own_peer, PEER_ID_SIZE) == 0)
			continue;
		if (body.head.count == room) {
			body.head.has_more = 1;
			break;
		}
		struct wire_peer_entry *entry = &body.entries[body.head.count++];
		memcpy(entry->peer, record->peer, sizeof entry->peer);
		memcpy(entry->name_tag, record->name_tag, sizeof entry->name_tag);
	}
	size_t size = sizeof body.head + body.head.count * sizeof body.entries[0];
	put(k, c->e, &c->out, &(struct frame){ .type = FRAME_PEERS, .body = view_of(&body, size) });
}

static void answer_find(struct keeper *k, struct control *c, const struct wire_find *find)
{
	struct {
		struct wire_found head;
		uint8_t peers[FIND_RESULTS_MAX][PEER_ID_SIZE];
	} body = { .head.request = find->request };
	size_t room = room_for(c, sizeof body.head, PEER_ID_SIZE, FIND_RESULTS_MAX);

	if (!may_answer(c))
		return;
	for (uint32_t slot = directory_find_name(k->directory, find->name_tag);
	     slot != DIRECTORY_NONE && body.head.count < room;
	     slot = directory_next_name(k->directory, slot)) {
		const uint8_t *peer = directory_record(k->directory, slot)->peer;
		/* An identity with two sessions is one peer: its newest session speaks for it. */
		bool is_newest = directory_find_peer(k->directory, peer) == slot;
		if (slot != c->e->session.id.slot && is_newest)
			memcpy(body.peers[body.head.count++], peer, PEER_ID_SIZE);
	}
	size_t size = sizeof body.head + (size_t)body.head.count * PEER_ID_SIZE;
	put(k, c->e, &c->out, &(struct frame){ .type = FRAME_FOUND, .body = view_of(&body, size) });
}

/*
 * Goes back the way it came, one for each packet. Not to an address that is still to prove
 * itself: what may go there is spent on our own challenge, which asks the same.
 */
static void answer_challenge(struct keeper *k, struct control *c, const struct wire_path *asked)
{
	struct keeper_outgoing o;
	struct path proved = session_path(&c->e->session);

	if (c->has_path_answer || !address_equal(&c->upcall->path.remote, &proved.remote))
		return;
	c->has_path_answer = true;
	keeper_outgoing_init(&o, earliest(c->upcall->datagram_size, c->e->session.datagram_max));
	if (!frame_put(&o.writer, FRAME_PATH_RESPONSE, VIEW(asked->token)))
		return;
	k->stats.frames_out++;
	keeper_outgoing_send(k, c->e, &o, &c->upcall->path);
}

/* ---- frames in ------------------------------------------------------------------------- */

static void take_plain(struct keeper *k, struct control *c, const struct frame *frame)
{
	const void *body = frame->body.data;
	const struct wire_ack *ack = body;

	switch (frame->type) {
	case FRAME_ACK:
		if (c->e->sender != NULL)
			reliable_acknowledge(c->e->sender, load_le32(ack->next), k->now.mono_ns);
		break;
	case FRAME_PING: answer_ping(k, c, body); break;
	case FRAME_PATH_CHALLENGE: answer_challenge(k, c, body); break;
	case FRAME_PATH_RESPONSE: keeper_take_path_response(k, c->e, &c->upcall->path, body); break;
	case FRAME_PEERS_GET: answer_peers(k, c, body); break;
	case FRAME_FIND: answer_find(k, c, body); break;
	default: /* an answer, which we never asked for, or of a later version */ break;
	}
}

static void take_goodbye(struct keeper *k, struct control *c, const struct wire_goodbye *goodbye)
{
	const le32 next = store_le32(c->e->receiver.next);

	put(k, c->e, &c->out, &(struct frame){ .type = FRAME_ACK, .body = VIEW(next.b) });
	keeper_outgoing_send(k, c->e, &c->out, NULL);
	keeper_end(k, c->e, (enum wire_reason)load_le32(goodbye->reason), false);
}

static void take_reliable(struct keeper *k, struct control *c, const struct frame *frame)
{
	struct keeper_entry *e = c->e;
	const void *body = frame->body.data;
	const struct wire_channel *channel = body;
	const struct wire_channel_reason *refuse = body;

	/* Its answer must find room. A client that acknowledges nothing is heard no further; it
	 * repeats what we have not taken. */
	if (!keeper_can_queue(e) || (frame->type == FRAME_REKEY_1 && !keeper_may_rekey(k, e)) ||
	    !reliable_accept(&e->receiver, frame->sequence))
		return;
	switch (frame->type) {
	case FRAME_OPEN: keeper_take_open(k, e, body); break;
	case FRAME_ACCEPT: keeper_take_accept(k, e, load_le32(channel->channel)); break;
	case FRAME_REFUSE:
		keeper_take_refuse(k, e, load_le32(refuse->channel), load_le32(refuse->reason));
		break;
	case FRAME_CLOSE: keeper_take_close(k, e, load_le32(channel->channel)); break;
	case FRAME_GOODBYE: take_goodbye(k, c, body); break;
	case FRAME_ENROL_CONFIRM: keeper_take_confirm(k, e); break;
	case FRAME_REKEY_1: keeper_take_rekey(k, e, body); break;
	case FRAME_BURN: keeper_take_burn(k, e, body); break;
	default: /* of a later version: acknowledged, so that what follows gets through */ break;
	}
}

void keeper_take_control(struct keeper *k, struct keeper_entry *e, const struct upcall *upcall)
{
	struct control c = { .e = e, .upcall = upcall };
	struct view rest = upcall->body;
	enum frame_status status = FRAME_READ;

	keeper_outgoing_init(&c.out, e->session.datagram_max);
	while (e->state == ENTRY_ESTABLISHED && status == FRAME_READ) {
		struct frame frame;
		status = frame_next(&rest, &frame);
		if (status != FRAME_READ)
			break;
		k->stats.frames_in++;
		if (frame_is_reliable(frame.type))
			take_reliable(k, &c, &frame);
		else
			take_plain(k, &c, &frame);
	}
	if (status == FRAME_MALFORMED)
		k->stats.frames_malformed++;
	if (e->state == ENTRY_ESTABLISHED)
		flush_into(k, e, &c.out);
}
