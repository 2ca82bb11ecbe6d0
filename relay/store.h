#pragma once
/*
 * Store: what the relay keeps over a restart. Keys, security files issued, devices enrolled,
 * tombstones of what was revoked, and the last audit events.
 *
 * It lies in the state directory: `clawchat.db`, `state.lock`, and `state.key`, the key that wraps
 * every secret in the database. Destroying that one small file makes all of them unreadable.
 *
 * Each call that changes something is one transaction, on the disk when it returns: a call of some
 * milliseconds. Nothing outside store*.c knows which database does it.
 *
 * Owner: control thread. Nothing is printed.
 */
#include "core/limits.h"
#include "core/security_file.h"
#include "net/file.h"

enum {
	STORE_VALUE_SIZE_MAX = 256, /* one named key or state of the relay */
	STORE_NAME_SIZE_MAX = 32,   /* its name */
	STORE_PATH_SIZE_MAX = 255,  /* where a security file lies */
	STORE_TEXT_SIZE_MAX = 255,  /* reason or event, longer ones are cut */
	STORE_EVENTS_MAX = 10000,   /* the oldest go first: 1 to 2 MiB */
};

#define STORE_STATUSES(X) \
	X(STORE_OK, "done") \
	X(STORE_NOT_FOUND, "not known") \
	X(STORE_EXISTS, "known already") \
	X(STORE_SPENT, "the file has enrolled as many devices as it may") \
	X(STORE_EXPIRED, "expired") \
	X(STORE_REVOKED, "revoked") \
	X(STORE_STALE, "not newer than what was seen before") \
	X(STORE_IN_USE, "the state directory is in use by another process") \
	X(STORE_BAD_DIRECTORY, "the state directory cannot be used") \
	X(STORE_BAD_KEY, "state.key cannot be used") \
	X(STORE_NO_KEY, "state.key is missing: the secrets in clawchat.db are lost without it") \
	X(STORE_WRONG_KEY, "state.key does not belong to this clawchat.db") \
	X(STORE_DAMAGED, "clawchat.db is damaged: restore it from a copy, or move it away") \
	X(STORE_TOO_NEW, "clawchat.db was written by a newer version of this program") \
	X(STORE_NO_SPACE, "no space left on the file system") \
	X(STORE_NO_MEMORY, "out of memory") \
	X(STORE_REFUSED, "permission denied") \
	X(STORE_FAILED, "input or output error")

enum store_status {
#define X(name, text) name,
	STORE_STATUSES(X)
#undef X
};

/* A phrase for people. */
const char *store_status_text(enum store_status status);

/* ---- open and close ----------------------------------------------------------------------- */

struct store;

/*
 * Makes what is missing, takes the lock, checks the database through. `*why` (may be NULL) says
 * more for STORE_BAD_DIRECTORY and STORE_BAD_KEY, else FILE_OK.
 */
enum store_status store_open(struct store **out, const char *directory,
			     const struct random_source *random, enum file_status *why) MUST_CHECK;
void store_close(struct store *s);

/* Destroys state.key and the copy in memory: no secret can be read or written from here on, by
 * anybody. Only store_close() may follow. */
enum store_status store_destroy_key(struct store *s) MUST_CHECK;

/* ---- named values, all secret ------------------------------------------------------------- */

#define STORE_SERVER_ID "server_id"
#define STORE_STATIC_KEY "static_key"   /* X25519 secret */
#define STORE_SIGNING_KEY "signing_key" /* Ed25519 seed */
#define STORE_SCHEDULE_SECRET "schedule_secret"

struct store_value {
	const char *name;  /* at most STORE_NAME_SIZE_MAX characters */
	struct view value; /* at most STORE_VALUE_SIZE_MAX bytes */
};

/* All of them or none; a value of the same name is replaced. */
enum store_status store_put_values(struct store *s, const struct store_value *values,
				   size_t count) MUST_CHECK;

/* A value of exactly `size` bytes; one of another size is STORE_DAMAGED. */
enum store_status store_get_value(struct store *s, const char *name, uint8_t *out,
				  size_t size) MUST_CHECK;

/* ---- security files ----------------------------------------------------------------------- */

struct store_file {
	uint8_t file_id[FILE_ID_SIZE];
	uint8_t shared_secret[KEY_SIZE]; /* zeros once revoked */
	uint64_t valid_from_s;
	uint64_t valid_until_s;
	uint32_t max_devices;
	uint32_t used; /* devices enrolled so far */
	bool is_revoked;
	char path[STORE_PATH_SIZE_MAX + 1];
};

/* `used` and `is_revoked` are stored as given. */
enum store_status store_add_file(struct store *s, const struct store_file *file) MUST_CHECK;
enum store_status store_get_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE],
				 struct store_file *out) MUST_CHECK;

/* Check and spend in one step: OK, NOT_FOUND, REVOKED, EXPIRED or SPENT. */
enum store_status store_spend_file(struct store *s, const uint8_t file_id[FILE_ID_SIZE],
				   uint64_t now_s) MUST_CHECK;

/* Forget a file whose validity is long over; its devices stay. */
enum store_status store_remove_file(struct store *s,
				    const uint8_t file_id[FILE_ID_SIZE]) MUST_CHECK;

/* Revoke a file and every device enrolled from it; their secrets are erased. OK also where that
 * has been done before. */
enum store_status store_revoke_file(struct store *s,
				    const uint8_t file_id[FILE_ID_SIZE]) MUST_CHECK;

/* In the order of their validity. `visit` must not call the store. */
enum store_status store_each_file(struct store *s,
				  void (*visit)(void *state, const struct store_file *file),
				  void *state) MUST_CHECK;

/* ---- devices ------------------------------------------------------------------------------ */

struct store_device {
	uint8_t device_id[DEVICE_ID_SIZE];
	uint8_t device_public[X25519_SIZE];
	uint8_t identity_public[ED25519_PUBLIC_SIZE];
	uint8_t psk[KEY_SIZE];         /* zeros once revoked */
	uint8_t file_id[FILE_ID_SIZE]; /* the file that it was enrolled from */
	uint64_t enrolled_s;
	uint64_t hello_s; /* timestamp of its last HELLO */
	uint32_t hello_ns;
	bool is_revoked;
};

/*
 * Spend device->file_id and save the device, both or neither: statuses as of store_spend_file().
 * A device that enrols again from the same file (its confirmation was lost) is saved anew and
 * spends nothing; one that was revoked stays so (STORE_REVOKED).
 */
enum store_status store_enrol_device(struct store *s, const struct store_device *device,
				     uint64_t now_s) MUST_CHECK;
enum store_status store_get_device(struct store *s, const uint8_t device_id[DEVICE_ID_SIZE],
				   struct store_device *out) MUST_CHECK;

/* Remember a HELLO's timestamp, which must be greater than the last: OK, STALE or NOT_FOUND. A last
 * one that is ahead by more than two HELLOs of one time can be apart was dated before the relay's
 * clock was set back: that one gives way. */
enum { STORE_HELLO_BACK_S = 2 * HANDSHAKE_CLOCK_NS / NS_PER_S };
enum store_status store_note_hello(struct store *s, const uint8_t device_id[DEVICE_ID_SIZE],
				   uint64_t hello_s, uint32_t hello_ns) MUST_CHECK;

/* Many of them in one step; those that are stale or unknown are passed over. */
struct store_hello {
	uint8_t device_id[DEVICE_ID_SIZE];
	uint64_t hello_s;
	uint32_t hello_ns;
};
enum store_status store_note_hellos(struct store *s, const struct store_hello *hellos,
				    size_t count) MUST_CHECK;

enum store_status store_revoke_device(struct store *s,
				      const uint8_t device_id[DEVICE_ID_SIZE]) MUST_CHECK;

/* Every file and every device. */
enum store_status store_revoke_all(struct store *s) MUST_CHECK;

/* In the order of their enrolment. `visit` must not call the store. */
enum store_status store_each_device(struct store *s,
				    void (*visit)(void *state, const struct store_device *device),
				    void *state) MUST_CHECK;

/* ---- tombstones and events ---------------------------------------------------------------- */

/* A Compromised report that was accepted. It is there before anything is erased, and is_done
 * after everything is: what a crash interrupts in between is finished at the next start. */
struct store_tombstone {
	uint64_t number; /* given by the store, rising */
	uint64_t time_s;
	enum compromised_scope scope;
	uint8_t id[FILE_ID_SIZE]; /* device id or file id; server id for the server */
	bool is_done;
	char reason[STORE_TEXT_SIZE_MAX + 1];
};
_Static_assert((int)DEVICE_ID_SIZE == (int)FILE_ID_SIZE && (int)SERVER_ID_SIZE == (int)FILE_ID_SIZE,
	       "a tombstone's id holds any of them");

/* *number receives the new tombstone's; tombstone->number is not read. */
enum store_status store_add_tombstone(struct store *s, const struct store_tombstone *tombstone,
				      uint64_t *number) MUST_CHECK;
enum store_status store_finish_tombstone(struct store *s, uint64_t number) MUST_CHECK;
enum store_status store_each_tombstone(struct store *s,
				       void (*visit)(void *state,
						     const struct store_tombstone *tombstone),
				       void *state) MUST_CHECK;

struct store_event {
	uint64_t time_s;
	const char *event; /* stable name, as in the log: "file_issued" */
	const char *text;
};

enum store_status store_add_event(struct store *s, const struct store_event *event) MUST_CHECK;

/* The newest `limit`, oldest of them first. */
enum store_status store_each_event(struct store *s, uint32_t limit,
				   void (*visit)(void *state, const struct store_event *event),
				   void *state) MUST_CHECK;
