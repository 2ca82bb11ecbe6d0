#pragma once
/*
 * Link: the client's end of its tunnel to the relay, as a state machine without system calls.
 * Handshake with retries, cookies and the server's time; keepalive; reliable control frames;
 * channels; reconnecting after the relay was restarted or the network changed.
 *
 *   link_create()
 *   loop:
 *     for each datagram: link_input(); then link_next_event() until there is none
 *     link_send() for blobs, as they come
 *     link_output() until there is none        (handshakes, control frames, keepalives)
 *     wait for datagrams until link_deadline()
 *   link_destroy()
 *
 * It ends only by link_stop() or a refusal that trying again cannot change (LINK_REFUSED).
 * Owner: one thread.
 */
#include "core/hello.h"
#include "core/packet.h"
#include "core/schedule.h"

enum {
	LINK_DOORS_MAX = 8,
	LINK_ADDRESSES_MAX = 2,   /* the relay's IPv4 and IPv6: tried in turn */
	LINK_EVENTS_MAX = 64,     /* when full, input stops taking control frames (they repeat) */
	LINK_QUESTIONS_MAX = 8,   /* PEERS_GET and FIND under way */
	LINK_CREDENTIALS_MAX = 3, /* two device PSKs (see link_confirm_enrolment()), a file */
};

struct link_door {
	uint64_t generation;
	uint16_t port;
	uint8_t key[KEY_SIZE];
	uint64_t from_ns; /* wall clock */
	uint64_t until_ns;
};

/* What makes the relay take us: its PSK. */
struct link_credential {
	enum wire_credential kind;
	uint8_t id[FILE_ID_SIZE];
	uint8_t psk[KEY_SIZE];
};

struct link_config {
	struct hello_config hello; /* with the credential to try first */
	/* Tried in turn where that one is met with silence: a device whose enrolment was cut short
	 * does not know what the relay has kept. */
	struct link_credential others[LINK_CREDENTIALS_MAX - 1];
	size_t other_count;
	struct address addresses[LINK_ADDRESSES_MAX]; /* port ignored; unset ones skipped */
	struct link_door doors[LINK_DOORS_MAX];
	size_t door_count;
	bool has_schedule;        /* enrolled: doors are computed, but for those above */
	struct schedule schedule; /* link_config_schedule() fills these in */
	enum wire_port_mode port_mode;
	uint32_t notice_s, grace_s; /* both 0: the defaults */
	/* What an earlier run of this device learned. */
	bool has_clock_offset;
	int64_t clock_offset_ns;    /* relay's clock minus ours */
	uint64_t last_timestamp_ns; /* of its HELLOs: later ones are greater; 0: none */
	uint64_t rekey_interval_ns; /* 0: at port rotations and by use alone */
	struct random_source random;
	const struct packet_cipher *cipher;
};

enum link_state {
	LINK_CONNECTING,
	LINK_ESTABLISHED,
	LINK_RECONNECTING, /* was established; trying again */
	LINK_REFUSED,      /* see the event; final */
	LINK_STOPPED,
};

enum link_event_type {
	/* Connected, or connected again, also without a DOWN before: all channels are gone, and
	 * requests to open one that were not answered. Questions (PEERS, FIND) live on. */
	LINK_EVENT_UP,
	LINK_EVENT_DOWN,        /* reason; it goes on trying */
	LINK_EVENT_REFUSED,     /* status (enum wire_status), reason of a GOODBYE; it has given
				      * up */
	LINK_EVENT_OFFER,       /* channel, peer: answer with link_accept() or link_refuse() */
	LINK_EVENT_OPENED,      /* request, channel, peer, is_initiator */
	LINK_EVENT_OPEN_FAILED, /* request, reason */
	LINK_EVENT_GONE,        /* channel, reason */
	LINK_EVENT_PEERS,       /* request, peers[count], has_more; 0 also without an answer */
	LINK_EVENT_FOUND,       /* request, found[count]; likewise */
	LINK_EVENT_ENROL,       /* schedule, psk: save both, then link_confirm_enrolment() */
	LINK_EVENT_ENROLLED,    /* psk: the relay has it; no other credential is needed */
	LINK_EVENT_SCHEDULE,    /* schedule: save it in place of the one before */
	LINK_EVENT_DOOR,        /* door: of a link that cannot compute it; worth saving */
	LINK_EVENT_BURNED,      /* status (enum wire_burn_status), is_acknowledged: the relay
				      * has the report, or did not say so in LINK_BURN_NS. Final */
};

struct link_event {
	enum link_event_type type;
	uint32_t request;
	uint32_t channel;
	uint32_t reason; /* enum wire_reason */
	uint8_t status;  /* enum wire_status */
	bool is_initiator;
	bool has_more;
	bool is_acknowledged;
	uint8_t count;
	uint8_t peer[PEER_ID_SIZE];
	union {
		struct wire_peer_entry peers[PEERS_PER_FRAME_MAX];
		uint8_t found[FIND_RESULTS_MAX][PEER_ID_SIZE];
		struct {
			struct wire_schedule schedule;
			uint8_t psk[KEY_SIZE];
		};
		struct link_door door;
	};
};

struct link_status {
	enum link_state state;
	struct address relay;    /* the address and port in use */
	struct address observed; /* ours, as the relay sees it */
	uint64_t rtt_ns;         /* 0: not measured yet */
	uint64_t door;
	uint64_t next_rotation_ns; /* wall clock; 0: unknown */
	int64_t clock_offset_ns;   /* relay's clock minus ours, learned in the handshake */
	uint32_t epoch;
	uint32_t handshakes;        /* completed */
	uint32_t rekeys;            /* of all sessions */
	uint32_t tries;             /* HELLOs since the last completed one */
	uint64_t last_timestamp_ns; /* of the latest HELLO; see struct link_config */
	bool is_clock_known;        /* clock_offset_ns is the relay's word */
	bool is_by_device;          /* the session's credential is the device's own */
};

struct link;

struct link *link_create(const struct link_config *config, struct instant now) MUST_CHECK;
void link_destroy(struct link *l);

/* Doors by a schedule as the relay sent it. False: not one that can be followed. */
bool link_config_schedule(struct link_config *config,
			  const struct wire_schedule *schedule) MUST_CHECK;

/* Say GOODBYE (it goes out with the next link_output()) and stop. */
void link_stop(struct link *l);

/*
 * One datagram, opened in place. True: it carried a blob, and *blob (inside the packet) belongs
 * to *channel. Whatever else it was has been taken note of.
 */
bool link_input(struct link *l, struct packet *packet, struct instant now, uint32_t *channel,
		struct view *blob) MUST_CHECK;

/* The next datagram that the link itself wants sent, written into `out` (at least
 * DATAGRAM_SIZE_MAX). False: none now. */
bool link_output(struct link *l, struct instant now, struct view_out out,
		 struct packet *packet) MUST_CHECK;

bool link_next_event(struct link *l, struct link_event *event) MUST_CHECK;
uint64_t link_deadline(const struct link *l); /* mono_ns; call link_output() then */

/*
 * A blob for a channel, sealed into `frame`, which holds LINK_HEADROOM bytes of room, blob_size
 * bytes, and room up to DATAGRAM_SIZE_MAX. Padded. False: not established, too large, key limit.
 */
enum { LINK_HEADROOM = WIRE_HEADER_SIZE + DATA_FRAME_HEAD };
bool link_send(struct link *l, uint32_t channel, uint8_t *frame, size_t blob_size,
	       struct packet *packet) MUST_CHECK;

/* Requests; the answer comes as an event with that number. 0: not established or queue full. */
uint32_t link_open(struct link *l, const uint8_t peer[PEER_ID_SIZE]);
uint32_t link_ask_peers(struct link *l, const uint8_t after[PEER_ID_SIZE]);
uint32_t link_find(struct link *l, const uint8_t name_tag[NAME_TAG_SIZE]);
bool link_accept(struct link *l, uint32_t channel) MUST_CHECK;
bool link_refuse(struct link *l, uint32_t channel, enum wire_reason reason) MUST_CHECK;
bool link_close(struct link *l, uint32_t channel) MUST_CHECK;

/*
 * What LINK_EVENT_ENROL brought is saved: tell the relay. From now on handshakes try the new PSK
 * first, then one that was saved before it, then the file, until LINK_EVENT_ENROLLED. False:
 * nothing was offered in this session, or no room now.
 */
bool link_confirm_enrolment(struct link *l) MUST_CHECK;

/* The network has changed (or the machine slept): check the relay at once. */
void link_network_changed(struct link *l, struct instant now);

/*
 * Compromised: report it, in the session or in a new one where there is none, every second until
 * the relay acknowledges, for LINK_BURN_NS at most; then LINK_EVENT_BURNED. `reason` is UTF-8,
 * at most BURN_REASON_MAX bytes. Again while one is under way: nothing.
 */
#define LINK_BURN_NS (10 * NS_PER_S)
void link_burn(struct link *l, enum wire_scope scope, struct view reason, struct instant now);

/* New keys for the session, as soon as the relay answers. */
void link_request_rekey(struct link *l);

void link_get_status(const struct link *l, struct link_status *out);
