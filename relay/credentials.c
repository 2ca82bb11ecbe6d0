#include "relay/credentials.h"

#include <pthread.h>
#include <stdlib.h>

#include "relay/id_set.h"

/* Devices by the newest timestamp of their HELLOs: open addressing, doubled when 3/4 full. They
 * stay as long as the relay runs: forgotten ones' old HELLOs would be told the time of day. */
struct device_time {
	uint8_t id[DEVICE_ID_SIZE];
	uint64_t timestamp_ns;           /* 0: empty */
};

struct credentials {
	pthread_mutex_t lock;            /* guards everything below */
	struct credential_file files[CREDENTIAL_FILES_MAX];
	size_t file_count;
	struct device_time *devices;
	size_t device_capacity;          /* power of two */
	size_t device_count;
	struct id_set revoked_devices;
};

enum { DEVICES_FIRST = 256 };

struct credentials *credentials_create(void)
{
	struct credentials *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->devices = calloc(DEVICES_FIRST, sizeof(*c->devices));
	if (c->devices == NULL) {
		free(c);
		return NULL;
	}
	c->device_capacity = DEVICES_FIRST;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void credentials_destroy(struct credentials *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->devices);
	id_set_fini(&c->revoked_devices);
	bytes_wipe(c, sizeof(*c));
	free(c);
}

/* ---- files ------------------------------------------------------------------------------ */

static struct credential_file *find_file(struct credentials *c, const uint8_t id[FILE_ID_SIZE])
{
	for (size_t i = 0; i < c->file_count; i++)
		if (memcmp(c->files[i].id, id, FILE_ID_SIZE) == 0)
			return &c->files[i];
	return NULL;
}

bool credentials_put_file(struct credentials *c, const struct credential_file *file)
{
	bool is_kept = true;
	pthread_mutex_lock(&c->lock);
	struct credential_file *place = find_file(c, file->id);
	if (place == NULL && c->file_count < CREDENTIAL_FILES_MAX)
		place = &c->files[c->file_count++];
	if (place != NULL)
		*place = *file;
	else
		is_kept = false;
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

/* Refusals go under a PSK of zeros from now on: see docs/protocol.md, 5. */
static void revoke(struct credential_file *file)
{
	file->is_revoked = true;
	bytes_wipe(file->shared_secret, sizeof(file->shared_secret));
}

bool credentials_revoke_file(struct credentials *c, const uint8_t id[FILE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	struct credential_file *file = find_file(c, id);
	if (file != NULL)
		revoke(file);
	pthread_mutex_unlock(&c->lock);
	return file != NULL;
}

void credentials_revoke_all_files(struct credentials *c)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->file_count; i++)
		revoke(&c->files[i]);
	pthread_mutex_unlock(&c->lock);
}

bool credentials_revoke_device(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	bool is_kept = id_set_add(&c->revoked_devices, id);
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

bool credential_is_outdated(const struct credential_file *file, uint64_t wall_ns)
{
	/* Kept for as long again, so that a late user hears "expired" and not nothing. */
	uint64_t validity = file->valid_until_ns - file->valid_from_ns;
	return file->valid_until_ns + FILE_CLOCK_NS + validity <= wall_ns;
}

size_t credentials_sweep(struct credentials *c, uint64_t wall_ns)
{
	size_t kept = 0, swept;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->file_count; i++)
		if (!credential_is_outdated(&c->files[i], wall_ns))
			c->files[kept++] = c->files[i];
	swept = c->file_count - kept;
	bytes_wipe(&c->files[kept], swept * sizeof(c->files[0]));
	c->file_count = kept;
	pthread_mutex_unlock(&c->lock);
	return swept;
}

/* ---- devices ---------------------------------------------------------------------------- */

/* The device's place, or the empty one where it belongs. Ids are hashes: any bytes will do. */
static struct device_time *device_place(struct device_time *devices, size_t capacity,
					const uint8_t id[DEVICE_ID_SIZE])
{
	uint64_t hash;
	memcpy(&hash, id, sizeof(hash));
	for (size_t i = (size_t)hash & (capacity - 1);; i = (i + 1) & (capacity - 1))
		if (devices[i].timestamp_ns == 0 ||
		    memcmp(devices[i].id, id, DEVICE_ID_SIZE) == 0)
			return &devices[i];
}

static bool grow(struct credentials *c)
{
	if (c->device_count * 4 < c->device_capacity * 3)
		return true;
	size_t capacity = c->device_capacity * 2;
	struct device_time *devices = calloc(capacity, sizeof(*devices));
	if (c->device_count >= CREDENTIAL_DEVICES_MAX || devices == NULL) {
		free(devices);
		return false;
	}
	for (size_t i = 0; i < c->device_capacity; i++)
		if (c->devices[i].timestamp_ns != 0)
			*device_place(devices, capacity, c->devices[i].id) = c->devices[i];
	free(c->devices);
	c->devices = devices;
	c->device_capacity = capacity;
	return true;
}

void credentials_note_timestamp(struct credentials *c, const uint8_t device[DEVICE_ID_SIZE],
				uint64_t timestamp_ns)
{
	pthread_mutex_lock(&c->lock);
	struct device_time *place = device_place(c->devices, c->device_capacity, device);
	if (place->timestamp_ns == 0 && timestamp_ns != 0 && grow(c)) {
		place = device_place(c->devices, c->device_capacity, device);
		memcpy(place->id, device, DEVICE_ID_SIZE);
		c->device_count++;
		place->timestamp_ns = timestamp_ns;
	} else if (place->timestamp_ns != 0 && place->timestamp_ns < timestamp_ns) {
		place->timestamp_ns = timestamp_ns;
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- the keeper's look-up --------------------------------------------------------------- */

static enum wire_status file_status(const struct credential_file *file, uint64_t wall_ns)
{
	if (file->is_revoked)
		return STATUS_REVOKED;
	if (wall_ns > file->valid_until_ns + FILE_CLOCK_NS)
		return STATUS_EXPIRED;
	return STATUS_OK;
}

bool credentials_find(struct credentials *c, const struct hello_request *request,
		      uint64_t wall_ns, struct credential *out)
{
	uint8_t device[DEVICE_ID_SIZE];
	if (request->payload.credential != CREDENTIAL_FILE)
		return false;
	device_id_of(request->device_public, device);
	pthread_mutex_lock(&c->lock);
	const struct credential_file *file = find_file(c, request->payload.id);
	if (file != NULL) {
		memcpy(out->psk, file->shared_secret, KEY_SIZE);
		memcpy(out->file_id, file->id, FILE_ID_SIZE);
		out->status = id_set_has(&c->revoked_devices, device) ? STATUS_REVOKED :
									file_status(file, wall_ns);
		out->last_timestamp_ns =
			device_place(c->devices, c->device_capacity, device)->timestamp_ns;
	}
	pthread_mutex_unlock(&c->lock);
	return file != NULL;
}
