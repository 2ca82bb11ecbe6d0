/* The packet path: several workers at once on the same sessions. */
#include "core/forward.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/world.h"

/*
 * Goal:   a packet is delivered once, whichever worker receives its copies, and no counter is
 *         used twice, while paths change.
 * Method: all workers get copies of all packets, in batches; each notes what it sent.
 */
enum { WORKERS = 3, COPIES = 4096, THREAD_BATCH = 64, THREAD_CLIENTS = 4 };

struct copies {
	uint8_t bytes[COPIES][WORLD_PADDED + WIRE_OVERHEAD];
	struct path paths[COPIES];
};

struct worker {
	struct world *w;
	struct forward *forward;
	const struct copies *copies;
	_Atomic uint32_t *batches_done; /* by worker: none runs ahead of the replay window */
	uint32_t index;
	uint32_t sent_count;
	uint8_t (*sent)[WIRE_HEADER_SIZE];
};

static void run_copies(struct worker *worker, uint32_t first)
{
	static _Thread_local uint8_t frames[THREAD_BATCH][WORLD_PADDED + WIRE_OVERHEAD];
	struct packet packets[THREAD_BATCH];
	struct forward_result result;

	for (uint32_t i = 0; i < THREAD_BATCH; i++) {
		memcpy(frames[i], worker->copies->bytes[first + i], sizeof(frames[i]));
		packets[i] = (struct packet){
			.data = frames[i],
			.size = sizeof(frames[i]),
			.path = worker->copies->paths[first + i],
		};
	}
	forward_batch(worker->forward, packets, THREAD_BATCH, worker->w->now, &result);
	for (size_t i = 0; i < result.send_count; i++)
		memcpy(worker->sent[worker->sent_count++], result.send[i].data, WIRE_HEADER_SIZE);
}

static void *work(void *state)
{
	struct worker *worker = state;

	for (uint32_t first = 0; first < COPIES; first += THREAD_BATCH) {
		run_copies(worker, first);
		store_release(&worker->batches_done[worker->index], first / THREAD_BATCH + 1);
		for (int i = 0; i < WORKERS; i++) /* the replay window is 15 batches */
			while (load_acquire(&worker->batches_done[i]) + 4 < first / THREAD_BATCH)
				sched_yield();
	}
	return NULL;
}

static int compare_headers(const void *a, const void *b)
{
	return memcmp(a, b, WIRE_HEADER_SIZE);
}

static void assert_all_differ(uint8_t (*headers)[WIRE_HEADER_SIZE], size_t count)
{
	qsort(headers, count, WIRE_HEADER_SIZE, compare_headers);
	for (size_t i = 1; i < count; i++)
		assert_memory_not_equal(headers[i], headers[i - 1], WIRE_HEADER_SIZE);
}

static void workers_deliver_once(void **state)
{
	struct world *w = world_start(state, THREAD_CLIENTS);
	struct copies *copies = calloc(1, sizeof(*copies));
	struct worker workers[WORKERS];
	_Atomic uint32_t batches_done[WORKERS] = { 0 };
	pthread_t threads[WORKERS];
	uint8_t(*all)[WIRE_HEADER_SIZE] = calloc(WORKERS * COPIES, WIRE_HEADER_SIZE);

	assert_non_null(copies);
	assert_non_null(all);
	for (uint32_t i = 0; i < COPIES; i++) {
		struct packet *p =
			world_put_data(w, 0, i % THREAD_CLIENTS, WORLD_BLOB, WORLD_PADDED);
		memcpy(copies->bytes[i], p->data, p->size);
		copies->paths[i] = p->path;
		copies->paths[i].local_ip[0] ^= (uint8_t)(i >> 6 & 1); /* followed at once */
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){
			.w = w,
			.copies = copies,
			.index = i,
			.batches_done = batches_done,
			.sent = calloc(COPIES, WIRE_HEADER_SIZE),
			.forward = forward_create(
				&(struct forward_config){ .table = w->table,
							  .channels = w->channels,
							  .cipher = w->cipher,
							  .key_cache_entries = 64,
							  .batch_max = THREAD_BATCH }),
		};
		assert_true(forward_open_door(workers[i].forward, WORLD_DOOR, WORLD_PORT,
					      &w->doors[0].keys));
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	uint32_t total = 0;
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		memcpy(all[total], workers[i].sent, workers[i].sent_count * WIRE_HEADER_SIZE);
		total += workers[i].sent_count;
	}
	assert_int_equal(total, COPIES);
	assert_all_differ(all, total);
	for (int i = 0; i < WORKERS; i++) {
		forward_destroy(workers[i].forward);
		free(workers[i].sent);
	}
	free(all);
	free(copies);
	world_destroy(w);
}

/*
 * Goal:   sessions are rekeyed, moved, revoked, ended and made anew under full traffic, and no
 *         worker ever touches freed or erased memory or uses a counter twice.
 * Method: each worker seals for all clients itself (so all send the same packets) and forwards
 *         in batches; the keeper changes things and waits for quiet points where it must. What
 *         the sanitizers say is half of this test.
 */
enum { CHANGES = 500, CHANGE_CLIENTS = 8, SENT_MAX = 1 << 18, SMALL_BATCH = 16 };

/* What the keeper tells of a client; its keys follow from generation and epoch. */
struct notice {
	_Atomic uint64_t id;
	_Atomic uint32_t epoch;
	_Atomic uint32_t channel;
};

struct changing_world {
	struct world *w;
	struct notice notices[CHANGE_CLIENTS];
	_Atomic uint32_t quiet[WORKERS];
	_Atomic bool is_over;
};

struct changing_worker {
	struct changing_world *cw;
	struct forward *forward;
	struct key_cache *keys;
	struct mask *hide;
	uint32_t index;
	struct session ends[CHANGE_CLIENTS];
	uint8_t frames[SMALL_BATCH][WORLD_PADDED + WIRE_OVERHEAD];
	uint32_t sent_count;
	uint8_t sent[SENT_MAX][WIRE_HEADER_SIZE];
};

static struct noise_result keys_of(struct session_id id, uint32_t epoch, bool is_relay)
{
	return test_keys(id.generation + epoch * 77777, is_relay);
}

/* Follow what the keeper has told of a client. */
static void follow(struct changing_worker *worker, uint32_t client)
{
	const struct notice *notice = &worker->cw->notices[client];
	struct session *end = &worker->ends[client];
	uint64_t packed = load_acquire(&notice->id);
	uint32_t epoch = load_acquire(&notice->epoch);

	if (session_id_pack(end->id) != packed) {
		struct session_id id = { (uint32_t)packed, (uint32_t)(packed >> 32) };
		struct noise_result keys = keys_of(id, 0, false);
		session_init(end, id, &keys);
	}
	while (load_relaxed(&end->epoch) < epoch) {
		struct noise_result keys = keys_of(end->id, load_relaxed(&end->epoch) + 1, false);
		session_retire_epoch(end);
		session_next_epoch(end, &keys);
	}
}

static void put_from(struct changing_worker *worker, struct packet *packet, uint8_t *frame,
		     uint32_t client)
{
	struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(load_relaxed(&worker->cw->notices[client].channel)),
	};

	memset(frame, 0, WORLD_PADDED + WIRE_OVERHEAD);
	memcpy(frame + WIRE_HEADER_SIZE, &head, sizeof(head));
	bool is_sealed = session_seal(&worker->ends[client], worker->keys, worker->hide, frame,
				      WORLD_PADDED);
	*packet = (struct packet){
		.data = frame,
		.size = is_sealed ? WORLD_PADDED + WIRE_OVERHEAD : 0,
		.path = test_path(client, WORLD_DOOR),
	};
}

static void *work_under_change(void *state)
{
	struct changing_worker *worker = state;
	struct packet packets[SMALL_BATCH];
	struct forward_result result;

	while (!load_acquire(&worker->cw->is_over)) {
		for (uint32_t i = 0; i < CHANGE_CLIENTS; i++)
			follow(worker, i);
		for (uint32_t i = 0; i < SMALL_BATCH; i++)
			put_from(worker, &packets[i], worker->frames[i], i % CHANGE_CLIENTS);
		forward_batch(worker->forward, packets, SMALL_BATCH, worker->cw->w->now, &result);
		for (size_t i = 0; i < result.send_count && worker->sent_count < SENT_MAX; i++)
			memcpy(worker->sent[worker->sent_count++], result.send[i].data,
			       WIRE_HEADER_SIZE);
		_Atomic uint32_t *quiet = &worker->cw->quiet[worker->index];
		store_release(quiet, load_relaxed(quiet) + 1); /* pairs with wait_for_quiet() */
		sched_yield();
	}
	return NULL;
}

static void wait_for_quiet(struct changing_world *cw)
{
	for (int i = 0; i < WORKERS; i++) {
		uint32_t seen = load_acquire(&cw->quiet[i]);
		while (load_acquire(&cw->quiet[i]) - seen < 2)
			sched_yield();
	}
}

static void tell(struct changing_world *cw, uint32_t client)
{
	const struct world_client *c = &cw->w->clients[client];

	store_relaxed(&cw->notices[client].channel, c->channel);
	store_release(&cw->notices[client].epoch, load_relaxed(&c->session->epoch));
	store_release(&cw->notices[client].id, session_id_pack(c->session->id));
}

static void rekey(struct changing_world *cw, uint32_t client)
{
	struct session *s = cw->w->clients[client].session;
	struct noise_result keys = keys_of(s->id, load_relaxed(&s->epoch) + 1, true);

	session_next_epoch(s, &keys);
	tell(cw, client);
	wait_for_quiet(cw);
	session_retire_epoch(s);
	wait_for_quiet(cw);
	session_erase_retired(s);
}

static void make(struct changing_world *cw, uint32_t client)
{
	struct world_client *c = &cw->w->clients[client];

	c->session = table_reserve(cw->w->table, &cw->w->random);
	struct noise_result keys = keys_of(c->session->id, 0, true);
	session_init(c->session, c->session->id, &keys);
	c->path = test_path(client, WORLD_DOOR);
	session_set_path(c->session, &c->path);
	table_publish(cw->w->table, c->session);
}

static void end(struct changing_world *cw, uint32_t client)
{
	struct world_client *c = &cw->w->clients[client];

	store_relaxed(&c->session->is_revoked, 1);
	channels_part(cw->w->channels, c->channel);
	table_remove(cw->w->table, c->session);
	wait_for_quiet(cw);
	table_free(cw->w->table, c->session);
	channels_give_back(cw->w->channels, c->channel);
}

static void make_pair(struct changing_world *cw, uint32_t client)
{
	make(cw, client);
	make(cw, client + 1);
	world_join(cw->w, client, client + 1);
	tell(cw, client);
	tell(cw, client + 1);
}

static void change_something(struct changing_world *cw)
{
	uint32_t client = random_below(&cw->w->random, CHANGE_CLIENTS);
	struct path path = cw->w->clients[client].path;

	switch (random_below(&cw->w->random, 4)) {
	case 0:
		end(cw, client & ~1u);
		end(cw, client | 1);
		make_pair(cw, client & ~1u);
		break;
	case 1: /* the next packet brings it back */
		path.local_ip[3]++;
		session_set_path(cw->w->clients[client].session, &path);
		break;
	default: rekey(cw, client);
	}
}

static struct changing_worker *start_worker(struct changing_world *cw, uint32_t index)
{
	struct changing_worker *worker = calloc(1, sizeof(*worker));

	assert_non_null(worker);
	worker->cw = cw;
	worker->index = index;
	worker->keys = key_cache_create(cw->w->cipher, 64);
	worker->hide = mask_create(MASK_HIDE);
	mask_set_key(worker->hide, cw->w->doors[0].keys.c2s_header);
	worker->forward = forward_create(&(struct forward_config){ .table = cw->w->table,
								   .channels = cw->w->channels,
								   .cipher = cw->w->cipher,
								   .key_cache_entries = 16,
								   .batch_max = SMALL_BATCH });
	assert_true(
		forward_open_door(worker->forward, WORLD_DOOR, WORLD_PORT, &cw->w->doors[0].keys));
	return worker;
}

static void stop_worker(struct changing_worker *worker)
{
	forward_destroy(worker->forward);
	key_cache_destroy(worker->keys);
	mask_destroy(worker->hide);
	free(worker);
}

static void sessions_change_under_traffic(void **state)
{
	struct changing_world cw = { .w = world_start(state, 0) };
	struct changing_worker *workers[WORKERS];
	pthread_t threads[WORKERS];
	uint8_t(*all)[WIRE_HEADER_SIZE] = calloc(WORKERS * SENT_MAX, WIRE_HEADER_SIZE);
	size_t total = 0;

	assert_non_null(all);
	for (uint32_t i = 0; i < CHANGE_CLIENTS; i += 2)
		make_pair(&cw, i);
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = start_worker(&cw, i);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_under_change, workers[i]),
				 0);
	for (int i = 0; i < CHANGES; i++)
		change_something(&cw);
	store_release(&cw.is_over, true);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		memcpy(all[total], workers[i]->sent, workers[i]->sent_count * WIRE_HEADER_SIZE);
		total += workers[i]->sent_count;
		stop_worker(workers[i]);
	}
	assert_true(total > CHANGES);
	assert_all_differ(all, total);
	free(all);
	world_destroy(cw.w);
}

static const struct CMUnitTest tests[] = {
	WITH_BOTH_CIPHERS(workers_deliver_once),
	WITH_BOTH_CIPHERS(sessions_change_under_traffic),
};

CRYPTO_TESTS(tests)
