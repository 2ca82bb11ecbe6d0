#pragma once
/*
 * Profile: the directory (0700) that makes a device: its keys, its name, the relay it belongs to.
 * One process at a time; each file is replaced in one step.
 *
 *   device.json    device key, identity key, peer static key, name
 *   relay.json     what the security file said, opened (0600); the enrolment; the relay's clock
 *   contacts.json  see contacts.h
 *   compromised    a Compromised report was begun: to be erased
 *   lock           held while the profile is open
 *
 * Owner: one thread. Errors fill in struct clawchat_error.
 */
#include "client/clawchat.h"
#include "core/peer.h"
#include "core/security_file.h"

enum { PROFILE_PATH_MAX = 4096, PROFILE_FILE_MAX = 1 << 20 };

/*
 * How this device may connect. Each state is on the disk before the relay hears of it.
 *
 *   NONE (file) --ENROL--> PENDING (psk, then file) --ENROLLED--> DONE (psk; no file's secret)
 *                             ^                                     |
 *                             +------ another file is loaded -------+
 */
enum enrolment_state { ENROLMENT_NONE, ENROLMENT_PENDING, ENROLMENT_DONE };

struct enrolment {
	enum enrolment_state state;
	uint8_t psk[KEY_SIZE];
	bool has_before;
	uint8_t psk_before[KEY_SIZE]; /* PENDING: the relay may have this one instead */
	bool has_schedule;
	struct wire_schedule schedule;
};

/* What the relay said about time, for the next run. */
struct relay_clock {
	bool is_known;
	int64_t offset_ns;      /* relay's clock minus ours */
	uint64_t last_hello_ns; /* the next one must be later */
};

struct profile {
	char directory[PROFILE_PATH_MAX];
	int lock_fd;
	struct x25519_pair device;
	struct ed25519_pair identity;
	struct x25519_pair peer_static;
	char name[NAME_SIZE_MAX + 1];
	bool has_relay;
	struct security_file relay;
	struct enrolment enrolment;
	struct relay_clock clock;
};

/* Open or make. `directory` NULL: the default place. `name` NULL: as kept, or the user's. */
enum clawchat_result profile_open(struct profile *p, const char *directory, const char *name,
				  struct clawchat_error *error) MUST_CHECK;
void profile_close(struct profile *p); /* wipes */

/* Write relay, enrolment and clock as they are in `p`. */
enum clawchat_result profile_save_relay(const struct profile *p,
					struct clawchat_error *error) MUST_CHECK;

/*
 * After a compromise. The mark goes to the disk before anything else happens; profile_open() erases
 * a profile that has it. Erasing destroys every file of the profile but the lock, the mark last.
 */
enum clawchat_result profile_mark_compromised(const struct profile *p,
					      struct clawchat_error *error) MUST_CHECK;
enum clawchat_result profile_erase(const struct profile *p,
				   struct clawchat_error *error) MUST_CHECK;
void profile_forget_secrets(struct profile *p); /* in memory; the lock stays */

/* Keep another relay's or a newer file. Of the same relay: a device PSK stays in use. */
enum clawchat_result profile_set_relay(struct profile *p, const struct security_file *file,
				       struct clawchat_error *error) MUST_CHECK;

/* "DIRECTORY/name"; false: too long. */
bool profile_path(const struct profile *p, const char *name, char out[PROFILE_PATH_MAX]) MUST_CHECK;

/* A whole JSON file of the profile. *out NULL with CLAWCHAT_OK: it does not exist. */
struct json_t;
enum clawchat_result profile_read_json(const struct profile *p, const char *name,
				       struct json_t **out,
				       struct clawchat_error *error) MUST_CHECK;
enum clawchat_result profile_write_json(const struct profile *p, const char *name,
					const struct json_t *object,
					struct clawchat_error *error) MUST_CHECK;

/* Fill in an error: returns `result`. */
enum clawchat_result client_error(struct clawchat_error *error, enum clawchat_result result,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));
