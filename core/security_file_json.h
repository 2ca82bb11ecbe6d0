#pragma once
/*
 * JSON inside security files: only for core/security_file_*.c, their tests and fuzzers.
 *
 * Text is scanned for its nesting before jansson sees it. Fields are taken out of an object one
 * after the other; the first that is missing or has a wrong form marks the reader as bad, so that
 * one check at the end is enough.
 */
#include <jansson.h>

#include "core/security_file.h"

#define SECURITY_FILE_VERSION "3.0"

/* ---- reading ---------------------------------------------------------------------------- */

/* *out: a new reference to the one object that the text consists of. */
enum security_file_status json_text_load(struct view text, json_t **out) MUST_CHECK;

struct fields {
	const json_t *object; /* NULL: every field is missing */
	bool is_bad;
};

/* Base64 or hexadecimal text of exactly `size` bytes. */
void fields_take_base64(struct fields *f, const char *key, uint8_t *out, size_t size);
void fields_take_hex(struct fields *f, const char *key, uint8_t *out, size_t size);
/* 0 where it is bad. */
uint64_t fields_take_integer(struct fields *f, const char *key, uint64_t min, uint64_t max);
/* The text itself, alive as long as the object; "" where it is bad. */
const char *fields_take_text(struct fields *f, const char *key);
struct fields fields_take_object(struct fields *f, const char *key);
/* An array of at most `max` elements; NULL where it is bad. */
const json_t *fields_take_array(struct fields *f, const char *key, size_t max);

/* Copies text of less than `capacity` bytes that is safe to show (core/text.h); else false. */
bool fields_copy_text(const char *text, char *out, size_t capacity) MUST_CHECK;

/* OK for "3.0", else TOO_NEW, TOO_OLD or MALFORMED. */
enum security_file_status version_judge(const char *text) MUST_CHECK;

/* ---- envelope --------------------------------------------------------------------------- */

enum {
	SALT_SIZE = 32,
	/* Bytes of content that fit SECURITY_FILE_WRITTEN_MAX as base64 with the rest around. */
	CONTENT_WRITTEN_MAX = 5120,
	SEALED_SIZE_MAX = SECURITY_FILE_SIZE_MAX / 4 * 3,
};

struct envelope {
	uint64_t iterations;
	uint8_t salt[SALT_SIZE];
	uint8_t iv[AEAD_NONCE_SIZE];
	uint8_t commit[HASH_SIZE];
	uint8_t *sealed; /* ciphertext and tag; freed by envelope_fini() */
	size_t sealed_size;
};

enum security_file_status envelope_decode(struct view text, struct envelope *out) MUST_CHECK;
void envelope_fini(struct envelope *e);

/* Text of the envelope, without NUL; 0: `capacity` is too small. */
size_t envelope_encode(const struct envelope *e, char *out, size_t capacity) MUST_CHECK;

/* The additional data: every field of the envelope that is not checked otherwise. */
enum { ENVELOPE_AAD_SIZE = 160 };
struct view envelope_aad(const struct envelope *e, char aad[ENVELOPE_AAD_SIZE]);

/* ---- content ---------------------------------------------------------------------------- */

/* Signed text of the content; 0: fields that are not text, or no room. */
size_t content_encode(const struct security_file *file, const struct ed25519_pair *signing,
		      uint8_t *out, size_t capacity) MUST_CHECK;

/* OK, BAD_CONTENT, TOO_NEW, TOO_OLD, OTHER_CIPHER, BAD_SIGNATURE or NO_MEMORY. Checks the
 * signature against the key inside; time is not looked at. */
enum security_file_status content_decode(struct view text, struct security_file *out) MUST_CHECK;

/* Seals any bytes as content, whatever they are: for tests and fuzzers. */
enum security_file_status security_file_seal_content(const struct security_file_writer *writer,
						     struct view content, char *out,
						     size_t capacity, size_t *size) MUST_CHECK;
