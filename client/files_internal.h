#pragma once
/* The inside of a client's file transfers, for files*.c alone. Owner: one thread. */
#include "client/client.h"
#include "client/transfer.h"

enum {
	TRANSFERS_MAX = 64,
	OFFERS_PER_PEER_MAX = 16, /* incoming, of one peer: three such leave room for others */
	STREAM_FIRST = 1,
	CHUNKS_PER_ROUND = 64, /* 2 MiB, then the loop has a turn */
	FINISHED_KEPT = 16,    /* received lately: their senders may not have heard so */
};
#define PROGRESS_NS (200 * NS_PER_MS)
#define RATE_NS (2 * NS_PER_S) /* a rate is the mean of so long */

enum transfer_state {
	FREE,
	OUT_HASHING,
	OUT_READY, /* to be offered */
	OUT_OFFERED,
	OUT_SENDING,
	OUT_SENT,
	IN_OFFERED,   /* the user has not answered */
	IN_PREPARING, /* the part that is there is being hashed */
	IN_ANSWER,    /* to be answered */
	IN_RECEIVING,
};

struct transfer {
	enum transfer_state state;
	uint32_t number;
	uint8_t peer[PEER_ID_SIZE];
	struct outgoing *out;
	struct incoming *in;
	struct message offer; /* incoming, before it is accepted; body is offer_name */
	char offer_name[FILE_NAME_SIZE_MAX + 1];
	uint8_t stream;
	uint64_t told_ns;            /* progress */
	uint64_t rate_ns, rate_done; /* the rate's last mark */
	uint64_t rate;
	uint64_t resumed_from;
	bool is_stale;       /* incoming: not offered in this association yet */
	bool has_no_storage; /* incoming: the user wanted it, and it could not be begun */
};

/* A transfer that has arrived whole. */
struct finished {
	uint8_t peer[PEER_ID_SIZE];
	uint8_t id[TRANSFER_ID_SIZE];
};

struct files {
	struct transfer list[TRANSFERS_MAX];
	struct finished finished[FINISHED_KEPT];
	size_t finished_count;
};

/* ---- files.c ---------------------------------------------------------------------------- */

void transfer_clear(struct transfer *t);
struct transfer *transfer_take_place(struct clawchat *c, const uint8_t peer[PEER_ID_SIZE]);
struct transfer *transfer_by_id(struct clawchat *c, const struct tunnel *tunnel,
				const uint8_t id[TRANSFER_ID_SIZE], bool is_outgoing);
const uint8_t *transfer_id(const struct transfer *t);
bool transfer_is_of(const struct transfer *t, const struct tunnel *tunnel);
void transfer_tell(struct clawchat *c, const struct transfer *t, struct clawchat_event event);
void transfer_fail(struct clawchat *c, struct transfer *t, enum clawchat_result result,
		   const char *text);
void transfer_tell_progress(struct clawchat *c, struct transfer *t, bool is_hashing);
bool transfer_send_cancel(struct clawchat *c, const struct transfer *t, const char *why);

/* ---- files_send.c ----------------------------------------------------------------------- */

void transfer_hash(struct clawchat *c, struct transfer *t);
void transfer_offer(struct transfer *t, struct tunnel *tunnel);
void transfer_send_chunks(struct clawchat *c, struct transfer *t, struct tunnel *tunnel);
void transfer_take_answer(struct clawchat *c, struct transfer *t, const struct message *m);
void transfer_take_result(struct clawchat *c, struct transfer *t, const struct message *m);

/* ---- files_receive.c -------------------------------------------------------------------- */

void transfer_answer(struct clawchat *c, struct transfer *t, struct tunnel *tunnel);
void transfer_prepare(struct clawchat *c, struct transfer *t);
void transfer_take_offer(struct clawchat *c, struct tunnel *tunnel, const struct message *m);
void transfer_take_chunk(struct clawchat *c, struct tunnel *tunnel, struct transfer *t,
			 const struct message *m);
void transfer_take_cancel(struct clawchat *c, struct transfer *t, const struct message *m);
