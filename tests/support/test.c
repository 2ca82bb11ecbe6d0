#include "tests/support/test.h"

static uint8_t nibble(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
	if (at == NULL)
		fail_msg("not a hexadecimal digit: '%c'", c);
	return (uint8_t)(at - digits);
}

size_t test_hex(const char *text, uint8_t *out, size_t capacity)
{
	size_t size = strlen(text) / 2;
	if (strlen(text) % 2 != 0 || size > capacity)
		fail_msg("odd or too long: %s", text);
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return size;
}

uint64_t test_seed(void)
{
	static uint64_t seed;
	static bool is_known;
	if (!is_known) {
		const char *text = getenv("SEED");
		seed = text != NULL ? strtoull(text, NULL, 0) : 20261121;
		is_known = true;
		print_message("seed: SEED=%llu\n", (unsigned long long)seed);
	}
	return seed;
}
