#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/profile.h"
#include "client/transfer.h"
#include "core/instant.h"

static uint64_t mtime_of(const struct stat *info)
{
	return (uint64_t)info->st_mtim.tv_sec * NS_PER_S + (uint64_t)info->st_mtim.tv_nsec;
}

struct outgoing *outgoing_create(const char *path, const struct random_source *random,
				 struct clawchat_error *error)
{
	struct stat info;
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	struct outgoing *o = calloc(1, sizeof(*o));
	if (o == NULL) {
		client_error(error, CLAWCHAT_FAILED, "%s: out of memory", path);
		return NULL;
	}
	/* O_NONBLOCK: a FIFO must not hold us up; it is refused below. */
	o->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (o->fd < 0 || fstat(o->fd, &info) < 0) {
		client_error(error, errno == EACCES ? CLAWCHAT_PERMISSION : CLAWCHAT_IO, "%s: %s",
			     path, strerror(errno));
		outgoing_destroy(o);
		return NULL;
	}
	bool is_named = file_name_clean(view_of(name, strlen(name)), o->name) > 0;
	if (!S_ISREG(info.st_mode) || !is_named || (uint64_t)info.st_size > FILE_SIZE_MAX) {
		client_error(error, CLAWCHAT_IO, "%s: %s", path,
			     !S_ISREG(info.st_mode) ? "is not a regular file; pack a folder first" :
			     !is_named              ? "has no name that can be sent" :
						      "is too large");
		outgoing_destroy(o);
		return NULL;
	}
	o->size = (uint64_t)info.st_size;
	o->mtime_ns = mtime_of(&info);
	random_fill(random, o->id, sizeof(o->id));
	o->hash = sha256_create();
	return o;
}

void outgoing_destroy(struct outgoing *o)
{
	uint8_t unused[HASH_SIZE];
	if (o == NULL)
		return;
	if (o->fd >= 0)
		close(o->fd);
	if (o->hash != NULL)
		sha256_final(o->hash, unused);
	free(o);
}

static enum transfer_progress fail(struct outgoing *o, const char *why)
{
	snprintf(o->reason, sizeof(o->reason), "%s: %s", o->name, why);
	return TRANSFER_FAILED;
}

/* Up to `size` bytes at `offset`; false: read error, or the file is shorter than it was. */
static bool read_at(struct outgoing *o, uint64_t offset, uint8_t *out, size_t size)
{
	size_t got = 0;
	while (got < size) {
		ssize_t n = pread(o->fd, out + got, size - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static size_t next_size(const struct outgoing *o)
{
	uint64_t left = o->size - o->done;
	return left < MESSAGE_CHUNK_MAX ? (size_t)left : MESSAGE_CHUNK_MAX;
}

enum transfer_progress outgoing_hash(struct outgoing *o)
{
	for (size_t slice = 0; slice < TRANSFER_SLICE && o->done < o->size;) {
		size_t size = next_size(o);
		if (!read_at(o, o->done, o->chunk, size))
			return fail(o, "could not be read, or became shorter");
		sha256_update(o->hash, view_of(o->chunk, size));
		o->done += size;
		slice += size;
	}
	if (o->done < o->size)
		return TRANSFER_BUSY;
	sha256_final(o->hash, o->sha256);
	o->hash = NULL;
	return TRANSFER_READY;
}

void outgoing_start(struct outgoing *o, uint64_t offset)
{
	o->done = offset < o->size ? offset : o->size;
	o->chunk_size = 0;
}

static bool has_changed(const struct outgoing *o)
{
	struct stat info;
	return fstat(o->fd, &info) < 0 || (uint64_t)info.st_size != o->size ||
	       mtime_of(&info) != o->mtime_ns;
}

enum transfer_progress outgoing_next(struct outgoing *o, struct message *m)
{
	if (o->done == o->size && o->chunk_size == 0)
		return TRANSFER_READY;
	if (o->chunk_size == 0) {
		size_t size = next_size(o);
		if (has_changed(o) || !read_at(o, o->done, o->chunk, size))
			return fail(o, "was changed while it was sent; send it again");
		o->chunk_size = size;
	}
	*m = (struct message){
		.type = MESSAGE_FILE_CHUNK,
		.offset = o->done,
		.body = view_of(o->chunk, o->chunk_size),
	};
	memcpy(m->transfer, o->id, sizeof(m->transfer));
	return TRANSFER_BUSY;
}

void outgoing_sent(struct outgoing *o)
{
	o->done += o->chunk_size;
	o->chunk_size = 0;
}
