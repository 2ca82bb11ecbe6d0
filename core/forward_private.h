#pragma once
/*
 * Inside of forward.h, shared by its files:
 *
 *   forward.c         making, doors, the batch as a table of contents, the keeper's own frames
 *   forward_open.c    from datagrams to authentic plaintexts
 *   forward_route.c   from plaintexts to the session that each goes to
 *   forward_send.c    from there to sealed datagrams
 *
 * Each stage goes over the whole batch and leaves alone what has its verdict already.
 */
#include "core/forward.h"

/* An item without a verdict yet. */
#define UNDECIDED VERDICT_COUNT

/* How many keys ahead memory is asked for: with 20,000 sessions, 15 % less time a packet than
 * with 4; with 32 no more. */
enum { FORWARD_AHEAD = 16 };

struct forward_door {
	_Alignas(PACKET_KEY_ALIGN) uint8_t hello_key[PACKET_KEY_SIZE]; /* expanded, for HELLO */
	uint8_t answer_key[AEAD_KEY_SIZE];                             /* for WELCOME and COOKIE */
	struct mask *show;
	struct mask *hide;
	uint64_t door;
	uint32_t item_count; /* of the batch under way */
	uint16_t port;
	bool is_open;
};

/* A packet of the batch. */
struct forward_item {
	struct packet *packet;
	struct forward_door *door; /* that it came in by */
	struct session *session;   /* that it came from; NULL: a handshake */
	struct session *target;    /* that it goes to */
	struct session_id target_id;
	struct wire_data_header header; /* shown */
	uint32_t epoch;                 /* of the key that opens it */
	uint32_t next;                  /* of its group; the batch's count: none */
	enum verdict outcome;           /* its verdict if it is sent */
	enum verdict verdict;
};

/* The packets of the batch that go to one session, in their order. */
struct forward_group {
	struct session *target;
	struct forward_door *door;
	struct path path;
	uint64_t counter; /* of the first packet */
	uint32_t epoch;
	uint32_t first, last; /* items, linked by `next` */
	uint32_t count;
};

struct forward {
	struct forward_door doors[DOORS_MAX];
	struct forward_config config;
	struct key_cache *keys;
	struct verdict_counters counters;

	/* Room for one batch. */
	struct forward_item *items;
	uint32_t item_count;
	struct forward_group *groups;
	uint32_t group_count;
	uint32_t *group_cells;     /* hash of the targets: index of a group plus 1; 0: none */
	uint32_t group_cell_count; /* a power of two, at least twice batch_max */
	uint8_t (*headers)[WIRE_HEADER_SIZE];
	struct packet *send;
	uint32_t send_count;
	struct upcall *upcalls;
	uint32_t upcall_count;
};

struct forward_door *forward_find_door(struct forward *f, uint64_t door);

/* A fresh upcall about an item's packet; two at most for each packet. */
struct upcall *forward_upcall(struct forward *f, enum upcall_kind kind,
			      const struct forward_item *item);

static inline struct view item_plain(const struct forward_item *item)
{
	return view_of(item->packet->data + WIRE_HEADER_SIZE, item->packet->size - WIRE_OVERHEAD);
}

/* forward_open.c: in this order. */
void forward_admit(struct forward *f, struct packet *packets, size_t count);
void forward_identify(struct forward *f);
void forward_open(struct forward *f, struct instant now);

/* forward_route.c */
void forward_route(struct forward *f, struct instant now);

/* forward_send.c */
void forward_send(struct forward *f);
