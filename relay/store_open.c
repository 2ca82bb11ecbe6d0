#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "relay/store_sqlite.h"

enum {
	SCHEMA_VERSION = 1,
	APPLICATION_ID = 0x436c6177, /* "Claw": tells our database from any other */
	MODE_PRIVATE = 0600,
	PAGE_SIZE_MIN = 512, /* SQLite takes a shorter file for an empty one */
};

#define DATABASE_NAME "clawchat.db"
#define KEY_NAME "state.key"
#define LOCK_NAME "state.lock"

/* The value that tells whether state.key belongs to the database. */
static const struct cell KEY_CHECK = {
	.table = "check",
	.column = "key",
	.row = VIEW_STRING("state.key"),
};

/* Strict tables: a column never holds anything but its type. */
static const char SCHEMA[] =
	"CREATE TABLE key_check (id INTEGER PRIMARY KEY, wrapped BLOB NOT NULL) STRICT;"
	"CREATE TABLE value ("
	" name TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE file ("
	" file_id BLOB PRIMARY KEY, shared_secret BLOB, valid_from INTEGER NOT NULL,"
	" valid_until INTEGER NOT NULL, max_devices INTEGER NOT NULL, used INTEGER NOT NULL,"
	" revoked INTEGER NOT NULL, path TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE device ("
	" device_id BLOB PRIMARY KEY, device_public BLOB NOT NULL, identity_public BLOB NOT NULL,"
	" psk BLOB, file_id BLOB NOT NULL, enrolled INTEGER NOT NULL, hello_s INTEGER NOT NULL,"
	" hello_ns INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX device_of_file ON device (file_id);"
	"CREATE TABLE tombstone ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" scope INTEGER NOT NULL, id BLOB NOT NULL, done INTEGER NOT NULL,"
	" reason TEXT NOT NULL) STRICT;"
	"CREATE TABLE event ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, event TEXT NOT NULL,"
	" text TEXT NOT NULL) STRICT;";

/* Exclusive locking keeps the index of the log in memory instead of in a third file. */
static const char PRAGMAS[] = "PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA secure_delete = ON;"
			      "PRAGMA trusted_schema = OFF;"
			      "PRAGMA cell_size_check = ON;"
			      "PRAGMA temp_store = MEMORY;";

struct paths {
	char database[STORE_PATH_SIZE_MAX + 1];
	char lock[STORE_PATH_SIZE_MAX + 1];
	char key[STORE_PATH_SIZE_MAX + 1];
};

static bool join(const char *directory, const char *name, char out[STORE_PATH_SIZE_MAX + 1])
{
	int size = snprintf(out, STORE_PATH_SIZE_MAX + 1, "%s/%s", directory, name);

	return size >= 0 && size <= STORE_PATH_SIZE_MAX;
}

static enum store_status take_lock(struct store *s, const char *path)
{
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_PRIVATE);
	if (s->lock < 0)
		return errno == ENOSPC ? STORE_NO_SPACE : STORE_REFUSED;
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return STORE_OK;
	return errno == EWOULDBLOCK ? STORE_IN_USE : STORE_FAILED;
}

/* A new state: the key is on the disk before the database is, so a database without one is
 * always one that lost it. */
static enum file_status make_key(struct store *s, const struct paths *paths, uint8_t key[KEY_SIZE])
{
	random_fill(&s->random, key, KEY_SIZE);
	return file_write(paths->key, view_of(key, KEY_SIZE));
}

static bool has_database(const struct paths *paths)
{
	struct stat st;

	return stat(paths->database, &st) == 0 && st.st_size > 0;
}

static enum store_status load_key(struct store *s, const struct paths *paths, enum file_status *why)
{
	uint8_t key[KEY_SIZE];
	size_t size;

	*why = file_read(paths->key, FILE_PRIVATE, key, sizeof key, &size);
	if (*why == FILE_IS_MISSING && has_database(paths)) {
		*why = FILE_OK;
		return STORE_NO_KEY;
	}
	if (*why == FILE_IS_MISSING) {
		*why = make_key(s, paths, key);
		size = sizeof key;
	}
	if (*why != FILE_OK || size != sizeof key) {
		bytes_wipe(key, sizeof key);
		return *why == FILE_NO_SPACE ? STORE_NO_SPACE : STORE_BAD_KEY;
	}
	hkdf_label(key, PROTOCOL_NAME " store wrap", view_of(NULL, 0), s->wrap_key, KEY_SIZE);
	bytes_wipe(key, sizeof key);
	return STORE_OK;
}

/* SQLite gives its files the mode of the first; so that one is made here. */
static enum store_status make_database(const char *path)
{
	struct stat st;

	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_PRIVATE);
	if (fd < 0)
		return errno == ENOSPC ? STORE_NO_SPACE : STORE_REFUSED;
	bool is_known = fstat(fd, &st) == 0;
	close(fd);
	if (!is_known)
		return STORE_FAILED;
	return st.st_size > 0 && st.st_size < PAGE_SIZE_MIN ? STORE_DAMAGED : STORE_OK;
}

static enum store_status open_database(struct store *s, const char *path)
{
	enum store_status status = make_database(path);

	if (status != STORE_OK)
		return status;
	int code =
		sqlite3_open_v2(path, &s->database,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				NULL);
	if (code != SQLITE_OK)
		return store_status_of(code);
	sqlite3_db_config(s->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return store_status_of(sqlite3_exec(s->database, PRAGMAS, NULL, NULL, NULL));
}

static enum store_status read_pragma(struct store *s, const char *sql, uint64_t *value)
{
	struct query q = query_begin(s, sql);

	*value = query_step(&q) ? query_take_integer(&q, INT64_MAX) : 0;
	return query_end(&q);
}

static enum store_status make_schema(struct store *s)
{
	static const uint8_t zeros[KEY_SIZE];
	char numbers[128];

	snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 APPLICATION_ID, SCHEMA_VERSION);
	enum store_status status = transaction_begin(s);
	if (status != STORE_OK)
		return status;
	status = store_status_of(sqlite3_exec(s->database, SCHEMA, NULL, NULL, NULL));
	if (status == STORE_OK)
		status = store_status_of(sqlite3_exec(s->database, numbers, NULL, NULL, NULL));
	if (status == STORE_OK) {
		struct query q = query_begin(s, "INSERT INTO key_check VALUES (1, ?)");
		query_bind_secret(&q, s, &KEY_CHECK, VIEW(zeros));
		status = query_run(&q);
	}
	return transaction_end(s, status);
}

static enum store_status check_schema(struct store *s)
{
	uint64_t version, application, tables;

	enum store_status status = read_pragma(s, "PRAGMA user_version", &version);
	if (status == STORE_OK)
		status = read_pragma(s, "PRAGMA application_id", &application);
	if (status == STORE_OK)
		status = read_pragma(s, "SELECT count(*) FROM sqlite_schema", &tables);
	if (status != STORE_OK)
		return status;
	if (version == 0 && application == 0 && tables == 0)
		return make_schema(s);
	if (application != APPLICATION_ID || version == 0)
		return STORE_DAMAGED;
	return version <= SCHEMA_VERSION ? STORE_OK : STORE_TOO_NEW;
}

static enum store_status check_integrity(struct store *s)
{
	char text[STORE_TEXT_SIZE_MAX + 1] = "";
	struct query q = query_begin(s, "PRAGMA integrity_check(1)");

	if (query_step(&q))
		query_take_text(&q, text, sizeof text);
	enum store_status status = query_end(&q);
	if (status != STORE_OK)
		return status;
	return strcmp(text, "ok") == 0 ? STORE_OK : STORE_DAMAGED;
}

static enum store_status check_key(struct store *s)
{
	uint8_t zeros[KEY_SIZE];
	bool is_right = false;
	struct query q = query_begin(s, "SELECT wrapped FROM key_check WHERE id = 1");

	bool is_there = query_step(&q);
	if (is_there)
		is_right = store_unwrap(s, &KEY_CHECK, query_take_view(&q), zeros, sizeof zeros);
	enum store_status status = query_end(&q);
	if (status != STORE_OK)
		return status;
	if (!is_there)
		return STORE_DAMAGED;
	return is_right ? STORE_OK : STORE_WRONG_KEY;
}

static enum store_status open_in(struct store *s, const char *directory, enum file_status *why)
{
	struct paths paths;

	if (!join(directory, DATABASE_NAME, paths.database) ||
	    !join(directory, LOCK_NAME, paths.lock) || !join(directory, KEY_NAME, paths.key)) {
		*why = FILE_NAME_IS_TOO_LONG;
		return STORE_BAD_DIRECTORY;
	}
	memcpy(s->key_path, paths.key, sizeof s->key_path);
	*why = file_make_directory(directory);
	if (*why != FILE_OK)
		return STORE_BAD_DIRECTORY;
	enum store_status status = take_lock(s, paths.lock);
	if (status != STORE_OK)
		return status;
	*why = file_sweep_directory(directory);
	if (*why != FILE_OK)
		return STORE_BAD_DIRECTORY;
	status = load_key(s, &paths, why);
	if (status == STORE_OK)
		status = open_database(s, paths.database);
	if (status == STORE_OK)
		status = check_schema(s);
	if (status == STORE_OK)
		status = check_integrity(s);
	return status == STORE_OK ? check_key(s) : status;
}

enum store_status store_open(struct store **out, const char *directory,
			     const struct random_source *random, enum file_status *why)
{
	enum file_status unused;
	struct store *s = calloc(1, sizeof *s);

	*out = NULL;
	why = why != NULL ? why : &unused;
	*why = FILE_OK;
	if (s == NULL)
		return STORE_NO_MEMORY;
	s->lock = -1;
	s->random = *random;
	s->wrap_key = secret_create(KEY_SIZE);
	enum store_status status =
		s->wrap_key != NULL ? open_in(s, directory, why) : STORE_NO_MEMORY;
	if (status == STORE_OK)
		*out = s;
	else
		store_close(s);
	return status;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	sqlite3_close(s->database);
	secret_destroy(s->wrap_key, KEY_SIZE);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

enum store_status store_destroy_key(struct store *s)
{
	enum file_status status = file_destroy(s->key_path);

	bytes_wipe(s->wrap_key, KEY_SIZE);
	if (status == FILE_OK || status == FILE_IS_MISSING)
		return STORE_OK;
	return status == FILE_IS_REFUSED ? STORE_REFUSED : STORE_FAILED;
}
