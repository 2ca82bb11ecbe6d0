#include "tests/support/crew.h"

#include <poll.h>

enum {
	WAIT_MS = 20000, /* a loaded machine under a sanitizer */
	LOOK_MS = 2,
	CHANNELS = 64,
	CAPACITY = 1024,
	BUFFER = 1 << 20,
};

static struct mailbox *make_mailbox(struct crew *c, size_t item_size, size_t capacity)
{
	struct mailbox *m = mailbox_create(&(struct mailbox_config){
		.item_size = item_size,
		.capacity = capacity != 0 ? capacity : CAPACITY,
		.wake = keeper_waker_wake,
		.wake_state = c->waker,
	});
	assert_non_null(m);
	return m;
}

static void start_worker(struct crew *c, unsigned index, enum engine_kind kind)
{
	const struct worker_config config = {
		.index = index,
		.engine = { .kind = kind,
			    .receive_buffer_bytes = BUFFER,
			    .send_buffer_bytes = BUFFER,
			    .want_gro = true,
			    .share_port = true },
		.forward = { .table = c->table,
			     .channels = c->channels,
			     .cipher = packet_cipher_best(),
			     .key_cache_entries = CREW_SLOTS,
			     .batch_max = WORKER_BATCH },
		.quiesce = &c->quiesce,
		.hellos = c->hellos,
		.frames = c->frames,
	};
	assert_int_equal(worker_start(&c->workers[index], &config), 0);
	assert_int_equal(worker_engine(c->workers[index]), kind);
}

static void start_keeper(struct crew *c)
{
	struct keeper_thread_config config = {
		.keeper = { .table = c->table,
			    .channels = c->channels,
			    .cipher = packet_cipher_best(),
			    .random = c->random,
			    .idle_timeout_ns = 180 * NS_PER_S,
			    .keepalive_s = 25,
			    .handshake_rate_per_s = 1000000,
			    .handshake_burst = 1000000 },
		.credentials = c->credentials,
		.quiesce = &c->quiesce,
		.hellos = c->hellos,
		.frames = c->frames,
		.events = c->events,
		.workers = c->workers,
		.worker_count = c->worker_count,
	};
	x25519_generate(&config.keeper.server.static_key, &c->random);
	assert_int_equal(keeper_thread_start(&c->keeper, &config, c->waker), 0);
}

static bool is_refused(enum engine_kind kind)
{
	struct engine *e;
	if (engine_create(&e, &(struct engine_config){ .kind = kind }) < 0)
		return true;
	engine_destroy(e);
	return false;
}

struct crew *crew_create(const struct crew_config *config)
{
	if (is_refused(config->engine)) {
		print_message("SKIPPED: the system refuses a ring\n");
		skip();
	}
	/* struct quiesce has a line for each reader. */
	size_t size = (sizeof(struct crew) + 63) / 64 * 64;
	struct crew *c = aligned_alloc(64, size);
	assert_non_null(c);
	memset(c, 0, size);
	c->random = random_system();
	c->worker_count = config->workers;
	c->waker = keeper_waker_create();
	c->table = table_create(
		&(struct table_config){ .slots = CREW_SLOTS, .entry_size = keeper_entry_size() });
	c->channels = channels_create(CHANNELS);
	c->credentials = credentials_create();
	assert_true(c->waker != NULL && c->table != NULL && c->channels != NULL);
	assert_non_null(c->credentials);
	c->hellos = make_mailbox(c, sizeof(struct upcall_item), config->mailbox_capacity);
	c->frames = make_mailbox(c, sizeof(struct upcall_item), config->mailbox_capacity);
	c->events = make_mailbox(c, sizeof(struct keeper_event), config->mailbox_capacity);
	quiesce_init(&c->quiesce, c->worker_count);
	for (unsigned i = 0; i < c->worker_count; i++)
		start_worker(c, i, config->engine);
	if (config->has_keeper)
		start_keeper(c);
	return c;
}

void crew_destroy(struct crew *c)
{
	keeper_thread_stop(c->keeper);
	for (unsigned i = 0; i < c->worker_count; i++)
		worker_stop(c->workers[i]);
	mailbox_destroy(c->hellos);
	mailbox_destroy(c->frames);
	mailbox_destroy(c->events);
	keeper_waker_destroy(c->waker);
	table_destroy(c->table);
	channels_destroy(c->channels);
	credentials_destroy(c->credentials);
	free(c);
}

uint64_t crew_verdicts(const struct crew *c, enum verdict v)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < c->worker_count; i++)
		sum += load_relaxed(&worker_verdicts(c->workers[i])->of[v]);
	return sum;
}

void crew_wait(bool (*is_done)(void *state), void *state)
{
	for (int waited = 0; !is_done(state); waited += LOOK_MS) {
		if (waited > WAIT_MS)
			fail_msg("waited in vain");
		poll(NULL, 0, LOOK_MS);
	}
}
