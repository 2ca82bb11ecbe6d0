#include "client/messages.h"

#include "core/text.h"

/* As they lie on the wire; zeros are checked, so that they can get a meaning later. */
struct text_head {
	uint8_t type;
	uint8_t zero[3];
	le64 id;
	le64 time_ms;
};

struct receipt_head {
	uint8_t type;
	uint8_t state;
	uint8_t zero[2];
	le64 id;
};

struct offer_head {
	uint8_t type;
	uint8_t zero[3];
	uint8_t transfer[TRANSFER_ID_SIZE];
	le64 size;
	uint8_t sha256[HASH_SIZE];
};

struct answer_head {
	uint8_t type;
	uint8_t is_accepted;
	uint8_t stream;
	uint8_t zero;
	uint8_t transfer[TRANSFER_ID_SIZE];
	le64 offset;
};

struct cancel_head {
	uint8_t type;
	uint8_t zero[3];
	uint8_t transfer[TRANSFER_ID_SIZE];
};

struct result_head {
	uint8_t type;
	uint8_t result;
	uint8_t zero[2];
	uint8_t transfer[TRANSFER_ID_SIZE];
};

struct chunk_head {
	uint8_t type;
	uint8_t zero[3];
	uint8_t transfer[TRANSFER_ID_SIZE];
	le64 offset;
};

_Static_assert(sizeof(struct text_head) == MESSAGE_TEXT_HEAD, "as in docs/protocol.md");
_Static_assert(sizeof(struct receipt_head) == 12, "as in docs/protocol.md");
_Static_assert(sizeof(struct offer_head) == 60, "as in docs/protocol.md");
_Static_assert(sizeof(struct answer_head) == 28, "as in docs/protocol.md");
_Static_assert(sizeof(struct cancel_head) == 20, "as in docs/protocol.md");
_Static_assert(sizeof(struct result_head) == 20, "as in docs/protocol.md");
_Static_assert(sizeof(struct chunk_head) == MESSAGE_CHUNK_HEAD, "as in docs/protocol.md");

union head {
	uint8_t type;
	struct text_head text;
	struct receipt_head receipt;
	struct offer_head offer;
	struct answer_head answer;
	struct cancel_head cancel;
	struct result_head result;
	struct chunk_head chunk;
};

/* Sizes by type: of the head, and what may follow it. */
static const struct shape {
	size_t head;
	size_t body_min;
	size_t body_max;
	bool is_text;
} SHAPES[] = {
	[MESSAGE_TEXT] = { sizeof(struct text_head), 1, MESSAGE_TEXT_MAX, true },
	[MESSAGE_RECEIPT] = { sizeof(struct receipt_head), 0, 0, true },
	[MESSAGE_FILE_OFFER] = { sizeof(struct offer_head), 1, FILE_NAME_SIZE_MAX, true },
	[MESSAGE_FILE_ANSWER] = { sizeof(struct answer_head), 0, 0, true },
	[MESSAGE_FILE_RESULT] = { sizeof(struct result_head), 0, MESSAGE_REASON_MAX, true },
	[MESSAGE_FILE_CANCEL] = { sizeof(struct cancel_head), 0, MESSAGE_REASON_MAX, true },
	[MESSAGE_FILE_CHUNK] = { sizeof(struct chunk_head), 1, MESSAGE_CHUNK_MAX, false },
};
enum { TYPES_END = sizeof SHAPES / sizeof SHAPES[0] };

/* NULL: no such type. */
static const struct shape *shape_of(unsigned type)
{
	return type < TYPES_END && SHAPES[type].head > 0 ? &SHAPES[type] : NULL;
}

/* Fit to be shown as it is. */
static bool is_safe_line(struct view text)
{
	uint32_t scalar = 0;

	while (text.size > 0) {
		size_t size = text_decode(text, &scalar);
		if (size == 0 || text_is_unsafe(scalar))
			return false;
		text = view_of(text.data + size, text.size - size);
	}
	return true;
}

static bool body_is_sound(const struct shape *shape, const struct message *m)
{
	if (m->body.size < shape->body_min || m->body.size > shape->body_max)
		return false;
	if (shape->is_text && !text_is_valid(m->body))
		return false;
	if (m->type == MESSAGE_FILE_OFFER)
		return file_name_is_clean(m->body);
	bool is_reason = m->type == MESSAGE_FILE_RESULT || m->type == MESSAGE_FILE_CANCEL;
	return !is_reason || is_safe_line(m->body);
}

static bool answer_is_sound(const struct message *m)
{
	if (!m->is_accepted)
		return m->stream == 0 && m->offset == 0;
	return m->stream >= 1 && m->stream < DELIVERY_STREAMS && m->offset <= FILE_SIZE_MAX;
}

/* What holds of the fields of every message, ours and theirs. */
static bool is_sound(const struct message *m)
{
	switch (m->type) {
	case MESSAGE_RECEIPT: return m->receipt == RECEIPT_DELIVERED || m->receipt == RECEIPT_READ;
	case MESSAGE_FILE_OFFER: return m->size <= FILE_SIZE_MAX;
	case MESSAGE_FILE_ANSWER: return answer_is_sound(m);
	case MESSAGE_FILE_RESULT: return m->result <= FILE_RESULT_FAILED;
	case MESSAGE_FILE_CHUNK: return m->offset <= FILE_SIZE_MAX - MESSAGE_CHUNK_MAX;
	default: return true;
	}
}

static void write_head(const struct message *m, union head *head)
{
	memset(head, 0, sizeof *head);
	switch (m->type) {
	case MESSAGE_TEXT:
		head->text.id = store_le64(m->id);
		head->text.time_ms = store_le64(m->time_ms);
		break;
	case MESSAGE_RECEIPT:
		head->receipt.id = store_le64(m->id);
		head->receipt.state = (uint8_t)m->receipt;
		break;
	case MESSAGE_FILE_OFFER:
		memcpy(head->offer.transfer, m->transfer, TRANSFER_ID_SIZE);
		head->offer.size = store_le64(m->size);
		memcpy(head->offer.sha256, m->sha256, HASH_SIZE);
		break;
	case MESSAGE_FILE_ANSWER:
		memcpy(head->answer.transfer, m->transfer, TRANSFER_ID_SIZE);
		head->answer.is_accepted = m->is_accepted;
		head->answer.stream = m->stream;
		head->answer.offset = store_le64(m->offset);
		break;
	case MESSAGE_FILE_RESULT:
		memcpy(head->result.transfer, m->transfer, TRANSFER_ID_SIZE);
		head->result.result = (uint8_t)m->result;
		break;
	case MESSAGE_FILE_CHUNK:
		memcpy(head->chunk.transfer, m->transfer, TRANSFER_ID_SIZE);
		head->chunk.offset = store_le64(m->offset);
		break;
	case MESSAGE_FILE_CANCEL:
		memcpy(head->cancel.transfer, m->transfer, TRANSFER_ID_SIZE);
		break;
	}
	head->type = (uint8_t)m->type;
}

/* The inverse. What it has no field for must be zero: checked by writing the head again. */
static void read_head(const union head *head, struct message *m)
{
	m->type = (enum message_type)head->type;
	switch (m->type) {
	case MESSAGE_TEXT:
		m->id = load_le64(head->text.id);
		m->time_ms = load_le64(head->text.time_ms);
		break;
	case MESSAGE_RECEIPT:
		m->id = load_le64(head->receipt.id);
		m->receipt = (enum receipt_state)head->receipt.state;
		break;
	case MESSAGE_FILE_OFFER:
		memcpy(m->transfer, head->offer.transfer, TRANSFER_ID_SIZE);
		m->size = load_le64(head->offer.size);
		memcpy(m->sha256, head->offer.sha256, HASH_SIZE);
		break;
	case MESSAGE_FILE_ANSWER:
		memcpy(m->transfer, head->answer.transfer, TRANSFER_ID_SIZE);
		m->is_accepted = head->answer.is_accepted == 1;
		m->stream = head->answer.stream;
		m->offset = load_le64(head->answer.offset);
		break;
	case MESSAGE_FILE_RESULT:
		memcpy(m->transfer, head->result.transfer, TRANSFER_ID_SIZE);
		m->result = (enum file_result)head->result.result;
		break;
	case MESSAGE_FILE_CHUNK:
		memcpy(m->transfer, head->chunk.transfer, TRANSFER_ID_SIZE);
		m->offset = load_le64(head->chunk.offset);
		break;
	case MESSAGE_FILE_CANCEL:
		memcpy(m->transfer, head->cancel.transfer, TRANSFER_ID_SIZE);
		break;
	}
}

size_t message_encode(const struct message *m, struct view_out out)
{
	const struct shape *shape = shape_of(m->type);
	union head head;

	if (shape == NULL || !is_sound(m) || !body_is_sound(shape, m))
		return 0;
	if (out.capacity < shape->head + m->body.size)
		return 0;
	write_head(m, &head);
	memcpy(out.data, &head, shape->head);
	if (m->body.size > 0)
		memcpy(out.data + shape->head, m->body.data, m->body.size);
	return shape->head + m->body.size;
}

bool message_decode(struct view bytes, struct message *m)
{
	const struct shape *shape = bytes.size > 0 ? shape_of(bytes.data[0]) : NULL;
	union head head, again;

	if (shape == NULL || bytes.size < shape->head)
		return false;
	memset(&head, 0, sizeof head);
	memcpy(&head, bytes.data, shape->head);
	memset(m, 0, sizeof *m);
	read_head(&head, m);
	m->body = view_of(bytes.data + shape->head, bytes.size - shape->head);
	write_head(m, &again);
	if (memcmp(&again, &head, shape->head) != 0)
		return false;
	return is_sound(m) && body_is_sound(shape, m);
}
