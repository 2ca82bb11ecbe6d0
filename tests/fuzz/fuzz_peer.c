/*
 * Peers under a hostile relay: it can seal any handshake message, replay, cut and flip. Whatever
 * it does, no end may become secure with anyone but the other, and no byte may be carried up
 * that the other did not send.
 *
 * Input: first byte: who has met before, who calls. Then operations of one byte, some with more:
 * see act().
 */
#include <assert.h>

#include "core/hello.h"
#include "core/peer_internal.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 16, OPERATIONS_MAX = 48 };

struct stage {
	struct random_seeded seeded;
	struct random_source random;
	struct peer_self self[2];
	struct peer_pin pins[2];
	struct peer *peers[2];
	uint64_t now_ns;
	struct {
		uint8_t bytes[BLOB_SIZE_MAX];
		size_t size;
	} kept[KEPT];
	size_t kept_count;
};

static struct view take(struct view *input, size_t size)
{
	struct view part = view_of(input->data, size < input->size ? size : input->size);

	*input = view_of(input->data + part.size, input->size - part.size);
	return part;
}

static uint8_t take_byte(struct view *input)
{
	struct view part = take(input, 1);

	return part.size > 0 ? part.data[0] : 0;
}

static void make(struct stage *s, uint8_t met)
{
	s->random = random_seeded_init(&s->seeded, 1);
	for (int i = 0; i < 2; i++) {
		ed25519_generate(&s->self[i].identity, &s->random);
		x25519_generate(&s->self[i].static_key, &s->random);
		peer_id_of(s->self[i].identity.public, s->self[i].id);
	}
	for (int i = 0; i < 2; i++) {
		struct peer_pin pin = { .psks = { { 1 }, { 2 } }, .psk_count = 2 };
		memcpy(pin.identity, s->self[1 - i].identity.public, sizeof pin.identity);
		memcpy(pin.static_public, s->self[1 - i].static_key.public,
		       sizeof pin.static_public);
		struct peer_config config = {
			.self = &s->self[i],
			.pin = (met >> i & 1) != 0 ? &pin : NULL,
			.random = s->random,
			.cipher = packet_cipher_by_name("openssl"),
		};
		memcpy(config.remote_id, s->self[1 - i].id, PEER_ID_SIZE);
		s->peers[i] = peer_create(&config);
		assert(s->peers[i] != NULL);
		peer_begin(s->peers[i], (met >> (2 + i) & 1) != 0, s->now_ns);
	}
}

static void check_events(struct stage *s, int i)
{
	const struct peer_self *other = &s->self[1 - i];
	struct peer_event event;

	while (peer_next_event(s->peers[i], &event)) {
		if (event.type != PEER_EVENT_SECURE)
			continue;
		assert(memcmp(event.pin.identity, other->identity.public, 32) == 0);
		assert(memcmp(event.pin.static_public, other->static_key.public, 32) == 0);
	}
}

static void hear(struct stage *s, int to, struct view blob)
{
	uint8_t copy[BLOB_SIZE_MAX];
	struct view body;

	if (blob.size > sizeof copy)
		return;
	memcpy(copy, blob.data, blob.size);
	enum peer_frame type = peer_input(s->peers[to], copy, blob.size, s->now_ns, &body);
	if (type != PEER_FRAME_NONE)
		assert(body.size == 3 && memcmp(body.data, "abc", 3) == 0);
	check_events(s, to);
}

/* A handshake message of the relay's own making, or one of theirs with some bytes changed. */
static void forge(struct stage *s, int from, struct view *input)
{
	const struct peer *p = s->peers[from];
	uint8_t how = take_byte(input);
	struct peer_message message = (how & 4) != 0 ? p->call.message : p->answer.message;
	struct view changes = take(input, take_byte(input));
	uint8_t blob[BLOB_SIZE_MAX];

	if ((how & 8) != 0) {
		message.pattern = how >> 4 & 3;
		message.choice = how >> 6;
	}
	for (size_t i = 0; i + 1 < changes.size; i += 2) {
		size_t at = changes.data[i] * sizeof message.noise / 256;
		message.noise[at] = changes.data[i + 1];
		message.noise_size = message.noise_size > at ? message.noise_size : at + 1;
	}
	size_t size = peer_message_seal(s->peers[from], (enum wire_kind)(WIRE_PEER_1 + how % 3),
					&message, blob);
	hear(s, 1 - from, view_of(blob, size));
}

/* The next blob of one of them; kept, and delivered or not. */
static void carry(struct stage *s, int from, bool is_delivered)
{
	size_t at = s->kept_count % KEPT;
	struct view_out out = { s->kept[at].bytes, BLOB_SIZE_MAX };

	if (!peer_output(s->peers[from], s->now_ns, out, &s->kept[at].size))
		return;
	s->kept_count++;
	check_events(s, from);
	if (is_delivered)
		hear(s, 1 - from, view_of(s->kept[at].bytes, s->kept[at].size));
}

static void talk(struct stage *s, int from)
{
	uint8_t blob[BLOB_SIZE_MAX];

	memcpy(blob + PEER_HEADROOM, "abc", 3);
	size_t size = peer_seal(s->peers[from], PEER_FRAME_SCTP, blob, 3);
	if (size > 0)
		hear(s, 1 - from, view_of(blob, size));
}

static void act(struct stage *s, struct view *input)
{
	uint8_t operation = take_byte(input);
	int side = operation & 1;
	struct view raw;

	switch (operation >> 1 & 7) {
	case 0:
	case 1: carry(s, side, (operation & 2) == 0); break;
	case 2:
		if (s->kept_count > 0) {
			size_t at =
				(operation >> 4) % (s->kept_count < KEPT ? s->kept_count : KEPT);
			hear(s, side, view_of(s->kept[at].bytes, s->kept[at].size));
		}
		break;
	case 3: forge(s, side, input); break;
	case 4:
		raw = take(input, (size_t)take_byte(input) * 5);
		hear(s, side, raw);
		break;
	case 5: s->now_ns += (UINT64_C(1) << (operation >> 4)) * 2 * NS_PER_MS; break;
	case 6: talk(s, side); break;
	case 7:
		if ((operation & 16) != 0)
			peer_forget_pin(s->peers[side]);
		peer_begin(s->peers[side], (operation & 32) != 0, s->now_ns);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;
	static struct stage s;
	struct view input = view_of(data, size);
	const char *failed;

	if (!is_started)
		is_started = crypto_init(&failed) == CRYPTO_READY;
	assert(is_started);
	memset(&s, 0, sizeof s);
	make(&s, take_byte(&input));
	for (size_t i = 0; i < OPERATIONS_MAX && input.size > 0; i++)
		act(&s, &input);
	for (int i = 0; i < 2; i++) {
		(void)peer_deadline(s.peers[i]);
		peer_destroy(s.peers[i]);
	}
	return 0;
}
