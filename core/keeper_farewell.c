#include "core/keeper_internal.h"

#include <stdlib.h>

/*
 * Last words of sessions. They are sealed while there are keys, and may wait: a GOODBYE is not
 * repeated, and where many sessions end at once the workers' mailboxes hold a few of them only.
 * What waits is a sealed datagram and its path; no key lives for it.
 */
struct keeper_farewell {
	struct keeper_farewell *next;
	struct path path;
	uint32_t size;
	uint8_t bytes[];
};

static bool keep(struct keeper *k, const struct packet *packet)
{
	struct keeper_farewells *all = &k->farewells;
	if (all->count >= KEEPER_FAREWELLS_MAX)
		return false;
	struct keeper_farewell *f = malloc(sizeof *f + packet->size);
	if (f == NULL)
		return false;
	f->next = NULL;
	f->path = packet->path;
	f->size = packet->size;
	memcpy(f->bytes, packet->data, packet->size);
	if (all->last != NULL)
		all->last->next = f;
	else
		all->first = f;
	all->last = f;
	if (all->count++ == 0)
		all->next_ns = k->now.mono_ns;
	return true;
}

void keeper_send(struct keeper *k, const struct packet *packet)
{
	if (!k->config.hooks.send(k->config.hooks.state, packet))
		k->stats.sends_full++;
}

void keeper_send_last(struct keeper *k, const struct packet *packet)
{
	bool may_go = k->farewells.count == 0 && k->ending.count == 0;
	if (may_go && k->config.hooks.send(k->config.hooks.state, packet))
		return;
	if (!keep(k, packet))
		k->stats.goodbyes_lost++;
}

static void drop_first(struct keeper *k)
{
	struct keeper_farewells *all = &k->farewells;
	struct keeper_farewell *first = all->first;
	all->first = first->next;
	if (all->first == NULL)
		all->last = NULL;
	all->count--;
	free(first);
}

void keeper_send_farewells(struct keeper *k)
{
	struct keeper_farewells *all = &k->farewells;
	if (k->now.mono_ns < all->next_ns)
		return;
	for (unsigned i = 0; i < KEEPER_FAREWELLS_PER_SLICE && all->count > 0; i++) {
		struct keeper_farewell *f = all->first;
		struct packet packet = { .data = f->bytes, .size = f->size, .path = f->path };
		if (!k->config.hooks.send(k->config.hooks.state, &packet))
			break; /* its worker is behind: the others' are not far ahead of it */
		drop_first(k);
	}
	all->next_ns = all->count > 0 ? k->now.mono_ns + KEEPER_FAREWELLS_NS : NEVER;
}

void keeper_drop_farewells(struct keeper *k)
{
	while (k->farewells.count > 0)
		drop_first(k);
}

bool keeper_has_said_goodbye(const struct keeper *k)
{
	return k->farewells.count == 0;
}
