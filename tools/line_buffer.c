#include "tools/line_buffer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void drop_taken(struct line_buffer *b)
{
	memmove(b->data, b->data + b->taken, b->used - b->taken);
	b->used -= b->taken;
	b->taken = 0;
}

void line_buffer_fill(struct line_buffer *b, int fd)
{
	drop_taken(b);
	if (b->used > CLAWCHAT_TEXT_MAX) {
		b->too_long += !b->is_skipping;
		b->is_skipping = true;
		b->used = 0;
	}
	/* One byte is kept for the zero behind the last line. */
	ssize_t size = read(fd, b->data + b->used, sizeof(b->data) - 1 - b->used);
	if (size > 0)
		b->used += (size_t)size;
	else if (size == 0 || (errno != EINTR && errno != EAGAIN))
		b->is_at_end = true;
}

/* What lies before the next line break, or before the end; NULL: neither is there. */
static char *take(struct line_buffer *b, size_t *size)
{
	char *start = b->data + b->taken;
	char *end = memchr(start, '\n', b->used - b->taken);
	if (end == NULL && (!b->is_at_end || b->taken == b->used))
		return NULL;
	if (end == NULL)
		end = b->data + b->used;
	b->taken = (size_t)(end - b->data) + (end < b->data + b->used);
	*end = '\0';
	*size = (size_t)(end - start);
	return start;
}

char *line_buffer_next(struct line_buffer *b)
{
	char *line;
	size_t size;
	while ((line = take(b, &size)) != NULL) {
		bool was_skipping = b->is_skipping;
		b->is_skipping = false;
		if (was_skipping || size == 0)
			continue;
		if (strlen(line) == size)
			return line;
		b->not_text++;
	}
	return NULL;
}
