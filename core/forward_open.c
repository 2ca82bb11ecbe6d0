/* The packet path's first half: headers shown, sessions found, packets opened. */
#include <assert.h>

#include "core/forward_private.h"

/* ---- headers --------------------------------------------------------------------------- */

static enum verdict admit(struct forward *f, struct forward_item *item)
{
	if (item->packet->size < WIRE_SIZE_MIN || item->packet->size > DATAGRAM_SIZE_MAX)
		return PKT_DROP_SIZE;
	item->door = forward_find_door(f, item->packet->path.door);
	if (item->door == NULL)
		return PKT_DROP_NO_DOOR;
	item->door->item_count++;
	return UNDECIDED;
}

/* All headers of one door in one call. */
static void show_headers(struct forward *f, struct forward_door *door)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].door == door)
			memcpy(f->headers[n++], f->items[i].packet->data, WIRE_HEADER_SIZE);
	mask_blocks(door->show, f->headers[0], n);
	n = 0;
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].door == door)
			memcpy(&f->items[i].header, f->headers[n++], WIRE_HEADER_SIZE);
}

void forward_admit(struct forward *f, struct packet *packets, size_t count)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		f->doors[i].item_count = 0;
	f->item_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		f->items[i] = (struct forward_item){ .packet = &packets[i] };
		f->items[i].verdict = admit(f, &f->items[i]);
	}
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (f->doors[i].item_count > 0)
			show_headers(f, &f->doors[i]);
}

/* ---- sessions -------------------------------------------------------------------------- */

static bool is_data(const struct wire_data_header *header)
{
	return wire_kind((const uint8_t *)header) == WIRE_DATA &&
	       (header->first & WIRE_RESERVED_MASK) == 0;
}

static bool is_hello(const struct wire_data_header *header)
{
	return header->first == wire_first(WIRE_HELLO, 0);
}

static struct session *find_session(const struct forward *f, const struct wire_data_header *header)
{
	if (!is_data(header))
		return NULL;
	struct session_id id = {
		.slot = load_le24(header->slot),
		.generation = load_le32(header->generation),
	};
	return table_find(f->config.table, id);
}

/* What the header shows under a door. */
static struct wire_data_header show_under(struct forward_door *door, const struct packet *packet)
{
	struct wire_data_header header;
	memcpy(&header, packet->data, sizeof(header));
	mask_blocks(door->show, (uint8_t *)&header, 1);
	return header;
}

/*
 * A header that is nonsense under its door may make sense under another one of the same port (a
 * port that is `fixed`). An existing session cannot be met by chance; a HELLO is, once in 256:
 * so sessions are looked for under all doors before any HELLO is believed.
 */
static void try_other_doors(struct forward *f, struct forward_item *item)
{
	struct forward_door *own = item->door, *hello_door = is_hello(&item->header) ? own : NULL;

	for (struct forward_door *d = f->doors; d < f->doors + DOORS_MAX; d++) {
		if (!d->is_open || d == own || d->port != own->port)
			continue;
		struct wire_data_header header = show_under(d, item->packet);
		item->session = find_session(f, &header);
		if (item->session == NULL && (hello_door != NULL || !is_hello(&header)))
			continue;
		item->header = header;
		item->door = hello_door = d;
		if (item->session != NULL)
			break;
	}
	/* Answers go out by the door that was meant. */
	item->packet->path.door = item->door->door;
}

static enum verdict identify(struct forward *f, struct forward_item *item)
{
	item->session = find_session(f, &item->header);
	if (item->session == NULL)
		try_other_doors(f, item);
	if (item->session != NULL) {
		replay_prefetch(&item->session->replay, load_le64(item->header.counter));
		return UNDECIDED;
	}
	if (is_hello(&item->header))
		return UNDECIDED;
	return is_data(&item->header) ? PKT_DROP_NO_SESSION : PKT_DROP_KIND;
}

/* All that can be said of a session's packet before its cipher. */
static enum verdict examine(struct forward_item *item)
{
	const struct session *s = item->session;

	if (s == NULL)
		return UNDECIDED;
	if (load_relaxed(&s->is_revoked))
		return PKT_DROP_REVOKED;
	if (!session_find_epoch(s, wire_epoch((const uint8_t *)&item->header), &item->epoch))
		return PKT_DROP_NO_EPOCH;
	if (replay_is_stale(&s->replay, load_le64(item->header.counter)))
		return PKT_DROP_REPLAY;
	return UNDECIDED;
}

void forward_identify(struct forward *f)
{
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED && is_data(&f->items[i].header))
			table_prefetch(f->config.table, load_le24(f->items[i].header.slot));
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED)
			f->items[i].verdict = identify(f, &f->items[i]);
	for (uint32_t i = 0; i < f->item_count; i++)
		if (f->items[i].verdict == UNDECIDED)
			f->items[i].verdict = examine(&f->items[i]);
}

/* ---- opening --------------------------------------------------------------------------- */

static enum verdict open_hello(struct forward *f, struct forward_item *item)
{
	struct wire_handshake_header header;
	struct packet *packet = item->packet;
	uint8_t *body = packet->data + WIRE_HEADER_SIZE;
	size_t size = packet->size - WIRE_OVERHEAD;

	memcpy(&header, &item->header, sizeof(header));
	if (!f->config.cipher->open(item->door->hello_key, header.nonce,
				    view_of(packet->data, WIRE_HEADER_SIZE), body, size,
				    body + size))
		return PKT_DROP_BAD_HELLO;
	struct upcall *u = forward_upcall(f, UPCALL_HELLO, item);
	memcpy(u->hello_tag, body + size, AEAD_TAG_SIZE);
	u->body = view_of(body, size);
	return PKT_HELLO;
}

static bool has_path_upcall(const struct forward *f, const struct session *s)
{
	for (uint32_t i = 0; i < f->upcall_count; i++)
		if (f->upcalls[i].kind == UPCALL_PATH && f->upcalls[i].session.slot == s->id.slot)
			return true;
	return false;
}

/*
 * The session's newest packet says where it is now. From the same remote address the answers
 * follow at once (another port of ours, another local address); a new remote address must prove
 * first that it receives, which is the keeper's business. The packet that establishes a session
 * has an upcall of its own: a new address waits for the next one.
 */
static void follow_path(struct forward *f, const struct forward_item *item, bool is_first)
{
	const struct path *path = &item->packet->path;
	struct path known = session_path(item->session);

	if (path_equal(path, &known))
		return;
	if (address_equal(&path->remote, &known.remote))
		session_set_path(item->session, path);
	else if (!is_first && !has_path_upcall(f, item->session))
		forward_upcall(f, UPCALL_PATH, item);
}

static enum verdict note_forgery(struct forward *f, const struct forward_item *item)
{
	if (add_relaxed(&item->session->forgeries, 1) + 1 == EPOCH_FORGERIES_MAX)
		forward_upcall(f, UPCALL_FORGERIES, item);
	return PKT_DROP_BAD_TAG;
}

static enum verdict open_data(struct forward *f, struct forward_item *item, uint64_t now_ns)
{
	struct session *s = item->session;
	struct packet *packet = item->packet;
	uint64_t counter = load_le64(item->header.counter);
	void *key = key_cache_get(f->keys, s, item->epoch, KEY_RECEIVE);
	if (key == NULL)
		return PKT_DROP_KEY_LIMIT;

	uint8_t nonce[AEAD_NONCE_SIZE], *body = packet->data + WIRE_HEADER_SIZE;
	size_t size = packet->size - WIRE_OVERHEAD;
	wire_nonce(s->epochs[item->epoch % EPOCHS_LIVE].receive.iv, counter, nonce);
	if (!f->config.cipher->open(key, nonce, view_of(packet->data, WIRE_HEADER_SIZE), body, size,
				    body + size))
		return note_forgery(f, item);

	struct session_news news;
	if (!session_accept(s, counter, packet->size, now_ns, &news))
		return PKT_DROP_REPLAY;
	session_follow_epoch(s, item->epoch);
	if (news.is_first)
		forward_upcall(f, UPCALL_ESTABLISHED, item);
	if (news.is_newest)
		follow_path(f, item, news.is_first);
	return UNDECIDED;
}

static void prefetch_key(const struct forward *f, uint32_t index)
{
	if (index >= f->item_count)
		return;
	const struct forward_item *item = &f->items[index];
	if (item->verdict == UNDECIDED && item->session != NULL)
		key_cache_prefetch(f->keys, item->session, item->epoch, KEY_RECEIVE);
}

void forward_open(struct forward *f, struct instant now)
{
	for (uint32_t i = 0; i < FORWARD_AHEAD; i++)
		prefetch_key(f, i);
	for (uint32_t i = 0; i < f->item_count; i++) {
		struct forward_item *item = &f->items[i];
		prefetch_key(f, i + FORWARD_AHEAD);
		if (item->verdict != UNDECIDED)
			continue;
		item->verdict = item->session != NULL ? open_data(f, item, now.mono_ns) :
							open_hello(f, item);
	}
}
