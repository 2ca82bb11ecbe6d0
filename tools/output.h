#pragma once
/*
 * What clawchat prints: results on stdout, notes and errors on stderr; or, with --json, one object
 * per line on stdout, and errors in both places. A progress bar is drawn on a terminal only and
 * makes way for any line.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct output {
	bool is_json;
	bool is_quiet;    /* no notes, no progress */
	bool is_coloured; /* stdout is a terminal and NO_COLOR is not set */
	bool has_bars;    /* stderr is a terminal */
	bool is_bar_drawn;
	/* Called before anything is printed: readline's prompt makes way. May be NULL. */
	void (*make_way)(void);
};

void output_init(struct output *o, bool is_json, bool is_quiet);

/* A line of the result; nothing with --json. */
void output_line(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What happens meanwhile, on stderr; nothing with --json or --quiet. */
void output_note(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "clawchat: ..." on stderr; returns `code`. */
int output_error(struct output *o, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same line where it does not end the program, and no object: an event has told it. */
void output_warning(struct output *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Takes the object; prints it only with --json. */
void output_object(struct output *o, json_t *object);

/* Something could not be written to stdout: from here on nobody hears what is said. */
bool output_is_lost(void) __attribute__((warn_unused_result));
/* The exit code: `code`, or where that is 0 and stdout is lost, CLAWCHAT_IO, which is told. */
int output_loss(int code) __attribute__((warn_unused_result));

/* Start and end of emphasis for output_line(): empty without colour. */
const char *output_bold(const struct output *o);
const char *output_plain(const struct output *o);

/* The bar's line anew, and its end. */
void output_bar(struct output *o, const char *line);
void output_bar_clear(struct output *o);
/* Width of the terminal. */
unsigned output_columns(void);

/* A JSON string of text that may not be UTF-8. */
json_t *output_text(const char *text);
