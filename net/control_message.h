#pragma once
/*
 * Control messages: what the kernel says about a datagram beside its bytes, and what we say about
 * one that we send.
 *
 * Pure.
 */
#include <sys/socket.h>

#include "core/address.h"

enum {
	/* The most that comes with a datagram: IPv6 packet information (40 bytes with its header),
	 * GRO size (24), drops (24); rounded up so that what follows stays aligned. */
	CONTROL_RECEIVE_SIZE = 96,
	/* IPv6 packet information (40) and the GSO size (24). */
	CONTROL_SEND_SIZE = 64,
};

struct control_received {
	uint8_t local_ip[16];  /* where it was sent to, as one of our own addresses */
	uint32_t segment_size; /* several datagrams of this size were joined; 0: a single one */
	uint32_t socket_drops; /* running count of the socket's drops */
	bool has_local_ip;
	bool has_socket_drops;
};

/* Read the control area of a received datagram; unknown messages are passed over. */
void control_read(struct view area, struct control_received *out);

/*
 * Write the control area for a send: the source address of the path, where there is a path, it is
 * set and of the remote's family; and the GSO size where not 0. Returns the size written.
 */
size_t control_write(uint8_t area[CONTROL_SEND_SIZE], const struct path *source_or_null,
		     uint16_t segment_size);
