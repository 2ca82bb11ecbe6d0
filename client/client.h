#pragma once
/*
 * The inside of struct clawchat: one client of one relay, its tunnels to peers, and the events it
 * has for the program. Each .c file beside it is one concern:
 *
 *   clawchat.c   open, connect, process: the loop's body
 *   security.c   security files: inspect, load, keygen
 *   enrolment.c  from a file's secret to the device's own
 *   events.c     the queue of events
 *   tunnels.c    channel, peer and delivery of each contact
 *   texts.c      chat messages and their receipts
 *   files*.c     file transfers
 *   compromised.c  reporting, and erasing the profile
 *   find.c       who is meant by a name
 *
 * Owner: one thread.
 */
#include "client/contacts.h"
#include "client/delivery.h"
#include "client/messages.h"
#include "core/link.h"
#include "net/engine.h"

enum {
	TUNNELS_MAX = 1024,
	SEND_FRAMES = 512, /* datagrams made between two receives; more are dropped
					    and repeated by SCTP */
	EVENTS_MAX = 1024, /* texts beyond wait in SCTP, unread */
	FINDS_MAX = 16,
	TEXTS_UNDELIVERED_MAX = 1024, /* per peer, not yet received there */
	TEXTS_REMEMBERED = 256,       /* ids of received texts: copies are dropped */
};

/* ---- events ----------------------------------------------------------------------------- */

struct client_event {
	struct clawchat_event event;
	char *text, *name, *file_name; /* owned; event's pointers lead here */
};

/* ---- tunnels ---------------------------------------------------------------------------- */

struct outgoing_text {
	uint64_t id;
	uint64_t time_ms;
	enum clawchat_delivery state;
	char *text;
	struct outgoing_text *next;
};

struct tunnel {
	uint8_t id[PEER_ID_SIZE];
	struct peer *peer;
	struct delivery *delivery;            /* NULL until first secure */
	struct association *association;      /* what delivery's hook needs */
	uint8_t instance[PEER_INSTANCE_SIZE]; /* of the other, for which delivery was made */
	bool was_up;                          /* PEER_UP was told */
	bool is_first_contact;
	bool is_refused;   /* its identity changed: wait for the user */
	uint32_t channel;  /* 0: none */
	uint32_t request;  /* OPEN under way; 0: none */
	uint64_t retry_ns; /* when to open again; NEVER: not wanted */
	unsigned failures;
	struct outgoing_text *texts; /* oldest first; until they are delivered */
	size_t text_count;
	uint64_t seen[TEXTS_REMEMBERED];
	size_t seen_next;
	struct tunnel *next;
};

struct find {
	uint32_t number;       /* 0: free */
	uint32_t link_request; /* 0: not asked yet */
	bool is_known;         /* a contact is called so */
	uint8_t known[PEER_ID_SIZE];
	char what[CLAWCHAT_PEER_ID_TEXT + CLAWCHAT_NAME_SIZE];
};

struct files; /* files.c */

struct clawchat {
	struct profile profile;
	struct contacts contacts;
	struct peer_self self;
	struct random_source random;
	struct engine *engine;
	struct link *link;
	struct instant now; /* of the current clawchat_process() */
	bool is_ended;
	bool has_delivery;  /* delivery_start() was called, and is to be undone */
	bool wants_confirm; /* an enrolment is saved, the relay not told yet */
	bool is_burning;    /* a Compromised report is under way, alone */
	bool is_erased;     /* and is over */
	uint64_t delivery_next_ns;

	struct tunnel *tunnels;
	size_t tunnel_count;

	struct find finds[FINDS_MAX];
	uint32_t next_number;   /* finds and transfers */
	uint32_t peers_request; /* list under way; 0: none */
	bool wants_peers;       /* asked while not connected */

	struct client_event events[EVENTS_MAX];
	size_t event_first, event_count;
	struct client_event shown; /* the one that the program is looking at */

	uint8_t (*frames)[DATAGRAM_SIZE_MAX]; /* SEND_FRAMES of them */
	struct packet *packets;
	size_t packet_count, packet_sent;

	struct files *files;
};

/* ---- events.c --------------------------------------------------------------------------- */

/* Queue an event; strings are copied. A full queue drops it (nothing that must not be lost is told
 * while events_are_full()). */
void events_put(struct clawchat *c, const struct clawchat_event *event);
bool events_are_full(const struct clawchat *c);
void events_clear(struct clawchat *c);

/* ---- clawchat.c ------------------------------------------------------------------------- */

/* Room for one more datagram, of DATAGRAM_SIZE_MAX bytes; NULL: none until the next receive. */
uint8_t *client_frame(struct clawchat *c, struct packet **packet);
void client_frame_done(struct clawchat *c); /* the packet is ready to be sent */
enum clawchat_result client_save_contacts(struct clawchat *c);

/* ---- enrolment.c ------------------------------------------------------------------------ */

/* Credentials, schedule and clock. */
void enrolment_configure(const struct clawchat *c, struct link_config *config);
/* False: not of this kind. */
bool enrolment_link_event(struct clawchat *c, const struct link_event *event) MUST_CHECK;
void enrolment_link_up(struct clawchat *c);
void enrolment_advance(struct clawchat *c);
/* Why there may be no answer, and what to do; empty: nothing that we know of. */
const char *enrolment_hint(const struct clawchat *c);

/* ---- compromised.c ---------------------------------------------------------------------- */

/* Erase the profile and say so. */
void compromised_finish(struct clawchat *c, bool is_acknowledged, uint8_t status);

/* ---- tunnels.c -------------------------------------------------------------------------- */

struct tunnel *tunnel_find(struct clawchat *c, const uint8_t id[PEER_ID_SIZE]);
/* Find or make, and see to it that it opens. NULL: too many or out of memory. */
struct tunnel *tunnel_need(struct clawchat *c, const uint8_t id[PEER_ID_SIZE]);
void tunnel_want(struct clawchat *c, struct tunnel *t); /* open it now if it is not */
bool tunnel_is_up(const struct tunnel *t);              /* messages can be sent */
/* Send a message on a stream. False: not now. */
bool tunnel_send(struct tunnel *t, uint16_t stream, const struct message *m) MUST_CHECK;
void tunnels_link_up(struct clawchat *c);
void tunnels_link_event(struct clawchat *c, const struct link_event *event);
void tunnels_input(struct clawchat *c, uint32_t channel, struct view blob);
void tunnels_advance(struct clawchat *c); /* what time and queues demand */
uint64_t tunnels_deadline(const struct clawchat *c);
void tunnel_forget(struct clawchat *c, struct tunnel *t); /* the user gave up the pin */
void tunnels_close(struct clawchat *c);

/* ---- texts.c ---------------------------------------------------------------------------- */

void texts_advance(struct clawchat *c, struct tunnel *t); /* send what can be sent */
void texts_restart(struct tunnel *t); /* a new association: what was not received goes again */
void texts_take(struct clawchat *c, struct tunnel *t, const struct message *m);
void texts_clear(struct clawchat *c, struct tunnel *t, const char *why);

/* ---- files.c ---------------------------------------------------------------------------- */

bool files_create(struct clawchat *c) MUST_CHECK;
void files_destroy(struct clawchat *c);
bool files_are_wanted(const struct clawchat *c, const struct tunnel *t);
void files_advance(struct clawchat *c, struct tunnel *t);
void files_restart(struct clawchat *c, struct tunnel *t);
void files_take(struct clawchat *c, struct tunnel *t, uint16_t stream, const struct message *m);
uint64_t files_deadline(const struct clawchat *c);

/* ---- find.c ----------------------------------------------------------------------------- */

void finds_link_event(struct clawchat *c, const struct link_event *event);
void finds_advance(struct clawchat *c); /* ask the relay what waits for a connection */
