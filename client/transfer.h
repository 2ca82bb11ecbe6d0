#pragma once
/*
 * Transfers: the two ends of one file's way. Both work in slices, so that the loop goes on; neither
 * knows of peers or messages' ways (files.c does).
 *
 * Sender:    outgoing_create()  outgoing_hash() until ready  [offer]
 *            outgoing_start(offset)  outgoing_next() / outgoing_sent() until the end
 * Receiver:  incoming_create(folder)  incoming_prepare() until ready  [answer with its offset]
 *            incoming_take() for each chunk  incoming_finish()
 *
 * What has arrived lies in a hidden part (file_name_part()) in the folder that the user chose,
 * named by the content's SHA-256: whoever offers the same content again, after either side was
 * killed, goes on behind it. It gets its name when all is there and the hash is right.
 *
 * Owner: one thread.
 */
#include "client/clawchat.h"
#include "client/messages.h"
#include "crypto/random.h"

enum {
	TRANSFER_SLICE = 4 << 20, /* bytes hashed per call: some milliseconds */
	TRANSFER_REASON_SIZE = 300,
	TRANSFER_PATH_MAX = 4096,
};

enum transfer_progress {
	TRANSFER_BUSY,   /* call again */
	TRANSFER_READY,  /* this step is done */
	TRANSFER_FAILED, /* see reason */
};

/* ---- sender ----------------------------------------------------------------------------- */

struct outgoing {
	int fd;
	uint64_t size;
	uint64_t done; /* bytes hashed, later bytes sent */
	uint64_t mtime_ns;
	uint8_t id[TRANSFER_ID_SIZE];
	uint8_t sha256[HASH_SIZE];
	struct sha256_stream *hash; /* while hashing */
	char name[FILE_NAME_SIZE_MAX + 1];
	size_t chunk_size; /* read, not yet sent */
	uint8_t chunk[MESSAGE_CHUNK_MAX];
	char reason[TRANSFER_REASON_SIZE];
};

/* NULL: `error` says why (not a regular file, permission, memory). */
struct outgoing *outgoing_create(const char *path, const struct random_source *random,
				 struct clawchat_error *error) MUST_CHECK;
void outgoing_destroy(struct outgoing *o);
enum transfer_progress outgoing_hash(struct outgoing *o);
void outgoing_start(struct outgoing *o, uint64_t offset);
/* The next chunk as a message; READY: all has been sent. */
enum transfer_progress outgoing_next(struct outgoing *o, struct message *m);
void outgoing_sent(struct outgoing *o); /* that chunk is on its way */

/* ---- receiver --------------------------------------------------------------------------- */

struct incoming {
	int folder_fd, fd;
	uint64_t size;
	uint64_t done;         /* bytes there */
	uint64_t resumed_from; /* bytes that were there before this run */
	uint64_t prepared;     /* of them hashed */
	uint64_t flushed;      /* of them on their way to the disk */
	uint8_t id[TRANSFER_ID_SIZE];
	uint8_t sha256[HASH_SIZE];
	struct sha256_stream *hash;
	char name[FILE_NAME_SIZE_MAX + 1];
	char part[FILE_NAME_LOCAL_MAX + 1];
	char folder[TRANSFER_PATH_MAX];
	char final_path[TRANSFER_PATH_MAX + FILE_NAME_LOCAL_MAX + 1];
	char reason[TRANSFER_REASON_SIZE];
};

struct incoming *incoming_create(const struct message *offer, const char *folder,
				 struct clawchat_error *error) MUST_CHECK;
void incoming_destroy(struct incoming *i); /* the part stays */
enum transfer_progress incoming_prepare(struct incoming *i);
/* READY: all is there, call incoming_finish(). A chunk that is not the next one is passed over. */
enum transfer_progress incoming_take(struct incoming *i, const struct message *chunk);
/* Check the hash, flush, give it its name (final_path). A wrong hash removes the part. */
enum file_result incoming_finish(struct incoming *i);
void incoming_discard(struct incoming *i); /* remove the part */
