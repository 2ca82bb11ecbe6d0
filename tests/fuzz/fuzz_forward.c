/*
 * The packet path under hostile datagrams: raw bytes, any header under the right mask, and any
 * plaintext sealed correctly, mixed in one batch.
 *
 * Input: records of {kind and client, size, bytes}; see put_record(). A relay with eight clients
 * stays, but its sessions start anew for each input, so that an input can be run again.
 */
#include <assert.h>

#include "tests/support/world.h"

enum {
	CLIENTS = 8,
	RECORDS_MAX = 64,
	SIZE_UNIT = 5, /* one byte of size reaches 1275 bytes */
};

enum record_kind { RECORD_RAW, RECORD_HEADER, RECORD_PLAIN, RECORD_HELLO };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *world_once(void)
{
	static struct world *w;
	const char *failed;

	if (w != NULL)
		return w;
	enum crypto_status status = crypto_init(&failed);
	assert(status == CRYPTO_READY);
	w = world_create(packet_cipher_best(), CLIENTS);
	assert_true(world_open_door(w, 1, WORLD_PORT + 1));
	assert_true(world_open_door(w, 2, WORLD_PORT + 1)); /* one port, two doors */
	return w;
}

static void start_sessions_anew(struct world *w)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct world_client *c = &w->clients[i];
		struct noise_result relay_keys = test_keys(i, true);
		struct noise_result client_keys = test_keys(i, false);
		session_init(c->session, c->session->id, &relay_keys);
		session_init(&c->end, c->end.id, &client_keys);
		c->path = test_path(i, WORLD_DOOR + i % 3);
		session_set_path(c->session, &c->path);
		store_relaxed(&c->session->is_established, i != CLIENTS - 1);
	}
	w->clients[2].session->datagram_max = 200;
	store_relaxed(&w->clients[4].session->is_revoked, 1);
}

/* A plain header as the input wants it, but masked rightly; its slot and generation exist where
 * the input asks for it, so that the cipher is reached. */
static void put_header(struct world *w, size_t index, const struct world_client *c,
		       struct view bytes)
{
	uint8_t frame[2 * DATAGRAM_SIZE_MAX] = { 0 };
	struct wire_data_header header;

	memcpy(frame, bytes.data, bytes.size);
	memcpy(&header, frame, sizeof(header));
	if (header.counter.b[7] % 2 == 0) {
		header.slot = store_le24(c->session->id.slot);
		header.generation = store_le32(c->session->id.generation);
	}
	memcpy(frame, &header, sizeof(header));
	mask_blocks(w->doors[c->path.door - WORLD_DOOR].hide, frame, 1);
	size_t size = bytes.size < WIRE_HEADER_SIZE ? WIRE_HEADER_SIZE : bytes.size;
	world_put_bytes(w, index, view_of(frame, size), &c->path);
}

/* What the clients seal rightly may hold anything; channel numbers get a chance to be theirs. */
static void put_plain(struct world *w, size_t index, uint32_t client, struct view bytes)
{
	uint8_t plain[PLAIN_SIZE_MAX];
	size_t size = bytes.size < sizeof(plain) ? bytes.size : sizeof(plain);
	struct wire_data_frame head;

	memcpy(plain, bytes.data, size);
	if (size >= sizeof(head) && plain[0] == FRAME_DATA) {
		memcpy(&head, plain, sizeof(head));
		if (head.channel.b[2] % 4 != 3)
			head.channel = store_le24(w->clients[client].channel);
		memcpy(plain, &head, sizeof(head));
	}
	world_put(w, index, client, view_of(plain, size));
}

static void put_record(struct world *w, size_t index, uint8_t control, struct view bytes)
{
	uint32_t client = control >> 2 & (CLIENTS - 1);
	struct world_client *c = &w->clients[client];
	struct view hello =
		view_of(bytes.data, bytes.size < PLAIN_SIZE_MAX ? bytes.size : PLAIN_SIZE_MAX);

	switch ((enum record_kind)(control & 3)) {
	case RECORD_RAW: world_put_bytes(w, index, bytes, &c->path); break;
	case RECORD_HEADER: put_header(w, index, c, bytes); break;
	case RECORD_PLAIN: put_plain(w, index, client, bytes); break;
	case RECORD_HELLO: world_put_hello(w, index, client % 3, hello, &c->path); break;
	}
	/* The two upper bits: as it is, from elsewhere, by another door, by no door. */
	struct path *path = &w->packets[index].path;
	switch (control >> 6) {
	case 1: path->remote.port ^= 1; break;
	case 2: path->door = WORLD_DOOR + 1; break;
	case 3: path->door += bytes.size % 2 == 0 ? 0 : DOORS_MAX; break;
	}
}

static uint64_t verdicts(const struct world *w)
{
	uint64_t sum = 0;
	for (int i = 0; i < VERDICT_COUNT; i++)
		sum += world_count(w, (enum verdict)i);
	return sum;
}

/* Whatever goes out is authentic for the session that lives at that address, and no longer than
 * what came in. */
static void check_sent(struct world *w)
{
	for (size_t i = 0; i < w->result.send_count; i++) {
		const struct packet *p = &w->result.send[i];
		uint32_t client = p->path.remote.ip[15];
		assert(client < CLIENTS);
		assert(client != 4);
		(void)world_receive(w, client, p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = world_once();
	size_t count = 0, bytes_in = 0, bytes_out = 0;

	start_sessions_anew(w);
	while (size >= 2 && count < RECORDS_MAX) {
		size_t wanted = (size_t)data[1] * SIZE_UNIT;
		struct view bytes = view_of(data + 2, wanted < size - 2 ? wanted : size - 2);
		put_record(w, count, data[0], bytes);
		bytes_in += w->packets[count++].size;
		data += 2 + bytes.size;
		size -= 2 + bytes.size;
	}
	uint64_t before = verdicts(w);
	world_run(w, count);
	assert(verdicts(w) == before + count);
	assert(w->result.upcall_count <= 2 * count);
	for (size_t i = 0; i < w->result.send_count; i++)
		bytes_out += w->result.send[i].size;
	assert(bytes_out <= bytes_in);
	check_sent(w);
	return 0;
}
