/* Doors of a link: the keys of those in use, and where the next HELLO goes. */
#include <assert.h>

#include "core/link_internal.h"

/* ---- keys at hand ------------------------------------------------------------------------ */

bool link_gates_init(struct link *l)
{
	bool is_complete = true;
	for (size_t i = 0; i < LINK_GATES; i++) {
		l->gates[i].hide = mask_create(MASK_HIDE);
		l->gates[i].show = mask_create(MASK_SHOW);
		is_complete &= l->gates[i].hide != NULL && l->gates[i].show != NULL;
	}
	return is_complete;
}

void link_gates_fini(struct link *l)
{
	for (size_t i = 0; i < LINK_GATES; i++) {
		mask_destroy(l->gates[i].hide);
		mask_destroy(l->gates[i].show);
		bytes_wipe(&l->gates[i].keys, sizeof(l->gates[i].keys));
	}
}

static bool door_key(const struct link *l, uint64_t generation, uint8_t out[KEY_SIZE])
{
	for (size_t i = 0; i < l->config.door_count; i++) {
		if (l->config.doors[i].generation != generation)
			continue;
		memcpy(out, l->config.doors[i].key, KEY_SIZE);
		return true;
	}
	if (l->config.has_schedule)
		schedule_door_key(&l->config.schedule, generation, out);
	return l->config.has_schedule;
}

static struct link_gate *least_recently_used(struct link *l)
{
	struct link_gate *oldest = &l->gates[0];
	for (size_t i = 0; i < LINK_GATES; i++) {
		struct link_gate *gate = &l->gates[i];
		if (!gate->is_used)
			return gate;
		if (gate->used < oldest->used)
			oldest = gate;
	}
	return oldest;
}

struct link_gate *link_gate(struct link *l, uint64_t generation)
{
	for (size_t i = 0; i < LINK_GATES; i++) {
		struct link_gate *gate = &l->gates[i];
		if (gate->is_used && gate->generation == generation) {
			gate->used = ++l->gate_uses;
			return gate;
		}
	}

	uint8_t key[KEY_SIZE];
	if (!door_key(l, generation, key))
		return NULL;
	struct link_gate *gate = least_recently_used(l);
	gate->is_used = true;
	gate->generation = generation;
	gate->used = ++l->gate_uses;
	door_keys_derive(key, &gate->keys);
	mask_set_key(gate->hide, gate->keys.c2s_header);
	mask_set_key(gate->show, gate->keys.s2c_header);
	bytes_wipe(key, sizeof(key));
	return gate;
}

/* ---- doors that the relay tells of ------------------------------------------------------- */

/* Its place among the file's doors: the same generation's, a free one, or the oldest's. */
static struct link_door *place_of_door(struct link *l, uint64_t generation)
{
	struct link_door *doors = l->config.doors, *oldest = &doors[0];
	for (size_t i = 0; i < l->config.door_count; i++) {
		if (doors[i].generation == generation)
			return &doors[i];
		if (doors[i].generation < oldest->generation)
			oldest = &doors[i];
	}
	if (l->config.door_count < LINK_DOORS_MAX)
		return &doors[l->config.door_count++];
	return oldest;
}

bool link_computes_doors(const struct link *l)
{
	return l->config.has_schedule && l->config.port_mode != PORT_MODE_RANDOM;
}

void link_forget_gates(struct link *l)
{
	for (size_t i = 0; i < LINK_GATES; i++)
		l->gates[i].is_used = false;
}

void link_forget_doors(struct link *l)
{
	bytes_wipe(l->config.doors, sizeof(l->config.doors));
	l->config.door_count = 0;
	for (size_t i = 0; i < LINK_GATES; i++)
		if (l->phase == PHASE_NONE || l->gates[i].generation != l->route.door)
			l->gates[i].is_used = false;
	l->is_schedule_new = l->phase != PHASE_NONE; /* that gate goes with the session */
}

static void forget_gate(struct link *l, uint64_t generation)
{
	for (size_t i = 0; i < LINK_GATES; i++)
		if (l->gates[i].is_used && l->gates[i].generation == generation)
			l->gates[i].is_used = false;
}

void link_learn_door(struct link *l, uint64_t generation, uint16_t port,
		     const uint8_t key[KEY_SIZE], uint64_t wait_ns)
{
	uint64_t length_ns = PORT_INTERVAL_S * NS_PER_S;
	if (l->config.has_schedule)
		length_ns = l->config.schedule.interval_s * NS_PER_S;
	else if (l->config.door_count > 0)
		length_ns = l->config.doors[0].until_ns - l->config.doors[0].from_ns;
	struct link_door *door = place_of_door(l, generation);
	if (door->generation != generation || !bytes_equal(door->key, key, KEY_SIZE))
		forget_gate(l, generation);
	*door = (struct link_door){ .generation = generation, .port = port };
	memcpy(door->key, key, KEY_SIZE);
	door->from_ns = link_relay_time(l) + wait_ns;
	door->until_ns = door->from_ns + length_ns;
	if (!link_computes_doors(l))
		link_push(l, LINK_EVENT_DOOR)->door = *door;
}

/* ---- where the next HELLO goes ----------------------------------------------------------- */

/*
 * What the HELLOs of a round try, one after the other, then again. Every second one goes to the
 * present door: that it does not answer mostly means that nothing gets through. Its neighbours
 * are open for a while too, and ours may be the clock that is off; draws above 0 are for ports
 * that the relay could not bind. Until the relay has told the time in this run, the second half of
 * a cycle goes by our own clock, the first by what an earlier run learned: it may have been set
 * right.
 */
enum door_pick { PICK_CURRENT, PICK_NEAR, PICK_FAR };

static const struct step {
	enum door_pick pick;
	unsigned draw;
	bool is_known_port; /* the port that worked before, if it is still this door's */
} STEPS[] = {
	{ .pick = PICK_CURRENT, .draw = 0, .is_known_port = true },
	{ .pick = PICK_NEAR, .draw = 0, .is_known_port = true },
	{ .pick = PICK_CURRENT, .draw = 0 },
	{ .pick = PICK_CURRENT, .draw = 1 },
	{ .pick = PICK_CURRENT, .draw = 0, .is_known_port = true },
	{ .pick = PICK_FAR, .draw = 0, .is_known_port = true },
	{ .pick = PICK_CURRENT, .draw = 0 },
	{ .pick = PICK_CURRENT, .draw = 2 },
};
enum { STEP_COUNT = sizeof(STEPS) / sizeof(STEPS[0]) };
_Static_assert(PORT_DRAWS_MAX > 2, "draws 0 to 2 exist");

/* In the first cycle the second draw goes third, not fourth: neighbours that are not open are left
 * out of it, so the relay is found with three HELLOs also where its first port was taken. */
static const struct step *step_at(uint32_t step)
{
	bool is_swapped = step == 2 || step == 3;
	return &STEPS[is_swapped ? 5 - step : step % STEP_COUNT];
}

static uint64_t time_of_step(const struct link *l, uint32_t step)
{
	bool is_by_own = !l->is_clock_sure && step % STEP_COUNT >= STEP_COUNT / 2;
	return is_by_own ? l->now.wall_ns : link_relay_time(l);
}

/* The last step of a cycle tries another of the later draws each time. */
static unsigned draw_of_step(uint32_t step)
{
	unsigned draw = step_at(step)->draw;
	return draw < 2 ? draw : 2 + step / STEP_COUNT % (PORT_DRAWS_MAX - 2);
}

/* Time between `wall_ns` and the validity of a door of the file; 0: inside. */
static uint64_t door_distance_ns(const struct link_door *door, uint64_t wall_ns)
{
	if (wall_ns < door->from_ns)
		return door->from_ns - wall_ns;
	return wall_ns < door->until_ns ? 0 : wall_ns - door->until_ns;
}

/* Does the relay still, or already, listen there? */
static bool is_open(const struct link *l, uint64_t from_ns, uint64_t until_ns, uint64_t wall_ns)
{
	bool is_told = l->config.notice_s != 0 || l->config.grace_s != 0;
	uint32_t notice_s = is_told ? l->config.notice_s : PORT_NOTICE_S;
	uint32_t grace_s = is_told ? l->config.grace_s : PORT_GRACE_S;
	return wall_ns + notice_s * NS_PER_S >= from_ns && wall_ns < until_ns + grace_s * NS_PER_S;
}

/* The file's doors in the order of their distance from now: the nearest has rank 0. */
static const struct link_door *door_of_rank(const struct link *l, uint64_t wall_ns, size_t rank)
{
	const struct link_door *doors = l->config.doors;
	size_t count = l->config.door_count;
	for (size_t i = 0; i < count; i++) {
		uint64_t distance_ns = door_distance_ns(&doors[i], wall_ns);
		size_t nearer = 0;
		for (size_t j = 0; j < count; j++) {
			uint64_t other_ns = door_distance_ns(&doors[j], wall_ns);
			nearer += other_ns < distance_ns || (other_ns == distance_ns && j < i);
		}
		if (nearer == rank)
			return &doors[i];
	}
	return NULL;
}

static size_t picked_rank(const struct link *l, enum door_pick pick, uint32_t cycle)
{
	size_t count = l->config.door_count;
	if (pick == PICK_CURRENT || count == 1)
		return 0;
	if (pick == PICK_NEAR || count == 2)
		return 1;
	return 2 + cycle % (count - 2);
}

static bool is_door_open(const struct link *l, const struct link_door *door, uint64_t wall_ns)
{
	return is_open(l, door->from_ns, door->until_ns, wall_ns);
}

static bool choose_file_door(const struct link *l, uint32_t step, struct link_route *out)
{
	uint64_t wall_ns = time_of_step(l, step);
	uint32_t cycle = step / STEP_COUNT;
	if (l->config.door_count == 0)
		return false;

	const struct link_door *nearest = door_of_rank(l, wall_ns, 0);
	size_t rank = picked_rank(l, step_at(step)->pick, cycle);
	const struct link_door *door = door_of_rank(l, wall_ns, rank);
	assert(nearest != NULL);
	assert(door != NULL);
	/* At first our clock is believed, if it agrees with the file at all. */
	if (cycle == 0 && is_door_open(l, nearest, wall_ns) && !is_door_open(l, door, wall_ns))
		door = nearest;
	out->door = door->generation;
	out->relay.port = door->port;
	return true;
}

static uint64_t picked_generation(const struct link *l, uint32_t step)
{
	const struct schedule *s = &l->config.schedule;
	enum door_pick pick = step_at(step)->pick;
	bool is_patient = step < STEP_COUNT;
	uint64_t wall_ns = time_of_step(l, step);
	uint64_t current = schedule_generation(s, wall_ns);
	if (pick == PICK_CURRENT || current == 0)
		return current;

	uint64_t interval_ns = s->interval_s * NS_PER_S;
	bool is_late = wall_ns - schedule_begin_ns(s, current) >= interval_ns / 2;
	uint64_t generation = is_late == (pick == PICK_NEAR) ? current + 1 : current - 1;
	uint64_t from_ns = schedule_begin_ns(s, generation);
	if (is_patient && !is_open(l, from_ns, from_ns + interval_ns, wall_ns))
		return current;
	return generation;
}

static bool known_port(const struct link *l, uint64_t generation, uint16_t *port)
{
	if (l->rotation.switch_ns != NEVER && l->rotation.door == generation) {
		*port = l->rotation.port;
		return true;
	}
	if (l->route.relay.port != 0 && l->route.door == generation) {
		*port = l->route.relay.port;
		return true;
	}
	for (size_t i = 0; i < l->config.door_count; i++) {
		if (l->config.doors[i].generation != generation)
			continue;
		*port = l->config.doors[i].port;
		return true;
	}
	return false;
}

static bool choose_scheduled_door(const struct link *l, uint32_t step, struct link_route *out)
{
	const struct step *s = step_at(step);
	out->door = picked_generation(l, step);
	if (!s->is_known_port || !known_port(l, out->door, &out->relay.port))
		out->relay.port = schedule_port(&l->config.schedule, out->door, draw_of_step(step));
	return true;
}

bool link_choose_route(const struct link *l, uint32_t order, struct link_route *out)
{
	const struct address *set[LINK_ADDRESSES_MAX];
	uint32_t count = 0;
	for (size_t i = 0; i < LINK_ADDRESSES_MAX; i++)
		if (address_is_set(&l->config.addresses[i]))
			set[count++] = &l->config.addresses[i];
	if (count == 0)
		return false;

	out->relay = *set[order % count];
	uint32_t step = order / count;
	return link_computes_doors(l) ? choose_scheduled_door(l, step, out) :
					choose_file_door(l, step, out);
}

uint64_t link_next_rotation(const struct link *l)
{
	if (l->config.has_schedule) {
		const struct schedule *s = &l->config.schedule;
		return schedule_begin_ns(s, schedule_generation(s, link_relay_time(l)) + 1);
	}
	for (size_t i = 0; i < l->config.door_count; i++)
		if (l->config.doors[i].generation == l->route.door)
			return l->config.doors[i].until_ns;
	return 0;
}
