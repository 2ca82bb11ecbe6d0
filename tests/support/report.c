#include "tests/support/report.h"

#include <stdarg.h>
#include <stdio.h>

static const char *in_front = "";
static unsigned failures;

void report_prefix(const char *prefix)
{
	in_front = prefix;
}

bool report(bool is_ok, const char *name, const char *why, ...)
{
	va_list arguments;
	printf("%s %s%s", is_ok ? "ok" : "not ok", in_front, name);
	if (!is_ok) {
		failures++;
		printf(": ");
		va_start(arguments, why);
		vprintf(why, arguments);
		va_end(arguments);
	}
	printf("\n");
	fflush(stdout);
	return is_ok;
}

void report_skip(const char *name, const char *why)
{
	printf("skip %s%s: %s\n", in_front, name, why);
}

int report_status(void)
{
	return failures > 0 ? 1 : 0;
}
