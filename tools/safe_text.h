#pragma once
/*
 * Text that came from somebody else, made fit for a terminal: control characters, what turns or
 * hides writing, and bytes that are not UTF-8 become U+FFFD, so that a message can neither move
 * the cursor nor look like a line of this program.
 *
 * Pure.
 */
#include <stddef.h>

/*
 * One line, cut between characters where it does not fit; line breaks and tabs become blanks.
 * Returns `out`.
 */
const char *safe_text_line(const char *text, char *out, size_t capacity);

/*
 * Several lines: each line break is followed by `indent`, which marks what belongs to the first
 * line. Returns memory of the caller's, or NULL when there is none.
 */
char *safe_text_copy(const char *text, const char *indent);

/* Columns that UTF-8 text takes on a terminal, one for each character. */
size_t safe_text_columns(const char *text);
