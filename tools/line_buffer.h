#pragma once
/* Lines out of a descriptor that is read when it has something: pipes, files. */
#include <stdbool.h>
#include <stddef.h>

#include "client/clawchat.h"

struct line_buffer {
	char data[CLAWCHAT_TEXT_MAX + 2];
	size_t used;
	size_t taken; /* lines before this have been handed out */
	bool is_at_end;
	bool is_skipping;  /* the rest of a line that was too long */
	unsigned too_long; /* lines dropped for their length */
	unsigned not_text; /* lines dropped for a zero byte */
};

/* One read. Call when the descriptor is readable and no line is left. */
void line_buffer_fill(struct line_buffer *b, int fd);

/* The next line without its end, valid until the next fill; NULL: none yet. Empty lines are
 * left out; at the end of input its last line needs no line break. */
char *line_buffer_next(struct line_buffer *b);
