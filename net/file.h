#pragma once
/*
 * Small files that hold secrets: read them with suspicion, write them so that a crash leaves the
 * old one or the new one, and destroy them.
 *
 * Any thread. Nothing is printed: file_status_text() is the reason, the caller adds the path, and
 * for FILE_IS_OPEN what to do (`chmod 600 PATH`, of a directory `chmod 700 PATH`).
 */
#include "crypto/bytes.h"

#define FILE_STATUSES(X) \
	X(FILE_OK, "done") \
	X(FILE_IS_MISSING, "no such file or directory") \
	X(FILE_IS_LINK, "is a symbolic link, which is not followed") \
	X(FILE_IS_NOT_REGULAR, "is not a regular file") \
	X(FILE_IS_NOT_DIRECTORY, "is not a directory") \
	X(FILE_IS_FOREIGN, "belongs to another user") \
	X(FILE_IS_OPEN, "can be accessed by other users") \
	X(FILE_IS_TOO_LARGE, "is larger than such a file may be") \
	X(FILE_NAME_IS_TOO_LONG, "its name is too long") \
	X(FILE_IS_REFUSED, "permission denied") \
	X(FILE_NO_SPACE, "no space left on the file system") \
	X(FILE_FAILED, "input or output error")

enum file_status {
#define X(name, text) name,
	FILE_STATUSES(X)
#undef X
};

/* Who may have access to a file that is read. Its owner must be this user or root in any case. */
enum file_privacy {
	FILE_PRIVATE,    /* nobody else */
	FILE_CREDENTIAL, /* in systemd's credentials directory: the group bits there are the
			    * mask of an access list that names this user: reading is right */
	FILE_PUBLIC,     /* others may read but not write; a symbolic link is followed */
};

/* A phrase to follow the path: "can be accessed by other users". */
const char *file_status_text(enum file_status status);

/*
 * Read a regular file of at most `capacity` bytes, whole. Does not block on a FIFO and does not
 * become the owner of a terminal. On anything but FILE_OK, `out` has been wiped and *size is 0;
 * for FILE_FAILED errno says more.
 */
enum file_status file_read(const char *path, enum file_privacy privacy, uint8_t *out,
			   size_t capacity, size_t *size) MUST_CHECK;

/*
 * Write `data` to `path` with mode 0600, replacing what is there in one step: a temporary in the
 * same directory, fsync, rename, fsync of the directory. After FILE_OK it outlives a power cut.
 * On failure the old file stays and the temporary is gone.
 */
enum file_status file_write(const char *path, struct view data) MUST_CHECK;

/*
 * Overwrite with zeros, flush, unlink. The overwriting is best effort (flash and copy-on-write
 * file systems keep old blocks), which is why what matters most is wrapped under a key. A file
 * that cannot be opened for writing is unlinked all the same. FILE_IS_MISSING: there was none.
 */
enum file_status file_destroy(const char *path) MUST_CHECK;

/*
 * Make a directory of mode 0700 where there is none, and check an existing one: ours, and nobody
 * else has access. The path may lead through symbolic links (systemd's DynamicUser makes such).
 */
enum file_status file_make_directory(const char *path) MUST_CHECK;

/* Destroy the temporaries that a crash left in a directory. Call it only where nobody else can
 * be writing there. */
enum file_status file_sweep_directory(const char *path) MUST_CHECK;
