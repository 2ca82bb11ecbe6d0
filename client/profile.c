#include "client/profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/enrolment_json.h"
#include "client/json_fields.h"
#include "client/relay_json.h"
#include "core/text.h"
#include "crypto/random.h"
#include "net/file.h"

#define DEVICE_FILE "device.json"
#define RELAY_FILE "relay.json"
#define LOCK_FILE "lock"
#define MARK_FILE "compromised"

enum { FORMAT_VERSION = 1 };

enum clawchat_result client_error(struct clawchat_error *error, enum clawchat_result result,
				  const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	error->result = result;
	return result;
}

/* ---- files ------------------------------------------------------------------------------ */

bool profile_path(const struct profile *p, const char *name, char out[PROFILE_PATH_MAX])
{
	return snprintf(out, PROFILE_PATH_MAX, "%s/%s", p->directory, name) < PROFILE_PATH_MAX;
}

static enum clawchat_result file_error(struct clawchat_error *error, const char *path,
				       enum file_status status)
{
	switch (status) {
	case FILE_IS_OPEN:
	case FILE_IS_FOREIGN:
	case FILE_IS_REFUSED:
		return client_error(error, CLAWCHAT_PERMISSION, "%s: %s; chmod go-rwx %s", path,
				    file_status_text(status), path);
	default: return client_error(error, CLAWCHAT_IO, "%s: %s", path, file_status_text(status));
	}
}

enum clawchat_result profile_read_json(const struct profile *p, const char *name, json_t **out,
				       struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	size_t size;
	json_error_t json_error;
	*out = NULL;
	uint8_t *text = malloc(PROFILE_FILE_MAX);
	if (text == NULL || !profile_path(p, name, path)) {
		free(text);
		return client_error(error, CLAWCHAT_FAILED, "profile %s: %s", p->directory,
				    text == NULL ? "out of memory" : "the path is too long");
	}
	enum clawchat_result result = CLAWCHAT_OK;
	enum file_status status = file_read(path, FILE_PRIVATE, text, PROFILE_FILE_MAX, &size);
	if (status == FILE_OK) {
		*out = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, &json_error);
		bytes_wipe(text, size);
		if (*out == NULL)
			result = client_error(error, CLAWCHAT_CONFIG,
					      "%s: damaged (line %d: %s); restore it or remove "
					      "the profile",
					      path, json_error.line, json_error.text);
	} else if (status != FILE_IS_MISSING) {
		result = file_error(error, path, status);
	}
	free(text);
	return result;
}

enum clawchat_result profile_write_json(const struct profile *p, const char *name,
					const json_t *object, struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	if (!profile_path(p, name, path))
		return client_error(error, CLAWCHAT_FAILED, "profile %s: the path is too long",
				    p->directory);
	char *text = json_dumps(object, JSON_INDENT(1));
	if (text == NULL)
		return client_error(error, CLAWCHAT_FAILED, "%s: out of memory", path);
	enum file_status status = file_write(path, view_of(text, strlen(text)));
	bytes_wipe(text, strlen(text));
	free(text);
	return status == FILE_OK ? CLAWCHAT_OK : file_error(error, path, status);
}

/* ---- device ----------------------------------------------------------------------------- */

static enum clawchat_result save_device(const struct profile *p, struct clawchat_error *error)
{
	json_t *object = json_object();
	json_put_number(object, "version", FORMAT_VERSION);
	json_put_bytes(object, "device_key", p->device.secret, X25519_SIZE);
	json_put_bytes(object, "identity_key", p->identity.seed, ED25519_SEED_SIZE);
	json_put_bytes(object, "peer_key", p->peer_static.secret, X25519_SIZE);
	json_put_text(object, "name", p->name);
	enum clawchat_result result = profile_write_json(p, DEVICE_FILE, object, error);
	json_decref(object);
	return result;
}

static enum clawchat_result read_device(struct profile *p, const json_t *object,
					struct clawchat_error *error)
{
	struct json_reader r = { .object = object };
	uint64_t version = json_take_number(&r, "version", UINT32_MAX);
	json_take_bytes(&r, "device_key", p->device.secret, X25519_SIZE);
	json_take_bytes(&r, "identity_key", p->identity.seed, ED25519_SEED_SIZE);
	json_take_bytes(&r, "peer_key", p->peer_static.secret, X25519_SIZE);
	json_take_text(&r, "name", p->name, sizeof(p->name));
	if (version > FORMAT_VERSION)
		return client_error(error, CLAWCHAT_CONFIG,
				    "%s/" DEVICE_FILE ": written by a newer version", p->directory);
	if (r.failed != NULL)
		return client_error(error, CLAWCHAT_CONFIG, "%s/" DEVICE_FILE ": damaged at \"%s\"",
				    p->directory, r.failed);
	x25519_derive_public(&p->device);
	x25519_derive_public(&p->peer_static);
	ed25519_derive_public(&p->identity);
	return CLAWCHAT_OK;
}

/* The user's login name, or what stands in for it. */
static void default_name(char name[NAME_SIZE_MAX + 1])
{
	const struct passwd *user = getpwuid(getuid());
	snprintf(name, NAME_SIZE_MAX + 1, "%s", user != NULL ? user->pw_name : "somebody");
}

/* Showable as it is, so that peers see the name that was chosen. */
static bool is_name(const char *name)
{
	char clean[NAME_SIZE_MAX + 1];
	size_t length = strlen(name);
	return length > 0 && length <= NAME_SIZE_MAX &&
	       text_clean_line(view_of(name, length), clean, sizeof(clean)) == length &&
	       strcmp(clean, name) == 0;
}

static enum clawchat_result open_device(struct profile *p, const char *name,
					struct clawchat_error *error)
{
	json_t *object;
	enum clawchat_result result = profile_read_json(p, DEVICE_FILE, &object, error);
	if (result != CLAWCHAT_OK)
		return result;
	bool is_new = object == NULL;
	if (is_new) {
		struct random_source random = random_system();
		x25519_generate(&p->device, &random);
		x25519_generate(&p->peer_static, &random);
		ed25519_generate(&p->identity, &random);
		default_name(p->name);
	} else {
		result = read_device(p, object, error);
		json_decref(object);
	}
	if (result != CLAWCHAT_OK)
		return result;
	if (name != NULL && !is_name(name))
		return client_error(error, CLAWCHAT_USAGE,
				    "name '%s': 1 to %d bytes of UTF-8 without control characters",
				    name, NAME_SIZE_MAX);
	bool is_renamed = name != NULL && strcmp(name, p->name) != 0;
	if (is_renamed)
		snprintf(p->name, sizeof(p->name), "%s", name);
	return is_new || is_renamed ? save_device(p, error) : CLAWCHAT_OK;
}

/* ---- relay ------------------------------------------------------------------------------ */

static enum clawchat_result open_relay(struct profile *p, struct clawchat_error *error)
{
	json_t *object;
	const char *failed = NULL;
	enum clawchat_result result = profile_read_json(p, RELAY_FILE, &object, error);
	if (result != CLAWCHAT_OK || object == NULL)
		return result;
	p->has_relay = relay_json_read(object, &p->relay, &failed) &&
		       enrolment_json_read(object, p, &failed);
	json_decref(object);
	if (p->has_relay)
		return CLAWCHAT_OK;
	return client_error(error, CLAWCHAT_CONFIG,
			    "%s/" RELAY_FILE ": damaged at \"%s\"; load a security file again",
			    p->directory, failed);
}

enum clawchat_result profile_save_relay(const struct profile *p, struct clawchat_error *error)
{
	json_t *object = relay_json_make(&p->relay);
	enrolment_json_add(object, p);
	enum clawchat_result result = profile_write_json(p, RELAY_FILE, object, error);
	json_decref(object);
	return result;
}

/* The file's doors count: the schedule may have been replaced, and that be why it was asked for. */
static void keep_psk(struct enrolment *enrolment)
{
	if (enrolment->state == ENROLMENT_DONE)
		enrolment->state = ENROLMENT_PENDING;
	enrolment->has_schedule = false;
	bytes_wipe(&enrolment->schedule, sizeof(enrolment->schedule));
}

enum clawchat_result profile_set_relay(struct profile *p, const struct security_file *file,
				       struct clawchat_error *error)
{
	struct security_file relay = p->relay;
	struct enrolment enrolment = p->enrolment;
	struct relay_clock clock = p->clock;
	bool is_same = p->has_relay &&
		       memcmp(relay.server_id, file->server_id, SERVER_ID_SIZE) == 0 &&
		       bytes_equal(relay.server_public_key, file->server_public_key, X25519_SIZE);
	p->relay = *file;
	if (is_same) {
		keep_psk(&p->enrolment);
	} else {
		bytes_wipe(&p->enrolment, sizeof(p->enrolment));
		memset(&p->clock, 0, sizeof(p->clock));
	}
	enum clawchat_result result = profile_save_relay(p, error);
	if (result == CLAWCHAT_OK) {
		p->has_relay = true;
	} else {
		p->relay = relay;
		p->enrolment = enrolment;
		p->clock = clock;
	}
	bytes_wipe(&relay, sizeof(relay));
	bytes_wipe(&enrolment, sizeof(enrolment));
	return result;
}

/* ---- directory -------------------------------------------------------------------------- */

static bool choose_directory(struct profile *p, const char *directory)
{
	const char *from[] = { directory, getenv("CLAWCHAT_PROFILE") };
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int size = -1;
	for (size_t i = 0; i < 2 && size < 0; i++)
		if (from[i] != NULL && from[i][0] != '\0')
			size = snprintf(p->directory, sizeof(p->directory), "%s", from[i]);
	if (size < 0 && data != NULL && data[0] == '/')
		size = snprintf(p->directory, sizeof(p->directory), "%s/clawchat", data);
	if (size < 0 && home != NULL)
		size = snprintf(p->directory, sizeof(p->directory), "%s/.local/share/clawchat",
				home);
	return size > 0 && (size_t)size < sizeof(p->directory);
}

/* Parents as mkdir -p would make them; the profile itself is made by file_make_directory(). */
static void make_parents(const char *directory)
{
	char path[PROFILE_PATH_MAX];
	snprintf(path, sizeof(path), "%s", directory);
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0700); /* existing or refused: what follows says it */
		*p = '/';
	}
}

static enum clawchat_result take_lock(struct profile *p, struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	if (!profile_path(p, LOCK_FILE, path))
		return client_error(error, CLAWCHAT_FAILED, "profile %s: the path is too long",
				    p->directory);
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->lock_fd < 0)
		return client_error(error, CLAWCHAT_IO, "%s: %s", path, strerror(errno));
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return CLAWCHAT_OK;
	return client_error(error, CLAWCHAT_UNAVAILABLE,
			    "profile %s: in use by another clawchat; end that one, or give this "
			    "one a profile of its own with --profile",
			    p->directory);
}

/* ---- after a compromise ----------------------------------------------------------------- */

enum clawchat_result profile_mark_compromised(const struct profile *p, struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	if (!profile_path(p, MARK_FILE, path))
		return client_error(error, CLAWCHAT_FAILED, "profile %s: the path is too long",
				    p->directory);
	enum file_status status = file_write(path, VIEW_STRING("to be erased\n"));
	return status == FILE_OK ? CLAWCHAT_OK : file_error(error, path, status);
}

static bool is_to_go(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
	       strcmp(entry->d_name, LOCK_FILE) != 0 && strcmp(entry->d_name, MARK_FILE) != 0;
}

/* Every file, temporaries of a crash among them. Folders are not ours. */
static enum clawchat_result destroy_files(const struct profile *p, struct clawchat_error *error)
{
	enum clawchat_result result = CLAWCHAT_OK;
	char path[PROFILE_PATH_MAX];
	struct stat info;
	DIR *dir = opendir(p->directory);
	if (dir == NULL)
		return client_error(error, CLAWCHAT_IO, "%s: %s", p->directory, strerror(errno));
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (!is_to_go(entry) || !profile_path(p, entry->d_name, path) ||
		    lstat(path, &info) != 0 || S_ISDIR(info.st_mode))
			continue;
		enum file_status status = file_destroy(path);
		if (status != FILE_OK && status != FILE_IS_MISSING && unlink(path) != 0)
			result = file_error(error, path, status);
	}
	closedir(dir);
	return result;
}

enum clawchat_result profile_erase(const struct profile *p, struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	enum clawchat_result result = destroy_files(p, error);
	if (result != CLAWCHAT_OK || !profile_path(p, MARK_FILE, path))
		return result;
	enum file_status status = file_destroy(path);
	return status == FILE_OK || status == FILE_IS_MISSING ? CLAWCHAT_OK :
								file_error(error, path, status);
}

static enum clawchat_result finish_erasing(const struct profile *p, struct clawchat_error *error)
{
	char path[PROFILE_PATH_MAX];
	struct stat info;
	if (!profile_path(p, MARK_FILE, path) || lstat(path, &info) != 0)
		return CLAWCHAT_OK;
	return profile_erase(p, error);
}

void profile_forget_secrets(struct profile *p)
{
	bytes_wipe(&p->device, sizeof(p->device));
	bytes_wipe(&p->identity, sizeof(p->identity));
	bytes_wipe(&p->peer_static, sizeof(p->peer_static));
	bytes_wipe(&p->relay, sizeof(p->relay));
	bytes_wipe(&p->enrolment, sizeof(p->enrolment));
	p->has_relay = false;
}

enum clawchat_result profile_open(struct profile *p, const char *directory, const char *name,
				  struct clawchat_error *error)
{
	memset(p, 0, sizeof(*p));
	p->lock_fd = -1;
	if (!choose_directory(p, directory))
		return client_error(error, CLAWCHAT_USAGE,
				    "no place for the profile: set HOME or use --profile");
	make_parents(p->directory);
	enum file_status status = file_make_directory(p->directory);
	if (status != FILE_OK)
		return file_error(error, p->directory, status);
	enum clawchat_result result = take_lock(p, error);
	if (result == CLAWCHAT_OK)
		result = finish_erasing(p, error);
	if (result == CLAWCHAT_OK)
		result = open_device(p, name, error);
	if (result == CLAWCHAT_OK)
		result = open_relay(p, error);
	if (result != CLAWCHAT_OK)
		profile_close(p);
	return result;
}

void profile_close(struct profile *p)
{
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	bytes_wipe(p, sizeof(*p));
	p->lock_fd = -1;
}
