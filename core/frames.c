#include "core/frames.h"

#include <assert.h>

_Static_assert((RELIABLE_QUEUE & (RELIABLE_QUEUE - 1)) == 0,
	       "a sequence number is an index also where it wraps");
_Static_assert(FRAME_HEAD + (int)sizeof(le32) + RELIABLE_BODY_MAX <= PLAIN_SIZE_MAX,
	       "every reliable frame fits an empty packet");

/* Bytes of body that a type must have, after the sequence number; 0 for types that are kept for
 * later: they pass, so that the receiver can acknowledge what it does not know. */
static size_t body_size_min(enum frame_type type)
{
	switch (type) {
	case FRAME_ACK: return sizeof(struct wire_ack);
	case FRAME_PING: return sizeof(struct wire_ping);
	case FRAME_PONG: return sizeof(struct wire_pong);
	case FRAME_PATH_CHALLENGE: return sizeof(struct wire_path);
	case FRAME_PATH_RESPONSE: return sizeof(struct wire_path);
	case FRAME_PEERS_GET: return sizeof(struct wire_peers_get);
	case FRAME_PEERS: return sizeof(struct wire_peers);
	case FRAME_FIND: return sizeof(struct wire_find);
	case FRAME_FOUND: return sizeof(struct wire_found);
	case FRAME_OPEN: return sizeof(struct wire_open);
	case FRAME_OFFER: return sizeof(struct wire_offer);
	case FRAME_ACCEPT: return sizeof(struct wire_channel);
	case FRAME_REFUSE: return sizeof(struct wire_channel_reason);
	case FRAME_OPENED: return sizeof(struct wire_opened);
	case FRAME_OPEN_FAILED: return sizeof(struct wire_open_failed);
	case FRAME_CLOSE: return sizeof(struct wire_channel);
	case FRAME_GONE: return sizeof(struct wire_channel_reason);
	case FRAME_GOODBYE: return sizeof(struct wire_goodbye);
	case FRAME_PORT_NEXT: return sizeof(struct wire_port_next);
	case FRAME_REKEY_1:
	case FRAME_REKEY_2: return sizeof(struct wire_rekey);
	case FRAME_ENROL_OFFER:
	case FRAME_SCHEDULE: return sizeof(struct wire_schedule);
	case FRAME_ENROL_DONE: return sizeof(struct wire_enrol_done);
	case FRAME_BURN: return sizeof(struct wire_burn);
	case FRAME_BURN_ACK: return sizeof(struct wire_burn_ack);
	default: return 0;
	}
}

/* The lists behind PEERS and FOUND are there in full; `body` holds the fixed struct. */
static bool has_whole_list(enum frame_type type, struct view body)
{
	if (type == FRAME_PEERS) {
		const struct wire_peers *head = (const void *)body.data;
		return head->count <= PEERS_PER_FRAME_MAX &&
		       body.size - sizeof(*head) >= head->count * sizeof(struct wire_peer_entry);
	}
	if (type == FRAME_FOUND) {
		const struct wire_found *head = (const void *)body.data;
		return head->count <= FIND_RESULTS_MAX &&
		       body.size - sizeof(*head) >= (size_t)head->count * PEER_ID_SIZE;
	}
	return true;
}

static bool is_control_type(uint8_t type)
{
	return type != FRAME_DATA && type <= FRAME_TYPE_LAST;
}

enum frame_status frame_next(struct view *plain, struct frame *out)
{
	if (plain->size == 0 || plain->data[0] == FRAME_END)
		return FRAME_NONE_LEFT;
	if (plain->size < FRAME_HEAD || !is_control_type(plain->data[0]))
		return FRAME_MALFORMED;

	const struct wire_frame *head = (const void *)plain->data;
	struct view body = view_of(plain->data + FRAME_HEAD, load_le16(head->size));
	if (body.size > plain->size - FRAME_HEAD || body.size > FRAME_BODY_MAX)
		return FRAME_MALFORMED;
	*plain = view_of(body.data + body.size, plain->size - FRAME_HEAD - body.size);

	*out = (struct frame){ .type = (enum frame_type)head->type };
	if (frame_is_reliable(out->type)) {
		le32 sequence;
		if (body.size < sizeof(sequence))
			return FRAME_MALFORMED;
		memcpy(&sequence, body.data, sizeof(sequence));
		out->sequence = load_le32(sequence);
		body = view_of(body.data + sizeof(sequence), body.size - sizeof(sequence));
	}
	if (body.size < body_size_min(out->type) || !has_whole_list(out->type, body))
		return FRAME_MALFORMED;
	out->body = body;
	return FRAME_READ;
}

/* A frame whose body is two parts, of which either may be empty. */
static bool put(struct frame_writer *w, enum frame_type type, struct view first, struct view second)
{
	size_t body_size = first.size + second.size;
	assert(is_control_type((uint8_t)type) && type != FRAME_END);
	assert(w->size <= w->capacity);
	if (body_size > FRAME_BODY_MAX || w->capacity - w->size < FRAME_HEAD + body_size)
		return false;

	struct wire_frame head = { .type = (uint8_t)type, .size = store_le16((uint16_t)body_size) };
	uint8_t *at = w->data + w->size;
	memcpy(at, &head, FRAME_HEAD);
	at += FRAME_HEAD;
	if (first.size > 0)
		memcpy(at, first.data, first.size);
	if (second.size > 0)
		memcpy(at + first.size, second.data, second.size);
	w->size += FRAME_HEAD + body_size;
	return true;
}

bool frame_put(struct frame_writer *w, enum frame_type type, struct view body)
{
	return put(w, type, body, view_of(NULL, 0));
}

size_t frame_pad(struct frame_writer *w)
{
	size_t padded = wire_padded_size(w->size);
	if (padded > w->capacity)
		padded = w->capacity;
	if (padded > w->size) {
		memset(w->data + w->size, 0, padded - w->size);
		w->size = padded;
	}
	return w->size;
}

/* ---- repetition ------------------------------------------------------------------------ */

static struct reliable_entry *entry_of(struct reliable_sender *s, uint32_t sequence)
{
	return &s->entries[sequence % RELIABLE_QUEUE];
}

void reliable_init(struct reliable_sender *s, uint32_t first)
{
	*s = (struct reliable_sender){ .first = first, .repeat_ns = NEVER };
}

bool reliable_put(struct reliable_sender *s, enum frame_type type, struct view body)
{
	assert(frame_is_reliable(type));
	if (s->count == RELIABLE_QUEUE || body.size > RELIABLE_BODY_MAX)
		return false;

	struct reliable_entry *entry = entry_of(s, s->first + s->count);
	entry->type = type;
	entry->size = (uint16_t)body.size;
	if (body.size > 0)
		memcpy(entry->body, body.data, body.size);
	s->count++;
	s->unsent++;
	return true;
}

void reliable_acknowledge(struct reliable_sender *s, uint32_t next, uint64_t now_ns)
{
	uint32_t acknowledged = next - s->first; /* wraps for an old ACK: then above count */
	if (acknowledged == 0 || acknowledged > s->count)
		return;

	/* Bodies can hold keys. */
	for (uint32_t i = 0; i < acknowledged; i++)
		bytes_wipe(entry_of(s, s->first + i), sizeof(struct reliable_entry));
	s->first = next;
	s->count -= acknowledged;
	s->tries = 0;
	if (s->unsent > s->count)
		s->unsent = s->count;
	s->repeat_ns = s->count > s->unsent ? now_ns + RELIABLE_FIRST_NS : NEVER;
}

static uint64_t repeat_after_ns(uint32_t tries)
{
	uint64_t wait_ns = RELIABLE_FIRST_NS;
	for (uint32_t i = 0; i < tries && wait_ns < RELIABLE_LAST_NS; i++)
		wait_ns *= 2;
	return earliest(wait_ns, RELIABLE_LAST_NS);
}

unsigned reliable_write(struct reliable_sender *s, struct frame_writer *w, uint64_t now_ns)
{
	if (s->repeat_ns != NEVER && now_ns >= s->repeat_ns) {
		s->tries++;
		s->unsent = s->count;
		s->repeat_ns = NEVER;
	}
	if (reliable_is_dead(s))
		return 0;

	unsigned written = 0;
	while (s->unsent > 0) {
		uint32_t sequence = s->first + s->count - s->unsent;
		const struct reliable_entry *entry = entry_of(s, sequence);
		le32 prefix = store_le32(sequence);
		if (!put(w, entry->type, VIEW(prefix.b), view_of(entry->body, entry->size)))
			break;
		s->unsent--;
		written++;
	}
	if (written > 0 && s->repeat_ns == NEVER)
		s->repeat_ns = now_ns + repeat_after_ns(s->tries);
	return written;
}

uint64_t reliable_deadline(const struct reliable_sender *s)
{
	if (reliable_is_dead(s))
		return NEVER;
	return s->unsent > 0 ? 0 : s->repeat_ns;
}

bool reliable_is_dead(const struct reliable_sender *s)
{
	return s->tries > RELIABLE_TRIES_MAX;
}

bool reliable_accept(struct reliable_receiver *r, uint32_t sequence)
{
	r->is_ack_due = true;
	if (sequence != r->next)
		return false;
	r->next++;
	return true;
}
