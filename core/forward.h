#pragma once
/*
 * The relay's packet path, for one worker: a batch of datagrams in, a batch of datagrams out,
 * and what the keeper must hear of. No system call, no lock, no allocation, no clock.
 *
 * A batch goes through together: show all headers in one call per door; look up sessions and
 * prefetch entries and keys; open; check replay, route; group by the session that packets go to
 * and reserve counters once for each group; hide all headers in one call per door; seal in place.
 * A DATA frame keeps its frame and size: only the channel number changes.
 *
 * Owner: one worker. Shared with others: struct table, struct channels, in their lock-free ways.
 */
#include "core/channels.h"
#include "core/packet.h"
#include "core/schedule.h"
#include "core/table.h"
#include "core/verdict.h"

struct forward;

struct forward_config {
	struct table *table;
	struct channels *channels;
	const struct packet_cipher *cipher;
	size_t key_cache_entries;
	size_t batch_max; /* datagrams per call */
};

/* What the keeper must hear of; views point into the frames of the batch. At most two for one
 * packet; UPCALL_PATH at most once for a session in a batch. */
enum upcall_kind {
	UPCALL_HELLO,       /* body: plaintext of a HELLO (struct wire_hello ...) */
	UPCALL_CONTROL,     /* body: plaintext of control frames */
	UPCALL_PATH,        /* session's newest packet came from another remote address */
	UPCALL_ESTABLISHED, /* first authentic packet of a session */
	UPCALL_FORGERIES,   /* EPOCH_FORGERIES_MAX reached */
};

struct upcall {
	enum upcall_kind kind;
	struct session_id session; /* all but UPCALL_HELLO */
	struct path path;
	uint32_t datagram_size;           /* an answer to an unproved address must not be larger */
	uint8_t hello_tag[AEAD_TAG_SIZE]; /* UPCALL_HELLO: for a cookie */
	struct view body;
};

struct forward_result {
	/* Ready for the engine: frames of the batch, grouped by destination, in their order
	 * within each group. */
	struct packet *send;
	size_t send_count;
	struct upcall *upcalls;
	size_t upcall_count;
};

struct forward *forward_create(const struct forward_config *config) MUST_CHECK; /* NULL: memory */
void forward_destroy(struct forward *f);

/* Doors that packets may come in and go out on; false: DOORS_MAX are open. A `fixed` port
 * serves two doors at once: packets of a path.door whose header shows nonsense are tried under
 * the other doors that name the same port, and have their path.door corrected. */
bool forward_open_door(struct forward *f, uint64_t door, uint16_t port,
		       const struct door_keys *keys) MUST_CHECK;
void forward_close_door(struct forward *f, uint64_t door);

/* Work on a batch in place. `result` is valid, like the frames, until the next call. PINGs are
 * answered in their own frames, with the observed address and wall_ns. */
void forward_batch(struct forward *f, struct packet *packets, size_t count, struct instant now,
		   struct forward_result *result);

/*
 * Seal the keeper's own frames for a session: `packet->data` holds WIRE_HEADER_SIZE bytes of
 * room, plain_size bytes of plaintext and room for the tag. Fills in packet->size and
 * packet->path (the session's, or `path` where not NULL: path challenges). False: no session,
 * revoked, no door, key limit.
 */
bool forward_seal(struct forward *f, struct session_id id, const struct path *path,
		  struct packet *packet, size_t plain_size) MUST_CHECK;

/* Seal a WELCOME or COOKIE body under the door of packet->path: same layout, plus a header made
 * of `random` bytes. False: the door is closed. */
bool forward_seal_handshake(struct forward *f, enum wire_kind kind, struct packet *packet,
			    size_t plain_size, const struct random_source *random) MUST_CHECK;

/* Erase cached keys: of one session, or of all (slot UINT32_MAX). */
void forward_forget(struct forward *f, struct session_id id);

struct verdict_counters *forward_counters(struct forward *f);
