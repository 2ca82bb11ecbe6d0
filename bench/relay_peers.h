#pragma once
/*
 * Virtual peers of a relay: as much of a client as a load needs. They speak the real handshake and
 * the real control frames, but keep no more than a session each, never rekey and never move.
 *
 *   relay_peers_create()
 *   relay_peers_connect()    all of them
 *   relay_peers_join()       pair by pair
 *   relay_target()           for load_run()
 *   relay_peers_destroy()
 *
 * Owner: one thread. Errors are texts for people; NULL is success.
 */
#include "bench/load.h"
#include "core/door.h"
#include "core/hello.h"
#include "core/schedule.h"
#include "core/security_file.h"
#include "core/session.h"

enum {
	ATTEMPTS_MAX = 128, /* handshakes under way: below the depth at which cookies begin */
	CONTROL_PLAIN = PAD_BUCKET,
	SIZE_BUCKETS = DATAGRAM_SIZE_MAX / PAD_BUCKET + 1,
};

struct relay_peer {
	struct session session;
	uint8_t id[PEER_ID_SIZE];
	uint32_t socket;
	uint32_t sequence; /* of the next reliable frame that we send */
	uint32_t expected; /* of the next that the relay sends */
	uint32_t channel;  /* of the flow that it sends on; 0: none */
	uint32_t offered;  /* channel that was offered to it */
	uint64_t received; /* packets of its session */
	bool is_ack_due;
};

/* A flow: who sends, on which channel of its own. */
struct relay_flow {
	uint32_t peer;
	uint32_t channel;
};

/* A handshake under way, or a join. */
struct attempt {
	bool is_used;
	bool has_session; /* WELCOME came; the first PONG has not */
	uint32_t peer;
	uint32_t tries;
	uint64_t repeat_ns;
	struct noise noise;
	struct hello_config hello;
};

struct relay_config {
	struct security_file file;
	struct address remote; /* of the door in use */
	struct address local;  /* unset: any */
	uint32_t peers;
	uint32_t flows;
	uint32_t sockets; /* peers share them where they are more */
	bool want_gro;
	uint32_t returning; /* the last so many peers say HELLO again; 0: new devices do */
};

struct relay_peers {
	struct relay_config config;
	struct door_keys keys;
	struct mask *hide, *show;
	struct key_cache *cache;
	struct random_source random;
	struct sockets *sockets;
	struct relay_peer *peers;
	struct hello_config *returning; /* of the last peers; NULL: none */
	uint32_t peer_count;            /* of those made; handshakes may come on top */
	uint32_t *by_slot;              /* index + 1 of the peer with that slot */
	struct attempt attempts[ATTEMPTS_MAX];
	uint32_t *attempt_of_socket; /* index + 1 */
	struct relay_flow *flows;
	struct hello_config first; /* of peer 0: it can report a compromise */
	uint64_t live;             /* peers that are connected */
	uint64_t retries;
	/* What arrivals of each size are: by how many times PAD_BUCKET they hold. */
	enum load_kind kind_of_size[SIZE_BUCKETS];
};

/* Read and open; the door that is valid now gives config->remote's port and its keys. */
const char *relay_read_file(const char *file, const char *key_file, struct relay_config *config);

const char *relay_peers_create(const struct relay_config *config, struct relay_peers **out);
void relay_peers_destroy(struct relay_peers *r);
const char *relay_peers_connect(struct relay_peers *r);

/* From peer a to peer b, as the next flow: number `flow`. With both_ways b sends as flow + 1. */
struct relay_join {
	uint32_t from, to;
	uint32_t flow;
	bool both_ways;
};
const char *relay_peers_join(struct relay_peers *r, const struct relay_join *joins, size_t count);

/* Peer 0 reports its file as compromised. To be called again until something comes of it: the first
 * call makes *burn, which is zero before. */
void relay_report(struct relay_peers *r, struct wire_burn *burn);

struct target relay_target(struct relay_peers *r);

/* ---- between the files -------------------------------------------------------------------- */

/* Seal the plaintext behind the header's room in `frame`, padded. Returns the datagram's size. */
size_t relay_seal(struct relay_peers *r, struct relay_peer *peer, uint8_t *frame, size_t size);
/* A HELLO into `frame`; returns its size, 0: the relay's key is of no use. */
size_t relay_write_hello(struct relay_peers *r, struct attempt *a, uint8_t *frame);
/* Keys of a new virtual device. */
void relay_make_device(struct relay_peers *r, struct hello_config *out);
/* What is lost here is repeated like what the network loses. */
void relay_send_frame(struct relay_peers *r, uint32_t socket, uint8_t *frame, size_t size);
/* Control frames of a peer that waits for none: acknowledge, or the relay ends the session. */
void relay_acknowledge(struct relay_peers *r, struct relay_peer *peer, struct view plain);
/* Whose packet is it? Opened in place. NULL: nobody's. */
struct relay_peer *relay_open(struct relay_peers *r, struct arrival *a, struct view *plain);
