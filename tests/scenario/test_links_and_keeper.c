/*
 * Real links and the real relay (packet path and keeper) over a network that delays, loses,
 * copies and reorders, under a virtual clock. No sockets. SEED=N runs another network.
 */
#include "core/link.h"
#include "tests/support/lobby.h"

enum {
	USERS = 3,
	FLIGHTS = 2048,
	STEP_MS = 5,
	DELAY_MS = 20,
	JITTER_MS = 15,
	BLOB_SIZE = 200,
	CHANNELS = 4,
};

struct flight {
	uint64_t arrives_ns; /* 0: free */
	bool is_to_relay;
	uint16_t port; /* of the user */
	uint32_t size;
	uint8_t bytes[DATAGRAM_SIZE_MAX];
};

struct user {
	struct link *link;
	uint16_t port; /* of its NAT's mapping */
	uint32_t channels[CHANNELS];
	unsigned channel_count;
	unsigned ups, downs, opened, offers, failed, gone, lists, peers;
	unsigned blobs; /* received */
	uint32_t last_reason;
};

struct town {
	struct lobby *lobby;
	struct user users[USERS];
	unsigned loss_percent, copy_percent;
	struct flight flights[FLIGHTS];
};

/* ---- network --------------------------------------------------------------------------- */

static void fly(struct town *t, const struct flight *template)
{
	struct random_source *random = &t->lobby->random;
	unsigned copies = 1 + (random_below(random, 100) < t->copy_percent);

	for (size_t i = 0; i < FLIGHTS && copies > 0; i++) {
		struct flight *f = &t->flights[i];
		if (f->arrives_ns != 0)
			continue;
		*f = *template;
		f->arrives_ns = t->lobby->now.mono_ns +
				(DELAY_MS + random_below(random, JITTER_MS)) * NS_PER_MS;
		if (random_below(random, 100) < t->loss_percent)
			f->arrives_ns = 0;
		copies--;
	}
	assert_int_equal(copies, 0);
}

static void fly_from_relay(void *state, const struct lobby_datagram *d)
{
	struct flight f = { .port = d->path.remote.port, .size = d->size };

	memcpy(f.bytes, d->bytes, d->size);
	fly(state, &f);
}

static void fly_to_relay(struct town *t, const struct user *u, const struct packet *packet)
{
	struct flight f = { .is_to_relay = true, .port = u->port, .size = packet->size };

	assert_int_equal(packet->path.remote.port, LOBBY_PORT);
	memcpy(f.bytes, packet->data, packet->size);
	fly(t, &f);
}

static void arrive(struct town *t, struct flight *f)
{
	const struct path path = { .remote = address_v4(10, 0, 0, 1, f->port), .door = LOBBY_DOOR };
	struct packet packet = { .data = f->bytes, .size = f->size };
	uint32_t channel;
	struct view blob;

	if (f->is_to_relay) {
		lobby_input(t->lobby, f->bytes, f->size, &path);
		lobby_run(t->lobby);
		return;
	}
	packet.path.remote = address_v4(192, 0, 2, 1, LOBBY_PORT);
	for (size_t i = 0; i < USERS; i++) {
		struct user *u = &t->users[i];
		if (u->port == f->port &&
		    link_input(u->link, &packet, t->lobby->now, &channel, &blob))
			u->blobs++;
	}
}

/* ---- users ----------------------------------------------------------------------------- */

static void add_channel(struct user *u, uint32_t channel)
{
	assert_true(u->channel_count < CHANNELS);
	u->channels[u->channel_count++] = channel;
}

static void remove_channel(struct user *u, uint32_t channel)
{
	for (unsigned i = 0; i < u->channel_count; i++)
		if (u->channels[i] == channel)
			u->channels[i--] = u->channels[--u->channel_count];
}

static bool has_channel(const struct user *u, uint32_t channel)
{
	for (unsigned i = 0; i < u->channel_count; i++)
		if (u->channels[i] == channel)
			return true;
	return false;
}

static void take_event(struct user *u, const struct link_event *event)
{
	switch (event->type) {
	case LINK_EVENT_UP:
		u->ups++;
		u->channel_count = 0;
		break;
	case LINK_EVENT_DOWN:
		u->downs++;
		u->channel_count = 0;
		u->last_reason = event->reason;
		break;
	case LINK_EVENT_OFFER:
		u->offers++;
		if (link_accept(u->link, event->channel))
			add_channel(u, event->channel);
		break;
	case LINK_EVENT_OPENED:
		u->opened++;
		if (!has_channel(u, event->channel))
			add_channel(u, event->channel);
		break;
	case LINK_EVENT_OPEN_FAILED:
		u->failed++;
		u->last_reason = event->reason;
		break;
	case LINK_EVENT_GONE:
		u->gone++;
		u->last_reason = event->reason;
		remove_channel(u, event->channel);
		break;
	case LINK_EVENT_PEERS:
		u->lists++;
		u->peers = event->count;
		break;
	default: fail_msg("event %d", (int)event->type);
	}
}

static void send_blob(struct town *t, struct user *u, uint32_t channel)
{
	uint8_t frame[DATAGRAM_SIZE_MAX] = { 0 };
	struct packet packet;

	if (link_send(u->link, channel, frame, BLOB_SIZE, &packet))
		fly_to_relay(t, u, &packet);
}

static void step_user(struct town *t, struct user *u)
{
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct view_out out = { .data = bytes, .capacity = sizeof bytes };
	struct packet packet;
	struct link_event event;

	while (link_next_event(u->link, &event))
		take_event(u, &event);
	while (link_output(u->link, t->lobby->now, out, &packet))
		fly_to_relay(t, u, &packet);
}

/* Every user sends a blob into each of its channels ten times a second. */
static void run(struct town *t, uint64_t ns)
{
	struct lobby *l = t->lobby;
	uint64_t end_ns = l->now.mono_ns + ns;

	for (unsigned steps = 0; l->now.mono_ns < end_ns; steps++) {
		for (size_t i = 0; i < FLIGHTS; i++) {
			struct flight *f = &t->flights[i];
			if (f->arrives_ns == 0 || f->arrives_ns > l->now.mono_ns)
				continue;
			struct flight landed = *f;
			f->arrives_ns = 0;
			arrive(t, &landed);
		}
		for (size_t i = 0; i < USERS; i++) {
			struct user *u = &t->users[i];
			step_user(t, u);
			for (unsigned c = 0; steps % 20 == 0 && c < u->channel_count; c++)
				send_blob(t, u, u->channels[c]);
		}
		lobby_wait(l, STEP_MS * NS_PER_MS);
	}
}

static void create_user(struct town *t, uint32_t index)
{
	struct user *u = &t->users[index];
	struct link_config config = {
		.hello = t->lobby->clients[index].hello,
		.addresses = { address_v4(192, 0, 2, 1, 0) },
		.door_count = 1,
		.random = t->lobby->random,
		.cipher = t->lobby->cipher,
	};

	config.doors[0] = (struct link_door){
		.generation = LOBBY_DOOR,
		.port = LOBBY_PORT,
		.until_ns = UINT64_MAX,
	};
	memcpy(config.doors[0].key, LOBBY_DOOR_KEY, KEY_SIZE);
	u->port = (uint16_t)(LOBBY_FIRST_PORT + index);
	u->link = link_create(&config, t->lobby->now);
	assert_non_null(u->link);
}

static struct town *make(unsigned loss_percent, unsigned copy_percent)
{
	struct town *t = calloc(1, sizeof *t);

	assert_non_null(t);
	t->loss_percent = loss_percent;
	t->copy_percent = copy_percent;
	t->lobby = lobby_create(&(struct lobby_config){ .clients = USERS, .slots = 64 });
	t->lobby->carry = fly_from_relay;
	t->lobby->carry_state = t;
	for (uint32_t i = 0; i < USERS; i++)
		create_user(t, i);
	return t;
}

static void destroy(struct town *t)
{
	for (size_t i = 0; i < USERS; i++)
		link_destroy(t->users[i].link);
	lobby_destroy(t->lobby);
	free(t);
}

static void open_to(struct town *t, uint32_t from, uint32_t to)
{
	uint8_t peer[PEER_ID_SIZE];
	assert_true(link_open(t->users[from].link, lobby_peer(t->lobby, to, peer)) != 0);
}

static bool blobs_flow(struct town *t, uint32_t a, uint32_t b)
{
	unsigned before_a = t->users[a].blobs, before_b = t->users[b].blobs;

	run(t, 2 * NS_PER_S);
	return t->users[a].blobs > before_a + 5 && t->users[b].blobs > before_b + 5;
}

/* ---- scenarios -------------------------------------------------------------------------- */

static void two_users_talk(void **state)
{
	static const struct {
		unsigned loss_percent, copy_percent, seconds;
	} rows[] = { { 0, 0, 1 }, { 0, 50, 1 }, { 30, 10, 30 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct town *t = make(rows[i].loss_percent, rows[i].copy_percent);
		static const uint8_t start[PEER_ID_SIZE];
		run(t, rows[i].seconds * NS_PER_S);
		for (size_t u = 0; u < USERS; u++)
			assert_int_equal(t->users[u].ups, 1);
		assert_true(link_ask_peers(t->users[0].link, start) != 0);
		open_to(t, 0, 1);
		run(t, rows[i].seconds * NS_PER_S);
		assert_int_equal(t->users[0].lists, 1);
		assert_int_equal(t->users[0].peers, USERS - 1);
		assert_int_equal(t->users[0].opened, 1);
		assert_int_equal(t->users[1].offers, 1);
		assert_true(blobs_flow(t, 0, 1));
		assert_int_equal(t->users[2].blobs, 0);

		assert_true(link_close(t->users[0].link, t->users[0].channels[0]));
		t->users[0].channel_count = 0;
		run(t, rows[i].seconds * NS_PER_S);
		assert_int_equal(t->users[1].gone, 1);
		assert_int_equal(channels_count(t->lobby->channels), 0);
		assert_int_equal(keeper_stats(t->lobby->keeper)->frames_malformed, 0);
		destroy(t);
	}
}

/* Both open each other within the same few milliseconds, again and again: they always end up
 * with one channel that both know. */
static void openings_cross(void **state)
{
	struct town *t = make(0, 0);

	(void)state;
	run(t, NS_PER_S);
	for (unsigned round = 0; round < 10; round++) {
		struct user *a = &t->users[0], *b = &t->users[1];
		open_to(t, 0, 1);
		run(t, round * 5 * NS_PER_MS);
		open_to(t, 1, 0);
		run(t, NS_PER_S);
		assert_int_equal(a->channel_count, 1);
		assert_int_equal(b->channel_count, 1);
		assert_int_equal(channels_count(t->lobby->channels), 2);
		assert_true(blobs_flow(t, 0, 1));
		assert_true(link_close(a->link, a->channels[0]));
		a->channel_count = 0;
		run(t, NS_PER_S);
		assert_int_equal(b->channel_count, 0);
		assert_int_equal(channels_count(t->lobby->channels), 0);
	}
	destroy(t);
}

/*
 * Goal:   a NAT that gives a user a new port in mid-session costs no session and no channel.
 * Method: rebind while blobs flow; the user itself does not know.
 */
static void a_rebinding_costs_no_channel(void **state)
{
	struct town *t = make(10, 10);

	(void)state;
	run(t, 5 * NS_PER_S);
	open_to(t, 0, 1);
	run(t, 5 * NS_PER_S);
	for (uint16_t port = 30000; port < 30003; port++) {
		t->users[0].port = port;
		run(t, 8 * NS_PER_S);
		assert_true(blobs_flow(t, 0, 1));
	}
	assert_int_equal(t->users[0].ups, 1);
	assert_int_equal(t->users[0].downs, 0);
	assert_int_equal(t->users[1].gone, 0);
	assert_true(keeper_stats(t->lobby->keeper)->path_moves >= 3);
	destroy(t);
}

/* Whatever ends a session, the link makes another, and the peer hears that the channel is gone. */
static void a_kicked_user_comes_back(void **state)
{
	struct town *t = make(10, 0);
	uint32_t cursor = 0;
	struct keeper_session session;

	(void)state;
	run(t, 5 * NS_PER_S);
	open_to(t, 0, 1);
	run(t, 5 * NS_PER_S);
	assert_true(keeper_next_session(t->lobby->keeper, &cursor, &session));
	assert_true(keeper_end_session(t->lobby->keeper, session.id, REASON_NONE, t->lobby->now));
	/* With loss its GOODBYE may be lost: then the keepalive finds it out. */
	run(t, 120 * NS_PER_S);
	assert_int_equal(table_count(t->lobby->table), USERS);
	for (size_t i = 0; i < USERS; i++)
		assert_true(t->users[i].ups >= 1);
	assert_int_equal(t->users[0].ups + t->users[1].ups + t->users[2].ups, USERS + 1);
	open_to(t, 0, 1);
	run(t, 10 * NS_PER_S);
	assert_true(blobs_flow(t, 0, 1));
	destroy(t);
}

/* Two and a half hours with nothing said: keepalives hold the sessions, keys are replaced in
 * them at every full hour of their age, and nothing piles up. */
static void quiet_users_stay(void **state)
{
	struct town *t = make(5, 5);

	(void)state;
	for (unsigned minute = 0; minute < 150; minute++) {
		run(t, 60 * NS_PER_S);
		assert_in_range(table_count(t->lobby->table), USERS, 2 * USERS);
	}
	run(t, 60 * NS_PER_S);
	assert_int_equal(table_count(t->lobby->table), USERS);
	for (size_t i = 0; i < USERS; i++) {
		struct link_status status;
		link_get_status(t->users[i].link, &status);
		assert_int_equal(t->users[i].ups, 1);
		assert_int_equal(status.rekeys, 2);
	}
	destroy(t);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(two_users_talk),
	cmocka_unit_test(openings_cross),
	cmocka_unit_test(a_rebinding_costs_no_channel),
	cmocka_unit_test(a_kicked_user_comes_back),
	cmocka_unit_test(quiet_users_stay),
};

CRYPTO_TESTS(TESTS)
