#pragma once
/*
 * A relay's packet path with clients around it, without handshakes and without sockets: sessions
 * are put into the table as the keeper would, clients 2n and 2n+1 are joined by a channel.
 */
#include "core/door.h"
#include "core/forward.h"
#include "tests/support/session.h"

enum {
	WORLD_CLIENTS_MAX = 1000,
	WORLD_BATCH_MAX = 256,
	WORLD_DOOR = 500000, /* the first door; others count up from it */
	WORLD_PORT = 50000,  /* of the first door, likewise */
};

struct world_client {
	struct session end;      /* the client's */
	struct session *session; /* the relay's, in the table */
	uint32_t channel;        /* to its partner */
	struct path path;        /* that its datagrams come along */
};

struct world_door {
	struct door_keys keys;
	struct mask *hide; /* client to relay */
	struct mask *show; /* relay to client */
};

struct world {
	const struct packet_cipher *cipher;
	struct table *table;
	struct channels *channels;
	struct forward *forward;
	struct world_door doors[DOORS_MAX];
	struct world_client clients[WORLD_CLIENTS_MAX];
	struct key_cache *client_keys;
	struct random_seeded seeded;
	struct random_source random;
	struct instant now;
	struct forward_result result;
	struct packet packets[WORLD_BATCH_MAX];
	uint8_t frames[WORLD_BATCH_MAX][2 * DATAGRAM_SIZE_MAX];
};

/* What clients say to each other in most tests, and the size it is padded to. */
#define WORLD_BLOB VIEW_STRING("a blob that nobody but the other end can read")
enum { WORLD_PADDED = 2 * PAD_BUCKET };

/* For tests of WITH_BOTH_CIPHERS(): skips where this machine has no such cipher. */
struct world *world_start(void **state, uint32_t clients);

/* Door 0 is open, all sessions are established. */
struct world *world_create(const struct packet_cipher *cipher, uint32_t clients);
void world_destroy(struct world *w);

/* Open door `index` on a port; false: the relay has DOORS_MAX open. */
bool world_open_door(struct world *w, uint32_t index, uint16_t port);

/* A relay session and its client, neither joined nor established. */
void world_add_client(struct world *w, uint32_t client);
void world_join(struct world *w, uint32_t a, uint32_t b);

/* Put a datagram of `client` into packet `index`: sealed plaintext, along the client's path,
 * under the client's door. Returns the packet. */
struct packet *world_put(struct world *w, size_t index, uint32_t client, struct view plain);
/* The same, of a DATA frame for the client's partner, padded to `plain_size`. */
struct packet *world_put_data(struct world *w, size_t index, uint32_t client, struct view blob,
			      size_t plain_size);
/* Any bytes, along `path`. */
struct packet *world_put_bytes(struct world *w, size_t index, struct view bytes,
			       const struct path *path);
/* A HELLO sealed under a door. */
struct packet *world_put_hello(struct world *w, size_t index, uint32_t door, struct view plain,
			       const struct path *path);

/* Run packets 0..count-1; the outcome is in w->result. */
void world_run(struct world *w, size_t count);
uint64_t world_count(const struct world *w, enum verdict v);
/* Run one packet and check what became of it. */
void world_expect(struct world *w, enum verdict v);

/* The client opens a datagram that the relay sent to it, which must be authentic. */
struct view world_receive(struct world *w, uint32_t client, const struct packet *packet);

/* The plaintext is a DATA frame for `client` that holds WORLD_BLOB, and zeros. */
void world_assert_blob(const struct world *w, uint32_t client, struct view plain);
