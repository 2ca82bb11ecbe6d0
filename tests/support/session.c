#include "tests/support/session.h"

static void fill(uint8_t *out, size_t size, uint32_t seed, uint8_t direction)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)((seed >> 8 * (i % 4)) + i * 7 + direction);
}

struct noise_result test_keys(uint32_t seed, bool is_relay)
{
	struct noise_result keys;

	memset(&keys, 0, sizeof(keys));
	fill(is_relay ? keys.send_key : keys.receive_key, KEY_SIZE, seed, 's');
	fill(is_relay ? keys.receive_key : keys.send_key, KEY_SIZE, seed, 'c');
	return keys;
}

struct mask *test_mask(enum mask_way way, uint32_t seed)
{
	uint8_t key[MASK_KEY_SIZE];
	struct mask *m = mask_create(way);

	assert_non_null(m);
	fill(key, sizeof(key), seed, 'm');
	mask_set_key(m, key);
	return m;
}

struct path test_path(uint32_t seed, uint64_t door)
{
	struct path path = {
		.remote = address_v4(10, (uint8_t)(seed >> 16), (uint8_t)(seed >> 8), (uint8_t)seed,
				     (uint16_t)(1024 + seed % 50000)),
		.door = door,
	};
	struct address local = address_v4(192, 0, 2, 1, 0);
	memcpy(path.local_ip, local.ip, sizeof(path.local_ip));
	return path;
}

const struct packet_cipher *test_cipher(void **state)
{
	const struct packet_cipher *cipher = packet_cipher_by_name(*state);
	if (cipher == NULL) {
		print_message("skipped: no %s on this machine\n", (const char *)*state);
		skip();
	}
	return cipher;
}
