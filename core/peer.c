#include "core/peer_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "core/door.h"
#include "core/hello.h"

/* ---- making and ending ----------------------------------------------------------------- */

/* The relay knows both ids, so this hides handshakes from everyone but the relay. */
static void derive_door(struct peer *p)
{
	bool is_lower = memcmp(p->self->id, p->remote_id, PEER_ID_SIZE) < 0;
	const char *const labels[2][2] = {
		{ "ClawChat/3 a2b header", "ClawChat/3 a2b handshake" },
		{ "ClawChat/3 b2a header", "ClawChat/3 b2a handshake" },
	};
	const char *const *sent = labels[is_lower ? 0 : 1];
	const char *const *received = labels[is_lower ? 1 : 0];
	uint8_t ids[2][PEER_ID_SIZE], prk[HASH_SIZE], mask_key[MASK_KEY_SIZE];
	struct view none = { 0 };

	memcpy(ids[is_lower ? 0 : 1], p->self->id, PEER_ID_SIZE);
	memcpy(ids[is_lower ? 1 : 0], p->remote_id, PEER_ID_SIZE);
	hkdf_extract(VIEW_STRING("ClawChat/3 peer door"), VIEW(ids), prk);
	hkdf_label(prk, sent[0], none, mask_key, sizeof mask_key);
	mask_set_key(p->hide, mask_key);
	hkdf_label(prk, received[0], none, mask_key, sizeof mask_key);
	mask_set_key(p->show, mask_key);
	hkdf_label(prk, sent[1], none, p->send_key, sizeof p->send_key);
	hkdf_label(prk, received[1], none, p->receive_key, sizeof p->receive_key);
	bytes_wipe(mask_key, sizeof mask_key);
	bytes_wipe(prk, sizeof prk);
}

/* False: out of memory; peer_destroy() takes what there is. */
static bool allocate(struct peer *p, const struct packet_cipher *cipher)
{
	bool is_complete = true;

	p->keys = key_cache_create(cipher, PEER_KEYS_EXPANDED);
	p->hide = mask_create(MASK_HIDE);
	p->show = mask_create(MASK_SHOW);
	for (size_t i = 0; i < PEER_TUNNELS; i++) {
		p->tunnels[i].hide = mask_create(MASK_HIDE);
		p->tunnels[i].show = mask_create(MASK_SHOW);
		is_complete &= p->tunnels[i].hide != NULL && p->tunnels[i].show != NULL;
	}
	return is_complete && p->keys != NULL && p->hide != NULL && p->show != NULL;
}

struct peer *peer_create(const struct peer_config *config)
{
	struct peer *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->self = config->self;
	p->random = config->random;
	p->renew_ns = NEVER;
	memcpy(p->remote_id, config->remote_id, PEER_ID_SIZE);
	if (config->pin != NULL) {
		assert(config->pin->psk_count <= PEER_PSKS_MAX);
		p->pin = *config->pin;
		p->has_pin = true;
	}
	if (!allocate(p, config->cipher)) {
		peer_destroy(p);
		return NULL;
	}
	derive_door(p);
	peer_sign(p);
	return p;
}

void peer_destroy(struct peer *p)
{
	if (p == NULL)
		return;
	key_cache_destroy(p->keys);
	mask_destroy(p->hide);
	mask_destroy(p->show);
	for (size_t i = 0; i < PEER_TUNNELS; i++) {
		mask_destroy(p->tunnels[i].hide);
		mask_destroy(p->tunnels[i].show);
	}
	bytes_wipe(p, sizeof *p);
	free(p);
}

/* ---- tunnels --------------------------------------------------------------------------- */

static struct peer_tunnel *free_tunnel(struct peer *p)
{
	for (size_t i = 0; i < PEER_TUNNELS; i++)
		if (!p->tunnels[i].is_live)
			return &p->tunnels[i];
	assert(false); /* current, previous and pending are all there are */
	return NULL;
}

struct peer_tunnel *peer_tunnel_open(struct peer *p, const struct noise_result *keys,
				     bool is_initiator)
{
	struct peer_tunnel *tunnel = free_tunnel(p);
	uint8_t forward[MASK_KEY_SIZE], back[MASK_KEY_SIZE];
	struct view none = { 0 };
	le32 generation;

	memcpy(&generation, keys->hash, sizeof generation);
	session_init(&tunnel->session, (struct session_id){ .generation = load_le32(generation) },
		     keys);
	hkdf_label(keys->exporter, "ClawChat/3 peer i2r header", none, forward, sizeof forward);
	hkdf_label(keys->exporter, "ClawChat/3 peer r2i header", none, back, sizeof back);
	mask_set_key(tunnel->hide, is_initiator ? forward : back);
	mask_set_key(tunnel->show, is_initiator ? back : forward);
	bytes_wipe(forward, sizeof forward);
	bytes_wipe(back, sizeof back);
	tunnel->is_live = true;
	tunnel->is_initiator = is_initiator;
	tunnel->is_confirmed = false;
	return tunnel;
}

void peer_tunnel_close(struct peer *p, struct peer_tunnel **tunnel)
{
	if (*tunnel == NULL)
		return;
	key_cache_erase(p->keys, &(*tunnel)->session);
	session_fini(&(*tunnel)->session);
	(*tunnel)->is_live = false;
	*tunnel = NULL;
}

void peer_tunnel_use(struct peer *p, struct peer_tunnel *tunnel, uint64_t now_ns)
{
	peer_tunnel_close(p, &p->previous);
	p->previous = p->current;
	p->retire_ns = now_ns + EPOCH_OVERLAP_NS;
	p->current = tunnel;
	p->renew_ns = now_ns + PEER_KEYS_AGE_NS;
	p->renew_floor_ns = now_ns;
}

static bool keys_are_worn(const struct session *s)
{
	return load_relaxed(&s->send_counter) >= EPOCH_PACKETS_SOFT ||
	       load_relaxed(&s->highest_received) >= EPOCH_PACKETS_SOFT ||
	       load_relaxed(&s->tx_bytes) >= EPOCH_BYTES_SOFT ||
	       load_relaxed(&s->rx_bytes) >= EPOCH_BYTES_SOFT ||
	       load_relaxed(&s->forgeries) >= EPOCH_FORGERIES_MAX;
}

/* The initiator sees both directions, so the other side need not begin anything. */
static void watch_keys(struct peer *p)
{
	if (p->current->is_initiator && keys_are_worn(&p->current->session) &&
	    p->renew_ns > p->renew_floor_ns)
		p->renew_ns = p->renew_floor_ns;
}

bool peer_is_secure(const struct peer *p)
{
	return p->current != NULL;
}

/* ---- events ---------------------------------------------------------------------------- */

struct peer_event *peer_event_push(struct peer *p, enum peer_event_type type)
{
	if (p->event_count == PEER_EVENTS_MAX) {
		p->event_first = (p->event_first + 1) % PEER_EVENTS_MAX;
		p->event_count--;
	}
	size_t at = (p->event_first + p->event_count++) % PEER_EVENTS_MAX;
	p->events[at] = (struct peer_event){ .type = type };
	return &p->events[at];
}

bool peer_next_event(struct peer *p, struct peer_event *event)
{
	if (p->event_count == 0)
		return false;
	*event = p->events[p->event_first];
	bytes_wipe(&p->events[p->event_first], sizeof *event);
	p->event_first = (p->event_first + 1) % PEER_EVENTS_MAX;
	p->event_count--;
	return true;
}

void peer_refuse(struct peer *p, enum peer_refusal refusal)
{
	if (p->has_told_refusal)
		return;
	p->has_told_refusal = true;
	peer_event_push(p, PEER_EVENT_REFUSED)->refusal = refusal;
}

void peer_adopt(struct peer *p, const struct peer_outcome *outcome)
{
	struct peer_event *event = peer_event_push(p, PEER_EVENT_SECURE);

	p->pin = outcome->pin;
	p->has_pin = true;
	p->has_settled = true;
	event->pin = outcome->pin;
	event->is_first_contact = outcome->is_first_contact;
	memcpy(event->instance, outcome->instance, sizeof event->instance);
	memcpy(event->name, outcome->name, sizeof event->name);
}

/* ---- calling --------------------------------------------------------------------------- */

void peer_begin(struct peer *p, bool is_initiator, uint64_t now_ns)
{
	struct peer_call *call = &p->call;

	p->has_told_refusal = false;
	p->has_settled = false;
	if (is_initiator && call->stage == CALL_CONFIRMING && call->pattern == PEER_PATTERN_XX) {
		/* Over another channel now. The other may be waiting for message 3 still; it would
		 * not know us if we began anew. */
		call->confirms = 0;
		call->tries = 0;
		call->backoff_ns = PEER_RETRY_NS;
		call->retry_ns = now_ns;
		return;
	}
	peer_call_stop(p);
	if (is_initiator)
		peer_call_start(p, now_ns);
}

void peer_forget_pin(struct peer *p)
{
	bytes_wipe(&p->pin, sizeof p->pin);
	p->has_pin = false;
	peer_call_stop(p);
	peer_answer_stop(p);
	p->renew_ns = NEVER;
}

static void give_up(struct peer *p, uint64_t now_ns)
{
	peer_call_stop(p);
	peer_event_push(p, PEER_EVENT_FAILED);
	p->renew_floor_ns = now_ns + PEER_KEYS_PAUSE_NS;
	if (p->current != NULL)
		p->renew_ns = p->renew_floor_ns;
}

/* Time to repeat what was not answered. */
static void repeat_call(struct peer *p, uint64_t now_ns)
{
	struct peer_call *call = &p->call;
	bool is_known = call->pattern == PEER_PATTERN_IKPSK2;

	if (call->stage == CALL_CONFIRMING && is_known && call->confirms == PEER_CONFIRM_TRIES)
		peer_call_start(p, now_ns);
	if (call->stage == CALL_IDLE)
		return;
	bool is_waiting = call->stage == CALL_WAITING;
	if ((is_waiting ? call->tries : call->confirms) == PEER_HANDSHAKE_TRIES) {
		give_up(p, now_ns);
		return;
	}
	*(is_waiting ? &call->tries : &call->confirms) += 1;
	call->is_message_due = is_waiting || !is_known;
	call->is_confirm_due = !is_waiting;
	call->retry_ns = now_ns + call->backoff_ns;
	call->backoff_ns = earliest(2 * call->backoff_ns, PEER_RETRY_LAST_NS);
}

static void do_what_time_demands(struct peer *p, uint64_t now_ns)
{
	if (p->previous != NULL && now_ns >= p->retire_ns)
		peer_tunnel_close(p, &p->previous);
	if (p->current != NULL && p->current->is_initiator && p->call.stage == CALL_IDLE &&
	    now_ns >= p->renew_ns) {
		p->renew_ns = NEVER;
		peer_call_start(p, now_ns);
	}
	if (p->call.stage != CALL_IDLE && now_ns >= p->call.retry_ns)
		repeat_call(p, now_ns);
}

static bool has_something_due(const struct peer *p)
{
	return p->answer.is_refusal_due || p->answer.is_message_due || p->answer.is_confirm_due ||
	       p->call.is_message_due || p->call.is_confirm_due;
}

uint64_t peer_deadline(const struct peer *p)
{
	uint64_t deadline = NEVER;

	if (has_something_due(p))
		return 0;
	if (p->previous != NULL)
		deadline = p->retire_ns;
	if (p->call.stage != CALL_IDLE)
		return earliest(deadline, p->call.retry_ns);
	if (p->current != NULL && p->current->is_initiator)
		deadline = earliest(deadline, p->renew_ns);
	return deadline;
}

/* ---- out ------------------------------------------------------------------------------- */

size_t peer_seal(struct peer *p, enum peer_frame type, uint8_t *blob, size_t body_size)
{
	struct wire_peer_frame head = {
		.type = (uint8_t)type,
		.size = store_le16((uint16_t)body_size),
	};
	uint8_t *plain = blob + WIRE_HEADER_SIZE;

	if (p->current == NULL || body_size > PEER_BODY_MAX)
		return 0;
	/* So that the DATA frame that carries it needs no padding of its own. */
	size_t used = PEER_FRAME_HEAD + body_size;
	size_t padded = wire_padded_size(used + WIRE_OVERHEAD + DATA_FRAME_HEAD);
	size_t plain_size = padded - WIRE_OVERHEAD - DATA_FRAME_HEAD;
	assert(plain_size >= used && plain_size <= PEER_PLAIN_MAX);
	memcpy(plain, &head, sizeof head);
	memset(plain + used, 0, plain_size - used);
	if (!session_seal(&p->current->session, p->keys, p->current->hide, blob, plain_size))
		return 0;
	watch_keys(p);
	return plain_size + WIRE_OVERHEAD;
}

static size_t seal_refusal(struct peer *p, uint8_t *out)
{
	struct peer_message message = { .pattern = PEER_PATTERN_NONE };

	memcpy(message.psk_ids, p->answer.refused, sizeof message.psk_ids);
	return peer_message_seal(p, WIRE_PEER_2, &message, out);
}

static bool take(bool *flag)
{
	bool was_set = *flag;

	*flag = false;
	return was_set;
}

bool peer_output(struct peer *p, uint64_t now_ns, struct view_out out, size_t *size)
{
	assert(out.capacity >= BLOB_SIZE_MAX);

	do_what_time_demands(p, now_ns);
	enum wire_kind kind = p->call.stage == CALL_WAITING ? WIRE_PEER_1 : WIRE_PEER_3;
	*size = 0;
	if (take(&p->answer.is_refusal_due))
		*size = seal_refusal(p, out.data);
	else if (take(&p->answer.is_message_due))
		*size = peer_message_seal(p, WIRE_PEER_2, &p->answer.message, out.data);
	else if (take(&p->call.is_message_due))
		*size = peer_message_seal(p, kind, &p->call.message, out.data);
	else if (take(&p->call.is_confirm_due) || take(&p->answer.is_confirm_due))
		*size = peer_seal(p, PEER_FRAME_NONE, out.data, 0);
	return *size > 0;
}

/* ---- in -------------------------------------------------------------------------------- */

static void confirm_pin(struct peer *p)
{
	if (!p->pin.is_tentative)
		return;
	p->pin.is_tentative = false;
	peer_event_push(p, PEER_EVENT_CONFIRMED)->pin = p->pin;
}

/* The first packet under keys of ours: the other end has them too. */
static void confirm(struct peer *p, struct peer_tunnel *tunnel, uint64_t now_ns)
{
	tunnel->is_confirmed = true;
	if (tunnel == p->pending) {
		p->pending = NULL;
		peer_call_stop(p);
		peer_tunnel_use(p, tunnel, now_ns);
		peer_adopt(p, &p->answer.outcome);
		peer_answer_stop(p);
		p->answer.is_confirm_due = true;
	} else if (tunnel == p->current && p->call.stage == CALL_CONFIRMING) {
		peer_call_stop(p);
		confirm_pin(p);
	}
}

static enum peer_frame read_frame(struct view plain, struct view *body)
{
	struct wire_peer_frame head;

	if (plain.size < sizeof head)
		return PEER_FRAME_NONE;
	memcpy(&head, plain.data, sizeof head);
	size_t size = load_le16(head.size);
	if (head.zero != 0 || size > plain.size - sizeof head)
		return PEER_FRAME_NONE;
	*body = view_of(plain.data + sizeof head, size);
	bool is_known = head.type == PEER_FRAME_SCTP || head.type == PEER_FRAME_DATAGRAM;
	return is_known ? (enum peer_frame)head.type : PEER_FRAME_NONE;
}

/* False: it is not of this tunnel. */
static bool tunnel_input(struct peer *p, struct peer_tunnel *tunnel, struct view blob,
			 uint64_t now_ns, struct view *plain)
{
	struct wire_data_header header;

	if (tunnel == NULL)
		return false;
	memcpy(&header, blob.data, sizeof header);
	mask_blocks(tunnel->show, (uint8_t *)&header, 1);
	if (session_open(&tunnel->session, p->keys, &header, blob, plain, now_ns) != PKT_IDLE)
		return false;
	if (!tunnel->is_confirmed)
		confirm(p, tunnel, now_ns);
	return true;
}

static void handshake_input(struct peer *p, uint8_t *blob, size_t size, uint64_t now_ns)
{
	struct wire_handshake_header header;
	struct peer_letter letter;
	struct view plain;

	memcpy(&header, blob, sizeof header);
	mask_blocks(p->show, (uint8_t *)&header, 1);
	unsigned kind = wire_kind((const uint8_t *)&header);
	if (header.first != wire_first((enum wire_kind)kind, 0))
		return;
	if (kind != WIRE_PEER_1 && kind != WIRE_PEER_2 && kind != WIRE_PEER_3)
		return;
	if (!door_open(p->receive_key, &header, blob, size, &plain) ||
	    !peer_letter_read(plain, &letter))
		return;
	if (kind == WIRE_PEER_1)
		peer_letter_1(p, &letter, now_ns);
	else if (kind == WIRE_PEER_2)
		peer_letter_2(p, &letter, now_ns);
	else
		peer_letter_3(p, &letter, now_ns);
}

enum peer_frame peer_input(struct peer *p, uint8_t *blob, size_t size, uint64_t now_ns,
			   struct view *body)
{
	struct peer_tunnel *const order[] = { p->current, p->previous, p->pending };
	struct view plain;

	*body = view_of(NULL, 0);
	if (size < WIRE_SIZE_MIN || size > BLOB_SIZE_MAX)
		return PEER_FRAME_NONE;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (!tunnel_input(p, order[i], view_of(blob, size), now_ns, &plain))
			continue;
		/* An initiator that asks whether we have the keys. */
		bool is_empty = plain.size > 0 && plain.data[0] == PEER_FRAME_NONE;
		if (is_empty && order[i] == p->current && !p->current->is_initiator)
			p->answer.is_confirm_due = true;
		watch_keys(p);
		return read_frame(plain, body);
	}
	handshake_input(p, blob, size, now_ns);
	return PEER_FRAME_NONE;
}
