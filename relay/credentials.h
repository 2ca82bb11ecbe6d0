#pragma once
/*
 * Credentials: the security files and devices that a HELLO may name, in memory, as a mirror of the
 * store. The control thread puts and revokes, the keeper looks up once per handshake.
 *
 * Guarded by a lock inside; never on the packet path. Any thread.
 */
#include "core/keeper.h"

enum {
	CREDENTIAL_FILES_MAX = 4096, /* files whose validity is not over, or that have devices */
	CREDENTIAL_DEVICES_MAX = SESSIONS_MAX,
};

struct credential_file {
	uint8_t id[FILE_ID_SIZE];
	uint8_t shared_secret[KEY_SIZE];
	uint64_t valid_from_ns; /* wall clock */
	uint64_t valid_until_ns;
	uint32_t max_devices; /* 0: opens sessions, but enrols nobody */
	uint32_t used;
	bool is_revoked;
};

/* A device that needs no file. */
struct credential_device {
	uint8_t id[DEVICE_ID_SIZE];
	uint8_t psk[KEY_SIZE];
	uint8_t file_id[FILE_ID_SIZE]; /* that it was enrolled from */
	uint64_t last_timestamp_ns;    /* of its HELLOs; 0: none */
	bool is_revoked;
};

struct credentials;

struct credentials *credentials_create(void) MUST_CHECK; /* NULL: memory */
void credentials_destroy(struct credentials *c);         /* wipes */

/* False: full. A file of the same id is replaced. */
bool credentials_put_file(struct credentials *c, const struct credential_file *file) MUST_CHECK;
/* With the devices enrolled from it. Revoking erases secrets. False: nothing of it is known. */
bool credentials_revoke_file(struct credentials *c, const uint8_t id[FILE_ID_SIZE]) MUST_CHECK;
void credentials_revoke_all(struct credentials *c);
/* Whatever file it names from now on. False: memory. */
bool credentials_revoke_device(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE]) MUST_CHECK;
/* Over for so long that its holder need not even hear of it. */
bool credential_is_outdated(const struct credential_file *file, uint64_t wall_ns) MUST_CHECK;
/* Forget files that are outdated. Returns how many. */
size_t credentials_sweep(struct credentials *c, uint64_t wall_ns);

/* Of the store. False: full, or no memory. */
bool credentials_put_device(struct credentials *c,
			    const struct credential_device *device) MUST_CHECK;
/* Newly enrolled: its file is spent by one, unless the device was enrolled from it before. */
bool credentials_enrol_device(struct credentials *c,
			      const struct credential_device *device) MUST_CHECK;
bool credentials_is_enrolled(struct credentials *c, const uint8_t id[DEVICE_ID_SIZE]) MUST_CHECK;

/* The newest HELLO of a device, so that an older one never gets an answer again. */
void credentials_note_timestamp(struct credentials *c, const uint8_t device[DEVICE_ID_SIZE],
				uint64_t timestamp_ns);

/* A session of the device was up as this identity: it need not be proved again, as long as the
 * relay runs. Only the latest identity of a device is known. */
void credentials_note_identity(struct credentials *c, const uint8_t device[DEVICE_ID_SIZE],
			       const uint8_t identity[ED25519_PUBLIC_SIZE]);

/* What a HELLO's credential stands for; false: nothing that we know. */
bool credentials_find(struct credentials *c, const struct hello_request *request, uint64_t wall_ns,
		      struct credential *out) MUST_CHECK;
