#include "relay/issuer.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "net/file.h"

enum { RESPONSE_TIMEOUT_S = 10, PUNCH_TIMEOUT_S = 10, NAME_MAX_BYTES = 64 };

/* The doors that the file opens: all generations that its validity touches. */
static void add_doors(const struct issuer *issuer, uint64_t wall_ns, struct security_file *file)
{
	const struct doors_config *config = &issuer->doors->config;
	const uint64_t now_s = wall_ns / NS_PER_S;
	const struct schedule *s = &config->schedule;
	const struct open_door *newest = doors_newest(issuer->doors);
	uint64_t last = schedule_generation(s, wall_ns + issuer->validity_s * NS_PER_S);
	if (newest != NULL && newest->generation > last)
		last = newest->generation;
	uint64_t k = schedule_generation(s, wall_ns);
	for (; k <= last && file->door_count < SECURITY_FILE_DOORS_MAX; k++) {
		struct security_file_door *door = &file->doors[file->door_count];
		const struct open_door *open = doors_find(issuer->doors, k);
		if (open != NULL && open->is_stale)
			open = NULL; /* it will be opened again, under the new secret */
		if (open == NULL && config->mode == DOOR_MODE_RANDOM)
			continue; /* not drawn yet: the session hears of it in time */
		door->generation = k;
		door->port = open != NULL ? open->port : schedule_port(s, k, 0);
		schedule_door_key(s, k, door->key);
		uint64_t begin_s = schedule_begin_ns(s, k) / NS_PER_S;
		door->from_s = begin_s > config->notice_s ? begin_s - config->notice_s : 0;
		if (open != NULL && door->from_s > now_s)
			door->from_s = now_s; /* opened early */
		door->until_s = schedule_begin_ns(s, k + 1) / NS_PER_S + config->grace_s;
		file->door_count++;
	}
}

static void fill_in(const struct issuer *issuer, uint64_t wall_ns, struct security_file *file)
{
	uint64_t now_s = wall_ns / NS_PER_S;
	const struct schedule *s = &issuer->doors->config.schedule;
	memset(file, 0, sizeof(*file));
	memcpy(file->server_id, issuer->server_id, SERVER_ID_SIZE);
	random_fill(&issuer->random, file->file_id, FILE_ID_SIZE);
	random_fill(&issuer->random, file->shared_secret, KEY_SIZE);
	snprintf(file->server_name, sizeof(file->server_name), "%s", issuer->server_name);
	memcpy(file->server_public_key, issuer->server_public, X25519_SIZE);
	file->issued_s = now_s;
	file->valid_from_s = now_s;
	file->valid_until_s = now_s + issuer->validity_s;
	file->next_rotation_s =
		schedule_begin_ns(s, schedule_generation(s, wall_ns) + 1) / NS_PER_S;
	file->grace_period_s = issuer->doors->config.grace_s;
	file->enrol_max_devices = issuer->max_devices;
	file->enrol_until_s = file->valid_until_s;
	file->compromised_scope = COMPROMISED_FILE;
	file->response_timeout_s = RESPONSE_TIMEOUT_S;
	file->hole_punch_timeout_s = PUNCH_TIMEOUT_S;
	add_doors(issuer, wall_ns, file);
	file->udp_port = file->doors[0].port;
	file->public_ip = issuer->public_v4;
	file->public_ip6 = issuer->public_v6;
	if (address_is_set(&file->public_ip))
		file->public_ip.port = file->udp_port;
	if (address_is_set(&file->public_ip6))
		file->public_ip6.port = file->udp_port;
}

/* A name not yet in use: the second, and a number where one second sees several. */
static bool choose_path(const struct issuer *issuer, uint64_t wall_ns, char path[ISSUER_PATH_MAX])
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm parts;
	struct stat info;
	char name[NAME_MAX_BYTES];
	gmtime_r(&seconds, &parts);
	strftime(name, sizeof(name), "clawchat-%Y%m%d-%H%M%S", &parts);
	for (unsigned i = 1; i < 1000; i++) {
		int size = i == 1 ? snprintf(path, ISSUER_PATH_MAX, "%s/%s.sec", issuer->files_dir,
					     name) :
				    snprintf(path, ISSUER_PATH_MAX, "%s/%s-%u.sec",
					     issuer->files_dir, name, i);
		if (size >= ISSUER_PATH_MAX)
			return false;
		if (lstat(path, &info) < 0)
			return true;
	}
	return false;
}

static bool write_text(const char *path, struct view text, char error[ISSUER_ERROR_MAX])
{
	enum file_status status = file_write(path, text);
	if (status == FILE_OK)
		return true;
	snprintf(error, ISSUER_ERROR_MAX, "%.150s: %s", path, file_status_text(status));
	return false;
}

static bool write_all(struct issuer *issuer, bool is_current, struct view text,
		      struct issued_file *out, char error[ISSUER_ERROR_MAX])
{
	char current[ISSUER_PATH_MAX];
	if (!write_text(out->path, text, error))
		return false;
	snprintf(current, sizeof(current), "%s/" ISSUER_CURRENT_NAME, issuer->files_dir);
	return !is_current || write_text(current, text, error);
}

static bool seal(struct issuer *issuer, const struct security_file *file, char *text, size_t *size,
		 char error[ISSUER_ERROR_MAX])
{
	struct security_file_root root;
	bool is_prepared = issuer->preparer != NULL && preparer_take(issuer->preparer, &root);
	const struct security_file_writer writer = {
		.bootstrap = view_of(issuer->bootstrap, sizeof(issuer->bootstrap)),
		.signing = &issuer->signing,
		.random = &issuer->random,
		.iterations = issuer->iterations,
		.prepared = is_prepared ? &root : NULL,
	};
	enum security_file_status status =
		security_file_seal(&writer, file, text, SECURITY_FILE_WRITTEN_MAX, size);
	bytes_wipe(&root, sizeof(root));
	if (status != SECURITY_FILE_OK)
		snprintf(error, ISSUER_ERROR_MAX, "security file: %s",
			 security_file_status_text(status));
	return status == SECURITY_FILE_OK;
}

bool issuer_write(struct issuer *issuer, const char *path, uint64_t wall_ns,
		  struct issued_file *out, char error[ISSUER_ERROR_MAX])
{
	struct security_file file;
	char text[SECURITY_FILE_WRITTEN_MAX];
	size_t size = 0;
	bool is_current = path == NULL;
	if (is_current ? !choose_path(issuer, wall_ns, out->path) :
			 snprintf(out->path, sizeof(out->path), "%s", path) >= ISSUER_PATH_MAX) {
		snprintf(error, ISSUER_ERROR_MAX, "no usable name for the file");
		return false;
	}
	fill_in(issuer, wall_ns, &file);
	struct credential_file credential = {
		.valid_from_ns = file.valid_from_s * NS_PER_S,
		.valid_until_ns = file.valid_until_s * NS_PER_S,
		.max_devices = issuer->max_devices,
	};
	memcpy(credential.id, file.file_id, FILE_ID_SIZE);
	memcpy(credential.shared_secret, file.shared_secret, KEY_SIZE);
	memcpy(out->id, file.file_id, FILE_ID_SIZE);
	out->valid_until_s = file.valid_until_s;
	bool is_written = seal(issuer, &file, text, &size, error);
	if (is_written &&
	    !issuer->keep(issuer->keep_state, &credential, out->path, issuer->max_devices)) {
		snprintf(error, ISSUER_ERROR_MAX, "the relay cannot keep another file");
		is_written = false;
	}
	if (is_written)
		is_written = write_all(issuer, is_current, view_of(text, size), out, error);
	bytes_wipe(&file, sizeof(file));
	bytes_wipe(&credential, sizeof(credential));
	return is_written;
}

size_t issuer_sweep(const struct issuer *issuer, uint64_t wall_ns)
{
	/* By age: the relay wrote them, and none outlives its validity and the tolerance. */
	uint64_t keep_s = issuer->validity_s + FILE_CLOCK_NS / NS_PER_S;
	size_t swept = 0;
	DIR *dir = opendir(issuer->files_dir);
	if (dir == NULL)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		size_t length = strlen(entry->d_name);
		char path[ISSUER_PATH_MAX];
		struct stat info;
		if (strncmp(entry->d_name, "clawchat-2", 10) != 0 || length < 4 ||
		    strcmp(entry->d_name + length - 4, ".sec") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", issuer->files_dir, entry->d_name);
		if (lstat(path, &info) == 0 &&
		    (uint64_t)info.st_mtime + keep_s < wall_ns / NS_PER_S)
			swept += file_destroy(path) == FILE_OK;
	}
	closedir(dir);
	return swept;
}
