#pragma once
/* The inside of struct server, for server*.c alone. Owner: control. */
#include <pthread.h>

#include "relay/admin.h"
#include "relay/burn_ledger.h"
#include "relay/credentials.h"
#include "relay/doors.h"
#include "relay/issuer.h"
#include "relay/keeper_thread.h"
#include "relay/server.h"
#include "relay/store.h"

enum {
	HELLOS_PER_WRITE = 1024, /* timestamps of enrolled devices, in one step */
	UNKEPT_MAX = 64,         /* later ones are tried no more: the log has each */
};

struct revocation {
	enum compromised_scope scope;
	uint8_t id[FILE_ID_SIZE]; /* of the device, the file, the server */
};

struct relay_keys {
	uint8_t server_id[SERVER_ID_SIZE];
	struct x25519_pair static_key;
	struct ed25519_pair signing;
	uint8_t schedule_secret[KEY_SIZE];
};

struct server {
	/* Immutable after start. */
	const struct settings *settings;
	struct random_source random;
	struct relay_keys *keys; /* secret memory */
	const struct packet_cipher *cipher;
	unsigned worker_count;
	struct worker *workers[WORKERS_MAX];
	uint64_t started_ns; /* mono */

	struct store *store;
	struct credentials *credentials;
	struct table *table;
	struct channels *channels;
	struct quiesce quiesce;
	struct keeper_waker *keeper_waker;
	struct mailbox *hellos, *frames, *events;
	struct keeper_thread *keeper;
	struct seen_log *seen; /* the keeper's while it runs */
	struct doors doors;
	struct issuer issuer;
	struct admin *admin;

	/* Control thread. */
	int epoll_fd, signal_fd, event_fd;
	bool is_stopping, is_draining;
	int exit_code;
	uint64_t doors_next_ns;  /* wall clock */
	int64_t clock_offset_ns; /* wall minus mono, when last looked at */
	uint64_t sweep_next_ns;  /* mono */
	uint64_t drain_next_ns;  /* mono */
	uint64_t drain_until_ns; /* mono */
	struct issued_file current;
	uint64_t files_issued;
	bool is_store_swept; /* no outdated file is left in it */
	struct store_hello noted[HELLOS_PER_WRITE];
	size_t hello_count;                   /* not yet in the store */
	uint64_t hellos_next_ns;              /* mono; NEVER: none */
	uint64_t notify_next_ns;              /* mono; systemd's watchdog */
	bool has_tombstones;                  /* that are not done */
	struct revocation unkept[UNKEPT_MAX]; /* compromised, but the disk refuses the tombstone */
	size_t unkept_count;
	uint64_t unkept_next_ns; /* mono: the next try; NEVER: none */

	/* Guarded by burns_lock: the keeper's thread asks, control notes. */
	pthread_mutex_t burns_lock;
	struct burn_ledger burns;
};

/* server_setup.c */
bool server_load_keys(struct server *s, struct server_error *error) MUST_CHECK;
bool server_load_bootstrap(struct server *s, struct server_error *error) MUST_CHECK;
bool server_load_credentials(struct server *s, struct server_error *error) MUST_CHECK;
/* Forget files whose validity is long over, in memory and in the store. */
void server_sweep_files(struct server *s, uint64_t wall_ns);
bool server_fail(struct server_error *error, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4))); /* returns false */

/* server_enrol.c */
enum store_status server_load_devices(struct server *s) MUST_CHECK;
/* The schedule as it is now, to every enrolled device and to those that may enrol. */
void server_tell_schedule(struct server *s);
void server_enrol(struct server *s, const struct keeper_event *event);
void server_note_hello(struct server *s, const struct keeper_event *event);
void server_save_hellos(struct server *s);

/* server_commands.c */
extern const struct admin_command server_commands[];
extern const size_t server_command_count;

/* server_revoke.c: the steps of a revocation, each of which can be repeated; and all of them. */
enum store_status revoke_in_store(struct server *s, const struct revocation *r) MUST_CHECK;
void revoke_in_memory(struct server *s, const struct revocation *r);
struct keeper_match revoke_match(const struct revocation *r) MUST_CHECK;
/* When it returns no packet of the sessions passes any more. Returns how many there were. */
uint32_t revoke_sessions(struct server *s, const struct revocation *r, enum wire_reason reason);
/* Until all keys of what was ended are erased. False: it took too long. */
bool revoke_wait(struct server *s) MUST_CHECK;
/* Destroy the security files that the store has as revoked. Returns how many. */
size_t revoke_files_on_disk(struct server *s, bool is_current_revoked);
bool revoke_covers_current(const struct server *s, const struct revocation *r) MUST_CHECK;
const char *revoke_scope_name(enum compromised_scope scope);
/* As the operator asks; *ended: sessions. */
enum store_status server_revoke(struct server *s, const struct revocation *r,
				uint32_t *ended) MUST_CHECK;
bool server_kick(struct server *s, struct session_id id) MUST_CHECK;

/* server_burn.c */
struct burn_answer;
struct compromise_times {
	uint64_t since_ns; /* mono: the signal */
	uint32_t sessions;
	uint64_t kill_ms;   /* from the signal until no packet passes any more */
	uint64_t erase_ms;  /* until all keys are erased, in memory and on disk */
	uint64_t file_ms;   /* until the new file is on disk */
	bool has_tombstone; /* else it holds in memory, and is tried again */
};
/* All steps; `to`: whom to answer, or NULL. False: not all is done, the next start goes on. */
bool server_compromise(struct server *s, const struct revocation *r, const char *reason,
		       struct burn_answer *to, struct compromise_times *times) MUST_CHECK;
/* Keeper's thread: gives a report its scope, and stops what that reaches, at once. Fits
 * keeper_thread_config.hear_burn. */
void server_hear_burn(void *state, struct keeper *k, struct keeper_event *event,
		      struct instant now);
void server_take_burn(struct server *s, const struct keeper_event *event);
/* What the disk has refused so far, once more. */
void server_retry_unkept(struct server *s);
/* At start: what a crash interrupted, before credentials are loaded; and when a file is written. */
bool server_finish_erasing(struct server *s) MUST_CHECK;
void server_finish_tombstones(struct server *s);

/* server_revoke_commands.c */
bool server_read_scope(struct server *s, const json_t *request, struct revocation *out,
		       const char **error) MUST_CHECK;
json_t *server_answer_revoke(void *state, const json_t *request);
json_t *server_answer_compromised(void *state, const json_t *request);
json_t *server_answer_kick(void *state, const json_t *request);
json_t *server_answer_files(void *state, const json_t *request);

/* server_run.c */
int server_rotate_port(struct server *s, uint64_t *opened) MUST_CHECK;
bool server_issue(struct server *s, const char *path, struct issued_file *out,
		  char error[ISSUER_ERROR_MAX]) MUST_CHECK;
