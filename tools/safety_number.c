#include "tools/safety_number.h"

void safety_number_format(const char number[CLAWCHAT_SAFETY_NUMBER_SIZE],
			  char out[SAFETY_NUMBER_LINES])
{
	const size_t line = SAFETY_NUMBER_GROUP * SAFETY_NUMBER_GROUPS_PER_LINE;
	size_t used = 0;
	for (size_t i = 0; number[i] != '\0'; i++) {
		if (i > 0 && i % line == 0)
			out[used++] = '\n';
		else if (i > 0 && i % SAFETY_NUMBER_GROUP == 0)
			out[used++] = ' ';
		if (i % line == 0) {
			out[used++] = ' ';
			out[used++] = ' ';
		}
		out[used++] = number[i];
	}
	out[used] = '\0';
}
