/* Base64: whatever decodes must encode to the same text again. */
#include <assert.h>

#include "core/base64.h"

enum { CAPACITY = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[CAPACITY];
	static char text[BASE64_SIZE(CAPACITY)];
	size_t got;

	if (!base64_decode(view_of(data, size), bytes, sizeof bytes, &got)) {
		assert(got == 0);
		return 0;
	}
	size_t again = base64_encode(view_of(bytes, got), text);
	assert(again == size);
	assert(memcmp(text, data, size) == 0);
	return 0;
}
