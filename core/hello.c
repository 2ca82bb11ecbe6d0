#include "core/hello.h"

#include <assert.h>

#define HELLO_SIGNATURE_LABEL "ClawChat/3 hello"

enum {
	PROLOGUE_SIZE = sizeof(PROTOCOL_NAME) - 1 + SERVER_ID_SIZE,
	SIGNED_SIZE = sizeof(HELLO_SIGNATURE_LABEL) - 1 + HASH_SIZE,
};

/* A seconds field above this would overflow the nanoseconds of a timestamp: the year 2554. */
#define TIMESTAMP_S_MAX (UINT64_MAX / NS_PER_S - 1)

static struct view prologue_of(const uint8_t server_id[SERVER_ID_SIZE], uint8_t out[PROLOGUE_SIZE])
{
	memcpy(out, PROTOCOL_NAME, sizeof PROTOCOL_NAME - 1);
	memcpy(out + sizeof PROTOCOL_NAME - 1, server_id, SERVER_ID_SIZE);
	return view_of(out, PROLOGUE_SIZE);
}

/* What the identity signs: this very handshake, up to its first payload. */
static struct view signed_part(const struct noise *noise, uint8_t out[SIGNED_SIZE])
{
	memcpy(out, HELLO_SIGNATURE_LABEL, sizeof HELLO_SIGNATURE_LABEL - 1);
	memcpy(out + sizeof HELLO_SIGNATURE_LABEL - 1, noise->payload_hash, HASH_SIZE);
	return view_of(out, SIGNED_SIZE);
}

static void cookie_mac(const uint8_t cookie[COOKIE_SIZE], struct view message,
		       uint8_t out[COOKIE_SIZE])
{
	uint8_t mac[HASH_SIZE];

	hmac_sha256(view_of(cookie, COOKIE_SIZE), &message, 1, mac);
	memcpy(out, mac, COOKIE_SIZE);
}

static bool is_zero(const uint8_t *data, size_t size)
{
	uint8_t any = 0;

	for (size_t i = 0; i < size; i++)
		any |= data[i];
	return any == 0;
}

/* Uniform in first..last. */
static size_t random_size(const struct random_source *random, size_t first, size_t last)
{
	assert(first <= last);
	return first + random_below(random, (uint32_t)(last - first + 1));
}

/* ---- client ---------------------------------------------------------------------------- */

static void start_initiator(struct noise *noise, const struct hello_config *config,
			    const struct random_source *random)
{
	uint8_t prologue[PROLOGUE_SIZE];

	noise_init(noise, &(struct noise_config){
				  .pattern = &NOISE_IKPSK2,
				  .is_initiator = true,
				  .prologue = prologue_of(config->server_id, prologue),
				  .static_key = &config->device,
				  .remote_static = config->server_public,
				  .psks = { config->psk },
				  .random = random,
			  });
}

static void fill_payload(struct wire_hello_payload *payload, const struct noise *noise,
			 const struct hello_config *config, uint64_t timestamp_ns)
{
	uint8_t part[SIGNED_SIZE];

	*payload = (struct wire_hello_payload){
		.credential = (uint8_t)config->credential,
		.datagram_max = store_le16(DATAGRAM_SIZE_MAX),
		.timestamp_s = store_le64(timestamp_ns / NS_PER_S),
		.timestamp_ns = store_le32((uint32_t)(timestamp_ns % NS_PER_S)),
	};
	memcpy(payload->id, config->id, sizeof payload->id);
	memcpy(payload->name_tag, config->name_tag, sizeof payload->name_tag);
	memcpy(payload->identity, config->identity.public, sizeof payload->identity);
	ed25519_sign(&config->identity, signed_part(noise, part), payload->signature);
}

/* The Noise message, signed in its middle. False: the relay's public key is of small order. */
static bool write_message(struct noise *noise, const struct hello_config *config,
			  uint64_t timestamp_ns, uint8_t out[HELLO_NOISE_SIZE])
{
	struct wire_hello_payload payload;
	size_t size = 0;

	if (!noise_write_tokens(noise, out, HELLO_NOISE_SIZE, &size))
		return false;
	fill_payload(&payload, noise, config, timestamp_ns);
	if (!noise_write_payload(noise, view_of(&payload, sizeof payload), out, HELLO_NOISE_SIZE,
				 &size))
		return false;
	assert(size == HELLO_NOISE_SIZE);
	return true;
}

size_t hello_write(struct noise *noise, const struct hello_config *config, uint64_t timestamp_ns,
		   const uint8_t *cookie, const struct random_source *random, struct view_out out)
{
	struct wire_hello head = { .noise_size = store_le16(HELLO_NOISE_SIZE) };
	uint8_t *message = out.data + sizeof head;

	if (out.capacity < HELLO_SIZE_LAST - WIRE_OVERHEAD)
		return 0;
	size_t size = random_size(random, HELLO_SIZE_MIN, HELLO_SIZE_LAST) - WIRE_OVERHEAD;
	memset(out.data, 0, size);
	start_initiator(noise, config, random);
	if (!write_message(noise, config, timestamp_ns, message)) {
		noise_fini(noise);
		return 0;
	}
	if (cookie != NULL)
		cookie_mac(cookie, view_of(message, HELLO_NOISE_SIZE), head.cookie_mac);
	memcpy(out.data, &head, sizeof head);
	return size;
}

static bool welcome_is_well_formed(struct view plain)
{
	struct wire_welcome head;

	if (plain.size < sizeof head + WELCOME_NOISE_SIZE)
		return false;
	memcpy(&head, plain.data, sizeof head);
	size_t used = sizeof head + WELCOME_NOISE_SIZE;
	return load_le16(head.noise_size) == WELCOME_NOISE_SIZE &&
	       is_zero(head.zero, sizeof head.zero) &&
	       is_zero(plain.data + used, plain.size - used);
}

static bool read_welcome(const struct noise *noise, const uint8_t *psk, struct view plain,
			 struct wire_welcome_payload *payload, struct noise_result *keys)
{
	struct noise trial = *noise;
	size_t size = 0;

	if (psk != NULL)
		noise_set_psk(&trial, 0, psk);
	bool is_authentic =
		noise_read(&trial,
			   view_of(plain.data + sizeof(struct wire_welcome), WELCOME_NOISE_SIZE),
			   (uint8_t *)payload, sizeof *payload, &size) &&
		size == sizeof *payload;
	if (is_authentic && payload->status == STATUS_OK)
		noise_split(&trial, keys);
	noise_fini(&trial);
	return is_authentic;
}

bool hello_finish(struct noise *noise, struct view plain, struct wire_welcome_payload *payload,
		  struct noise_result *keys)
{
	/* The relay has erased the PSK of what was revoked, and says so under zeros. Its static key
	 * vouches for it all the same; nothing else is taken this way. */
	static const uint8_t erased[KEY_SIZE];

	memset(keys, 0, sizeof *keys);
	if (!welcome_is_well_formed(plain))
		return false;
	bool is_authentic = read_welcome(noise, NULL, plain, payload, keys);
	if (!is_authentic && read_welcome(noise, erased, plain, payload, keys)) {
		bytes_wipe(keys, sizeof *keys);
		is_authentic = payload->status == STATUS_REVOKED;
	}
	if (is_authentic)
		noise_fini(noise);
	return is_authentic;
}

/* ---- relay ----------------------------------------------------------------------------- */

static struct view hello_message(struct view plain)
{
	assert(plain.size >= sizeof(struct wire_hello) + HELLO_NOISE_SIZE);
	return view_of(plain.data + sizeof(struct wire_hello), HELLO_NOISE_SIZE);
}

bool hello_is_well_formed(struct view plain)
{
	const size_t used = sizeof(struct wire_hello) + HELLO_NOISE_SIZE;
	struct wire_hello head;

	if (plain.size < HELLO_SIZE_MIN - WIRE_OVERHEAD ||
	    plain.size > HELLO_SIZE_LAST - WIRE_OVERHEAD)
		return false;
	memcpy(&head, plain.data, sizeof head);
	return load_le16(head.noise_size) == HELLO_NOISE_SIZE &&
	       is_zero(head.zero, sizeof head.zero) &&
	       is_zero(plain.data + used, plain.size - used);
}

bool hello_has_cookie(struct view plain, const uint8_t cookie[COOKIE_SIZE])
{
	struct wire_hello head;
	uint8_t expected[COOKIE_SIZE];

	memcpy(&head, plain.data, sizeof head);
	cookie_mac(cookie, hello_message(plain), expected);
	return bytes_equal(head.cookie_mac, expected, COOKIE_SIZE);
}

uint64_t hello_ephemeral_id(struct view plain)
{
	le64 id;

	memcpy(&id, hello_message(plain).data, sizeof id);
	return load_le64(id);
}

static bool payload_is_sound(const struct hello_request *request)
{
	const struct wire_hello_payload *payload = &request->payload;
	uint8_t device_id[DEVICE_ID_SIZE];

	if (payload->zero != 0 || load_le16(payload->datagram_max) < DATAGRAM_MAX_LEAST ||
	    load_le64(payload->timestamp_s) > TIMESTAMP_S_MAX ||
	    load_le32(payload->timestamp_ns) >= NS_PER_S)
		return false;
	switch (payload->credential) {
	case CREDENTIAL_FILE: return true;
	case CREDENTIAL_DEVICE:
		device_id_of(request->device_public, device_id);
		return bytes_equal(device_id, payload->id, sizeof device_id);
	default: return false;
	}
}

static bool read_request(struct noise *noise, struct view plain, struct hello_request *out)
{
	struct wire_hello_payload *payload = &out->payload;
	size_t size = 0;

	if (!noise_read(noise, hello_message(plain), (uint8_t *)payload, sizeof *payload, &size) ||
	    size != sizeof *payload)
		return false;
	memcpy(out->device_public, noise->remote_static, X25519_SIZE);
	if (!payload_is_sound(out))
		return false;
	out->timestamp_ns =
		load_le64(payload->timestamp_s) * NS_PER_S + load_le32(payload->timestamp_ns);
	return true;
}

bool hello_is_signed(const struct noise *noise, const struct hello_request *request)
{
	const struct wire_hello_payload *payload = &request->payload;
	uint8_t part[SIGNED_SIZE];

	return ed25519_verify(payload->identity, signed_part(noise, part), payload->signature);
}

bool hello_read(struct noise *noise, const struct hello_server *server, struct view plain,
		const struct random_source *random, struct hello_request *out)
{
	uint8_t prologue[PROLOGUE_SIZE];

	if (!hello_is_well_formed(plain))
		return false;
	noise_init(noise, &(struct noise_config){
				  .pattern = &NOISE_IKPSK2,
				  .is_initiator = false,
				  .prologue = prologue_of(server->server_id, prologue),
				  .static_key = &server->static_key,
				  .random = random,
			  });
	if (read_request(noise, plain, out))
		return true;
	noise_fini(noise);
	return false;
}

size_t hello_answer(struct noise *noise, const uint8_t psk[KEY_SIZE],
		    const struct wire_welcome_payload *payload, size_t datagram_max,
		    struct view_out out, struct noise_result *keys)
{
	const struct wire_welcome head = { .noise_size = store_le16(WELCOME_NOISE_SIZE) };
	const size_t least = sizeof head + WELCOME_NOISE_SIZE;
	const struct random_source random = noise->random;
	size_t size = 0;

	assert(datagram_max >= WIRE_OVERHEAD + least);
	assert(out.capacity >= least);
	size_t most = datagram_max - WIRE_OVERHEAD;
	most = most < out.capacity ? most : out.capacity;

	memset(keys, 0, sizeof *keys);
	noise_set_psk(noise, 0, psk);
	bool is_written = noise_write(noise, view_of(payload, sizeof *payload),
				      out.data + sizeof head, WELCOME_NOISE_SIZE, &size);
	if (is_written && payload->status == STATUS_OK)
		noise_split(noise, keys);
	noise_fini(noise);
	if (!is_written)
		return 0;
	assert(size == WELCOME_NOISE_SIZE);
	memcpy(out.data, &head, sizeof head);
	size = random_size(&random, least, most);
	memset(out.data + least, 0, size - least);
	return size;
}

/* ---- ids ------------------------------------------------------------------------------- */

/* SHA-256(label || key), cut to `size`. */
static void id_of(struct view label, struct view key, uint8_t *out, size_t size)
{
	uint8_t joined[64], hash[HASH_SIZE];

	assert(label.size + key.size <= sizeof joined);
	memcpy(joined, label.data, label.size);
	memcpy(joined + label.size, key.data, key.size);
	hash_sha256(view_of(joined, label.size + key.size), hash);
	memcpy(out, hash, size);
}

void device_psk_of(const struct noise_result *keys, uint8_t out[KEY_SIZE])
{
	hkdf_label(keys->exporter, PROTOCOL_NAME " device psk", (struct view){ 0 }, out, KEY_SIZE);
}

void device_id_of(const uint8_t device_public[X25519_SIZE], uint8_t out[DEVICE_ID_SIZE])
{
	id_of(VIEW_STRING("ClawChat/3 device"), view_of(device_public, X25519_SIZE), out,
	      DEVICE_ID_SIZE);
}

void peer_id_of(const uint8_t identity[ED25519_PUBLIC_SIZE], uint8_t out[PEER_ID_SIZE])
{
	id_of(VIEW_STRING("ClawChat/3 peer"), view_of(identity, ED25519_PUBLIC_SIZE), out,
	      PEER_ID_SIZE);
}

void name_tag_of(const uint8_t server_id[SERVER_ID_SIZE], struct view name,
		 uint8_t out[NAME_TAG_SIZE])
{
	const struct view parts[] = { VIEW_STRING("ClawChat/3 name"), name };
	uint8_t mac[HASH_SIZE];

	hmac_sha256(view_of(server_id, SERVER_ID_SIZE), parts, 2, mac);
	memcpy(out, mac, NAME_TAG_SIZE);
}
