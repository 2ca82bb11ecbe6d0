#include "tools/safe_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

struct range {
	uint32_t first, last;
};

/* The two joiners (U+200C, U+200D) are not here: Persian and emoji need them. */
static const struct range unsafe[] = {
	{ 0x00, 0x1f },       { 0x7f, 0x9f },     /* control characters */
	{ 0xad, 0xad },                           /* soft hyphen */
	{ 0x061c, 0x061c },   { 0x200e, 0x200f }, /* direction marks */
	{ 0x180e, 0x180e },   { 0x200b, 0x200b }, /* without width */
	{ 0x2028, 0x202e },                       /* separators, embeddings, overrides */
	{ 0x2060, 0x206f },   { 0xfeff, 0xfeff }, /* isolates, invisible operators */
	{ 0xfff9, 0xfffb },   { 0xfffe, 0xffff }, /* annotations, no characters */
	{ 0xe0000, 0xe0fff },                     /* tags */
};

static bool is_unsafe(uint32_t scalar)
{
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (scalar >= unsafe[i].first && scalar <= unsafe[i].last)
			return true;
	return false;
}

/* Bytes of the character that `text` begins with; 0: not UTF-8. */
static size_t decode(const char *text, uint32_t *scalar)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)text;
	size_t size = bytes[0] < 0x80       ? 1 :
		      bytes[0] >> 5 == 0x06 ? 2 :
		      bytes[0] >> 4 == 0x0e ? 3 :
		      bytes[0] >> 3 == 0x1e ? 4 :
					      0;
	if (size <= 1) {
		*scalar = bytes[0];
		return size;
	}
	*scalar = bytes[0] & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if (bytes[i] >> 6 != 2) /* also the final zero */
			return 0;
		*scalar = *scalar << 6 | (bytes[i] & 0x3fU);
	}
	bool is_surrogate = *scalar >= 0xd800 && *scalar <= 0xdfff;
	return *scalar < least[size] || *scalar > 0x10ffff || is_surrogate ? 0 : size;
}

struct piece {
	const char *bytes;
	size_t size;
};

/* What stands for the next character of *text; `line_break` is for '\n'. */
static struct piece next_piece(const char **text, struct piece line_break)
{
	uint32_t scalar;
	const char *start = *text;
	size_t size = decode(start, &scalar);
	*text += size > 0 ? size : 1;
	if (size > 0 && scalar == '\n')
		return line_break;
	if (size > 0 && scalar == '\t')
		return (struct piece){ .bytes = " ", .size = 1 };
	if (size == 0 || is_unsafe(scalar))
		return (struct piece){ .bytes = REPLACEMENT, .size = sizeof(REPLACEMENT) - 1 };
	return (struct piece){ .bytes = start, .size = size };
}

const char *safe_text_line(const char *text, char *out, size_t capacity)
{
	const struct piece blank = { .bytes = " ", .size = 1 };
	size_t used = 0;
	while (*text != '\0') {
		struct piece piece = next_piece(&text, blank);
		if (used + piece.size >= capacity)
			break;
		memcpy(out + used, piece.bytes, piece.size);
		used += piece.size;
	}
	out[used] = '\0';
	return out;
}

static size_t copy_lines(const char *text, struct piece line_break, char *out)
{
	size_t used = 0;
	while (*text != '\0') {
		struct piece piece = next_piece(&text, line_break);
		if (out != NULL)
			memcpy(out + used, piece.bytes, piece.size);
		used += piece.size;
	}
	return used;
}

char *safe_text_copy(const char *text, const char *indent)
{
	size_t indent_size = strlen(indent);
	char *line_break = malloc(indent_size + 2);
	if (line_break == NULL)
		return NULL;
	line_break[0] = '\n';
	memcpy(line_break + 1, indent, indent_size + 1);
	const struct piece piece = { .bytes = line_break, .size = indent_size + 1 };
	size_t size = copy_lines(text, piece, NULL);
	char *out = malloc(size + 1);
	if (out != NULL) {
		copy_lines(text, piece, out);
		out[size] = '\0';
	}
	free(line_break);
	return out;
}

size_t safe_text_columns(const char *text)
{
	size_t columns = 0;
	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text >> 6) != 2; /* not a continuation byte */
	return columns;
}
