#pragma once
/* The relay that a profile belongs to, as JSON: the opened content of its security file. Pure. */
#include <jansson.h>

#include "core/security_file.h"

json_t *relay_json_make(const struct security_file *file);
/* False: *failed names the field that is missing or wrong. */
bool relay_json_read(const json_t *object, struct security_file *out,
		     const char **failed) MUST_CHECK;
