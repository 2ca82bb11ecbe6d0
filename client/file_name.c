#include "client/file_name.h"

#include <assert.h>
#include <stdio.h>

#include "core/text.h"

enum {
	LINE_MAX_SIZE = 1024, /* of a name before it is cut; no file system has longer ones */
};

/* The extension with its dot, or the end: "a.tar.gz" gives ".gz", ".x" and "a." nothing. */
static const char *extension_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t size = dot != NULL ? strlen(dot) : 0;

	if (dot == NULL || dot == name || size < 2 || size > FILE_NAME_EXTENSION_MAX)
		return name + strlen(name);
	return dot;
}

/* Copy; if it is too long, cut in front of the extension, between scalar values. */
static void cut(const char *line, char out[FILE_NAME_SIZE_MAX + 1])
{
	const char *extension = extension_of(line);

	if (strlen(line) <= FILE_NAME_SIZE_MAX)
		extension = line;

	size_t extension_size = strlen(extension);
	struct view stem = view_of(line, (size_t)(extension - line));
	size_t length = text_clean_line(stem, out, FILE_NAME_SIZE_MAX + 1 - extension_size);

	memcpy(out + length, extension, extension_size + 1);
}

size_t file_name_clean(struct view name, char out[FILE_NAME_SIZE_MAX + 1])
{
	char line[LINE_MAX_SIZE];
	size_t length = text_clean_line(name, line, sizeof line);

	for (size_t i = 0; i < length; i++)
		if (line[i] == '/')
			line[i] = '_';
	/* Hidden, or taken for an option by a program that the user gives it to. */
	if (line[0] == '.' || line[0] == '-')
		line[0] = '_';
	if (length == 0)
		memcpy(line, "file", sizeof "file");
	cut(line, out);
	return strlen(out);
}

bool file_name_is_clean(struct view name)
{
	char clean[FILE_NAME_SIZE_MAX + 1];

	return file_name_clean(name, clean) == name.size &&
	       memcmp(clean, name.data, name.size) == 0;
}

void file_name_copy(const char *clean, unsigned copy, char out[FILE_NAME_LOCAL_MAX + 1])
{
	const char *extension = extension_of(clean);
	int stem = (int)(extension - clean);
	int size;

	assert(strlen(clean) <= FILE_NAME_SIZE_MAX);
	if (copy <= 1)
		size = snprintf(out, FILE_NAME_LOCAL_MAX + 1, "%s", clean);
	else
		size = snprintf(out, FILE_NAME_LOCAL_MAX + 1, "%.*s (%u)%s", stem, clean, copy,
				extension);
	assert(size > 0 && size <= FILE_NAME_LOCAL_MAX);
}

void file_name_part(const char *clean, const uint8_t sha256[HASH_SIZE],
		    char out[FILE_NAME_LOCAL_MAX + 1])
{
	int size = snprintf(out, FILE_NAME_LOCAL_MAX + 1, ".%s.%02x%02x%02x%02x.part", clean,
			    sha256[0], sha256[1], sha256[2], sha256[3]);

	assert(strlen(clean) <= FILE_NAME_SIZE_MAX);
	assert(size > 0 && size <= FILE_NAME_LOCAL_MAX);
}
