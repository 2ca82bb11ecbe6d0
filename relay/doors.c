#include "relay/doors.h"

#include <errno.h>
#include <sys/socket.h>

void doors_init(struct doors *d, const struct doors_config *config)
{
	memset(d, 0, sizeof(*d));
	d->config = *config;
}

void doors_fini(struct doors *d)
{
	bytes_wipe(d, sizeof(*d));
}

static struct open_door *find(struct doors *d, uint64_t generation)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && d->open[i].generation == generation)
			return &d->open[i];
	return NULL;
}

const struct open_door *doors_find(const struct doors *d, uint64_t generation)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && d->open[i].generation == generation)
			return &d->open[i];
	return NULL;
}

const struct open_door *doors_current(const struct doors *d, uint64_t wall_ns)
{
	return doors_find(d, schedule_generation(&d->config.schedule, wall_ns));
}

/* ---- opening ---------------------------------------------------------------------------- */

struct keeper_opening {
	uint64_t generation;
	uint16_t port;
	const struct door_keys *keys;
	bool is_open;
};

static void keeper_open(struct keeper *k, void *state, struct instant now)
{
	struct keeper_opening *door = state;
	(void)now;
	door->is_open = keeper_open_door(k, door->generation, door->port, door->keys);
}

static void keeper_close(struct keeper *k, void *state, struct instant now)
{
	(void)now;
	keeper_close_door(k, *(const uint64_t *)state);
}

static void close_workers(struct doors *d, uint64_t generation, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		worker_close_door(d->config.workers[i], generation);
}

/* One port, in every worker, then in the keeper; all or nothing. */
static int open_port(struct doors *d, struct open_door *door, uint16_t number)
{
	struct door_opening opening = {
		.port = { .door = door->generation,
			  .bind_v4 = d->config.bind_v4,
			  .bind_v6 = d->config.bind_v6 },
		.port_number = number,
	};
	opening.port.bind_v4.port = address_is_set(&opening.port.bind_v4) ? number : 0;
	opening.port.bind_v6.port = address_is_set(&d->config.bind_v6) ? number : 0;
	door_keys_derive(door->key, &opening.keys);
	struct keeper_opening keeper = { .generation = door->generation, .port = number,
				      .keys = &opening.keys };
	int result = 0;
	unsigned opened = 0;
	while (result == 0 && opened < d->config.worker_count)
		result = worker_open_door(d->config.workers[opened++], &opening);
	if (result == 0) {
		keeper_thread_call(d->config.keeper, keeper_open, &keeper);
		result = keeper.is_open ? 0 : -ENOSPC;
	} else {
		opened--;
	}
	if (result < 0)
		close_workers(d, door->generation, opened);
	door->receive_buffer_bytes = opening.port.receive_buffer_bytes;
	bytes_wipe(&opening, sizeof(opening));
	return result;
}

static uint16_t draw_port(struct doors *d, uint64_t generation, unsigned draw)
{
	const struct schedule *s = &d->config.schedule;
	switch (d->config.mode) {
	case DOOR_MODE_FIXED:
		return d->config.fixed_port;
	case DOOR_MODE_RANDOM:
		return (uint16_t)(s->port_first +
				  random_below(&d->config.random,
					       (uint32_t)(s->port_last - s->port_first) + 1));
	case DOOR_MODE_SCHEDULE:
		break;
	}
	return schedule_port(s, generation, draw);
}

static int open_generation(struct doors *d, uint64_t generation)
{
	struct open_door *door = NULL;
	for (size_t i = 0; i < DOORS_MAX && door == NULL; i++)
		if (!d->open[i].is_open)
			door = &d->open[i];
	if (door == NULL)
		return -ENOSPC;
	door->generation = generation;
	schedule_door_key(&d->config.schedule, generation, door->key);
	int result = -EADDRINUSE;
	unsigned draws = d->config.mode == DOOR_MODE_FIXED ? 1 : PORT_DRAWS_MAX;
	for (unsigned draw = 0; draw < draws && result == -EADDRINUSE; draw++) {
		door->port = draw_port(d, generation, draw);
		result = open_port(d, door, door->port);
		d->ports_skipped += result == -EADDRINUSE;
	}
	door->is_open = result == 0;
	return result;
}

static void close_generation(struct doors *d, struct open_door *door)
{
	keeper_thread_call(d->config.keeper, keeper_close, &door->generation);
	close_workers(d, door->generation, d->config.worker_count);
	bytes_wipe(door, sizeof(*door));
}

int doors_start(struct doors *d, uint64_t wall_ns)
{
	return open_generation(d, schedule_generation(&d->config.schedule, wall_ns));
}

/* ---- rotation --------------------------------------------------------------------------- */

static void keeper_announce(struct keeper *k, void *state, struct instant now)
{
	keeper_announce_door(k, state, now);
}

/* Tell all sessions to go there at `begins_ns`. */
static void announce(struct doors *d, const struct open_door *door, uint64_t begins_ns)
{
	struct keeper_door next = { .door = door->generation, .port = door->port,
				    .begins_ns = begins_ns };
	memcpy(next.key, door->key, sizeof(next.key));
	keeper_thread_call(d->config.keeper, keeper_announce, &next);
	bytes_wipe(&next, sizeof(next));
	d->rotations++;
}

int doors_rotate_now(struct doors *d, uint64_t wall_ns, uint64_t *opened)
{
	uint64_t newest = schedule_generation(&d->config.schedule, wall_ns);
	if (d->config.mode == DOOR_MODE_FIXED)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && d->open[i].generation > newest)
			newest = d->open[i].generation;
	int result = open_generation(d, newest + 1);
	if (result < 0)
		return result;
	*opened = newest + 1;
	announce(d, find(d, newest + 1), wall_ns + DOORS_ROTATE_WAIT_S * NS_PER_S);
	return 0;
}

/* ---- as time goes by -------------------------------------------------------------------- */

uint64_t doors_tick(struct doors *d, uint64_t wall_ns, uint64_t *opened)
{
	const struct schedule *s = &d->config.schedule;
	uint64_t now = schedule_generation(s, wall_ns);
	uint64_t notice_ns = schedule_begin_ns(s, now + 1) - d->config.notice_s * NS_PER_S;
	uint64_t next_ns = wall_ns < notice_ns ? notice_ns : schedule_begin_ns(s, now + 1);
	*opened = 0;
	if (find(d, now) == NULL && open_generation(d, now) == 0) {
		*opened = now; /* the machine slept over the notice, or the clock was set */
		announce(d, find(d, now), wall_ns);
	}
	if (wall_ns >= notice_ns && find(d, now + 1) == NULL && open_generation(d, now + 1) == 0) {
		*opened = now + 1;
		announce(d, find(d, now + 1), schedule_begin_ns(s, now + 1));
	}
	for (size_t i = 0; i < DOORS_MAX; i++) {
		struct open_door *door = &d->open[i];
		if (!door->is_open || door->generation >= now)
			continue;
		uint64_t close_ns = schedule_begin_ns(s, door->generation + 1) +
				    d->config.grace_s * NS_PER_S;
		if (wall_ns >= close_ns)
			close_generation(d, door);
		else
			next_ns = earliest(next_ns, close_ns);
	}
	return next_ns;
}
