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
#include <stdlib.h>

#include "client/files_internal.h"

/* ---- list ------------------------------------------------------------------------------- */

bool files_create(struct clawchat *c)
{
	c->files = calloc(1, sizeof(*c->files));
	return c->files != NULL;
}

void transfer_clear(struct transfer *t)
{
	outgoing_destroy(t->out);
	incoming_destroy(t->in);
	memset(t, 0, sizeof(*t));
}

void files_destroy(struct clawchat *c)
{
	for (size_t i = 0; c->files != NULL && i < TRANSFERS_MAX; i++)
		transfer_clear(&c->files->list[i]);
	free(c->files);
	c->files = NULL;
}

struct transfer *transfer_take_place(struct clawchat *c, const uint8_t peer[PEER_ID_SIZE])
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

const uint8_t *transfer_id(const struct transfer *t)
{
	if (t->out != NULL)
		return t->out->id;
	return t->in != NULL ? t->in->id : t->offer.transfer;
}

struct transfer *transfer_by_id(struct clawchat *c, const struct tunnel *tunnel,
				const uint8_t id[TRANSFER_ID_SIZE], bool is_outgoing)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (t->state != FREE && (t->out != NULL) == is_outgoing &&
		    memcmp(t->peer, tunnel->id, PEER_ID_SIZE) == 0 &&
		    memcmp(transfer_id(t), id, TRANSFER_ID_SIZE) == 0)
			return t;
	}
	return NULL;
}

bool transfer_is_of(const struct transfer *t, const struct tunnel *tunnel)
{
	return t->state != FREE && memcmp(t->peer, tunnel->id, PEER_ID_SIZE) == 0;
}

bool files_are_wanted(const struct clawchat *c, const struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		const struct transfer *t = &c->files->list[i];
		if (transfer_is_of(t, tunnel) && t->state != IN_OFFERED)
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

void transfer_tell(struct clawchat *c, const struct transfer *t, struct clawchat_event event)
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
				  t->in != NULL  ? t->in->name :
						   t->offer_name;
	events_put(c, &event);
}

void transfer_fail(struct clawchat *c, struct transfer *t, enum clawchat_result result,
		   const char *text)
{
	transfer_tell(c, t,
		      (struct clawchat_event){
			      .type = CLAWCHAT_EVENT_FILE_FAILED, .result = result, .text = text });
	transfer_clear(t);
}

void transfer_tell_progress(struct clawchat *c, struct transfer *t, bool is_hashing)
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
	transfer_tell(c, t,
		      (struct clawchat_event){ .type = CLAWCHAT_EVENT_FILE_PROGRESS,
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
	struct transfer *t = transfer_take_place(c, to->bytes);
	if (t == NULL)
		return client_error(error, CLAWCHAT_FAILED,
				    "%s: %d transfers are under way already", path, TRANSFERS_MAX);
	t->out = outgoing_create(path, &c->random, error);
	if (t->out == NULL)
		return error->result;
	if (tunnel_need(c, to->bytes) == NULL) {
		transfer_clear(t);
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
	t->has_no_storage = t->in == NULL;
	if (t->in == NULL)
		return error->result;
	t->resumed_from = t->in->resumed_from;
	t->state = IN_PREPARING;
	return CLAWCHAT_OK;
}

bool transfer_send_cancel(struct clawchat *c, const struct transfer *t, const char *why)
{
	struct tunnel *tunnel = tunnel_find(c, t->peer);
	struct message m = { .type = MESSAGE_FILE_CANCEL, .body = view_of(why, strlen(why)) };
	memcpy(m.transfer, transfer_id(t), sizeof(m.transfer));
	return tunnel != NULL && tunnel_is_up(tunnel) && tunnel_send(tunnel, 0, &m);
}

static bool send_refusal(struct clawchat *c, const struct transfer *t)
{
	struct tunnel *tunnel = tunnel_find(c, t->peer);
	struct message m = { .type = MESSAGE_FILE_ANSWER };
	memcpy(m.transfer, t->offer.transfer, sizeof(m.transfer));
	return tunnel != NULL && tunnel_send(tunnel, 0, &m);
}

void clawchat_refuse_file(struct clawchat *c, uint32_t number)
{
	struct transfer *t = by_number(c, number);
	if (t == NULL || t->state != IN_OFFERED)
		return;
	/* Unsent, it stays an offer without an answer: the sender offers it again some day. */
	if (!(t->has_no_storage ? transfer_send_cancel(c, t, "it cannot be stored there") :
				  send_refusal(c, t)))
		t->told_ns = 0;
	transfer_clear(t);
}

void clawchat_cancel_file(struct clawchat *c, uint32_t number)
{
	struct transfer *t = by_number(c, number);
	if (t == NULL)
		return;
	if (!transfer_send_cancel(c, t, "cancelled by the user"))
		t->told_ns = 0; /* the other side finds out when it is asked again */
	transfer_fail(c, t, CLAWCHAT_FAILED, "cancelled");
}

/* ---- rounds ----------------------------------------------------------------------------- */

void files_take(struct clawchat *c, struct tunnel *tunnel, uint16_t stream, const struct message *m)
{
	bool is_of_sender = m->type == MESSAGE_FILE_ANSWER || m->type == MESSAGE_FILE_RESULT;
	bool is_chunk = m->type == MESSAGE_FILE_CHUNK;
	if (is_chunk != (stream != 0))
		return;
	if (m->type == MESSAGE_FILE_OFFER) {
		transfer_take_offer(c, tunnel, m);
		return;
	}
	struct transfer *t = transfer_by_id(c, tunnel, m->transfer, is_of_sender);
	if (t == NULL && m->type == MESSAGE_FILE_CANCEL)
		t = transfer_by_id(c, tunnel, m->transfer, true);
	if (t == NULL)
		return;
	if (m->type == MESSAGE_FILE_ANSWER)
		transfer_take_answer(c, t, m);
	else if (m->type == MESSAGE_FILE_RESULT)
		transfer_take_result(c, t, m);
	else if (is_chunk)
		transfer_take_chunk(c, tunnel, t, m);
	else if (m->type == MESSAGE_FILE_CANCEL)
		transfer_take_cancel(c, t, m);
}

void files_advance(struct clawchat *c, struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (!transfer_is_of(t, tunnel))
			continue;
		if (t->state == OUT_HASHING)
			transfer_hash(c, t);
		else if (t->state == IN_PREPARING)
			transfer_prepare(c, t);
		if (!tunnel_is_up(tunnel))
			continue;
		if (t->state == OUT_READY)
			transfer_offer(t, tunnel);
		else if (t->state == OUT_SENDING)
			transfer_send_chunks(c, t, tunnel);
		else if (t->state == IN_ANSWER)
			transfer_answer(c, t, tunnel);
	}
}

void files_restart(struct clawchat *c, struct tunnel *tunnel)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++) {
		struct transfer *t = &c->files->list[i];
		if (!transfer_is_of(t, tunnel))
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
