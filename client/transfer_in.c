#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "client/profile.h"
#include "client/transfer.h"

enum {
	READ_SIZE = 65536,
	WRITE_BACK_SIZE = 8 << 20, /* sent on to the disk so often: the flush at the end is short */
};

static enum clawchat_result fail_create(struct clawchat_error *error, const struct incoming *i,
					const char *what)
{
	return client_error(error,
			    errno == EACCES || errno == EPERM ? CLAWCHAT_PERMISSION : CLAWCHAT_IO,
			    "%s/%s: %s", i->folder, what, strerror(errno));
}

/* Open or make the part: a regular file of ours that nobody else has linked, never a link. */
static enum clawchat_result open_part(struct incoming *i, struct clawchat_error *error)
{
	struct stat info;
	i->fd = openat(i->folder_fd, i->part,
		       O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (i->fd < 0 || fstat(i->fd, &info) < 0)
		return fail_create(error, i, i->part);
	if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || info.st_nlink != 1)
		return client_error(error, CLAWCHAT_PERMISSION,
				    "%s/%s: is not a part that we have written; remove it",
				    i->folder, i->part);
	if (flock(i->fd, LOCK_EX | LOCK_NB) < 0)
		return client_error(error, CLAWCHAT_UNAVAILABLE,
				    "%s/%s: the same file is being received already", i->folder,
				    i->name);
	i->done = (uint64_t)info.st_size;
	if (i->done > i->size) {
		i->done = 0; /* not of this content after all */
		if (ftruncate(i->fd, 0) < 0)
			return fail_create(error, i, i->part);
	}
	i->resumed_from = i->done;
	return CLAWCHAT_OK;
}

static enum clawchat_result check_space(struct incoming *i, struct clawchat_error *error)
{
	struct statvfs info;
	uint64_t needed = i->size - i->done;
	if (fstatvfs(i->folder_fd, &info) < 0)
		return CLAWCHAT_OK; /* a file system that cannot tell: writing will */
	uint64_t available = (uint64_t)info.f_bavail * info.f_frsize;
	if (available >= needed)
		return CLAWCHAT_OK;
	return client_error(error, CLAWCHAT_IO, "%s: %llu MiB are free, %llu MiB are needed for %s",
			    i->folder, (unsigned long long)(available >> 20),
			    (unsigned long long)((needed >> 20) + 1), i->name);
}

struct incoming *incoming_create(const struct message *offer, const char *folder,
				 struct clawchat_error *error)
{
	struct incoming *i = calloc(1, sizeof(*i));
	if (i == NULL) {
		client_error(error, CLAWCHAT_FAILED, "out of memory");
		return NULL;
	}
	i->fd = -1;
	i->size = offer->size;
	memcpy(i->id, offer->transfer, sizeof(i->id));
	memcpy(i->sha256, offer->sha256, sizeof(i->sha256));
	memcpy(i->name, offer->body.data, offer->body.size); /* clean and short: message_decode() */
	file_name_part(i->name, i->sha256, i->part);
	bool is_named =
		snprintf(i->folder, sizeof(i->folder), "%s", folder) < (int)sizeof(i->folder);
	i->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum clawchat_result result = CLAWCHAT_OK;
	if (!is_named || i->folder_fd < 0)
		result = client_error(error, errno == EACCES ? CLAWCHAT_PERMISSION : CLAWCHAT_IO,
				      "folder %s: %s", folder, strerror(errno));
	if (result == CLAWCHAT_OK)
		result = open_part(i, error);
	if (result == CLAWCHAT_OK) {
		result = check_space(i, error);
		if (result != CLAWCHAT_OK && i->done == 0)
			incoming_discard(i); /* made just now, and empty */
	}
	if (result != CLAWCHAT_OK) {
		incoming_destroy(i);
		return NULL;
	}
	i->hash = sha256_create();
	return i;
}

void incoming_destroy(struct incoming *i)
{
	uint8_t unused[HASH_SIZE];
	if (i == NULL)
		return;
	if (i->fd >= 0)
		close(i->fd);
	if (i->folder_fd >= 0)
		close(i->folder_fd);
	if (i->hash != NULL)
		sha256_final(i->hash, unused);
	free(i);
}

void incoming_discard(struct incoming *i)
{
	unlinkat(i->folder_fd, i->part, 0);
}

static enum transfer_progress fail(struct incoming *i, const char *why)
{
	snprintf(i->reason, sizeof(i->reason), "%s: %s", i->name, why);
	return TRANSFER_FAILED;
}

enum transfer_progress incoming_prepare(struct incoming *i)
{
	static uint8_t buffer[READ_SIZE]; /* one thread */
	for (size_t slice = 0; slice < TRANSFER_SLICE && i->prepared < i->done;) {
		uint64_t left = i->done - i->prepared;
		size_t size = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);
		ssize_t n = pread(i->fd, buffer, size, (off_t)i->prepared);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(i, "the part that had arrived cannot be read");
		sha256_update(i->hash, view_of(buffer, (size_t)n));
		i->prepared += (uint64_t)n;
		slice += (size_t)n;
	}
	return i->prepared < i->done ? TRANSFER_BUSY : TRANSFER_READY;
}

static bool write_at(struct incoming *i, struct view data)
{
	size_t put = 0;
	while (put < data.size) {
		ssize_t n = pwrite(i->fd, data.data + put, data.size - put, (off_t)(i->done + put));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		put += (size_t)n;
	}
	return true;
}

/* Start the disk on what it has not got yet, without waiting for it. Where that is not to be had,
 * the flush at the end does all. */
static void write_back(struct incoming *i)
{
	if (i->done - i->flushed < WRITE_BACK_SIZE)
		return;
	sync_file_range(i->fd, (off_t)i->flushed, (off_t)(i->done - i->flushed),
			SYNC_FILE_RANGE_WRITE);
	i->flushed = i->done;
}

enum transfer_progress incoming_take(struct incoming *i, const struct message *chunk)
{
	if (chunk->offset != i->done || chunk->body.size > i->size - i->done)
		return i->done == i->size ? TRANSFER_READY : TRANSFER_BUSY;
	if (!write_at(i, chunk->body))
		return fail(i, strerror(errno));
	sha256_update(i->hash, chunk->body);
	i->done += chunk->body.size;
	i->prepared = i->done;
	write_back(i);
	return i->done == i->size ? TRANSFER_READY : TRANSFER_BUSY;
}

/* Rename without replacing what is there; in one step, so that a crash leaves the part or the file.
 * File systems without such a rename (NFS) get a link first. */
static bool rename_part(struct incoming *i, const char *name)
{
	if (renameat2(i->folder_fd, i->part, i->folder_fd, name, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (linkat(i->folder_fd, i->part, i->folder_fd, name, 0) != 0)
		return false;
	unlinkat(i->folder_fd, i->part, 0);
	return true;
}

/* The name, or its first free copy. */
static bool give_name(struct incoming *i)
{
	char name[FILE_NAME_LOCAL_MAX + 1];
	for (unsigned copy = 1; copy <= FILE_NAME_COPIES_MAX; copy++) {
		file_name_copy(i->name, copy, name);
		if (rename_part(i, name)) {
			snprintf(i->final_path, sizeof(i->final_path), "%s/%s", i->folder, name);
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	return false;
}

enum file_result incoming_finish(struct incoming *i)
{
	uint8_t sha256[HASH_SIZE];
	sha256_final(i->hash, sha256);
	i->hash = NULL;
	if (!bytes_equal(sha256, i->sha256, sizeof(sha256))) {
		incoming_discard(i);
		snprintf(i->reason, sizeof(i->reason), "%s: arrived with another SHA-256", i->name);
		return FILE_RESULT_MISMATCH;
	}
	if (fsync(i->fd) < 0 || !give_name(i) || fsync(i->folder_fd) < 0) {
		snprintf(i->reason, sizeof(i->reason), "%s: %s", i->name, strerror(errno));
		return FILE_RESULT_FAILED;
	}
	return FILE_RESULT_OK;
}
