#pragma once
/* The 60 digits of a safety number as people compare them. Pure. */
#include "client/clawchat.h"

enum {
	SAFETY_NUMBER_GROUP = 5,
	SAFETY_NUMBER_GROUPS_PER_LINE = 4,
	/* Digits, one character after each group, two before each line, NUL. */
	SAFETY_NUMBER_LINES = (CLAWCHAT_SAFETY_NUMBER_SIZE - 1) * 3 / 2 + 1,
};

/* Three lines of four groups of five digits, indented by two; no line break at the end. */
void safety_number_format(const char number[CLAWCHAT_SAFETY_NUMBER_SIZE],
			  char out[SAFETY_NUMBER_LINES]);
