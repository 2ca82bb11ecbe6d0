/* The packet path: doors, sessions that are established and move, the keeper's own datagrams. */
#include "core/forward.h"

#include "tests/support/world.h"

/* ---- doors ----------------------------------------------------------------------------- */

/* A port rotation: packets come by either door, answers leave by the one used last. */
static void doors_in_grace(void **state)
{
	struct world *w = world_start(state, 2);
	struct world_client *a = &w->clients[0], *b = &w->clients[1];

	assert_true(world_open_door(w, 1, WORLD_PORT + 1));
	a->path.door = WORLD_DOOR + 1; /* Alice hops first */
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 0);
	assert_int_equal(w->result.send[0].path.door, WORLD_DOOR);
	world_assert_blob(w, 1, world_receive(w, 1, &w->result.send[0]));
	struct path path = session_path(a->session);
	assert_true(path_equal(&path, &a->path));

	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.send[0].path.door, WORLD_DOOR + 1);
	world_assert_blob(w, 0, world_receive(w, 0, &w->result.send[0]));

	/* Under the new door's mask but at the old one's port, it is a stranger's bytes. */
	struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	p->path.door = WORLD_DOOR;
	world_run(w, 1);
	assert_int_equal(w->result.send_count, 0);

	/* Both doors in one batch; then the old one closes, and Bob has not hopped. */
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_put_data(w, 1, 1, WORLD_BLOB, WORLD_PADDED);
	world_run(w, 2);
	assert_int_equal(w->result.send_count, 2);
	forward_close_door(w->forward, WORLD_DOOR);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_NO_DOOR);
	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_DROP_NO_DOOR);
	b->path.door = WORLD_DOOR + 1;
	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	world_destroy(w);
}

static void doors_open_and_close(void **state)
{
	struct world *w = world_start(state, 2);

	for (uint32_t i = 1; i < DOORS_MAX; i++)
		assert_true(world_open_door(w, i, (uint16_t)(WORLD_PORT + i)));
	assert_false(forward_open_door(w->forward, 1, 1, &w->doors[0].keys));
	forward_close_door(w->forward, 12345); /* none such */
	forward_close_door(w->forward, WORLD_DOOR + 2);
	assert_true(forward_open_door(w->forward, 1, 1, &w->doors[0].keys));
	forward_close_door(w->forward, 1);
	assert_true(world_open_door(w, 2, WORLD_PORT + 2));
	for (uint32_t i = 0; i < DOORS_MAX; i++) {
		w->clients[0].path.door = WORLD_DOOR + i;
		world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
		world_expect(w, PKT_RELAYED);
		world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
		world_expect(w, PKT_RELAYED);
		assert_int_equal(w->result.send[0].path.door, WORLD_DOOR + i);
		world_assert_blob(w, 0, world_receive(w, 0, &w->result.send[0]));
	}
	world_destroy(w);
}

/* A `fixed` port: whatever door the engine says, packets of all its doors are understood, always
 * (a data packet looks like a HELLO under a wrong door once in 256). */
static void one_port_two_doors(void **state)
{
	enum { PACKETS = 3000 };
	struct world *w = world_start(state, 2);
	uint8_t plain[HELLO_SIZE_MIN] = { 7 };
	struct path stranger = test_path(99, WORLD_DOOR);
	uint32_t hellos = 0;

	assert_true(world_open_door(w, 1, WORLD_PORT));     /* the same port */
	assert_true(world_open_door(w, 2, WORLD_PORT + 1)); /* another */
	w->clients[0].path.door = WORLD_DOOR + 1;
	for (uint32_t i = 0; i < PACKETS; i++) {
		struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
		p->path.door = WORLD_DOOR; /* all that the engine knows */
		world_expect(w, PKT_RELAYED);
	}
	struct path path = session_path(w->clients[0].session);
	assert_int_equal(path.door, WORLD_DOOR + 1);
	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.send[0].path.door, WORLD_DOOR + 1);
	world_assert_blob(w, 0, world_receive(w, 0, &w->result.send[0]));

	for (uint32_t i = 0; i < 100; i++) {
		world_put_hello(w, 0, 1, VIEW(plain), &stranger);
		world_run(w, 1);
		if (w->result.upcall_count == 1) {
			assert_int_equal(w->result.upcalls[0].path.door, WORLD_DOOR + 1);
			hellos++;
		}
	}
	assert_true(hellos > 90);

	world_put_hello(w, 0, 2, VIEW(plain), &stranger); /* a door, but of another port */
	world_run(w, 1);
	assert_int_equal(w->result.upcall_count, 0);
	world_destroy(w);
}

/* ---- established, paths, forgeries ------------------------------------------------------ */

static void first_packet_establishes(void **state)
{
	struct world *w = world_start(state, 0);

	for (uint32_t i = 0; i < 2; i++)
		world_add_client(w, i);
	world_join(w, 0, 1);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_put_data(w, 1, 0, WORLD_BLOB, WORLD_PADDED);
	world_run(w, 2);
	assert_int_equal(world_count(w, PKT_DROP_PEER_GONE), 2); /* Bob is not there yet */
	assert_int_equal(w->result.upcall_count, 1);
	assert_int_equal(w->result.upcalls[0].kind, UPCALL_ESTABLISHED);
	assert_int_equal(session_id_pack(w->result.upcalls[0].session),
			 session_id_pack(w->clients[0].session->id));
	assert_int_equal(load_relaxed(&w->clients[0].session->is_established), 1);

	struct packet *p = world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	p->data[p->size - 1] ^= 1;
	world_expect(w, PKT_DROP_BAD_TAG);
	assert_int_equal(w->result.upcall_count, 0);
	assert_int_equal(load_relaxed(&w->clients[1].session->is_established), 0);
	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 1);
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 0);
	world_destroy(w);
}

/* At most two upcalls for a packet: a first packet from a new address with a control frame. */
static void first_packet_from_elsewhere(void **state)
{
	struct world *w = world_start(state, 0);
	uint8_t plain[PAD_BUCKET] = { FRAME_GOODBYE };

	world_add_client(w, 0);
	w->clients[0].path.remote.port++;
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	assert_int_equal(w->result.upcall_count, 2);
	assert_int_equal(w->result.upcalls[0].kind, UPCALL_ESTABLISHED);
	assert_int_equal(w->result.upcalls[1].kind, UPCALL_CONTROL);
	world_put(w, 0, 0, VIEW(plain));
	world_expect(w, PKT_CONTROL);
	assert_int_equal(w->result.upcall_count, 2);
	assert_int_equal(w->result.upcalls[0].kind, UPCALL_PATH);
	assert_int_equal(w->result.upcalls[1].kind, UPCALL_CONTROL);
	world_destroy(w);
}

static void assert_path_of_first(const struct world *w, const struct path *expected)
{
	struct path path = session_path(w->clients[0].session);
	assert_true(path_equal(&path, expected));
}

/*
 * Goal:   a new remote address moves nothing by itself, and is told once a batch; a new local
 *         address or door of the same remote is followed at once; old packets move nothing.
 */
static void paths_change(void **state)
{
	struct world *w = world_start(state, 2);
	struct world_client *c = &w->clients[0];
	struct path home = c->path, away = test_path(0xabcdef, WORLD_DOOR), other_local = home;
	uint8_t late[WORLD_PADDED + WIRE_OVERHEAD], later[sizeof(late)];

	other_local.local_ip[15] ^= 1;
	memcpy(late, world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED)->data, sizeof(late));
	memcpy(later, world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED)->data, sizeof(later));

	c->path = away;
	for (size_t i = 0; i < 5; i++)
		world_put_data(w, i, 0, WORLD_BLOB, WORLD_PADDED);
	world_run(w, 5);
	assert_int_equal(world_count(w, PKT_RELAYED), 5);
	assert_int_equal(w->result.upcall_count, 1);
	const struct upcall *u = &w->result.upcalls[0];
	assert_int_equal(u->kind, UPCALL_PATH);
	assert_true(path_equal(&u->path, &away));
	assert_int_equal(u->datagram_size, WORLD_PADDED + WIRE_OVERHEAD);
	assert_path_of_first(w, &home);

	world_put_data(w, 0, 1, WORLD_BLOB, WORLD_PADDED); /* answers go where they went */
	world_expect(w, PKT_RELAYED);
	assert_true(path_equal(&w->result.send[0].path, &home));

	/* A copied old packet from anywhere: delivered (it is new), but no news of the path. */
	world_put_bytes(w, 0, VIEW(late), &away);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 0);
	world_put_bytes(w, 0, VIEW(later), &other_local);
	world_expect(w, PKT_RELAYED);
	assert_path_of_first(w, &home);

	/* Forged: nothing. */
	struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	p->data[100] ^= 1;
	world_expect(w, PKT_DROP_BAD_TAG);
	assert_int_equal(w->result.upcall_count, 0);

	c->path = other_local;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 0);
	assert_path_of_first(w, &other_local);

	session_set_path(c->session, &away); /* as the keeper does after its challenge */
	c->path = away;
	world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
	world_expect(w, PKT_RELAYED);
	assert_int_equal(w->result.upcall_count, 0);
	world_destroy(w);
}

static void forgeries_are_told_once(void **state)
{
	struct world *w = world_start(state, 2);

	store_relaxed(&w->clients[0].session->forgeries, EPOCH_FORGERIES_MAX - 2);
	for (int i = 0; i < 4; i++) {
		struct packet *p = world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
		p->data[p->size - 1] ^= 1;
		world_expect(w, PKT_DROP_BAD_TAG);
		assert_int_equal(w->result.upcall_count, i == 1);
		if (i == 1)
			assert_int_equal(w->result.upcalls[0].kind, UPCALL_FORGERIES);
	}
	world_destroy(w);
}

/* ---- the keeper's own datagrams --------------------------------------------------------- */

static void keeper_seals(void **state)
{
	struct world *w = world_start(state, 2);
	struct session_id id = w->clients[0].session->id, none = { id.slot, id.generation + 1 };
	uint8_t frame[DATAGRAM_SIZE_MAX] = { 0 };
	struct packet packet = { .data = frame };
	struct path away = test_path(77, WORLD_DOOR);

	memcpy(frame + WIRE_HEADER_SIZE, WORLD_BLOB.data, WORLD_BLOB.size);
	assert_true(forward_seal(w->forward, id, NULL, &packet, PAD_BUCKET));
	assert_int_equal(packet.size, PAD_BUCKET + WIRE_OVERHEAD);
	assert_true(path_equal(&packet.path, &w->clients[0].path));
	struct view plain = world_receive(w, 0, &packet);
	assert_int_equal(plain.size, PAD_BUCKET);
	assert_memory_equal(plain.data, WORLD_BLOB.data, WORLD_BLOB.size);

	assert_true(forward_seal(w->forward, id, &away, &packet, PAD_BUCKET));
	assert_true(path_equal(&packet.path, &away));
	(void)world_receive(w, 0, &packet);

	assert_false(forward_seal(w->forward, none, NULL, &packet, PAD_BUCKET));
	away.door = 1;
	assert_false(forward_seal(w->forward, id, &away, &packet, PAD_BUCKET));
	store_relaxed(&w->clients[0].session->is_revoked, 1);
	assert_false(forward_seal(w->forward, id, NULL, &packet, PAD_BUCKET));
	world_destroy(w);
}

static void keeper_seals_handshakes(void **state)
{
	struct world *w = world_start(state, 0);
	uint8_t frame[DATAGRAM_SIZE_MAX] = { 0 };
	struct packet packet = { .data = frame, .path = test_path(1, WORLD_DOOR) };
	struct wire_handshake_header header;
	struct view plain;

	memcpy(frame + WIRE_HEADER_SIZE, WORLD_BLOB.data, WORLD_BLOB.size);
	assert_true(forward_seal_handshake(w->forward, WIRE_WELCOME, &packet, WORLD_BLOB.size,
					   &w->random));
	assert_int_equal(packet.size, WORLD_BLOB.size + WIRE_OVERHEAD);
	memcpy(&header, frame, sizeof(header));
	mask_blocks(w->doors[0].show, (uint8_t *)&header, 1);
	assert_int_equal(header.first, wire_first(WIRE_WELCOME, 0));
	assert_true(door_open(w->doors[0].keys.s2c_handshake, &header, frame, packet.size, &plain));
	assert_int_equal(plain.size, WORLD_BLOB.size);
	assert_memory_equal(plain.data, WORLD_BLOB.data, WORLD_BLOB.size);
	packet.path.door++;
	assert_false(forward_seal_handshake(w->forward, WIRE_WELCOME, &packet, WORLD_BLOB.size,
					    &w->random));
	world_destroy(w);
}

/* Erased keys are expanded again where the session lives on. */
static void forgets_keys(void **state)
{
	struct world *w = world_start(state, 4);

	for (int i = 0; i < 3; i++) {
		world_put_data(w, 0, 0, WORLD_BLOB, WORLD_PADDED);
		world_put_data(w, 1, 3, WORLD_BLOB, WORLD_PADDED);
		world_run(w, 2);
		assert_int_equal(w->result.send_count, 2);
		if (i == 0)
			forward_forget(w->forward, w->clients[1].session->id);
		else
			forward_forget(w->forward, (struct session_id){ .slot = UINT32_MAX });
	}
	world_destroy(w);
}

static const struct CMUnitTest tests[] = {
	WITH_BOTH_CIPHERS(doors_in_grace),
	WITH_BOTH_CIPHERS(doors_open_and_close),
	WITH_BOTH_CIPHERS(one_port_two_doors),
	WITH_BOTH_CIPHERS(first_packet_establishes),
	WITH_BOTH_CIPHERS(first_packet_from_elsewhere),
	WITH_BOTH_CIPHERS(paths_change),
	WITH_BOTH_CIPHERS(forgeries_are_told_once),
	WITH_BOTH_CIPHERS(keeper_seals),
	WITH_BOTH_CIPHERS(keeper_seals_handshakes),
	WITH_BOTH_CIPHERS(forgets_keys),
};

CRYPTO_TESTS(tests)
