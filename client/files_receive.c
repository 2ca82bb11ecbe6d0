/* The receiver of a file: offer, part, answer, chunks, its name at the end. */
#include <stdio.h>

#include "client/files_internal.h"

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
		transfer_fail(c, t, CLAWCHAT_IO, reason);
		return;
	}
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_DONE,
					.file_name = t->in->final_path };
	memcpy(event.sha256, t->in->sha256, sizeof(event.sha256));
	remember_finished(c, t);
	transfer_tell(c, t, event);
	transfer_clear(t);
}

void transfer_answer(struct clawchat *c, struct transfer *t, struct tunnel *tunnel)
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

void transfer_prepare(struct clawchat *c, struct transfer *t)
{
	enum transfer_progress progress = incoming_prepare(t->in);
	if (progress == TRANSFER_READY)
		t->state = IN_ANSWER;
	if (progress != TRANSFER_FAILED)
		return;
	char reason[TRANSFER_REASON_SIZE];
	memcpy(reason, t->in->reason, sizeof(reason));
	transfer_fail(c, t, CLAWCHAT_IO, reason);
}

/* The transfer of a sender that lost its state, and now offers the same again. */
static struct transfer *by_content(struct clawchat *c, const struct tunnel *tunnel,
				   const struct message *m)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (transfer_is_of(t, tunnel) && t->is_stale && t->offer.size == m->size &&
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

/* Incoming ones of that peer, also those under way. */
static unsigned count_incoming(const struct clawchat *c, const struct tunnel *tunnel)
{
	unsigned count = 0;
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		count +=
			transfer_is_of(&c->files->list[i], tunnel) && c->files->list[i].out == NULL;
	return count;
}

/* One that the sender made in an earlier association and has not repeated in this one. */
static void drop_stale_offer(struct clawchat *c, const struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (!transfer_is_of(t, tunnel) || t->state != IN_OFFERED || !t->is_stale)
			continue;
		transfer_fail(c, t, CLAWCHAT_PEER_ABSENT, "is not offered any more");
		return;
	}
}

/* The sender hears why: it would wait for an answer for good. */
static void turn_away(struct tunnel *tunnel, const struct message *offer)
{
	static const char why[] = "too many files at once; try again later";
	struct message m = { .type = MESSAGE_FILE_CANCEL, .body = VIEW_STRING(why) };
	memcpy(m.transfer, offer->transfer, sizeof(m.transfer));
	/* Unsent, it is offered again with the next association. */
	(void)!tunnel_send(tunnel, 0, &m);
}

void transfer_take_offer(struct clawchat *c, struct tunnel *tunnel, const struct message *m)
{
	struct transfer *t = transfer_by_id(c, tunnel, m->transfer, false);
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
	if (count_incoming(c, tunnel) == OFFERS_PER_PEER_MAX)
		drop_stale_offer(c, tunnel);
	if (count_incoming(c, tunnel) < OFFERS_PER_PEER_MAX)
		t = transfer_take_place(c, tunnel->id);
	if (t == NULL) {
		turn_away(tunnel, m);
		return;
	}
	t->state = IN_OFFERED;
	t->offer = *m;
	memcpy(t->offer_name, m->body.data, m->body.size);
	t->offer.body = view_of(t->offer_name, m->body.size);
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_OFFER };
	memcpy(event.sha256, m->sha256, sizeof(event.sha256));
	transfer_tell(c, t, event);
}

void transfer_take_chunk(struct clawchat *c, struct tunnel *tunnel, struct transfer *t,
			 const struct message *m)
{
	if (t->state != IN_RECEIVING)
		return;
	switch (incoming_take(t->in, m)) {
	case TRANSFER_BUSY: transfer_tell_progress(c, t, false); break;
	case TRANSFER_READY: finish(c, t, tunnel); break;
	case TRANSFER_FAILED: {
		char reason[TRANSFER_REASON_SIZE];
		memcpy(reason, t->in->reason, sizeof(reason));
		if (transfer_send_cancel(c, t, "the receiver cannot store it"))
			t->told_ns = 0;
		transfer_fail(c, t, CLAWCHAT_IO, reason);
		break;
	}
	}
}

void transfer_take_cancel(struct clawchat *c, struct transfer *t, const struct message *m)
{
	char reason[MESSAGE_REASON_MAX + 64];
	snprintf(reason, sizeof(reason), "by the other side: %.*s", (int)m->body.size,
		 (const char *)m->body.data);
	transfer_fail(c, t, CLAWCHAT_PEER_REFUSED, reason);
}
