/* The sender of a file: hash, offer, chunks, result. */
#include <stdio.h>

#include "client/files_internal.h"

void transfer_hash(struct clawchat *c, struct transfer *t)
{
	enum transfer_progress progress = outgoing_hash(t->out);
	if (progress == TRANSFER_FAILED) {
		char reason[TRANSFER_REASON_SIZE];
		memcpy(reason, t->out->reason, sizeof(reason));
		transfer_fail(c, t, CLAWCHAT_IO, reason);
		return;
	}
	transfer_tell_progress(c, t, true);
	if (progress == TRANSFER_BUSY)
		return;
	t->out->done = 0;
	t->rate = t->rate_ns = 0;
	t->state = OUT_READY;
}

void transfer_offer(struct transfer *t, struct tunnel *tunnel)
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

void transfer_send_chunks(struct clawchat *c, struct transfer *t, struct tunnel *tunnel)
{
	for (unsigned i = 0; i < CHUNKS_PER_ROUND; i++) {
		struct message m;
		enum transfer_progress progress = outgoing_next(t->out, &m);
		if (progress == TRANSFER_FAILED) {
			char reason[TRANSFER_REASON_SIZE];
			memcpy(reason, t->out->reason, sizeof(reason));
			if (transfer_send_cancel(c, t, "the file was changed"))
				t->told_ns = 0;
			transfer_fail(c, t, CLAWCHAT_IO, reason);
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
	transfer_tell_progress(c, t, false);
}

void transfer_take_answer(struct clawchat *c, struct transfer *t, const struct message *m)
{
	if (t->state != OUT_OFFERED)
		return;
	if (!m->is_accepted) {
		transfer_fail(c, t, CLAWCHAT_PEER_REFUSED, "refused by the receiver");
		return;
	}
	t->stream = m->stream;
	outgoing_start(t->out, m->offset);
	t->resumed_from = t->out->done;
	t->rate = t->rate_ns = 0;
	t->state = OUT_SENDING;
}

void transfer_take_result(struct clawchat *c, struct transfer *t, const struct message *m)
{
	char reason[MESSAGE_REASON_MAX + 64];
	if (m->result == FILE_RESULT_OK) {
		struct clawchat_event event = { .type = CLAWCHAT_EVENT_FILE_DONE };
		memcpy(event.sha256, t->out->sha256, sizeof(event.sha256));
		t->out->done = t->out->size;
		transfer_tell(c, t, event);
		transfer_clear(t);
		return;
	}
	snprintf(reason, sizeof(reason), "at the receiver: %.*s",
		 m->body.size > 0 ? (int)m->body.size : 16,
		 m->body.size > 0 ? (const char *)m->body.data : "another SHA-256");
	transfer_fail(c, t, CLAWCHAT_IO, reason);
}
