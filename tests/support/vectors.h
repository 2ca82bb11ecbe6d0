#pragma once
/*
 * Published test vectors: where they are and how to read them.
 *
 * vectors_open() and vectors_load() look below $CLAWCHAT_VECTORS, else ../shared/vectors
 * beside the source tree, and skip the running test, saying so, where a file is absent.
 * Names below "rfc/" are part of the tree and must be there.
 */
#include <jansson.h>

#include "tests/support/test.h"

FILE *vectors_open(const char *name);
json_t *vectors_load(const char *name); /* json_decref() it */

/* Bytes of one field of a row. */
enum { BLOB_MAX = 16384 };
struct blob {
	uint8_t data[BLOB_MAX];
	size_t size;
};

void blob_of(struct blob *b, const char *hex);
void blob_of_json(struct blob *b, const json_t *object, const char *key);
struct view blob_view(const struct blob *b);
const char *json_text(const json_t *object, const char *key);

/* One row of a text file of "Key = value" lines; a line without "=" is a key of its own. */
enum {
	RECORD_LINE_MAX = 4096,
	RECORD_FIELDS_MAX = 12,
};
struct record {
	size_t count;
	struct {
		char key[32];
		char value[RECORD_LINE_MAX];
	} fields[RECORD_FIELDS_MAX];
};

/* Rows begin at `start_key`; comments, [headings] and what precedes the first are ignored. */
struct record_reader {
	FILE *file;
	const char *start_key;
	char line[RECORD_LINE_MAX];
	bool has_next; /* the first line of the next record was read already */
	char next_value[RECORD_LINE_MAX];
};

void records_open(struct record_reader *r, const char *name, const char *start_key);
bool records_next(struct record_reader *r, struct record *record); /* false: end, and closed */
bool record_has(const struct record *record, const char *key);
const char *record_text(const struct record *record, const char *key);
void blob_of_record(struct blob *b, const struct record *record, const char *key);
