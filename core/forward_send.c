/*
 * The packet path's last part: packets are grouped by the session they go to (so that counters are
 * reserved once and the engine can send trains), get their headers, are sealed.
 */
#include <assert.h>

#include "core/forward_private.h"

/* ---- groups ---------------------------------------------------------------------------- */

/* The cell of a target: its own, or the free one where it belongs. */
static uint32_t *find_cell(const struct forward *f, const struct session *target)
{
	/* Fibonacci hashing; at most half of the cells are taken, so the search ends. */
	uint32_t at = target->id.slot * UINT32_C(0x9e3779b1) >> 16;
	for (;; at++) {
		uint32_t *cell = &f->group_cells[at & (f->group_cell_count - 1)];
		if (*cell == 0 || f->groups[*cell - 1].target == target)
			return cell;
	}
}

static void add_to_group(struct forward *f, uint32_t index)
{
	struct forward_item *item = &f->items[index];
	uint32_t *cell = find_cell(f, item->target);

	item->next = f->item_count;
	if (*cell == 0) {
		f->groups[f->group_count] = (struct forward_group){
			.target = item->target,
			.first = index,
			.last = index,
			.count = 1,
		};
		*cell = ++f->group_count;
		return;
	}
	struct forward_group *group = &f->groups[*cell - 1];
	f->items[group->last].next = index;
	group->last = index;
	group->count++;
}

static void make_groups(struct forward *f)
{
	f->group_count = 0;
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED)
			add_to_group(f, i);
}

/* By emptying the cell of each group, in the reverse order, so that every search still ends at
 * its own cell. */
static void clear_cells(struct forward *f)
{
	for (uint32_t i = f->group_count; i > 0; i--)
		*find_cell(f, f->groups[i - 1].target) = 0;
}

static struct forward_item *next_item(struct forward *f, const struct forward_item *item)
{
	return item->next < f->item_count ? &f->items[item->next] : NULL;
}

static void decide(struct forward *f, const struct forward_group *group, enum verdict verdict)
{
	for (struct forward_item *i = &f->items[group->first]; i != NULL; i = next_item(f, i))
		i->verdict = verdict;
}

/* ---- headers --------------------------------------------------------------------------- */

/* Everything that a group needs before its headers can be written. */
static enum verdict prepare(struct forward *f, struct forward_group *group)
{
	struct session *s = group->target;

	if (load_relaxed(&s->is_revoked))
		return PKT_DROP_REVOKED;
	group->path = session_path(s);
	group->door = forward_find_door(f, group->path.door);
	if (group->door == NULL)
		return PKT_DROP_NO_DOOR;
	group->epoch = load_acquire(&s->epoch); /* pairs with session_next_epoch() */
	if (!session_reserve(s, group->count, &group->counter))
		return PKT_DROP_KEY_LIMIT;
	return UNDECIDED;
}

static void prepare_groups(struct forward *f)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < f->group_count; i++) {
		enum verdict verdict = prepare(f, &f->groups[i]);
		if (verdict == UNDECIDED)
			f->groups[kept++] = f->groups[i];
		else
			decide(f, &f->groups[i], verdict);
	}
	f->group_count = kept;
}

static uint32_t write_headers(struct forward *f, const struct forward_group *group, uint32_t n)
{
	for (uint32_t i = 0; i < group->count; i++) {
		struct wire_data_header header;
		session_header(group->target, group->epoch, group->counter + i, &header);
		memcpy(f->headers[n++], &header, WIRE_HEADER_SIZE);
	}
	return n;
}

static uint32_t place_headers(struct forward *f, const struct forward_group *group, uint32_t n)
{
	for (struct forward_item *i = &f->items[group->first]; i != NULL; i = next_item(f, i))
		memcpy(i->packet->data, f->headers[n++], WIRE_HEADER_SIZE);
	return n;
}

/* All headers that go out by one door, hidden in one call. */
static void hide_headers(struct forward *f, struct forward_door *door)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->group_count; i++)
		if (f->groups[i].door == door)
			n = write_headers(f, &f->groups[i], n);
	if (n == 0)
		return;
	mask_blocks(door->hide, f->headers[0], n);
	n = 0;
	for (uint32_t i = 0; i < f->group_count; i++)
		if (f->groups[i].door == door)
			n = place_headers(f, &f->groups[i], n);
}

/* ---- sealing --------------------------------------------------------------------------- */

/* The header lies in place as it will be sent: it is authenticated with the packet. */
static void seal_item(struct forward *f, struct forward_item *item, void *key,
		      const uint8_t nonce[AEAD_NONCE_SIZE])
{
	struct packet *packet = item->packet;
	uint8_t *body = packet->data + WIRE_HEADER_SIZE;
	size_t size = packet->size - WIRE_OVERHEAD;

	f->config.cipher->seal(key, nonce, view_of(packet->data, WIRE_HEADER_SIZE), body, size,
			       body + size);
}

static void seal_group(struct forward *f, const struct forward_group *group)
{
	struct session *s = group->target;
	void *key = key_cache_get(f->keys, s, group->epoch, KEY_SEND);
	if (key == NULL) {
		decide(f, group, PKT_DROP_KEY_LIMIT);
		return;
	}

	const uint8_t *iv = s->epochs[group->epoch % EPOCHS_LIVE].send.iv;
	uint64_t counter = group->counter, bytes = 0;
	for (struct forward_item *i = &f->items[group->first]; i != NULL; i = next_item(f, i)) {
		uint8_t nonce[AEAD_NONCE_SIZE];
		wire_nonce(iv, counter++, nonce);
		seal_item(f, i, key, nonce);
		i->packet->path = group->path;
		i->verdict = i->outcome;
		f->send[f->send_count++] = *i->packet;
		bytes += i->packet->size;
	}
	assert(counter == group->counter + group->count);
	add_relaxed(&s->tx_bytes, bytes);
}

static void prefetch_key(const struct forward *f, uint32_t index)
{
	if (index < f->group_count)
		key_cache_prefetch(f->keys, f->groups[index].target, f->groups[index].epoch,
				   KEY_SEND);
}

void forward_send(struct forward *f)
{
	make_groups(f);
	clear_cells(f);
	prepare_groups(f);
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (f->doors[i].is_open)
			hide_headers(f, &f->doors[i]);
	for (uint32_t i = 0; i < FORWARD_AHEAD; i++)
		prefetch_key(f, i);
	for (uint32_t i = 0; i < f->group_count; i++) {
		prefetch_key(f, i + FORWARD_AHEAD);
		seal_group(f, &f->groups[i]);
	}
}
