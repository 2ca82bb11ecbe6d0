#include "core/verdict.h"

#include <assert.h>

static const char *const keys[] = {
#define X(name, key, text) [name] = key,
	VERDICTS(X)
#undef X
};

static const char *const texts[] = {
#define X(name, key, text) [name] = text,
	VERDICTS(X)
#undef X
};

const char *verdict_key(enum verdict v)
{
	assert(v < VERDICT_COUNT);
	return keys[v];
}

const char *verdict_text(enum verdict v)
{
	assert(v < VERDICT_COUNT);
	return texts[v];
}
