/*
 * A TURN server (RFC 8656), as far as a load needs it: Allocate without authentication,
 * ChannelBind, ChannelData. Network byte order throughout.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bench/target.h"
#include "core/instant.h"

enum {
	ALLOCATE = 0x0003,
	CHANNEL_BIND = 0x0009,
	IS_SUCCESS = 0x0100,
	XOR_PEER_ADDRESS = 0x0012,
	XOR_RELAYED_ADDRESS = 0x0016,
	REQUESTED_TRANSPORT = 0x0019,
	CHANNEL_NUMBER = 0x000c,
	HEADER_SIZE = 20,
	ATTRIBUTE_HEAD = 4,
	TRANSACTION_SIZE = 12,
	TRANSPORT_UDP = 17,
	FAMILY_IPV4 = 1,
	CHANNEL = 0x4000, /* the first there is; one per client suffices */
	CHANNEL_HEAD = 4,
	MESSAGE_MAX = 64,
	IPV4_OFFSET = 12, /* in struct address */
};
static const uint32_t MAGIC = 0x2112a442;

struct message {
	uint8_t bytes[MESSAGE_MAX];
	size_t size;
};

static void put16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof(value));
	return ntohs(value);
}

/* ---- messages ---------------------------------------------------------------------------- */

static void begin(struct message *m, uint16_t type, uint32_t transaction)
{
	*m = (struct message){ .size = HEADER_SIZE };
	put16(m->bytes, type);
	put32(m->bytes + 4, MAGIC);
	put32(m->bytes + 8, transaction);
}

/* Values here are multiples of 4 long. */
static void add(struct message *m, uint16_t type, const uint8_t *value, uint16_t size)
{
	put16(m->bytes + m->size, type);
	put16(m->bytes + m->size + 2, size);
	memcpy(m->bytes + m->size + ATTRIBUTE_HEAD, value, size);
	m->size += (size_t)ATTRIBUTE_HEAD + size;
	put16(m->bytes + 2, (uint16_t)(m->size - HEADER_SIZE));
}

static void add_address(struct message *m, uint16_t type, const struct address *a)
{
	uint8_t value[8] = { 0, FAMILY_IPV4 };
	uint32_t ip;
	memcpy(&ip, a->ip + IPV4_OFFSET, sizeof(ip));
	put16(value + 2, (uint16_t)(a->port ^ MAGIC >> 16));
	put32(value + 4, ntohl(ip) ^ MAGIC);
	add(m, type, value, sizeof(value));
}

static bool find_address(const uint8_t *bytes, size_t size, uint16_t type, struct address *out)
{
	for (size_t at = HEADER_SIZE; at + ATTRIBUTE_HEAD <= size;) {
		size_t length = get16(bytes + at + 2);
		const uint8_t *value = bytes + at + ATTRIBUTE_HEAD;
		if (at + ATTRIBUTE_HEAD + length > size)
			return false;
		if (get16(bytes + at) == type && length == 8 && value[1] == FAMILY_IPV4) {
			uint32_t ip;
			memcpy(&ip, value + 4, sizeof(ip));
			ip = htonl(ntohl(ip) ^ MAGIC);
			*out = address_v4(0, 0, 0, 0, (uint16_t)(get16(value + 2) ^ MAGIC >> 16));
			memcpy(out->ip + IPV4_OFFSET, &ip, sizeof(ip));
			return true;
		}
		at += ATTRIBUTE_HEAD + (length + 3) / 4 * 4;
	}
	return false;
}

/* ---- set-up ------------------------------------------------------------------------------ */

struct question {
	const struct message *request;
	struct address relayed;
};

static bool is_success(void *state, const struct arrival *a)
{
	struct question *q = state;
	if (a->size < HEADER_SIZE || get16(a->data) != (get16(q->request->bytes) | IS_SUCCESS) ||
	    memcmp(a->data + 8, q->request->bytes + 8, TRANSACTION_SIZE) != 0)
		return false;
	return get16(q->request->bytes) != ALLOCATE ||
	       find_address(a->data, a->size, XOR_RELAYED_ADDRESS, &q->relayed);
}

static bool ask(struct other *o, uint32_t socket, const struct message *m, struct address *relayed)
{
	struct question q = { .request = m };
	if (!other_ask(o, socket, view_of(m->bytes, m->size), is_success, &q))
		return false;
	if (relayed != NULL)
		*relayed = q.relayed;
	return true;
}

static bool allocate(struct other *o, uint32_t socket, struct address *relayed)
{
	static const uint8_t transport[4] = { TRANSPORT_UDP };
	struct message m;
	begin(&m, ALLOCATE, socket + 1);
	add(&m, REQUESTED_TRANSPORT, transport, sizeof(transport));
	return ask(o, socket, &m, relayed);
}

static bool bind_channel(struct other *o, uint32_t socket, const struct address *peer)
{
	uint8_t number[4] = { CHANNEL >> 8, CHANNEL & 0xff };
	struct message m;
	begin(&m, CHANNEL_BIND, UINT32_MAX - socket);
	add(&m, CHANNEL_NUMBER, number, sizeof(number));
	add_address(&m, XOR_PEER_ADDRESS, peer);
	return ask(o, socket, &m, NULL);
}

static bool set_up_pair(struct other *o, uint32_t pair)
{
	uint32_t a = 2 * pair, b = 2 * pair + 1;
	struct address at_a, at_b;
	if (!allocate(o, a, &at_a))
		return false;
	if (!address_is_set(&o->config.sink_local))
		return allocate(o, b, &at_b) && bind_channel(o, a, &at_b) &&
		       bind_channel(o, b, &at_a);
	at_b = sockets_local(o->sockets, b);
	return bind_channel(o, a, &at_b);
}

/* ---- load -------------------------------------------------------------------------------- */

static void turn_write(void *state, const struct load_stream *stream, uint32_t flow, uint64_t stamp,
		       struct load_frame *frame)
{
	frame->socket = other_sender(state, flow);
	frame->size = CHANNEL_HEAD + stream->size;
	memset(frame->data, 0, frame->size);
	put16(frame->data, CHANNEL);
	put16(frame->data + 2, (uint16_t)stream->size);
	memcpy(frame->data + CHANNEL_HEAD, &stamp, sizeof(stamp));
}

static void turn_read(void *state, struct arrival *arrivals, size_t count)
{
	const struct other *o = state;
	bool is_plain = address_is_set(&o->config.sink_local);
	other_read(arrivals, count, is_plain ? 0 : CHANNEL_HEAD);
}

const char *turn_create(const struct other_config *config, struct other **out)
{
	static const struct target_ops ops = {
		.name = "turn",
		.write = turn_write,
		.read = turn_read,
	};
	const char *error = other_open(out, config, &ops);
	if (error != NULL)
		return error;
	if (address_is_set(&config->sink_local))
		(*out)->config.both_ways = false;
	for (uint32_t i = 0; i < config->pairs; i++)
		if (!set_up_pair(*out, i))
			return "the TURN server refuses an allocation or a channel";
	return NULL;
}
