/*
 * The relay's side of a Compromised where the disk refuses: what holds in memory, what the operator
 * hears, and that it is made good when the disk takes it again.
 */
#include <signal.h>
#include <sys/resource.h>

#include "net/clock.h"
#include "relay/server_internal.h"
#include "tests/support/crypto.h"
#include "tests/support/relay_inside.h"

static const char *const OPTIONS[] = { "--network.engine=epoll", "--network.workers=1",
				       "--limits.sessions=64",   "--limits.channels=64",
				       "--log.level=error",      NULL };

struct world {
	struct relay_inside inside; /* for its folder and settings; this thread is control */
	struct server *server;
};

static void make(struct world *w)
{
	struct server_error error;
	relay_inside_block_signals();
	relay_inside_init(&w->inside, OPTIONS);
	w->server = server_create(&w->inside.settings, &error);
	assert_non_null(w->server);
	if (!server_start(w->server, &error))
		fail_msg("%s", error.text);
}

static void destroy(struct world *w)
{
	server_destroy(w->server);
	relay_inside_fini(&w->inside);
}

/* No file of this process can grow: the write of a tombstone fails like on a full disk. */
static void refuse_writes(bool is_on)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_on ? 1 : limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct revocation of_file(const struct server *s)
{
	struct revocation r = { .scope = COMPROMISED_FILE };
	memcpy(r.id, s->current.id, sizeof(r.id));
	return r;
}

static bool is_revoked_on_disk(struct server *s, const struct revocation *r)
{
	struct store_file file;
	assert_int_equal(store_get_file(s->store, r->id, &file), STORE_OK);
	bytes_wipe(file.shared_secret, sizeof(file.shared_secret));
	return file.is_revoked;
}

static bool is_revoked_in_memory(struct server *s, const struct revocation *r)
{
	struct hello_request request = { .payload.credential = CREDENTIAL_FILE };
	struct credential found;
	memcpy(request.payload.id, r->id, FILE_ID_SIZE);
	assert_true(credentials_find(s->credentials, &request, clock_now().wall_ns, &found));
	return found.status == STATUS_REVOKED;
}

struct count {
	size_t all, done;
};

static void count_tombstone(void *state, const struct store_tombstone *tombstone)
{
	struct count *count = state;
	count->all++;
	count->done += tombstone->is_done;
}

static struct count tombstones(struct server *s)
{
	struct count count = { 0 };
	assert_int_equal(store_each_tombstone(s->store, count_tombstone, &count), STORE_OK);
	return count;
}

/*
 * Goal:   a disk that is full keeps nobody in: it holds in memory at once, on disk when it can.
 * Method: compromised twice without a disk, tried again without, and then with one.
 */
static void a_full_disk_fails_closed(void **state)
{
	static struct world w;
	struct compromise_times times;

	(void)state;
	make(&w);
	struct server *s = w.server;
	struct revocation r = of_file(s);
	assert_false(is_revoked_in_memory(s, &r));
	refuse_writes(true);
	for (int i = 0; i < 2; i++) {
		assert_false(server_compromise(s, &r, "test", NULL, &times));
		assert_false(times.has_tombstone);
		assert_int_equal(s->unkept_count, 1); /* once is enough */
	}
	assert_true(s->unkept_next_ns != NEVER);
	assert_true(is_revoked_in_memory(s, &r));
	assert_false(is_revoked_on_disk(s, &r));
	server_retry_unkept(s);
	assert_int_equal(s->unkept_count, 1);
	assert_int_equal(tombstones(s).all, 0);

	refuse_writes(false);
	server_retry_unkept(s);
	assert_int_equal(s->unkept_count, 0);
	assert_true(s->unkept_next_ns == NEVER);
	assert_true(is_revoked_on_disk(s, &r));
	assert_int_equal(tombstones(s).all, 1);
	assert_int_equal(tombstones(s).done, 1);
	assert_memory_not_equal(s->current.id, r.id, FILE_ID_SIZE); /* there is a new one */
	destroy(&w);
}

/* The bad neighbour: with a disk nothing is left to be tried again. */
static void a_good_disk_has_it_at_once(void **state)
{
	static struct world w;
	struct compromise_times times;

	(void)state;
	make(&w);
	struct revocation r = of_file(w.server);
	assert_true(server_compromise(w.server, &r, "test", NULL, &times));
	assert_true(times.has_tombstone);
	assert_int_equal(w.server->unkept_count, 0);
	assert_true(is_revoked_on_disk(w.server, &r));
	assert_true(is_revoked_in_memory(w.server, &r));
	destroy(&w);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(a_full_disk_fails_closed),
	cmocka_unit_test(a_good_disk_has_it_at_once),
};

CRYPTO_TESTS(TESTS)
