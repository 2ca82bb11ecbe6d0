#include "relay/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/atomic.h"
#include "core/instant.h"
#include "net/clock.h"

enum { VALUE_MAX = 1024, LINE_MAX_BYTES = 8192, ID_BYTES = 8 };

/* A line under construction: written in one piece, so that lines of two processes on one stream
 * do not mix. What does not fit is cut. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t size;
};

/* How often an event was told in the current second. */
struct repetition {
	const char *name; /* string literals: compared by pointer */
	uint64_t second;
	unsigned told;
	uint64_t held_back;
};

static _Atomic int current_level = LOG_LEVEL_INFO;
static enum log_format current_format = LOG_FORMAT_TEXT;
static enum log_addresses current_addresses = LOG_ADDRESSES_FULL;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards repetitions and the stream */
static struct repetition repetitions[LOG_NAMES_MAX];

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* syslog's numbers, which journald takes from a line's start (sd-daemon(3)). */
static const char *const level_prefixes[] = {
	[LOG_LEVEL_ERROR] = "<3>",
	[LOG_LEVEL_WARNING] = "<4>",
	[LOG_LEVEL_INFO] = "<6>",
	[LOG_LEVEL_DEBUG] = "<7>",
};

void log_configure(enum log_level level, enum log_format format, enum log_addresses addresses)
{
	store_relaxed(&current_level, (int)level);
	current_format = format;
	current_addresses = addresses;
}

void log_set_level(enum log_level level)
{
	store_relaxed(&current_level, (int)level);
}

static void format_address(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
	struct address shown = *address;
	if (current_addresses == LOG_ADDRESSES_NONE) {
		snprintf(text, ADDRESS_TEXT_SIZE, "-");
		return;
	}
	if (current_addresses == LOG_ADDRESSES_SHORT) {
		/* The last byte of IPv4, all but the /48 of IPv6. */
		size_t kept = address_is_v4(address) ? 15 : 6;
		memset(shown.ip + kept, 0, sizeof(shown.ip) - kept);
		shown.port = 0;
	}
	address_format(&shown, text);
}

/* What a terminal could take for a command, or a reader for a new line, is shown as '?': control
 * characters, those of C1 among them, which lie beyond ASCII. */
static void make_harmless(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static void format_value(const struct log_field *field, char out[VALUE_MAX])
{
	char address[ADDRESS_TEXT_SIZE];
	switch (field->kind) {
	case LOG_FIELD_TEXT:
		snprintf(out, VALUE_MAX, "%s", field->text != NULL ? field->text : "");
		break;
	case LOG_FIELD_NUMBER: snprintf(out, VALUE_MAX, "%lld", (long long)field->number); break;
	case LOG_FIELD_ADDRESS:
		format_address(field->address, address);
		snprintf(out, VALUE_MAX, "%s", address);
		break;
	case LOG_FIELD_ID:
		for (size_t i = 0; i < ID_BYTES; i++)
			snprintf(out + 2 * i, VALUE_MAX - 2 * i, "%02x", field->id.data[i]);
		break;
	}
	make_harmless(out);
}

static void format_time(char *out, size_t capacity)
{
	uint64_t wall_ns = clock_now().wall_ns;
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm parts;
	char text[32];
	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out, capacity, "%s.%03uZ", text, (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
}

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - 1 - line->size; /* the newline's place is kept */
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(line->text + line->size, room, format, arguments);
	va_end(arguments);
	if (size > 0)
		line->size += (size_t)size < room ? (size_t)size : room - 1;
}

static void add_json(struct line *line, enum log_level level, const char *name,
		     const struct log_field *fields, size_t count)
{
	char value[VALUE_MAX];
	json_t *object = json_object();
	format_time(value, sizeof(value));
	json_object_set_new(object, "time", json_string(value));
	json_object_set_new(object, "level", json_string(level_names[level]));
	json_object_set_new(object, "event", json_string(name));
	for (size_t i = 0; i < count; i++) {
		format_value(&fields[i], value);
		json_object_set_new(object, fields[i].name,
				    fields[i].kind == LOG_FIELD_NUMBER ?
					    json_integer(fields[i].number) :
					    json_string(value));
	}
	char *text = json_dumps(object, JSON_COMPACT);
	/* Cut JSON would be no JSON. */
	if (text != NULL && strlen(text) < sizeof(line->text) - 1)
		add(line, "%s", text);
	else
		add(line, "{\"event\":\"%s\",\"level\":\"%s\",\"cut\":true}", name,
		    level_names[level]);
	free(text);
	json_decref(object);
}

/* Quoted where a reader would otherwise not see where the value ends. */
static void add_field(struct line *line, const struct log_field *field)
{
	char value[VALUE_MAX];
	format_value(field, value);
	bool is_plain = value[0] != '\0' && strpbrk(value, " \"=") == NULL;
	for (char *p = value; *p != '\0'; p++)
		if (*p == '"')
			*p = '\'';
	add(line, is_plain ? " %s=%s" : " %s=\"%s\"", field->name, value);
}

static void add_text(struct line *line, enum log_level level, const char *name,
		     const struct log_field *fields, size_t count)
{
	char when[40];
	if (current_format == LOG_FORMAT_JOURNALD) {
		add(line, "%s%s", level_prefixes[level], name);
	} else {
		format_time(when, sizeof(when));
		add(line, "%s %-7s %s", when, level_names[level], name);
	}
	for (size_t i = 0; i < count; i++)
		add_field(line, &fields[i]);
}

static void write_line(enum log_level level, const char *name, const struct log_field *fields,
		       size_t count)
{
	struct line line;
	line.size = 0;
	if (current_format == LOG_FORMAT_JSON)
		add_json(&line, level, name, fields, count);
	else
		add_text(&line, level, name, fields, count);
	line.text[line.size++] = '\n';
	fwrite(line.text, 1, line.size, stderr); /* unbuffered: one write(2) */
}

/* True: this event has been told often enough this second. */
static bool is_held_back(const char *name)
{
	uint64_t second = clock_now().mono_ns / NS_PER_S;
	struct repetition *r = NULL;
	for (size_t i = 0; i < LOG_NAMES_MAX && r == NULL; i++)
		if (repetitions[i].name == name || repetitions[i].name == NULL)
			r = &repetitions[i];
	if (r == NULL)
		return false;
	r->name = name;
	if (r->second != second) {
		uint64_t held_back = r->held_back;
		r->second = second;
		r->told = 0;
		r->held_back = 0;
		if (held_back > 0)
			write_line(LOG_LEVEL_WARNING, "log_limited",
				   (const struct log_field[]){ LOG_TEXT("name", name),
							       LOG_NUMBER("count", held_back) },
				   2);
	}
	if (r->told++ < LOG_EVENTS_PER_S)
		return false;
	r->held_back++;
	return true;
}

void log_event_fields(enum log_level level, const char *name, const struct log_field *fields,
		      size_t count)
{
	if ((int)level > load_relaxed(&current_level))
		return;
	pthread_mutex_lock(&lock);
	if (!is_held_back(name))
		write_line(level, name, fields, count);
	pthread_mutex_unlock(&lock);
}
