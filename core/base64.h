#pragma once
/*
 * Base64 (RFC 4648 section 4), strict: padding is required, and bytes have exactly one text. So
 * text that was changed anywhere never decodes to the same bytes.
 *
 * Pure.
 */
#include "crypto/bytes.h"

/* Characters for `size` bytes, without a NUL. */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* `out` receives BASE64_SIZE(data.size) characters and no NUL. Returns that size. */
size_t base64_encode(struct view data, char *out);

/*
 * False: not base64, not its only form, or more than `capacity` bytes; what `out` then holds is
 * of no use, and *size is 0.
 */
bool base64_decode(struct view text, uint8_t *out, size_t capacity, size_t *size) MUST_CHECK;
