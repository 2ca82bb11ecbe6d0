/* Control frames of any plaintext: what is read lies inside it, and can be written again. */
#include <assert.h>

#include "core/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view plain = view_of(data, size);
	struct frame frame;
	enum frame_status status;

	while ((status = frame_next(&plain, &frame)) == FRAME_READ) {
		assert(frame.type <= FRAME_TYPE_LAST && frame.type != FRAME_DATA);
		assert(frame.body.data >= data);
		assert(frame.body.size <= FRAME_BODY_MAX);
		assert(frame.body.data + frame.body.size == plain.data);
		if (frame.body.size > 0)
			assert(frame.body.data + frame.body.size <= data + size);
	}
	return 0;
}
