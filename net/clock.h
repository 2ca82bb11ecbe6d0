#pragma once
/* The clocks, read once per batch and handed down as an argument. Any thread. */
#include "core/instant.h"

struct instant clock_now(void);
