#pragma once
/*
 * Directory: who is here. From a device id, a peer id or a name tag to the slots of sessions.
 * A session is entered with its device id when it is made, and announced, so that others find
 * its peer id and name tag, when it is established.
 *
 * Links are slot numbers in arrays made at the start; ids are hashed under a key of ours, since
 * peers choose theirs. Several sessions may share any id; the newest comes first.
 *
 * Owner: one thread. directory_create() alone allocates.
 */
#include "core/keyed_hash.h"
#include "core/wire.h"

#define DIRECTORY_NONE UINT32_MAX

struct directory_record {
	uint8_t peer[PEER_ID_SIZE];
	uint8_t device[DEVICE_ID_SIZE];
	uint8_t name_tag[NAME_TAG_SIZE]; /* zeros: none, found by nobody */
};

struct directory;

/* For slots 0 to slots - 1. NULL: memory. */
struct directory *directory_create(uint32_t slots, const struct random_source *random) MUST_CHECK;
void directory_destroy(struct directory *d);

void directory_enter(struct directory *d, uint32_t slot, const struct directory_record *record);
void directory_announce(struct directory *d, uint32_t slot);
void directory_remove(struct directory *d, uint32_t slot); /* entered, announced or not */

/* Of a slot that is entered. */
const struct directory_record *directory_record(const struct directory *d, uint32_t slot);
bool directory_is_announced(const struct directory *d, uint32_t slot);

/* The newest slot, then with next() those before it; DIRECTORY_NONE: no more. */
uint32_t directory_find_device(const struct directory *d, const uint8_t device[DEVICE_ID_SIZE]);
uint32_t directory_next_device(const struct directory *d, uint32_t slot);
uint32_t directory_find_name(const struct directory *d, const uint8_t name_tag[NAME_TAG_SIZE]);
uint32_t directory_next_name(const struct directory *d, uint32_t slot);
uint32_t directory_find_peer(const struct directory *d, const uint8_t peer[PEER_ID_SIZE]);

/*
 * A walk over the announced peer ids, each once, in an order that outlives the peers in it: go
 * on behind `after`, whether or not that one is still here; zeros: from the start. Looks at one
 * bit per bucket, so a step through an empty directory is short too.
 */
uint32_t directory_next_peer(const struct directory *d, const uint8_t after[PEER_ID_SIZE]);
