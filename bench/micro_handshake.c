/*
 * What HELLO to WELCOME costs the keeper, and what it is made of: microseconds of processor time,
 * the median of rounds in which all jobs take turns. Nothing of sockets, threads or the store.
 *
 *	micro_handshake
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/door.h"
#include "core/keeper.h"
#include "crypto/crypto.h"

enum {
	ROUNDS = 21, /* odd: the median is a round that happened */
	BATCH = 64,
	SLOTS = 1024, /* a quarter may wait for its first packet */
	DOOR = 1,
	PORT = 50000,
};

struct bench {
	struct random_source random;
	struct instant now;
	struct table *table;
	struct channels *channels;
	struct keeper *keeper;
	struct hello_server server;
	struct hello_config clients[BATCH];
	uint8_t plain[BATCH][HELLO_SIZE_LAST];
	size_t size[BATCH];
	struct hello_request requests[BATCH];
	struct noise noises[BATCH];
	struct wire_welcome_payload welcome;
	uint8_t out[DATAGRAM_SIZE_MAX];
	uint64_t sent;
	bool is_proved; /* what the credential says of the identity */
};

static struct bench bench;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* not what other programs take */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* A bench of failures would measure nothing. */
static void must(bool is_done)
{
	if (!is_done)
		abort();
}

/* ---- hooks of the keeper ----------------------------------------------------------------- */

static bool hook_find(void *state, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out)
{
	const struct bench *b = state;

	(void)request;
	(void)wall_ns;
	*out = (struct credential){ .status = STATUS_OK, .is_proved = b->is_proved };
	memcpy(out->psk, b->clients[0].psk, KEY_SIZE);
	return true;
}

static bool hook_send(void *state, const struct packet *packet)
{
	struct bench *b = state;

	(void)packet;
	b->sent++;
	return true;
}

static void hook_forget(void *state, struct session_id session)
{
	(void)state;
	(void)session;
}

static void hook_quiesce(void *state)
{
	(void)state;
}

static void hook_event(void *state, const struct keeper_event *event)
{
	(void)state;
	(void)event;
}

/* ---- set-up ------------------------------------------------------------------------------ */

static void create_keeper(struct bench *b)
{
	struct door_keys keys;
	struct keeper_config config = {
		.cipher = packet_cipher_best(),
		.server = b->server,
		.hooks = { b, hook_find, hook_send, hook_forget, hook_quiesce, hook_event, NULL },
		.random = b->random,
		.idle_timeout_ns = 180 * NS_PER_S,
		.keepalive_s = 25,
		.handshake_rate_per_s = 100000000,
		.handshake_burst = 1000000,
	};

	b->table = table_create(
		&(struct table_config){ .slots = SLOTS, .entry_size = keeper_entry_size() });
	b->channels = channels_create(SLOTS);
	must(b->table != NULL && b->channels != NULL);
	config.table = b->table;
	config.channels = b->channels;
	b->keeper = keeper_create(&config);
	must(b->keeper != NULL);
	door_keys_derive(b->server.static_key.public, &keys);
	must(keeper_open_door(b->keeper, DOOR, PORT, &keys));
}

static void set_up(struct bench *b)
{
	b->random = random_system();
	b->now = (struct instant){ .mono_ns = 5000 * NS_PER_S, .wall_ns = 1790000000 * NS_PER_S };
	random_fill(&b->random, b->server.server_id, SERVER_ID_SIZE);
	x25519_generate(&b->server.static_key, &b->random);
	for (size_t i = 0; i < BATCH; i++) {
		struct hello_config *c = &b->clients[i];
		c->credential = CREDENTIAL_FILE;
		memcpy(c->server_id, b->server.server_id, SERVER_ID_SIZE);
		memcpy(c->server_public, b->server.static_key.public, X25519_SIZE);
		x25519_generate(&c->device, &b->random);
		ed25519_generate(&c->identity, &b->random);
	}
	create_keeper(b);
}

/* Fresh HELLOs of all clients: the keeper takes none twice. */
static void write_hellos(struct bench *b)
{
	b->now.wall_ns += NS_PER_MS;
	for (size_t i = 0; i < BATCH; i++) {
		struct noise noise;
		b->size[i] = hello_write(&noise, &b->clients[i], b->now.wall_ns, NULL, &b->random,
					 (struct view_out){ b->plain[i], HELLO_SIZE_LAST });
		must(b->size[i] > 0);
		noise_fini(&noise);
	}
}

/* ---- jobs: each does BATCH operations ------------------------------------------------------ */

static double take_hellos(struct bench *b, bool is_proved)
{
	b->is_proved = is_proved;
	write_hellos(b);
	uint64_t sent = b->sent;
	double start = now_us();
	for (size_t i = 0; i < BATCH; i++) {
		const struct upcall upcall = {
			.kind = UPCALL_HELLO,
			.path = { .remote = address_v4(10, 0, 0, (uint8_t)i, 5000), .door = DOOR },
			.datagram_size = (uint32_t)b->size[i] + WIRE_OVERHEAD,
			.body = view_of(b->plain[i], b->size[i]),
		};
		keeper_upcall(b->keeper, &upcall, 0, b->now);
	}
	double took = now_us() - start;
	must(b->sent == sent + BATCH);
	b->now.mono_ns += 2 * SESSION_PENDING_NS; /* nobody came: room for the next ones */
	uint64_t next_ns = keeper_tick(b->keeper, b->now);
	while (table_count(b->table) > 0)
		next_ns = keeper_tick(b->keeper, (struct instant){ next_ns, b->now.wall_ns });
	b->now.mono_ns = next_ns == NEVER ? b->now.mono_ns : next_ns;
	return took;
}

static double run_new(struct bench *b)
{
	return take_hellos(b, false);
}

static double run_returning(struct bench *b)
{
	return take_hellos(b, true);
}

static double run_read(struct bench *b)
{
	write_hellos(b);
	double start = now_us();
	for (size_t i = 0; i < BATCH; i++)
		must(hello_read(&b->noises[i], &b->server, view_of(b->plain[i], b->size[i]),
				&b->random, &b->requests[i]));
	return now_us() - start;
}

/* These two go on with what run_read() has left. */
static double run_signed(struct bench *b)
{
	double start = now_us();
	for (size_t i = 0; i < BATCH; i++)
		must(hello_is_signed(&b->noises[i], &b->requests[i]));
	return now_us() - start;
}

static double run_answer(struct bench *b)
{
	struct noise_result keys;
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		must(hello_answer(&b->noises[i], b->clients[i].psk, &b->welcome, HELLO_SIZE_MIN,
				  (struct view_out){ b->out, sizeof b->out }, &keys) > 0);
	return now_us() - start;
}

static double run_sound(struct bench *b)
{
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		must(ed25519_public_is_sound(b->clients[i].identity.public));
	return now_us() - start;
}

static double run_shared(struct bench *b)
{
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		must(x25519_shared(&b->server.static_key, b->clients[i].device.public, b->out));
	return now_us() - start;
}

static double run_ephemeral(struct bench *b)
{
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		x25519_derive_public(&b->clients[i].device);
	return now_us() - start;
}

static double run_hmac(struct bench *b)
{
	const struct view part = VIEW(b->server.server_id);
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		hmac_sha256(part, &part, 1, b->out);
	return now_us() - start;
}

static double run_aead(struct bench *b)
{
	static const uint8_t nonce[AEAD_NONCE_SIZE];
	double start = now_us();

	for (size_t i = 0; i < BATCH; i++)
		aead_seal(b->clients[i].device.secret, nonce, view_of(NULL, 0),
			  VIEW(b->clients[i].identity.seed), b->out);
	return now_us() - start;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	double (*run)(struct bench *b);
} JOBS[] = {
	{ "HELLO to WELCOME, new device", run_new },
	{ "HELLO to WELCOME, device that was here", run_returning },
	{ "  hello_read(): 2 x X25519", run_read },
	{ "  hello_is_signed()", run_signed },
	{ "  hello_answer(): 3 x X25519", run_answer },
	{ "    X25519", run_shared },
	{ "    X25519 public key", run_ephemeral },
	{ "    Ed25519 public key is sound", run_sound },
	{ "    HMAC-SHA-256, 32 bytes", run_hmac },
	{ "    AES-256-GCM, 32 bytes", run_aead },
};
enum { JOB_COUNT = sizeof JOBS / sizeof JOBS[0] };

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(void)
{
	static double us[JOB_COUNT][ROUNDS];

	must(crypto_init(NULL) == CRYPTO_READY);
	set_up(&bench);
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < JOB_COUNT; i++)
			us[i][round] = JOBS[i].run(&bench) / BATCH;
	printf("%-46s %8s %8s\n", "", "median", "least");
	for (size_t i = 0; i < JOB_COUNT; i++) {
		qsort(us[i], ROUNDS, sizeof us[i][0], compare);
		printf("%-46s %8.2f %8.2f  us\n", JOBS[i].name, us[i][ROUNDS / 2], us[i][0]);
	}
	keeper_destroy(bench.keeper);
	channels_destroy(bench.channels);
	table_destroy(bench.table);
	crypto_fini();
	return EXIT_SUCCESS;
}
