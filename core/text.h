#pragma once
/*
 * Text that came from somebody else: is it UTF-8 (RFC 3629), and is it safe to show?
 *
 * What is unsafe moves the cursor, hides itself or turns the writing around, so that a name
 * could look like another or a message could rewrite the terminal: control characters, line
 * and paragraph separators, bidirectional controls, invisible format characters and tags. The
 * two joiners (U+200C, U+200D) stay: Persian and emoji need them.
 *
 * Pure.
 */
#include "crypto/bytes.h"

/* Bytes of the scalar value that `bytes` begins with, 1 to 4; 0: not UTF-8 (cut, overlong,
 * surrogate, above U+10FFFF), or empty. */
size_t text_decode(struct view bytes, uint32_t *scalar);

bool text_is_valid(struct view bytes) MUST_CHECK;
bool text_is_unsafe(uint32_t scalar) MUST_CHECK;

/*
 * Copy as one line that is safe to show: what is unsafe or not UTF-8 becomes '_', one for each
 * scalar value or stray byte, spaces at the ends go, and what does not fit `capacity` (with the
 * final zero) is cut between scalar values. Returns the length; 0: nothing is left.
 */
size_t text_clean_line(struct view bytes, char *out, size_t capacity);
