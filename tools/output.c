#include "tools/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/clawchat.h"
#include "tools/safe_text.h"

enum {
	COLUMNS_DEFAULT = 80,
	ERROR_SIZE = 1024,
};

void output_init(struct output *o, bool is_json, bool is_quiet)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	bool is_dumb = terminal == NULL || strcmp(terminal, "dumb") == 0;
	bool wants_colour = no_colour == NULL || *no_colour == '\0';
	*o = (struct output){
		.is_json = is_json,
		.is_quiet = is_quiet,
		.is_coloured = isatty(STDOUT_FILENO) && !is_dumb && wants_colour,
		.has_bars = isatty(STDERR_FILENO) && !is_dumb && !is_json && !is_quiet,
	};
	/* Readers of a pipe want each line when it is there. */
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static void prepare(struct output *o)
{
	if (o->make_way != NULL)
		o->make_way();
	output_bar_clear(o);
}

void output_line(struct output *o, const char *format, ...)
{
	va_list arguments;
	if (o->is_json)
		return;
	prepare(o);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

void output_note(struct output *o, const char *format, ...)
{
	va_list arguments;
	if (o->is_json || o->is_quiet)
		return;
	prepare(o);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

void output_warning(struct output *o, const char *format, ...)
{
	va_list arguments;
	prepare(o);
	va_start(arguments, format);
	fputs("clawchat: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

int output_error(struct output *o, int code, const char *format, ...)
{
	char text[ERROR_SIZE];
	va_list arguments;
	prepare(o);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "clawchat: %s\n", text);
	output_object(o, json_pack("{s:s, s:o, s:i}", "event", "error", "error", output_text(text),
				   "exit", code));
	return code;
}

void output_object(struct output *o, json_t *object)
{
	if (o->is_json && object != NULL) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	json_decref(object);
}

bool output_is_lost(void)
{
	return fflush(stdout) != 0 || ferror(stdout);
}

int output_loss(int code)
{
	if (code != 0 || !output_is_lost())
		return code;
	fputs("clawchat: standard output: closed, or full\n", stderr);
	return CLAWCHAT_IO;
}

const char *output_bold(const struct output *o)
{
	return o->is_coloured ? "\033[1m" : "";
}

const char *output_plain(const struct output *o)
{
	return o->is_coloured ? "\033[0m" : "";
}

void output_bar(struct output *o, const char *line)
{
	if (!o->has_bars)
		return;
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
	o->is_bar_drawn = true;
}

void output_bar_clear(struct output *o)
{
	if (!o->is_bar_drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	o->is_bar_drawn = false;
}

unsigned output_columns(void)
{
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return COLUMNS_DEFAULT;
}

json_t *output_text(const char *text)
{
	json_t *string = json_string(text);
	if (string != NULL)
		return string;
	char *repaired = safe_text_copy(text, "");
	string = json_string(repaired != NULL ? repaired : "");
	free(repaired);
	return string;
}
