/* Time limit: 500 s */
/*
 * Goal:   a worker asks for no memory once the relay runs.
 * Method: this program's own malloc() counts what threads named worker-* ask for, while 100,000
 *         packets are relayed between clients that have all been met before.
 */
#include <dirent.h>
#include <sys/prctl.h>

#include "core/atomic.h"
#include "core/security_file.h"
#include "tests/support/crypto.h"
#include "tests/support/relay_inside.h"
#include "tests/support/wire_client.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_ALLOCATOR 1
#elif defined(__has_feature)
#define HAS_OWN_ALLOCATOR (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define HAS_OWN_ALLOCATOR 0
#endif

enum { CLIENTS = 8, BLOBS = 100000 / CLIENTS, WINDOW = 64, WAIT_S = 50, THREAD_NAME_SIZE = 16 };

static _Atomic bool is_counting;
static _Atomic unsigned long by_workers, by_others;

static void note_call(void)
{
	char name[THREAD_NAME_SIZE + 1] = "";
	if (!load_relaxed(&is_counting))
		return;
	prctl(PR_GET_NAME, name);
	add_relaxed(strncmp(name, "worker-", 7) == 0 ? &by_workers : &by_others, 1);
}

#if !HAS_OWN_ALLOCATOR
/* glibc's own, behind the names that are replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	note_call();
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	note_call();
	return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	note_call();
	return __libc_realloc(memory, size);
}

__attribute__((visibility("default"))) void free(void *memory)
{
	if (memory != NULL)
		note_call();
	__libc_free(memory);
}
#endif

static struct wire_client clients[CLIENTS];
static unsigned sent[CLIENTS], received[CLIENTS], wanted;

static void count_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	(void)channel;
	(void)blob;
	received[c - clients]++;
}

static bool are_joined(void *state)
{
	bool all = true;
	(void)state;
	for (size_t i = 0; i < CLIENTS; i += 2)
		all &= wire_is_joined(&clients[i]);
	return all;
}

static bool step_talk(void *state)
{
	static const uint8_t blob[200];
	bool all = true;
	(void)state;
	for (size_t i = 0; i < CLIENTS; i++) {
		while (sent[i] < wanted && sent[i] < received[i ^ 1] + WINDOW &&
		       wire_send(&clients[i], clients[i].channel, view_of(blob, sizeof(blob))))
			sent[i]++;
		all &= received[i] >= wanted;
	}
	return all;
}

static unsigned count_workers(void)
{
	unsigned count = 0;
	DIR *tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		char path[sizeof(task->d_name) + 32], name[THREAD_NAME_SIZE + 1] = "";
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		FILE *file = fopen(path, "re");
		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) != NULL)
			count += strncmp(name, "worker-", 7) == 0;
		fclose(file);
	}
	closedir(tasks);
	return count;
}

static void run(const char *engine)
{
	const char *const options[] = { engine, "--network.workers=4",
					"--limits.handshake_rate=1000", NULL };
	struct link_config file;
	struct relay_inside r;
	const struct address here = address_v4(127, 0, 0, 1, 0);
	relay_inside_init(&r, options);
	assert_true(relay_inside_start(&r));
	assert_true(wire_file_read(relay_inside_state(&r), &file));
	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	for (size_t i = 0; i < CLIENTS; i++) {
		assert_true(wire_client_open(&clients[i], &file, &here));
		clients[i].on_blob = count_blob;
	}
	assert_int_equal(count_workers(), 4);
	assert_true(wire_wait_up(clients, CLIENTS, WAIT_S));
	assert_true(wire_wait(clients, CLIENTS, WAIT_S, are_joined, NULL));

	store_relaxed(&by_workers, 0);
	store_relaxed(&by_others, 0);
	store_relaxed(&is_counting, true);
	wanted = BLOBS;
	assert_true(wire_wait(clients, CLIENTS, WAIT_S, step_talk, NULL));
	/* The yardstick itself: asking for the status is the control thread's work, in memory. */
	assert_true(relay_process_is_up(&r.outside));
	store_relaxed(&is_counting, false);

	for (size_t i = 0; i < CLIENTS; i++)
		wire_client_close(&clients[i]);
	assert_int_equal(relay_inside_stop(&r), 0);
	relay_inside_fini(&r);
	assert_true(load_relaxed(&by_others) > 0);
	assert_int_equal(load_relaxed(&by_workers), 0);
}

static void test_workers_allocate_nothing(void **state)
{
	(void)state;
	if (HAS_OWN_ALLOCATOR) {
		print_message("SKIPPED: a sanitizer has its own malloc()\n");
		skip();
	}
	run("--network.engine=epoll");
	if (relay_process_has_engine("uring"))
		run("--network.engine=uring");
}

static int start(void **state)
{
	relay_inside_block_signals();
	security_file_init();
	return test_crypto_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_workers_allocate_nothing) };
	return cmocka_run_group_tests(tests, start, test_crypto_stop);
}
