#include "net/slices.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { NICE = 5, WORDS = 6, RUNTIME = 3 };
#define SHORT_NS 100000ULL

/* struct sched_attr as words: size and policy, flags, nice and priority, runtime, ... */
struct attributes {
	uint64_t words[WORDS];
};

struct seen {
	bool is_known; /* this kernel tells slices: 6.12 or later */
	struct attributes before, after;
	int nice;
};

static bool look(struct attributes *a)
{
	return syscall(SYS_sched_getattr, 0, a, sizeof(*a), 0) == 0;
}

static void *shorten(void *state)
{
	struct seen *s = state;
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	s->is_known = look(&s->before) && s->before.words[RUNTIME] > 0;
	slices_shorten();
	s->is_known = look(&s->after) && s->is_known;
	s->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	return NULL;
}

/*
 * Goal:   a thread gets the shortest slices, and keeps its policy and niceness; the thread that
 *         started it keeps its slices.
 * Method: ask the kernel, before and after.
 */
static void test_slices_are_the_callers_alone(void **state)
{
	(void)state;
	pthread_t thread;
	struct seen s = { 0 };
	struct attributes mine, later;
	assert_true(look(&mine));
	assert_int_equal(pthread_create(&thread, NULL, shorten, &s), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (!s.is_known)
		skip();
	assert_true(s.before.words[RUNTIME] > SHORT_NS);
	assert_int_equal(s.after.words[RUNTIME], SHORT_NS);
	s.after.words[RUNTIME] = s.before.words[RUNTIME];
	assert_memory_equal(&s.after, &s.before, sizeof(s.after));
	assert_int_equal(s.nice, NICE);
	assert_true(look(&later));
	assert_memory_equal(&later, &mine, sizeof(mine));
}

/* A thread of another policy is not made an ordinary one. */
static void *shorten_batch(void *state)
{
	const struct sched_param zero = { 0 };
	int *policy = state;
	*policy = sched_setscheduler(0, SCHED_BATCH, &zero);
	slices_shorten();
	if (*policy == 0)
		*policy = sched_getscheduler(0);
	return NULL;
}

static void test_another_policy_stays(void **state)
{
	(void)state;
	pthread_t thread;
	int policy = -1;
	assert_int_equal(pthread_create(&thread, NULL, shorten_batch, &policy), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(policy, SCHED_BATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices_are_the_callers_alone),
		cmocka_unit_test(test_another_policy_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
