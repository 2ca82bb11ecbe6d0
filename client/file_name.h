#pragma once
/*
 * File names from the other end, made fit to be created here: always one component, never
 * hidden, never empty, safe to show, and short enough that the names made from it fit NAME_MAX.
 *
 * Pure.
 */
#include "crypto/kdf.h"

enum {
	FILE_NAME_SIZE_MAX =
		200, /* leaves room for what the functions below add; NAME_MAX is 255 */
	FILE_NAME_EXTENSION_MAX = 16, /* kept when a long name is cut, its dot included */
	FILE_NAME_LOCAL_MAX = 255,    /* NAME_MAX of Linux */
	FILE_NAME_COPIES_MAX = 1000,  /* "name (2)" to "name (1000)" are tried */
};

/* `out` receives the clean name of at most FILE_NAME_SIZE_MAX bytes. Returns its length, > 0. */
size_t file_name_clean(struct view name, char out[FILE_NAME_SIZE_MAX + 1]);

/* Is it what file_name_clean() would make of it? */
bool file_name_is_clean(struct view name) MUST_CHECK;

/* "report.pdf" and copy 2: "report (2).pdf"; copy 1 is the name itself. */
void file_name_copy(const char *clean, unsigned copy, char out[FILE_NAME_LOCAL_MAX + 1]);

/* ".report.pdf.0123abcd.part": where an unfinished file is kept. The same contents under the
 * same name find it again. */
void file_name_part(const char *clean, const uint8_t sha256[HASH_SIZE],
		    char out[FILE_NAME_LOCAL_MAX + 1]);
