#pragma once
/*
 * Fields of the profile's JSON files: bytes as base64, numbers with bounds. Readers note the first
 * failure and go on, so that a file is read as a list of fields and judged once.
 *
 * Pure (jansson allocates).
 */
#include <jansson.h>

#include "crypto/bytes.h"

struct json_reader {
	const json_t *object;
	const char *failed; /* name of the first field that was missing or wrong; NULL: none */
};

void json_put_bytes(json_t *object, const char *name, const void *data, size_t size);
void json_put_number(json_t *object, const char *name, uint64_t value);
void json_put_text(json_t *object, const char *name, const char *value);

void json_take_bytes(struct json_reader *r, const char *name, void *out, size_t size);
uint64_t json_take_number(struct json_reader *r, const char *name, uint64_t max);
void json_take_text(struct json_reader *r, const char *name, char *out, size_t capacity);
bool json_take_bool(struct json_reader *r, const char *name);
