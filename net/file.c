#include "net/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MODE_FILE = 0600,
	MODE_DIRECTORY = 0700,
	MODE_OTHERS = 0077,          /* any access by group or others */
	MODE_OTHERS_NOT_READ = 0037, /* the same without reading by group */
	MODE_OTHERS_WRITE = 0022,
	TEMPORARY_SIZE = 32, /* TEMPORARY_PREFIX, 16 digits and NUL fit */
	WIPE_BLOCK = 4096,
};

#define TEMPORARY_PREFIX ".clawchat-tmp-"

/* Where a file lies: its directory, open, and its name in there. */
struct place {
	int directory;
	const char *name;
};

const char *file_status_text(enum file_status status)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		FILE_STATUSES(X)
#undef X
	};
	return texts[status];
}

static enum file_status status_of(int error)
{
	switch (error) {
	case ENOENT: return FILE_IS_MISSING;
	case ENOTDIR: return FILE_IS_NOT_DIRECTORY;
	case ELOOP: return FILE_IS_LINK;
	case EISDIR:
	case ENXIO: return FILE_IS_NOT_REGULAR;
	case ENAMETOOLONG: return FILE_NAME_IS_TOO_LONG;
	case EACCES:
	case EPERM:
	case EROFS: return FILE_IS_REFUSED;
	case ENOSPC:
	case EDQUOT: return FILE_NO_SPACE;
	default: return FILE_FAILED;
	}
}

/* Close without losing the errno that the caller is about to read. */
static void close_quietly(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

static enum file_status check_reading(const struct stat *st, enum file_privacy privacy)
{
	static const mode_t refused[] = {
		[FILE_PRIVATE] = MODE_OTHERS,
		[FILE_CREDENTIAL] = MODE_OTHERS_NOT_READ,
		[FILE_PUBLIC] = MODE_OTHERS_WRITE,
	};

	if (!S_ISREG(st->st_mode))
		return FILE_IS_NOT_REGULAR;
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return FILE_IS_FOREIGN;
	if ((st->st_mode & refused[privacy]) != 0)
		return FILE_IS_OPEN;
	return FILE_OK;
}

/* Reads to the end of the file, or finds that it does not fit. */
static enum file_status read_whole(int fd, uint8_t *out, size_t capacity, size_t *size)
{
	uint8_t beyond;

	for (;;) {
		bool is_full = *size == capacity;
		ssize_t got = is_full ? read(fd, &beyond, sizeof beyond) :
					read(fd, out + *size, capacity - *size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return status_of(errno);
		if (got == 0)
			return FILE_OK;
		if (is_full) {
			bytes_wipe(&beyond, sizeof beyond);
			return FILE_IS_TOO_LARGE;
		}
		*size += (size_t)got;
	}
}

enum file_status file_read(const char *path, enum file_privacy privacy, uint8_t *out,
			   size_t capacity, size_t *size)
{
	int nofollow = privacy == FILE_PUBLIC ? 0 : O_NOFOLLOW;
	struct stat st;

	*size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | nofollow);
	if (fd < 0)
		return status_of(errno);
	enum file_status status =
		fstat(fd, &st) == 0 ? check_reading(&st, privacy) : status_of(errno);
	if (status == FILE_OK)
		status = read_whole(fd, out, capacity, size);
	if (status != FILE_OK) {
		bytes_wipe(out, capacity);
		*size = 0;
	}
	close_quietly(fd);
	return status;
}

static enum file_status open_place(const char *path, struct place *place)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');

	place->name = slash != NULL ? slash + 1 : path;
	size_t size = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	if (size >= sizeof directory)
		return FILE_NAME_IS_TOO_LONG;
	memcpy(directory, path, size);
	directory[size] = '\0';
	place->directory = open(size > 0 ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place->directory >= 0 ? FILE_OK : status_of(errno);
}

/* An unpredictable name, and O_EXCL: nobody can have put something there beforehand. */
static int create_temporary(int directory, char name[TEMPORARY_SIZE])
{
	unsigned long long number;

	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -1;
	snprintf(name, TEMPORARY_SIZE, TEMPORARY_PREFIX "%016llx", number);
	return openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		      MODE_FILE);
}

static enum file_status write_whole(int fd, struct view data)
{
	while (data.size > 0) {
		ssize_t put = write(fd, data.data, data.size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return status_of(errno);
		data = view_of(data.data + put, data.size - (size_t)put);
	}
	return FILE_OK;
}

/* Fill the temporary, and know that it is on the disk. A close can be the first to say no. */
static enum file_status fill(int fd, struct view data)
{
	enum file_status status = write_whole(fd, data);

	if (status == FILE_OK && (fchmod(fd, MODE_FILE) != 0 || fsync(fd) != 0))
		status = status_of(errno);
	if (status != FILE_OK) {
		close_quietly(fd);
		return status;
	}
	return close(fd) == 0 ? FILE_OK : status_of(errno);
}

static enum file_status write_in(const struct place *place, struct view data)
{
	char temporary[TEMPORARY_SIZE];

	int fd = create_temporary(place->directory, temporary);
	if (fd < 0)
		return status_of(errno);
	enum file_status status = fill(fd, data);
	if (status == FILE_OK &&
	    renameat(place->directory, temporary, place->directory, place->name) != 0)
		status = status_of(errno);
	if (status != FILE_OK) {
		int error = errno;
		unlinkat(place->directory, temporary, 0);
		errno = error;
		return status;
	}
	return fsync(place->directory) == 0 ? FILE_OK : status_of(errno);
}

enum file_status file_write(const char *path, struct view data)
{
	struct place place;

	enum file_status status = open_place(path, &place);
	if (status != FILE_OK)
		return status;
	status = write_in(&place, data);
	close_quietly(place.directory);
	return status;
}

static enum file_status overwrite(int fd, off_t size)
{
	static const uint8_t zeros[WIPE_BLOCK];
	enum file_status status = FILE_OK;

	for (off_t done = 0; done < size && status == FILE_OK; done += WIPE_BLOCK) {
		off_t left = size - done;
		status = write_whole(fd,
				     view_of(zeros, left < WIPE_BLOCK ? (size_t)left : WIPE_BLOCK));
	}
	if (status == FILE_OK && fsync(fd) != 0)
		status = status_of(errno);
	return status;
}

static enum file_status destroy_in(const struct place *place)
{
	enum file_status status = FILE_OK;
	struct stat st;

	if (fstatat(place->directory, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return status_of(errno);
	if (S_ISLNK(st.st_mode))
		return FILE_IS_LINK;
	if (!S_ISREG(st.st_mode))
		return FILE_IS_NOT_REGULAR;
	int fd = openat(place->directory, place->name,
			O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			status = overwrite(fd, st.st_size);
		close_quietly(fd);
	}
	if (unlinkat(place->directory, place->name, 0) != 0 || fsync(place->directory) != 0)
		return status_of(errno);
	return status;
}

enum file_status file_destroy(const char *path)
{
	struct place place;

	enum file_status status = open_place(path, &place);
	if (status != FILE_OK)
		return status;
	status = destroy_in(&place);
	close_quietly(place.directory);
	return status;
}

static enum file_status check_directory(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return status_of(errno);
	if (st.st_uid != geteuid())
		return FILE_IS_FOREIGN;
	if ((st.st_mode & MODE_OTHERS) != 0)
		return FILE_IS_OPEN;
	return FILE_OK;
}

/* The name of a new directory is durable once its parent is on the disk. A parent that may be
 * searched but not read cannot be synced: that is no reason to stop. */
static enum file_status sync_parent(int directory)
{
	int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return errno == EACCES ? FILE_OK : status_of(errno);
	enum file_status status = fsync(parent) == 0 ? FILE_OK : status_of(errno);
	close_quietly(parent);
	return status;
}

enum file_status file_make_directory(const char *path)
{
	bool is_new = mkdir(path, MODE_DIRECTORY) == 0;

	if (!is_new && errno != EEXIST)
		return status_of(errno);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return status_of(errno);
	enum file_status status = check_directory(fd);
	if (status == FILE_OK && is_new)
		status = sync_parent(fd);
	close_quietly(fd);
	return status;
}

static enum file_status sweep(DIR *directory, int fd)
{
	const struct dirent *entry;

	while ((entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0)
			continue;
		struct place place = { .directory = fd, .name = entry->d_name };
		enum file_status status = destroy_in(&place);
		if (status != FILE_OK)
			return status;
	}
	return FILE_OK;
}

enum file_status file_sweep_directory(const char *path)
{
	DIR *directory = opendir(path);

	if (directory == NULL)
		return status_of(errno);
	enum file_status status = sweep(directory, dirfd(directory));
	int error = errno;
	closedir(directory);
	errno = error;
	return status;
}
