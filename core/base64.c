#include "core/base64.h"

enum {
	GROUP_BYTES = 3,
	GROUP_CHARACTERS = 4,
	DIGIT_BITS = 6,
	DIGIT_MASK = 63,
	NO_DIGIT = -1,
};

size_t base64_encode(struct view data, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *next = out;

	for (size_t at = 0; at < data.size; at += GROUP_BYTES) {
		size_t left = data.size - at;
		uint32_t group = (uint32_t)data.data[at] << 16;
		if (left > 1)
			group |= (uint32_t)data.data[at + 1] << 8;
		if (left > 2)
			group |= data.data[at + 2];
		*next++ = digits[group >> 3 * DIGIT_BITS];
		*next++ = digits[group >> 2 * DIGIT_BITS & DIGIT_MASK];
		*next++ = left > 1 ? digits[group >> DIGIT_BITS & DIGIT_MASK] : '=';
		*next++ = left > 2 ? digits[group & DIGIT_MASK] : '=';
	}
	return (size_t)(next - out);
}

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : NO_DIGIT;
}

/* One group of four characters, of which the last `padding` are '='. */
static bool decode_group(const uint8_t *text, size_t padding, uint32_t *group)
{
	*group = 0;
	for (size_t i = 0; i < GROUP_CHARACTERS; i++) {
		int value = i < GROUP_CHARACTERS - padding ? digit(text[i]) : 0;
		if (value == NO_DIGIT)
			return false;
		*group = *group << DIGIT_BITS | (uint32_t)value;
	}
	/* Bits that no byte takes up must be zero, or there would be several texts. */
	uint32_t spare = ((uint32_t)1 << 8 * padding) - 1;
	return (*group & spare) == 0;
}

static size_t padding_of(struct view text)
{
	if (text.size == 0 || text.data[text.size - 1] != '=')
		return 0;
	return text.data[text.size - 2] == '=' ? 2 : 1;
}

bool base64_decode(struct view text, uint8_t *out, size_t capacity, size_t *size)
{
	*size = 0;
	if (text.size % GROUP_CHARACTERS != 0)
		return false;
	size_t padding = padding_of(text);
	size_t total = text.size / GROUP_CHARACTERS * GROUP_BYTES - padding;
	if (total > capacity)
		return false;

	size_t done = 0;
	for (size_t at = 0; at < text.size; at += GROUP_CHARACTERS) {
		bool is_last = at + GROUP_CHARACTERS == text.size;
		uint32_t group;
		if (!decode_group(text.data + at, is_last ? padding : 0, &group))
			return false;
		for (int shift = 16; shift >= 0 && done < total; shift -= 8)
			out[done++] = (uint8_t)(group >> shift);
	}
	*size = total;
	return true;
}
