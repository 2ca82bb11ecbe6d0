#include "crypto/noise.h"

#include <assert.h>

#include "crypto/aead.h"

#define SUITE "_25519_AESGCM_SHA256"

const struct noise_pattern NOISE_IKPSK2 = {
	.name = "IKpsk2",
	.pre_responder = "s",
	.messages = { "e,es,s,ss", "e,ee,se,psk" },
};

const struct noise_pattern NOISE_XX = {
	.name = "XX",
	.messages = { "e", "e,ee,s,es", "s,se" },
};

const struct noise_pattern NOISE_NNPSK0 = {
	.name = "NNpsk0",
	.messages = { "psk,e", "e,ee" },
};

enum token {
	TOKEN_E,
	TOKEN_S,
	TOKEN_EE,
	TOKEN_ES,
	TOKEN_SE,
	TOKEN_SS,
	TOKEN_PSK,
	TOKEN_END,
};

static const char *const TOKEN_NAMES[TOKEN_END] = { "e", "s", "ee", "es", "se", "ss", "psk" };

static enum token next_token(const char **at)
{
	size_t size = strcspn(*at, ",");
	enum token token = TOKEN_E;

	if (size == 0)
		return TOKEN_END;
	while (token < TOKEN_END &&
	       (strlen(TOKEN_NAMES[token]) != size || memcmp(TOKEN_NAMES[token], *at, size) != 0))
		token++;
	assert(token < TOKEN_END); /* a pattern with a token unknown to Noise */
	*at += size;
	if (**at == ',')
		(*at)++;
	return token;
}

static bool has_psk_token(const struct noise_pattern *pattern)
{
	for (size_t i = 0; i < NOISE_MESSAGES_MAX && pattern->messages[i] != NULL; i++) {
		const char *at = pattern->messages[i];
		for (enum token t = next_token(&at); t != TOKEN_END; t = next_token(&at))
			if (t == TOKEN_PSK)
				return true;
	}
	return false;
}

/* --- Symmetric state (section 5.2) --- */

static void hash_two(struct view a, struct view b, uint8_t out[HASH_SIZE])
{
	struct sha256_stream *s = sha256_create();

	sha256_update(s, a);
	sha256_update(s, b);
	sha256_final(s, out);
}

static void mix_hash(struct noise *n, struct view data)
{
	hash_two(VIEW(n->hash), data, n->hash);
}

/* Noise's HKDF: the chaining key as salt, no info. */
static void derive(const struct noise *n, struct view input, uint8_t *out, size_t size)
{
	uint8_t prk[HASH_SIZE];

	hkdf_extract(VIEW(n->chaining_key), input, prk);
	hkdf_expand(prk, view_of(NULL, 0), out, size);
	bytes_wipe(prk, sizeof prk);
}

static void set_key(struct noise *n, const uint8_t key[KEY_SIZE])
{
	memcpy(n->key, key, KEY_SIZE);
	n->nonce = 0;
	n->has_key = true;
}

static void mix_key(struct noise *n, struct view input)
{
	struct {
		uint8_t chaining_key[HASH_SIZE];
		uint8_t key[KEY_SIZE];
	} out;

	derive(n, input, (uint8_t *)&out, sizeof out);
	memcpy(n->chaining_key, out.chaining_key, HASH_SIZE);
	set_key(n, out.key);
	bytes_wipe(&out, sizeof out);
}

static void mix_key_and_hash(struct noise *n, struct view input)
{
	struct {
		uint8_t chaining_key[HASH_SIZE];
		uint8_t hash[HASH_SIZE];
		uint8_t key[KEY_SIZE];
	} out;

	derive(n, input, (uint8_t *)&out, sizeof out);
	memcpy(n->chaining_key, out.chaining_key, HASH_SIZE);
	mix_hash(n, VIEW(out.hash));
	set_key(n, out.key);
	bytes_wipe(&out, sizeof out);
}

/* AESGCM of section 12.4: 32 zero bits, then the counter most significant byte first. A key
 * seals a handful of messages here, so the counter is far from its end. */
static void make_nonce(uint64_t counter, uint8_t nonce[AEAD_NONCE_SIZE])
{
	memset(nonce, 0, AEAD_NONCE_SIZE);
	for (size_t i = 0; i < sizeof counter; i++)
		nonce[AEAD_NONCE_SIZE - 1 - i] = (uint8_t)(counter >> (8 * i));
}

static size_t tag_size(const struct noise *n)
{
	return n->has_key ? AEAD_TAG_SIZE : 0;
}

struct output {
	uint8_t *data;
	size_t capacity;
	size_t size;
};

static bool encrypt_and_hash(struct noise *n, struct view plain, struct output *out)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t *start = out->data + out->size;
	size_t room = out->capacity - out->size;

	if (room < tag_size(n) || plain.size > room - tag_size(n))
		return false;
	if (n->has_key) {
		make_nonce(n->nonce++, nonce);
		aead_seal(n->key, nonce, VIEW(n->hash), plain, start);
	} else if (plain.size > 0) {
		memmove(start, plain.data, plain.size);
	}
	out->size += plain.size + tag_size(n);
	mix_hash(n, view_of(start, plain.size + tag_size(n)));
	return true;
}

/* `out` has room for sealed.size - tag_size(n) bytes, and may be where `sealed` is: so the
 * ciphertext is hashed before it goes. */
static bool decrypt_and_hash(struct noise *n, struct view sealed, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE_SIZE], next_hash[HASH_SIZE];

	hash_two(VIEW(n->hash), sealed, next_hash);
	if (n->has_key) {
		make_nonce(n->nonce++, nonce);
		if (!aead_open(n->key, nonce, VIEW(n->hash), sealed, out))
			return false;
	} else if (sealed.size > 0) {
		memmove(out, sealed.data, sealed.size);
	}
	memcpy(n->hash, next_hash, HASH_SIZE);
	return true;
}

/* --- Handshake state (section 5.3) --- */

static void start_symmetric(struct noise *n, const char *pattern_name)
{
	char name[64];
	size_t size = strlen(pattern_name);

	assert(size < sizeof name - strlen("Noise_" SUITE));
	memcpy(name, "Noise_", strlen("Noise_"));
	memcpy(name + strlen("Noise_"), pattern_name, size);
	memcpy(name + strlen("Noise_") + size, SUITE, sizeof SUITE);
	size = strlen(name);
	if (size <= HASH_SIZE)
		memcpy(n->hash, name, size);
	else
		hash_sha256(view_of(name, size), n->hash);
	memcpy(n->chaining_key, n->hash, HASH_SIZE);
}

/* The static key of either side, where the pattern says that it is known beforehand. */
static void mix_pre_message(struct noise *n, const char *tokens, bool is_own)
{
	if (tokens == NULL)
		return;
	assert(strcmp(tokens, "s") == 0);
	mix_hash(n, is_own ? VIEW(n->static_key.public) : VIEW(n->remote_static));
}

void noise_init(struct noise *n, const struct noise_config *config)
{
	const struct noise_pattern *pattern = config->pattern;
	bool is_initiator = config->is_initiator;
	const char *own_pre = is_initiator ? pattern->pre_initiator : pattern->pre_responder;
	const char *remote_pre = is_initiator ? pattern->pre_responder : pattern->pre_initiator;

	assert(own_pre == NULL || config->static_key != NULL);
	assert(remote_pre == NULL || config->remote_static != NULL);

	*n = (struct noise){
		.pattern = pattern,
		.is_initiator = is_initiator,
		.has_psk = has_psk_token(pattern),
		.has_static = config->static_key != NULL,
		.has_fixed_ephemeral = config->fixed_ephemeral != NULL,
	};
	if (config->random != NULL)
		n->random = *config->random;
	if (config->static_key != NULL)
		n->static_key = *config->static_key;
	if (config->fixed_ephemeral != NULL)
		n->ephemeral = *config->fixed_ephemeral;
	if (config->remote_static != NULL)
		memcpy(n->remote_static, config->remote_static, X25519_SIZE);
	for (size_t i = 0; i < NOISE_PSKS_MAX && config->psks[i] != NULL; i++)
		noise_set_psk(n, i, config->psks[i]);

	start_symmetric(n, pattern->name);
	mix_hash(n, config->prologue);
	mix_pre_message(n, pattern->pre_initiator, is_initiator);
	mix_pre_message(n, pattern->pre_responder, !is_initiator);
}

void noise_fini(struct noise *n)
{
	bytes_wipe(n, sizeof *n);
}

void noise_set_psk(struct noise *n, size_t index, const uint8_t psk[KEY_SIZE])
{
	assert(index < NOISE_PSKS_MAX);
	assert(index <= n->psk_count); /* in order: no gap that would be a key of zeros */
	memcpy(n->psks[index], psk, KEY_SIZE);
	if (index == n->psk_count)
		n->psk_count++;
}

static void mix_psk(struct noise *n)
{
	assert(n->psk_index < n->psk_count);
	mix_key_and_hash(n, VIEW(n->psks[n->psk_index]));
	n->psk_index++;
}

/* Of "es" and its like, the first letter is the initiator's key, the second the responder's. */
static bool mix_dh(struct noise *n, enum token token)
{
	bool is_initiator_static = token == TOKEN_SE || token == TOKEN_SS;
	bool is_responder_static = token == TOKEN_ES || token == TOKEN_SS;
	bool is_own_static = n->is_initiator ? is_initiator_static : is_responder_static;
	bool is_remote_static = n->is_initiator ? is_responder_static : is_initiator_static;
	uint8_t shared[X25519_SIZE];

	assert(!is_own_static || n->has_static);
	if (!x25519_shared(is_own_static ? &n->static_key : &n->ephemeral,
			   is_remote_static ? n->remote_static : n->remote_ephemeral, shared))
		return false;
	mix_key(n, VIEW(shared));
	bytes_wipe(shared, sizeof shared);
	return true;
}

/* With PSKs the ephemeral goes into the key too, so that no key repeats (section 9.2). */
static void mix_ephemeral(struct noise *n, struct view public)
{
	mix_hash(n, public);
	if (n->has_psk)
		mix_key(n, public);
}

static bool write_ephemeral(struct noise *n, struct output *out)
{
	if (out->capacity - out->size < X25519_SIZE)
		return false;
	if (!n->has_fixed_ephemeral)
		x25519_generate(&n->ephemeral, &n->random);
	memcpy(out->data + out->size, n->ephemeral.public, X25519_SIZE);
	out->size += X25519_SIZE;
	mix_ephemeral(n, VIEW(n->ephemeral.public));
	return true;
}

static bool write_token(struct noise *n, enum token token, struct output *out)
{
	switch (token) {
	case TOKEN_E: return write_ephemeral(n, out);
	case TOKEN_S:
		assert(n->has_static);
		return encrypt_and_hash(n, VIEW(n->static_key.public), out);
	case TOKEN_PSK: mix_psk(n); return true;
	default: return mix_dh(n, token);
	}
}

/* The first `size` bytes of *rest, which is shortened by them; false: there are fewer. */
static bool take(struct view *rest, size_t size, struct view *taken)
{
	if (rest->size < size)
		return false;
	*taken = view_of(rest->data, size);
	*rest = view_of(rest->data + size, rest->size - size);
	return true;
}

static bool read_token(struct noise *n, enum token token, struct view *rest)
{
	struct view part;

	switch (token) {
	case TOKEN_E:
		if (!take(rest, X25519_SIZE, &part))
			return false;
		memcpy(n->remote_ephemeral, part.data, X25519_SIZE);
		mix_ephemeral(n, part);
		return true;
	case TOKEN_S:
		return take(rest, X25519_SIZE + tag_size(n), &part) &&
		       decrypt_and_hash(n, part, n->remote_static);
	case TOKEN_PSK: mix_psk(n); return true;
	default: return mix_dh(n, token);
	}
}

/* The initiator writes messages 0 and 2, the responder 1 and 3. */
static bool is_own_turn(const struct noise *n)
{
	return n->is_initiator == (n->message % 2 == 0);
}

static bool fail(struct noise *n)
{
	n->is_failed = true;
	return false;
}

bool noise_write_tokens(struct noise *n, uint8_t *out, size_t capacity, size_t *size)
{
	assert(!n->is_failed && !noise_is_done(n));
	assert(is_own_turn(n) && !n->is_before_payload);
	assert(*size <= capacity);

	struct output output = { .data = out, .capacity = capacity, .size = *size };
	const char *at = n->pattern->messages[n->message];
	for (enum token t = next_token(&at); t != TOKEN_END; t = next_token(&at))
		if (!write_token(n, t, &output))
			return fail(n);
	memcpy(n->payload_hash, n->hash, HASH_SIZE);
	n->is_before_payload = true;
	*size = output.size;
	return true;
}

bool noise_write_payload(struct noise *n, struct view payload, uint8_t *out, size_t capacity,
			 size_t *size)
{
	assert(!n->is_failed && n->is_before_payload);
	assert(*size <= capacity);

	struct output output = { .data = out, .capacity = capacity, .size = *size };
	if (payload.size > NOISE_MESSAGE_MAX - NOISE_OVERHEAD_MAX ||
	    !encrypt_and_hash(n, payload, &output))
		return fail(n);
	n->is_before_payload = false;
	n->message++;
	*size = output.size;
	return true;
}

bool noise_write(struct noise *n, struct view payload, uint8_t *out, size_t capacity, size_t *size)
{
	return noise_write_tokens(n, out, capacity, size) &&
	       noise_write_payload(n, payload, out, capacity, size);
}

bool noise_read(struct noise *n, struct view message, uint8_t *payload, size_t capacity,
		size_t *size)
{
	assert(!n->is_failed && !noise_is_done(n));
	assert(!is_own_turn(n));

	struct view rest = message;
	const char *at = n->pattern->messages[n->message];
	if (message.size > NOISE_MESSAGE_MAX)
		return fail(n);
	for (enum token t = next_token(&at); t != TOKEN_END; t = next_token(&at))
		if (!read_token(n, t, &rest))
			return fail(n);
	memcpy(n->payload_hash, n->hash, HASH_SIZE);

	if (rest.size < tag_size(n) || rest.size - tag_size(n) > capacity)
		return fail(n);
	size_t payload_size = rest.size - tag_size(n);
	if (!decrypt_and_hash(n, rest, payload))
		return fail(n);
	n->message++;
	*size = payload_size;
	return true;
}

bool noise_is_done(const struct noise *n)
{
	return n->message == NOISE_MESSAGES_MAX || n->pattern->messages[n->message] == NULL;
}

void noise_split(const struct noise *n, struct noise_result *result)
{
	struct {
		uint8_t initiator[KEY_SIZE];
		uint8_t responder[KEY_SIZE];
		uint8_t exporter[KEY_SIZE];
	} out;

	assert(!n->is_failed);
	assert(noise_is_done(n));
	derive(n, view_of(NULL, 0), (uint8_t *)&out, sizeof out);
	memcpy(result->send_key, n->is_initiator ? out.initiator : out.responder, KEY_SIZE);
	memcpy(result->receive_key, n->is_initiator ? out.responder : out.initiator, KEY_SIZE);
	memcpy(result->exporter, out.exporter, KEY_SIZE);
	memcpy(result->hash, n->hash, HASH_SIZE);
	bytes_wipe(&out, sizeof out);
}
