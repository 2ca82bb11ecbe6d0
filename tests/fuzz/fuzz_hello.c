/*
 * Handshake bodies. First byte of the input: which reader. Noise lets no changed byte pass, so
 * one way in seals the input as the payload of an authentic message first.
 */
#include <assert.h>
#include <stdlib.h>

#include "core/hello.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct random_seeded seeded;
static struct random_source source;
static struct hello_server server;
static struct hello_config client;

static void start(void)
{
	const char *failed;

	if (crypto_init(&failed) != CRYPTO_READY)
		abort();
	source = random_seeded_init(&seeded, 1);
	x25519_generate(&server.static_key, &source);
	x25519_generate(&client.device, &source);
	ed25519_generate(&client.identity, &source);
	memcpy(client.server_public, server.static_key.public, X25519_SIZE);
	client.credential = CREDENTIAL_FILE;
}

static void read_raw(struct view plain)
{
	struct hello_request request;
	struct noise noise;

	if (!hello_is_well_formed(plain))
		return;
	(void)hello_ephemeral_id(plain);
	(void)!hello_has_cookie(plain, server.server_id);
	if (hello_read(&noise, &server, plain, &source, &request)) {
		(void)!hello_is_signed(&noise, &request);
		noise_fini(&noise);
	}
}

/* The input is the payload; whatever is read must have passed all its checks. */
static void read_payload(struct view input)
{
	static const uint8_t prologue[sizeof(PROTOCOL_NAME) - 1 + SERVER_ID_SIZE] = PROTOCOL_NAME;
	uint8_t plain[HELLO_SIZE_MIN - WIRE_OVERHEAD] = { 0 };
	struct wire_hello head = { .noise_size = store_le16(HELLO_NOISE_SIZE) };
	struct wire_hello_payload payload = { 0 };
	struct hello_request request;
	struct noise noise;
	size_t used = sizeof head;

	memcpy(&payload, input.data, input.size < sizeof payload ? input.size : sizeof payload);
	memcpy(plain, &head, sizeof head);
	noise_init(&noise, &(struct noise_config){
				   .pattern = &NOISE_IKPSK2,
				   .is_initiator = true,
				   .prologue = VIEW(prologue),
				   .static_key = &client.device,
				   .remote_static = client.server_public,
				   .psks = { client.psk },
				   .random = &source,
			   });
	if (!noise_write(&noise, view_of(&payload, sizeof payload), plain, sizeof plain, &used))
		abort();
	noise_fini(&noise);
	if (hello_read(&noise, &server, VIEW(plain), &source, &request)) {
		assert(load_le16(request.payload.datagram_max) >= DATAGRAM_MAX_LEAST);
		(void)!hello_is_signed(&noise, &request);
		noise_fini(&noise);
	}
}

static void read_welcome(struct view plain)
{
	uint8_t hello[HELLO_SIZE_LAST];
	struct wire_welcome_payload payload;
	struct noise_result keys;
	struct noise noise;

	if (hello_write(&noise, &client, NS_PER_S, NULL, &source,
			(struct view_out){ hello, sizeof hello }) == 0)
		abort();
	if (hello_finish(&noise, plain, &payload, &keys))
		abort(); /* forged */
	noise_fini(&noise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;

	if (!is_started)
		start();
	is_started = true;
	if (size == 0)
		return 0;
	struct view rest = view_of(data + 1, size - 1);
	switch (data[0] % 3) {
	case 0: read_raw(rest); break;
	case 1: read_payload(rest); break;
	default: read_welcome(rest);
	}
	return 0;
}
