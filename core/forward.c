#include "core/forward.h"

#include <assert.h>
#include <stdlib.h>

#include "core/door.h"
#include "core/forward_private.h"

static bool allocate(struct forward *f)
{
	size_t n = f->config.batch_max;

	f->group_cell_count = 2;
	while (f->group_cell_count < 2 * n)
		f->group_cell_count *= 2;
	f->items = calloc(n, sizeof(*f->items));
	f->groups = calloc(n, sizeof(*f->groups));
	f->group_cells = calloc(f->group_cell_count, sizeof(*f->group_cells));
	f->headers = calloc(n, sizeof(*f->headers));
	f->send = calloc(n, sizeof(*f->send));
	f->upcalls = calloc(2 * n, sizeof(*f->upcalls));
	f->keys = key_cache_create(f->config.cipher, f->config.key_cache_entries);
	if (f->items == NULL || f->groups == NULL || f->group_cells == NULL || f->headers == NULL ||
	    f->send == NULL || f->upcalls == NULL || f->keys == NULL)
		return false;
	for (size_t i = 0; i < DOORS_MAX; i++) {
		f->doors[i].show = mask_create(MASK_SHOW);
		f->doors[i].hide = mask_create(MASK_HIDE);
		if (f->doors[i].show == NULL || f->doors[i].hide == NULL)
			return false;
	}
	return true;
}

struct forward *forward_create(const struct forward_config *config)
{
	assert(config->batch_max > 0);

	struct forward *f = aligned_alloc(_Alignof(struct forward), sizeof(*f));
	if (f == NULL)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->config = *config;
	if (allocate(f))
		return f;
	forward_destroy(f);
	return NULL;
}

static void close_door(struct forward *f, struct forward_door *d)
{
	static const uint8_t no_key[MASK_KEY_SIZE];

	f->config.cipher->erase(d->hello_key);
	bytes_wipe(d->answer_key, sizeof(d->answer_key));
	mask_set_key(d->show, no_key);
	mask_set_key(d->hide, no_key);
	d->is_open = false;
}

void forward_destroy(struct forward *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < DOORS_MAX; i++) {
		if (f->doors[i].is_open)
			close_door(f, &f->doors[i]);
		mask_destroy(f->doors[i].show);
		mask_destroy(f->doors[i].hide);
	}
	key_cache_destroy(f->keys);
	free(f->items);
	free(f->groups);
	free(f->group_cells);
	free(f->headers);
	free(f->send);
	free(f->upcalls);
	free(f);
}

/* ---- doors ----------------------------------------------------------------------------- */

struct forward_door *forward_find_door(struct forward *f, uint64_t door)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (f->doors[i].is_open && f->doors[i].door == door)
			return &f->doors[i];
	return NULL;
}

static struct forward_door *unused_door(struct forward *f)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (!f->doors[i].is_open)
			return &f->doors[i];
	return NULL;
}

bool forward_open_door(struct forward *f, uint64_t door, uint16_t port,
		       const struct door_keys *keys)
{
	assert(forward_find_door(f, door) == NULL);

	struct forward_door *d = unused_door(f);
	if (d == NULL || !f->config.cipher->expand(d->hello_key, keys->c2s_handshake))
		return false;
	mask_set_key(d->show, keys->c2s_header);
	mask_set_key(d->hide, keys->s2c_header);
	memcpy(d->answer_key, keys->s2c_handshake, sizeof(d->answer_key));
	d->door = door;
	d->port = port;
	d->is_open = true;
	return true;
}

void forward_close_door(struct forward *f, uint64_t door)
{
	struct forward_door *d = forward_find_door(f, door);
	if (d != NULL)
		close_door(f, d);
}

/* ---- batch ----------------------------------------------------------------------------- */

struct upcall *forward_upcall(struct forward *f, enum upcall_kind kind,
			      const struct forward_item *item)
{
	assert(f->upcall_count < 2 * f->config.batch_max);

	struct upcall *u = &f->upcalls[f->upcall_count++];
	*u = (struct upcall){
		.kind = kind,
		.path = item->packet->path,
		.datagram_size = item->packet->size,
	};
	if (item->session != NULL)
		u->session = item->session->id;
	return u;
}

static void count_verdicts(struct forward *f)
{
	for (uint32_t i = 0; i < f->item_count; i++) {
		assert(f->items[i].verdict != UNDECIDED);
		bump_owned(&f->counters.of[f->items[i].verdict], 1);
	}
}

void forward_batch(struct forward *f, struct packet *packets, size_t count, struct instant now,
		   struct forward_result *result)
{
	assert(count <= f->config.batch_max);

	f->upcall_count = 0;
	f->send_count = 0;
	forward_admit(f, packets, count);
	forward_identify(f);
	forward_open(f, now);
	forward_route(f, now);
	forward_send(f);
	count_verdicts(f);
	*result = (struct forward_result){
		.send = f->send,
		.send_count = f->send_count,
		.upcalls = f->upcalls,
		.upcall_count = f->upcall_count,
	};
}

/* ---- the keeper's own datagrams -------------------------------------------------------- */

bool forward_seal(struct forward *f, struct session_id id, const struct path *path,
		  struct packet *packet, size_t plain_size)
{
	struct session *s = table_find(f->config.table, id);
	if (s == NULL)
		return false;
	packet->path = path != NULL ? *path : session_path(s);
	struct forward_door *d = forward_find_door(f, packet->path.door);
	if (d == NULL || !session_seal(s, f->keys, d->hide, packet->data, plain_size))
		return false;
	packet->size = (uint32_t)(plain_size + WIRE_OVERHEAD);
	return true;
}

bool forward_seal_handshake(struct forward *f, enum wire_kind kind, struct packet *packet,
			    size_t plain_size, const struct random_source *random)
{
	struct forward_door *d = forward_find_door(f, packet->path.door);
	if (d == NULL)
		return false;
	packet->size =
		(uint32_t)door_seal(d->answer_key, d->hide, kind, random, packet->data, plain_size);
	return true;
}

void forward_forget(struct forward *f, struct session_id id)
{
	if (id.slot == UINT32_MAX) {
		key_cache_erase_all(f->keys);
		return;
	}
	/* The session may be gone; its keys are found by its id alone. */
	struct session only_id;
	memset(&only_id, 0, sizeof(only_id));
	only_id.id = id;
	key_cache_erase(f->keys, &only_id);
}

struct verdict_counters *forward_counters(struct forward *f)
{
	return &f->counters;
}
