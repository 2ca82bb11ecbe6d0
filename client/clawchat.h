#ifndef CLAWCHAT_H
#define CLAWCHAT_H
/*
 * libclawchat: a peer of a ClawChat relay, for programs.
 *
 * A profile is a directory (0700) with this device's keys, its contacts and the relay it belongs
 * to; one process uses it at a time. A program opens a profile, gives it a security file once,
 * and then runs the client in its own event loop:
 *
 *     struct clawchat *c;
 *     struct clawchat_error error;
 *     if (clawchat_open(&(struct clawchat_options){ .profile = "/home/me/.clawchat" }, &c, &error))
 *             ... error.text
 *     if (clawchat_connect(c, &error)) ...
 *     for (;;) {
 *             poll clawchat_fd(c) for reading, for at most clawchat_timeout_ms(c)
 *             clawchat_process(c);
 *             while (clawchat_next_event(c, &event)) ...
 *     }
 *     clawchat_close(c);
 *
 * All calls on one client come from one thread; one client a process (SCTP keeps global state).
 * Nothing blocks, but clawchat_open() and clawchat_load() derive a key from the bootstrap secret,
 * which takes some tenths of a second by design. Nothing is printed. Text is UTF-8. Strings and
 * arrays in events stay valid until the next call of clawchat_next_event().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAWCHAT_API __attribute__((visibility("default")))

enum {
	CLAWCHAT_PEER_ID_SIZE = 32,
	CLAWCHAT_PEER_ID_TEXT = 53, /* 52 characters of base32 (a-z2-7) and NUL */
	CLAWCHAT_NAME_SIZE = 65,
	CLAWCHAT_SAFETY_NUMBER_SIZE = 61, /* 60 digits and NUL */
	CLAWCHAT_ERROR_SIZE = 512,
	CLAWCHAT_TEXT_MAX = 65000, /* bytes of one message */
};

/* What a call came to. The numbers are the exit codes of clawchat(1). */
enum clawchat_result {
	CLAWCHAT_OK = 0,
	CLAWCHAT_FAILED = 1, /* at run time, see the text */
	CLAWCHAT_USAGE = 2,
	CLAWCHAT_REVOKED = 10,       /* the relay has revoked this file or device */
	CLAWCHAT_EXPIRED = 11,       /* the security file's validity is over */
	CLAWCHAT_WRONG_KEY = 12,     /* wrong bootstrap key or passphrase */
	CLAWCHAT_NO_ANSWER = 13,     /* relay away, or UDP blocked */
	CLAWCHAT_DAMAGED = 14,       /* the security file is damaged or forged */
	CLAWCHAT_NOT_YET_VALID = 15, /* or this computer's clock is wrong */
	CLAWCHAT_TOO_NEW = 16,       /* made for a newer version */
	CLAWCHAT_SPENT = 17,         /* the file has enrolled all the devices it may */
	CLAWCHAT_PEER_ABSENT = 18,   /* that peer is not connected */
	CLAWCHAT_PEER_UNKNOWN = 19,  /* nobody of that name or id, or several */
	CLAWCHAT_PEER_CHANGED = 20,  /* its identity is not the one known: verify, then accept */
	CLAWCHAT_PEER_REFUSED = 21,  /* it refuses us or the file */
	CLAWCHAT_UNAVAILABLE = 69,   /* the profile is in use by another process */
	CLAWCHAT_IO = 74,            /* disk */
	CLAWCHAT_PERMISSION = 77,    /* others can read a secret file, or it is not ours */
	CLAWCHAT_CONFIG = 78,        /* the profile is not usable: no relay yet, damaged */
};

struct clawchat_error {
	enum clawchat_result result;
	char text[CLAWCHAT_ERROR_SIZE]; /* one line: what, on what, why, what to do */
};

struct clawchat_peer_id {
	uint8_t bytes[CLAWCHAT_PEER_ID_SIZE];
};

struct clawchat;

/* ---- profile and security file ---------------------------------------------------------- */

struct clawchat_options {
	const char *profile; /* directory; made if missing. NULL: $CLAWCHAT_PROFILE, else
					    $XDG_DATA_HOME/clawchat, else ~/.local/share/clawchat */
	const char *name;    /* announced to peers; kept in the profile. NULL: as kept */
};

CLAWCHAT_API enum clawchat_result clawchat_open(const struct clawchat_options *options,
						struct clawchat **out,
						struct clawchat_error *error);
CLAWCHAT_API void clawchat_close(struct clawchat *c);

/* What a security file says, and whether it can be used now. */
struct clawchat_file_info {
	char server_name[CLAWCHAT_NAME_SIZE];
	char server_id[33], file_id[33]; /* hexadecimal */
	char address[64], address6[64];  /* empty where there is none */
	uint16_t port;
	uint64_t valid_from, valid_until, next_rotation; /* seconds since 1970 */
	uint32_t max_devices;
	char bootstrap_key_id[17];
};

/* A bootstrap secret: one of key file or passphrase; both NULL: $CLAWCHAT_BOOTSTRAP_KEY (a path),
 * else bootstrap.key beside the security file. */
struct clawchat_bootstrap {
	const char *key_file;
	const char *passphrase;
};

/* Read a security file without using it. `info` is filled in for OK, EXPIRED, NOT_YET_VALID. */
CLAWCHAT_API enum clawchat_result clawchat_inspect(const char *path,
						   const struct clawchat_bootstrap *bootstrap,
						   struct clawchat_file_info *info,
						   struct clawchat_error *error);

/* Take a security file into the profile: the relay to use from now on. Replaces an earlier file
 * of the same relay; another relay is refused while contacts of the first exist. */
CLAWCHAT_API enum clawchat_result clawchat_load(struct clawchat *c, const char *path,
						const struct clawchat_bootstrap *bootstrap,
						struct clawchat_error *error);

/* Write 32 random bytes as a bootstrap key file of mode 0600; never replaces one. */
CLAWCHAT_API enum clawchat_result clawchat_keygen(const char *path, struct clawchat_error *error);

/* ---- running ---------------------------------------------------------------------------- */

CLAWCHAT_API enum clawchat_result clawchat_connect(struct clawchat *c,
						   struct clawchat_error *error);
/* Say goodbye to peers and relay and stop; unsent messages stay in the profile's queue no longer
 * than the process. What is on its way to peers, such as the receipt of a message read just before,
 * gets a quarter of a second to arrive: it may take that long. */
CLAWCHAT_API void clawchat_disconnect(struct clawchat *c);

CLAWCHAT_API int clawchat_fd(const struct clawchat *c);         /* poll for reading; level */
CLAWCHAT_API int clawchat_timeout_ms(const struct clawchat *c); /* -1: none */
CLAWCHAT_API void clawchat_process(struct clawchat *c);

/* The machine slept or changed networks: check the relay at once. */
CLAWCHAT_API void clawchat_network_changed(struct clawchat *c);

enum clawchat_state {
	CLAWCHAT_OFFLINE,
	CLAWCHAT_CONNECTING,
	CLAWCHAT_CONNECTED,
	CLAWCHAT_RECONNECTING,
	CLAWCHAT_ENDED, /* refused for good: see the event */
};

struct clawchat_status {
	enum clawchat_state state;
	char relay[64], observed[64]; /* addresses as text; empty: not known */
	char server_name[CLAWCHAT_NAME_SIZE];
	uint32_t rtt_us;
	uint64_t door;          /* port generation */
	uint64_t next_rotation; /* seconds since 1970; 0: unknown */
	uint64_t file_valid_until;
	int64_t clock_offset_ms; /* relay's clock minus ours */
	uint32_t epoch;          /* of the session's keys */
	uint32_t reconnects;
	bool is_enrolled;  /* connects without a security file */
	bool is_enrolling; /* connected by a file, and about to need none: wait */
	char hint[160];    /* why there may be no answer, and what to do; or empty */
};
CLAWCHAT_API void clawchat_get_status(const struct clawchat *c, struct clawchat_status *out);

/* What a Compromised report ends: this device, the file that it came from with all devices and
 * sessions of it (the usual), or everything (which few relays allow: they take it for the file). */
enum clawchat_scope {
	CLAWCHAT_SCOPE_DEVICE = 1,
	CLAWCHAT_SCOPE_FILE = 2,
	CLAWCHAT_SCOPE_SERVER = 3,
};

/*
 * Keys may be in a thief's hands: report it to the relay, for ten seconds at most, and erase this
 * profile in any case: its keys, its contacts, its relay. There is no way back. Connects if need
 * be. Go on with the loop until CLAWCHAT_EVENT_ENDED, whose text says what the relay did; should
 * the program end before, the rest is erased when the profile is opened next.
 *
 * `reason` is for the operator's log, 64 bytes of it; NULL: none. A disk that is full does not keep
 * it from happening. Anything but CLAWCHAT_OK: nothing has happened.
 */
CLAWCHAT_API enum clawchat_result clawchat_compromised(struct clawchat *c,
						       enum clawchat_scope scope,
						       const char *reason,
						       struct clawchat_error *error);

/* ---- who -------------------------------------------------------------------------------- */

CLAWCHAT_API void clawchat_own_id(const struct clawchat *c, struct clawchat_peer_id *out);
CLAWCHAT_API const char *clawchat_own_name(const struct clawchat *c);
CLAWCHAT_API void clawchat_id_text(const struct clawchat_peer_id *id,
				   char out[CLAWCHAT_PEER_ID_TEXT]);
CLAWCHAT_API bool clawchat_id_parse(const char *text, struct clawchat_peer_id *out);

/* How a peer is reached; why it is not reached directly is in words for people. */
enum clawchat_path { CLAWCHAT_PATH_NONE, CLAWCHAT_PATH_RELAYED, CLAWCHAT_PATH_DIRECT };

struct clawchat_contact {
	struct clawchat_peer_id id;
	char name[CLAWCHAT_NAME_SIZE]; /* as it announced itself when last met; empty: never met */
	bool is_known;                 /* met before: its identity is pinned */
	bool is_verified;              /* the user compared the safety number */
	bool is_changed;               /* shows another identity than the pinned one */
	bool is_present;               /* connected to the relay (known after clawchat_ask_peers) */
	bool is_secure;                /* a tunnel is up now */
	enum clawchat_path path;
	char path_reason[96];
};

/* Contacts known and peers heard of: index from 0; false at the end. */
CLAWCHAT_API bool clawchat_contact_at(const struct clawchat *c, size_t index,
				      struct clawchat_contact *out);
CLAWCHAT_API bool clawchat_get_contact(const struct clawchat *c, const struct clawchat_peer_id *id,
				       struct clawchat_contact *out);

/* Ask the relay who is here: CLAWCHAT_EVENT_PEERS when the list is complete. */
CLAWCHAT_API enum clawchat_result clawchat_ask_peers(struct clawchat *c);

/* Find a peer by whole id, by a prefix of at least 8 characters of a known id, by the name of a
 * contact, or by the name that it announces: CLAWCHAT_EVENT_FOUND or _NOT_FOUND with this
 * request number. CLAWCHAT_PEER_CHANGED: the contact of that name is away, and another identity
 * announces the name. 0: the queue is full. */
CLAWCHAT_API uint32_t clawchat_find(struct clawchat *c, const char *name_or_id);

/* The 60 digits to compare; false until the peer's identity is known. */
CLAWCHAT_API bool clawchat_safety_number(const struct clawchat *c,
					 const struct clawchat_peer_id *id,
					 char out[CLAWCHAT_SAFETY_NUMBER_SIZE]);
CLAWCHAT_API enum clawchat_result clawchat_set_verified(struct clawchat *c,
							const struct clawchat_peer_id *id,
							bool is_verified,
							struct clawchat_error *error);
/* Forget the pinned identity, so that the peer can be met afresh (after a changed identity). */
CLAWCHAT_API enum clawchat_result clawchat_forget(struct clawchat *c,
						  const struct clawchat_peer_id *id,
						  struct clawchat_error *error);

/* ---- messages --------------------------------------------------------------------------- */

enum clawchat_delivery {
	CLAWCHAT_QUEUED,      /* here: the peer is not reached yet */
	CLAWCHAT_SENT,        /* on its way */
	CLAWCHAT_DELIVERED,   /* the peer's program has it */
	CLAWCHAT_READ,        /* the peer's user has seen it */
	CLAWCHAT_UNDELIVERED, /* given up: see the event's text */
};

/* Opens a tunnel where there is none and keeps trying while the peer is away. *message is the
 * number that CLAWCHAT_EVENT_DELIVERY speaks of. */
CLAWCHAT_API enum clawchat_result clawchat_send_text(struct clawchat *c,
						     const struct clawchat_peer_id *to,
						     const char *text, uint64_t *message,
						     struct clawchat_error *error);
CLAWCHAT_API void clawchat_mark_read(struct clawchat *c, const struct clawchat_peer_id *from,
				     uint64_t message);

/* ---- files ------------------------------------------------------------------------------ */

/* *transfer is the number that events speak of. Hashing and sending happen in
 * clawchat_process(), in slices. */
CLAWCHAT_API enum clawchat_result clawchat_send_file(struct clawchat *c,
						     const struct clawchat_peer_id *to,
						     const char *path, uint32_t *transfer,
						     struct clawchat_error *error);
/* Nothing lands without this. A part left from an earlier try is gone on with. */
CLAWCHAT_API enum clawchat_result clawchat_accept_file(struct clawchat *c, uint32_t transfer,
						       const char *folder,
						       struct clawchat_error *error);
CLAWCHAT_API void clawchat_refuse_file(struct clawchat *c, uint32_t transfer);
CLAWCHAT_API void clawchat_cancel_file(struct clawchat *c, uint32_t transfer);

/* ---- events ----------------------------------------------------------------------------- */

enum clawchat_event_type {
	CLAWCHAT_EVENT_CONNECTED,     /* to the relay; again after a reconnect */
	CLAWCHAT_EVENT_DISCONNECTED,  /* text: why; it goes on trying */
	CLAWCHAT_EVENT_ENDED,         /* result, text: refused for good, or erased
				       * after clawchat_compromised(): close it */
	CLAWCHAT_EVENT_PEERS,         /* contacts are up to date */
	CLAWCHAT_EVENT_FOUND,         /* request, peer */
	CLAWCHAT_EVENT_NOT_FOUND,     /* request, text; result: PEER_ABSENT (nobody of that name
					    is connected) or PEER_UNKNOWN (several, or no name) */
	CLAWCHAT_EVENT_PEER_UP,       /* peer, name, is_first_contact: a tunnel is secure */
	CLAWCHAT_EVENT_PEER_DOWN,     /* peer, text */
	CLAWCHAT_EVENT_PEER_CHANGED,  /* peer, text: its identity is not the pinned one; nothing
					    was opened. Verify, then clawchat_forget() */
	CLAWCHAT_EVENT_TEXT,          /* peer, name, message, text, time_ms */
	CLAWCHAT_EVENT_DELIVERY,      /* peer, message, delivery */
	CLAWCHAT_EVENT_FILE_OFFER,    /* peer, name, transfer, file_name, size */
	CLAWCHAT_EVENT_FILE_PROGRESS, /* transfer, done, size, rate; a few times a second */
	CLAWCHAT_EVENT_FILE_DONE,     /* transfer, file_name (received: the whole path), sha256 */
	CLAWCHAT_EVENT_FILE_FAILED,   /* transfer, result, text */
};

struct clawchat_event {
	enum clawchat_event_type type;
	enum clawchat_result result;
	uint32_t request;
	uint32_t transfer;
	uint64_t message;
	enum clawchat_delivery delivery;
	struct clawchat_peer_id peer;
	const char *name; /* the peer's */
	const char *text;
	const char *file_name;
	uint64_t time_ms;      /* sender's clock, since 1970 */
	uint64_t size, done;   /* bytes */
	uint64_t resumed_from; /* FILE_DONE, FILE_PROGRESS: bytes that were there before */
	uint64_t rate;         /* bytes a second */
	uint8_t sha256[32];
	bool is_first_contact;
	bool is_outgoing; /* transfers: we send */
	bool is_hashing;  /* FILE_PROGRESS: the sender is still reading its file */
};

CLAWCHAT_API bool clawchat_next_event(struct clawchat *c, struct clawchat_event *event);

/* "3.0.0" */
CLAWCHAT_API const char *clawchat_version(void);

#ifdef __cplusplus
}
#endif
#endif
