#pragma once
/*
 * Issuer: writes security files. Each has a shared secret of its own and carries the doors of its
 * validity; clawchat-current.sec always names the newest.
 *
 * Takes some tenths of a second (PBKDF2) where the preparer has nothing ready. Owner: control.
 */
#include "core/instant.h"
#include "core/security_file.h"
#include "relay/credentials.h"
#include "relay/doors.h"
#include "relay/preparer.h"

#define ISSUER_CURRENT_NAME "clawchat-current.sec"

enum { ISSUER_PATH_MAX = 4096, ISSUER_ERROR_MAX = 256 };

struct issuer {
	const char *files_dir;
	uint8_t bootstrap[BOOTSTRAP_KEY_SIZE];
	struct ed25519_pair signing;
	uint8_t server_id[SERVER_ID_SIZE];
	uint8_t server_public[X25519_SIZE];
	const char *server_name;
	struct address public_v4; /* unset: the relay has none */
	struct address public_v6;
	uint32_t validity_s;
	uint32_t max_devices;
	uint32_t iterations;
	struct random_source random;
	const struct doors *doors;
	struct preparer *preparer; /* NULL: the slow work is done as it is needed */
	bool (*keep)(void *state, const struct credential_file *file, const char *path,
		     uint32_t max_devices); /* durably, before the file exists */
	void *keep_state;
};

struct issued_file {
	uint8_t id[FILE_ID_SIZE];
	uint64_t valid_until_s;
	char path[ISSUER_PATH_MAX];
};

/* `path` NULL: files_dir/clawchat-YYYYMMDD-HHMMSS.sec, and clawchat-current.sec beside it.
 * False: `error` says what went wrong. */
bool issuer_write(struct issuer *issuer, const char *path, uint64_t wall_ns,
		  struct issued_file *out, char error[ISSUER_ERROR_MAX]) MUST_CHECK;

/* Delete files in files_dir whose validity and tolerance are over; returns how many. */
size_t issuer_sweep(const struct issuer *issuer, uint64_t wall_ns);
