/* Compromised reports: the signed frame, the keeper's look at it, and what a relay remembers. */
#include "core/burn.h"

#include "relay/burn_ledger.h"
#include "tests/support/lobby.h"

#define HOUR_NS (3600 * NS_PER_S)

/* ---- the frame --------------------------------------------------------------------------- */

struct signer {
	struct ed25519_pair identity;
	uint8_t server_id[SERVER_ID_SIZE], device_id[DEVICE_ID_SIZE];
	uint64_t wall_ns;
};

static struct wire_burn make_burn(const struct signer *s)
{
	struct wire_burn burn = { .scope = SCOPE_FILE,
				  .reason_size = 4,
				  .time_ns = store_le64(s->wall_ns),
				  .reason = "lost" };
	memcpy(burn.server_id, s->server_id, SERVER_ID_SIZE);
	memcpy(burn.device_id, s->device_id, DEVICE_ID_SIZE);
	burn_sign(&burn, &s->identity);
	return burn;
}

static struct signer make_signer(void)
{
	struct signer s = { .wall_ns = UINT64_C(1790000000) * NS_PER_S };
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());
	ed25519_generate(&s.identity, &random);
	random_fill(&random, s.server_id, sizeof s.server_id);
	random_fill(&random, s.device_id, sizeof s.device_id);
	return s;
}

static bool is_genuine(const struct signer *s, const struct wire_burn *burn)
{
	const struct burn_expected expected = { .server_id = s->server_id,
						.device_id = s->device_id,
						.identity = s->identity.public,
						.wall_ns = s->wall_ns };
	return burn_is_genuine(burn, &expected);
}

static void every_bit_is_signed(void **state)
{
	struct signer s = make_signer();
	struct wire_burn burn = make_burn(&s);

	(void)state;
	assert_true(is_genuine(&s, &burn));
	for (size_t bit = 0; bit < sizeof burn * 8; bit++) {
		((uint8_t *)&burn)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(is_genuine(&s, &burn));
		((uint8_t *)&burn)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(is_genuine(&s, &burn));
}

static void a_report_of_somebody_else_is_refused(void **state)
{
	struct signer s = make_signer(), other = s;
	struct wire_burn burn = make_burn(&s);

	(void)state;
	other.server_id[0] ^= 1;
	assert_false(is_genuine(&other, &burn));
	other = s;
	other.device_id[0] ^= 1;
	assert_false(is_genuine(&other, &burn));
	other = s;
	other.identity.seed[0] ^= 1;
	ed25519_derive_public(&other.identity);
	assert_false(is_genuine(&other, &burn));
}

static void a_report_has_its_time_and_form(void **state)
{
	struct signer s = make_signer(), later = s;
	struct wire_burn burn = make_burn(&s);

	(void)state;
	later.wall_ns = s.wall_ns + HANDSHAKE_CLOCK_NS;
	assert_true(is_genuine(&later, &burn));
	later.wall_ns++;
	assert_false(is_genuine(&later, &burn));
	later.wall_ns = s.wall_ns - HANDSHAKE_CLOCK_NS - 1;
	assert_false(is_genuine(&later, &burn));
	/* Well signed, but malformed. */
	burn.scope = 0;
	burn_sign(&burn, &s.identity);
	assert_false(is_genuine(&s, &burn));
	burn.scope = SCOPE_SERVER + 1;
	burn_sign(&burn, &s.identity);
	assert_false(is_genuine(&s, &burn));
	burn.scope = SCOPE_FILE;
	burn.reason_size = 3; /* a byte behind the reason */
	burn_sign(&burn, &s.identity);
	assert_false(is_genuine(&s, &burn));
	burn.reason_size = BURN_REASON_MAX + 1;
	burn_sign(&burn, &s.identity);
	assert_false(is_genuine(&s, &burn));
}

/* ---- the keeper -------------------------------------------------------------------------- */

static struct wire_burn burn_of(const struct lobby *l, uint32_t client)
{
	const struct hello_config *hello = &l->clients[client].hello;
	struct wire_burn burn = { .scope = SCOPE_FILE,
				  .reason_size = 4,
				  .time_ns = store_le64(l->now.wall_ns),
				  .nonce = { 7 },
				  .reason = "lost" };
	memcpy(burn.server_id, hello->server_id, SERVER_ID_SIZE);
	device_id_of(hello->device.public, burn.device_id);
	burn_sign(&burn, &hello->identity);
	return burn;
}

static void say_burn(struct lobby *l, uint32_t client, const struct wire_burn *burn)
{
	lobby_say(l, client, FRAME_BURN, burn, sizeof *burn);
	lobby_wait(l, 20 * NS_PER_MS); /* the keeper looks at one in 10 ms */
}

static void the_keeper_passes_genuine_ones_on(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 2 });
	struct keeper_event event;

	(void)state;
	lobby_connect(l, 0);
	lobby_connect(l, 1);
	struct wire_burn burn = burn_of(l, 0);
	say_burn(l, 1, &burn); /* by another device's session */
	assert_int_equal(lobby_events(l, KEEPER_BURN, &event), 0);
	assert_int_equal(keeper_stats(l->keeper)->burns_refused, 1);
	say_burn(l, 0, &burn);
	assert_int_equal(lobby_events(l, KEEPER_BURN, &event), 1);
	assert_int_equal(event.scope, SCOPE_FILE);
	assert_string_equal(event.text, "lost");
	assert_memory_equal(event.nonce, burn.nonce, BURN_NONCE_SIZE);
	assert_memory_equal(event.device, burn.device_id, DEVICE_ID_SIZE);

	assert_true(keeper_answer_burn(l->keeper, event.session, event.nonce, BURN_DONE, l->now));
	lobby_run(l);
	const struct lobby_frame *f = lobby_take(l, 0, FRAME_BURN_ACK);
	assert_non_null(f);
	assert_memory_equal(f->body, burn.nonce, BURN_NONCE_SIZE);
	event.session.generation++;
	assert_false(keeper_answer_burn(l->keeper, event.session, event.nonce, BURN_DONE, l->now));
	lobby_destroy(l);
}

/* The answer comes when the disk has it, and by then the session is stopped. */
static void a_stopped_session_is_answered(void **state)
{
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 1 });
	const struct keeper_match match = { .kind = MATCH_ALL };
	struct keeper_event event;

	(void)state;
	lobby_connect(l, 0);
	struct wire_burn burn = burn_of(l, 0);
	say_burn(l, 0, &burn);
	assert_int_equal(lobby_events(l, KEEPER_BURN, &event), 1);
	assert_int_equal(keeper_stop_matching(l->keeper, &match, l->now), 1);
	lobby_wait(l, NS_PER_S);
	assert_null(lobby_take(l, 0, FRAME_BURN_ACK));
	assert_true(keeper_answer_burn(l->keeper, event.session, event.nonce, BURN_DONE, l->now));
	lobby_run(l);
	assert_non_null(lobby_take(l, 0, FRAME_BURN_ACK));
	lobby_destroy(l);
}

/*
 * Goal:   who makes reports up does not crowd out the genuine ones of others.
 * Method: one session sends as many as it likes; the keeper looks at one report in 10 ms.
 */
static void made_up_reports_are_looked_at_once(void **state)
{
	enum { MADE_UP = 50 };
	struct lobby *l = lobby_create(&(struct lobby_config){ .clients = 2 });
	struct keeper_event event;

	(void)state;
	lobby_connect(l, 0);
	lobby_connect(l, 1);
	struct wire_burn burn = burn_of(l, 0), false_one = burn_of(l, 1);
	false_one.signature[0] ^= 1;
	say_burn(l, 1, &false_one);
	for (unsigned i = 0; i < MADE_UP; i++)
		lobby_say(l, 1, FRAME_BURN, &false_one, sizeof false_one);
	lobby_say(l, 0, FRAME_BURN, &burn, sizeof burn);
	lobby_wait(l, 20 * NS_PER_MS);
	assert_int_equal(keeper_stats(l->keeper)->burns_refused, MADE_UP + 1);
	assert_int_equal(lobby_events(l, KEEPER_BURN, &event), 1);
	assert_memory_equal(event.device, burn.device_id, DEVICE_ID_SIZE);
	/* A good one of its own does not help it, but in a new session it does. */
	false_one = burn_of(l, 1);
	say_burn(l, 1, &false_one);
	assert_int_equal(lobby_events(l, KEEPER_BURN, NULL), 1);
	lobby_connect(l, 1);
	false_one = burn_of(l, 1);
	say_burn(l, 1, &false_one);
	assert_int_equal(lobby_events(l, KEEPER_BURN, NULL), 2);
	lobby_destroy(l);
}

/* ---- the relay's memory ------------------------------------------------------------------ */

static void copies_are_known(void **state)
{
	static struct burn_ledger ledger;
	uint8_t nonce[BURN_NONCE_SIZE] = { 0 }, status = 9;

	(void)state;
	assert_false(burn_ledger_find(&ledger, nonce, &status));
	for (unsigned i = 0; i < BURNS_REMEMBERED + 1; i++) {
		memcpy(nonce, &i, sizeof i);
		burn_ledger_note(&ledger, nonce, i % 2 == 0 ? BURN_DONE : BURN_NARROWED);
		assert_true(burn_ledger_find(&ledger, nonce, &status));
		assert_int_equal(status, i % 2 == 0 ? BURN_DONE : BURN_NARROWED);
	}
	memset(nonce, 0, sizeof nonce);
	assert_false(burn_ledger_find(&ledger, nonce, &status)); /* the oldest gave way */
}

/*
 * Goal:   a thief with a file cannot empty the relay: no server, and few files an hour.
 */
static void reports_are_narrowed(void **state)
{
	static struct burn_ledger ledger;
	struct burn_policy policy = { .files_per_hour = 2 };
	uint64_t now_ns = NS_PER_S;

	(void)state;
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_SERVER, now_ns),
			 COMPROMISED_FILE);
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_DEVICE, now_ns),
			 COMPROMISED_DEVICE);
	burn_ledger_count(&ledger, now_ns);
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_FILE, now_ns), COMPROMISED_FILE);
	burn_ledger_count(&ledger, now_ns + 1);
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_FILE, now_ns + 1),
			 COMPROMISED_DEVICE);
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_SERVER, now_ns + 1),
			 COMPROMISED_DEVICE);
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_FILE, now_ns + HOUR_NS),
			 COMPROMISED_FILE);
	policy.may_burn_server = true;
	assert_int_equal(burn_ledger_scope(&ledger, &policy, SCOPE_SERVER, now_ns + 1),
			 COMPROMISED_SERVER);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(every_bit_is_signed),
	cmocka_unit_test(a_report_of_somebody_else_is_refused),
	cmocka_unit_test(a_report_has_its_time_and_form),
	cmocka_unit_test(the_keeper_passes_genuine_ones_on),
	cmocka_unit_test(a_stopped_session_is_answered),
	cmocka_unit_test(made_up_reports_are_looked_at_once),
	cmocka_unit_test(copies_are_known),
	cmocka_unit_test(reports_are_narrowed),
};

CRYPTO_TESTS(TESTS)
