#pragma once
/*
 * Clients of a real relay over a real network: a link and a UDP socket each, as many as a test
 * wants in one thread. The socket is a plain one, so that the engines of net/ are met on one side
 * only.
 *
 *   wire_file_read()      the relay's current security file
 *   wire_client_open()
 *   wire_wait()           runs all clients until a condition holds
 *   wire_client_close()
 */
#include "core/link.h"
#include "net/clock.h"

enum {
	WIRE_BATCH = 32,
	WIRE_FRAME_SIZE = 2048, /* one received datagram; larger ones are cut, and refused */
};

struct wire_client {
	struct link *link;
	struct link_config config; /* of the latest open */
	uint8_t peer[PEER_ID_SIZE];
	int fd;
	bool is_v6;

	/* What became of it. */
	bool is_up;
	bool is_opening; /* a request to open a channel is under way */
	unsigned ups;
	uint32_t down_reason; /* of the latest DOWN */
	uint32_t channel;     /* the latest that was opened, either way; 0: none */
	uint64_t datagrams_out, datagrams_in;
	uint64_t strays; /* datagrams that did not come from where they were asked */

	/* The test's, each may be NULL. */
	void (*on_blob)(struct wire_client *c, uint32_t channel, struct view blob);
	void (*on_datagram)(struct wire_client *c, bool is_out, struct view datagram);
	void *state;

	size_t out_count;
	struct packet out[WIRE_BATCH];
	uint8_t out_frames[WIRE_BATCH][DATAGRAM_SIZE_MAX];
	uint8_t in_frames[WIRE_BATCH][WIRE_FRAME_SIZE];
};

/* What a client makes of STATE_DIRECTORY/files/clawchat-current.sec and bootstrap.key: everything
 * but its own keys. False: unreadable. */
bool wire_file_read(const char *state_directory, struct link_config *out) MUST_CHECK;

/* With fresh keys of its own. `bind_to` chooses the family, and with it the relay's address. False:
 * no socket, no memory. */
bool wire_client_open(struct wire_client *c, const struct link_config *file,
		      const struct address *bind_to) MUST_CHECK;
void wire_client_close(struct wire_client *c); /* with a GOODBYE that nobody repeats */

/* Another socket from now on, as when the network has changed; the link is not told. */
bool wire_client_rebind(struct wire_client *c, const struct address *bind_to) MUST_CHECK;

/* False: not connected. It leaves at the latest with the next wire_wait(). */
bool wire_send(struct wire_client *c, uint32_t channel, struct view blob) MUST_CHECK;
/* Everything that waits, now. */
void wire_flush(struct wire_client *c);

/* One round over all clients: what came, what is due; waits for at most `wait_ns`. */
void wire_round(struct wire_client *clients, size_t count, uint64_t wait_ns);

/* Rounds until `is_done` is true. False: it was not within `seconds`. */
bool wire_wait(struct wire_client *clients, size_t count, unsigned seconds,
	       bool (*is_done)(void *state), void *state) MUST_CHECK;

/* wire_wait() for: all are up; the two have a channel, opened by the first. */
bool wire_wait_up(struct wire_client *clients, size_t count, unsigned seconds) MUST_CHECK;
bool wire_join(struct wire_client *pair, unsigned seconds) MUST_CHECK;
/* One step of that, for many pairs at once. */
bool wire_is_joined(struct wire_client *pair) MUST_CHECK;
