#include "relay/doors.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/keeper_internal.h"
#include "net/udp_socket.h"
#include "tests/support/crew.h"
#include "tests/support/udp.h"

enum {
	INTERVAL_S = 1000,
	NOTICE_S = 100,
	GRACE_S = 200,
	GENERATION = 5000,
	WORKERS = 3,
	PORT_FIRST = 20000, /* below what the system lends out */
	PORT_LAST = 29999,
	FEW = 2 * DOORS_MAX, /* ports, less one */
};

/* Wall clock: `seconds` into the generation. */
static uint64_t at(uint64_t generation, uint64_t seconds)
{
	return (generation * INTERVAL_S + seconds) * NS_PER_S;
}

struct fixture {
	struct crew *crew;
	struct doors doors;
};

static struct doors_config config_of(struct crew *c)
{
	struct doors_config config = {
		.schedule = { .interval_s = INTERVAL_S,
			      .port_first = PORT_FIRST,
			      .port_last = PORT_LAST },
		.notice_s = NOTICE_S,
		.grace_s = GRACE_S,
		.bind_v4 = address_v4(127, 0, 0, 1, 0),
		.bind_v6 = { .ip = { [15] = 1 }, .port = 1 },
		.random = c->random,
		.workers = c->workers,
		.worker_count = c->worker_count,
		.keeper = c->keeper,
	};
	/* Other ports at each run: two at once must not meet. */
	random_fill(&c->random, config.schedule.secret, KEY_SIZE);
	return config;
}

static void start_with(struct fixture *f, enum door_mode mode, uint16_t port)
{
	f->crew = crew_create(&(struct crew_config){
		.engine = ENGINE_EPOLL, .workers = WORKERS, .has_keeper = true });
	struct doors_config config = config_of(f->crew);
	config.mode = mode;
	if (port != 0)
		config.schedule.port_first = config.schedule.port_last = port;
	doors_init(&f->doors, &config);
	bytes_wipe(&config, sizeof(config));
}

static void stop(struct fixture *f)
{
	crew_destroy(f->crew);
	doors_fini(&f->doors);
}

static uint16_t port_of(const struct fixture *f, uint64_t generation)
{
	const struct open_door *door = doors_find(&f->doors, generation);
	return door != NULL ? door->port : 0;
}

/* ---- looking from outside ----------------------------------------------------------------- */

struct expectation {
	struct crew *crew;
	uint64_t count;
	int fd;
	const struct address *to;
};

/* Sends until it is seen: a door that closes takes what waits in its socket along. */
static bool has_counted(void *state)
{
	const struct expectation *e = state;
	if (crew_verdicts(e->crew, PKT_DROP_SIZE) >= e->count)
		return true;
	udp_test_send(e->fd, e->to, "x", 1);
	return false;
}

/* Both families bring datagrams to the workers. */
static void expect_open(struct fixture *f, uint16_t port)
{
	struct address to[2] = { address_v4(127, 0, 0, 1, port),
				 { .ip = { [15] = 1 }, .port = port } };
	assert_int_not_equal(port, 0);
	for (size_t i = 0; i < 2; i++) {
		struct address any = to[i];
		any.port = 0;
		int fd = udp_test_open(&any);
		struct expectation one = { f->crew, crew_verdicts(f->crew, PKT_DROP_SIZE) + 1, fd,
					   &to[i] };
		crew_wait(has_counted, &one);
		close(fd);
	}
}

static bool can_bind(void *state)
{
	const struct address here = address_v4(127, 0, 0, 1, *(uint16_t *)state);
	int fd = udp_socket_open(&here, &(struct udp_socket_options){ 0 });
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void expect_closed(uint16_t port)
{
	crew_wait(can_bind, &port);
}

/* ---- tests -------------------------------------------------------------------------------- */

/*
 * Goal:   the next door opens at its notice, the old one closes a grace after its time.
 * Method: time is an argument: the moments before and at each change.
 */
static void test_a_day(void **state)
{
	struct fixture f;
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	const struct schedule *s = &f.doors.config.schedule;
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 10)), 0);
	assert_int_equal(port_of(&f, GENERATION), schedule_port(s, GENERATION, 0));
	assert_ptr_equal(doors_current(&f.doors, at(GENERATION, 999)),
			 doors_find(&f.doors, GENERATION));
	expect_open(&f, port_of(&f, GENERATION));

	assert_int_equal(doors_tick(&f.doors, at(GENERATION, 10), &opened),
			 at(GENERATION, INTERVAL_S - NOTICE_S));
	assert_int_equal(opened, 0);
	(void)doors_tick(&f.doors, at(GENERATION, INTERVAL_S - NOTICE_S) - 1, &opened);
	assert_int_equal(opened, 0);
	uint64_t next = doors_tick(&f.doors, at(GENERATION, INTERVAL_S - NOTICE_S), &opened);
	assert_int_equal(opened, GENERATION + 1);
	assert_int_equal(next, at(GENERATION + 1, 0));
	assert_int_equal(f.doors.rotations, 1);
	uint16_t old = port_of(&f, GENERATION);
	expect_open(&f, old);
	expect_open(&f, port_of(&f, GENERATION + 1));

	next = doors_tick(&f.doors, at(GENERATION + 1, 0), &opened);
	assert_int_equal(opened, 0);
	assert_int_equal(next, at(GENERATION + 1, GRACE_S));
	assert_ptr_equal(doors_current(&f.doors, at(GENERATION + 1, 0)),
			 doors_find(&f.doors, GENERATION + 1));
	(void)doors_tick(&f.doors, at(GENERATION + 1, GRACE_S) - 1, &opened);
	assert_int_equal(port_of(&f, GENERATION), old);
	next = doors_tick(&f.doors, at(GENERATION + 1, GRACE_S), &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	assert_int_equal(next, at(GENERATION + 1, INTERVAL_S - NOTICE_S));
	expect_closed(old);
	expect_open(&f, port_of(&f, GENERATION + 1));
	stop(&f);
}

/* Goal: a busy port costs a draw, also where its holder would share it. */
static void test_busy_port(void **state)
{
	struct fixture f;
	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		start_with(&f, DOOR_MODE_SCHEDULE, 0);
		const struct schedule *s = &f.doors.config.schedule;
		const struct address taken =
			address_v4(127, 0, 0, 1, schedule_port(s, GENERATION, 0));
		int fd = udp_socket_open(&taken,
					 &(struct udp_socket_options){ .share_port = shared == 1 });
		assert_true(fd >= 0);
		assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
		assert_int_equal(port_of(&f, GENERATION), schedule_port(s, GENERATION, 1));
		assert_int_equal(f.doors.ports_skipped, 1);
		expect_open(&f, port_of(&f, GENERATION));
		assert_true(udp_test_is_silent(fd));
		close(fd);
		stop(&f);
	}
}

/* Goal:   a door that closes takes no packets of another along: each has a port of its own.
 * Method: so few ports that first draws meet; and a single port, which they have to share. */
static void test_own_ports(void **state)
{
	struct fixture f;
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	struct schedule *s = &f.doors.config.schedule;
	s->port_first += (uint16_t)random_below(&f.crew->random, PORT_LAST - PORT_FIRST - FEW);
	s->port_last = s->port_first + FEW;
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	for (uint64_t k = GENERATION; k < GENERATION + 50; k++) {
		(void)doors_tick(&f.doors, at(k, GRACE_S), &opened);
		(void)doors_tick(&f.doors, at(k + 1, 0) - 1, &opened);
		assert_non_null(doors_find(&f.doors, k + 1));
		assert_int_not_equal(port_of(&f, k), port_of(&f, k + 1));
	}
	assert_true(f.doors.ports_skipped > 0);
	uint16_t port = port_of(&f, GENERATION + 50);
	s->port_first = s->port_last = port;
	(void)doors_tick(&f.doors, at(GENERATION + 51, 0) - 1, &opened);
	assert_int_equal(port_of(&f, GENERATION + 51), port);
	stop(&f);
}

/* Goal: what cannot be opened is said, and tried again. */
static void test_no_port(void **state)
{
	struct fixture f;
	uint64_t opened;
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	int fd = udp_test_open(&any);
	uint16_t port = udp_test_address(fd).port;
	start_with(&f, DOOR_MODE_SCHEDULE, port);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), -EADDRINUSE);
	assert_null(doors_current(&f.doors, at(GENERATION, 0)));
	uint64_t next = doors_tick(&f.doors, at(GENERATION, 1), &opened);
	assert_int_equal(opened, 0);
	assert_int_equal(f.doors.failure, -EADDRINUSE);
	assert_int_equal(next, at(GENERATION, 1 + DOORS_RETRY_S));
	close(fd);
	(void)doors_tick(&f.doors, next, &opened);
	assert_int_equal(opened, GENERATION);
	assert_int_equal(f.doors.failure, 0);
	assert_int_equal(port_of(&f, GENERATION), port);
	stop(&f);
}

/* Goal: all generations of a fixed port live on it, each under keys of its own. */
static void test_fixed(void **state)
{
	struct fixture f;
	uint64_t opened;
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	int fd = udp_test_open(&any);
	uint16_t port = udp_test_address(fd).port;
	close(fd);
	start_with(&f, DOOR_MODE_FIXED, port);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	(void)doors_tick(&f.doors, at(GENERATION, INTERVAL_S - 1), &opened);
	assert_int_equal(opened, GENERATION + 1);
	const struct open_door *old = doors_find(&f.doors, GENERATION);
	const struct open_door *new = doors_find(&f.doors, GENERATION + 1);
	assert_int_equal(old->port, port);
	assert_int_equal(new->port, port);
	assert_memory_not_equal(old->key, new->key, KEY_SIZE);
	assert_int_equal(doors_rotate_now(&f.doors, at(GENERATION, INTERVAL_S - 1), &opened),
			 -EOPNOTSUPP);
	(void)doors_tick(&f.doors, at(GENERATION + 1, GRACE_S), &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	expect_open(&f, port);
	stop(&f);
}

static void test_random(void **state)
{
	struct fixture f;
	(void)state;
	start_with(&f, DOOR_MODE_RANDOM, 0);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	uint16_t port = port_of(&f, GENERATION);
	assert_in_range(port, PORT_FIRST, PORT_LAST);
	expect_open(&f, port);
	stop(&f);
}

/* Goal: the clock may be wrong for a while: doors follow it, and none is left for ever. */
static void test_clock_is_set(void **state)
{
	struct fixture f;
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	assert_int_equal(doors_start(&f.doors, at(GENERATION + 900, 0)), 0);
	uint16_t wrong = port_of(&f, GENERATION + 900);
	(void)doors_tick(&f.doors, at(GENERATION, 0), &opened);
	assert_int_equal(opened, GENERATION);
	assert_null(doors_find(&f.doors, GENERATION + 900));
	expect_closed(wrong);
	expect_open(&f, port_of(&f, GENERATION));
	/* Over the notice and the beginning, as after a sleep. */
	(void)doors_tick(&f.doors, at(GENERATION + 7, 3), &opened);
	assert_int_equal(opened, GENERATION + 7);
	assert_non_null(doors_find(&f.doors, GENERATION));
	(void)doors_tick(&f.doors, at(GENERATION + 7, 3 + GRACE_S), &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	stop(&f);
}

/*
 * Goal:   the old door stays until sessions have had a grace to leave it, also where the next one
 *         came late, or not at all.
 * Method: nobody asks for the time until the middle of the next generation; then its port is
 *         held by somebody else for a while.
 */
static void test_late(void **state)
{
	struct fixture f;
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	uint64_t late = at(GENERATION + 1, INTERVAL_S - 1);
	uint64_t next = doors_tick(&f.doors, late, &opened);
	assert_int_equal(opened, GENERATION + 1);
	assert_null(doors_find(&f.doors, GENERATION + 2));
	assert_non_null(doors_find(&f.doors, GENERATION));
	assert_int_equal(next, at(GENERATION + 2, 0));
	(void)doors_tick(&f.doors, next, &opened);
	assert_int_equal(opened, GENERATION + 2);
	(void)doors_tick(&f.doors, late + GRACE_S * NS_PER_S - 1, &opened);
	assert_non_null(doors_find(&f.doors, GENERATION));
	next = doors_tick(&f.doors, late + GRACE_S * NS_PER_S, &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	assert_int_equal(next, at(GENERATION + 2, GRACE_S));
	stop(&f);
}

/* Goal: while no port can be had for the next door, the present one stays. */
static void test_no_next_port(void **state)
{
	struct fixture f;
	uint64_t opened;
	int fds[PORT_DRAWS_MAX];
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	for (unsigned i = 0; i < PORT_DRAWS_MAX; i++) {
		uint16_t port = schedule_port(&f.doors.config.schedule, GENERATION + 1, i);
		const struct address taken = address_v4(127, 0, 0, 1, port);
		fds[i] = udp_socket_open(&taken, &(struct udp_socket_options){ 0 });
	}
	(void)doors_tick(&f.doors, at(GENERATION + 1, GRACE_S + 1), &opened);
	assert_int_equal(f.doors.failure, -EADDRINUSE);
	assert_int_equal(opened, 0);
	expect_open(&f, port_of(&f, GENERATION));
	for (unsigned i = 0; i < PORT_DRAWS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	uint64_t wall_ns = at(GENERATION + 1, GRACE_S + 1 + DOORS_RETRY_S);
	uint64_t next = doors_tick(&f.doors, wall_ns, &opened);
	assert_int_equal(opened, GENERATION + 1);
	assert_int_equal(next, wall_ns + GRACE_S * NS_PER_S);
	(void)doors_tick(&f.doors, next, &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	stop(&f);
}

/* Goal: by hand as often as there is room; each closes in its own time. */
static void test_rotated_by_hand(void **state)
{
	struct fixture f;
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	for (uint64_t k = 1; k < DOORS_MAX; k++) {
		assert_int_equal(doors_rotate_now(&f.doors, at(GENERATION, k), &opened), 0);
		assert_int_equal(opened, GENERATION + k);
		expect_open(&f, port_of(&f, opened));
	}
	assert_int_equal(doors_rotate_now(&f.doors, at(GENERATION, 9), &opened), -ENOSPC);
	(void)doors_tick(&f.doors, at(GENERATION, 10), &opened);
	for (uint64_t k = 0; k < DOORS_MAX; k++)
		assert_non_null(doors_find(&f.doors, GENERATION + k));
	(void)doors_tick(&f.doors, at(GENERATION + 1, GRACE_S), &opened);
	assert_null(doors_find(&f.doors, GENERATION));
	stop(&f);
}

/* ---- another secret ----------------------------------------------------------------------- */

static void look_at_announcement(struct keeper *k, void *state, struct instant now)
{
	(void)now;
	*(struct keeper_door *)state = k->announcement.next;
}

/* The door that sessions are told of, also those that come later. */
static void expect_announced(struct fixture *f, uint64_t generation, uint64_t begins_ns)
{
	struct keeper_door next;
	keeper_thread_call(f->crew->keeper, look_at_announcement, &next);
	const struct open_door *door = doors_find(&f->doors, generation);
	assert_non_null(door);
	assert_int_equal(next.door, generation);
	assert_int_equal(next.port, door->port);
	assert_int_equal(next.begins_ns, begins_ns);
	assert_memory_equal(next.key, door->key, KEY_SIZE);
}

static void expect_key(struct fixture *f, uint64_t generation, const uint8_t secret[KEY_SIZE])
{
	struct schedule s = f->doors.config.schedule;
	const struct open_door *door = doors_find(&f->doors, generation);
	uint8_t key[KEY_SIZE];
	memcpy(s.secret, secret, KEY_SIZE);
	schedule_door_key(&s, generation, key);
	assert_non_null(door);
	assert_memory_equal(door->key, key, KEY_SIZE);
}

/*
 * Goal:   with another secret a door of it opens at once and sessions are sent there; doors of the
 *         old one have 7 s more; then the present generation opens anew, under the new secret, and
 *         sessions are still told of the newest door.
 */
static void test_replaced_secret(void **state)
{
	struct fixture f;
	uint8_t before[KEY_SIZE], secret[KEY_SIZE];
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	memcpy(before, f.doors.config.schedule.secret, KEY_SIZE);
	random_fill(&f.crew->random, secret, KEY_SIZE);
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 10)), 0);
	uint16_t old = port_of(&f, GENERATION);
	assert_int_equal(doors_replace_secret(&f.doors, secret, at(GENERATION, 500), &opened), 0);
	assert_int_equal(opened, GENERATION + 1);
	expect_key(&f, GENERATION, before);
	expect_key(&f, GENERATION + 1, secret);
	expect_announced(&f, GENERATION + 1, at(GENERATION, 500 + DOORS_ROTATE_WAIT_S));
	assert_ptr_equal(doors_newest(&f.doors), doors_find(&f.doors, GENERATION + 1));
	expect_open(&f, old);
	expect_open(&f, port_of(&f, GENERATION + 1));

	uint64_t stale_ns = at(GENERATION, 500 + DOORS_STALE_S);
	assert_int_equal(doors_tick(&f.doors, at(GENERATION, 500), &opened), stale_ns);
	(void)doors_tick(&f.doors, stale_ns - 1, &opened);
	assert_int_equal(opened, 0);
	assert_int_equal(port_of(&f, GENERATION), old);
	uint16_t next = port_of(&f, GENERATION + 1);
	(void)doors_tick(&f.doors, stale_ns, &opened);
	assert_int_equal(opened, GENERATION);
	expect_key(&f, GENERATION, secret);
	assert_int_equal(port_of(&f, GENERATION + 1), next);
	assert_int_not_equal(port_of(&f, GENERATION), old);
	expect_closed(old);
	expect_announced(&f, GENERATION + 1, at(GENERATION, 500 + DOORS_ROTATE_WAIT_S));

	/* From here on as ever. */
	(void)doors_tick(&f.doors, at(GENERATION + 1, INTERVAL_S - NOTICE_S), &opened);
	assert_int_equal(opened, GENERATION + 2);
	assert_null(doors_find(&f.doors, GENERATION));
	expect_key(&f, GENERATION + 2, secret);
	expect_announced(&f, GENERATION + 2, at(GENERATION + 2, 0));
	stop(&f);
}

/* Goal: twice within the 7 s: of the first secret nothing is left at once. */
static void test_replaced_twice(void **state)
{
	struct fixture f;
	uint8_t secrets[2][KEY_SIZE];
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	random_fill(&f.crew->random, secrets, sizeof(secrets));
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 10)), 0);
	uint16_t old = port_of(&f, GENERATION);
	assert_int_equal(doors_replace_secret(&f.doors, secrets[0], at(GENERATION, 20), &opened),
			 0);
	uint16_t between = port_of(&f, GENERATION + 1);
	assert_int_equal(doors_replace_secret(&f.doors, secrets[1], at(GENERATION, 22), &opened),
			 0);
	assert_int_equal(opened, GENERATION + 2);
	expect_closed(old);
	expect_open(&f, between); /* where sessions were sent two seconds ago */
	expect_key(&f, GENERATION + 2, secrets[1]);
	(void)doors_tick(&f.doors, at(GENERATION, 22 + DOORS_STALE_S), &opened);
	expect_closed(between);
	for (uint64_t k = GENERATION; k <= GENERATION + 2; k++)
		if (doors_find(&f.doors, k) != NULL)
			expect_key(&f, k, secrets[1]);
	assert_non_null(doors_find(&f.doors, GENERATION));
	stop(&f);
}

/* Goal: with all places taken the oldest door gives way, not the new secret. */
static void test_replaced_when_full(void **state)
{
	struct fixture f;
	uint8_t secret[KEY_SIZE];
	uint64_t opened;
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	random_fill(&f.crew->random, secret, sizeof(secret));
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	for (uint64_t k = 1; k < DOORS_MAX; k++)
		assert_int_equal(doors_rotate_now(&f.doors, at(GENERATION, k), &opened), 0);
	assert_int_equal(doors_replace_secret(&f.doors, secret, at(GENERATION, 9), &opened), 0);
	assert_int_equal(opened, GENERATION + DOORS_MAX);
	assert_null(doors_find(&f.doors, GENERATION));
	expect_key(&f, GENERATION + DOORS_MAX, secret);
	expect_open(&f, port_of(&f, GENERATION + DOORS_MAX));
	(void)doors_tick(&f.doors, at(GENERATION, 9 + DOORS_STALE_S), &opened);
	assert_int_equal(opened, GENERATION);
	expect_key(&f, GENERATION, secret);
	stop(&f);
}

/* Goal: no port for the new secret's door: said, and the tick makes up for it. */
static void test_replaced_without_a_port(void **state)
{
	struct fixture f;
	uint8_t secret[KEY_SIZE];
	uint64_t opened;
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	start_with(&f, DOOR_MODE_SCHEDULE, 0);
	random_fill(&f.crew->random, secret, sizeof(secret));
	assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
	int fd = udp_test_open(&any);
	struct schedule *s = &f.doors.config.schedule;
	s->port_first = s->port_last = udp_test_address(fd).port;
	assert_int_equal(doors_replace_secret(&f.doors, secret, at(GENERATION, 9), &opened),
			 -EADDRINUSE);
	(void)doors_tick(&f.doors, at(GENERATION, 9 + DOORS_STALE_S), &opened);
	assert_int_equal(opened, 0);
	assert_null(doors_newest(&f.doors)); /* the old secret opens nothing any more */
	close(fd);
	uint64_t later = at(GENERATION, 9 + DOORS_STALE_S + DOORS_RETRY_S);
	(void)doors_tick(&f.doors, later, &opened);
	assert_int_equal(opened, GENERATION);
	expect_key(&f, GENERATION, secret);
	expect_announced(&f, GENERATION, later);
	stop(&f);
}

/* Goal: a fixed port stays, a random one is drawn again; the keys change in both. */
static void test_replaced_in_other_modes(void **state)
{
	const struct address any = address_v4(127, 0, 0, 1, 0);
	(void)state;
	for (int is_fixed = 0; is_fixed < 2; is_fixed++) {
		struct fixture f;
		uint8_t secret[KEY_SIZE];
		uint64_t opened;
		int fd = udp_test_open(&any);
		uint16_t port = udp_test_address(fd).port;
		close(fd);
		start_with(&f, is_fixed ? DOOR_MODE_FIXED : DOOR_MODE_RANDOM, is_fixed ? port : 0);
		random_fill(&f.crew->random, secret, sizeof(secret));
		assert_int_equal(doors_start(&f.doors, at(GENERATION, 0)), 0);
		uint16_t old = port_of(&f, GENERATION);
		assert_int_equal(doors_replace_secret(&f.doors, secret, at(GENERATION, 9), &opened),
				 0);
		expect_key(&f, opened, secret);
		assert_true((port_of(&f, opened) == old) == (is_fixed == 1));
		(void)doors_tick(&f.doors, at(GENERATION, 9 + DOORS_STALE_S), &opened);
		assert_int_equal(opened, GENERATION);
		expect_key(&f, GENERATION, secret);
		expect_open(&f, port_of(&f, GENERATION + 1));
		stop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day),
		cmocka_unit_test(test_busy_port),
		cmocka_unit_test(test_no_port),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_clock_is_set),
		cmocka_unit_test(test_rotated_by_hand),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_no_next_port),
		cmocka_unit_test(test_own_ports),
		cmocka_unit_test(test_replaced_secret),
		cmocka_unit_test(test_replaced_twice),
		cmocka_unit_test(test_replaced_when_full),
		cmocka_unit_test(test_replaced_without_a_port),
		cmocka_unit_test(test_replaced_in_other_modes),
	};
	return cmocka_run_group_tests(tests, test_crypto_start, test_crypto_stop);
}
