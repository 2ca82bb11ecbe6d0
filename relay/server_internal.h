#pragma once
/* The inside of struct server, for server*.c alone. Owner: control. */
#include "relay/admin.h"
#include "relay/credentials.h"
#include "relay/doors.h"
#include "relay/issuer.h"
#include "relay/keeper_thread.h"
#include "relay/server.h"
#include "relay/store.h"

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
	struct relay_keys *keys;         /* secret memory */
	const struct packet_cipher *cipher;
	unsigned worker_count;
	struct worker *workers[WORKERS_MAX];
	uint64_t started_ns;             /* mono */

	struct store *store;
	struct credentials *credentials;
	struct table *table;
	struct channels *channels;
	struct quiesce quiesce;
	struct keeper_waker *keeper_waker;
	struct mailbox *hellos, *frames, *events;
	struct keeper_thread *keeper;
	struct seen_log *seen;           /* the keeper's while it runs */
	struct doors doors;
	struct issuer issuer;
	struct admin *admin;

	/* Control thread. */
	int epoll_fd, signal_fd, event_fd;
	bool is_stopping, is_draining;
	int exit_code;
	uint64_t doors_next_ns;          /* wall clock */
	int64_t clock_offset_ns;         /* wall minus mono, when last looked at */
	uint64_t sweep_next_ns;          /* mono */
	uint64_t drain_next_ns;          /* mono */
	uint64_t drain_until_ns;         /* mono */
	struct issued_file current;
	uint64_t files_issued;
	bool is_store_swept;             /* no outdated file is left in it */
	uint64_t notify_next_ns;         /* mono; systemd's watchdog */
};

/* server_setup.c */
bool server_load_keys(struct server *s, struct server_error *error) MUST_CHECK;
bool server_load_bootstrap(struct server *s, struct server_error *error) MUST_CHECK;
bool server_load_credentials(struct server *s, struct server_error *error) MUST_CHECK;
/* Forget files whose validity is long over, in memory and in the store. */
void server_sweep_files(struct server *s, uint64_t wall_ns);
bool server_fail(struct server_error *error, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));     /* returns false */

/* server_commands.c */
extern const struct admin_command server_commands[];
extern const size_t server_command_count;

/* server_run.c */
int server_rotate_port(struct server *s, uint64_t *opened) MUST_CHECK;
bool server_issue(struct server *s, const char *path, struct issued_file *out,
		  char error[ISSUER_ERROR_MAX]) MUST_CHECK;
