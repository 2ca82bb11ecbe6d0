/* Application messages of any bytes: what is taken is sound, and writes the same bytes again. */
#include <assert.h>

#include "client/messages.h"
#include "core/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct view bytes)
{
	char clean[FILE_NAME_SIZE_MAX + 1];
	size_t length = file_name_clean(bytes, clean);

	assert(length > 0 && length == strlen(clean));
	assert(strchr(clean, '/') == NULL && clean[0] != '.');
	assert(text_is_valid(view_of(clean, length)));
	assert(file_name_is_clean(view_of(clean, length)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[DELIVERY_MESSAGE_MAX];
	struct view bytes = view_of(data, size);
	struct message m;

	check_name(bytes);
	if (!message_decode(bytes, &m))
		return 0;
	assert(m.body.data + m.body.size == data + size);
	assert(m.type == MESSAGE_FILE_CHUNK || text_is_valid(m.body));
	assert(message_encode(&m, (struct view_out){ again, sizeof again }) == size);
	assert(memcmp(again, data, size) == 0);
	return 0;
}
