#pragma once
/*
 * Security file (`.sec`): everything that a device needs for its first connection, sealed under
 * the bootstrap secret and signed by the relay. docs/security-file.md is the format.
 *
 *   security_file_init()    once, before any use of jansson in the process
 *   security_file_seal()    relay: fields to text
 *   security_file_open()    device: text to fields, or what is wrong with it
 *
 * No system call: text and time are arguments, files are net/file.h. Both take 0.2 s and more by
 * design (PBKDF2): never on a worker. Any thread.
 */
#include "core/address.h"
#include "core/bootstrap.h"
#include "core/wire.h"

enum {
	SECURITY_FILE_SIZE_MAX = 65536,   /* of a file that is read */
	SECURITY_FILE_WRITTEN_MAX = 8192, /* enough for all that we write ourselves */
	SECURITY_FILE_DEPTH_MAX = 4,      /* nesting: ours has three */
	SECURITY_FILE_DOORS_MAX = 8,      /* generations within a file's validity */
	SECURITY_FILE_STUN_MAX = 4,
	SECURITY_FILE_STUN_SIZE_MAX = 259, /* name of 253, colon, port */
	SECURITY_FILE_CIPHERS_MAX = 8,     /* entries in the list that a reader looks through */
	SECURITY_FILE_GRACE_MAX_S = 86400,
	SECURITY_FILE_TIMEOUT_MAX_S = 3600, /* response and hole punch timeouts */
	SECURITY_FILE_DEVICES_MAX = 1000000,
};

/* What a Compromised report ends: one device, a file with all its devices, or everything. */
enum compromised_scope {
	COMPROMISED_DEVICE = 1,
	COMPROMISED_FILE = 2,
	COMPROMISED_SERVER = 3,
};

struct security_file_door {
	uint64_t generation;
	uint64_t from_s;
	uint64_t until_s;
	uint16_t port;
	uint8_t key[KEY_SIZE];
};

/* Times are seconds since 1970. */
struct security_file {
	uint8_t server_id[SERVER_ID_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	char server_name[NAME_SIZE_MAX + 1]; /* UTF-8 that is safe to show, may be empty */
	struct address public_ip;            /* IPv4 with udp_port; all zero: none */
	struct address public_ip6;           /* the same for IPv6; one of them is there */
	uint16_t udp_port;
	uint8_t shared_secret[KEY_SIZE];
	uint8_t bootstrap_key_id[BOOTSTRAP_ID_SIZE]; /* filled in by seal */
	uint64_t issued_s;
	uint64_t valid_from_s;
	uint64_t valid_until_s;
	uint64_t next_rotation_s;
	uint32_t grace_period_s;
	uint8_t server_public_key[X25519_SIZE];
	uint8_t server_signing_key[ED25519_PUBLIC_SIZE]; /* filled in by seal */
	size_t door_count;                               /* 1 and more, by rising generation */
	struct security_file_door doors[SECURITY_FILE_DOORS_MAX];
	uint32_t enrol_max_devices; /* 0: opens sessions, but enrols nobody */
	uint64_t enrol_until_s;
	enum compromised_scope compromised_scope;
	uint32_t response_timeout_s;
	size_t stun_count;
	char stun_servers[SECURITY_FILE_STUN_MAX][SECURITY_FILE_STUN_SIZE_MAX + 1];
	uint32_t hole_punch_timeout_s;
};

#define SECURITY_FILE_STATUSES(X) \
	X(SECURITY_FILE_OK, "the file is valid") \
	X(SECURITY_FILE_NO_MEMORY, "out of memory") \
	X(SECURITY_FILE_TOO_LARGE, "too large for a security file") \
	X(SECURITY_FILE_NOT_JSON, "not a security file: it is not one JSON object") \
	X(SECURITY_FILE_TOO_DEEP, "not a security file: nested too deeply") \
	X(SECURITY_FILE_MALFORMED, "a field of the envelope is missing or has a wrong form") \
	X(SECURITY_FILE_TOO_NEW, "made for a newer version of this program") \
	X(SECURITY_FILE_TOO_OLD, "made for an older version, which is not read any more") \
	X(SECURITY_FILE_OTHER_ALGORITHM, "sealed with an unknown algorithm") \
	X(SECURITY_FILE_TOO_FEW_ITERATIONS, "its key derivation is too weak to be accepted") \
	X(SECURITY_FILE_TOO_MANY_ITERATIONS, "its key derivation would take too long") \
	X(SECURITY_FILE_WRONG_KEY, "wrong bootstrap key (or the head of the file is damaged)") \
	X(SECURITY_FILE_DAMAGED, \
	  "damaged: the bootstrap key is right, the content is not authentic") \
	X(SECURITY_FILE_BAD_CONTENT, "a field of the content is missing or has a wrong form") \
	X(SECURITY_FILE_OTHER_CIPHER, "the relay uses ciphers unknown to this version") \
	X(SECURITY_FILE_BAD_SIGNATURE, "the relay's signature is wrong") \
	X(SECURITY_FILE_OTHER_SERVER, "signed by another relay than the one known before") \
	X(SECURITY_FILE_EXPIRED, "expired") \
	X(SECURITY_FILE_NOT_YET_VALID, "not yet valid") \
	X(SECURITY_FILE_CLOCK_BEHIND, "written in the future: this computer's clock is behind")

enum security_file_status {
#define X(name, text) name,
	SECURITY_FILE_STATUSES(X)
#undef X
};

/* A phrase for people. */
const char *security_file_status_text(enum security_file_status status);

/* Makes jansson wipe what it frees. Process-wide; memory from jansson still goes to free(). */
void security_file_init(void);

/* What the bootstrap secret gives under a fresh salt: all of the slow work, done beforehand. Good
 * for one file; secret. */
enum { SECURITY_FILE_SALT_SIZE = 32 };
struct security_file_root {
	uint8_t salt[SECURITY_FILE_SALT_SIZE];
	uint8_t root[HASH_SIZE];
};
void security_file_prepare(struct view bootstrap, uint32_t iterations,
			   const struct random_source *random, struct security_file_root *out);

struct security_file_writer {
	struct view bootstrap; /* key or passphrase, not empty */
	const struct ed25519_pair *signing;
	const struct random_source *random;
	uint32_t iterations;                       /* within the bounds of kdf.h, except in tests */
	const struct security_file_root *prepared; /* with these iterations; NULL: done here */
};

/*
 * Text of the envelope into `out`, without NUL or newline, and its *size. Fields that the reader
 * would refuse give SECURITY_FILE_BAD_CONTENT; a `capacity` too small SECURITY_FILE_TOO_LARGE.
 */
enum security_file_status security_file_seal(const struct security_file_writer *writer,
					     const struct security_file *file, char *out,
					     size_t capacity, size_t *size) MUST_CHECK;

struct security_file_reader {
	struct view bootstrap;
	uint64_t now_s;                    /* wall clock */
	const uint8_t *pinned_signing_key; /* of this server, if met before; else NULL */
	uint32_t iterations_min;           /* PBKDF2_ITERATIONS_MIN and _MAX, except in tests */
	uint32_t iterations_max;
};

/*
 * *out is filled in for SECURITY_FILE_OK and for the three statuses of time (EXPIRED,
 * NOT_YET_VALID, CLOCK_BEHIND), and is zeroed for all others. The caller wipes it.
 */
enum security_file_status security_file_open(const struct security_file_reader *reader,
					     struct view text,
					     struct security_file *out) MUST_CHECK;

/*
 * What the time says about a file: OK, EXPIRED, NOT_YET_VALID or CLOCK_BEHIND. *off_s is by how
 * many seconds its validity is missed (0 for OK, also within the tolerance of FILE_CLOCK_NS).
 */
enum security_file_status security_file_judge_time(const struct security_file *file, uint64_t now_s,
						   uint64_t *off_s) MUST_CHECK;
