#pragma once
/*
 * A link and the relay's end of it, with a virtual clock and a path between them that delays
 * every datagram and may lose some. Time moves only in link_world_run().
 */
#include "tests/support/relay_end.h"

enum {
	LINK_WORLD_FLIGHTS = 1024,
	LINK_WORLD_HELLOS = 256,
	LINK_WORLD_DELAY_MS = 20, /* each way */
};

struct link_flight {
	bool is_used;
	bool is_to_relay;
	uint64_t arrives_ns;
	uint64_t order;
	size_t size;
	struct address to;
	uint8_t data[DATAGRAM_SIZE_MAX];
};

struct link_world {
	struct random_seeded seeded;
	struct random_source random;
	struct instant now;
	unsigned loss_percent;
	bool is_cut;               /* nothing passes */
	uint64_t blob_interval_ns; /* send a blob so often; 0: none */
	uint64_t blob_ns;
	bool leaves_events; /* do not read events */

	struct relay_end relay;
	struct link_config config;
	struct link *link;

	unsigned sent;  /* datagrams of the client */
	unsigned blobs; /* received by the client */
	unsigned ups, downs, refusals, events;
	uint64_t up_ns;                             /* when the latest UP was seen */
	struct link_event last;                     /* the latest event that is not UP or DOWN */
	struct link_event down;                     /* the latest DOWN or REFUSED */
	struct address hello_to[LINK_WORLD_HELLOS]; /* where first datagrams went, while none */
	unsigned hello_count;                       /*   session is up */
	void (*on_event)(struct link_world *w, const struct link_event *event);

	uint64_t order;
	struct link_flight flights[LINK_WORLD_FLIGHTS];
};

/* On the heap (large). The link is made with the first run: change w->config and w->relay
 * before. */
struct link_world *link_world_create(uint64_t seed);
void link_world_destroy(struct link_world *w);

/* The link, made now if need be. */
struct link *link_world_link(struct link_world *w);

struct link_status link_world_status(struct link_world *w);

void link_world_run(struct link_world *w, uint64_t duration_ns);
/* Until UP was seen `ups` times; false after `limit_ns`. */
bool link_world_run_until_up(struct link_world *w, unsigned ups, uint64_t limit_ns) MUST_CHECK;

/* A new world, connected, with nothing on the way any more. */
struct link_world *link_world_connect(uint64_t seed);

/* A datagram to the link now, as from the network. */
void link_world_inject(struct link_world *w, const void *data, size_t size);

bool link_world_send_blob(struct link_world *w, uint32_t channel, size_t size) MUST_CHECK;
