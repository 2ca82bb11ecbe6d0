/* Keeper: control frames in and out, repetition, and questions about who is here. */
#include "tests/support/lobby.h"

static struct lobby *make(uint32_t clients)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = clients });
	for (uint32_t i = 0; i < clients; i++) {
		lobby_connect(l, i);
		lobby_forget_inbox(l, i);
	}
	return l;
}

static uint32_t acknowledged(struct lobby *l, uint32_t client)
{
	const struct lobby_frame *f = lobby_take(l, client, FRAME_ACK);
	assert_non_null(f);
	return load_le32(((const struct wire_ack *)(const void *)f->body)->next);
}

static void a_ping_among_others_is_answered(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	uint8_t plain[PLAIN_SIZE_MAX];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };
	const struct wire_ping ping = { .token = store_le64(0x1122334455667788) };
	const struct wire_peers_get get = { .request = store_le32(6) };

	(void)state;
	lobby_put(c, &w, FRAME_PEERS_GET, &get, sizeof get);
	lobby_put(c, &w, FRAME_PING, &ping, sizeof ping);
	lobby_say_plain(l, 0, view_of(plain, w.size));
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_PONG);
	assert_non_null(f);
	const struct wire_pong *pong = (const void *)f->body;
	assert_memory_equal(&pong->token, &ping.token, sizeof ping.token);
	assert_int_equal(load_le16(pong->observed_port), LOBBY_FIRST_PORT);
	assert_memory_equal(pong->observed_ip, c->path.remote.ip, IP_SIZE);
	assert_true(load_le64(pong->server_time_ns) == l->now.wall_ns);
	assert_non_null(lobby_take(l, 0, FRAME_PEERS));
	lobby_destroy(l);
}

/* ---- who is here ----------------------------------------------------------------------- */

/* Asks for one page; marks the clients named there. Returns how many. */
static unsigned ask_peers(struct lobby *l, uint32_t client, uint8_t after[PEER_ID_SIZE],
			  unsigned *seen, bool *has_more)
{
	struct wire_peers_get get = { .request = store_le32(99) };
	uint8_t peer[PEER_ID_SIZE];

	memcpy(get.after, after, PEER_ID_SIZE);
	lobby_say(l, client, FRAME_PEERS_GET, &get, sizeof get);
	const struct lobby_frame *f = lobby_take(l, client, FRAME_PEERS);
	assert_non_null(f);
	const struct wire_peers *peers = (const void *)f->body;
	const struct wire_peer_entry *entries = (const void *)(f->body + sizeof *peers);
	assert_int_equal(load_le32(peers->request), 99);
	for (unsigned i = 0; i < peers->count; i++) {
		uint32_t j = 0;
		while (j < l->client_count &&
		       memcmp(lobby_peer(l, j, peer), entries[i].peer, PEER_ID_SIZE) != 0)
			j++;
		assert_true(j < l->client_count);
		assert_memory_equal(entries[i].name_tag, l->clients[j].hello.name_tag,
				    NAME_TAG_SIZE);
		memcpy(after, entries[i].peer, PEER_ID_SIZE);
		seen[j]++;
	}
	*has_more = peers->has_more;
	return peers->count;
}

static void peers_are_listed_in_pages(void **state)
{
	enum { CLIENTS = 2 * PEERS_PER_FRAME_MAX + 6, LEAVER = 3 };
	struct lobby *l = make(CLIENTS);
	uint8_t after[PEER_ID_SIZE] = { 0 };
	unsigned seen[CLIENTS] = { 0 };
	const struct wire_goodbye bye = { .reason = store_le32(REASON_DONE) };
	bool has_more;

	(void)state;
	assert_int_equal(ask_peers(l, 0, after, seen, &has_more), PEERS_PER_FRAME_MAX);
	assert_true(has_more);
	lobby_say(l, LEAVER, FRAME_GOODBYE, &bye, sizeof bye);
	assert_int_equal(ask_peers(l, 0, after, seen, &has_more), PEERS_PER_FRAME_MAX);
	assert_true(has_more);
	ask_peers(l, 0, after, seen, &has_more);
	assert_false(has_more);
	assert_int_equal(ask_peers(l, 0, after, seen, &has_more), 0);
	assert_false(has_more);
	assert_int_equal(seen[0], 0);
	for (uint32_t i = 1; i < CLIENTS; i++)
		assert_true(seen[i] == 1 || (i == LEAVER && seen[i] == 0));
	lobby_destroy(l);
}

static void the_lonely_get_an_empty_list(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 2 });
	uint8_t after[PEER_ID_SIZE] = { 0 };
	unsigned seen[2] = { 0 };
	bool has_more;

	(void)state;
	lobby_connect(l, 0);
	lobby_hello(l, 1); /* not established: not here */
	assert_int_equal(ask_peers(l, 0, after, seen, &has_more), 0);
	assert_false(has_more);
	lobby_destroy(l);
}

static unsigned ask_name(struct lobby *l, uint32_t client, const uint8_t name_tag[NAME_TAG_SIZE])
{
	struct wire_find find = { .request = store_le32(7) };

	memcpy(find.name_tag, name_tag, NAME_TAG_SIZE);
	lobby_say(l, client, FRAME_FIND, &find, sizeof find);
	const struct lobby_frame *f = lobby_take(l, client, FRAME_FOUND);
	assert_non_null(f);
	const struct wire_found *found = (const void *)f->body;
	assert_int_equal(load_le32(found->request), 7);
	return found->count;
}

static void names_are_found(void **state)
{
	enum { CLIENTS = FIND_RESULTS_MAX + 4 };
	static const uint8_t nobody[NAME_TAG_SIZE] = { 9 }, none[NAME_TAG_SIZE];
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = CLIENTS });

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (i >= 2) /* all the others have one name */
			memset(l->clients[i].hello.name_tag, 0xab, NAME_TAG_SIZE);
		if (i == 1)
			memset(l->clients[i].hello.name_tag, 0, NAME_TAG_SIZE);
		lobby_connect(l, i);
	}
	assert_int_equal(ask_name(l, 1, l->clients[0].hello.name_tag), 1);
	assert_int_equal(ask_name(l, 0, l->clients[0].hello.name_tag), 0); /* itself */
	assert_int_equal(ask_name(l, 0, none), 0);
	assert_int_equal(ask_name(l, 0, nobody), 0);
	assert_int_equal(ask_name(l, 0, l->clients[2].hello.name_tag), FIND_RESULTS_MAX);
	lobby_destroy(l);
}

/* Small questions, packed together, fetch a bounded answer. */
static void questions_have_a_limit(void **state)
{
	struct lobby *l = make(PEERS_PER_FRAME_MAX + 2); /* full lists: a packet each */
	struct lobby_client *c = &l->clients[0];
	uint8_t plain[PLAIN_SIZE_MAX];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };
	const struct wire_peers_get get = { .request = store_le32(6) };
	unsigned answers = 0;

	(void)state;
	for (unsigned i = 0; i < 25; i++)
		lobby_put(c, &w, FRAME_PEERS_GET, &get, sizeof get);
	lobby_say_plain(l, 0, view_of(plain, w.size));
	while (lobby_take(l, 0, FRAME_PEERS) != NULL)
		answers++;
	assert_int_equal(answers, 4);
	lobby_destroy(l);
}

/* A client that takes small datagrams gets shorter lists, and all of them. */
static void answers_fit_the_client(void **state)
{
	enum { CLIENTS = 30 };
	struct lobby *l = make(CLIENTS);
	struct keeper_session session;
	uint8_t after[PEER_ID_SIZE] = { 0 };
	unsigned seen[CLIENTS] = { 0 }, count = 0, pages = 0;
	bool has_more = true;

	(void)state;
	assert_true(lobby_find(l, 0, &session));
	struct session *s = table_find(l->table, session.id);
	s->datagram_max = DATAGRAM_MAX_LEAST;
	for (; has_more; pages++)
		count += ask_peers(l, 0, after, seen, &has_more);
	assert_int_equal(count, CLIENTS - 1);
	assert_true(pages > 2);
	lobby_destroy(l);
}

/* ---- repetition ------------------------------------------------------------------------ */

static void say_with_sequence(struct lobby *l, uint32_t client, enum frame_type type,
			      uint32_t sequence)
{
	uint8_t plain[64];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };
	struct lobby_client *c = &l->clients[client];
	struct wire_open open = { .request = store_le32(sequence) };
	uint32_t before = c->next_sequence;

	c->next_sequence = sequence;
	lobby_put(c, &w, type, &open, sizeof open);
	c->next_sequence = before;
	lobby_say_plain(l, client, view_of(plain, w.size));
	lobby_run(l);
}

static void each_frame_counts_once_and_in_order(void **state)
{
	struct lobby *l = make(1);
	unsigned failures = 0;

	(void)state;
	say_with_sequence(l, 0, FRAME_OPEN, 1); /* too early */
	assert_int_equal(acknowledged(l, 0), 0);
	assert_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	say_with_sequence(l, 0, FRAME_OPEN, 0);
	say_with_sequence(l, 0, FRAME_OPEN, 0); /* again */
	say_with_sequence(l, 0, FRAME_OPEN, 1);
	while (lobby_take(l, 0, FRAME_OPEN_FAILED) != NULL)
		failures++;
	assert_int_equal(failures, 2);
	assert_int_equal(acknowledged(l, 0), 1);
	assert_int_equal(acknowledged(l, 0), 1);
	assert_int_equal(acknowledged(l, 0), 2);
	lobby_destroy(l);
}

/* Frames of a later version, and answers that only the relay gives, are acknowledged and mean
 * nothing: what follows them gets through. */
static void unknown_frames_are_acknowledged(void **state)
{
	static const enum frame_type types[] = {
		FRAME_OFFER,
		FRAME_OPENED,
		FRAME_OPEN_FAILED,
		FRAME_GONE,
		FRAME_PORT_NEXT,
		(enum frame_type)40,
		(enum frame_type)FRAME_TYPE_LAST,
	};
	struct lobby *l = make(1);
	const uint8_t body[64] = { 0 };
	uint32_t count = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		lobby_say(l, 0, types[i], body, sizeof body);
		assert_int_equal(acknowledged(l, 0), ++count);
	}
	lobby_say(l, 0, (enum frame_type)15, body, sizeof body); /* not reliable: ignored */
	lobby_say(l, 0, FRAME_PONG, body, sizeof body);
	lobby_run(l);
	assert_int_equal(l->clients[0].inbox_count, 0);
	assert_int_equal(keeper_stats(l->keeper)->frames_malformed, 0);
	lobby_destroy(l);
}

static void malformed_frames_end_the_packet(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	uint8_t plain[128] = { 0 };
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };
	const struct wire_find find = { .request = store_le32(7) };

	(void)state;
	lobby_put(c, &w, FRAME_FIND, &find, sizeof find);
	size_t good = w.size;
	lobby_put(c, &w, FRAME_FIND, &find, sizeof find);
	lobby_put(c, &w, FRAME_FIND, &find, sizeof find);
	plain[good + 2] = 1; /* its size: less than the struct */
	lobby_say_plain(l, 0, view_of(plain, w.size));
	assert_non_null(lobby_take(l, 0, FRAME_FOUND));
	assert_null(lobby_take(l, 0, FRAME_FOUND));
	assert_int_equal(keeper_stats(l->keeper)->frames_malformed, 1);
	assert_int_equal(table_count(l->table), 1);
	lobby_destroy(l);
}

/*
 * Goal:   a client that never acknowledges cannot make the relay remember more and more.
 * Method: it asks for what must be answered reliably, until the queue is full; then nothing is
 *         taken from it, until it acknowledges.
 */
static void who_does_not_listen_is_not_heard(void **state)
{
	enum { ASKED = 3 * RELIABLE_QUEUE };
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	unsigned heard = 0;

	(void)state;
	c->is_rude = true;
	for (uint32_t i = 0; i < ASKED; i++)
		say_with_sequence(l, 0, FRAME_OPEN, i);
	while (lobby_take(l, 0, FRAME_OPEN_FAILED) != NULL)
		heard++;
	assert_int_equal(heard, RELIABLE_QUEUE);
	assert_int_equal(keeper_stats(l->keeper)->channel_refusals, RELIABLE_QUEUE);

	c->is_rude = false;
	lobby_wait(l, NS_PER_S); /* the repetition is acknowledged */
	for (uint32_t i = RELIABLE_QUEUE; i < ASKED; i++)
		say_with_sequence(l, 0, FRAME_OPEN, i);
	assert_int_equal(keeper_stats(l->keeper)->channel_refusals, ASKED);
	lobby_destroy(l);
}

/* An acknowledgement of what was never sent is nothing. */
static void odd_acknowledgements_are_nothing(void **state)
{
	static const uint32_t odd[] = { 1, 17, 0x80000000, UINT32_MAX };
	struct lobby *l = make(1);
	struct wire_open open = { .request = store_le32(1) };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		const struct wire_ack ack = { .next = store_le32(odd[i]) };
		lobby_say(l, 0, FRAME_ACK, &ack, sizeof ack);
	}
	l->clients[0].is_rude = true;
	lobby_say(l, 0, FRAME_OPEN, &open, sizeof open);
	for (size_t i = 1; i < COUNT_OF(odd); i++) {
		const struct wire_ack ack = { .next = store_le32(odd[i]) };
		lobby_say(l, 0, FRAME_ACK, &ack, sizeof ack);
	}
	assert_non_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	lobby_wait(l, NS_PER_S);
	assert_true(keeper_stats(l->keeper)->frames_repeated > 0);
	lobby_destroy(l);
}

/* Lost datagrams of the relay are repeated until they arrive, each frame once. */
static void lost_frames_arrive_once(void **state)
{
	struct lobby *l = make(1);
	struct lobby_client *c = &l->clients[0];
	struct wire_open open = { .request = store_le32(1) };

	(void)state;
	c->is_deaf = true;
	lobby_say(l, 0, FRAME_OPEN, &open, sizeof open);
	lobby_wait(l, 5 * NS_PER_S);
	assert_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	c->is_deaf = false;
	lobby_wait(l, 10 * NS_PER_S);
	assert_non_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	assert_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	uint64_t repeated = keeper_stats(l->keeper)->frames_repeated;
	assert_in_range(repeated, 3, 8);
	lobby_wait(l, 60 * NS_PER_S);
	assert_true(keeper_stats(l->keeper)->frames_repeated == repeated);
	/* The sender was dropped when it was empty: the numbers go on all the same. */
	lobby_say(l, 0, FRAME_OPEN, &open, sizeof open);
	assert_non_null(lobby_take(l, 0, FRAME_OPEN_FAILED));
	lobby_destroy(l);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_ping_among_others_is_answered),
	cmocka_unit_test(peers_are_listed_in_pages),
	cmocka_unit_test(the_lonely_get_an_empty_list),
	cmocka_unit_test(names_are_found),
	cmocka_unit_test(questions_have_a_limit),
	cmocka_unit_test(answers_fit_the_client),
	cmocka_unit_test(each_frame_counts_once_and_in_order),
	cmocka_unit_test(unknown_frames_are_acknowledged),
	cmocka_unit_test(malformed_frames_end_the_packet),
	cmocka_unit_test(who_does_not_listen_is_not_heard),
	cmocka_unit_test(odd_acknowledgements_are_nothing),
	cmocka_unit_test(lost_frames_arrive_once),
};

CRYPTO_TESTS(TESTS)
