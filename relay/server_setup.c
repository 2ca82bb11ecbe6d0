/* What the relay needs before it starts: its keys, the bootstrap key, the files it has issued. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "crypto/secret.h"
#include "net/clock.h"
#include "net/file.h"
#include "relay/log.h"
#include "relay/server_internal.h"

enum { SWEPT_PER_ROUND = 64 };

bool server_fail(struct server_error *error, int exit_code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	error->exit_code = exit_code;
	return false;
}

static int store_exit_code(enum store_status status)
{
	switch (status) {
	case STORE_IN_USE: return EX_UNAVAILABLE;
	case STORE_BAD_DIRECTORY:
	case STORE_BAD_KEY:
	case STORE_REFUSED: return EX_NOPERM;
	default: return EX_IOERR;
	}
}

static bool store_fail(const struct server *s, struct server_error *error, const char *what,
		       enum store_status status)
{
	return server_fail(error, store_exit_code(status), "state in %s: %s: %s",
			   s->settings->server.state_dir, what, store_status_text(status));
}

/* ---- keys ------------------------------------------------------------------------------- */

static bool make_keys(struct server *s, struct server_error *error)
{
	struct relay_keys *k = s->keys;
	random_fill(&s->random, k->server_id, sizeof(k->server_id));
	random_fill(&s->random, k->schedule_secret, sizeof(k->schedule_secret));
	x25519_generate(&k->static_key, &s->random);
	ed25519_generate(&k->signing, &s->random);
	const struct store_value values[] = {
		{ STORE_SERVER_ID, view_of(k->server_id, sizeof(k->server_id)) },
		{ STORE_STATIC_KEY, view_of(k->static_key.secret, X25519_SIZE) },
		{ STORE_SIGNING_KEY, view_of(k->signing.seed, ED25519_SEED_SIZE) },
		{ STORE_SCHEDULE_SECRET, view_of(k->schedule_secret, KEY_SIZE) },
	};
	enum store_status status =
		store_put_values(s->store, values, sizeof(values) / sizeof(values[0]));
	if (status != STORE_OK)
		return store_fail(s, error, "new keys", status);
	log_event(LOG_LEVEL_INFO, "keys_made", LOG_ID("server", k->server_id));
	return true;
}

bool server_load_keys(struct server *s, struct server_error *error)
{
	s->keys = secret_create(sizeof(*s->keys));
	if (s->keys == NULL)
		return server_fail(error, EX_OSERR, "out of memory");
	struct relay_keys *k = s->keys;
	const struct {
		const char *name;
		uint8_t *out;
		size_t size;
	} values[] = {
		{ STORE_SERVER_ID, k->server_id, SERVER_ID_SIZE },
		{ STORE_STATIC_KEY, k->static_key.secret, X25519_SIZE },
		{ STORE_SIGNING_KEY, k->signing.seed, ED25519_SEED_SIZE },
		{ STORE_SCHEDULE_SECRET, k->schedule_secret, KEY_SIZE },
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		enum store_status status =
			store_get_value(s->store, values[i].name, values[i].out, values[i].size);
		if (status == STORE_NOT_FOUND && i == 0)
			return make_keys(s, error);
		if (status != STORE_OK)
			return store_fail(s, error, values[i].name, status);
	}
	x25519_derive_public(&k->static_key);
	ed25519_derive_public(&k->signing);
	return true;
}

/* ---- bootstrap key ---------------------------------------------------------------------- */

static bool make_bootstrap(struct server *s, const char *path, struct server_error *error)
{
	char text[BOOTSTRAP_TEXT_SIZE];
	random_fill(&s->random, s->issuer.bootstrap, sizeof(s->issuer.bootstrap));
	bootstrap_key_format(s->issuer.bootstrap, text);
	enum file_status status = file_write(path, view_of(text, sizeof(text)));
	bytes_wipe(text, sizeof(text));
	if (status != FILE_OK)
		return server_fail(error, EX_IOERR, "bootstrap key %s: %s", path,
				   file_status_text(status));
	log_event(LOG_LEVEL_INFO, "bootstrap_key_made", LOG_TEXT("path", path));
	return true;
}

/* Where the key is: the setting; where that is the default, systemd's credential goes first. */
static enum file_privacy choose_bootstrap(const struct server *s, bool *is_default,
					  char path[ISSUER_PATH_MAX])
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	struct stat info;
	snprintf(path, ISSUER_PATH_MAX, "%s/bootstrap.key", s->settings->server.state_dir);
	*is_default = strcmp(s->settings->server.bootstrap_key_file, path) == 0;
	if (*is_default && credentials != NULL) {
		char credential[ISSUER_PATH_MAX];
		snprintf(credential, sizeof(credential), "%s/bootstrap.key", credentials);
		if (stat(credential, &info) == 0) {
			memcpy(path, credential, sizeof(credential));
			return FILE_CREDENTIAL;
		}
	}
	snprintf(path, ISSUER_PATH_MAX, "%s", s->settings->server.bootstrap_key_file);
	return FILE_PRIVATE;
}

bool server_load_bootstrap(struct server *s, struct server_error *error)
{
	char path[ISSUER_PATH_MAX];
	uint8_t content[BOOTSTRAP_FILE_SIZE_MAX];
	size_t size;
	bool is_default;
	enum file_privacy privacy = choose_bootstrap(s, &is_default, path);
	enum file_status status = file_read(path, privacy, content, sizeof(content), &size);
	if (status == FILE_IS_MISSING && is_default)
		return make_bootstrap(s, path, error);
	if (status == FILE_IS_OPEN) /* file_read() has wiped the content */
		return server_fail(error, EX_NOPERM, "bootstrap key %s: %s; run: chmod 600 %s",
				   path, file_status_text(status), path);
	if (status != FILE_OK)
		return server_fail(error,
				   status == FILE_IS_REFUSED || status == FILE_IS_FOREIGN ?
					   EX_NOPERM :
					   EX_IOERR,
				   "bootstrap key %s: %s", path, file_status_text(status));
	bool is_key = bootstrap_key_parse(view_of(content, size), s->issuer.bootstrap);
	bytes_wipe(content, sizeof(content));
	if (!is_key)
		return server_fail(error, EX_CONFIG,
				   "bootstrap key %s: not a key (64 hexadecimal digits or "
				   "32 bytes); make one with: clawchat keygen FILE",
				   path);
	return true;
}

/* ---- files issued earlier --------------------------------------------------------------- */

static struct credential_file credential_of(const struct store_file *file)
{
	struct credential_file credential = {
		.valid_from_ns = file->valid_from_s * NS_PER_S,
		.valid_until_ns = file->valid_until_s * NS_PER_S,
		.max_devices = file->max_devices,
		.used = file->used,
		.is_revoked = file->is_revoked,
	};
	memcpy(credential.id, file->file_id, FILE_ID_SIZE);
	memcpy(credential.shared_secret, file->shared_secret, KEY_SIZE);
	return credential;
}

struct outdated {
	uint64_t wall_ns;
	size_t count;
	uint8_t ids[SWEPT_PER_ROUND][FILE_ID_SIZE];
};

static void note_outdated(void *state, const struct store_file *file)
{
	struct outdated *outdated = state;
	struct credential_file credential = credential_of(file);
	if (outdated->count < SWEPT_PER_ROUND &&
	    credential_is_outdated(&credential, outdated->wall_ns))
		memcpy(outdated->ids[outdated->count++], file->file_id, FILE_ID_SIZE);
	bytes_wipe(&credential, sizeof(credential));
}

void server_sweep_files(struct server *s, uint64_t wall_ns)
{
	struct outdated outdated = { .wall_ns = wall_ns };
	enum store_status status = STORE_OK;
	/* Whatever has gone from memory has to go from the store, and nothing else. */
	if (credentials_sweep(s->credentials, wall_ns) > 0 || !s->is_store_swept)
		status = store_each_file(s->store, note_outdated, &outdated);
	for (size_t i = 0; i < outdated.count && status == STORE_OK; i++)
		status = store_remove_file(s->store, outdated.ids[i]);
	s->is_store_swept = status == STORE_OK && outdated.count < SWEPT_PER_ROUND;
	if (status != STORE_OK)
		log_event(LOG_LEVEL_ERROR, "store_failed",
			  LOG_TEXT("error", store_status_text(status)));
}

struct loading {
	struct server *server;
	uint64_t wall_ns;
};

static void take_file(void *state, const struct store_file *file)
{
	const struct loading *loading = state;
	struct credential_file credential = credential_of(file);
	if (!credential_is_outdated(&credential, loading->wall_ns) &&
	    !credentials_put_file(loading->server->credentials, &credential))
		log_event(LOG_LEVEL_WARNING, "file_not_loaded", LOG_ID("file", file->file_id));
	bytes_wipe(&credential, sizeof(credential));
}

/* Whoever never enrolled is in no table but this one. */
static void take_tombstone(void *state, const struct store_tombstone *tombstone)
{
	const struct loading *loading = state;
	if (tombstone->scope == COMPROMISED_DEVICE &&
	    !credentials_revoke_device(loading->server->credentials, tombstone->id))
		log_event(LOG_LEVEL_ERROR, "revocation_not_kept", LOG_ID("id", tombstone->id));
}

bool server_load_credentials(struct server *s, struct server_error *error)
{
	struct loading loading = { .server = s, .wall_ns = clock_now().wall_ns };
	s->credentials = credentials_create();
	if (s->credentials == NULL)
		return server_fail(error, EX_OSERR, "out of memory");
	enum store_status status = store_each_file(s->store, take_file, &loading);
	if (status == STORE_OK)
		status = store_each_tombstone(s->store, take_tombstone, &loading);
	if (status != STORE_OK)
		return store_fail(s, error, "files issued", status);
	status = server_load_devices(s);
	return status == STORE_OK || store_fail(s, error, "devices", status);
}
