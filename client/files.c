/*
 * File transfers of a client: who sends what to whom, and how far it is.
 *
 *   outgoing  HASHING -> OFFERED -> SENDING -> SENT -> (result) gone
 *   incoming  OFFERED -> (accepted) PREPARING -> RECEIVING -> gone
 *
 * A new association tells both sides to go back: the sender offers again, and the receiver, who has
 * said yes before, answers with what it has by now. A sender that was killed offers under another
 * id: the same content from the same peer goes on all the same, without asking the user again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"
#include "client/transfer.h"

enum {
	TRANSFERS_MAX = 64,
	STREAM_FIRST = 1,
	CHUNKS_PER_ROUND = 64,           /* 2 MiB, then the loop has a turn */
	FINISHED_KEPT = 16,              /* received lately: their senders may not have heard so */
};
#define PROGRESS_NS (200 * NS_PER_MS)
#define RATE_NS (2 * NS_PER_S)           /* a rate is the mean of so long */

enum transfer_state {
	FREE,
	OUT_HASHING,
	OUT_READY,      /* to be offered */
	OUT_OFFERED,
	OUT_SENDING,
	OUT_SENT,
	IN_OFFERED,     /* the user has not answered */
	IN_PREPARING,   /* the part that is there is being hashed */
	IN_ANSWER,      /* to be answered */
	IN_RECEIVING,
};

struct transfer {
	enum transfer_state state;
	uint32_t number;
	uint8_t peer[PEER_ID_SIZE];
	struct outgoing *out;
	struct incoming *in;
	struct message offer;            /* incoming, before it is accepted; body is offer_name */
	char offer_name[FILE_NAME_SIZE_MAX + 1];
	uint8_t stream;
	uint64_t told_ns;                /* progress */
	uint64_t rate_ns, rate_done;     /* the rate's last mark */
	uint64_t rate;
	uint64_t resumed_from;
	bool is_stale;                   /* incoming: not offered in this association yet */
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

/* ---- list ------------------------------------------------------------------------------- */

bool files_create(struct clawchat *c)
{
	c->files = calloc(1, sizeof(*c->files));
	return c->files != NULL;
}

static void clear(struct transfer *t)
{
	outgoing_destroy(t->out);
	incoming_destroy(t->in);
	memset(t, 0, sizeof(*t));
}

void files_destroy(struct clawchat *c)
{
	for (size_t i = 0; c->files != NULL && i < TRANSFERS_MAX; i++)
		clear(&c->files->list[i]);
	free(c->files);
	c->files = NULL;
}

static struct transfer *take_place(struct clawchat *c, const uint8_t peer[PEER_ID_SIZE])
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (t->state != FREE)
			continue;
		t->number = ++c->next_number;
		memcpy(t->peer, peer, PEER_ID_SIZE);
		return t;
	}
	return NULL;
}

static struct transfer *by_number(struct clawchat *c, uint32_t number)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (c->files->list[i].state != FREE && c->files->list[i].number == number)
			return &c->files->list[i];
	return NULL;
}

static const uint8_t *id_of(const struct transfer *t)
{
	if (t->out != NULL)
		return t->out->id;
	return t->in != NULL ? t->in->id : t->offer.transfer;
}

static struct transfer *by_id(struct clawchat *c, const struct tunnel *tunnel,
			      const uint8_t id[TRANSFER_ID_SIZE], bool is_outgoing)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (t->state != FREE && (t->out != NULL) == is_outgoing &&
		    memcmp(t->peer, tunnel->id, PEER_ID_SIZE) == 0 &&
		    memcmp(id_of(t), id, TRANSFER_ID_SIZE) == 0)
			return t;
	}
	return NULL;
}

static bool is_of(const struct transfer *t, const struct tunnel *tunnel)
{
	return t->state != FREE && memcmp(t->peer, tunnel->id, PEER_ID_SIZE) == 0;
}

bool files_are_wanted(const struct clawchat *c, const struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		const struct transfer *t = &c->files->list[i];
		if (is_of(t, tunnel) && t->state != IN_OFFERED)
			return true;
	}
	return false;
}

/* ---- events ----------------------------------------------------------------------------- */

static uint64_t done_of(const struct transfer *t)
{
	if (t->out != NULL)
		return t->out->done;
	return t->in != NULL ? t->in->done : 0;
}

static void tell(struct clawchat *c, const struct transfer *t, struct clawchat_event event)
{
	const struct contact *contact = contacts_find(&c->contacts, t->peer);
	memcpy(event.peer.bytes, t->peer, PEER_ID_SIZE);
	event.transfer = t->number;
	event.is_outgoing = t->out != NULL;
	event.size = t->out != NULL ? t->out->size : t->in != NULL ? t->in->size : t->offer.size;
	event.done = done_of(t);
	event.rate = t->rate;
	event.resumed_from = t->resumed_from;
	event.name = contact != NULL ? contact->name : "";
	if (event.file_name == NULL)
		event.file_name = t->out != NULL ? t->out->name :
				  t->in != NULL	 ? t->in->name :
						   t->offer_name;
	events_put(c, &event);
}

static void fail(struct clawchat *c, struct transfer *t, enum clawchat_result result,
		 const char *text)
{
	tell(c, t, (struct clawchat_event){ .type = CLAWCHAT_EVENT_FILE_FAILED,
					    .result = result,
					    .text = text });
	clear(t);
}

static void tell_progress(struct clawchat *c, struct transfer *t, bool is_hashing)
{
	uint64_t now_ns = c->now.mono_ns, done = done_of(t);
	if (now_ns - t->told_ns < PROGRESS_NS)
		return;
	t->told_ns = now_ns;
	if (t->rate_ns == 0 || done < t->rate_done) {
		t->rate_ns = now_ns;
		t->rate_done = done;
	} else if (now_ns > t->rate_ns) {
		t->rate = (uint64_t)((double)(done - t->rate_done) * (double)NS_PER_S /
				     (double)(now_ns - t->rate_ns));
	}
	tell(c, t, (struct clawchat_event){ .type = CLAWCHAT_EVENT_FILE_PROGRESS,
					    .is_hashing = is_hashing });
	if (now_ns - t->rate_ns >= RATE_NS) {
		t->rate_ns = now_ns;
		t->rate_done = done;
	}
}

/* ---- what the program asks for ---------------------------------------------------------- */

enum clawchat_result clawchat_send_file(struct clawchat *c, const struct clawchat_peer_id *to,
					const char *path, uint32_t *number,
					struct clawchat_error *error)
{
	struct transfer *t = take_place(c, to->bytes);
	if (t == NULL)
		return client_error(error, CLAWCHAT_FAILED,
				    "%s: %d transfers are under way already", path,
				    TRANSFERS_MAX);
	t->out = outgoing_create(path, &c->random, error);
	if (t->out == NULL)
		return error->result;
	if (tunnel_need(c, to->bytes) == NULL) {
		clear(t);
		return client_error(error, CLAWCHAT_FAILED, "%s: too many peers at once", path);
	}
	t->state = OUT_HASHING;
	*number = t->number;
	return CLAWCHAT_OK;
}

enum clawchat_result clawchat_accept_file(struct clawchat *c, uint32_t number, const char *folder,
					  struct clawchat_error *error)
{
	struct transfer *t = by_number(c, number);
	if (t == NULL || t->state != IN_OFFERED)
		return client_error(error, CLAWCHAT_USAGE, "file: no offer number %u", number);
	t->in = incoming_create(&t->offer, folder, error);
	if (t->in == NULL)
		return error->result;
	t->resumed_from = t->in->resumed_from;
	t->state = IN_PREPARING;
	return CLAWCHAT_OK;
}

static bool send_cancel(struct clawchat *c, const struct transfer *t, const char *why)
{
	struct tunnel *tunnel = tunnel_find(c, t->peer);
	struct message m = { .type = MESSAGE_FILE_CANCEL, .body = view_of(why, strlen(why)) };
	memcpy(m.transfer, id_of(t), sizeof(m.transfer));
	return tunnel != NULL && tunnel_is_up(tunnel) && tunnel_send(tunnel, 0, &m);
}

void clawchat_refuse_file(struct clawchat *c, uint32_t number)
{
	struct transfer *t = by_number(c, number);
	if (t == NULL || t->state != IN_OFFERED)
		return;
	struct tunnel *tunnel = tunnel_find(c, t->peer);
	struct message m = { .type = MESSAGE_FILE_ANSWER };
	memcpy(m.transfer, t->offer.transfer, sizeof(m.transfer));
	/* Unsent, it stays an offer without an answer: the sender offers it again some day. */
	if (tunnel == NULL || !tunnel_send(tunnel, 0, &m))
		t->told_ns = 0;
	clear(t);
}

void clawchat_cancel_file(struct clawchat *c, uint32_t number)
{
	struct transfer *t = by_number(c, number);
	if (t == NULL)
		return;
	if (!send_cancel(c, t, "cancelled by the user"))
		t->told_ns = 0; /* the other side finds out when it is asked again */
	fail(c, t, CLAWCHAT_FAILED, "cancelled");
}

/* ---- sending ---------------------------------------------------------------------------- */

static void hash(struct clawchat *c, struct transfer *t)
{
	enum transfer_progress progress = outgoing_hash(t->out);
	if (progress == TRANSFER_FAILED) {
		char reason[TRANSFER_REASON_SIZE];
		memcpy(reason, t->out->reason, sizeof(reason));
		fail(c, t, CLAWCHAT_IO, reason);
		return;
	}
	tell_progress(c, t, true);
	if (progress == TRANSFER_BUSY)
		return;
	t->out->done = 0;
	t->rate = t->rate_ns = 0;
	t->state = OUT_READY;
}

static void offer(struct transfer *t, struct tunnel *tunnel)
{
	struct message m = {
		.type = MESSAGE_FILE_OFFER,
		.size = t->out->size,
		.body = view_of(t->out->name, strlen(t->out->name)),
	};
	memcpy(m.transfer, t->out->id, sizeof(m.transfer));
	memcpy(m.sha256, t->out->sha256, sizeof(m.sha256));
	if (tunnel_send(tunnel, 0, &m))
		t->state = OUT_OFFERED;
}

static void send_chunks(struct clawchat *c, struct transfer *t, struct tunnel *tunnel)
{
	for (unsigned i = 0; i < CHUNKS_PER_ROUND; i++) {
		struct message m;
		enum transfer_progress progress = outgoing_next(t->out, &m);
		if (progress == TRANSFER_FAILED) {
			char reason[TRANSFER_REASON_SIZE];
			memcpy(reason, t->out->reason, sizeof(reason));
			if (send_cancel(c, t, "the file was changed"))
				t->told_ns = 0;
			fail(c, t, CLAWCHAT_IO, reason);
			return;
		}
		if (progress == TRANSFER_READY) {
			t->state = OUT_SENT;
			break;
		}
		if (!tunnel_send(tunnel, t->stream, &m))
			break;
		outgoing_sent(t->out);
	}
	tell_progress(c, t, false);
}

static void take_answer(struct clawchat *c, struct transfer *t, const struct message *m)
{
	if (t->state != OUT_OFFERED)
		return;
	if (!m->is_accepted) {
		fail(c, t, CLAWCHAT_PEER_REFUSED, "refused by the receiver");
		return;
	}
	t->stream = m->stream;
	outgoing_start(t->out, m->offset);
	t->resumed_from = t->out->done;
	t->rate = t->rate_ns = 0;
	t->state = OUT_SENDING;
}

static void take_result(struct clawchat *c, struct transfer *t, const struct message *m)
{
	char reason[MESSAGE_REASON_MAX + 64];
	if (m->result == FILE_RESULT_OK) {
		struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_DONE };
		memcpy(event.sha256, t->out->sha256, sizeof(event.sha256));
		t->out->done = t->out->size;
		tell(c, t, event);
		clear(t);
		return;
	}
	snprintf(reason, sizeof(reason), "at the receiver: %.*s",
		 m->body.size > 0 ? (int)m->body.size : 16,
		 m->body.size > 0 ? (const char *)m->body.data : "another SHA-256");
	fail(c, t, CLAWCHAT_IO, reason);
}

/* ---- receiving -------------------------------------------------------------------------- */

static uint8_t free_stream(const struct clawchat *c, const struct transfer *own)
{
	for (uint8_t stream = STREAM_FIRST; stream < DELIVERY_STREAMS; stream++) {
		bool is_taken = false;
		for (size_t i = 0; i < TRANSFERS_MAX; i++) {
			const struct transfer *t = &c->files->list[i];
			is_taken |= t->state == IN_RECEIVING && t->stream == stream && t != own &&
				    memcmp(t->peer, own->peer, PEER_ID_SIZE) == 0;
		}
		if (!is_taken)
			return stream;
	}
	return 0;
}

static void remember_finished(struct clawchat *c, const struct transfer *t)
{
	struct files *files = c->files;
	struct finished *f = &files->finished[files->finished_count++ % FINISHED_KEPT];
	memcpy(f->peer, t->peer, sizeof(f->peer));
	memcpy(f->id, t->in->id, sizeof(f->id));
}

static bool is_finished(const struct clawchat *c, const struct tunnel *tunnel,
			const uint8_t id[TRANSFER_ID_SIZE])
{
	for (size_t i = 0; i < FINISHED_KEPT && i < c->files->finished_count; i++) {
		const struct finished *f = &c->files->finished[i];
		if (memcmp(f->peer, tunnel->id, sizeof(f->peer)) == 0 &&
		    memcmp(f->id, id, sizeof(f->id)) == 0)
			return true;
	}
	return false;
}

static void finish(struct clawchat *c, struct transfer *t, struct tunnel *tunnel)
{
	struct message m = { .type = MESSAGE_FILE_RESULT };
	char reason[TRANSFER_REASON_SIZE];
	m.result = incoming_finish(t->in);
	memcpy(m.transfer, t->in->id, sizeof(m.transfer));
	memcpy(reason, t->in->reason, sizeof(reason));
	size_t size = strlen(reason);
	m.body = view_of(reason, size < MESSAGE_REASON_MAX ? size : 0);
	/* A result that cannot go now is asked for again by the sender's next offer. */
	(void)!tunnel_send(tunnel, 0, &m);
	if (m.result != FILE_RESULT_OK) {
		fail(c, t, CLAWCHAT_IO, reason);
		return;
	}
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_DONE,
					.file_name = t->in->final_path };
	memcpy(event.sha256, t->in->sha256, sizeof(event.sha256));
	remember_finished(c, t);
	tell(c, t, event);
	clear(t);
}

static void answer(struct clawchat *c, struct transfer *t, struct tunnel *tunnel)
{
	struct message m = { .type = MESSAGE_FILE_ANSWER, .is_accepted = true };
	m.stream = free_stream(c, t);
	m.offset = t->in->done;
	memcpy(m.transfer, t->in->id, sizeof(m.transfer));
	if (m.stream == 0 || !tunnel_send(tunnel, 0, &m))
		return; /* in the next round */
	t->stream = m.stream;
	t->state = IN_RECEIVING;
	if (t->in->done == t->in->size)
		finish(c, t, tunnel); /* empty, or all of it was there */
}

static void prepare(struct clawchat *c, struct transfer *t)
{
	enum transfer_progress progress = incoming_prepare(t->in);
	if (progress == TRANSFER_READY)
		t->state = IN_ANSWER;
	if (progress != TRANSFER_FAILED)
		return;
	char reason[TRANSFER_REASON_SIZE];
	memcpy(reason, t->in->reason, sizeof(reason));
	fail(c, t, CLAWCHAT_IO, reason);
}

/* The transfer of a sender that lost its state, and now offers the same again. */
static struct transfer *by_content(struct clawchat *c, const struct tunnel *tunnel,
				   const struct message *m)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (is_of(t, tunnel) && t->is_stale && t->offer.size == m->size &&
		    memcmp(t->offer.sha256, m->sha256, HASH_SIZE) == 0 &&
		    t->offer.body.size == m->body.size &&
		    memcmp(t->offer_name, m->body.data, m->body.size) == 0)
			return t;
	}
	return NULL;
}

/* It is known: go on where we are. */
static void take_known_offer(struct transfer *t, const struct message *m)
{
	memcpy(t->offer.transfer, m->transfer, sizeof(t->offer.transfer));
	if (t->in != NULL)
		memcpy(t->in->id, m->transfer, sizeof(t->in->id));
	t->is_stale = false;
	if (t->state == IN_RECEIVING)
		t->state = IN_ANSWER;
}

static void take_offer(struct clawchat *c, struct tunnel *tunnel, const struct message *m)
{
	struct transfer *t = by_id(c, tunnel, m->transfer, false);
	if (t == NULL)
		t = by_content(c, tunnel, m);
	if (t != NULL) {
		take_known_offer(t, m);
		return;
	}
	if (is_finished(c, tunnel, m->transfer)) {
		struct message result = { .type = MESSAGE_FILE_RESULT };
		memcpy(result.transfer, m->transfer, sizeof(result.transfer));
		/* Unsent, it is asked for again like this. */
		(void)!tunnel_send(tunnel, 0, &result);
		return;
	}
	t = take_place(c, tunnel->id);
	if (t == NULL)
		return; /* the sender offers it again with its next association */
	t->state = IN_OFFERED;
	t->offer = *m;
	memcpy(t->offer_name, m->body.data, m->body.size);
	t->offer.body = view_of(t->offer_name, m->body.size);
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_OFFER };
	memcpy(event.sha256, m->sha256, sizeof(event.sha256));
	tell(c, t, event);
}

static void take_chunk(struct clawchat *c, struct tunnel *tunnel, struct transfer *t,
		       const struct message *m)
{
	if (t->state != IN_RECEIVING)
		return;
	switch (incoming_take(t->in, m)) {
	case TRANSFER_BUSY:
		tell_progress(c, t, false);
		break;
	case TRANSFER_READY:
		finish(c, t, tunnel);
		break;
	case TRANSFER_FAILED: {
		char reason[TRANSFER_REASON_SIZE];
		memcpy(reason, t->in->reason, sizeof(reason));
		if (send_cancel(c, t, "the receiver cannot store it"))
			t->told_ns = 0;
		fail(c, t, CLAWCHAT_IO, reason);
		break;
	}
	}
}

static void take_cancel(struct clawchat *c, struct transfer *t, const struct message *m)
{
	char reason[MESSAGE_REASON_MAX + 64];
	snprintf(reason, sizeof(reason), "by the other side: %.*s", (int)m->body.size,
		 (const char *)m->body.data);
	fail(c, t, CLAWCHAT_PEER_REFUSED, reason);
}

/* ---- rounds ----------------------------------------------------------------------------- */

void files_take(struct clawchat *c, struct tunnel *tunnel, uint16_t stream, const struct message *m)
{
	bool is_of_sender = m->type == MESSAGE_FILE_ANSWER || m->type == MESSAGE_FILE_RESULT;
	bool is_chunk = m->type == MESSAGE_FILE_CHUNK;
	if (is_chunk != (stream != 0))
		return;
	if (m->type == MESSAGE_FILE_OFFER) {
		take_offer(c, tunnel, m);
		return;
	}
	struct transfer *t = by_id(c, tunnel, m->transfer, is_of_sender);
	if (t == NULL && m->type == MESSAGE_FILE_CANCEL)
		t = by_id(c, tunnel, m->transfer, true);
	if (t == NULL)
		return;
	if (m->type == MESSAGE_FILE_ANSWER)
		take_answer(c, t, m);
	else if (m->type == MESSAGE_FILE_RESULT)
		take_result(c, t, m);
	else if (is_chunk)
		take_chunk(c, tunnel, t, m);
	else if (m->type == MESSAGE_FILE_CANCEL)
		take_cancel(c, t, m);
}

void files_advance(struct clawchat *c, struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (!is_of(t, tunnel))
			continue;
		if (t->state == OUT_HASHING)
			hash(c, t);
		else if (t->state == IN_PREPARING)
			prepare(c, t);
		if (!tunnel_is_up(tunnel))
			continue;
		if (t->state == OUT_READY)
			offer(t, tunnel);
		else if (t->state == OUT_SENDING)
			send_chunks(c, t, tunnel);
		else if (t->state == IN_ANSWER)
			answer(c, t, tunnel);
	}
}

void files_restart(struct clawchat *c, struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (!is_of(t, tunnel))
			continue;
		if (t->out == NULL)
			t->is_stale = true;
		else if (t->state != OUT_HASHING)
			t->state = OUT_READY;
	}
}

uint64_t files_deadline(const struct clawchat *c)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		enum transfer_state state = c->files->list[i].state;
		if (state == OUT_HASHING || state == IN_PREPARING)
			return 0; /* there is work at once */
	}
	return NEVER;
}
