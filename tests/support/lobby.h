#pragma once
/*
 * Lobby: a whole relay without sockets (keeper and packet path), and hand-made clients that do
 * as they are told: no timers, no repetition, nothing sent that a test did not ask for but
 * acknowledgements and answers to path challenges, which can be switched off.
 *
 * On every datagram it checks that the relay has sent no more to an address than came from
 * there, until the address has proved that it receives. Addresses are told apart by port.
 */
#include "core/door.h"
#include "core/keeper.h"
#include "tests/support/crypto.h"

enum {
	LOBBY_INBOX = 128,
	LOBBY_EVENTS = 64,
	LOBBY_QUEUE = 4096,
	LOBBY_DOOR = 500000,
	LOBBY_PORT = 50000,       /* of the relay */
	LOBBY_FIRST_PORT = 10000, /* of client 0; the others count up */
	LOBBY_NO_STATUS = 0xff,
};

#define LOBBY_IDLE_NS (180 * NS_PER_S)

struct lobby_frame {
	enum frame_type type;
	uint32_t sequence;
	size_t size;
	uint8_t body[FRAME_BODY_MAX];
};

struct lobby_client {
	struct hello_config hello;
	struct noise noise;
	bool has_noise;   /* waits for a WELCOME */
	bool is_welcome;  /* has a session */
	bool is_deaf;     /* takes nothing in */
	bool is_rude;     /* acknowledges nothing */
	bool is_stubborn; /* answers no path challenge */
	bool has_cookie;
	uint8_t cookie[COOKIE_SIZE];
	uint8_t status; /* of the latest WELCOME */
	struct wire_welcome_payload welcome;
	struct session session;
	struct path path;
	uint32_t next_sequence;
	struct reliable_receiver receiver;
	uint8_t hello_bytes[HELLO_SIZE_LAST]; /* the latest HELLO, as sent */
	uint32_t hello_size;
	uint32_t datagrams; /* received, of any kind */
	struct lobby_frame inbox[LOBBY_INBOX];
	size_t inbox_count; /* the latest LOBBY_INBOX */
};

struct lobby_datagram {
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	uint32_t size;
	struct path path;
};

struct lobby_account {
	uint64_t from, to; /* bytes */
	bool is_proved;
	uint32_t client; /* one more than its index; 0: nobody */
};

struct lobby {
	struct instant now;
	struct random_seeded seeded;
	struct random_source random;
	const struct packet_cipher *cipher;
	struct table *table;
	struct channels *channels;
	struct forward *forward;
	struct keeper *keeper;
	struct door_keys keys;
	struct mask *hide, *show; /* the clients' */
	struct key_cache *client_keys;
	uint64_t deadline_ns;             /* of keeper_tick() */
	uint32_t queue_depth;             /* as if that many handshakes waited */
	struct credential credential;     /* what every id stands for, but: */
	uint8_t unknown_id[FILE_ID_SIZE]; /* nobody */
	struct keeper_event events[LOBBY_EVENTS];
	size_t event_count; /* the latest LOBBY_EVENTS are kept */
	unsigned quiesces, forgets;
	struct lobby_client *clients;
	uint32_t client_count;
	struct lobby_account accounts[UINT16_MAX + 1];
	struct lobby_datagram queue[LOBBY_QUEUE];
	size_t queue_first, queue_count;
	size_t send_room; /* the keeper may queue that many between two runs; 0: LOBBY_QUEUE */
	/* Where set, lobby_run() hands datagrams to this instead of the clients. */
	void (*carry)(void *state, const struct lobby_datagram *datagram);
	void *carry_state;
};

extern const uint8_t LOBBY_DOOR_KEY[KEY_SIZE];

struct lobby_config {
	uint32_t clients;
	uint32_t slots;      /* 0: twice the clients, and no fewer than 16 */
	uint32_t channels;   /* 0: 8192 */
	uint32_t rate_per_s; /* 0: as many as anyone likes */
	uint32_t burst;
};

struct lobby *lobby_create(const struct lobby_config *config);
void lobby_destroy(struct lobby *l);

/* Bytes come in at the relay; its answers are queued. */
void lobby_input(struct lobby *l, const uint8_t *bytes, uint32_t size, const struct path *path);
/* The clients take what is queued, and what comes of that, until nothing is left. */
void lobby_run(struct lobby *l);
/* Time passes, with the keeper called whenever it wanted; then lobby_run(). */
void lobby_wait(struct lobby *l, uint64_t ns);

/* A fresh HELLO of the client, with the cookie it was given; its answer is taken. */
void lobby_hello(struct lobby *l, uint32_t client);
/* lobby_hello(), and a PING that establishes the session. */
void lobby_connect(struct lobby *l, uint32_t client);
/* The client has another address from now on. */
void lobby_move(struct lobby *l, uint32_t client, uint16_t port);

/* One frame in a packet of its own. Reliable ones get the client's next sequence number. */
void lobby_say(struct lobby *l, uint32_t client, enum frame_type type, const void *body,
	       size_t size);
/* Any plaintext. */
void lobby_say_plain(struct lobby *l, uint32_t client, struct view plain);
/* Several frames in one packet: begin, put, then lobby_say_plain(). */
void lobby_put(struct lobby_client *c, struct frame_writer *w, enum frame_type type,
	       const void *body, size_t size);

/* The oldest frame of this type in the inbox, taken out; NULL: none. Valid until the next. */
const struct lobby_frame *lobby_take(struct lobby *l, uint32_t client, enum frame_type type);
void lobby_forget_inbox(struct lobby *l, uint32_t client);

const uint8_t *lobby_peer(const struct lobby *l, uint32_t client, uint8_t out[PEER_ID_SIZE]);
/* The keeper's view of the client's session; false: it has none. */
bool lobby_find(const struct lobby *l, uint32_t client, struct keeper_session *out);
uint64_t lobby_drops(const struct lobby *l, enum verdict v); /* the keeper's own */
/* Events of a type; *last (may be NULL) receives the latest. */
unsigned lobby_events(const struct lobby *l, enum keeper_event_type type,
		      struct keeper_event *last);
