#pragma once
/*
 * Doors: the port generations that are open, and their life. The next door opens a notice before
 * its time, the old one closes a grace after it: a grace after sessions were sent to the next one,
 * should that have come late.
 *
 * Each door is opened in every worker on the same port, and in the keeper. Owner: control.
 */
#include "core/schedule.h"
#include "net/engine.h"
#include "relay/keeper_thread.h"
#include "relay/worker.h"

/* FIXED: all generations on one port, which port_first and port_last of the schedule name. */
enum door_mode { DOOR_MODE_SCHEDULE, DOOR_MODE_RANDOM, DOOR_MODE_FIXED };

enum {
	DOORS_RETRY_S = 5,       /* after no port could be bound */
	DOORS_STALE_S = 7,       /* doors of a replaced secret: until sessions have moved */
	DOORS_ROTATE_WAIT_S = 2, /* from a rotation by hand until sessions move: all have
					 * heard of it by then at common round trips */
};

struct doors_config {
	struct schedule schedule;
	enum door_mode mode;
	uint32_t notice_s;
	uint32_t grace_s;
	struct address bind_v4; /* port ignored; unset leaves that family out */
	struct address bind_v6;
	struct random_source random;
	struct worker *const *workers;
	unsigned worker_count;
	struct keeper_thread *keeper;
};

struct open_door {
	uint64_t generation;
	uint16_t port;
	uint8_t key[KEY_SIZE];
	uint32_t receive_buffer_bytes; /* as the kernel granted it */
	bool is_open;
	bool is_stale;      /* of a schedule secret that was replaced */
	uint64_t begins_ns; /* wall clock: sessions were told to go there then */
	uint64_t close_ns;  /* wall clock, of a stale one */
};

struct doors {
	struct doors_config config;
	struct open_door open[DOORS_MAX];
	uint64_t rotations;
	uint64_t ports_skipped; /* could not be bound */
	int failure;            /* -errno of the latest one that was due and did not open */
};

void doors_init(struct doors *d, const struct doors_config *config);
void doors_fini(struct doors *d);

/* Open the current generation. 0, or -errno of the last port tried. A port that any other socket
 * of the machine holds counts as busy, also where that one would share it. */
int doors_start(struct doors *d, uint64_t wall_ns) MUST_CHECK;

/* What the time demands: opens, closes. Returns the wall clock of the next call; it is due as well
 * when the wall clock was set. *opened is the generation that was opened now, or 0. */
uint64_t doors_tick(struct doors *d, uint64_t wall_ns, uint64_t *opened);

/* Open the next door now and send all sessions there; the present one stays open for its time, for
 * devices that compute it. 0, -EOPNOTSUPP with a fixed port, -ENOSPC while DOORS_MAX are open, or
 * -errno of the last port tried. */
int doors_rotate_now(struct doors *d, uint64_t wall_ns, uint64_t *opened) MUST_CHECK;

/* Another schedule secret: a door of it opens now, all sessions are sent there, and the doors of
 * the old one close DOORS_STALE_S later. 0, or -errno of the last port tried: then doors_tick()
 * opens one when the old ones have closed. */
int doors_replace_secret(struct doors *d, const uint8_t secret[KEY_SIZE], uint64_t wall_ns,
			 uint64_t *opened) MUST_CHECK;

/* The newest one that is open and not stale; NULL: none. */
const struct open_door *doors_newest(const struct doors *d);
/* The door of a generation, if it is open. */
const struct open_door *doors_find(const struct doors *d, uint64_t generation);
/* The one that sessions are to use now. */
const struct open_door *doors_current(const struct doors *d, uint64_t wall_ns);
