#include "core/keeper_internal.h"

void keeper_announce_door(struct keeper *k, const struct keeper_door *door, struct instant now)
{
	k->now = now;
	k->announcement.next = *door;
	keeper_announce_start(k);
}

void keeper_announce_start(struct keeper *k)
{
	k->announcement.cursor = 0;
	k->announcement.next_slice_ns = k->now.mono_ns;
	keeper_announce_slice(k);
	keeper_flush_marked(k);
}

void keeper_announce_slice(struct keeper *k)
{
	struct keeper_announcement *a = &k->announcement;

	if (k->now.mono_ns < a->next_slice_ns)
		return;
	for (unsigned i = 0; i < KEEPER_ANNOUNCED_PER_TICK; i++) {
		struct session *s = table_next(k->config.table, &a->cursor);
		if (s == NULL) {
			a->next_slice_ns = NEVER;
			return;
		}
		struct keeper_entry *e = (struct keeper_entry *)s;
		if (e->state == ENTRY_ESTABLISHED)
			keeper_mark(k, e); /* a pending one hears of it when it is established */
	}
	a->next_slice_ns = k->now.mono_ns + KEEPER_ANNOUNCE_NS;
}

static uint32_t seconds_until(uint64_t wall_ns, uint64_t begins_ns)
{
	return wall_ns >= begins_ns ? 0 : (uint32_t)((begins_ns - wall_ns) / NS_PER_S);
}

void keeper_pay_door(struct keeper *k, struct keeper_entry *e)
{
	const struct keeper_door *next = &k->announcement.next;

	if (e->state != ENTRY_ESTABLISHED || e->door_told >= next->door || !keeper_can_queue(e))
		return;
	if (session_path(&e->session).door >= next->door) {
		e->door_told = next->door; /* it is there already */
		return;
	}
	struct wire_port_next frame = {
		.door = store_le64(next->door),
		.port = store_le16(next->port),
		.seconds_left = store_le32(seconds_until(k->now.wall_ns, next->begins_ns)),
	};
	memcpy(frame.key, next->key, sizeof frame.key);
	if (keeper_queue(k, e, FRAME_PORT_NEXT, view_of(&frame, sizeof frame))) {
		e->door_told = next->door;
		k->stats.doors_told++;
	}
	bytes_wipe(&frame, sizeof frame);
}
