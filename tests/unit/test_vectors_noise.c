/*
 * Noise against the transcripts of cacophony, snow and noise-c: every fundamental, deferred
 * and one-way pattern, with PSKs where the name says so. The interpreter that runs the
 * product's three patterns runs them all, over the table below.
 */
#include "crypto/aead.h"
#include "crypto/noise.h"
#include "tests/support/crypto.h"
#include "tests/support/vectors.h"

enum { TOKENS_MAX = 32 };

/* Section 7 and appendix 18.1 of the specification: name, what is known beforehand of the
 * initiator and of the responder, messages. */
static const struct noise_pattern BASE_PATTERNS[] = {
	{ "N", NULL, "s", { "e,es" } },
	{ "K", "s", "s", { "e,es,ss" } },
	{ "X", NULL, "s", { "e,es,s,ss" } },

	{ "NN", NULL, NULL, { "e", "e,ee" } },
	{ "NK", NULL, "s", { "e,es", "e,ee" } },
	{ "NX", NULL, NULL, { "e", "e,ee,s,es" } },
	{ "XN", NULL, NULL, { "e", "e,ee", "s,se" } },
	{ "XK", NULL, "s", { "e,es", "e,ee", "s,se" } },
	{ "XX", NULL, NULL, { "e", "e,ee,s,es", "s,se" } },
	{ "KN", "s", NULL, { "e", "e,ee,se" } },
	{ "KK", "s", "s", { "e,es,ss", "e,ee,se" } },
	{ "KX", "s", NULL, { "e", "e,ee,se,s,es" } },
	{ "IN", NULL, NULL, { "e,s", "e,ee,se" } },
	{ "IK", NULL, "s", { "e,es,s,ss", "e,ee,se" } },
	{ "IX", NULL, NULL, { "e,s", "e,ee,se,s,es" } },

	{ "NK1", NULL, "s", { "e", "e,ee,es" } },
	{ "NX1", NULL, NULL, { "e", "e,ee,s", "es" } },
	{ "X1N", NULL, NULL, { "e", "e,ee", "s", "se" } },
	{ "X1K", NULL, "s", { "e,es", "e,ee", "s", "se" } },
	{ "XK1", NULL, "s", { "e", "e,ee,es", "s,se" } },
	{ "X1K1", NULL, "s", { "e", "e,ee,es", "s", "se" } },
	{ "X1X", NULL, NULL, { "e", "e,ee,s,es", "s", "se" } },
	{ "XX1", NULL, NULL, { "e", "e,ee,s", "es,s,se" } },
	{ "X1X1", NULL, NULL, { "e", "e,ee,s", "es,s", "se" } },
	{ "K1N", "s", NULL, { "e", "e,ee", "se" } },
	{ "K1K", "s", "s", { "e,es", "e,ee", "se" } },
	{ "KK1", "s", "s", { "e", "e,ee,se,es" } },
	{ "K1K1", "s", "s", { "e", "e,ee,es", "se" } },
	{ "K1X", "s", NULL, { "e", "e,ee,s,es", "se" } },
	{ "KX1", "s", NULL, { "e", "e,ee,se,s", "es" } },
	{ "K1X1", "s", NULL, { "e", "e,ee,s", "se,es" } },
	{ "I1N", NULL, NULL, { "e,s", "e,ee", "se" } },
	{ "I1K", NULL, "s", { "e,es,s", "e,ee", "se" } },
	{ "IK1", NULL, "s", { "e,s", "e,ee,se,es" } },
	{ "I1K1", NULL, "s", { "e,s", "e,ee,es", "se" } },
	{ "I1X", NULL, NULL, { "e,s", "e,ee,s,es", "se" } },
	{ "IX1", NULL, NULL, { "e,s", "e,ee,se,s", "es" } },
	{ "I1X1", NULL, NULL, { "e,s", "e,ee,s", "se,es" } },
};

/* A pattern made from its name, with the memory for its strings. */
struct built {
	struct noise_pattern pattern;
	char name[TOKENS_MAX];
	char messages[NOISE_MESSAGES_MAX][TOKENS_MAX];
};

/* psk0 comes before the first message's tokens, pskN after the Nth's (section 9.4). */
static void add_psk(struct built *b, size_t number)
{
	char tokens[TOKENS_MAX];
	char *message = b->messages[number == 0 ? 0 : number - 1];

	memcpy(tokens, message, sizeof tokens);
	snprintf(message, TOKENS_MAX, number == 0 ? "psk,%.20s" : "%.20s,psk", tokens);
}

static void build(struct built *b, const char *protocol_name)
{
	const struct noise_pattern *base = NULL;
	const char *name = protocol_name + strlen("Noise_");
	size_t size = strcspn(name, "_");

	assert_true(size < sizeof b->name);
	memset(b, 0, sizeof *b);
	memcpy(b->name, name, size);
	const char *modifiers = strstr(b->name, "psk");
	size_t base_size = modifiers != NULL ? (size_t)(modifiers - b->name) : size;
	for (size_t i = 0; i < COUNT_OF(BASE_PATTERNS); i++)
		if (strlen(BASE_PATTERNS[i].name) == base_size &&
		    memcmp(BASE_PATTERNS[i].name, b->name, base_size) == 0)
			base = &BASE_PATTERNS[i];
	if (base == NULL)
		fail_msg("%s is not in the table", protocol_name);

	b->pattern = *base;
	b->pattern.name = b->name;
	for (size_t i = 0; i < NOISE_MESSAGES_MAX && base->messages[i] != NULL; i++) {
		snprintf(b->messages[i], TOKENS_MAX, "%s", base->messages[i]);
		b->pattern.messages[i] = b->messages[i];
	}
	for (const char *at = modifiers; at != NULL; at = strstr(at + 1, "psk"))
		add_psk(b, (size_t)(at[strlen("psk")] - '0'));
}

/* One side of a transcript, with the memory for what its config points to. */
struct side {
	struct noise noise;
	struct noise_result result;
	struct x25519_pair static_key, ephemeral;
	struct blob prologue, remote_static, psks[NOISE_PSKS_MAX];
	uint64_t sent, received;
};

static bool pair_of(struct x25519_pair *pair, const json_t *vector, const char *key)
{
	struct blob secret;

	if (json_object_get(vector, key) == NULL)
		return false;
	blob_of_json(&secret, vector, key);
	assert_int_equal(secret.size, X25519_SIZE);
	memcpy(pair->secret, secret.data, X25519_SIZE);
	x25519_derive_public(pair);
	return true;
}

static const char *field(const char *prefix, const char *name)
{
	static char text[64];

	snprintf(text, sizeof text, "%s_%s", prefix, name);
	return text;
}

static void side_init(struct side *s, const json_t *vector, const char *prefix,
		      const struct noise_pattern *pattern)
{
	struct noise_config config = { .pattern = pattern };
	size_t at;
	json_t *psk;

	s->sent = s->received = 0;
	config.is_initiator = strcmp(prefix, "init") == 0;
	blob_of_json(&s->prologue, vector, field(prefix, "prologue"));
	config.prologue = blob_view(&s->prologue);
	if (pair_of(&s->static_key, vector, field(prefix, "static")))
		config.static_key = &s->static_key;
	if (pair_of(&s->ephemeral, vector, field(prefix, "ephemeral")))
		config.fixed_ephemeral = &s->ephemeral;
	if (json_object_get(vector, field(prefix, "remote_static")) != NULL) {
		blob_of_json(&s->remote_static, vector, field(prefix, "remote_static"));
		config.remote_static = s->remote_static.data;
	}
	json_array_foreach(json_object_get(vector, field(prefix, "psks")), at, psk)
	{
		assert_true(at < NOISE_PSKS_MAX);
		blob_of(&s->psks[at], json_string_value(psk));
		config.psks[at] = s->psks[at].data;
	}
	noise_init(&s->noise, &config);
}

static void check_handshake(struct side *from, struct side *to, const struct blob *payload,
			    const struct blob *expected)
{
	static uint8_t wire[BLOB_MAX], opened[BLOB_MAX];
	size_t size = 0, opened_size = 0;

	assert_true(noise_write(&from->noise, blob_view(payload), wire, sizeof wire, &size));
	assert_int_equal(size, expected->size);
	assert_memory_equal(wire, expected->data, size);
	assert_true(
		noise_read(&to->noise, view_of(wire, size), opened, sizeof opened, &opened_size));
	assert_int_equal(opened_size, payload->size);
	assert_memory_equal(opened, payload->data, opened_size);
}

/* After Split: AES-GCM with a counter from 0 in each direction, no associated data. */
static void check_transport(struct side *from, struct side *to, const struct blob *payload,
			    const struct blob *expected)
{
	static uint8_t wire[BLOB_MAX], opened[BLOB_MAX];
	uint8_t nonce[AEAD_NONCE_SIZE] = { 0 };

	assert_true(from->sent < 256);
	assert_int_equal(from->sent, to->received);
	nonce[AEAD_NONCE_SIZE - 1] = (uint8_t)from->sent;
	from->sent++;
	to->received++;
	aead_seal(from->result.send_key, nonce, view_of(NULL, 0), blob_view(payload), wire);
	assert_int_equal(payload->size + AEAD_TAG_SIZE, expected->size);
	assert_memory_equal(wire, expected->data, expected->size);
	assert_true(aead_open(to->result.receive_key, nonce, view_of(NULL, 0), blob_view(expected),
			      opened));
	assert_memory_equal(opened, payload->data, payload->size);
}

static void finish(struct side *s, const json_t *vector)
{
	static struct blob hash;

	noise_split(&s->noise, &s->result);
	if (json_object_get(vector, "handshake_hash") == NULL)
		return;
	blob_of_json(&hash, vector, "handshake_hash");
	assert_int_equal(hash.size, HASH_SIZE);
	assert_memory_equal(s->result.hash, hash.data, HASH_SIZE);
}

/* Returns the count of messages. */
static size_t run_vector(const json_t *vector)
{
	static struct side sides[2];
	static struct built built;
	static struct blob payload, expected;
	const char *key = json_object_get(vector, "name") != NULL ? "name" : "protocol_name";
	size_t at;
	json_t *message;

	build(&built, json_text(vector, key));
	side_init(&sides[0], vector, "init", &built.pattern);
	side_init(&sides[1], vector, "resp", &built.pattern);
	bool is_one_way = built.pattern.messages[1] == NULL;
	bool is_split = false;
	json_array_foreach(json_object_get(vector, "messages"), at, message)
	{
		size_t writer = is_one_way ? 0 : at % 2;
		blob_of_json(&payload, message, "payload");
		blob_of_json(&expected, message, "ciphertext");
		if (!is_split) {
			check_handshake(&sides[writer], &sides[1 - writer], &payload, &expected);
			is_split = noise_is_done(&sides[0].noise);
			assert_int_equal(is_split, noise_is_done(&sides[1].noise));
			for (size_t i = 0; is_split && i < 2; i++)
				finish(&sides[i], vector);
			continue;
		}
		check_transport(&sides[writer], &sides[1 - writer], &payload, &expected);
	}
	assert_true(is_split);
	assert_memory_equal(sides[0].result.exporter, sides[1].result.exporter, KEY_SIZE);
	noise_fini(&sides[0].noise);
	noise_fini(&sides[1].noise);
	return at;
}

struct suite {
	const char *file;
	size_t handshakes, messages;
};

static void transcripts(void **state)
{
	const struct suite *suite = *state;
	json_t *root = vectors_load(suite->file);
	size_t at, messages = 0;
	json_t *vector;

	json_array_foreach(json_object_get(root, "vectors"), at, vector) messages +=
		run_vector(vector);
	assert_int_equal(at, suite->handshakes);
	assert_int_equal(messages, suite->messages);
	json_decref(root);
}

static struct suite suites[] = {
	{ "noise/cacophony_25519_AESGCM_SHA256.json", 59, 354 },
	{ "noise/snow_25519_AESGCM_SHA256.json", 51, 232 },
	{ "noise/noise-c-basic_25519_AESGCM_SHA256.json", 15, 90 },
};

/* The product's patterns are what the table says of them. */
static void product_patterns_are_the_published(void **state)
{
	static const struct noise_pattern *const ours[] = {
		&NOISE_IKPSK2,
		&NOISE_XX,
		&NOISE_NNPSK0,
	};
	static struct built built;
	char name[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ours); i++) {
		snprintf(name, sizeof name, "Noise_%s_", ours[i]->name);
		build(&built, name);
		for (size_t m = 0; m < NOISE_MESSAGES_MAX; m++) {
			const char *tokens = ours[i]->messages[m];
			assert_int_equal(tokens == NULL, built.pattern.messages[m] == NULL);
			if (tokens != NULL)
				assert_string_equal(tokens, built.pattern.messages[m]);
		}
		assert_null(ours[i]->pre_initiator);
		assert_int_equal(ours[i]->pre_responder == NULL,
				 built.pattern.pre_responder == NULL);
	}
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(product_patterns_are_the_published),
	cmocka_unit_test_prestate(transcripts, &suites[0]),
	cmocka_unit_test_prestate(transcripts, &suites[1]),
	cmocka_unit_test_prestate(transcripts, &suites[2]),
};

CRYPTO_TESTS(TESTS)
