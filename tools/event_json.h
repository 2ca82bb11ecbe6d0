#pragma once
/* Events of the client, contacts and status as JSON. Callers own what they get. */
#include <jansson.h>

#include "client/clawchat.h"

json_t *event_json(const struct clawchat_event *event);
json_t *contact_json(const struct clawchat *c, const struct clawchat_contact *contact);
json_t *status_json(const struct clawchat_status *status);
json_t *file_info_json(const char *path, const struct clawchat_file_info *info, const char *status);
