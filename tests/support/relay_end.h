#pragma once
/*
 * The relay's end of one client's tunnel, made by hand from hello.h, door.h and session.h: no
 * table, no keeper, and told by the test how to behave (slow, full, suspicious, wrong).
 *
 * Datagrams go in with relay_end_input(); what it answers is handed to `send`.
 */
#include "core/door.h"
#include "core/frames.h"
#include "core/hello.h"
#include "core/link.h"
#include "core/session.h"

enum {
	RELAY_END_PENDING = 4,
	RELAY_END_LOG = 512,
};

/* A reliable frame, as it was taken. */
struct relay_end_frame {
	enum frame_type type;
	uint8_t body[RELIABLE_BODY_MAX];
};

struct relay_end_session {
	bool is_used;
	struct session session;
	struct reliable_sender sender;
	struct reliable_receiver receiver;
};

struct relay_end {
	/* How it behaves: set by the test at any time. */
	bool wants_cookie;
	bool is_never_content;   /* asks for a cookie whatever it gets */
	uint8_t status;          /* of its WELCOMEs */
	int64_t clock_offset_ns; /* its wall clock minus the test's */
	bool is_always_off;      /* STATUS_TIME for every HELLO */
	bool ignores_questions;
	uint16_t keepalive_s;
	uint16_t port; /* only datagrams to this one are heard */
	bool hears_v4, hears_v6;

	/* What it saw. */
	unsigned hellos, cookies, welcomes, datagrams;
	unsigned pings, questions, blobs;
	struct relay_end_frame log[RELAY_END_LOG];
	unsigned log_count;
	unsigned path_responses;
	struct wire_path path_response;
	size_t path_response_size; /* of the datagram */
	struct address last_to;

	/* Its state. */
	struct instant now;
	struct random_source random;
	struct hello_server server;
	uint8_t psk[KEY_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	uint8_t cookie[COOKIE_SIZE];
	uint8_t door_key[KEY_SIZE];
	uint64_t door;
	struct door_keys keys;
	struct mask *show, *hide;
	struct key_cache *cache;
	uint64_t last_timestamp_ns;
	uint32_t next_generation;
	struct relay_end_session live;
	struct relay_end_session pending[RELAY_END_PENDING];

	void (*send)(void *state, const uint8_t *data, size_t size);
	void *state;
};

void relay_end_init(struct relay_end *r, const struct random_source *random);
void relay_end_fini(struct relay_end *r);

/* A client's configuration that fits: a file with this relay's door, valid for an hour. */
void relay_end_client(struct relay_end *r, struct link_config *out);

/* Another door: it hears this one alone from now on. */
void relay_end_set_door(struct relay_end *r, uint64_t door, const uint8_t key[KEY_SIZE],
			uint16_t port);

/* All sessions forgotten, as after a crash. */
void relay_end_restart(struct relay_end *r);

void relay_end_input(struct relay_end *r, uint8_t *data, size_t size, const struct address *to);

/* Time passes: repeats its reliable frames. */
void relay_end_tick(struct relay_end *r, struct instant now);

/* To its client, in the live session: any plaintext (padded), one frame, a reliable frame. */
void relay_end_send_plain(struct relay_end *r, struct view plain);
void relay_end_send_frame(struct relay_end *r, enum frame_type type, struct view body);
bool relay_end_put(struct relay_end *r, enum frame_type type, struct view body) MUST_CHECK;
void relay_end_send_blob(struct relay_end *r, uint32_t channel, struct view blob);
/* A handshake datagram with any plaintext. */
void relay_end_send_handshake(struct relay_end *r, enum wire_kind kind, struct view plain);
