#include "core/bootstrap.h"

#include "core/wire.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void bootstrap_key_format(const uint8_t key[BOOTSTRAP_KEY_SIZE], char text[BOOTSTRAP_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < BOOTSTRAP_KEY_SIZE; i++) {
		text[2 * i] = digits[key[i] >> 4];
		text[2 * i + 1] = digits[key[i] & 15];
	}
	text[BOOTSTRAP_TEXT_SIZE - 1] = '\n';
}

/* The 64 digits may end in a line of either kind, or in none. */
static bool is_text_size(struct view content)
{
	size_t size = content.size;

	if (size > 0 && content.data[size - 1] == '\n')
		size--;
	if (size < content.size && size > 0 && content.data[size - 1] == '\r')
		size--;
	return size == 2 * BOOTSTRAP_KEY_SIZE;
}

bool bootstrap_key_parse(struct view content, uint8_t key[BOOTSTRAP_KEY_SIZE])
{
	if (content.size == BOOTSTRAP_KEY_SIZE) {
		memcpy(key, content.data, BOOTSTRAP_KEY_SIZE);
		return true;
	}
	bool is_good = is_text_size(content);
	for (size_t i = 0; i < BOOTSTRAP_KEY_SIZE && is_good; i++) {
		int high = hex_digit(content.data[2 * i]);
		int low = hex_digit(content.data[2 * i + 1]);
		is_good = high >= 0 && low >= 0;
		key[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
	if (!is_good)
		bytes_wipe(key, BOOTSTRAP_KEY_SIZE);
	return is_good;
}

void bootstrap_id(struct view secret, uint8_t id[BOOTSTRAP_ID_SIZE])
{
	uint8_t prk[HASH_SIZE];

	if (secret.size == BOOTSTRAP_KEY_SIZE)
		memcpy(prk, secret.data, sizeof prk);
	else
		hash_sha256(secret, prk);
	hkdf_label(prk, PROTOCOL_NAME " bootstrap id", view_of(NULL, 0), id, BOOTSTRAP_ID_SIZE);
	bytes_wipe(prk, sizeof prk);
}
