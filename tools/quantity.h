#pragma once
/* Numbers as people read them: bytes, rates, spans of time, moments, progress. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUANTITY_SIZE = 32 };

/* "734 B", "3.2 MiB". Each returns `out`. */
const char *quantity_bytes(uint64_t bytes, char out[QUANTITY_SIZE]);
/* "12.3 MiB/s" */
const char *quantity_rate(uint64_t bytes_per_s, char out[QUANTITY_SIZE]);
/* "0:07", "12:30", "1:02:03", "3d04h" */
const char *quantity_span(uint64_t seconds, char out[QUANTITY_SIZE]);
/* "2026-11-21 22:38:52" in local time */
const char *quantity_moment(uint64_t seconds_since_1970, char out[QUANTITY_SIZE]);

/* Bytes a second; 0 where no time has passed. */
uint64_t quantity_rate_of(uint64_t bytes, uint64_t elapsed_ms);

struct progress {
	const char *name; /* safe to show */
	uint64_t done, size, rate;
	bool is_hashing; /* the file is still being read, not sent */
};

/* Of 100; 100 only when all is done. */
unsigned progress_percent(const struct progress *p);

/*
 * One line of at most `columns` characters: name, bar, percentage, amount, rate, time left. What
 * does not fit goes: the bar first, then the name is cut. 0 columns: no terminal, so no bar and the
 * whole name.
 */
void progress_line(const struct progress *p, size_t columns, char *out, size_t capacity);
