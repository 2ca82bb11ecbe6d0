/* The security file: read, open, and choose its door of now. */
#include <stdlib.h>

#include "bench/relay_peers.h"
#include "core/bootstrap.h"
#include "net/clock.h"
#include "net/file.h"

static const char *read_key(const char *path, uint8_t key[BOOTSTRAP_KEY_SIZE])
{
	uint8_t content[BOOTSTRAP_FILE_SIZE_MAX];
	size_t size;
	enum file_status status = file_read(path, FILE_PRIVATE, content, sizeof(content), &size);
	if (status != FILE_OK)
		return file_status_text(status);
	bool is_key = bootstrap_key_parse(view_of(content, size), key);
	bytes_wipe(content, sizeof(content));
	return is_key ? NULL : "not a bootstrap key";
}

static const char *choose_door(struct relay_config *config, uint64_t now_s)
{
	const struct security_file *file = &config->file;
	for (size_t i = 0; i < file->door_count; i++) {
		if (now_s < file->doors[i].from_s || now_s >= file->doors[i].until_s)
			continue;
		if (!address_is_set(&config->remote))
			config->remote = address_is_set(&file->public_ip) ? file->public_ip :
									    file->public_ip6;
		config->remote.port = file->doors[i].port;
		return NULL;
	}
	return "no port of the security file is open now";
}

const char *relay_read_file(const char *file, const char *key_file, struct relay_config *config)
{
	uint8_t key[BOOTSTRAP_KEY_SIZE];
	size_t size;
	const char *error = read_key(key_file, key);
	if (error != NULL)
		return error;
	uint8_t *text = malloc(SECURITY_FILE_SIZE_MAX);
	if (text == NULL)
		return "out of memory";
	enum file_status status =
		file_read(file, FILE_PRIVATE, text, SECURITY_FILE_SIZE_MAX, &size);
	const struct security_file_reader reader = {
		.bootstrap = view_of(key, sizeof(key)),
		.now_s = clock_now().wall_ns / NS_PER_S,
		.iterations_min = PBKDF2_ITERATIONS_MIN,
		.iterations_max = PBKDF2_ITERATIONS_MAX,
	};
	if (status != FILE_OK) {
		error = file_status_text(status);
	} else {
		enum security_file_status opened =
			security_file_open(&reader, view_of(text, size), &config->file);
		error = opened == SECURITY_FILE_OK ? choose_door(config, reader.now_s) :
						     security_file_status_text(opened);
	}
	free(text);
	bytes_wipe(key, sizeof(key));
	return error;
}
