#pragma once
/* Enrolment and clock of a profile, as fields of its relay.json. Pure. */
#include <jansson.h>

#include "client/profile.h"

void enrolment_json_add(json_t *object, const struct profile *p);
/* Both may be missing. False: *failed names the field that is wrong. */
bool enrolment_json_read(const json_t *object, struct profile *p, const char **failed) MUST_CHECK;
