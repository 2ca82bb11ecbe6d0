#pragma once
/*
 * Bytes: views over memory, little-endian scalars for wire structs, constant-time
 * compare and wiping. Everything else builds on this header.
 *
 * Pure, except bytes_wipe() and bytes_equal(), which call libcrypto.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* Memory that somebody else owns. */
struct view {
	const uint8_t *data;
	size_t size;
};

/* Memory to write to. */
struct view_out {
	uint8_t *data;
	size_t capacity;
};

#define VIEW(array) ((struct view){ .data = (const uint8_t *)(array), .size = sizeof(array) })
#define VIEW_STRING(literal) \
	((struct view){ .data = (const uint8_t *)(literal), .size = sizeof(literal) - 1 })

static inline struct view view_of(const void *data, size_t size)
{
	return (struct view){ .data = data, .size = size };
}

/* Scalars as they lie on the wire: byte arrays, so no alignment and no byte order to forget. */
/* clang-format off */
typedef struct { uint8_t b[2]; } le16;
typedef struct { uint8_t b[3]; } le24;
typedef struct { uint8_t b[4]; } le32;
typedef struct { uint8_t b[8]; } le64;
/* clang-format on */

static inline uint16_t load_le16(le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline uint32_t load_le24(le24 v)
{
	return (uint32_t)v.b[0] | (uint32_t)v.b[1] << 8 | (uint32_t)v.b[2] << 16;
}

static inline uint32_t load_le32(le32 v)
{
	return (uint32_t)v.b[0] | (uint32_t)v.b[1] << 8 | (uint32_t)v.b[2] << 16 |
	       (uint32_t)v.b[3] << 24;
}

static inline uint64_t load_le64(le64 v)
{
	uint64_t value = 0;
	for (int i = 7; i >= 0; i--)
		value = value << 8 | v.b[i];
	return value;
}

static inline le16 store_le16(uint16_t v)
{
	return (le16){ { (uint8_t)v, (uint8_t)(v >> 8) } };
}

static inline le24 store_le24(uint32_t v)
{
	return (le24){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16) } };
}

static inline le32 store_le32(uint32_t v)
{
	return (le32){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) } };
}

static inline le64 store_le64(uint64_t v)
{
	le64 out;
	for (int i = 0; i < 8; i++)
		out.b[i] = (uint8_t)(v >> (8 * i));
	return out;
}

/* Compare secrets, tags, cookies: time depends on size alone. */
bool bytes_equal(const void *a, const void *b, size_t size) MUST_CHECK;

/* Overwrite a secret; never optimised away. */
void bytes_wipe(void *data, size_t size);
