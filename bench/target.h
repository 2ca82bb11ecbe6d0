#pragma once
/*
 * Targets beside the relay, with which it is compared: the same loads, the same sizes.
 *
 *   floor   bare forwarder (floor_forwarder, floor_mmsg): the size of the relay's datagrams
 *   turn    a TURN server: ChannelData, from client to client or from client to a plain sink
 *   plain   straight to a sink: no server, or a tunnel of the system's in between
 *
 * Owner: one thread. Errors are texts for people; NULL is success.
 */
#include "bench/load.h"

struct other_config {
	struct address remote;     /* the server; plain: the sinks, port ignored */
	struct address local;      /* of the senders; unset: any */
	struct address sink_local; /* turn: of the sinks; unset: client to client */
	const char *sink_netns;    /* plain: network namespace of the sinks; NULL: this one */
	uint32_t pairs;
	bool both_ways; /* flow 2p: from the first of pair p; 2p + 1: back */
	bool want_gro;
};

struct other;

const char *floor_create(const struct other_config *config, struct other **out);
const char *turn_create(const struct other_config *config, struct other **out);
const char *plain_create(const struct other_config *config, struct other **out);
void other_destroy(struct other *o);
struct target other_target(struct other *o);

/* ---- between the files -------------------------------------------------------------------- */

struct other {
	struct other_config config;
	struct sockets *sockets;
	const struct target_ops *ops;
};

/* Sockets for two ends of each pair: index 2 * pair + side, connected where `remote` is set. */
const char *other_open(struct other **out, const struct other_config *config,
		       const struct target_ops *ops);
/* The socket that sends a flow. */
uint32_t other_sender(const struct other *o, uint32_t flow);
/* Every datagram at least so long is delivered data, with its stamp at `offset`. */
void other_read(struct arrival *arrivals, size_t count, size_t offset);
/* Ask on one socket until `is_answer` likes what came, a few times. */
bool other_ask(struct other *o, uint32_t socket, struct view request,
	       bool (*is_answer)(void *state, const struct arrival *a), void *state) MUST_CHECK;
