/*
 * What recorded traffic is worth to who steals keys: before the theft (forward secrecy), after it
 * (post-compromise security), and what a thief can do in the victim's name. Time limit: 500 s
 */
#include "tests/support/crypto.h"
#include "tests/support/key_search.h"
#include "tests/support/sim_internal.h"
#include "tests/support/thief.h"

enum { BLOBS = 5, BLOB_SIZE = 100 };

struct world {
	struct sim *sim;
	struct sim_client *alice, *bob;
	struct thief_tape *tape;
	unsigned ups_before;    /* for is_up_again() */
	struct thief_loot loot; /* large: a world is static */
};

static void start(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->sim = sim_create(NULL);
	w->alice = sim_add_client(w->sim, NULL);
	w->bob = sim_add_client(w->sim, NULL);
	w->tape = thief_listen(w->sim, w->alice);
	/* The first HELLO went before there was a tape. */
	sim_restart_client(w->alice);
	assert_true(sim_connect(w->sim, w->alice, w->bob));
}

static void stop(struct world *w)
{
	thief_stop(w->tape);
	sim_destroy(w->sim);
	bytes_wipe(w, sizeof(*w));
}

static void talk(struct world *w)
{
	for (unsigned i = 0; i < BLOBS; i++) {
		assert_true(sim_send_number(w->alice, w->bob, BLOB_SIZE));
		assert_true(sim_send_number(w->bob, w->alice, BLOB_SIZE));
		sim_run(w->sim, 100 * NS_PER_MS);
	}
}

static uint32_t epoch_of(const struct sim_client *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	return status.epoch;
}

static void change_keys(struct world *w)
{
	uint32_t before = epoch_of(w->alice);
	link_request_rekey(w->alice->link);
	sim_wake(w->alice);
	sim_run(w->sim, NS_PER_S);
	assert_int_equal(epoch_of(w->alice), before + 1);
}

static struct view all_of(const struct thief_loot *loot)
{
	return view_of(loot, sizeof(*loot));
}

static struct thief_take rob_and_try(struct world *w)
{
	thief_rob(w->tape, &w->loot);
	assert_true(w->loot.has_entry);
	return thief_try(all_of(&w->loot), w->tape->packets, w->tape->count);
}

static void expect_all(const struct thief_take *take, unsigned epoch)
{
	assert_true(take->all[epoch] >= 2 * BLOBS);
	assert_int_equal(take->opened[epoch], take->all[epoch]);
}

static void expect_none(const struct thief_take *take, unsigned epoch)
{
	assert_true(take->all[epoch] >= 2 * BLOBS);
	assert_int_equal(take->opened[epoch], 0);
}

/* ---- the past ---------------------------------------------------------------------------- */

/*
 * Goal:   who takes all that both ends hold opens nothing of epochs that are over.
 * Method: three changes of keys, with all datagrams recorded. The old keys stay for 10 s, and a
 *         theft within them opens that epoch too: so the search finds what is there. After them
 *         every run of bytes of both ends is tried on every packet.
 */
static void the_past_stays_closed(void **state)
{
	static struct world w;
	(void)state;
	start(&w);
	talk(&w);
	for (unsigned epoch = 1; epoch < THIEF_EPOCHS; epoch++) {
		change_keys(&w);
		talk(&w);
	}
	struct thief_take take = rob_and_try(&w);
	expect_none(&take, 0);
	expect_none(&take, 1);
	expect_all(&take, 2);
	expect_all(&take, 3);

	sim_run(w.sim, EPOCH_OVERLAP_NS);
	take = rob_and_try(&w);
	expect_none(&take, 0);
	expect_none(&take, 1);
	expect_none(&take, 2);
	expect_all(&take, 3);
	stop(&w);
}

static void note_keys(struct key_search *s, const struct world *w, unsigned epoch)
{
	const struct session_epoch *keys = &w->alice->link->session.epochs[epoch % EPOCHS_LIVE];
	key_search_add(s, "client to relay", keys->send.key);
	key_search_add(s, "relay to client", keys->receive.key);
	key_search_add(s, "next key seed", w->alice->link->rekey.chain.seed);
}

/*
 * Goal:   nor does anything else of the process hold old keys: no cache, no stack, no buffer.
 * Method: all of this process's memory, where client, relay and its workers live, is searched.
 */
static void no_old_key_is_left_in_memory(void **state)
{
	static struct world w;
	static struct key_search old, present;
	(void)state;
	if (TEST_IS_SANITIZED) {
		print_message("SKIPPED: a sanitizer keeps copies of what is freed\n");
		skip();
	}
	start(&w);
	talk(&w);
	note_keys(&old, &w, 0);
	assert_true(key_search_memory(&old, false) > 0);
	change_keys(&w);
	talk(&w);
	note_keys(&present, &w, 1);
	sim_run(w.sim, EPOCH_OVERLAP_NS);
	assert_int_equal(key_search_memory(&old, true), 0);
	assert_true(key_search_memory(&present, false) > 0);
	stop(&w);
}

static void read_hello(const struct thief_tape *t, const struct hello_server *server,
		       struct noise *noise, struct hello_request *request)
{
	const struct thief_handshake *hello = thief_handshake(t, WIRE_HELLO);
	assert_true(hello_read(noise, server, view_of(hello->plain, hello->size),
			       sim_random(t->sim), request));
}

static const uint8_t *ephemeral_of(const struct thief_handshake *h)
{
	return h->plain +
	       (h->kind == WIRE_HELLO ? sizeof(struct wire_hello) : sizeof(struct wire_welcome));
}

/* The thief plays the relay: he has its static key and the PSK. */
static struct thief_take play_relay(struct world *w)
{
	struct noise noise;
	struct hello_request request;
	struct noise_result keys;
	const struct wire_welcome_payload payload = { .status = STATUS_OK };
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct view_out out = { .data = bytes, .capacity = DATAGRAM_SIZE_MAX - WIRE_OVERHEAD };

	read_hello(w->tape, &w->loot.server, &noise, &request);
	/* A recorded HELLO does tell who connected: docs/security.md, not protected. */
	assert_memory_equal(request.device_public, w->loot.link.config.hello.device.public,
			    X25519_SIZE);
	assert_true(hello_answer(&noise, w->loot.link.config.hello.psk, &payload, HELLO_SIZE_MIN,
				 out, &keys) > 0);
	return thief_try_keys(&keys, w->tape->packets, w->tape->count);
}

/* The recorded WELCOME, by the client's secrets and a HELLO of the thief's own. */
static bool play_client(struct world *w)
{
	struct noise noise;
	struct wire_welcome_payload payload;
	struct noise_result keys;
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct view_out out = { .data = bytes, .capacity = sizeof(bytes) };
	const struct thief_handshake *welcome = thief_handshake(w->tape, WIRE_WELCOME);

	assert_true(hello_write(&noise, &w->loot.link.config.hello, sim_now(w->sim).wall_ns, NULL,
				sim_random(w->sim), out) > 0);
	bool is_read =
		hello_finish(&noise, view_of(welcome->plain, welcome->size), &payload, &keys);
	noise_fini(&noise);
	return is_read;
}

/*
 * Goal:   every static key of both ends, and all that both hold later, opens no session whose
 *         handshake was recorded.
 * Method: a theft a change of keys later. The secret half of neither ephemeral key is anywhere in
 *         it; the handshake done over with stolen static keys, as either end, leads elsewhere.
 */
static void a_recorded_handshake_stays_closed(void **state)
{
	static struct world w;
	(void)state;
	start(&w);
	talk(&w);
	change_keys(&w);
	talk(&w);
	sim_run(w.sim, EPOCH_OVERLAP_NS);
	struct thief_take take = rob_and_try(&w);
	expect_none(&take, 0);
	expect_all(&take, 1);
	assert_false(thief_finds_secret(all_of(&w.loot),
					ephemeral_of(thief_handshake(w.tape, WIRE_HELLO))));
	assert_false(thief_finds_secret(all_of(&w.loot),
					ephemeral_of(thief_handshake(w.tape, WIRE_WELCOME))));
	take = play_relay(&w);
	expect_none(&take, 0);
	expect_none(&take, 1);
	assert_false(play_client(&w));
	stop(&w);
}

/*
 * Goal:   the search for ephemeral keys finds them where they are: in a theft while the handshake
 *         is under way, which so opens the session that comes of it.
 */
static void a_theft_during_the_handshake_opens_it(void **state)
{
	static struct world w;
	struct wire_welcome_payload payload;
	struct noise_result keys;
	(void)state;
	start(&w);
	sim_restart_client(w.alice);
	thief_rob(w.tape, &w.loot);
	assert_true(thief_finds_secret(all_of(&w.loot),
				       ephemeral_of(thief_handshake(w.tape, WIRE_HELLO))));
	assert_true(sim_connect(w.sim, w.alice, w.bob));
	w.tape->count = 0; /* without what the session before said */
	talk(&w);
	const struct thief_handshake *welcome = thief_handshake(w.tape, WIRE_WELCOME);
	struct link_try *try = &w.loot.link.handshake.tries[0];
	while (!try->is_used)
		try++;
	assert_true(
		hello_finish(&try->noise, view_of(welcome->plain, welcome->size), &payload, &keys));
	struct thief_take take = thief_try_keys(&keys, w.tape->packets, w.tape->count);
	expect_all(&take, 0);
	stop(&w);
}

/* ---- the future -------------------------------------------------------------------------- */

static const struct session_secret *secret_for(const struct thief_loot *loot,
					       const struct thief_packet *p)
{
	const struct session_epoch *keys = &loot->link.session.epochs[p->epoch % EPOCHS_LIVE];
	return p->is_up ? &keys->send : &keys->receive;
}

/* The messages of the change to `epoch`, which went under the keys before it. */
static struct wire_rekey read_rekey(const struct world *w, enum frame_type type, uint32_t epoch)
{
	uint8_t bytes[PLAIN_SIZE_MAX];
	struct wire_rekey rekey;
	struct frame frame;

	for (size_t i = 0; i < w->tape->count; i++) {
		const struct thief_packet *p = &w->tape->packets[i];
		if (p->epoch + 1 != epoch || !thief_open(secret_for(&w->loot, p), p, bytes) ||
		    bytes[0] == FRAME_DATA)
			continue;
		struct view plain = view_of(bytes, p->size - WIRE_OVERHEAD);
		while (frame_next(&plain, &frame) == FRAME_READ) {
			if (frame.type != type)
				continue;
			memcpy(&rekey, frame.body.data, sizeof(rekey));
			if (load_le32(rekey.epoch) == epoch)
				return rekey;
		}
	}
	fail_msg("the thief did not see the change of keys");
	return (struct wire_rekey){ 0 };
}

/* The chain run forward by whoever holds it, in the place of the relay and of the client. */
static void run_chain_forward(const struct world *w, struct thief_take *as_relay, bool *as_client)
{
	struct rekey_chain chain = w->loot.link.rekey.chain;
	struct wire_rekey request = read_rekey(w, FRAME_REKEY_1, 1);
	struct wire_rekey answer = read_rekey(w, FRAME_REKEY_2, 1);
	uint8_t own[REKEY_NOISE_SIZE];
	struct noise_result keys;
	struct noise noise;

	assert_memory_equal(&chain, &w->loot.entry.chain, sizeof(chain));
	assert_true(rekey_answer(&chain, &request, sim_random(w->sim), own, &keys));
	*as_relay = thief_try_keys(&keys, w->tape->packets, w->tape->count);

	chain = w->loot.link.rekey.chain;
	assert_true(rekey_begin(&noise, &chain, 1, sim_random(w->sim), own));
	*as_client = rekey_finish(&noise, &chain, answer.noise, &keys);
}

/*
 * Goal:   a thief who has copied all that both ends hold, and goes on listening, is shut out by the
 *         next change of keys.
 * Method: theft in epoch 0, a change of keys, more traffic. The copy opens all of epoch 0, the
 *         change itself included, and nothing behind it: neither by any of its bytes, nor by
 *         taking the chain's next step with the recorded messages as either end.
 */
static void the_next_keys_shut_a_listener_out(void **state)
{
	static struct world w;
	struct thief_take take;
	bool is_client;
	(void)state;
	start(&w);
	talk(&w);
	take = rob_and_try(&w);
	expect_all(&take, 0);
	change_keys(&w);
	talk(&w);
	take = thief_try(all_of(&w.loot), w.tape->packets, w.tape->count);
	expect_all(&take, 0);
	expect_none(&take, 1);
	run_chain_forward(&w, &take, &is_client);
	expect_none(&take, 1);
	assert_false(is_client);
	stop(&w);
}

/* Goal: the step of the chain is taken rightly there: who stole the ephemeral key takes it. */
static void a_theft_during_the_change_opens_it(void **state)
{
	static struct world w;
	struct noise_result keys;
	(void)state;
	start(&w);
	talk(&w);
	link_request_rekey(w.alice->link);
	sim_wake(w.alice);
	thief_rob(w.tape, &w.loot);
	assert_true(w.loot.link.rekey.is_asked);
	sim_run(w.sim, NS_PER_S);
	talk(&w);
	struct wire_rekey answer = read_rekey(&w, FRAME_REKEY_2, 1);
	struct rekey_chain chain = w.loot.link.rekey.chain;
	struct noise noise = w.loot.link.rekey.noise;
	assert_true(rekey_finish(&noise, &chain, answer.noise, &keys));
	struct thief_take take = thief_try_keys(&keys, w.tape->packets, w.tape->count);
	expect_all(&take, 1);
	stop(&w);
}

/* ---- in the victim's name ---------------------------------------------------------------- */

/* A thief's end of the stolen session. */
struct impostor {
	struct session session;
	struct key_cache *cache;
	struct mask *hide;
	struct noise_result keys; /* of the change that he asked for */
};

static void impostor_init(struct impostor *i, const struct world *w)
{
	memcpy(&i->session, &w->loot.link.session, sizeof(i->session));
	i->cache = key_cache_create(packet_cipher_by_name("openssl"), KEY_CACHE_WAYS);
	i->hide = mask_create(MASK_HIDE);
	assert_non_null(i->cache);
	assert_non_null(i->hide);
	mask_set_key(i->hide, w->tape->door.c2s_header);
}

static void impostor_fini(struct impostor *i)
{
	key_cache_destroy(i->cache);
	mask_destroy(i->hide);
}

/* From the victim's own address, so that no challenge of it is due. */
static void impostor_say(struct impostor *i, const struct world *w, enum frame_type type,
			 struct view body)
{
	uint8_t bytes[DATAGRAM_SIZE_MAX] = { 0 };
	struct frame_writer writer = { .data = bytes + WIRE_HEADER_SIZE,
				       .capacity = PLAIN_SIZE_MAX };
	struct address to = sim_relay_address(w->sim);

	assert_true(frame_put(&writer, type, body));
	size_t size = frame_pad(&writer);
	assert_true(session_seal(&i->session, i->cache, i->hide, bytes, size));
	sim_inject(w->sim, &w->alice->address, &to, view_of(bytes, size + WIRE_OVERHEAD));
	sim_run(w->sim, 100 * NS_PER_MS);
}

/* The change of keys that the victim would have asked for, with an ephemeral key of the thief's. */
static void impostor_changes_keys(struct impostor *i, const struct world *w)
{
	const struct reliable_sender *sender = &w->loot.link.sender;
	struct rekey_chain chain = w->loot.link.rekey.chain;
	struct {
		le32 sequence;
		struct wire_rekey rekey;
	} body = { .sequence = store_le32(sender->first + sender->count),
		   .rekey.epoch = store_le32(1) };
	struct wire_ping ping = { .token = store_le64(1) };
	struct noise noise;

	assert_true(rekey_begin(&noise, &chain, 1, sim_random(w->sim), body.rekey.noise));
	impostor_say(i, w, FRAME_REKEY_1, view_of(&body, sizeof(body)));
	struct wire_rekey answer = read_rekey(w, FRAME_REKEY_2, 1);
	assert_true(rekey_finish(&noise, &chain, answer.noise, &i->keys));
	session_next_epoch(&i->session, &i->keys);
	impostor_say(i, w, FRAME_PING, view_of(&ping, sizeof(ping)));
}

static bool is_up_again(void *state)
{
	const struct world *w = state;
	return w->alice->ups > w->ups_before;
}

/*
 * Goal:   a thief of a session's keys, without those of the device, can take the session over; the
 *         victim notices, and its next handshake ends that session.
 * Method: the thief changes the keys in the victim's place: the relay follows him, and Bob's blobs
 *         are his to read. The victim, who understands the relay no more, connects anew by itself
 *         within a minute; from then on the thief's packets go nowhere and he reads nothing.
 */
static void a_stolen_session_ends_with_the_next_handshake(void **state)
{
	static struct world w;
	struct impostor thief;
	struct wire_ping ping = { .token = store_le64(1) };
	(void)state;
	start(&w);
	talk(&w);
	thief_rob(w.tape, &w.loot);
	impostor_init(&thief, &w);
	impostor_changes_keys(&thief, &w);
	unsigned heard = sim_channel(w.alice, w.bob)->received;
	talk(&w);
	assert_int_equal(sim_channel(w.alice, w.bob)->received, heard);
	struct thief_take take = thief_try_keys(&thief.keys, w.tape->packets, w.tape->count);
	assert_true(take.all[1] >= BLOBS);
	assert_int_equal(take.opened[1], take.all[1]);

	w.ups_before = w.alice->ups;
	assert_true(sim_run_until(w.sim, is_up_again, &w, 60 * NS_PER_S));
	sim_run(w.sim, NS_PER_S);
	assert_int_equal(sim_session_count(w.sim), 2);
	w.tape->count = 0;
	assert_true(sim_connect(w.sim, w.alice, w.bob));
	talk(&w);
	take = thief_try_keys(&thief.keys, w.tape->packets, w.tape->count);
	expect_none(&take, 0);
	take = thief_try(all_of(&w.loot), w.tape->packets, w.tape->count);
	expect_none(&take, 0);
	uint64_t refused = sim_verdicts(w.sim, PKT_DROP_NO_SESSION);
	impostor_say(&thief, &w, FRAME_PING, view_of(&ping, sizeof(ping)));
	assert_int_equal(sim_verdicts(w.sim, PKT_DROP_NO_SESSION), refused + 1);
	impostor_fini(&thief);
	stop(&w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(the_past_stays_closed),
	cmocka_unit_test(no_old_key_is_left_in_memory),
	cmocka_unit_test(a_recorded_handshake_stays_closed),
	cmocka_unit_test(a_theft_during_the_handshake_opens_it),
	cmocka_unit_test(the_next_keys_shut_a_listener_out),
	cmocka_unit_test(a_theft_during_the_change_opens_it),
	cmocka_unit_test(a_stolen_session_ends_with_the_next_handshake),
};
CRYPTO_TESTS(TESTS)
