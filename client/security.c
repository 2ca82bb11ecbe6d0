/* Security files: read them, say what is wrong with them, take them into the profile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "core/bootstrap.h"
#include "crypto/crypto.h"
#include "net/clock.h"
#include "net/file.h"

enum { ID_TEXT = 33 };

/* ---- bootstrap secret ------------------------------------------------------------------- */

struct bootstrap_secret {
	uint8_t key[BOOTSTRAP_KEY_SIZE];
	struct view view;             /* of the key, or of the caller's passphrase */
	char where[PROFILE_PATH_MAX]; /* for messages */
};

static enum clawchat_result file_error(struct clawchat_error *error, const char *what,
				       const char *path, enum file_status status)
{
	switch (status) {
	case FILE_IS_OPEN:
		return client_error(error, CLAWCHAT_PERMISSION, "%s %s: %s; run: chmod 600 %s",
				    what, path, file_status_text(status), path);
	case FILE_IS_LINK:
	case FILE_IS_FOREIGN:
	case FILE_IS_REFUSED:
		return client_error(error, CLAWCHAT_PERMISSION,
				    "%s %s: %s; copy it to a file of "
				    "your own with mode 600",
				    what, path, file_status_text(status));
	case FILE_IS_TOO_LARGE:
	case FILE_IS_NOT_REGULAR:
		return client_error(error, CLAWCHAT_DAMAGED, "%s %s: %s; it cannot be one", what,
				    path, file_status_text(status));
	default:
		return client_error(error, CLAWCHAT_IO, "%s %s: %s", what, path,
				    file_status_text(status));
	}
}

/* A key file: the one named, $CLAWCHAT_BOOTSTRAP_KEY, or bootstrap.key beside the file. */
static void choose_key_file(const char *file, const struct clawchat_bootstrap *bootstrap,
			    char out[PROFILE_PATH_MAX])
{
	const char *environment = getenv("CLAWCHAT_BOOTSTRAP_KEY");
	const char *slash = strrchr(file, '/');
	if (bootstrap != NULL && bootstrap->key_file != NULL)
		snprintf(out, PROFILE_PATH_MAX, "%s", bootstrap->key_file);
	else if (environment != NULL && environment[0] != '\0')
		snprintf(out, PROFILE_PATH_MAX, "%s", environment);
	else
		snprintf(out, PROFILE_PATH_MAX, "%.*sbootstrap.key",
			 slash != NULL ? (int)(slash - file + 1) : 0, file);
}

static enum clawchat_result read_bootstrap(const char *file,
					   const struct clawchat_bootstrap *bootstrap,
					   struct bootstrap_secret *out,
					   struct clawchat_error *error)
{
	uint8_t content[BOOTSTRAP_FILE_SIZE_MAX];
	size_t size;
	if (bootstrap != NULL && bootstrap->passphrase != NULL) {
		out->view = view_of(bootstrap->passphrase, strlen(bootstrap->passphrase));
		snprintf(out->where, sizeof(out->where), "the passphrase");
		if (out->view.size == 0)
			return client_error(error, CLAWCHAT_WRONG_KEY, "the passphrase is empty");
		return CLAWCHAT_OK;
	}
	choose_key_file(file, bootstrap, out->where);
	enum file_status status =
		file_read(out->where, FILE_PRIVATE, content, sizeof(content), &size);
	if (status == FILE_IS_MISSING)
		return client_error(error, CLAWCHAT_WRONG_KEY,
				    "bootstrap key %s: no such file; name it with "
				    "--bootstrap-key-file, or give the passphrase",
				    out->where);
	if (status != FILE_OK)
		return file_error(error, "bootstrap key", out->where, status);
	bool is_key = bootstrap_key_parse(view_of(content, size), out->key);
	bytes_wipe(content, sizeof(content));
	if (!is_key)
		return client_error(error, CLAWCHAT_WRONG_KEY,
				    "bootstrap key %s: not a key (64 hexadecimal digits or 32 "
				    "bytes)",
				    out->where);
	out->view = view_of(out->key, sizeof(out->key));
	return CLAWCHAT_OK;
}

/* ---- security file ---------------------------------------------------------------------- */

static const char *span(uint64_t seconds, char *out, size_t capacity)
{
	if (seconds >= 2 * 86400)
		snprintf(out, capacity, "%llu days", (unsigned long long)(seconds / 86400));
	else if (seconds >= 2 * 3600)
		snprintf(out, capacity, "%llu hours", (unsigned long long)(seconds / 3600));
	else
		snprintf(out, capacity, "%llu minutes", (unsigned long long)(seconds / 60));
	return out;
}

static enum clawchat_result time_error(struct clawchat_error *error, const char *path,
				       enum security_file_status status,
				       const struct security_file *file, uint64_t now_s)
{
	char how_long[64];
	if (status == SECURITY_FILE_EXPIRED)
		return client_error(error, CLAWCHAT_EXPIRED,
				    "%s: expired %s ago; ask the relay's operator for a new one",
				    path,
				    span(now_s - file->valid_until_s, how_long, sizeof(how_long)));
	if (status == SECURITY_FILE_CLOCK_BEHIND)
		return client_error(
			error, CLAWCHAT_NOT_YET_VALID,
			"%s: written %s in the future; this computer's clock is behind, "
			"set it right",
			path, span(file->issued_s - now_s, how_long, sizeof(how_long)));
	return client_error(error, CLAWCHAT_NOT_YET_VALID, "%s: not valid for another %s", path,
			    span(file->valid_from_s - now_s, how_long, sizeof(how_long)));
}

static enum clawchat_result content_error(struct clawchat_error *error, const char *path,
					  enum security_file_status status, const char *key)
{
	const char *text = security_file_status_text(status);
	switch (status) {
	case SECURITY_FILE_WRONG_KEY:
		return client_error(error, CLAWCHAT_WRONG_KEY,
				    "%s: %s; tried %s, use the one that belongs to this relay",
				    path, text, key);
	case SECURITY_FILE_TOO_NEW:
	case SECURITY_FILE_OTHER_ALGORITHM:
	case SECURITY_FILE_OTHER_CIPHER:
		return client_error(error, CLAWCHAT_TOO_NEW, "%s: %s; install a newer clawchat",
				    path, text);
	case SECURITY_FILE_NO_MEMORY:
		return client_error(error, CLAWCHAT_FAILED, "%s: out of memory", path);
	default: return client_error(error, CLAWCHAT_DAMAGED, "%s: %s; fetch it again", path, text);
	}
}

static enum clawchat_result open_text(const char *path, struct view text,
				      const struct clawchat_bootstrap *bootstrap,
				      struct security_file *out, struct clawchat_error *error)
{
	struct bootstrap_secret secret = { 0 };
	enum clawchat_result result = read_bootstrap(path, bootstrap, &secret, error);
	if (result != CLAWCHAT_OK)
		return result;
	const struct security_file_reader reader = {
		.bootstrap = secret.view,
		.now_s = clock_now().wall_ns / NS_PER_S,
		.iterations_min = PBKDF2_ITERATIONS_MIN,
		.iterations_max = PBKDF2_ITERATIONS_MAX,
	};
	enum security_file_status status = security_file_open(&reader, text, out);
	bytes_wipe(secret.key, sizeof(secret.key));
	switch (status) {
	case SECURITY_FILE_OK: return CLAWCHAT_OK;
	case SECURITY_FILE_EXPIRED:
	case SECURITY_FILE_NOT_YET_VALID:
	case SECURITY_FILE_CLOCK_BEHIND: return time_error(error, path, status, out, reader.now_s);
	default: return content_error(error, path, status, secret.where);
	}
}

/* *out is filled in where the result is OK or one of time. */
static enum clawchat_result open_file(const char *path, const struct clawchat_bootstrap *bootstrap,
				      struct security_file *out, struct clawchat_error *error)
{
	size_t size;
	uint8_t *text = malloc(SECURITY_FILE_SIZE_MAX);
	memset(out, 0, sizeof(*out));
	if (text == NULL)
		return client_error(error, CLAWCHAT_FAILED, "%s: out of memory", path);
	enum file_status status =
		file_read(path, FILE_PRIVATE, text, SECURITY_FILE_SIZE_MAX, &size);
	enum clawchat_result result =
		status == FILE_OK ? open_text(path, view_of(text, size), bootstrap, out, error) :
				    file_error(error, "security file", path, status);
	free(text);
	return result;
}

/* ---- public ----------------------------------------------------------------------------- */

static void hex(const uint8_t *bytes, size_t size, char *out)
{
	for (size_t i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void describe(const struct security_file *file, struct clawchat_file_info *info)
{
	_Static_assert(sizeof(info->server_id) == ID_TEXT && SERVER_ID_SIZE == 16, "hex and NUL");
	memset(info, 0, sizeof(*info));
	snprintf(info->server_name, sizeof(info->server_name), "%s", file->server_name);
	hex(file->server_id, SERVER_ID_SIZE, info->server_id);
	hex(file->file_id, FILE_ID_SIZE, info->file_id);
	hex(file->bootstrap_key_id, BOOTSTRAP_ID_SIZE, info->bootstrap_key_id);
	if (address_is_set(&file->public_ip))
		address_format(&file->public_ip, info->address);
	if (address_is_set(&file->public_ip6))
		address_format(&file->public_ip6, info->address6);
	info->port = file->udp_port;
	info->valid_from = file->valid_from_s;
	info->valid_until = file->valid_until_s;
	info->next_rotation = file->next_rotation_s;
	info->max_devices = file->enrol_max_devices;
}

static enum clawchat_result start_crypto(struct clawchat_error *error)
{
	const char *failed = NULL;
	security_file_init();
	if (crypto_init(&failed) == CRYPTO_READY)
		return CLAWCHAT_OK;
	return client_error(error, CLAWCHAT_FAILED, "cryptography: %s is missing or wrong", failed);
}

enum clawchat_result clawchat_inspect(const char *path, const struct clawchat_bootstrap *bootstrap,
				      struct clawchat_file_info *info, struct clawchat_error *error)
{
	struct security_file file;
	enum clawchat_result result = start_crypto(error);
	if (result != CLAWCHAT_OK)
		return result;
	result = open_file(path, bootstrap, &file, error);
	describe(&file, info);
	bytes_wipe(&file, sizeof(file));
	crypto_fini();
	return result;
}

static bool has_contacts(const struct clawchat *c)
{
	for (size_t i = 0; i < c->contacts.count; i++)
		if (c->contacts.list[i].is_known)
			return true;
	return false;
}

enum clawchat_result clawchat_load(struct clawchat *c, const char *path,
				   const struct clawchat_bootstrap *bootstrap,
				   struct clawchat_error *error)
{
	struct security_file file;
	const struct security_file *known = &c->profile.relay;
	if (c->is_erased || c->is_burning)
		return client_error(error, CLAWCHAT_REVOKED,
				    "%s: this profile is erased; open it anew first", path);
	if (c->link != NULL)
		return client_error(error, CLAWCHAT_USAGE, "%s: cannot be loaded while connected",
				    path);
	enum clawchat_result result = open_file(path, bootstrap, &file, error);
	bool is_same = !c->profile.has_relay ||
		       memcmp(known->server_id, file.server_id, SERVER_ID_SIZE) == 0;
	if (result == CLAWCHAT_OK && !is_same && has_contacts(c))
		result = client_error(error, CLAWCHAT_CONFIG,
				      "%s: of another relay than this profile's; give it a profile "
				      "of its own with --profile",
				      path);
	else if (result == CLAWCHAT_OK && c->profile.has_relay && is_same &&
		 !bytes_equal(known->server_signing_key, file.server_signing_key,
			      ED25519_PUBLIC_SIZE))
		result = client_error(error, CLAWCHAT_DAMAGED,
				      "%s: signed by another key than this relay's; ask its "
				      "operator, and start a new profile if the key was replaced",
				      path);
	if (result == CLAWCHAT_OK)
		result = profile_set_relay(&c->profile, &file, error);
	bytes_wipe(&file, sizeof(file));
	return result;
}

enum clawchat_result clawchat_keygen(const char *path, struct clawchat_error *error)
{
	uint8_t key[BOOTSTRAP_KEY_SIZE], existing[1];
	char text[BOOTSTRAP_TEXT_SIZE];
	size_t size;
	enum clawchat_result result = start_crypto(error);
	if (result != CLAWCHAT_OK)
		return result;
	if (file_read(path, FILE_PRIVATE, existing, sizeof(existing), &size) != FILE_IS_MISSING) {
		crypto_fini();
		return client_error(error, CLAWCHAT_IO,
				    "bootstrap key %s: exists already; it is not replaced", path);
	}
	struct random_source random = random_system();
	random_fill(&random, key, sizeof(key));
	bootstrap_key_format(key, text);
	enum file_status status = file_write(path, view_of(text, sizeof(text)));
	if (status != FILE_OK)
		result = file_error(error, "bootstrap key", path, status);
	bytes_wipe(key, sizeof(key));
	bytes_wipe(text, sizeof(text));
	crypto_fini();
	return result;
}
