/*
 * What the primitives cost: one line per job, nanoseconds per operation.
 *
 * All jobs take turns, a slice each, round after round, and the median of the slices counts:
 * a machine that slows down for a second then does so for all of them. The packet jobs go
 * through 1,000 keys in random order, as a relay would. Takes about five seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "crypto/mask.h"
#include "crypto/x25519.h"

enum {
	ROUNDS = 31, /* odd: the median is a slice that happened */
	SLICE_NS = 4000000,
	CALIBRATION_NS = 200000,
	KEYS = 1000,
	PACKET_MAX = 1400,
	AAD_SIZE = 16,
	MASK_BATCH = 64,
	JOBS_MAX = 32,
};

struct job;
typedef void job_run(const struct job *job, size_t count);

struct job {
	char name[48];
	job_run *run;
	const struct packet_cipher *cipher;
	uint8_t *slots; /* KEYS expanded keys */
	size_t size;
	size_t per_slice;  /* operations */
	double ns[ROUNDS]; /* per operation */
};

static struct job jobs[JOBS_MAX];
static size_t job_count;

/* What the jobs work on. */
static uint8_t packet[PACKET_MAX];
static uint8_t aad[AAD_SIZE];
static uint16_t order[KEYS];
static uint8_t blocks[MASK_BATCH * MASK_BLOCK_SIZE];
static struct mask *hide, *show;
static struct x25519_pair own, remote;
static struct ed25519_pair signer;
static uint8_t signature[ED25519_SIGNATURE_SIZE];
static uint8_t secret[KEY_SIZE];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* not what other programs take */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A bench of failures would measure nothing. */
static void must(bool is_done)
{
	if (!is_done)
		abort();
}

static void *slot_of(const struct job *job, size_t i)
{
	return job->slots + (size_t)order[i % KEYS] * PACKET_KEY_STRIDE;
}

static void run_seal(const struct job *job, size_t count)
{
	uint8_t nonce[AEAD_NONCE_SIZE] = { 0 }, tag[AEAD_TAG_SIZE];

	for (size_t i = 0; i < count; i++) {
		memcpy(nonce, &i, sizeof i);
		job->cipher->seal(slot_of(job, i), nonce, VIEW(aad), packet, job->size, tag);
	}
}

/* One seal and one open, since only what was sealed can be opened. */
static void run_seal_open(const struct job *job, size_t count)
{
	uint8_t nonce[AEAD_NONCE_SIZE] = { 0 }, tag[AEAD_TAG_SIZE];

	for (size_t i = 0; i < count; i++) {
		void *slot = slot_of(job, i);
		memcpy(nonce, &i, sizeof i);
		job->cipher->seal(slot, nonce, VIEW(aad), packet, job->size, tag);
		must(job->cipher->open(slot, nonce, VIEW(aad), packet, job->size, tag));
	}
}

static void run_expand(const struct job *job, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		job->cipher->erase(slot_of(job, i));
		must(job->cipher->expand(slot_of(job, i), secret));
	}
}

static void run_hide(const struct job *job, size_t count)
{
	(void)job;
	for (size_t i = 0; i < count; i += MASK_BATCH)
		mask_blocks(hide, blocks, MASK_BATCH);
}

static void run_show(const struct job *job, size_t count)
{
	(void)job;
	for (size_t i = 0; i < count; i += MASK_BATCH)
		mask_blocks(show, blocks, MASK_BATCH);
}

static void run_once(const struct job *job, size_t count)
{
	uint8_t sealed[PACKET_MAX + AEAD_TAG_SIZE];

	for (size_t i = 0; i < count; i++)
		aead_seal(secret, secret, VIEW(aad), view_of(packet, job->size), sealed);
}

static void run_hmac(const struct job *job, size_t count)
{
	const struct view part = view_of(packet, job->size);
	uint8_t out[HASH_SIZE];

	for (size_t i = 0; i < count; i++)
		hmac_sha256(VIEW(secret), &part, 1, out);
}

static void run_label(const struct job *job, size_t count)
{
	uint8_t out[KEY_SIZE];

	(void)job;
	for (size_t i = 0; i < count; i++)
		hkdf_label(secret, "label", VIEW(aad), out, sizeof out);
}

static void run_x25519(const struct job *job, size_t count)
{
	uint8_t out[X25519_SIZE];

	(void)job;
	for (size_t i = 0; i < count; i++)
		must(x25519_shared(&own, remote.public, out));
}

static void run_sign(const struct job *job, size_t count)
{
	(void)job;
	for (size_t i = 0; i < count; i++)
		ed25519_sign(&signer, VIEW(aad), signature);
}

static void run_verify(const struct job *job, size_t count)
{
	(void)job;
	for (size_t i = 0; i < count; i++)
		must(ed25519_verify(signer.public, VIEW(aad), signature));
}

static struct job *add(const char *name, job_run *run, size_t size)
{
	if (job_count == JOBS_MAX)
		abort();
	struct job *job = &jobs[job_count++];
	snprintf(job->name, sizeof job->name, "%s", name);
	job->run = run;
	job->size = size;
	return job;
}

static uint8_t *make_slots(const struct packet_cipher *cipher, const struct random_source *random)
{
	uint8_t *slots = aligned_alloc(PACKET_KEY_ALIGN, KEYS * PACKET_KEY_STRIDE);
	uint8_t key[AEAD_KEY_SIZE];

	if (slots == NULL)
		abort();
	memset(slots, 0, KEYS * PACKET_KEY_STRIDE);
	for (size_t i = 0; i < KEYS; i++) {
		random_fill(random, key, sizeof key);
		if (!cipher->expand(slots + i * PACKET_KEY_STRIDE, key))
			abort();
	}
	return slots;
}

static void add_packet_jobs(const struct packet_cipher *cipher, const struct random_source *random)
{
	static const size_t sizes[] = { 64, 200, 1200, 1400 };
	char name[48];

	if (cipher == NULL)
		return;
	uint8_t *slots = make_slots(cipher, random);
	for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
		snprintf(name, sizeof name, "%s %s %zu B", cipher->name,
			 i % 2 == 0 ? "seal" : "seal + open", sizes[i / 2]);
		struct job *job = add(name, i % 2 == 0 ? run_seal : run_seal_open, sizes[i / 2]);
		job->cipher = cipher;
		job->slots = slots;
	}
	snprintf(name, sizeof name, "%s erase + expand a key", cipher->name);
	struct job *job = add(name, run_expand, 0);
	job->cipher = cipher;
	job->slots = slots;
}

static void prepare(const struct random_source *random)
{
	for (size_t i = 0; i < KEYS; i++)
		order[i] = (uint16_t)i;
	for (size_t i = KEYS - 1; i > 0; i--) {
		uint32_t other = random_below(random, (uint32_t)i + 1);
		uint16_t kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
	x25519_generate(&own, random);
	x25519_generate(&remote, random);
	ed25519_generate(&signer, random);
	ed25519_sign(&signer, VIEW(aad), signature);
	random_fill(random, secret, sizeof secret);
	hide = mask_create(MASK_HIDE);
	show = mask_create(MASK_SHOW);
	if (hide == NULL || show == NULL)
		abort();
	mask_set_key(hide, secret);
	mask_set_key(show, secret);
}

/* How many operations fill a slice; a multiple of the mask's batch where there are many. */
static void calibrate(struct job *job)
{
	size_t count = 1;
	double took;

	job->run(job, 1);
	for (;;) {
		double start = now_ns();
		job->run(job, count);
		took = now_ns() - start;
		if (took >= CALIBRATION_NS)
			break;
		count *= 2;
	}
	job->per_slice = (size_t)((double)count * SLICE_NS / took) + 1;
	if (job->per_slice > MASK_BATCH)
		job->per_slice -= job->per_slice % MASK_BATCH;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(void)
{
	for (size_t i = 0; i < job_count; i++)
		calibrate(&jobs[i]);
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < job_count; i++) {
			double start = now_ns();
			jobs[i].run(&jobs[i], jobs[i].per_slice);
			jobs[i].ns[round] = (now_ns() - start) / (double)jobs[i].per_slice;
		}
}

static void report(void)
{
	printf("%s, packet cipher %s, %d keys, median of %d slices (lowest, highest), ns\n",
	       crypto_library_version(), packet_cipher_best()->name, KEYS, ROUNDS);
	for (size_t i = 0; i < job_count; i++) {
		qsort(jobs[i].ns, ROUNDS, sizeof jobs[i].ns[0], compare);
		printf("%-36s %10.1f  (%.1f, %.1f)\n", jobs[i].name, jobs[i].ns[ROUNDS / 2],
		       jobs[i].ns[0], jobs[i].ns[ROUNDS - 1]);
	}
}

int main(void)
{
	const char *failed;
	struct random_seeded seeded;

	if (crypto_init(&failed) != CRYPTO_READY) {
		fprintf(stderr, "micro_crypto: %s\n", failed);
		return 1;
	}
	struct random_source random = random_seeded_init(&seeded, 1);
	prepare(&random);
	add_packet_jobs(packet_cipher_by_name("ipsec-mb"), &random);
	add_packet_jobs(packet_cipher_by_name("openssl"), &random);
	add("mask hide, per block of 64", run_hide, 0);
	add("mask show, per block of 64", run_show, 0);
	add("aead_seal once 200 B", run_once, 200);
	add("hmac_sha256 64 B", run_hmac, 64);
	add("hkdf_label", run_label, 0);
	add("x25519_shared", run_x25519, 0);
	add("ed25519_sign", run_sign, 0);
	add("ed25519_verify", run_verify, 0);
	measure();
	report();
	return 0; /* the keys go with the process */
}
