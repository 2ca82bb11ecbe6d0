#include "core/security_file_json.h"

#include <malloc.h>
#include <stdlib.h>

#include "core/base64.h"
#include "core/text.h"

/* jansson keeps copies of keys and of all text: none may stay in freed memory. */
static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		bytes_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void security_file_init(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

struct scan {
	unsigned depth;
	bool in_string;
	bool is_escaped;
	bool is_bad; /* holds a number that is no integer */
	uint8_t previous;
};

static void scan_string(struct scan *s, uint8_t c)
{
	if (s->is_escaped)
		s->is_escaped = false;
	else if (c == '\\')
		s->is_escaped = true;
	else if (c == '"')
		s->in_string = false;
}

static void scan_outside(struct scan *s, uint8_t c)
{
	bool after_digit = s->previous >= '0' && s->previous <= '9';

	if (c == '"')
		s->in_string = true;
	else if (c == '{' || c == '[')
		s->depth++;
	else if ((c == '}' || c == ']') && s->depth > 0)
		s->depth--;
	else if (c == '.' || c == 'E' || (c == 'e' && after_digit))
		s->is_bad = true;
}

/*
 * Bounds the nesting, so that the parser's recursion is bounded. Real numbers are refused here
 * too: they have no one text, and so no place under a signature.
 */
static enum security_file_status scan_text(struct view text)
{
	struct scan s = { 0 };

	for (size_t i = 0; i < text.size; i++) {
		if (s.in_string)
			scan_string(&s, text.data[i]);
		else
			scan_outside(&s, text.data[i]);
		if (s.depth > SECURITY_FILE_DEPTH_MAX)
			return SECURITY_FILE_TOO_DEEP;
		s.previous = text.data[i];
	}
	return s.is_bad ? SECURITY_FILE_NOT_JSON : SECURITY_FILE_OK;
}

enum security_file_status json_text_load(struct view text, json_t **out)
{
	json_error_t error;

	if (text.size > SECURITY_FILE_SIZE_MAX)
		return SECURITY_FILE_TOO_LARGE;
	/* jansson would let white space pass on both sides. */
	if (text.size < 2 || text.data[0] != '{' || text.data[text.size - 1] != '}')
		return SECURITY_FILE_NOT_JSON;
	enum security_file_status status = scan_text(text);
	if (status != SECURITY_FILE_OK)
		return status;
	*out = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &error);
	return *out != NULL ? SECURITY_FILE_OK : SECURITY_FILE_NOT_JSON;
}

static struct view take_string(struct fields *f, const char *key)
{
	const json_t *value = json_object_get(f->object, key);

	if (json_is_string(value))
		return view_of(json_string_value(value), json_string_length(value));
	f->is_bad = true;
	return VIEW_STRING("");
}

void fields_take_base64(struct fields *f, const char *key, uint8_t *out, size_t size)
{
	size_t got;

	if (!base64_decode(take_string(f, key), out, size, &got) || got != size)
		f->is_bad = true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void fields_take_hex(struct fields *f, const char *key, uint8_t *out, size_t size)
{
	struct view text = take_string(f, key);

	if (text.size != 2 * size) {
		f->is_bad = true;
		return;
	}
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			f->is_bad = true;
		out[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
	}
}

uint64_t fields_take_integer(struct fields *f, const char *key, uint64_t min, uint64_t max)
{
	const json_t *value = json_object_get(f->object, key);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < min ||
	    (uint64_t)number > max) {
		f->is_bad = true;
		return 0;
	}
	return (uint64_t)number;
}

const char *fields_take_text(struct fields *f, const char *key)
{
	return (const char *)take_string(f, key).data;
}

struct fields fields_take_object(struct fields *f, const char *key)
{
	struct fields inner = { .object = json_object_get(f->object, key) };

	if (!json_is_object(inner.object)) {
		f->is_bad = true;
		inner.object = NULL;
	}
	return inner;
}

const json_t *fields_take_array(struct fields *f, const char *key, size_t max)
{
	const json_t *value = json_object_get(f->object, key);

	if (json_is_array(value) && json_array_size(value) <= max)
		return value;
	f->is_bad = true;
	return NULL;
}

bool fields_copy_text(const char *text, char *out, size_t capacity)
{
	struct view rest = view_of(text, strlen(text));

	if (rest.size >= capacity)
		return false;
	memcpy(out, rest.data, rest.size + 1);
	while (rest.size > 0) {
		uint32_t scalar;
		size_t size = text_decode(rest, &scalar);
		if (size == 0 || text_is_unsafe(scalar))
			return false;
		rest = view_of(rest.data + size, rest.size - size);
	}
	return true;
}

/* A number of one to three digits; *text moves behind it. */
static bool take_number(const char **text, unsigned *out)
{
	const char *p = *text;

	*out = 0;
	for (; *p >= '0' && *p <= '9' && p - *text < 3; p++)
		*out = *out * 10 + (unsigned)(*p - '0');
	bool is_number = p > *text;
	*text = p;
	return is_number;
}

enum security_file_status version_judge(const char *text)
{
	enum { MAJOR = 3 };
	unsigned major, minor;

	if (strcmp(text, SECURITY_FILE_VERSION) == 0)
		return SECURITY_FILE_OK;
	if (!take_number(&text, &major) || *text++ != '.' || !take_number(&text, &minor) ||
	    *text != '\0')
		return SECURITY_FILE_MALFORMED;
	return major >= MAJOR ? SECURITY_FILE_TOO_NEW : SECURITY_FILE_TOO_OLD;
}
