#include "client/json_fields.h"

#include "core/base64.h"

enum { BYTES_MAX = 64 };

void json_put_bytes(json_t *object, const char *name, const void *data, size_t size)
{
	char text[BASE64_SIZE(BYTES_MAX)];
	size_t length = base64_encode(view_of(data, size), text);
	json_object_set_new(object, name, json_stringn(text, length));
	bytes_wipe(text, sizeof(text));
}

void json_put_number(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

void json_put_text(json_t *object, const char *name, const char *value)
{
	json_object_set_new(object, name, json_string(value));
}

static void fail(struct json_reader *r, const char *name)
{
	if (r->failed == NULL)
		r->failed = name;
}

void json_take_bytes(struct json_reader *r, const char *name, void *out, size_t size)
{
	const json_t *value = json_object_get(r->object, name);
	size_t got = 0;
	if (json_is_string(value) &&
	    base64_decode(view_of(json_string_value(value), json_string_length(value)), out, size,
			  &got) &&
	    got == size)
		return;
	memset(out, 0, size);
	fail(r, name);
}

uint64_t json_take_number(struct json_reader *r, const char *name, uint64_t max)
{
	const json_t *value = json_object_get(r->object, name);
	json_int_t number = json_integer_value(value);
	if (json_is_integer(value) && number >= 0 && (uint64_t)number <= max)
		return (uint64_t)number;
	fail(r, name);
	return 0;
}

void json_take_text(struct json_reader *r, const char *name, char *out, size_t capacity)
{
	const json_t *value = json_object_get(r->object, name);
	size_t length = json_string_length(value);
	out[0] = '\0';
	if (!json_is_string(value) || length >= capacity ||
	    memchr(json_string_value(value), '\0', length) != NULL) {
		fail(r, name);
		return;
	}
	memcpy(out, json_string_value(value), length + 1);
}

bool json_take_bool(struct json_reader *r, const char *name)
{
	const json_t *value = json_object_get(r->object, name);
	if (!json_is_boolean(value))
		fail(r, name);
	return json_is_true(value);
}
