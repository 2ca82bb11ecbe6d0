#include "tests/support/vectors.h"

#include <ctype.h>
#include <errno.h>

static void find(const char *name, char *path, size_t capacity)
{
	const char *folder = getenv("CLAWCHAT_VECTORS");

	if (strncmp(name, "rfc/", strlen("rfc/")) == 0)
		snprintf(path, capacity, "%s/tests/vectors/%s", CLAWCHAT_SOURCE_DIR, name);
	else if (folder != NULL)
		snprintf(path, capacity, "%s/%s", folder, name);
	else
		snprintf(path, capacity, "%s/../shared/vectors/%s", CLAWCHAT_SOURCE_DIR, name);
}

FILE *vectors_open(const char *name)
{
	char path[1024];

	find(name, path, sizeof path);
	FILE *file = fopen(path, "r");
	if (file != NULL)
		return file;
	if (errno != ENOENT || strncmp(name, "rfc/", strlen("rfc/")) == 0)
		fail_msg("%s: %s", path, strerror(errno));
	print_message("skipped: no %s (set CLAWCHAT_VECTORS)\n", path);
	skip();
	return NULL;
}

json_t *vectors_load(const char *name)
{
	json_error_t error;
	FILE *file = vectors_open(name);
	json_t *root = json_loadf(file, 0, &error);

	fclose(file);
	if (root == NULL)
		fail_msg("%s:%d: %s", name, error.line, error.text);
	return root;
}

void blob_of(struct blob *b, const char *hex)
{
	b->size = test_hex(hex, b->data, sizeof b->data);
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		fail_msg("no string \"%s\"", key);
	return text;
}

void blob_of_json(struct blob *b, const json_t *object, const char *key)
{
	blob_of(b, json_text(object, key));
}

struct view blob_view(const struct blob *b)
{
	return view_of(b->data, b->size);
}

void records_open(struct record_reader *r, const char *name, const char *start_key)
{
	r->file = vectors_open(name);
	r->start_key = start_key;
	r->has_next = false;
}

static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]); end--)
		end[-1] = '\0';
	return text;
}

/* The next line with something on it: its key, and *value behind the "=". NULL: no more. */
static const char *next_line(struct record_reader *r, const char **value)
{
	while (fgets(r->line, sizeof r->line, r->file) != NULL) {
		if (strlen(r->line) == sizeof r->line - 1)
			fail_msg("a line longer than RECORD_LINE_MAX");
		char *text = trim(r->line);
		if (*text == '\0' || *text == '#' || *text == '[')
			continue;
		char *equals = strchr(text, '=');
		*value = "";
		if (equals != NULL) {
			*equals = '\0';
			*value = trim(equals + 1);
		}
		return trim(text);
	}
	return NULL;
}

static void add_field(struct record *record, const char *key, const char *value)
{
	if (record->count == RECORD_FIELDS_MAX)
		fail_msg("more than RECORD_FIELDS_MAX lines in a record");
	snprintf(record->fields[record->count].key, sizeof record->fields[0].key, "%s", key);
	snprintf(record->fields[record->count].value, sizeof record->fields[0].value, "%s", value);
	record->count++;
}

bool records_next(struct record_reader *r, struct record *record)
{
	const char *key, *value = "";

	record->count = 0;
	if (r->file == NULL)
		return false;
	if (r->has_next)
		add_field(record, r->start_key, r->next_value);
	r->has_next = false;
	while ((key = next_line(r, &value)) != NULL) {
		bool is_start = strcmp(key, r->start_key) == 0;
		if (is_start && record->count > 0) {
			snprintf(r->next_value, sizeof r->next_value, "%s", value);
			r->has_next = true;
			return true;
		}
		if (is_start || record->count > 0)
			add_field(record, key, value);
	}
	fclose(r->file);
	r->file = NULL;
	return record->count > 0;
}

static const char *look_up(const struct record *record, const char *key)
{
	for (size_t i = 0; i < record->count; i++)
		if (strcmp(record->fields[i].key, key) == 0)
			return record->fields[i].value;
	return NULL;
}

bool record_has(const struct record *record, const char *key)
{
	return look_up(record, key) != NULL;
}

const char *record_text(const struct record *record, const char *key)
{
	const char *value = look_up(record, key);

	if (value == NULL)
		fail_msg("no line \"%s\"", key);
	return value;
}

void blob_of_record(struct blob *b, const struct record *record, const char *key)
{
	blob_of(b, record_text(record, key));
}
