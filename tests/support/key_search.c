#include "tests/support/key_search.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base64.h"

enum {
	MASK = 0xa5,
	CHUNK = 1 << 20,
	OVERLAP = KEY_SEARCH_SIZE - 1,
	TEXT_MAX = 64,
	FOLDERS_OPEN = 8,
};

void key_search_add(struct key_search *s, const char *name, const uint8_t *key)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < KEY_SEARCH_SIZE; i++)
		sum |= key[i];
	if (sum == 0 || s->count == KEY_SEARCH_MAX)
		return;
	s->names[s->count] = name;
	for (size_t i = 0; i < KEY_SEARCH_SIZE; i++)
		s->masked[s->count][i] = key[i] ^ MASK;
	s->count++;
}

/* ---- memory ------------------------------------------------------------------------------ */

/* `buffer` is masked already. */
static size_t search(const struct key_search *s, const uint8_t *buffer, size_t size,
		     const char *where, bool is_loud)
{
	bool begins[256] = { false };
	size_t hits = 0;
	for (size_t k = 0; k < s->count; k++)
		begins[s->masked[k][0]] = true;
	for (size_t i = 0; i + KEY_SEARCH_SIZE <= size; i++) {
		if (!begins[buffer[i]])
			continue;
		for (size_t k = 0; k < s->count; k++) {
			if (memcmp(buffer + i, s->masked[k], KEY_SEARCH_SIZE) != 0)
				continue;
			hits++;
			if (is_loud)
				fprintf(stderr, "%s found in %s\n", s->names[k], where);
		}
	}
	return hits;
}

static void mask(uint8_t *buffer, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer[i] ^= MASK;
}

static size_t search_mapping(const struct key_search *s, int fd, uint8_t *buffer, const char *line,
			     bool is_loud)
{
	unsigned long begin = 0, end = 0;
	char access = '-';
	size_t hits = 0;
	if (sscanf(line, "%lx-%lx %c", &begin, &end, &access) != 3 || access != 'r' ||
	    (begin <= (uintptr_t)buffer && (uintptr_t)buffer < end))
		return 0;
	for (unsigned long at = begin; at < end; at += CHUNK) {
		size_t size = end - at < CHUNK + OVERLAP ? end - at : CHUNK + OVERLAP;
		ssize_t got = pread(fd, buffer, size, (off_t)at);
		if (got <= 0)
			break; /* a mapping of the kernel's */
		mask(buffer, (size_t)got);
		hits += search(s, buffer, (size_t)got, line, is_loud);
	}
	return hits;
}

size_t key_search_memory(const struct key_search *s, bool is_loud)
{
	/* A page apart from its neighbours, so that it is a mapping of its own. */
	size_t size = CHUNK + 16384;
	uint8_t *room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char line[512];
	size_t hits = 0;
	if (room == MAP_FAILED || mprotect(room + 4096, CHUNK + 8192, PROT_READ | PROT_WRITE) != 0)
		abort();
	FILE *maps = fopen("/proc/self/maps", "re");
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	while (maps != NULL && fd >= 0 && fgets(line, sizeof(line), maps) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		hits += search_mapping(s, fd, room + 4096, line, is_loud);
	}
	if (maps == NULL || fd < 0)
		abort();
	fclose(maps);
	close(fd);
	munmap(room, size);
	return hits;
}

/* ---- files ------------------------------------------------------------------------------- */

static struct {
	const struct key_search *search;
	bool is_loud;
	size_t hits;
} walk;

static size_t search_text(const uint8_t *content, size_t size, const char *path)
{
	const struct key_search *s = walk.search;
	size_t hits = 0;
	for (size_t k = 0; k < s->count; k++) {
		uint8_t key[KEY_SEARCH_SIZE];
		char text[TEXT_MAX] = "";
		memcpy(key, s->masked[k], sizeof(key));
		mask(key, sizeof(key));
		base64_encode(view_of(key, sizeof(key)), text);
		bool is_found = memmem(content, size, text, strlen(text)) != NULL;
		bytes_wipe(key, sizeof(key));
		bytes_wipe(text, sizeof(text));
		hits += is_found;
		if (is_found && walk.is_loud)
			fprintf(stderr, "%s found as text in %s\n", s->names[k], path);
	}
	return hits;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type != FTW_F || !S_ISREG(status->st_mode) || status->st_size == 0)
		return 0;
	size_t size = (size_t)status->st_size;
	uint8_t *content = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = content != NULL && fd >= 0 ? read(fd, content, size) : -1;
	if (got > 0) {
		walk.hits += search_text(content, (size_t)got, path);
		mask(content, (size_t)got);
		walk.hits += search(walk.search, content, (size_t)got, path, walk.is_loud);
		bytes_wipe(content, size);
	}
	if (fd >= 0)
		close(fd);
	free(content);
	return 0;
}

size_t key_search_folder(const struct key_search *s, const char *path, bool is_loud)
{
	walk.search = s;
	walk.is_loud = is_loud;
	walk.hits = 0;
	nftw(path, visit, FOLDERS_OPEN, FTW_PHYS);
	return walk.hits;
}
