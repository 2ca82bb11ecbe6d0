#include "client/flight.h"

#include <assert.h>

/* RFC 9260, sections 3.2 and 3.3; numbers are big-endian. */
enum {
	CHUNK_DATA = 0,
	CHUNK_SACK = 3,
	CHUNK_HEAD = 4,
	DATA_HEAD = 16, /* with the chunk's head */
	SACK_HEAD = 16,
	CHUNK_ALIGN = 4,
};
_Static_assert((FLIGHT_CHUNKS_MAX & (FLIGHT_CHUNKS_MAX - 1)) == 0, "indexed by mask");

static uint32_t load_be32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Is `a` behind `b`? Serial numbers (RFC 1982), as SCTP compares them. */
static bool is_before(uint32_t a, uint32_t b)
{
	return a != b && b - a < UINT32_C(1) << 31;
}

/* The next chunk of a packet, shortened by it. False: no more, or malformed. */
static bool next_chunk(struct view *rest, struct view *chunk)
{
	if (rest->size < CHUNK_HEAD)
		return false;
	size_t size = (size_t)rest->data[2] << 8 | rest->data[3];
	if (size < CHUNK_HEAD || size > rest->size)
		return false;
	*chunk = view_of(rest->data, size);
	size_t padded = (size + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
	padded = padded < rest->size ? padded : rest->size;
	*rest = view_of(rest->data + padded, rest->size - padded);
	return true;
}

static struct view chunks_of(struct view packet)
{
	if (packet.size < FLIGHT_PACKET_MIN)
		return view_of(NULL, 0);
	return view_of(packet.data + FLIGHT_PACKET_MIN, packet.size - FLIGHT_PACKET_MIN);
}

void flight_init(struct flight *f)
{
	memset(f, 0, sizeof *f);
}

static void note_data(struct flight *f, uint32_t number, size_t size)
{
	if (!f->has_sent) {
		f->has_sent = true;
		f->acknowledged = number - 1;
		f->sent = number - 1;
	}
	if (!is_before(f->sent, number))
		return; /* sent once more */
	f->sent = number;
	f->sizes[number % FLIGHT_CHUNKS_MAX] = (uint16_t)size;
}

void flight_note_sent(struct flight *f, struct view packet)
{
	struct view rest = chunks_of(packet), chunk;

	while (next_chunk(&rest, &chunk))
		if (chunk.data[0] == CHUNK_DATA && chunk.size >= DATA_HEAD)
			note_data(f, load_be32(chunk.data + CHUNK_HEAD), chunk.size - DATA_HEAD);
}

static void note_sack(struct flight *f, uint32_t number)
{
	if (!f->has_sent || is_before(f->sent, number))
		return; /* of nothing that we have sent */
	while (is_before(f->acknowledged, number)) {
		f->acknowledged++;
		f->acknowledged_bytes += f->sizes[f->acknowledged % FLIGHT_CHUNKS_MAX];
	}
}

void flight_note_received(struct flight *f, struct view packet)
{
	struct view rest = chunks_of(packet), chunk;

	while (next_chunk(&rest, &chunk))
		if (chunk.data[0] == CHUNK_SACK && chunk.size >= SACK_HEAD)
			note_sack(f, load_be32(chunk.data + CHUNK_HEAD));
}
