/* Handshake bodies: both sides against each other, and against everything that is not right. */
#include "core/hello.h"

#include "tests/support/crypto.h"

enum { PLAIN_ROOM = HELLO_SIZE_LAST };

static const uint64_t TIMESTAMP_NS = UINT64_C(1790000000123456789);
static const uint8_t PSK[KEY_SIZE] = { 0x50, 0x51 };

/* One client and one relay that fit each other. */
struct pair {
	struct random_seeded seeded;
	struct random_source random;
	struct hello_config client;
	struct hello_server server;
	struct noise client_noise, server_noise;
	uint8_t hello[PLAIN_ROOM];
	struct view hello_plain;
};

static void pair_init(struct pair *p, enum wire_credential credential)
{
	memset(p, 0, sizeof *p);
	p->random = random_seeded_init(&p->seeded, test_seed());
	random_fill(&p->random, p->server.server_id, sizeof p->server.server_id);
	x25519_generate(&p->server.static_key, &p->random);
	p->client.credential = credential;
	memcpy(p->client.psk, PSK, sizeof PSK);
	memcpy(p->client.server_id, p->server.server_id, SERVER_ID_SIZE);
	memcpy(p->client.server_public, p->server.static_key.public, X25519_SIZE);
	x25519_generate(&p->client.device, &p->random);
	ed25519_generate(&p->client.identity, &p->random);
	name_tag_of(p->server.server_id, VIEW_STRING("alice"), p->client.name_tag);
	if (credential == CREDENTIAL_DEVICE)
		device_id_of(p->client.device.public, p->client.id);
	else
		memset(p->client.id, 0xf1, sizeof p->client.id);
}

static void write_hello(struct pair *p, const uint8_t *cookie)
{
	size_t size = hello_write(&p->client_noise, &p->client, TIMESTAMP_NS, cookie, &p->random,
				  (struct view_out){ .data = p->hello, .capacity = PLAIN_ROOM });
	assert_in_range(size, HELLO_SIZE_MIN - WIRE_OVERHEAD, HELLO_SIZE_LAST - WIRE_OVERHEAD);
	p->hello_plain = view_of(p->hello, size);
}

static bool read_hello(struct pair *p, struct hello_request *request)
{
	if (!hello_read(&p->server_noise, &p->server, p->hello_plain, &p->random, request))
		return false;
	if (hello_is_signed(&p->server_noise, request))
		return true;
	noise_fini(&p->server_noise);
	return false;
}

static struct wire_welcome_payload welcome_of(enum wire_status status)
{
	return (struct wire_welcome_payload){
		.status = (uint8_t)status,
		.slot = store_le32(7),
		.generation = store_le32(0xdeadbeef),
		.server_time_ns = store_le64(TIMESTAMP_NS + 1),
	};
}

/* The relay's answer, as far as the client's hello_finish(). */
static bool answer_and_finish(struct pair *p, enum wire_status status, const uint8_t psk[KEY_SIZE],
			      struct noise_result keys[2])
{
	struct wire_welcome_payload sent = welcome_of(status), got;
	struct hello_request request;
	uint8_t plain[PLAIN_ROOM];

	assert_true(read_hello(p, &request));
	size_t size = hello_answer(&p->server_noise, psk, &sent, HELLO_SIZE_MIN,
				   (struct view_out){ .data = plain, .capacity = sizeof plain },
				   &keys[0]);
	assert_in_range(size, sizeof(struct wire_welcome) + WELCOME_NOISE_SIZE,
			HELLO_SIZE_MIN - WIRE_OVERHEAD);
	if (!hello_finish(&p->client_noise, view_of(plain, size), &got, &keys[1]))
		return false;
	assert_memory_equal(&got, &sent, sizeof got);
	return true;
}

static void both_sides_agree(void **state)
{
	static const enum wire_credential credentials[] = { CREDENTIAL_FILE, CREDENTIAL_DEVICE };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(credentials); i++) {
		struct pair p;
		struct hello_request request;
		struct noise_result keys[2];

		pair_init(&p, credentials[i]);
		write_hello(&p, NULL);
		assert_true(read_hello(&p, &request));
		noise_fini(&p.server_noise);
		assert_int_equal(request.payload.credential, credentials[i]);
		assert_memory_equal(request.payload.id, p.client.id, FILE_ID_SIZE);
		assert_memory_equal(request.payload.identity, p.client.identity.public,
				    ED25519_PUBLIC_SIZE);
		assert_memory_equal(request.payload.name_tag, p.client.name_tag, NAME_TAG_SIZE);
		assert_memory_equal(request.device_public, p.client.device.public, X25519_SIZE);
		assert_true(request.timestamp_ns == TIMESTAMP_NS);

		assert_true(answer_and_finish(&p, STATUS_OK, PSK, keys));
		assert_memory_equal(keys[0].send_key, keys[1].receive_key, KEY_SIZE);
		assert_memory_equal(keys[0].receive_key, keys[1].send_key, KEY_SIZE);
		assert_memory_equal(keys[0].exporter, keys[1].exporter, KEY_SIZE);
		assert_memory_equal(keys[0].hash, keys[1].hash, HASH_SIZE);
		assert_memory_not_equal(keys[0].send_key, keys[0].receive_key, KEY_SIZE);
	}
}

/* A refusal is as authentic as a welcome, and gives keys to nobody. */
static void a_refusal_makes_no_keys(void **state)
{
	static const struct noise_result none;
	struct noise_result keys[2];
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	write_hello(&p, NULL);
	assert_true(answer_and_finish(&p, STATUS_EXPIRED, PSK, keys));
	assert_memory_equal(&keys[0], &none, sizeof none);
	assert_memory_equal(&keys[1], &none, sizeof none);
}

static void another_psk_is_refused_by_the_client(void **state)
{
	static const uint8_t other[KEY_SIZE] = { 0x50, 0x52 };
	struct noise_result keys[2];
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	write_hello(&p, NULL);
	assert_false(answer_and_finish(&p, STATUS_OK, other, keys));
	/* The forgery has cost nothing: the true answer is still taken. */
	assert_true(answer_and_finish(&p, STATUS_OK, PSK, keys));
}

static void changes_of_the_parties_are_refused(void **state)
{
	(void)state;
	for (int row = 0; row < 5; row++) {
		struct hello_request request;
		struct pair p;

		pair_init(&p, row == 3 ? CREDENTIAL_DEVICE : CREDENTIAL_FILE);
		switch (row) {
		case 0: /* meant for another relay key */ p.client.server_public[0] ^= 1; break;
		case 1: /* meant for another installation */ p.client.server_id[0] ^= 1; break;
		case 2: /* signed by another identity than the one it names */
			p.client.identity.public[0] ^= 1;
			break;
		case 3: /* somebody else's device id */ p.client.id[DEVICE_ID_SIZE - 1] ^= 1; break;
		case 4: /* a credential of no known kind */
			p.client.credential = (enum wire_credential)3;
			break;
		}
		write_hello(&p, NULL);
		assert_false(read_hello(&p, &request));
	}
}

/* A HELLO with a payload of the test's choice, in a handshake that is otherwise right. The
 * signature is made anew for it, or is left as the payload has it. */
static void forge_hello(struct pair *p, struct wire_hello_payload *payload, bool is_signed)
{
	uint8_t prologue[sizeof(PROTOCOL_NAME) - 1 + SERVER_ID_SIZE];
	uint8_t part[16 + HASH_SIZE] = "ClawChat/3 hello";
	uint8_t *message = p->hello + sizeof(struct wire_hello);
	struct noise forger;
	size_t size = 0;

	memcpy(prologue, PROTOCOL_NAME, sizeof(PROTOCOL_NAME) - 1);
	memcpy(prologue + sizeof(PROTOCOL_NAME) - 1, p->server.server_id, SERVER_ID_SIZE);
	noise_init(&forger, &(struct noise_config){
				    .pattern = &NOISE_IKPSK2,
				    .is_initiator = true,
				    .prologue = VIEW(prologue),
				    .static_key = &p->client.device,
				    .remote_static = p->client.server_public,
				    .psks = { PSK },
				    .random = &p->random,
			    });
	assert_true(noise_write_tokens(&forger, message, HELLO_NOISE_SIZE, &size));
	memcpy(part + 16, forger.payload_hash, HASH_SIZE);
	if (is_signed)
		ed25519_sign(&p->client.identity, VIEW(part), payload->signature);
	assert_true(noise_write_payload(&forger, view_of(payload, sizeof *payload), message,
					HELLO_NOISE_SIZE, &size));
	noise_fini(&forger);
}

/* The payload of an ordinary HELLO of this client. */
static struct wire_hello_payload payload_of(struct pair *p)
{
	struct hello_request request;

	write_hello(p, NULL);
	assert_true(read_hello(p, &request));
	noise_fini(&p->server_noise);
	noise_fini(&p->client_noise);
	return request.payload;
}

/* A signature over this handshake says nothing in another one, even of the same client. */
static void a_signature_is_good_for_one_handshake(void **state)
{
	struct wire_hello_payload payload;
	struct hello_request request;
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	payload = payload_of(&p);
	forge_hello(&p, &payload, false);
	assert_false(read_hello(&p, &request));
	forge_hello(&p, &payload, true);
	assert_true(read_hello(&p, &request));
	noise_fini(&p.server_noise);
}

/* Bytes of the payload that make it malformed although all is signed and authentic. */
static void odd_payloads_are_refused(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} rows[] = {
		{ offsetof(struct wire_hello_payload, zero), 1 },
		{ offsetof(struct wire_hello_payload, datagram_max) + 1, 1 },    /* under 512 */
		{ offsetof(struct wire_hello_payload, timestamp_s) + 7, 0xff },  /* overflow */
		{ offsetof(struct wire_hello_payload, timestamp_ns) + 3, 0xff }, /* over a second */
	};

	(void)state;
	for (size_t i = 0; i <= COUNT_OF(rows); i++) {
		struct wire_hello_payload payload;
		struct hello_request request;
		struct pair p;

		pair_init(&p, CREDENTIAL_FILE);
		payload = payload_of(&p);
		if (i < COUNT_OF(rows))
			((uint8_t *)&payload)[rows[i].offset] = rows[i].value;
		forge_hello(&p, &payload, true);
		assert_int_equal(read_hello(&p, &request), i == COUNT_OF(rows));
		noise_fini(&p.server_noise);
	}
}

/* Goal: no cut and no flipped bit passes. Method: every size, every byte, one bit each. The
 * cookie MAC is not Noise's matter, so flips there are left out. */
static void a_hello_is_refused_when_cut_or_flipped(void **state)
{
	struct hello_request request;
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	write_hello(&p, NULL);
	const struct view whole = p.hello_plain;
	const size_t used = sizeof(struct wire_hello) + HELLO_NOISE_SIZE;
	for (size_t size = 0; size < HELLO_SIZE_MIN - WIRE_OVERHEAD; size++) {
		p.hello_plain = view_of(whole.data, size);
		assert_false(hello_is_well_formed(p.hello_plain));
		assert_false(read_hello(&p, &request));
	}
	p.hello_plain = whole;
	for (size_t i = 0; i < whole.size; i++) {
		if (i >= 4 && i < sizeof(struct wire_hello))
			continue;
		p.hello[i] ^= (uint8_t)(1 << i % 8);
		assert_false(read_hello(&p, &request));
		assert_int_equal(hello_is_well_formed(whole),
				 i >= sizeof(struct wire_hello) && i < used);
		p.hello[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(read_hello(&p, &request));
	noise_fini(&p.server_noise);
	noise_fini(&p.client_noise);
}

static void a_welcome_is_refused_when_cut_or_flipped(void **state)
{
	struct wire_welcome_payload sent = welcome_of(STATUS_OK), got;
	uint8_t plain[PLAIN_ROOM];
	struct hello_request request;
	struct noise_result keys;
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	write_hello(&p, NULL);
	assert_true(read_hello(&p, &request));
	const size_t size = hello_answer(&p.server_noise, PSK, &sent, HELLO_SIZE_MIN,
					 (struct view_out){ plain, sizeof plain }, &keys);
	const size_t used = sizeof(struct wire_welcome) + WELCOME_NOISE_SIZE;
	assert_true(size >= used);
	for (size_t cut = 0; cut < used; cut++)
		assert_false(hello_finish(&p.client_noise, view_of(plain, cut), &got, &keys));
	for (size_t i = 0; i < size; i++) {
		plain[i] ^= (uint8_t)(1 << i % 8);
		assert_false(hello_finish(&p.client_noise, view_of(plain, size), &got, &keys));
		plain[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(hello_finish(&p.client_noise, view_of(plain, size), &got, &keys));
}

static void a_cookie_is_good_for_its_own_hello(void **state)
{
	static const uint8_t cookie[COOKIE_SIZE] = { 1, 2, 3 }, other[COOKIE_SIZE] = { 1, 2, 4 };
	uint8_t mac[COOKIE_SIZE];
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	write_hello(&p, NULL);
	assert_false(hello_has_cookie(p.hello_plain, cookie));
	write_hello(&p, cookie);
	assert_true(hello_has_cookie(p.hello_plain, cookie));
	assert_false(hello_has_cookie(p.hello_plain, other));

	memcpy(mac, p.hello + offsetof(struct wire_hello, cookie_mac), sizeof mac);
	write_hello(&p, NULL);
	memcpy(p.hello + offsetof(struct wire_hello, cookie_mac), mac, sizeof mac);
	assert_false(hello_has_cookie(p.hello_plain, cookie));
	noise_fini(&p.client_noise);
}

/* Fresh ephemerals and sizes: two HELLOs of one client have nothing to be known by. */
static void every_hello_is_fresh(void **state)
{
	enum { ROUNDS = 64 };
	uint64_t ids[ROUNDS];
	size_t smallest = SIZE_MAX, largest = 0;
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	for (size_t i = 0; i < ROUNDS; i++) {
		write_hello(&p, NULL);
		ids[i] = hello_ephemeral_id(p.hello_plain);
		assert_true(ids[i] == hello_ephemeral_id(p.hello_plain));
		for (size_t j = 0; j < i; j++)
			assert_true(ids[i] != ids[j]);
		smallest = p.hello_plain.size < smallest ? p.hello_plain.size : smallest;
		largest = p.hello_plain.size > largest ? p.hello_plain.size : largest;
	}
	assert_true(largest - smallest > (HELLO_SIZE_LAST - HELLO_SIZE_MIN) / 2);
	noise_fini(&p.client_noise);
}

static void a_small_buffer_or_key_is_refused(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, CREDENTIAL_FILE);
	assert_int_equal(hello_write(&p.client_noise, &p.client, TIMESTAMP_NS, NULL, &p.random,
				     (struct view_out){ p.hello,
							HELLO_SIZE_LAST - WIRE_OVERHEAD - 1 }),
			 0);
	memset(p.client.server_public, 0, X25519_SIZE);
	assert_int_equal(hello_write(&p.client_noise, &p.client, TIMESTAMP_NS, NULL, &p.random,
				     (struct view_out){ p.hello, PLAIN_ROOM }),
			 0);
}

/* Ids of different kinds differ even for the same bytes, and depend on every input. */
static void ids_are_told_apart(void **state)
{
	static const uint8_t key[32] = { 7 };
	uint8_t device[DEVICE_ID_SIZE], peer[PEER_ID_SIZE], tags[3][NAME_TAG_SIZE];

	(void)state;
	device_id_of(key, device);
	peer_id_of(key, peer);
	assert_memory_not_equal(device, peer, DEVICE_ID_SIZE);
	name_tag_of(key, VIEW_STRING("bob"), tags[0]);
	name_tag_of(key, VIEW_STRING("bop"), tags[1]);
	name_tag_of(device, VIEW_STRING("bob"), tags[2]);
	assert_memory_not_equal(tags[0], tags[1], NAME_TAG_SIZE);
	assert_memory_not_equal(tags[0], tags[2], NAME_TAG_SIZE);
}

/*
 * Goal:   a relay that has erased a revoked PSK can still say so, and nothing else.
 * Method: every status under a PSK of zeros; then the true answer is still taken.
 */
static void only_a_revocation_is_taken_without_the_psk(void **state)
{
	static const uint8_t erased[KEY_SIZE];
	struct noise_result keys[2], none = { 0 };
	struct pair p;

	(void)state;
	for (enum wire_status status = STATUS_OK; status <= STATUS_DRAINING; status++) {
		pair_init(&p, CREDENTIAL_FILE);
		write_hello(&p, NULL);
		bool is_taken = answer_and_finish(&p, status, erased, keys);
		assert_int_equal(is_taken, status == STATUS_REVOKED);
		assert_memory_equal(&keys[1], &none, sizeof none);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(both_sides_agree),
	cmocka_unit_test(a_refusal_makes_no_keys),
	cmocka_unit_test(another_psk_is_refused_by_the_client),
	cmocka_unit_test(only_a_revocation_is_taken_without_the_psk),
	cmocka_unit_test(changes_of_the_parties_are_refused),
	cmocka_unit_test(a_signature_is_good_for_one_handshake),
	cmocka_unit_test(odd_payloads_are_refused),
	cmocka_unit_test(a_hello_is_refused_when_cut_or_flipped),
	cmocka_unit_test(a_welcome_is_refused_when_cut_or_flipped),
	cmocka_unit_test(a_cookie_is_good_for_its_own_hello),
	cmocka_unit_test(every_hello_is_fresh),
	cmocka_unit_test(a_small_buffer_or_key_is_refused),
	cmocka_unit_test(ids_are_told_apart),
};

CRYPTO_TESTS(TESTS)
