#pragma once
/*
 * Log: one event a line with a stable name and named fields, as text, JSON, or text with the
 * priority prefix that journald reads. Never a payload, never a secret; addresses in full,
 * shortened or not at all, by setting. Repetition is limited per event name.
 *
 *   log_event(LOG_LEVEL_INFO, "listening", LOG_ADDRESS("address", &a), LOG_NUMBER("door", k));
 *
 * Any thread (a lock inside); never on the packet path.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNALD };
enum log_addresses { LOG_ADDRESSES_FULL, LOG_ADDRESSES_SHORT, LOG_ADDRESSES_NONE };

enum {
	LOG_EVENTS_PER_S = 20, /* per event name; the rest is counted and said once */
	LOG_NAMES_MAX = 64,
};

enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_ADDRESS, LOG_FIELD_ID };

struct log_field {
	const char *name;
	enum log_field_kind kind;
	const char *text;
	int64_t number;
	const struct address *address;
	struct view id; /* printed as hexadecimal, 8 bytes at most */
};

#define LOG_TEXT(n, t) ((struct log_field){ .name = n, .kind = LOG_FIELD_TEXT, .text = t })
#define LOG_NUMBER(n, v) \
	((struct log_field){ .name = n, .kind = LOG_FIELD_NUMBER, .number = (int64_t)(v) })
#define LOG_ADDRESS(n, a) ((struct log_field){ .name = n, .kind = LOG_FIELD_ADDRESS, .address = a })
#define LOG_ID(n, bytes) \
	((struct log_field){ .name = n, .kind = LOG_FIELD_ID, .id = view_of(bytes, 8) })

/* Before other threads; standard error until then, as text at level info. */
void log_configure(enum log_level level, enum log_format format, enum log_addresses addresses);
void log_set_level(enum log_level level); /* any thread */

#define log_event(level, name, ...) \
	log_event_fields(level, name, (const struct log_field[]){ __VA_ARGS__ }, \
			 sizeof((const struct log_field[]){ __VA_ARGS__ }) / \
				 sizeof(struct log_field))
void log_event_fields(enum log_level level, const char *name, const struct log_field *fields,
		      size_t count);
