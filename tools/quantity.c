#include "tools/quantity.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/safe_text.h"

enum {
	MINUTE_S = 60,
	HOUR_S = 60 * MINUTE_S,
	DAY_S = 24 * HOUR_S,
	MS_PER_S = 1000,
	BAR_MIN = 10, /* a shorter bar says nothing */
	BAR_MAX = 40,
	NAME_MIN = 8, /* columns that a name keeps */
	DETAILS_SIZE = 128,
};

static const char *with_unit(uint64_t bytes, const char *suffix, char out[QUANTITY_SIZE])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	if (bytes < 1024) {
		snprintf(out, QUANTITY_SIZE, "%u B%s", (unsigned)bytes, suffix);
		return out;
	}
	double value = (double)bytes / 1024;
	size_t unit = 0;
	/* 1023.95 would be printed as "1024.0". */
	for (; value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	snprintf(out, QUANTITY_SIZE, "%.1f %s%s", value, units[unit], suffix);
	return out;
}

const char *quantity_bytes(uint64_t bytes, char out[QUANTITY_SIZE])
{
	return with_unit(bytes, "", out);
}

const char *quantity_rate(uint64_t bytes_per_s, char out[QUANTITY_SIZE])
{
	return with_unit(bytes_per_s, "/s", out);
}

const char *quantity_span(uint64_t seconds, char out[QUANTITY_SIZE])
{
	unsigned s = (unsigned)(seconds % MINUTE_S), m = (unsigned)(seconds / MINUTE_S % 60);
	unsigned h = (unsigned)(seconds / HOUR_S % 24);
	if (seconds >= DAY_S)
		snprintf(out, QUANTITY_SIZE, "%llud%02uh", (unsigned long long)(seconds / DAY_S),
			 h);
	else if (seconds >= HOUR_S)
		snprintf(out, QUANTITY_SIZE, "%u:%02u:%02u", h, m, s);
	else
		snprintf(out, QUANTITY_SIZE, "%u:%02u", m, s);
	return out;
}

const char *quantity_moment(uint64_t seconds_since_1970, char out[QUANTITY_SIZE])
{
	time_t moment = (time_t)seconds_since_1970;
	struct tm parts;
	if (localtime_r(&moment, &parts) == NULL ||
	    strftime(out, QUANTITY_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		snprintf(out, QUANTITY_SIZE, "?");
	return out;
}

uint64_t quantity_rate_of(uint64_t bytes, uint64_t elapsed_ms)
{
	if (elapsed_ms == 0)
		return 0;
	double rate = (double)bytes * MS_PER_S / (double)elapsed_ms;
	return rate < (double)UINT64_MAX ? (uint64_t)rate : UINT64_MAX;
}

unsigned progress_percent(const struct progress *p)
{
	if (p->done >= p->size)
		return 100;
	return (unsigned)((double)p->done / (double)p->size * 100);
}

/* " 63%  40.3 MiB of 64.0 MiB  12.3 MiB/s  0:02 left" */
static void describe(const struct progress *p, char out[DETAILS_SIZE])
{
	char done[QUANTITY_SIZE], size[QUANTITY_SIZE], rate[QUANTITY_SIZE], left[QUANTITY_SIZE];
	int used = snprintf(out, DETAILS_SIZE, "%3u%%  %s of %s", progress_percent(p),
			    quantity_bytes(p->done, done), quantity_bytes(p->size, size));
	if (p->rate == 0 || p->done >= p->size)
		return;
	uint64_t seconds = (p->size - p->done + p->rate - 1) / p->rate;
	snprintf(out + used, DETAILS_SIZE - (size_t)used, "  %s  %s left",
		 quantity_rate(p->rate, rate), quantity_span(seconds, left));
}

static void draw_bar(unsigned percent, size_t width, char out[BAR_MAX + 1])
{
	size_t full = width * percent / 100;
	memset(out, '.', width);
	memset(out, '#', full);
	out[width] = '\0';
}

/* Bytes of the first `columns` characters. */
static int cut(const char *text, size_t columns)
{
	const char *end = text;
	while (*end != '\0' && columns > 0) {
		end++;
		while (((unsigned char)*end >> 6) == 2)
			end++;
		columns--;
	}
	return (int)(end - text);
}

void progress_line(const struct progress *p, size_t columns, char *out, size_t capacity)
{
	char details[DETAILS_SIZE], bar[BAR_MAX + 1];
	const char *verb = p->is_hashing ? "reading " : "";
	describe(p, details);
	if (columns == 0) {
		snprintf(out, capacity, "%s%s  %s", verb, p->name, details);
		return;
	}
	size_t fixed = strlen(details) + strlen(verb) + 2;
	size_t name = safe_text_columns(p->name);
	size_t room = columns > fixed ? columns - fixed : 0;
	if (name > room)
		name = room > NAME_MIN ? room : NAME_MIN;
	size_t left = room > name + 4 ? room - name - 4 : 0; /* "[", "]  " and a blank */
	if (left < BAR_MIN) {
		snprintf(out, capacity, "%s%.*s  %s", verb, cut(p->name, name), p->name, details);
		return;
	}
	draw_bar(progress_percent(p), left < BAR_MAX ? left : BAR_MAX, bar);
	snprintf(out, capacity, "%s%.*s  [%s]  %s", verb, cut(p->name, name), p->name, bar,
		 details);
}
