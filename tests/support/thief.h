#pragma once
/*
 * Who recorded all of a client's datagrams and stole what the ends held at one moment.
 *
 *   thief_listen()       a tape of everything between one client and the relay
 *   thief_rob()          all bytes of both ends of its session, as they are now
 *   thief_try()          what of the tape opens by them
 *
 * A theft is worth what its bytes can be: each run of bytes in it is tried as a key of packets
 * with its iv behind it, as a key that Noise made, and as the secret half of an ephemeral key. The
 * thief knows every door key and all that the network showed.
 */
#include "core/keeper_internal.h"
#include "core/link_internal.h"
#include "tests/support/sim.h"

enum {
	THIEF_PACKETS_MAX = 512,
	THIEF_HANDSHAKES_MAX = 8,
	THIEF_EPOCHS = 1 << 2, /* as many as headers tell apart */
};

struct thief_packet {
	bool is_up; /* from client to relay */
	unsigned epoch;
	uint64_t counter;
	size_t size;
	uint8_t bytes[DATAGRAM_SIZE_MAX];
};

/* The plaintext of a HELLO or WELCOME, which every holder of a file can see. */
struct thief_handshake {
	enum wire_kind kind;
	size_t size;
	uint8_t plain[DATAGRAM_SIZE_MAX];
};

struct thief_tape {
	struct sim *sim;
	struct sim_client *victim;
	struct door_keys door;
	struct mask *up, *down;
	struct thief_packet packets[THIEF_PACKETS_MAX];
	size_t count;
	struct thief_handshake handshakes[THIEF_HANDSHAKES_MAX];
	size_t handshake_count;
};

/* Both ends of a session, byte for byte; what lies behind pointers is copied along. */
struct thief_loot {
	struct link link;
	struct keeper_entry entry;
	struct reliable_sender sender;
	struct hello_server server;
	bool has_entry;
};

/* What opened, of all packets of each epoch. */
struct thief_take {
	unsigned opened[THIEF_EPOCHS];
	unsigned all[THIEF_EPOCHS];
};

/* On the heap (large). It takes the sim's tap. Doors must not change while it listens. */
struct thief_tape *thief_listen(struct sim *sim, struct sim_client *victim);
void thief_stop(struct thief_tape *t);
/* The latest of that kind. */
const struct thief_handshake *thief_handshake(const struct thief_tape *t, enum wire_kind kind);

void thief_rob(const struct thief_tape *t, struct thief_loot *loot);

struct thief_take thief_try(struct view loot, const struct thief_packet *packets, size_t count);
/* With the keys that a handshake gave the one or the other end. */
struct thief_take thief_try_keys(const struct noise_result *keys,
				 const struct thief_packet *packets, size_t count);
/* One packet, with the keys of a session, into its plaintext. False: not by these. */
bool thief_open(const struct session_secret *secret, const struct thief_packet *packet,
		uint8_t plain[PLAIN_SIZE_MAX]) MUST_CHECK;
/* Somewhere in the loot lies the secret half of this public key. */
bool thief_finds_secret(struct view loot, const uint8_t public[X25519_SIZE]) MUST_CHECK;
