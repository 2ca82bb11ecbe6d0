/* Peers: lost continuity, refusals, replays and damage. */
#include "tests/support/peers.h"

/* ---- continuity ------------------------------------------------------------------------ */

/*
 * Goal:   whichever side dies between a contact and saving its pin, they know each other the
 *         next time.
 * Method: four contacts; after each of the last three, every combination of saved and not on
 *         both sides (64 histories); fresh peers from what was saved.
 */
static void crashes_leave_a_common_key(void **state)
{
	(void)state;
	for (unsigned history = 0; history < 64; history++) {
		struct peers w;
		peers_init_friends(&w, test_seed() + history);
		for (unsigned contact = 0; contact < 4; contact++) {
			peers_begin(&w, (int)(contact % 2));
			peers_run_ms(&w, 100);
			peers_assert_mirrored(&w, false);
			for (int i = 0; i < 2; i++)
				if ((history >> (2 * contact + (unsigned)i) & 1) != 0)
					peers_save(&w, i);
			for (int i = 0; i < 2; i++)
				peers_make(&w, i);
			w.pipe_count = 0;
		}
		peers_fini(&w);
	}
}

/* Without the last but one key a crash would do damage: the test above can fail. */
static void one_key_alone_is_not_enough(void **state)
{
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	peers_save(&w, 0);
	w.pins[0].psk_count = 1;
	peers_make(&w, 0);
	peers_make(&w, 1);
	peers_begin(&w, 0);
	peers_run_ms(&w, 100);
	assert_int_equal(peers_last_event(&w, 0)->refusal, PEER_REFUSAL_NO_CONTINUITY);
	peers_fini(&w);
}

/*
 * Goal:   a message 1 of earlier, brought again by the relay, changes no key and no pin. (The
 *         user may be told, wrongly, of lost continuity: the relay could forge that, too.)
 * Method: record all blobs of a contact and of the ones after it; feed those to the responder in
 *         every later state.
 */
static void old_messages_change_nothing(void **state)
{
	static struct blob old[PIPE_MAX];
	size_t count = 0;
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	for (int contact = 0; contact < 3; contact++) {
		peers_begin(&w, 0);
		for (int i = 0; i < 20; i++) {
			for (size_t b = 0; b < w.pipe_count; b++)
				if (w.pipe[b].to == 1 && count < PIPE_MAX)
					old[count++] = w.pipe[b];
			peers_step(&w);
		}
		peers_assert_mirrored(&w, false);
		peers_save(&w, 0);
		peers_save(&w, 1);
		for (size_t b = 0; b < count; b++) {
			peers_run_ms(&w, 200);
			assert_int_equal(peers_hear(&w, 1, &old[b]), PEER_FRAME_NONE);
		}
		peers_run_ms(&w, 1000);
		assert_int_equal(peers_count(&w, 0, PEER_EVENT_SECURE), 1);
		assert_int_equal(peers_count(&w, 1, PEER_EVENT_SECURE), 1);
		assert_memory_equal(&w.peers[1]->pin, &w.pins[1], sizeof w.pins[1]);
		peers_assert_talk(&w);
		peers_make(&w, 0);
		peers_make(&w, 1);
	}
	assert_true(count >= 6);
	peers_fini(&w);
}

/* ---- refusals -------------------------------------------------------------------------- */

static void assert_refused(const struct peers *w, int i, enum peer_refusal refusal)
{
	assert_int_equal(w->event_count[i], 1);
	assert_int_equal(peers_last_event(w, i)->type, PEER_EVENT_REFUSED);
	assert_int_equal(peers_last_event(w, i)->refusal, refusal);
	assert_false(peer_is_secure(w->peers[i]));
}

static void lost_continuity_is_told_to_both(void **state)
{
	(void)state;
	/* Who has lost its pin, and who calls. */
	for (int row = 0; row < 4; row++) {
		int forgetful = row % 2, initiator = row / 2;
		struct peers w;
		peers_init_friends(&w, test_seed() + (uint64_t)row);
		w.has_pin[forgetful] = false;
		peers_make(&w, forgetful);
		size_t blobs = w.blobs;
		peers_begin(&w, initiator);
		peers_run_ms(&w, 2000);
		/* Who remembers is told, whoever called; the other has nothing to decide. */
		assert_refused(&w, 1 - forgetful, PEER_REFUSAL_NO_CONTINUITY);
		if (forgetful == initiator)
			assert_refused(&w, forgetful, PEER_REFUSAL_NO_CONTINUITY);
		else
			assert_int_equal(w.event_count[forgetful], 0);
		/* At once, and nobody goes on trying. */
		assert_int_equal(w.blobs, blobs + 2);
		/* The user decides: meet afresh. */
		peer_forget_pin(w.peers[1 - forgetful]);
		w.event_count[0] = w.event_count[1] = 0;
		peers_begin(&w, initiator);
		peers_run_ms(&w, 200);
		peers_assert_mirrored(&w, true);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

/*
 * Goal:   a first contact that was cut off before its last message is no dead end.
 * Method: the caller has its (tentative) pin and message 3 is lost; then it begins anew over
 *         another channel, as itself and after a restart of the program from what it saved.
 */
static void a_first_contact_may_be_cut_off(void **state)
{
	(void)state;
	for (int row = 0; row < 2; row++) {
		struct peers w;
		peers_init(&w, test_seed() + (uint64_t)row);
		peers_begin(&w, 0);
		for (int step = 0; step < 1000 && w.event_count[0] == 0; step++)
			peers_step(&w);
		assert_int_equal(w.event_count[0], 1);
		assert_true(peers_last_event(&w, 0)->pin.is_tentative);
		peers_save(&w, 0);
		w.pipe_count = 0; /* message 3 among them */
		peers_make(&w, 0);
		if (row == 1)
			peers_make(&w, 1);
		w.event_count[0] = w.event_count[1] = 0;
		peers_begin(&w, 0);
		peers_run_ms(&w, 2000);
		peers_assert_mirrored(&w, true);
		assert_int_equal(w.confirmed[0], 1);
		assert_false(peers_last_event(&w, 0)->pin.is_tentative);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

/* Goal: late copies of a handshake's first message do not pass for a peer that forgot us. */
static void late_first_messages_are_no_refusal(void **state)
{
	struct peer_message message = { .pattern = PEER_PATTERN_XX, .noise_size = X25519_SIZE };
	struct blob blob = { .to = 1 };
	struct peers w;

	(void)state;
	peers_init(&w, test_seed());
	peers_begin(&w, 0);
	peers_run_ms(&w, 500);
	peers_assert_mirrored(&w, true);
	random_fill(&w.random, message.noise, X25519_SIZE); /* of a call that was given up */
	blob.size = peer_message_seal(w.peers[0], WIRE_PEER_1, &message, blob.bytes);
	peers_hear(&w, 1, &blob);
	assert_int_equal(w.event_count[1], 1);
	peers_assert_talk(&w);
	peers_fini(&w);
}

static void refuses_keys_of_another_contact(void **state)
{
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	memset(w.pins[1].psks, 7, sizeof w.pins[1].psks);
	peers_make(&w, 1);
	peers_begin(&w, 0);
	peers_run_ms(&w, 500);
	assert_refused(&w, 0, PEER_REFUSAL_NO_CONTINUITY);
	assert_refused(&w, 1, PEER_REFUSAL_NO_CONTINUITY);
	peers_fini(&w);
}

static void refuses_an_identity_that_is_not_the_id(void **state)
{
	(void)state;
	for (int impostor = 0; impostor < 2; impostor++) {
		struct peers w;
		peers_init(&w, test_seed());
		/* Claims the id, has another key. */
		ed25519_generate(&w.self[impostor].identity, &w.random);
		peers_make(&w, impostor);
		peers_begin(&w, 0);
		peers_run_ms(&w, 500);
		assert_refused(&w, 1 - impostor, PEER_REFUSAL_WRONG_ID);
		peers_fini(&w);
	}
}

static void refuses_a_bad_signature(void **state)
{
	(void)state;
	for (int impostor = 0; impostor < 2; impostor++) {
		struct peers w;
		peers_init(&w, test_seed());
		/* Shows the right public key without its secret. */
		w.self[impostor].identity.seed[0] ^= 1;
		peers_make(&w, impostor);
		peers_begin(&w, 0);
		peers_run_ms(&w, 500);
		assert_refused(&w, 1 - impostor, PEER_REFUSAL_BAD_SIGNATURE);
		peers_fini(&w);
	}
}

/* A signature made for one contact is no good towards another. */
static void signature_names_the_other(void **state)
{
	struct peers w;

	(void)state;
	peers_init(&w, test_seed());
	struct peer_self eve;
	peers_make_self(&w, &eve, "Eve");
	memcpy(w.peers[0]->remote_id, eve.id, PEER_ID_SIZE);
	peer_sign(w.peers[0]);
	memcpy(w.peers[0]->remote_id, w.self[1].id, PEER_ID_SIZE);
	peers_begin(&w, 0);
	peers_run_ms(&w, 500);
	assert_refused(&w, 1, PEER_REFUSAL_BAD_SIGNATURE);
	peers_fini(&w);
}

static void refuses_a_changed_static_key(void **state)
{
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	x25519_generate(&w.self[0].static_key, &w.random);
	peers_make(&w, 0);
	peers_begin(&w, 0);
	peers_run_ms(&w, 500);
	assert_refused(&w, 1, PEER_REFUSAL_CHANGED);
	assert_false(peer_is_secure(w.peers[0]));

	/* A pin without keys of continuity still binds, in first contact too. */
	w.pins[0].psk_count = w.pins[1].psk_count = 0;
	for (int i = 0; i < 2; i++)
		peers_make(&w, i);
	peers_begin(&w, 1);
	peers_run_ms(&w, 500);
	assert_refused(&w, 1, PEER_REFUSAL_CHANGED);
	peers_fini(&w);
}

/* The relay can forge refusals and first messages; the user hears of it once a channel. */
static void refusals_are_told_once(void **state)
{
	uint8_t out[BLOB_SIZE_MAX];
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	peer_begin(w.peers[1], false, w.now_ns);
	for (int i = 0; i < 100; i++) {
		struct peer_message message = { .pattern = PEER_PATTERN_XX,
						.noise_size = X25519_SIZE };
		struct blob blob = { .to = 1 };
		random_fill(&w.random, message.noise, X25519_SIZE);
		blob.size = peer_message_seal(w.peers[0], WIRE_PEER_1, &message, blob.bytes);
		peers_hear(&w, 1, &blob);
		size_t size;
		struct view_out room = { out, sizeof out };
		assert_true(peer_output(w.peers[1], w.now_ns, room, &size));
		assert_false(peer_output(w.peers[1], w.now_ns, room, &size));
	}
	assert_refused(&w, 1, PEER_REFUSAL_NO_CONTINUITY);
	/* None of it is in the way of the real one. */
	w.event_count[1] = 0;
	peers_begin(&w, 0);
	peers_run_ms(&w, 500);
	peers_assert_mirrored(&w, false);
	peers_fini(&w);
}

/* A refusal counts only for the message 1 that it answers. */
static void refusals_of_others_do_not_count(void **state)
{
	struct peer_message message = { .pattern = PEER_PATTERN_NONE };
	struct blob blob = { .to = 0 };
	struct peers w;

	(void)state;
	peers_init_friends(&w, test_seed());
	peers_begin(&w, 0);
	memset(message.psk_ids, 3, sizeof message.psk_ids);
	blob.size = peer_message_seal(w.peers[1], WIRE_PEER_2, &message, blob.bytes);
	peers_hear(&w, 0, &blob);
	assert_int_equal(w.event_count[0], 0);
	memcpy(message.psk_ids, w.peers[0]->call.message.noise, sizeof message.psk_ids);
	blob.size = peer_message_seal(w.peers[1], WIRE_PEER_2, &message, blob.bytes);
	peers_hear(&w, 0, &blob);
	assert_refused(&w, 0, PEER_REFUSAL_NO_CONTINUITY);
	peers_fini(&w);
}

/* ---- damage ---------------------------------------------------------------------------- */

/* The next blob that `from` wants to send. */
static void next_blob(struct peers *w, int from, struct blob *blob)
{
	blob->to = 1 - from;
	assert_true(peer_output(w->peers[from], w->now_ns,
				(struct view_out){ blob->bytes, sizeof blob->bytes }, &blob->size));
}

/* No flipped byte and no cut gets through; the blob itself then does. */
static void assert_only_whole(struct peers *w, const struct blob *blob, enum peer_frame expected)
{
	size_t events = w->event_count[blob->to];

	for (size_t at = 0; at < blob->size; at++) {
		struct blob bad = *blob;
		bad.bytes[at] ^= (uint8_t)(1 << at % 8);
		assert_int_equal(peers_hear(w, blob->to, &bad), PEER_FRAME_NONE);
	}
	for (size_t size = 0; size < blob->size; size++) {
		struct blob bad = *blob;
		bad.size = size;
		assert_int_equal(peers_hear(w, blob->to, &bad), PEER_FRAME_NONE);
	}
	assert_int_equal(w->event_count[blob->to], events);
	assert_false(peer_output(w->peers[blob->to], w->now_ns,
				 (struct view_out){ (uint8_t[BLOB_SIZE_MAX]){ 0 }, BLOB_SIZE_MAX },
				 &(size_t){ 0 }));
	assert_int_equal(peers_hear(w, blob->to, blob), expected);
}

static void damaged_blobs_are_dropped(void **state)
{
	struct peers w;
	struct blob blob;

	(void)state;
	for (int round = 0; round < 2; round++) {
		if (round == 0)
			peers_init(&w, test_seed());
		else
			peers_init_friends(&w, test_seed());
		peers_begin(&w, 0);
		next_blob(&w, 0, &blob);
		assert_only_whole(&w, &blob, PEER_FRAME_NONE);
		next_blob(&w, 1, &blob);
		assert_only_whole(&w, &blob, PEER_FRAME_NONE);
		next_blob(&w, 0, &blob); /* message 3, or the confirmation */
		assert_only_whole(&w, &blob, PEER_FRAME_NONE);
		peers_run_ms(&w, 100);
		peers_assert_mirrored(&w, round == 0);
		for (int i = 0; i < 2; i++) {
			assert_true(peers_seal(&w, i, PEER_FRAME_SCTP, "data", &blob) > 0);
			assert_only_whole(&w, &blob, PEER_FRAME_SCTP);
			assert_int_equal(peers_hear(&w, 1 - i, &blob), PEER_FRAME_NONE); /* again */
		}
		peers_fini(&w);
	}
}

/* Flip each byte inside the seal, which the relay can make: Noise refuses, and waits on. */
static void assert_noise_refuses(struct peers *w, int from, enum wire_kind kind,
				 const struct peer_message *message)
{
	for (size_t at = 0; at < message->noise_size; at++) {
		struct peer_message bad = *message;
		struct blob blob = { .to = 1 - from };
		bad.noise[at] ^= (uint8_t)(1 << at % 8);
		blob.size = peer_message_seal(w->peers[from], kind, &bad, blob.bytes);
		peers_hear(w, 1 - from, &blob);
		assert_int_equal(w->event_count[1 - from], 0);
	}
}

static void forged_messages_are_dropped(void **state)
{
	struct peers w;
	struct blob blob;

	(void)state;
	for (int round = 0; round < 2; round++) {
		bool is_known = round == 1;
		if (is_known)
			peers_init_friends(&w, test_seed());
		else
			peers_init(&w, test_seed());
		peers_begin(&w, 0);
		next_blob(&w, 0, &blob);
		if (is_known) {
			assert_noise_refuses(&w, 0, WIRE_PEER_1, &w.peers[0]->call.message);
			w.now_ns += NS_PER_S;
		}
		peers_hear(&w, 1, &blob);
		next_blob(&w, 1, &blob);
		assert_noise_refuses(&w, 1, WIRE_PEER_2, &w.peers[1]->answer.message);
		peers_hear(&w, 0, &blob);
		next_blob(&w, 0, &blob);
		if (!is_known)
			assert_noise_refuses(&w, 0, WIRE_PEER_3, &w.peers[0]->call.message);
		peers_hear(&w, 1, &blob);
		peers_run_ms(&w, 100);
		peers_assert_mirrored(&w, !is_known);
		peers_assert_talk(&w);
		peers_fini(&w);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(crashes_leave_a_common_key),
	cmocka_unit_test(one_key_alone_is_not_enough),
	cmocka_unit_test(old_messages_change_nothing),
	cmocka_unit_test(lost_continuity_is_told_to_both),
	cmocka_unit_test(refuses_keys_of_another_contact),
	cmocka_unit_test(a_first_contact_may_be_cut_off),
	cmocka_unit_test(late_first_messages_are_no_refusal),
	cmocka_unit_test(refuses_an_identity_that_is_not_the_id),
	cmocka_unit_test(refuses_a_bad_signature),
	cmocka_unit_test(signature_names_the_other),
	cmocka_unit_test(refuses_a_changed_static_key),
	cmocka_unit_test(refusals_are_told_once),
	cmocka_unit_test(refusals_of_others_do_not_count),
	cmocka_unit_test(damaged_blobs_are_dropped),
	cmocka_unit_test(forged_messages_are_dropped),
};

CRYPTO_TESTS(TESTS)
