#include "relay/credentials.h"

#include <pthread.h>
#include <stdlib.h>

#include "relay/id_set.h"

/* Devices by id, the enrolled ones and those of which a HELLO was heard: open addressing, doubled
 * when 3/4 full. They stay as long as the relay runs: forgotten ones' old HELLOs would be told the
 * time of day. */
struct device {
	struct credential_device known;
	bool is_used;     /* the place is taken */
	bool is_enrolled; /* else only its timestamp counts */
};

struct credentials {
	pthread_mutex_t lock; /* guards everything below */
	struct credential_file files[CREDENTIAL_FILES_MAX];
	size_t file_count;
	struct device *devices;
	size_t device_capacity; /* power of two */
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

static void destroy_devices(struct credentials *c)
{
	bytes_wipe(c->devices, c->device_capacity * sizeof(*c->devices));
	free(c->devices);
}

void credentials_destroy(struct credentials *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	destroy_devices(c);
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
static struct device *device_place(struct device *devices, size_t capacity,
				   const uint8_t id[DEVICE_ID_SIZE])
{
	uint64_t hash;
	memcpy(&hash, id, sizeof(hash));
	for (size_t i = (size_t)hash & (capacity - 1);; i = (i + 1) & (capacity - 1))
		if (!devices[i].is_used || memcmp(devices[i].known.id, id, DEVICE_ID_SIZE) == 0)
			return &devices[i];
}

static struct device *find_device(const struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	struct device *place = device_place(c->devices, c->device_capacity, id);
	return place->is_used ? place : NULL;
}

static bool grow(struct credentials *c)
{
	if (c->device_count * 4 < c->device_capacity * 3)
		return true;
	size_t capacity = c->device_capacity * 2;
	struct device *devices = calloc(capacity, sizeof(*devices));
	if (c->device_count >= CREDENTIAL_DEVICES_MAX || devices == NULL) {
		free(devices);
		return false;
	}
	for (size_t i = 0; i < c->device_capacity; i++)
		if (c->devices[i].is_used)
			*device_place(devices, capacity, c->devices[i].known.id) = c->devices[i];
	destroy_devices(c);
	c->devices = devices;
	c->device_capacity = capacity;
	return true;
}

/* Find or make. NULL: full, or no memory. */
static struct device *need_device(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	struct device *device = find_device(c, id);
	if (device != NULL)
		return device;
	if (!grow(c))
		return NULL;
	device = device_place(c->devices, c->device_capacity, id);
	device->is_used = true;
	memcpy(device->known.id, id, DEVICE_ID_SIZE);
	c->device_count++;
	return device;
}

static bool is_enrolled_from(const struct device *device, const uint8_t file_id[FILE_ID_SIZE])
{
	return device != NULL && device->is_enrolled &&
	       memcmp(device->known.file_id, file_id, FILE_ID_SIZE) == 0;
}

static bool put_device(struct credentials *c, const struct credential_device *enrolled)
{
	struct device *device = need_device(c, enrolled->id);
	if (device == NULL)
		return false;
	uint64_t last_ns = device->known.last_timestamp_ns;
	device->known = *enrolled;
	if (last_ns > enrolled->last_timestamp_ns)
		device->known.last_timestamp_ns = last_ns;
	device->is_enrolled = true;
	return true;
}

bool credentials_put_device(struct credentials *c, const struct credential_device *device)
{
	pthread_mutex_lock(&c->lock);
	bool is_kept = put_device(c, device);
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

bool credentials_enrol_device(struct credentials *c, const struct credential_device *device)
{
	pthread_mutex_lock(&c->lock);
	struct credential_file *file = find_file(c, device->file_id);
	if (file != NULL && !is_enrolled_from(find_device(c, device->id), device->file_id))
		file->used++;
	bool is_kept = put_device(c, device);
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

bool credentials_is_enrolled(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	const struct device *device = find_device(c, id);
	bool is_enrolled = device != NULL && device->is_enrolled;
	pthread_mutex_unlock(&c->lock);
	return is_enrolled;
}

void credentials_note_timestamp(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE],
				uint64_t timestamp_ns)
{
	pthread_mutex_lock(&c->lock);
	struct device *device = need_device(c, id);
	if (device != NULL && device->known.last_timestamp_ns < timestamp_ns)
		device->known.last_timestamp_ns = timestamp_ns;
	pthread_mutex_unlock(&c->lock);
}

/* ---- revocation ------------------------------------------------------------------------- */

/* Refusals go under a PSK of zeros from now on: see docs/protocol.md, 5. */
static void revoke_file(struct credential_file *file)
{
	file->is_revoked = true;
	bytes_wipe(file->shared_secret, sizeof(file->shared_secret));
}

static void revoke_device(struct device *device)
{
	device->known.is_revoked = true;
	bytes_wipe(device->known.psk, sizeof(device->known.psk));
}

bool credentials_revoke_file(struct credentials *c, const uint8_t id[FILE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	struct credential_file *file = find_file(c, id);
	bool is_known = file != NULL;
	if (file != NULL)
		revoke_file(file);
	for (size_t i = 0; i < c->device_capacity; i++) {
		if (!is_enrolled_from(&c->devices[i], id))
			continue;
		revoke_device(&c->devices[i]);
		is_known = true;
	}
	pthread_mutex_unlock(&c->lock);
	return is_known;
}

void credentials_revoke_all(struct credentials *c)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->file_count; i++)
		revoke_file(&c->files[i]);
	for (size_t i = 0; i < c->device_capacity; i++)
		if (c->devices[i].is_enrolled)
			revoke_device(&c->devices[i]);
	pthread_mutex_unlock(&c->lock);
}

bool credentials_revoke_device(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	struct device *device = find_device(c, id);
	if (device != NULL)
		revoke_device(device);
	bool is_kept = id_set_add(&c->revoked_devices, id);
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

/* ---- the keeper's look-up --------------------------------------------------------------- */

/* A device that was enrolled from the file may come back with it: the end of its enrolment may
 * have been lost. */
static enum wire_status file_status(const struct credential_file *file, const struct device *device,
				    uint64_t wall_ns)
{
	if (file->is_revoked)
		return STATUS_REVOKED;
	if (wall_ns > file->valid_until_ns + FILE_CLOCK_NS)
		return STATUS_EXPIRED;
	if (file->max_devices > 0 && file->used >= file->max_devices &&
	    !is_enrolled_from(device, file->id))
		return STATUS_SPENT;
	return STATUS_OK;
}

static bool take_file(struct credentials *c, const struct hello_request *request,
		      const struct device *device, uint64_t wall_ns, struct credential *out)
{
	const struct credential_file *file = find_file(c, request->payload.id);
	if (file == NULL)
		return false;
	memcpy(out->psk, file->shared_secret, KEY_SIZE);
	memcpy(out->file_id, file->id, FILE_ID_SIZE);
	out->status = file_status(file, device, wall_ns);
	out->may_enrol = file->max_devices > 0;
	return true;
}

static bool take_device(const struct device *device, struct credential *out)
{
	if (device == NULL || !device->is_enrolled)
		return false;
	memcpy(out->psk, device->known.psk, KEY_SIZE);
	memcpy(out->file_id, device->known.file_id, FILE_ID_SIZE);
	return true;
}

bool credentials_find(struct credentials *c, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out)
{
	uint8_t id[DEVICE_ID_SIZE];
	bool is_known = false;
	device_id_of(request->device_public, id);
	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&c->lock);
	const struct device *device = find_device(c, id);
	if (request->payload.credential == CREDENTIAL_FILE)
		is_known = take_file(c, request, device, wall_ns, out);
	else if (memcmp(request->payload.id, id, DEVICE_ID_SIZE) == 0)
		is_known = take_device(device, out);
	if (id_set_has(&c->revoked_devices, id) || (device != NULL && device->known.is_revoked))
		out->status = STATUS_REVOKED;
	if (device != NULL)
		out->last_timestamp_ns = device->known.last_timestamp_ns;
	pthread_mutex_unlock(&c->lock);
	return is_known;
}
