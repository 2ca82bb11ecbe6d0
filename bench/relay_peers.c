/* Virtual peers: made, recognized, sealed for, opened; and what a load asks of them. */
#include "bench/relay_peers.h"

#include <errno.h>
#include <stdlib.h>

#include "core/frames.h"
#include "net/clock.h"

enum {
	KEYS_MAX = 16384, /* expanded ones, a kilobyte each */
	HEADERS_AT_ONCE = 64,
};

/* ---- life -------------------------------------------------------------------------------- */

static const char *open_sockets(struct relay_peers *r)
{
	const struct sockets_config config = {
		.capacity = r->config.sockets,
		.want_gro = r->config.want_gro,
	};
	r->sockets = sockets_create(&config);
	if (r->sockets == NULL)
		return "out of memory";
	for (uint32_t i = 0; i < r->config.sockets; i++) {
		int result = sockets_add(r->sockets, &r->config.local, &r->config.remote);
		if (result < 0)
			return strerror(-result);
	}
	return NULL;
}

static const char *derive_door(struct relay_peers *r)
{
	for (size_t i = 0; i < r->config.file.door_count; i++) {
		const struct security_file_door *door = &r->config.file.doors[i];
		uint64_t now_s = clock_now().wall_ns / NS_PER_S;
		if (now_s < door->from_s || now_s >= door->until_s)
			continue;
		door_keys_derive(door->key, &r->keys);
		mask_set_key(r->hide, r->keys.c2s_header);
		mask_set_key(r->show, r->keys.s2c_header);
		return NULL;
	}
	return "no port of the security file is open now";
}

const char *relay_peers_create(const struct relay_config *config, struct relay_peers **out)
{
	struct relay_peers *r = *out = calloc(1, sizeof(*r));
	if (r == NULL)
		return "out of memory";
	r->config = *config;
	r->random = random_system();
	r->hide = mask_create(MASK_HIDE);
	r->show = mask_create(MASK_SHOW);
	size_t keys = 2 * (size_t)config->peers;
	r->cache = key_cache_create(packet_cipher_best(), keys < KEYS_MAX ? keys + 64 : KEYS_MAX);
	r->peers = calloc(config->peers, sizeof(*r->peers));
	r->by_slot = calloc(SESSIONS_MAX, sizeof(*r->by_slot));
	r->attempt_of_socket = calloc(config->sockets, sizeof(*r->attempt_of_socket));
	r->flows = calloc(config->flows + 1, sizeof(*r->flows));
	if (config->returning > 0)
		r->returning = calloc(config->returning, sizeof(*r->returning));
	if (r->hide == NULL || r->show == NULL || r->cache == NULL || r->peers == NULL ||
	    r->by_slot == NULL || r->attempt_of_socket == NULL || r->flows == NULL ||
	    (config->returning > 0 && r->returning == NULL))
		return "out of memory";
	const char *error = derive_door(r);
	return error != NULL ? error : open_sockets(r);
}

void relay_peers_destroy(struct relay_peers *r)
{
	if (r == NULL)
		return;
	sockets_destroy(r->sockets);
	mask_destroy(r->hide);
	mask_destroy(r->show);
	if (r->cache != NULL)
		key_cache_destroy(r->cache);
	if (r->peers != NULL)
		bytes_wipe(r->peers, r->config.peers * sizeof(*r->peers));
	free(r->peers);
	if (r->returning != NULL)
		bytes_wipe(r->returning, r->config.returning * sizeof(*r->returning));
	free(r->returning);
	free(r->by_slot);
	free(r->attempt_of_socket);
	free(r->flows);
	bytes_wipe(r, sizeof(*r));
	free(r);
}

/* ---- packets ----------------------------------------------------------------------------- */

size_t relay_seal(struct relay_peers *r, struct relay_peer *peer, uint8_t *frame, size_t size)
{
	size_t padded = wire_padded_size(size);
	memset(frame + WIRE_HEADER_SIZE + size, 0, padded - size);
	if (!session_seal(&peer->session, r->cache, r->hide, frame, padded))
		return 0;
	return padded + WIRE_OVERHEAD;
}

static struct relay_peer *peer_of(struct relay_peers *r, const struct wire_data_header *header)
{
	uint32_t slot = load_le24(header->slot);
	if (wire_kind((const uint8_t *)header) != WIRE_DATA || slot >= SESSIONS_MAX ||
	    r->by_slot[slot] == 0)
		return NULL;
	struct relay_peer *peer = &r->peers[r->by_slot[slot] - 1];
	return load_le32(header->generation) == peer->session.id.generation ? peer : NULL;
}

static bool open_packet(struct relay_peers *r, struct relay_peer *peer,
			const struct wire_data_header *header, struct arrival *a,
			struct view *plain)
{
	return session_open(&peer->session, r->cache, header, view_of(a->data, a->size), plain,
			    load_now_ns()) == PKT_IDLE;
}

struct relay_peer *relay_open(struct relay_peers *r, struct arrival *a, struct view *plain)
{
	struct wire_data_header header;
	if (a->size < WIRE_SIZE_MIN)
		return NULL;
	memcpy(&header, a->data, sizeof(header));
	mask_blocks(r->show, (uint8_t *)&header, 1);
	struct relay_peer *peer = peer_of(r, &header);
	return peer != NULL && open_packet(r, peer, &header, a, plain) ? peer : NULL;
}

/* ---- what a load asks: writing ----------------------------------------------------------- */

static size_t bucket_of(size_t datagram_size)
{
	size_t bucket = (datagram_size - WIRE_OVERHEAD) / PAD_BUCKET;
	return bucket < SIZE_BUCKETS ? bucket : 0;
}

static void write_data(struct relay_peers *r, const struct load_stream *stream, uint32_t index,
		       uint64_t stamp, struct load_frame *out)
{
	const struct relay_flow *flow = &r->flows[index];
	struct relay_peer *peer = &r->peers[flow->peer];
	const struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(flow->channel),
		.size = store_le16((uint16_t)stream->size),
	};
	uint8_t *plain = out->data + WIRE_HEADER_SIZE;
	memcpy(plain, &head, sizeof(head));
	memset(plain + DATA_FRAME_HEAD, 0, stream->size);
	memcpy(plain + DATA_FRAME_HEAD, &stamp, sizeof(stamp));
	out->socket = peer->socket;
	out->size = (uint32_t)relay_seal(r, peer, out->data, DATA_FRAME_HEAD + stream->size);
}

static void write_ping(struct relay_peers *r, uint32_t index, uint64_t stamp,
		       struct load_frame *out)
{
	struct relay_peer *peer = &r->peers[index];
	const struct wire_frame head = {
		.type = FRAME_PING,
		.size = store_le16(sizeof(struct wire_ping)),
	};
	memcpy(out->data + WIRE_HEADER_SIZE, &head, sizeof(head));
	memcpy(out->data + WIRE_HEADER_SIZE + sizeof(head), &stamp, sizeof(stamp));
	out->socket = peer->socket;
	out->size = (uint32_t)relay_seal(r, peer, out->data, sizeof(head) + sizeof(stamp));
}

/* Of a device that never comes back, or of one that was here: nobody finishes this handshake. */
static void write_hello(struct relay_peers *r, uint32_t index, struct load_frame *out)
{
	struct attempt a;
	if (r->returning != NULL)
		a.hello = r->returning[index];
	else
		relay_make_device(r, &a.hello);
	out->socket = index % r->config.sockets;
	out->size = (uint32_t)relay_write_hello(r, &a, out->data);
	if (out->size > 0)
		noise_fini(&a.noise);
	bytes_wipe(&a, sizeof(a));
}

static void write_packet(void *state, const struct load_stream *stream, uint32_t flow,
			 uint64_t stamp, struct load_frame *out)
{
	struct relay_peers *r = state;
	if (stream->kind == LOAD_HELLO) {
		write_hello(r, flow, out);
		return;
	}
	if (stream->kind == LOAD_PING)
		write_ping(r, flow, stamp, out);
	else
		write_data(r, stream, flow, stamp, out);
	r->kind_of_size[bucket_of(out->size)] = stream->kind;
}

/* ---- and reading ------------------------------------------------------------------------- */

static void take_stamp(struct arrival *a, struct view plain)
{
	size_t at = a->kind == LOAD_PING ? FRAME_HEAD : DATA_FRAME_HEAD;
	uint8_t type = a->kind == LOAD_PING ? FRAME_PONG : FRAME_DATA;
	if (plain.size < at + sizeof(a->stamp) || plain.data[0] != type)
		return;
	memcpy(&a->stamp, plain.data + at, sizeof(a->stamp));
	a->has_stamp = true;
}

static void read_one(struct relay_peers *r, const uint8_t *shown, struct arrival *a)
{
	struct wire_data_header header;
	struct view plain;
	memcpy(&header, shown, sizeof(header));
	a->kind = LOAD_NOTHING;
	if (header.first == wire_first(WIRE_WELCOME, 0)) {
		a->kind = LOAD_HELLO;
		return;
	}
	struct relay_peer *peer = peer_of(r, &header);
	if (peer == NULL || a->size < WIRE_OVERHEAD)
		return;
	peer->received++;
	a->kind = (uint8_t)r->kind_of_size[bucket_of(a->size)];
	bool is_control = a->kind == LOAD_NOTHING;
	if ((!is_control && !a->wants_stamp) || !open_packet(r, peer, &header, a, &plain))
		return;
	if (is_control)
		relay_acknowledge(r, peer, plain);
	else
		take_stamp(a, plain);
}

static void read_packets(void *state, struct arrival *arrivals, size_t count)
{
	struct relay_peers *r = state;
	uint8_t headers[HEADERS_AT_ONCE][WIRE_HEADER_SIZE];
	while (count > 0) {
		size_t part = count < HEADERS_AT_ONCE ? count : HEADERS_AT_ONCE;
		memset(headers, 0, sizeof(headers));
		for (size_t i = 0; i < part; i++)
			memcpy(headers[i], arrivals[i].data,
			       arrivals[i].size < WIRE_HEADER_SIZE ? arrivals[i].size :
								     WIRE_HEADER_SIZE);
		mask_blocks(r->show, headers[0], part);
		for (size_t i = 0; i < part; i++)
			read_one(r, headers[i], &arrivals[i]);
		arrivals += part;
		count -= part;
	}
}

struct target relay_target(struct relay_peers *r)
{
	static const struct target_ops ops = {
		.name = "relay",
		.write = write_packet,
		.read = read_packets,
	};
	return (struct target){ .ops = &ops, .state = r, .sockets = r->sockets };
}
