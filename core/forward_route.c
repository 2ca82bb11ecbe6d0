/* The packet path's middle: what an authentic packet asks for, and whom it goes to. */
#include "core/forward_private.h"

struct ping_packet {
	struct wire_frame head;
	struct wire_ping ping;
};

struct pong_packet {
	struct wire_frame head;
	struct wire_pong pong;
};

static uint8_t *plain_bytes(const struct forward_item *item)
{
	return item->packet->data + WIRE_HEADER_SIZE;
}

/* ---- PING ------------------------------------------------------------------------------ */

/* One PING and nothing behind it. */
static bool is_ping_alone(struct view plain)
{
	struct ping_packet packet;

	if (plain.size < sizeof(packet))
		return false;
	memcpy(&packet, plain.data, sizeof(packet));
	if (packet.head.type != FRAME_PING || packet.head.zero != 0 ||
	    load_le16(packet.head.size) != sizeof(packet.ping))
		return false;
	return plain.size == sizeof(packet) || plain.data[sizeof(packet)] == FRAME_END;
}

/* In the PING's own frame, at its size: an answer is never longer than what asked for it. */
static enum verdict answer_ping(struct forward_item *item, struct instant now)
{
	uint8_t *plain = plain_bytes(item);
	size_t size = item_plain(item).size;
	const struct address *remote = &item->packet->path.remote;
	struct ping_packet ping;
	struct pong_packet pong = { .head = { .type = FRAME_PONG } };

	if (size < sizeof(pong))
		return PKT_IDLE;
	memcpy(&ping, plain, sizeof(ping));
	pong.head.size = store_le16(sizeof(pong.pong));
	pong.pong.token = ping.ping.token;
	memcpy(pong.pong.observed_ip, remote->ip, IP_SIZE);
	pong.pong.observed_port = store_le16(remote->port);
	pong.pong.server_time_ns = store_le64(now.wall_ns);
	memset(plain, 0, size);
	memcpy(plain, &pong, sizeof(pong));
	item->target = item->session;
	item->outcome = PKT_PONG;
	return UNDECIDED;
}

/* ---- DATA ------------------------------------------------------------------------------ */

/* The frame stays as it is, but for the number by which the other end knows the channel. */
static enum verdict find_channel(struct forward *f, struct forward_item *item)
{
	struct view plain = item_plain(item);
	struct wire_data_frame frame;
	struct channel_end other;

	if (plain.size < DATA_FRAME_HEAD)
		return PKT_DROP_FRAME;
	memcpy(&frame, plain.data, sizeof(frame));
	if (load_le16(frame.size) > plain.size - DATA_FRAME_HEAD)
		return PKT_DROP_FRAME;
	if (!channels_find(f->config.channels, load_le24(frame.channel), item->session->id, &other))
		return PKT_DROP_NO_CHANNEL;
	frame.channel = store_le24(other.number);
	memcpy(plain_bytes(item), &frame, sizeof(frame));
	item->target_id = other.session;
	item->outcome = PKT_RELAYED;
	table_prefetch(f->config.table, other.session.slot);
	return UNDECIDED;
}

static enum verdict find_target(const struct forward *f, struct forward_item *item)
{
	struct session *target = table_find(f->config.table, item->target_id);

	if (target == NULL || !load_relaxed(&target->is_established))
		return PKT_DROP_PEER_GONE;
	if (item->packet->size > target->datagram_max)
		return PKT_DROP_PEER_SIZE;
	item->target = target;
	return UNDECIDED;
}

/* ---- what a packet holds --------------------------------------------------------------- */

/* Frames themselves are the keeper's to read; it is spared what cannot even begin one. */
static enum verdict pass_control(struct forward *f, const struct forward_item *item)
{
	struct view plain = item_plain(item);
	struct wire_frame head;

	if (plain.size < sizeof(head))
		return PKT_DROP_FRAME;
	memcpy(&head, plain.data, sizeof(head));
	if (head.type > FRAME_TYPE_LAST || load_le16(head.size) > plain.size - sizeof(head))
		return PKT_DROP_FRAME;
	forward_upcall(f, UPCALL_CONTROL, item)->body = plain;
	return PKT_CONTROL;
}

static enum verdict read_frame(struct forward *f, struct forward_item *item, struct instant now)
{
	struct view plain = item_plain(item);

	if (plain.size == 0 || plain.data[0] == FRAME_END)
		return PKT_IDLE;
	if (plain.data[0] == FRAME_DATA)
		return find_channel(f, item);
	if (is_ping_alone(plain))
		return answer_ping(item, now);
	return pass_control(f, item);
}

static void prefetch_channel(const struct forward *f, const struct forward_item *item)
{
	struct view plain = item_plain(item);
	struct wire_data_frame frame;

	if (plain.size < sizeof(frame) || plain.data[0] != FRAME_DATA)
		return;
	memcpy(&frame, plain.data, sizeof(frame));
	channels_prefetch(f->config.channels, load_le24(frame.channel));
}

void forward_route(struct forward *f, struct instant now)
{
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED)
			prefetch_channel(f, &f->items[i]);
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED)
			f->items[i].verdict = read_frame(f, &f->items[i], now);
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED && f->items[i].target == NULL)
			f->items[i].verdict = find_target(f, &f->items[i]);
}
