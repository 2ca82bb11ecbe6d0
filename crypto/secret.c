#include "crypto/secret.h"

#include <assert.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	CELL_SIZE = 64,          /* alignment, and the unit of the arena */
	ARENA_SIZE = 256 * 1024, /* fits 8 MiB of RLIMIT_MEMLOCK beside a few rings */
	CELL_COUNT = ARENA_SIZE / CELL_SIZE,
	SMALL_MAX = ARENA_SIZE / 16, /* larger ones get pages of their own */
};

/* Guarded by arena.lock. */
static struct {
	pthread_mutex_t lock;
	uint8_t *memory; /* NULL until the first use */
	bool is_exposed; /* some pages could not be protected */
	bool is_used[CELL_COUNT];
} arena = { .lock = PTHREAD_MUTEX_INITIALIZER };

/*
 * Pages that no core dump shows, no fork inherits and no swap sees. What the system refuses
 * of that (limits, small emulated kernels) is remembered, and secret_is_locked() tells.
 */
static uint8_t *map_pages(size_t size)
{
	uint8_t *pages =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	if (madvise(pages, size, MADV_DONTDUMP) != 0 ||
	    madvise(pages, size, MADV_WIPEONFORK) != 0 || mlock(pages, size) != 0)
		arena.is_exposed = true;
	return pages;
}

static size_t to_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static size_t to_cells(size_t size)
{
	return (size + CELL_SIZE - 1) / CELL_SIZE;
}

static bool arena_start(void)
{
	if (arena.memory == NULL)
		arena.memory = map_pages(ARENA_SIZE);
	return arena.memory != NULL;
}

/* First fit: secrets are few and long-lived. CELL_COUNT: no run of `count` free cells. */
static size_t find_cells(size_t count)
{
	size_t run = 0;

	for (size_t i = 0; i < CELL_COUNT; i++) {
		run = arena.is_used[i] ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return CELL_COUNT;
}

static void *take_cells(size_t count)
{
	if (!arena_start())
		return NULL;
	size_t first = find_cells(count);
	if (first == CELL_COUNT)
		return NULL;
	memset(&arena.is_used[first], true, count);
	return arena.memory + first * CELL_SIZE;
}

void *secret_create(size_t size)
{
	if (size == 0 || size > SIZE_MAX / 2)
		return NULL;
	pthread_mutex_lock(&arena.lock);
	void *secret = size <= SMALL_MAX ? take_cells(to_cells(size)) : map_pages(to_pages(size));
	pthread_mutex_unlock(&arena.lock);
	return secret;
}

void secret_destroy(void *secret, size_t size)
{
	if (secret == NULL)
		return;
	bytes_wipe(secret, size);
	if (size > SMALL_MAX) {
		munmap(secret, to_pages(size));
		return;
	}
	pthread_mutex_lock(&arena.lock);
	size_t first = (size_t)((uint8_t *)secret - arena.memory) / CELL_SIZE;
	assert(first + to_cells(size) <= CELL_COUNT);
	assert(arena.is_used[first]);
	memset(&arena.is_used[first], false, to_cells(size));
	pthread_mutex_unlock(&arena.lock);
}

bool secret_is_locked(void)
{
	pthread_mutex_lock(&arena.lock);
	bool is_locked = arena_start() && !arena.is_exposed;
	pthread_mutex_unlock(&arena.lock);
	return is_locked;
}

/* Lock all memory, as it is touched. Under a limit this would make later allocations fail
 * instead, so only where there is none; the arena is locked in any case. */
static void lock_all_memory(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

void secret_harden_process(void)
{
	const struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
#ifndef CLAWCHAT_SANITIZE_ADDRESS /* its leak check traces the process */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	lock_all_memory();
}
