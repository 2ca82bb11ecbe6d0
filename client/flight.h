#pragma once
/*
 * Flight: how many bytes of an association's data are acknowledged. usrsctp does not tell, so it
 * is read off its packets: the sizes of DATA chunks by their numbers as they go out, and how far
 * SACK chunks say they have come as those come in.
 *
 * Pure. Owner: one thread.
 */
#include "crypto/bytes.h"

enum {
	FLIGHT_CHUNKS_MAX = 8192, /* a power of two; sent and not acknowledged at a time */
	FLIGHT_PACKET_MIN = 12,   /* SCTP's common header, which packets must have */
};

struct flight {
	bool has_sent;
	uint32_t sent;               /* number (TSN) of the newest chunk sent */
	uint32_t acknowledged;       /* all up to here have arrived */
	uint64_t acknowledged_bytes; /* of messages, since the start */
	uint16_t sizes[FLIGHT_CHUNKS_MAX];
};

void flight_init(struct flight *f);
void flight_note_sent(struct flight *f, struct view packet);
void flight_note_received(struct flight *f, struct view packet);
