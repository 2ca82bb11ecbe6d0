#pragma once
/* What it costs to find a session among many: the relay's own tables, filled in this process. */
#include "crypto/bytes.h"

struct lookup_figures {
	double by_id_ns;   /* as each packet does: slot and generation */
	double by_peer_ns; /* as OPEN and FIND do: peer id */
};

/* One after the other in random order, each waiting for the one before: what one look-up takes
 * with cold caches. An error is a text for people; NULL is success. */
const char *lookup_measure(uint32_t sessions, struct lookup_figures *out) MUST_CHECK;
