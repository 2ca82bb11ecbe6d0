#pragma once
/*
 * Numbered datagrams between pairs of wire clients, as many as the relay carries: each flow keeps a
 * window of them on the way. Whatever came twice, altered or not at all is known in the end.
 *
 *   wire_client_open() for all, then flows_create()
 *   wire_wait(... flows_are_joined ...)
 *   flows_send() in each round
 *   flows_add_up()
 *   flows_destroy()
 *
 * Client 2n writes to 2n + 1 and back. Owner: the thread of the clients.
 */
#include "core/replay.h"
#include "tests/support/wire_client.h"

/* What goes to one client, from its partner. */
struct flow {
	struct replay seen;
	uint64_t sent, received, given_up;
	uint64_t twice, altered;
	uint64_t heard_ns;
};

struct flows {
	struct wire_client *clients;
	struct flow *of;
	size_t count; /* of clients, and of flows */
	uint64_t window;
};

struct flows_sum {
	uint64_t sent, lost, twice, altered;
};

/* Takes the clients' on_blob and state for itself. */
struct flows *flows_create(struct wire_client *clients, size_t count, uint64_t window) MUST_CHECK;
void flows_destroy(struct flows *f);

/* Conditions for wire_wait(), with `struct flows` as state: all pairs have a channel; nothing is on
 * the way. */
bool flows_are_joined(void *state) MUST_CHECK;
bool flows_have_arrived(void *state) MUST_CHECK;

/* Fill the windows. */
void flows_send(struct flows *f);
/* What is on the way in a flow that was silent so long is not waited for any more; it stays lost
 * unless it comes after all. */
void flows_give_up(struct flows *f, uint64_t silence_ns);

struct flows_sum flows_add_up(const struct flows *f);
