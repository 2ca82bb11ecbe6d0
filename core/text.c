#include "core/text.h"

#include <assert.h>

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* By the first byte: size of the sequence, its bits of payload, the least value allowed. */
struct sequence {
	size_t size;
	uint8_t bits;
	uint32_t least;
};

static struct sequence sequence_of(uint8_t first)
{
	if (first < 0x80)
		return (struct sequence){ .size = 1, .bits = 0x7f, .least = 0 };
	if ((first & 0xe0) == 0xc0)
		return (struct sequence){ .size = 2, .bits = 0x1f, .least = 0x80 };
	if ((first & 0xf0) == 0xe0)
		return (struct sequence){ .size = 3, .bits = 0x0f, .least = 0x800 };
	if ((first & 0xf8) == 0xf0)
		return (struct sequence){ .size = 4, .bits = 0x07, .least = 0x10000 };
	return (struct sequence){ .size = 0 };
}

size_t text_decode(struct view bytes, uint32_t *scalar)
{
	if (bytes.size == 0)
		return 0;

	struct sequence sequence = sequence_of(bytes.data[0]);
	if (sequence.size == 0 || sequence.size > bytes.size)
		return 0;

	uint32_t value = bytes.data[0] & sequence.bits;
	for (size_t i = 1; i < sequence.size; i++) {
		if (!is_continuation(bytes.data[i]))
			return 0;
		value = value << 6 | (bytes.data[i] & 0x3fU);
	}
	bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
	if (value < sequence.least || value > 0x10ffff || is_surrogate)
		return 0;
	*scalar = value;
	return sequence.size;
}

bool text_is_valid(struct view bytes)
{
	uint32_t scalar;

	while (bytes.size > 0) {
		size_t size = text_decode(bytes, &scalar);
		if (size == 0)
			return false;
		bytes = view_of(bytes.data + size, bytes.size - size);
	}
	return true;
}

bool text_is_unsafe(uint32_t scalar)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x0000, 0x001f },   /* C0 controls, escape among them */
		{ 0x007f, 0x009f },   /* DEL, C1 controls */
		{ 0x00ad, 0x00ad },   /* soft hyphen */
		{ 0x061c, 0x061c },   /* Arabic letter mark */
		{ 0x180e, 0x180e },   /* Mongolian vowel separator */
		{ 0x200b, 0x200b },   /* zero width space */
		{ 0x200e, 0x200f },   /* left-to-right and right-to-left mark */
		{ 0x2028, 0x202e },   /* separators, embeddings, overrides */
		{ 0x2060, 0x206f },   /* invisible operators, isolates */
		{ 0xfeff, 0xfeff },   /* byte order mark */
		{ 0xfff9, 0xfffb },   /* interlinear annotation */
		{ 0xe0000, 0xe0fff }, /* tags */
	};

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (scalar >= ranges[i].first && scalar <= ranges[i].last)
			return true;
	return false;
}

size_t text_clean_line(struct view bytes, char *out, size_t capacity)
{
	size_t length = 0;

	assert(capacity > 0);
	while (bytes.size > 0) {
		uint32_t scalar = 0;
		size_t size = text_decode(bytes, &scalar);
		bool is_kept = size > 0 && !text_is_unsafe(scalar);
		size_t taken = size > 0 ? size : 1;
		size_t written = is_kept ? size : 1;
		bool is_leading_space = scalar == ' ' && length == 0;

		if (!is_leading_space) {
			if (written >= capacity - length)
				break;
			memcpy(out + length, is_kept ? (const char *)bytes.data : "_", written);
			length += written;
		}
		bytes = view_of(bytes.data + taken, bytes.size - taken);
	}
	while (length > 0 && out[length - 1] == ' ')
		length--;
	out[length] = '\0';
	return length;
}
