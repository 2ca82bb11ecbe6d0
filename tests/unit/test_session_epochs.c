/* Session: several threads move to the next keys at once. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/session.h"

enum {
	EPOCHS = TEST_IS_SANITIZED ? 1000 : 5000,
	FOLLOWERS = 2, /* open the first packets of an epoch */
	SENDERS = 2,
	THREADS = FOLLOWERS + SENDERS,
	RUNS = 20, /* packets of each sender and epoch */
};

struct race {
	struct session s;
	pthread_barrier_t begin, end;
	_Atomic uint64_t first; /* the lowest counter of a packet under the newest keys */
	_Atomic uint64_t wrapped;
};

static void note_first(struct race *r, uint64_t counter)
{
	uint64_t lowest = load_relaxed(&r->first);
	while (counter < lowest && !cas_relaxed(&r->first, &lowest, counter))
		continue;
}

static void *follow(void *state)
{
	struct race *r = state;
	for (uint32_t epoch = 1; epoch <= EPOCHS; epoch++) {
		pthread_barrier_wait(&r->begin);
		session_follow_epoch(&r->s, epoch);
		pthread_barrier_wait(&r->end);
	}
	return NULL;
}

static void *send(void *state)
{
	struct race *r = state;
	for (uint32_t epoch = 1; epoch <= EPOCHS; epoch++) {
		pthread_barrier_wait(&r->begin);
		for (int sent = 0; sent < RUNS;) {
			bool is_new = load_acquire(&r->s.epoch) == epoch;
			uint64_t counter;
			if (!session_reserve(&r->s, 1, &counter))
				add_relaxed(&r->wrapped, 1);
			if (is_new)
				note_first(r, counter);
			sent += is_new;
			if (session_sent(&r->s) > EPOCH_PACKETS_HARD)
				add_relaxed(&r->wrapped, 1);
		}
		pthread_barrier_wait(&r->end);
	}
	return NULL;
}

/*
 * Goal:   every packet under the newest keys counts against their limit, whoever of those that
 *         opened their first packets is held up where; and what was sent is never negative.
 * Method: two threads move on at once, over and over, while two others send.
 */
static void no_packet_of_an_epoch_goes_uncounted(void **state)
{
	static struct race r;
	pthread_t threads[THREADS];
	struct noise_result keys = test_keys(1, true);
	uint64_t before = 0;

	(void)state;
	session_init(&r.s, (struct session_id){ 1, 1 }, &keys);
	pthread_barrier_init(&r.begin, NULL, THREADS + 1);
	pthread_barrier_init(&r.end, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < FOLLOWERS ? follow : send,
						&r),
				 0);
	for (uint32_t epoch = 1; epoch <= EPOCHS; epoch++) {
		session_retire_epoch(&r.s);
		session_publish_epoch(&r.s, &keys);
		store_relaxed(&r.first, UINT64_MAX);
		pthread_barrier_wait(&r.begin);
		pthread_barrier_wait(&r.end);
		uint64_t start = load_relaxed(&r.s.epoch_start);
		assert_int_equal(load_relaxed(&r.s.epoch), epoch);
		assert_true(start >= before); /* and so not of the epoch before */
		assert_true(start <= load_relaxed(&r.first));
		before = load_relaxed(&r.first);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(load_relaxed(&r.wrapped), 0);
	pthread_barrier_destroy(&r.begin);
	pthread_barrier_destroy(&r.end);
}

/* ---- held up at any instruction ---------------------------------------------------------- */

enum {
	SENT_BEFORE = 10,
	SENT_BETWEEN = 5,
	STEPS_MAX = 10000,
};

/* In memory that is shared with a process which stands for another thread. */
struct stepped {
	struct session s;
	_Atomic bool is_inside, is_over;
	uint64_t sent;
};

static void move_on(struct stepped *shared)
{
	session_follow_epoch(&shared->s, 1);
}

static void ask_what_was_sent(struct stepped *shared)
{
	shared->sent = session_sent(&shared->s);
}

static pid_t start_stepped(struct stepped *shared, void (*act)(struct stepped *shared))
{
	struct noise_result keys = test_keys(1, true);
	uint64_t first;
	memset(shared, 0, sizeof(*shared));
	session_init(&shared->s, (struct session_id){ 1, 1 }, &keys);
	assert_true(session_reserve(&shared->s, SENT_BEFORE, &first));
	session_publish_epoch(&shared->s, &keys);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	store_release(&shared->is_inside, true);
	act(shared);
	store_release(&shared->is_over, true);
	_exit(0);
}

/* False: the child has ended. */
static bool step(pid_t child)
{
	int status;
	assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSTOPPED(status);
}

/*
 * The child acts, and is held up after `steps` instructions; there we open the first packet of the
 * epoch, too, and send. False: it was through by then.
 */
static bool run_stepped(struct stepped *shared, void (*act)(struct stepped *shared), int steps)
{
	uint64_t first;
	int status;
	pid_t child = start_stepped(shared, act);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: the system refuses to trace\n");
		skip();
	}
	assert_true(WIFSTOPPED(status));
	for (int i = 0; i < STEPS_MAX && !load_acquire(&shared->is_inside); i++)
		assert_true(step(child));
	assert_true(load_acquire(&shared->is_inside));
	for (int i = 0; i < steps && !load_acquire(&shared->is_over); i++)
		assert_true(step(child));
	bool was_inside = !load_acquire(&shared->is_over);
	session_follow_epoch(&shared->s, 1);
	assert_true(session_reserve(&shared->s, SENT_BETWEEN, &first));
	assert_int_equal(first, SENT_BEFORE);
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return was_inside;
}

static struct stepped *share(void)
{
	if (TEST_IS_SANITIZED) {
		print_message("SKIPPED: the sanitizer's own instructions are too many\n");
		skip();
	}
	void *shared = mmap(NULL, sizeof(struct stepped), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	return shared;
}

/*
 * Goal:   whoever opens a first packet and is held up somewhere does not make the epoch start
 *         later than its first packet that was sent.
 * Method: held up after each of its instructions, while another moves on and sends.
 */
static void a_late_one_moves_no_start(void **state)
{
	struct stepped *shared = share();
	int steps = 0;

	(void)state;
	for (bool was_inside = true; was_inside; steps++) {
		was_inside = run_stepped(shared, move_on, steps);
		assert_int_equal(load_relaxed(&shared->s.epoch), 1);
		assert_in_range(load_relaxed(&shared->s.epoch_start), 0, SENT_BEFORE);
	}
	assert_in_range(steps, 10, STEPS_MAX);
	munmap(shared, sizeof(*shared));
}

/* Likewise who asks how much was sent: never less than nothing, which would end the session. */
static void what_was_sent_is_never_negative(void **state)
{
	struct stepped *shared = share();
	int steps = 0;

	(void)state;
	for (bool was_inside = true; was_inside; steps++) {
		was_inside = run_stepped(shared, ask_what_was_sent, steps);
		assert_in_range(shared->sent, 0, SENT_BEFORE + SENT_BETWEEN);
	}
	assert_in_range(steps, 4, STEPS_MAX);
	munmap(shared, sizeof(*shared));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_late_one_moves_no_start),
	cmocka_unit_test(what_was_sent_is_never_negative),
	cmocka_unit_test(no_packet_of_an_epoch_goes_uncounted),
};

CRYPTO_TESTS(tests)
