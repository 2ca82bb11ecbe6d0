#include "relay/credentials.h"

#include <pthread.h>
#include <stdlib.h>

#include "relay/id_set.h"
#include "relay/id_table.h"

enum { PROOF_SIZE = 8 };

/* A device that a HELLO was heard of. It stays as long as the relay runs: a forgotten one's old
 * HELLOs would be told the time of day. */
struct heard {
	uint8_t id[DEVICE_ID_SIZE];
	uint64_t last_timestamp_ns; /* while it is not enrolled */
	uint8_t proof[PROOF_SIZE];  /* of its identity; zeros: none */
};
_Static_assert((int)DEVICE_ID_SIZE == (int)ID_TABLE_ID_SIZE, "what both begin with");
_Static_assert(offsetof(struct credential_device, id) == 0, "so does this");

struct credentials {
	pthread_mutex_t lock; /* guards everything below */
	struct credential_file files[CREDENTIAL_FILES_MAX];
	size_t file_count;
	struct id_table devices; /* struct credential_device: the enrolled ones */
	struct id_table heard;   /* struct heard: all that had a session or were refused */
	struct id_set revoked_devices;
	uint8_t proof_key[KEY_SIZE]; /* of this run */
};

struct credentials *credentials_create(void)
{
	struct credentials *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	if (!id_table_init(&c->devices, sizeof(struct credential_device), CREDENTIAL_DEVICES_MAX) ||
	    !id_table_init(&c->heard, sizeof(struct heard), CREDENTIAL_DEVICES_MAX)) {
		id_table_fini(&c->devices);
		free(c);
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	const struct random_source random = random_system();
	random_fill(&random, c->proof_key, sizeof(c->proof_key));
	return c;
}

void credentials_destroy(struct credentials *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	id_table_fini(&c->devices);
	id_table_fini(&c->heard);
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

/* NULL: not enrolled. */
static struct credential_device *find_device(const struct credentials *c,
					     const uint8_t id[DEVICE_ID_SIZE])
{
	return id_table_find(&c->devices, id);
}

static bool is_enrolled_from(const struct credential_device *device,
			     const uint8_t file_id[FILE_ID_SIZE])
{
	return device != NULL && memcmp(device->file_id, file_id, FILE_ID_SIZE) == 0;
}

/* Timestamps that are taken at one time are at most so far apart: one that is further ahead was
 * taken by a clock that has been set back since, and gives way. */
static bool is_later(uint64_t last_ns, uint64_t timestamp_ns)
{
	return timestamp_ns > last_ns || last_ns > timestamp_ns + 2 * HANDSHAKE_CLOCK_NS;
}

static bool put_device(struct credentials *c, const struct credential_device *enrolled)
{
	struct credential_device *device = id_table_need(&c->devices, enrolled->id);
	if (device == NULL)
		return false;
	uint64_t last_ns = device->last_timestamp_ns;
	*device = *enrolled;
	if (!is_later(last_ns, enrolled->last_timestamp_ns))
		device->last_timestamp_ns = last_ns;
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
	bool is_enrolled = find_device(c, id) != NULL;
	pthread_mutex_unlock(&c->lock);
	return is_enrolled;
}

void credentials_note_timestamp(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE],
				uint64_t timestamp_ns)
{
	pthread_mutex_lock(&c->lock);
	struct credential_device *device = find_device(c, id);
	struct heard *heard = device == NULL ? id_table_need(&c->heard, id) : NULL;
	uint64_t *last_ns = device != NULL ? &device->last_timestamp_ns :
			    heard != NULL  ? &heard->last_timestamp_ns :
					     NULL;
	if (last_ns != NULL && is_later(*last_ns, timestamp_ns))
		*last_ns = timestamp_ns;
	pthread_mutex_unlock(&c->lock);
}

/* ---- identities ------------------------------------------------------------------------- */

/* That this device has proved this identity. Under a key that nobody else has, eight bytes are
 * enough: who wants another's identity can only try, one handshake for each of 2^64. */
static void make_proof(const struct credentials *c, const uint8_t id[DEVICE_ID_SIZE],
		       const uint8_t identity[ED25519_PUBLIC_SIZE], uint8_t out[PROOF_SIZE])
{
	const struct view parts[] = { view_of(id, DEVICE_ID_SIZE),
				      view_of(identity, ED25519_PUBLIC_SIZE) };
	uint8_t mac[HASH_SIZE];
	hmac_sha256(VIEW(c->proof_key), parts, 2, mac);
	memcpy(out, mac, PROOF_SIZE);
}

void credentials_note_identity(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE],
			       const uint8_t identity[ED25519_PUBLIC_SIZE])
{
	uint8_t proof[PROOF_SIZE];
	make_proof(c, id, identity, proof);
	pthread_mutex_lock(&c->lock);
	struct heard *heard = id_table_need(&c->heard, id);
	if (heard != NULL)
		memcpy(heard->proof, proof, sizeof(heard->proof));
	pthread_mutex_unlock(&c->lock);
}

/* ---- revocation ------------------------------------------------------------------------- */

/* Refusals go under a PSK of zeros from now on: see docs/protocol.md, 5. */
static void revoke_file(struct credential_file *file)
{
	file->is_revoked = true;
	bytes_wipe(file->shared_secret, sizeof(file->shared_secret));
}

static void revoke_device(struct credential_device *device)
{
	device->is_revoked = true;
	bytes_wipe(device->psk, sizeof(device->psk));
}

bool credentials_revoke_file(struct credentials *c, const uint8_t id[FILE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	struct credential_file *file = find_file(c, id);
	bool is_known = file != NULL;
	if (file != NULL)
		revoke_file(file);
	for (uint32_t i = 0; i < c->devices.count; i++) {
		struct credential_device *device = id_table_at(&c->devices, i);
		if (!is_enrolled_from(device, id))
			continue;
		revoke_device(device);
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
	for (uint32_t i = 0; i < c->devices.count; i++)
		revoke_device(id_table_at(&c->devices, i));
	pthread_mutex_unlock(&c->lock);
}

bool credentials_revoke_device(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	pthread_mutex_lock(&c->lock);
	struct credential_device *device = find_device(c, id);
	if (device != NULL)
		revoke_device(device);
	bool is_kept = id_set_add(&c->revoked_devices, id);
	pthread_mutex_unlock(&c->lock);
	return is_kept;
}

/* ---- the keeper's look-up --------------------------------------------------------------- */

/* A device that was enrolled from the file may come back with it: the end of its enrolment may
 * have been lost. */
static enum wire_status file_status(const struct credential_file *file,
				    const struct credential_device *device, uint64_t wall_ns)
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
		      const struct credential_device *device, uint64_t wall_ns,
		      struct credential *out)
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

static bool take_device(const struct credential_device *device, struct credential *out)
{
	if (device == NULL)
		return false;
	memcpy(out->psk, device->psk, KEY_SIZE);
	memcpy(out->file_id, device->file_id, FILE_ID_SIZE);
	return true;
}

static uint64_t last_timestamp(const struct credentials *c, const uint8_t id[DEVICE_ID_SIZE])
{
	const struct credential_device *device = find_device(c, id);
	const struct heard *heard = id_table_find(&c->heard, id);
	uint64_t enrolled_ns = device != NULL ? device->last_timestamp_ns : 0;
	uint64_t heard_ns = heard != NULL ? heard->last_timestamp_ns : 0;
	return enrolled_ns > heard_ns ? enrolled_ns : heard_ns;
}

/* A device that has proved nothing has a proof of zeros, which is as good as any other guess. */
static bool is_proved(const struct credentials *c, const uint8_t id[DEVICE_ID_SIZE],
		      const uint8_t proof[PROOF_SIZE])
{
	const struct heard *heard = id_table_find(&c->heard, id);
	return heard != NULL && bytes_equal(heard->proof, proof, PROOF_SIZE);
}

bool credentials_find(struct credentials *c, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out)
{
	uint8_t id[DEVICE_ID_SIZE], proof[PROOF_SIZE];
	bool is_known = false;
	device_id_of(request->device_public, id);
	make_proof(c, id, request->payload.identity, proof);
	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&c->lock);
	const struct credential_device *device = find_device(c, id);
	if (request->payload.credential == CREDENTIAL_FILE)
		is_known = take_file(c, request, device, wall_ns, out);
	else if (memcmp(request->payload.id, id, DEVICE_ID_SIZE) == 0)
		is_known = take_device(device, out);
	if (id_set_has(&c->revoked_devices, id) || (device != NULL && device->is_revoked))
		out->status = STATUS_REVOKED;
	out->last_timestamp_ns = last_timestamp(c, id);
	out->is_proved = is_proved(c, id, proof);
	pthread_mutex_unlock(&c->lock);
	return is_known;
}
