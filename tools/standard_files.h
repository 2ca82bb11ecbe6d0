#pragma once
/*
 * Descriptors 0, 1 and 2 that the caller has closed are opened on /dev/null. Without this the next
 * file or socket gets such a number, and what is meant for the terminal is written into it.
 *
 * First in main(). False: /dev/null cannot be opened; nothing else may be opened either.
 */
#include <stdbool.h>

bool standard_files_hold(void) __attribute__((warn_unused_result));
