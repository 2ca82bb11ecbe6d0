#include "core/address.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t V4_MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

enum { GROUPS = 8, V4_BYTES = 4 };

struct address address_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	struct address out = { .port = port };
	memcpy(out.ip, V4_MAPPED, sizeof(V4_MAPPED));
	memcpy(out.ip + sizeof(V4_MAPPED), (uint8_t[]){ a, b, c, d }, V4_BYTES);
	return out;
}

bool address_is_v4(const struct address *a)
{
	return memcmp(a->ip, V4_MAPPED, sizeof(V4_MAPPED)) == 0;
}

bool address_is_set(const struct address *a)
{
	static const struct address unset;
	return !address_equal(a, &unset);
}

static uint16_t group(const struct address *a, int index)
{
	return (uint16_t)(a->ip[2 * index] << 8 | a->ip[2 * index + 1]);
}

/* The longest run of zero groups, as RFC 5952 writes it "::". */
static void longest_zero_run(const struct address *a, int *start, int *length)
{
	*start = -1;
	*length = 1; /* a single zero group is not shortened */
	for (int i = 0; i < GROUPS; i++) {
		int n = 0;
		while (i + n < GROUPS && group(a, i + n) == 0)
			n++;
		if (n > *length) {
			*start = i;
			*length = n;
		}
		i += n;
	}
}

static void format_v6(const struct address *a, char *text, size_t capacity)
{
	int start, length;
	size_t used = 0;
	longest_zero_run(a, &start, &length);
	for (int i = 0; i < GROUPS; i++) {
		if (i == start) {
			used += (size_t)snprintf(text + used, capacity - used, "::");
			i += length - 1;
			continue;
		}
		bool colon = i > 0 && i != start + length;
		used += (size_t)snprintf(text + used, capacity - used, "%s%x",
					 colon || (i > 0 && start < 0) ? ":" : "", group(a, i));
	}
	if (a->scope != 0)
		snprintf(text + used, capacity - used, "%%%u", a->scope);
}

const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	if (address_is_v4(a)) {
		snprintf(text, ADDRESS_TEXT_SIZE, "%u.%u.%u.%u:%u", a->ip[12], a->ip[13], a->ip[14],
			 a->ip[15], a->port);
		return text;
	}
	char ip[ADDRESS_TEXT_SIZE - 8]; /* brackets, colon, port */
	format_v6(a, ip, sizeof(ip));
	snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", ip, a->port);
	return text;
}

/* A decimal number without sign or leading zeros; *text moves behind it. */
static bool parse_number(const char **text, uint32_t max, uint32_t *out)
{
	const char *p = *text;
	uint64_t value = 0;
	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > max)
			return false;
	}
	*text = p;
	*out = (uint32_t)value;
	return true;
}

static bool parse_v4(const char **text, uint8_t out[V4_BYTES])
{
	const char *p = *text;
	for (int i = 0; i < V4_BYTES; i++) {
		uint32_t value;
		if (i > 0 && *p++ != '.')
			return false;
		if (!parse_number(&p, UINT8_MAX, &value))
			return false;
		out[i] = (uint8_t)value;
	}
	*text = p;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool parse_group(const char **text, uint16_t *out)
{
	const char *p = *text;
	uint32_t value = 0;
	int digits = 0;
	for (; hex_digit(*p) >= 0 && digits < 4; p++, digits++)
		value = value << 4 | (uint32_t)hex_digit(*p);
	if (digits == 0 || hex_digit(*p) >= 0)
		return false;
	*text = p;
	*out = (uint16_t)value;
	return true;
}

/* Put the groups that stand behind "::" at the end, zeros between. */
static bool expand_gap(uint8_t ip[16], int bytes, int gap)
{
	if (gap < 0)
		return bytes == 16;
	if (bytes > 14)
		return false;
	memmove(ip + 16 - (bytes - gap), ip + gap, (size_t)(bytes - gap));
	memset(ip + gap, 0, (size_t)(16 - bytes));
	return true;
}

static bool parse_v6(const char **text, uint8_t ip[16])
{
	const char *p = *text;
	int bytes = 0, gap = -1;
	if (p[0] == ':' && p[1] != ':')
		return false;
	while (bytes < 16) {
		if (p[0] == ':' && p[1] == ':' && gap < 0) {
			gap = bytes;
			p += 2;
			if (hex_digit(*p) < 0)
				break;
		} else if (bytes > 0) {
			if (*p != ':')
				break;
			p++;
		}
		const char *start = p;
		uint16_t value;
		if (bytes <= 12 && (bytes > 0 || gap == 0) && parse_v4(&p, ip + bytes)) {
			bytes += V4_BYTES;
			break;
		}
		p = start;
		if (!parse_group(&p, &value))
			return false;
		ip[bytes++] = (uint8_t)(value >> 8);
		ip[bytes++] = (uint8_t)value;
		if (p[0] == ':' && p[1] == ':' && gap < 0)
			continue;
	}
	*text = p;
	return expand_gap(ip, bytes, gap);
}

static bool parse_port(const char *p, uint16_t *port)
{
	uint32_t value;
	if (*p == '\0')
		return true;
	if (*p++ != ':' || !parse_number(&p, UINT16_MAX, &value) || *p != '\0')
		return false;
	*port = (uint16_t)value;
	return true;
}

bool address_parse(const char *text, struct address *out)
{
	struct address a = address_v4(0, 0, 0, 0, 0);
	const char *p = text;
	if (parse_v4(&p, a.ip + sizeof(V4_MAPPED))) {
		if (!parse_port(p, &a.port))
			return false;
		*out = a;
		return true;
	}
	bool bracket = *text == '[';
	p = text + (bracket ? 1 : 0);
	memset(a.ip, 0, sizeof(a.ip));
	if (!parse_v6(&p, a.ip))
		return false;
	if (*p == '%') {
		p++;
		if (!parse_number(&p, UINT32_MAX, &a.scope))
			return false;
	}
	if (bracket && *p++ != ']')
		return false;
	if (bracket ? !parse_port(p, &a.port) : *p != '\0')
		return false;
	*out = a;
	return true;
}
