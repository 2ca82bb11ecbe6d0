/* The virtual relay's port generations: each opens a notice before its time, is announced, and
 * closes a grace after its end. */
#include "tests/support/sim_internal.h"

static struct sim_door *find(struct sim *sim, uint64_t generation)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		if (sim->relay.doors[i].is_open && sim->relay.doors[i].generation == generation)
			return &sim->relay.doors[i];
	return NULL;
}

static void open_door(struct sim *sim, uint64_t generation, uint8_t key[KEY_SIZE])
{
	struct sim_relay *r = &sim->relay;
	struct door_keys keys;
	size_t i = 0;

	while (i < DOORS_MAX && r->doors[i].is_open)
		i++;
	assert_true(i < DOORS_MAX);
	r->doors[i] =
		(struct sim_door){ .is_open = true,
				   .generation = generation,
				   .port = schedule_port(&r->schedule, generation, r->port_draw) };
	schedule_door_key(&r->schedule, generation, key);
	door_keys_derive(key, &keys);
	assert_true(keeper_open_door(r->keeper, generation, r->doors[i].port, &keys));
	for (unsigned w = 0; w < sim->config.workers; w++)
		assert_true(forward_open_door(r->workers[w].forward, generation, r->doors[i].port,
					      &keys));
}

static void close_door(struct sim *sim, struct sim_door *door)
{
	struct sim_relay *r = &sim->relay;
	keeper_close_door(r->keeper, door->generation);
	for (unsigned w = 0; w < sim->config.workers; w++)
		forward_close_door(r->workers[w].forward, door->generation);
	door->is_open = false;
}

static uint64_t opens_ns(const struct sim *sim, uint64_t generation)
{
	return schedule_begin_ns(&sim->relay.schedule, generation) - PORT_NOTICE_S * NS_PER_S;
}

static uint64_t closes_ns(const struct sim *sim, uint64_t generation)
{
	return schedule_begin_ns(&sim->relay.schedule, generation + 1) + PORT_GRACE_S * NS_PER_S;
}

static void open_and_announce(struct sim *sim, uint64_t generation)
{
	struct keeper_door next = {
		.door = generation,
		.begins_ns = schedule_begin_ns(&sim->relay.schedule, generation),
	};
	if (sim->now.wall_ns < opens_ns(sim, generation) || find(sim, generation) != NULL)
		return;
	open_door(sim, generation, next.key);
	next.port = find(sim, generation)->port;
	keeper_announce_door(sim->relay.keeper, &next, sim->now);
}

void sim_doors_tick(struct sim *sim)
{
	uint64_t current = schedule_generation(&sim->relay.schedule, sim->now.wall_ns);
	uint8_t key[KEY_SIZE];

	if (find(sim, current) == NULL)
		open_door(sim, current, key);
	open_and_announce(sim, current + 1);
	for (size_t i = 0; i < DOORS_MAX; i++) {
		struct sim_door *door = &sim->relay.doors[i];
		if (door->is_open && sim->now.wall_ns >= closes_ns(sim, door->generation))
			close_door(sim, door);
	}
}

uint64_t sim_doors_deadline(const struct sim *sim)
{
	uint64_t current = schedule_generation(&sim->relay.schedule, sim->now.wall_ns);
	uint64_t wall_ns = closes_ns(sim, current);
	for (uint64_t generation = current - 1; generation <= current + 1; generation++) {
		if (opens_ns(sim, generation) > sim->now.wall_ns)
			wall_ns = earliest(wall_ns, opens_ns(sim, generation));
		if (closes_ns(sim, generation) > sim->now.wall_ns)
			wall_ns = earliest(wall_ns, closes_ns(sim, generation));
	}
	return sim->now.mono_ns + (wall_ns - sim->now.wall_ns);
}

void sim_doors_close_all(struct sim *sim)
{
	for (size_t i = 0; i < DOORS_MAX; i++)
		sim->relay.doors[i].is_open = false;
}

const struct sim_door *sim_door_at(const struct sim *sim, const struct address *address)
{
	for (size_t i = 0; i < DOORS_MAX; i++) {
		const struct sim_door *door = &sim->relay.doors[i];
		struct address at = address_v4(192, 0, 2, 1, door->port);
		if (door->is_open && address_equal(&at, address))
			return door;
	}
	return NULL;
}

struct address sim_door_address(const struct sim *sim, uint64_t generation)
{
	for (size_t i = 0; i < DOORS_MAX; i++) {
		const struct sim_door *door = &sim->relay.doors[i];
		if (door->is_open && door->generation == generation)
			return address_v4(192, 0, 2, 1, door->port);
	}
	return address_v4(192, 0, 2, 1, schedule_port(&sim->relay.schedule, generation, 0));
}

struct address sim_relay_address(const struct sim *sim)
{
	const struct schedule *s = &sim->relay.schedule;
	return sim_door_address(sim, schedule_generation(s, sim->now.wall_ns));
}
