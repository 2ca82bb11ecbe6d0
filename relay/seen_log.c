#include "relay/seen_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/limits.h"

#define NEW_NAME "hellos.new"
#define OLD_NAME "hellos.old"

enum { IDS_PER_READ = 1024 };

struct seen_log {
	int directory_fd;
	int fd;         /* of NEW_NAME, appending */
	uint64_t count; /* ids in it */
};

static bool open_new(struct seen_log *log)
{
	log->fd = openat(log->directory_fd, NEW_NAME,
			 O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->fd < 0)
		return false;
	off_t size = lseek(log->fd, 0, SEEK_END);
	log->count = size > 0 ? (uint64_t)size / sizeof(le64) : 0;
	/* What a crash left of an id goes, or all behind it would be shifted. */
	return ftruncate(log->fd, (off_t)(log->count * sizeof(le64))) == 0;
}

struct seen_log *seen_log_open(const char *directory)
{
	struct seen_log *log = calloc(1, sizeof(*log));
	if (log == NULL)
		return NULL;
	log->fd = -1;
	log->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log->directory_fd >= 0 && open_new(log))
		return log;
	int error = errno;
	seen_log_close(log);
	errno = error;
	return NULL;
}

void seen_log_close(struct seen_log *log)
{
	if (log == NULL)
		return;
	if (log->fd >= 0)
		close(log->fd);
	if (log->directory_fd >= 0)
		close(log->directory_fd);
	free(log);
}

static void visit_file(int fd, void (*visit)(void *state, uint64_t id), void *state)
{
	le64 ids[IDS_PER_READ];
	off_t offset = 0;
	for (;;) {
		ssize_t size = pread(fd, ids, sizeof(ids), offset);
		if (size < (ssize_t)sizeof(le64))
			return;
		size_t count = (size_t)size / sizeof(le64);
		for (size_t i = 0; i < count; i++)
			visit(state, load_le64(ids[i]));
		offset += (off_t)(count * sizeof(le64));
	}
}

void seen_log_each(struct seen_log *log, void (*visit)(void *state, uint64_t id), void *state)
{
	int old_fd = openat(log->directory_fd, OLD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (old_fd >= 0) {
		visit_file(old_fd, visit, state);
		close(old_fd);
	}
	visit_file(log->fd, visit, state);
}

bool seen_log_add(struct seen_log *log, uint64_t id)
{
	le64 bytes = store_le64(id);
	if (log->count >= HANDSHAKES_SEEN) {
		if (renameat(log->directory_fd, NEW_NAME, log->directory_fd, OLD_NAME) < 0)
			return false;
		close(log->fd);
		if (!open_new(log))
			return false;
	}
	if (write(log->fd, &bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	log->count++;
	return true;
}
