/*
 * The examples of docs/protocol.md, section 10.
 *
 * Goal:   every byte that the document prints is what the code makes of the inputs it names.
 * Method: each example is computed and looked for in the document, blanks aside: its name, and
 *         its bytes right behind. On a mismatch the test prints the lines as they should stand.
 */
#include "core/door.h"
#include "core/frames.h"
#include "core/hello.h"
#include "core/peer_internal.h"
#include "core/schedule.h"
#include "core/session.h"
#include "crypto/noise.h"

#include "tests/support/crypto.h"

#define DOCUMENT CLAWCHAT_SOURCE_DIR "/docs/protocol.md"

enum {
	DOCUMENT_SIZE_MAX = 1 << 20,
	LINE_BYTES = 32,
	NAME_COLUMNS = 16,
	TEXT_MAX = 2 * DATAGRAM_SIZE_MAX + 64,
};

static char document[DOCUMENT_SIZE_MAX]; /* without blanks */

static size_t without_blanks(const char *text, size_t size, char *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < size; i++)
		if (text[i] != ' ' && text[i] != '\n' && text[i] != '\t')
			out[kept++] = text[i];
	out[kept] = '\0';
	return kept;
}

static int read_document(void **state)
{
	static char raw[DOCUMENT_SIZE_MAX];
	FILE *file = fopen(DOCUMENT, "r");

	if (file == NULL)
		return -1;
	size_t size = fread(raw, 1, sizeof raw, file);
	fclose(file);
	assert_true(size > 0 && size < sizeof raw);
	without_blanks(raw, size, document);
	return test_crypto_start(state);
}

/* `text` stands in the document behind `name`. */
static void check_text(const char *name, const char *text)
{
	char wanted[TEXT_MAX], joined[TEXT_MAX];

	snprintf(joined, sizeof joined, "%s %s", name, text);
	without_blanks(joined, strlen(joined), wanted);
	if (strstr(document, wanted) == NULL)
		fail_msg("not in docs/protocol.md:\n    %-*s%s", NAME_COLUMNS, name, text);
}

static void check_bytes(const char *name, struct view bytes)
{
	char text[TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < bytes.size; i++) {
		if (i > 0 && i % LINE_BYTES == 0)
			used += (size_t)snprintf(text + used, sizeof text - used, "\n    %-*s",
						 NAME_COLUMNS, "");
		used += (size_t)snprintf(text + used, sizeof text - used, "%02x", bytes.data[i]);
	}
	assert_true(used < sizeof text);
	check_text(name, text);
}

/* first, first + 1, ...: the inputs of the examples. */
static void count_up(uint8_t *out, size_t size, unsigned first)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(first + i);
}

/* A random source that counts up. */
static void fill_counting(void *state, void *out, size_t size)
{
	uint8_t *next = state, *bytes = out;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (*next)++;
}

/* ---- ids and doors ----------------------------------------------------------------------- */

static void ids(void **state)
{
	uint8_t key[KEY_SIZE], server_id[SERVER_ID_SIZE], out[PEER_ID_SIZE];

	(void)state;
	count_up(key, sizeof key, 0);
	count_up(server_id, sizeof server_id, 0);
	device_id_of(key, out);
	check_bytes("device id", view_of(out, DEVICE_ID_SIZE));
	peer_id_of(key, out);
	check_bytes("peer id", view_of(out, PEER_ID_SIZE));
	name_tag_of(server_id, VIEW_STRING("alice"), out);
	check_bytes("name tag", view_of(out, NAME_TAG_SIZE));
}

static struct schedule example_schedule(void)
{
	struct schedule s = { .interval_s = 3600, .port_first = 49152, .port_last = 65535 };

	count_up(s.secret, sizeof s.secret, 0x20);
	return s;
}

enum { EXAMPLE_GENERATION = 480000 };

static void example_door(struct door_keys *keys)
{
	struct schedule s = example_schedule();
	uint8_t door_key[KEY_SIZE];

	schedule_door_key(&s, EXAMPLE_GENERATION, door_key);
	door_keys_derive(door_key, keys);
}

static void doors(void **state)
{
	struct schedule s = example_schedule();
	struct door_keys keys;
	uint8_t door_key[KEY_SIZE];
	char ports[64];

	(void)state;
	assert_true(schedule_begin_ns(&s, EXAMPLE_GENERATION) == UINT64_C(1728000000) * NS_PER_S);
	schedule_door_key(&s, EXAMPLE_GENERATION, door_key);
	check_bytes("door key", VIEW(door_key));
	snprintf(ports, sizeof ports, "%u, %u, %u", schedule_port(&s, EXAMPLE_GENERATION, 0),
		 schedule_port(&s, EXAMPLE_GENERATION, 1),
		 schedule_port(&s, EXAMPLE_GENERATION, 2));
	check_text("ports", ports);
	example_door(&keys);
	check_bytes("c2s header", VIEW(keys.c2s_header));
	check_bytes("s2c header", VIEW(keys.s2c_header));
	check_bytes("c2s handshake", VIEW(keys.c2s_handshake));
	check_bytes("s2c handshake", VIEW(keys.s2c_handshake));
}

/* ---- datagrams --------------------------------------------------------------------------- */

/* A COOKIE: the smallest handshake datagram, without padding. */
static void handshake_datagram(void **state)
{
	uint8_t next = 0x80, packet[DATAGRAM_SIZE_MAX];
	const struct random_source random = { fill_counting, &next };
	struct mask *hide = mask_create(MASK_HIDE);
	struct door_keys keys;
	struct wire_cookie body;

	(void)state;
	assert_non_null(hide);
	example_door(&keys);
	mask_set_key(hide, keys.s2c_header);
	count_up(body.hello_tag, sizeof body.hello_tag, 0xc0);
	count_up(body.cookie, sizeof body.cookie, 0xd0);
	memcpy(packet + WIRE_HEADER_SIZE, &body, sizeof body);
	size_t size =
		door_seal(keys.s2c_handshake, hide, WIRE_COOKIE, &random, packet, sizeof body);
	check_bytes("COOKIE", view_of(packet, size));
	mask_destroy(hide);
}

static void session_keys(void **state)
{
	struct noise_result keys = { 0 };
	struct session s;

	(void)state;
	count_up(keys.send_key, sizeof keys.send_key, 0x40);
	session_init(&s, (struct session_id){ 5, 0x01020304 }, &keys);
	check_bytes("key", VIEW(s.epochs[0].send.key));
	check_bytes("iv", VIEW(s.epochs[0].send.iv));
	session_fini(&s);
}

/* "hello" on channel 7, from the client, as the tenth packet of its session. */
static size_t write_blob(uint8_t *plain)
{
	const struct wire_data_frame head = {
		.type = FRAME_DATA,
		.channel = store_le24(7),
		.size = store_le16(5),
	};
	struct frame_writer w = { .data = plain, .capacity = PLAIN_SIZE_MAX };

	memcpy(plain, &head, sizeof head);
	memcpy(plain + sizeof head, "hello", 5);
	w.size = sizeof head + 5;
	return frame_pad(&w);
}

static void session_packet(void **state)
{
	const struct packet_cipher *cipher = packet_cipher_best();
	struct key_cache *cache = key_cache_create(cipher, 4);
	struct mask *hide = mask_create(MASK_HIDE);
	struct noise_result keys = { 0 };
	struct wire_data_header header;
	struct door_keys door;
	struct session s;
	uint8_t packet[DATAGRAM_SIZE_MAX], nonce[AEAD_NONCE_SIZE];

	(void)state;
	assert_non_null(cache);
	assert_non_null(hide);
	example_door(&door);
	mask_set_key(hide, door.c2s_header);
	count_up(keys.send_key, sizeof keys.send_key, 0x40);
	session_init(&s, (struct session_id){ 5, 0x01020304 }, &keys);
	store_relaxed(&s.send_counter, 9);

	session_header(&s, 0, 9, &header);
	check_bytes("plain header", view_of(&header, sizeof header));
	wire_nonce(s.epochs[0].send.iv, 9, nonce);
	check_bytes("nonce", VIEW(nonce));
	size_t size = write_blob(packet + WIRE_HEADER_SIZE);
	assert_int_equal(size, PAD_BUCKET);
	assert_true(session_seal(&s, cache, hide, packet, size));
	check_bytes("masked header", view_of(packet, WIRE_HEADER_SIZE));
	check_bytes("datagram", view_of(packet, size + WIRE_OVERHEAD));
	session_fini(&s);
	key_cache_destroy(cache);
	mask_destroy(hide);
}

/* ---- frames ------------------------------------------------------------------------------ */

static void frames(void **state)
{
	const struct wire_channel accept = { .channel = store_le32(7) };
	const struct wire_ping ping = { .token = store_le64(UINT64_C(0x0807060504030201)) };
	uint8_t plain[PAD_BUCKET];
	struct frame_writer w = { .data = plain, .capacity = sizeof plain };
	struct reliable_sender sender;

	(void)state;
	assert_true(frame_put(&w, FRAME_PING, view_of(&ping, sizeof ping)));
	check_bytes("PING", view_of(plain, w.size));
	w.size = 0;
	reliable_init(&sender, 2);
	assert_true(reliable_put(&sender, FRAME_ACCEPT, view_of(&accept, sizeof accept)));
	assert_int_equal(reliable_write(&sender, &w, 0), 1);
	check_bytes("ACCEPT", view_of(plain, w.size));
}

/* ---- peers ------------------------------------------------------------------------------- */

static void make_self(struct peer_self *self, unsigned first)
{
	memset(self, 0, sizeof *self);
	count_up(self->identity.seed, sizeof self->identity.seed, first);
	ed25519_derive_public(&self->identity);
	peer_id_of(self->identity.public, self->id);
}

static void peers(void **state)
{
	struct peer_self one, two;
	char digits[SAFETY_NUMBER_DIGITS + 1];

	(void)state;
	make_self(&one, 0x60);
	make_self(&two, 0x70);
	check_bytes("id of 60..7f", VIEW(one.id));
	check_bytes("id of 70..8f", VIEW(two.id));
	peer_safety_number(one.identity.public, two.identity.public, digits);
	check_text("safety number", digits);

	struct peer_config config = {
		.self = &one,
		.random = random_system(),
		.cipher = packet_cipher_best(),
	};
	memcpy(config.remote_id, two.id, PEER_ID_SIZE);
	bool is_lower = memcmp(one.id, two.id, PEER_ID_SIZE) < 0;
	struct peer *peer = peer_create(&config);
	assert_non_null(peer);
	check_bytes("a2b handshake",
		    view_of(is_lower ? peer->send_key : peer->receive_key, KEY_SIZE));
	peer_destroy(peer);
}

/* ---- the check itself -------------------------------------------------------------------- */

/* A name with other bytes behind it is not found: the checks above can fail. */
static void finds_nothing_else(void **state)
{
	(void)state;
	assert_non_null(strstr(document, "PING03000800"));
	assert_null(strstr(document, "PING03000801"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test(doors),
		cmocka_unit_test(handshake_datagram),
		cmocka_unit_test(session_keys),
		cmocka_unit_test(session_packet),
		cmocka_unit_test(frames),
		cmocka_unit_test(peers),
		cmocka_unit_test(finds_nothing_else),
	};
	return cmocka_run_group_tests(tests, read_document, test_crypto_stop);
}
