#pragma once
/*
 * Looks for keys where none may be left: in this process's own memory, all of it, and in the files
 * of a folder.
 *
 * The keys looked for are kept masked, and what is looked through is masked as it is read, so that
 * the search does not find itself.
 */
#include "crypto/bytes.h"

enum { KEY_SEARCH_MAX = 64, KEY_SEARCH_SIZE = 32 };

struct key_search {
	uint8_t masked[KEY_SEARCH_MAX][KEY_SEARCH_SIZE];
	const char *names[KEY_SEARCH_MAX];
	size_t count;
};

/* A key of zeros is not a key and is passed over. */
void key_search_add(struct key_search *s, const char *name, const uint8_t *key);

/* How often any of them occurs; says on stderr which, and where, if `is_loud`. */
size_t key_search_memory(const struct key_search *s, bool is_loud);
/* The same for the files below a folder, where base64 counts, too. */
size_t key_search_folder(const struct key_search *s, const char *path, bool is_loud);
