#pragma once
/*
 * Delivery: SCTP (RFC 9260, through usrsctp without its threads) over the datagrams of one peer
 * tunnel. What is sent arrives once and in order per stream, or the association is reported lost.
 *
 *   delivery_start()             once a process; delivery_advance() as time goes by
 *   delivery_create()            one per peer, when its tunnel is first secure
 *   delivery_input()             packets from peer_input()
 *   delivery_send()              messages; delivery_next() what has arrived
 *   delivery_destroy()
 *   delivery_stop()
 *
 * usrsctp keeps global state: all of this belongs to one thread of the process. (The library has
 * an idle thread of its own for changes of addresses, which it is never given; it is kept from
 * taking the program's signals.)
 *
 * Both ends may connect at once, and do: SCTP has an answer to that. There is no checksum, since
 * the tunnel authenticates each packet. An association outlives at least ten minutes without a
 * single packet coming through, and goes on within DELIVERY_RTO_LAST_MS of the first.
 */
#include "core/instant.h"
#include "crypto/bytes.h"

enum {
	DELIVERY_PACKET_MAX = 1156, /* SCTP packet: PEER_BODY_MAX cut to a multiple of 4 */
	DELIVERY_MESSAGE_MAX = 65536,
	DELIVERY_STREAMS = 8,           /* 0: chat and control; 1..7: file contents */
	DELIVERY_SEND_BUFFER = 1 << 20, /* bytes accepted but not yet acknowledged */
	DELIVERY_RECEIVE_BUFFER = 1 << 20,
	DELIVERY_CHAT_RESERVE = 1 << 18,  /* of the send buffer, for stream 0: chat passes files */
	DELIVERY_ASSOCIATIONS_MAX = 1024, /* as many peers as a session has channels */
	DELIVERY_RTO_LAST_MS = 2000,      /* longest pause between two tries */
};

enum delivery_state {
	DELIVERY_CONNECTING,
	DELIVERY_UP,
	DELIVERY_LOST, /* the other end aborted or did not answer; destroy and make a new one */
};

struct delivery;

struct delivery_config {
	/* Hand an SCTP packet to the peer tunnel; called from within any delivery call, and must
	 * not make one. A packet that cannot go now is dropped: SCTP repeats it. */
	void (*send)(void *state, const uint8_t *packet, size_t size);
	void *state;
};

bool delivery_start(void) MUST_CHECK;
void delivery_stop(void); /* also where it was not started */
/* Let `now_ns` come to pass: runs SCTP's timers (10 ms steps) for all associations. Returns when
 * to call again at the latest; whoever gave input or sent something asks anew. */
uint64_t delivery_advance(uint64_t now_ns);

struct delivery *delivery_create(const struct delivery_config *config) MUST_CHECK; /* or NULL */
void delivery_destroy(struct delivery *d);

void delivery_input(struct delivery *d, const uint8_t *packet, size_t size);

enum delivery_send_status { DELIVERY_SENT, DELIVERY_FULL, DELIVERY_BROKEN };
enum delivery_send_status delivery_send(struct delivery *d, uint16_t stream,
					struct view message) MUST_CHECK;

/* The next whole message, valid until the next such call. False: none. */
bool delivery_next(struct delivery *d, uint16_t *stream, struct view *message) MUST_CHECK;

/* LOST only when all that had arrived has been read. */
enum delivery_state delivery_state(const struct delivery *d);
/* Bytes of messages that are accepted and not yet acknowledged; 0 where LOST. */
size_t delivery_unacknowledged(const struct delivery *d);
