/*
 * What the relay's packet path costs: nanoseconds per relayed packet, without any system call.
 *
 *     micro_forward [SESSIONS]      default 1000, at most 200000
 *
 * Sessions are joined in pairs; each packet comes from a random one. All jobs take turns, a slice
 * each, round after round, and the median of the slices counts; a slice that is not counted goes
 * before each, since other jobs have filled the caches. Sealing the packets of a slice, as clients
 * would, is not in the time. The last table cuts each job into the stages of a batch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/forward_private.h"
#include "crypto/crypto.h"

enum {
	ROUNDS = 51,         /* odd: the median is a slice that happened */
	SLICE_PACKETS = 512, /* with their frames they fit the second-level cache */
	SESSIONS_DEFAULT_HERE = 1000,
	SESSIONS_LIMIT = 200000,
	KEY_CACHE_FACTOR = 4, /* entries for each session: two are in use */
	CLIENT_KEYS = 64,     /* few: the clients' keys shall not fill the caches */
	DOOR = 500000,
	JOBS_MAX = 16,
	STAGES = 5,
};

static const char *const stage_names[STAGES] = {
	"show headers", "look up", "open", "route", "group, hide, seal",
};

/* A relay with one packet cipher, and its clients. */
struct relay {
	const struct packet_cipher *cipher;
	struct table *table;
	struct channels *channels;
	struct forward *forward;
	struct session *clients;
	uint32_t *numbers; /* channel of each client */
	struct key_cache *client_keys;
	struct mask *hide;
};

struct job {
	struct relay *relay;
	size_t batch;
	size_t plain_size;
	double ns[ROUNDS]; /* per packet */
	double stage_ns[STAGES][ROUNDS];
};

static struct job jobs[JOBS_MAX];
static size_t job_count;
static uint32_t session_count = SESSIONS_DEFAULT_HERE;
static struct random_seeded seeded;
static struct random_source rng;
static struct packet packets[SLICE_PACKETS];
static uint8_t frames[SLICE_PACKETS][DATAGRAM_SIZE_MAX];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* the thread's own clock costs more than a packet */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A bench of failures would measure nothing. */
static void must(bool is_done)
{
	if (!is_done)
		abort();
}

static struct path path_of(uint32_t client)
{
	return (struct path){
		.remote = address_v4(10, (uint8_t)(client >> 16), (uint8_t)(client >> 8),
				     (uint8_t)client, 4433),
		.door = DOOR,
	};
}

static struct session_id add_session(struct relay *r, uint32_t client)
{
	struct noise_result keys, mirrored;
	struct path path = path_of(client);
	struct session *s = table_reserve(r->table, &rng);

	must(s != NULL);
	random_fill(&rng, &keys, sizeof(keys));
	mirrored = keys;
	memcpy(mirrored.send_key, keys.receive_key, KEY_SIZE);
	memcpy(mirrored.receive_key, keys.send_key, KEY_SIZE);
	session_init(s, s->id, &keys);
	session_init(&r->clients[client], s->id, &mirrored);
	session_set_path(s, &path);
	store_relaxed(&s->is_established, 1);
	table_publish(r->table, s);
	must(channels_take(r->channels, &r->numbers[client]));
	return s->id;
}

static void open_doors(struct relay *r)
{
	uint8_t door_key[KEY_SIZE] = { 1 };
	struct door_keys keys;

	door_keys_derive(door_key, &keys);
	must(forward_open_door(r->forward, DOOR, 1, &keys));
	r->hide = mask_create(MASK_HIDE);
	must(r->hide != NULL);
	mask_set_key(r->hide, keys.c2s_header);
}

static struct relay *relay_create(const struct packet_cipher *cipher)
{
	struct relay *r = calloc(1, sizeof(*r));

	must(r != NULL);
	r->cipher = cipher;
	r->table = table_create(&(struct table_config){ .slots = session_count,
							.entry_size = sizeof(struct session) });
	r->channels = channels_create(session_count);
	r->forward = forward_create(&(struct forward_config){
		.table = r->table,
		.channels = r->channels,
		.cipher = cipher,
		.key_cache_entries = (size_t)session_count * KEY_CACHE_FACTOR,
		.batch_max = SLICE_PACKETS,
	});
	r->clients = calloc(session_count, sizeof(*r->clients));
	r->numbers = calloc(session_count, sizeof(*r->numbers));
	r->client_keys = key_cache_create(cipher, CLIENT_KEYS);
	must(r->table != NULL && r->channels != NULL && r->forward != NULL && r->clients != NULL &&
	     r->numbers != NULL && r->client_keys != NULL);
	open_doors(r);
	for (uint32_t i = 0; i + 1 < session_count; i += 2) {
		struct session_id a = add_session(r, i), b = add_session(r, i + 1);
		channels_join(r->channels, (struct channel_end){ a, r->numbers[i] },
			      (struct channel_end){ b, r->numbers[i + 1] });
	}
	return r;
}

static void seal_packet(struct relay *r, uint32_t index, size_t plain_size)
{
	uint32_t client = random_below(&rng, session_count & ~1u);
	struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(r->numbers[client]),
		.size = store_le16((uint16_t)(plain_size - DATA_FRAME_HEAD)),
	};

	memset(frames[index], 0, plain_size + WIRE_OVERHEAD);
	memcpy(frames[index] + WIRE_HEADER_SIZE, &head, sizeof(head));
	must(session_seal(&r->clients[client], r->client_keys, r->hide, frames[index], plain_size));
	packets[index] = (struct packet){
		.data = frames[index],
		.size = (uint32_t)(plain_size + WIRE_OVERHEAD),
		.path = path_of(client),
	};
}

static void seal_slice(const struct job *job)
{
	for (uint32_t i = 0; i < SLICE_PACKETS; i++)
		seal_packet(job->relay, i, job->plain_size);
}

static double run_slice(const struct job *job, struct instant now)
{
	struct forward_result result;
	size_t sent = 0;
	double start = now_ns();

	for (size_t i = 0; i < SLICE_PACKETS; i += job->batch) {
		forward_batch(job->relay->forward, packets + i, job->batch, now, &result);
		sent += result.send_count;
	}
	double took = now_ns() - start;
	must(sent == SLICE_PACKETS);
	return took / SLICE_PACKETS;
}

/* What forward_batch() does, with a look at the clock between. */
static void run_stages(struct job *job, struct instant now, size_t round)
{
	struct forward *f = job->relay->forward;
	double at[STAGES + 1], sum[STAGES] = { 0 };

	for (size_t i = 0; i < SLICE_PACKETS; i += job->batch) {
		f->upcall_count = f->send_count = 0;
		at[0] = now_ns();
		forward_admit(f, packets + i, job->batch);
		at[1] = now_ns();
		forward_identify(f);
		at[2] = now_ns();
		forward_open(f, now);
		at[3] = now_ns();
		forward_route(f, now);
		at[4] = now_ns();
		forward_send(f);
		at[5] = now_ns();
		must(f->send_count == job->batch);
		for (size_t s = 0; s < STAGES; s++)
			sum[s] += at[s + 1] - at[s];
	}
	for (size_t s = 0; s < STAGES; s++)
		job->stage_ns[s][round] = sum[s] / SLICE_PACKETS;
}

static void measure(void)
{
	struct instant now = { .mono_ns = NS_PER_S, .wall_ns = NS_PER_S };

	/* Round -1 expands the keys and is thrown away. */
	for (int round = -1; round < ROUNDS; round++)
		for (size_t i = 0; i < job_count; i++) {
			size_t place = round < 0 ? 0 : (size_t)round;
			for (int warm = 0; warm < 2; warm++) {
				seal_slice(&jobs[i]);
				jobs[i].ns[place] = run_slice(&jobs[i], now);
			}
			seal_slice(&jobs[i]);
			run_stages(&jobs[i], now, place);
		}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double ns[ROUNDS])
{
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	return ns[ROUNDS / 2];
}

static void report(void)
{
	printf("%u sessions, median of %d slices of %d packets (lowest, highest), ns per packet\n",
	       session_count, ROUNDS, SLICE_PACKETS);
	for (size_t i = 0; i < job_count; i++) {
		struct job *j = &jobs[i];
		double middle = median(j->ns);
		printf("%-18s %4zu B  batch %2zu  %7.0f  (%.0f, %.0f)\n", j->relay->cipher->name,
		       j->plain_size, j->batch, middle, j->ns[0], j->ns[ROUNDS - 1]);
	}
	printf("\n%-38s", "of which (clock included)");
	for (size_t s = 0; s < STAGES; s++)
		printf("  %s", stage_names[s]);
	printf("\n");
	for (size_t i = 0; i < job_count; i++) {
		struct job *j = &jobs[i];
		printf("%-18s %4zu B  batch %2zu ", j->relay->cipher->name, j->plain_size,
		       j->batch);
		for (size_t s = 0; s < STAGES; s++)
			printf("  %*.0f", (int)strlen(stage_names[s]), median(j->stage_ns[s]));
		printf("\n");
	}
}

static void add_jobs(const struct packet_cipher *cipher)
{
	static const size_t sizes[] = { 200, 1200 }, batches[] = { 16, 64 };

	if (cipher == NULL)
		return;
	struct relay *relay = relay_create(cipher);
	for (size_t i = 0; i < 4; i++)
		jobs[job_count++] = (struct job){
			.relay = relay,
			.plain_size = sizes[i / 2],
			.batch = batches[i % 2],
		};
}

int main(int argc, char **argv)
{
	const char *failed;

	if (argc > 1)
		session_count = (uint32_t)strtoul(argv[1], NULL, 10);
	if (session_count < 2 || session_count > SESSIONS_LIMIT) {
		fprintf(stderr, "usage: micro_forward [SESSIONS], 2 to %d\n", SESSIONS_LIMIT);
		return 2;
	}
	if (crypto_init(&failed) != CRYPTO_READY) {
		fprintf(stderr, "micro_forward: %s\n", failed);
		return 1;
	}
	rng = random_seeded_init(&seeded, 1);
	add_jobs(packet_cipher_by_name("ipsec-mb"));
	add_jobs(packet_cipher_by_name("openssl"));
	measure();
	report();
	return 0; /* all memory goes with the process */
}
