#pragma once
/* Exit codes that all programs share; clawchat(1) adds those of clawchat.h. */
enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNAVAILABLE = 69,
	EXIT_IO = 74,
	EXIT_PERMISSION = 77,
	EXIT_CONFIG = 78,
};
