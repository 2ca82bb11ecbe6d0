#pragma once
/* What programs of tests/system print for tests/run: one line for each fact. */
#include <stdbool.h>

/* Stands before each name, as "epoll: "; kept, not copied. */
void report_prefix(const char *prefix);

/* "ok NAME", or "not ok NAME: why". Returns is_ok. */
bool report(bool is_ok, const char *name, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
void report_skip(const char *name, const char *why);

/* The exit status so far: 1 if anything was not ok. */
int report_status(void);
