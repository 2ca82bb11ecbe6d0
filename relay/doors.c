#include "relay/doors.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "net/udp_socket.h"

void doors_init(struct doors *d, const struct doors_config *config)
{
	memset(d, 0, sizeof(*d));
	d->config = *config;
	assert(config->mode != DOOR_MODE_FIXED ||
	       config->schedule.port_first == config->schedule.port_last);
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

static bool is_ours(const struct doors *d, uint16_t port)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && d->open[i].port == port)
			return true;
	return false;
}

/* The workers share their port, and would share it with another relay of this user as well, each
 * getting half of the packets. So first it is asked for without sharing. */
static int try_alone(const struct address *bind_to)
{
	const struct udp_socket_options alone = { .share_port = false };
	if (!address_is_set(bind_to))
		return 0;
	int fd = udp_socket_open(bind_to, &alone);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int open_in_workers(struct doors *d, struct door_opening *opening)
{
	uint16_t number = (uint16_t)(opening->port.bind_v4.port | opening->port.bind_v6.port);
	int result = 0;
	if (!is_ours(d, number)) {
		result = try_alone(&opening->port.bind_v4);
		if (result == 0)
			result = try_alone(&opening->port.bind_v6);
	}
	for (unsigned i = 0; i < d->config.worker_count && result == 0; i++) {
		result = worker_open_door(d->config.workers[i], opening);
		if (result < 0)
			close_workers(d, opening->port.door, i);
	}
	return result;
}

/* One port, in every worker, then in the keeper; all or nothing. */
static int open_port(struct doors *d, struct open_door *door, uint16_t number)
{
	struct door_opening opening = {
		.port = { .door = door->generation,
			  .bind_v4 = d->config.bind_v4,
			  .bind_v6 = d->config.bind_v6 },
	};
	opening.port.bind_v4.port = address_is_set(&d->config.bind_v4) ? number : 0;
	opening.port.bind_v6.port = address_is_set(&d->config.bind_v6) ? number : 0;
	door_keys_derive(door->key, &opening.keys);
	int result = open_in_workers(d, &opening);
	if (result == 0) {
		struct keeper_opening keeper = { .generation = door->generation,
						 .port = number,
						 .keys = &opening.keys };
		keeper_thread_call(d->config.keeper, keeper_open, &keeper);
		if (!keeper.is_open) {
			close_workers(d, door->generation, d->config.worker_count);
			result = -ENOSPC;
		}
	}
	door->receive_buffer_bytes = opening.port.receive_buffer_bytes;
	bytes_wipe(&opening, sizeof(opening));
	return result;
}

static uint16_t draw_port(struct doors *d, uint64_t generation, unsigned draw)
{
	const struct schedule *s = &d->config.schedule;
	uint32_t range = (uint32_t)s->port_last - s->port_first + 1;
	if (d->config.mode == DOOR_MODE_RANDOM)
		return (uint16_t)(s->port_first + random_below(&d->config.random, range));
	return schedule_port(s, generation, draw);
}

/* Two doors on one port share its packets, and those that wait when the first one closes are lost:
 * so only where nothing else can be had. */
static int open_draw(struct doors *d, struct open_door *door, bool may_share)
{
	if (!may_share && is_ours(d, door->port))
		return -EADDRINUSE;
	return open_port(d, door, door->port);
}

static int open_generation(struct doors *d, uint64_t generation)
{
	struct open_door *door = NULL;
	for (size_t i = 0; i < DOORS_MAX && door == NULL; i++)
		if (!d->open[i].is_open)
			door = &d->open[i];
	if (door == NULL)
		return d->failure = -ENOSPC;
	door->generation = generation;
	schedule_door_key(&d->config.schedule, generation, door->key);
	int result = -EADDRINUSE;
	bool is_fixed = d->config.mode == DOOR_MODE_FIXED;
	unsigned tries = is_fixed ? 1 : 2 * PORT_DRAWS_MAX;
	for (unsigned i = 0; i < tries && result == -EADDRINUSE; i++) {
		door->port = draw_port(d, generation, i % PORT_DRAWS_MAX);
		result = open_draw(d, door, is_fixed || i >= PORT_DRAWS_MAX);
		d->ports_skipped += result == -EADDRINUSE;
	}
	d->failure = result;
	if (result == 0)
		door->is_open = true;
	else
		bytes_wipe(door, sizeof(*door));
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
static void announce(struct doors *d, struct open_door *door, uint64_t begins_ns)
{
	door->begins_ns = begins_ns;
	struct keeper_door next = { .door = door->generation,
				    .port = door->port,
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

const struct open_door *doors_newest(const struct doors *d)
{
	const struct open_door *newest = NULL;
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && !d->open[i].is_stale &&
		    (newest == NULL || d->open[i].generation > newest->generation))
			newest = &d->open[i];
	return newest;
}

static void make_stale(struct doors *d, uint64_t wall_ns)
{
	for (size_t i = 0; i < DOORS_MAX; i++) {
		struct open_door *door = &d->open[i];
		if (!door->is_open)
			continue;
		if (door->is_stale) /* the secret was replaced twice: that one had its time */
			close_generation(d, door);
		door->is_stale = door->is_open;
		door->close_ns = wall_ns + DOORS_STALE_S * NS_PER_S;
	}
}

/* With all places taken the oldest one gives way. */
static void make_place(struct doors *d)
{
	struct open_door *oldest = &d->open[0];
	for (size_t i = 0; i < DOORS_MAX; i++) {
		if (!d->open[i].is_open)
			return;
		if (d->open[i].generation < oldest->generation)
			oldest = &d->open[i];
	}
	close_generation(d, oldest);
}

int doors_replace_secret(struct doors *d, const uint8_t secret[KEY_SIZE], uint64_t wall_ns,
			 uint64_t *opened)
{
	uint64_t next = schedule_generation(&d->config.schedule, wall_ns) + 1;
	memcpy(d->config.schedule.secret, secret, KEY_SIZE);
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (d->open[i].is_open && d->open[i].generation >= next)
			next = d->open[i].generation + 1;
	make_stale(d, wall_ns);
	make_place(d);
	int result = open_generation(d, next);
	if (result < 0)
		return result;
	*opened = next;
	announce(d, find(d, next), wall_ns + DOORS_ROTATE_WAIT_S * NS_PER_S);
	return 0;
}

/* ---- as time goes by -------------------------------------------------------------------- */

/* The door that sessions go to from this one; NULL: none is open. */
static const struct open_door *successor(const struct doors *d, const struct open_door *door)
{
	const struct open_door *next = NULL;
	for (size_t i = 0; i < DOORS_MAX; i++) {
		const struct open_door *other = &d->open[i];
		if (other->is_open && !other->is_stale && other->generation > door->generation &&
		    (next == NULL || other->generation < next->generation))
			next = other;
	}
	return next;
}

/* When a door closes: a grace after its time, and after the next one's, which may have been late;
 * never while sessions have nowhere to go; at once where the clock was set back long before it
 * (some are opened early by hand). */
static uint64_t closing_time(const struct doors *d, const struct open_door *door, uint64_t now)
{
	if (door->is_stale)
		return door->close_ns;
	if (door->generation > now + DOORS_MAX)
		return 0;
	const struct open_door *next = successor(d, door);
	if (next == NULL)
		return NEVER;
	uint64_t end_ns = schedule_begin_ns(&d->config.schedule, door->generation + 1);
	return (next->begins_ns > end_ns ? next->begins_ns : end_ns) + d->config.grace_s * NS_PER_S;
}

/* Returns when the next one closes. */
static uint64_t close_due(struct doors *d, uint64_t now, uint64_t wall_ns)
{
	uint64_t next_ns = NEVER;
	for (size_t i = 0; i < DOORS_MAX; i++) {
		struct open_door *door = &d->open[i];
		if (!door->is_open)
			continue;
		uint64_t close_ns = closing_time(d, door, now);
		if (wall_ns >= close_ns)
			close_generation(d, door);
		else
			next_ns = earliest(next_ns, close_ns);
	}
	return next_ns;
}

uint64_t doors_tick(struct doors *d, uint64_t wall_ns, uint64_t *opened)
{
	const struct schedule *s = &d->config.schedule;
	uint64_t now = schedule_generation(s, wall_ns);
	uint64_t begin_ns = schedule_begin_ns(s, now + 1);
	uint64_t notice_ns = begin_ns - d->config.notice_s * NS_PER_S;
	uint64_t last = wall_ns < notice_ns ? now : now + 1;
	uint64_t next_ns = wall_ns < notice_ns ? notice_ns : begin_ns;
	(void)close_due(d, now, wall_ns); /* makes room */
	*opened = 0;
	d->failure = 0;
	/* The present one, too: the machine may have slept over its notice, or time was set. */
	for (uint64_t k = now; k <= last; k++) {
		if (doors_find(d, k) != NULL)
			continue;
		if (open_generation(d, k) < 0) {
			next_ns = earliest(next_ns, wall_ns + DOORS_RETRY_S * NS_PER_S);
			continue;
		}
		*opened = k;
		/* Of several the newest is told of: it was opened early, this one closes first. */
		if (doors_newest(d)->generation == k)
			announce(d, find(d, k), k == now ? wall_ns : begin_ns);
		if (k == now)
			break; /* late: sessions hear of one at a time, of the next at its begin */
	}
	return earliest(next_ns, close_due(d, now, wall_ns));
}
