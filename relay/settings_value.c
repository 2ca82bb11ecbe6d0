#include <stdarg.h>

#include "core/limits.h"
#include "core/text.h"
#include "relay/settings.h"

struct unit {
	const char *name;
	uint32_t factor;
};

/* From large to small; the last is what a bare number means. */
static const struct unit SIZE_UNITS[] = {
	{ "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 }, { 0 },
};
static const struct unit TIME_UNITS[] = {
	{ "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { 0 },
};
static const struct unit NO_UNITS[] = { { "", 1 }, { 0 } };

static const struct unit *units_of(const struct setting *setting)
{
	if (setting->type == SETTING_SIZE)
		return SIZE_UNITS;
	return setting->type == SETTING_DURATION ? TIME_UNITS : NO_UNITS;
}

static void *field(const struct setting *setting, struct settings *s)
{
	return (char *)s + setting->offset;
}

/* Fields are uint32_t or enums of that size: copied, so that it need not matter. */
static void put_number(const struct setting *setting, struct settings *s, uint32_t value)
{
	memcpy(field(setting, s), &value, sizeof value);
}

static uint32_t get_number(const struct setting *setting, const struct settings *s)
{
	uint32_t value;

	memcpy(&value, (const char *)s + setting->offset, sizeof value);
	return value;
}

static bool refuse(char reason[SETTING_REASON_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(char reason[SETTING_REASON_SIZE], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, SETTING_REASON_SIZE, format, arguments);
	va_end(arguments);
	return false;
}

/* ---- numbers with units ------------------------------------------------------------------- */

static const char *format_number(const struct unit *units, uint32_t value,
				 char out[SETTING_VALUE_SIZE])
{
	const struct unit *unit = units;

	/* 0 is a multiple of all units, and looks best without one. */
	while (unit[1].name != NULL && (value == 0 || value % unit->factor != 0))
		unit++;
	bool is_bare = unit->factor == 1 && units == SIZE_UNITS;
	snprintf(out, SETTING_VALUE_SIZE, "%u%s", value / unit->factor, is_bare ? "" : unit->name);
	return out;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		bool is_bare = unit->factor == 1 && *name == '\0';
		if (is_bare || strcmp(unit->name, name) == 0)
			return unit;
	}
	return NULL;
}

static bool parse_digits(const char **text, uint64_t *value)
{
	const char *p = *text;

	for (*value = 0; *p >= '0' && *p <= '9' && *value <= UINT32_MAX; p++)
		*value = *value * 10 + (uint64_t)(*p - '0');
	bool is_number = p > *text;
	*text = p;
	return is_number;
}

static bool parse_number(const struct setting *setting, struct settings *s, const char *text,
			 char reason[SETTING_REASON_SIZE])
{
	const struct unit *units = units_of(setting), *unit;
	char low[SETTING_VALUE_SIZE], high[SETTING_VALUE_SIZE];
	const char *rest = text;
	uint64_t value;

	format_number(units, setting->min, low);
	format_number(units, setting->max, high);
	if (!parse_digits(&rest, &value))
		return refuse(reason, "\"%.60s\" is not a number (allowed: %.20s to %.20s)", text,
			      low, high);
	if (value > UINT32_MAX)
		return refuse(reason, "\"%.60s\" is too large (allowed: %.20s to %.20s)", text, low,
			      high);
	unit = find_unit(units, rest);
	if (unit == NULL && units == NO_UNITS)
		return refuse(reason, "\"%.60s\" is not a plain number (allowed: %.20s to %.20s)",
			      text, low, high);
	if (unit == NULL)
		return refuse(reason, "\"%.60s\" has an unknown unit (known: %s)", text,
			      units == SIZE_UNITS ? "B, KiB, MiB, GiB" : "s, m, h, d");
	value *= unit->factor;
	if (value < setting->min || value > setting->max)
		return refuse(reason, "\"%.60s\" is too %s (allowed: %.20s to %.20s)", text,
			      value < setting->min ? "small" : "large", low, high);
	put_number(setting, s, (uint32_t)value);
	return true;
}

/* ---- choices ------------------------------------------------------------------------------ */

static const struct setting_choice SWITCH[] = { { "yes", 1 }, { "no", 0 }, { 0 } };

static const struct setting_choice *choices_of(const struct setting *setting)
{
	return setting->type == SETTING_SWITCH ? SWITCH : setting->choices;
}

static bool parse_choice(const struct setting *setting, struct settings *s, const char *text,
			 char reason[SETTING_REASON_SIZE])
{
	const struct setting_choice *choice = choices_of(setting);
	char allowed[SETTING_VALUE_SIZE] = "";
	size_t size = 0;

	for (; choice->name != NULL; choice++) {
		if (strcmp(choice->name, text) == 0) {
			put_number(setting, s, choice->value);
			return true;
		}
		size += (size_t)snprintf(allowed + size, sizeof allowed - size, "%s%s",
					 size > 0 ? ", " : "", choice->name);
	}
	return refuse(reason, "\"%.60s\" is not known (allowed: %s)", text, allowed);
}

static const char *format_choice(const struct setting *setting, const struct settings *s)
{
	const struct setting_choice *choice = choices_of(setting);

	while (choice[1].name != NULL && choice->value != get_number(setting, s))
		choice++;
	return choice->name;
}

/* ---- text and addresses ------------------------------------------------------------------- */

static bool parse_text(const struct setting *setting, struct settings *s, const char *text,
		       char reason[SETTING_REASON_SIZE])
{
	struct view rest = view_of(text, strlen(text));

	if (rest.size > setting->max)
		return refuse(reason, "is too long (allowed: %u bytes)", setting->max);
	/* A file could not hold these. */
	if (rest.size > 0 && (text[0] == ' ' || text[rest.size - 1] == ' '))
		return refuse(reason, "begins or ends with a space");
	if (text[0] == ';' || strstr(text, " ;") != NULL)
		return refuse(reason, "holds \";\", which begins a comment");
	while (rest.size > 0) {
		uint32_t scalar;
		size_t size = text_decode(rest, &scalar);
		if (size == 0)
			return refuse(reason, "is not UTF-8");
		if (text_is_unsafe(scalar))
			return refuse(reason, "holds a control or invisible character (U+%04X)",
				      scalar);
		rest = view_of(rest.data + size, rest.size - size);
	}
	snprintf(field(setting, s), SETTINGS_TEXT_MAX + 1, "%s", text);
	return true;
}

static bool is_listen(const struct setting *setting)
{
	return setting->type == SETTING_LISTEN_IPV4 || setting->type == SETTING_LISTEN_IPV6;
}

static bool parse_address(const struct setting *setting, struct settings *s, const char *text,
			  char reason[SETTING_REASON_SIZE])
{
	bool is_v4 = setting->type == SETTING_IPV4 || setting->type == SETTING_LISTEN_IPV4;
	const char *none = is_listen(setting) ? "none" : "";
	struct address address = { 0 };

	bool is_good = strcmp(text, none) == 0 ||
		       (address_parse(text, &address) && address_is_v4(&address) == is_v4 &&
			address.port == 0 && strpbrk(text, "[]") == NULL);
	if (!is_good)
		return refuse(reason, "\"%.60s\" is not an IPv%c address (allowed: %s%s)", text,
			      is_v4 ? '4' : '6',
			      is_v4 ? "one such as 192.0.2.1" : "one such as 2001:db8::1",
			      is_listen(setting) ? ", or none" : ", or nothing");
	if (is_listen(setting) && strcmp(text, none) != 0)
		address.port = SETTINGS_LISTEN_PORT;
	memcpy(field(setting, s), &address, sizeof address);
	return true;
}

/* The address without the port that address_format() adds. */
static void format_address(const struct setting *setting, const struct settings *s,
			   char out[SETTING_VALUE_SIZE])
{
	char text[ADDRESS_TEXT_SIZE];
	struct address address;

	memcpy(&address, (const char *)s + setting->offset, sizeof address);
	if (!address_is_set(&address)) {
		snprintf(out, SETTING_VALUE_SIZE, "%s", is_listen(setting) ? "none" : "");
		return;
	}
	address_format(&address, text);
	bool has_brackets = text[0] == '[';
	*strrchr(text, has_brackets ? ']' : ':') = '\0';
	snprintf(out, SETTING_VALUE_SIZE, "%s", text + (has_brackets ? 1 : 0));
}

/* ---- every type --------------------------------------------------------------------------- */

bool setting_parse(const struct setting *setting, struct settings *s, const char *text,
		   char reason[SETTING_REASON_SIZE])
{
	switch (setting->type) {
	case SETTING_TEXT: return parse_text(setting, s, text, reason);
	case SETTING_IPV4:
	case SETTING_IPV6:
	case SETTING_LISTEN_IPV4:
	case SETTING_LISTEN_IPV6: return parse_address(setting, s, text, reason);
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_DURATION: return parse_number(setting, s, text, reason);
	case SETTING_SWITCH:
	case SETTING_CHOICE: return parse_choice(setting, s, text, reason);
	}
	return refuse(reason, "has no type");
}

const char *setting_format(const struct setting *setting, const struct settings *s,
			   char out[SETTING_VALUE_SIZE])
{
	switch (setting->type) {
	case SETTING_TEXT:
		snprintf(out, SETTING_VALUE_SIZE, "%s", (const char *)s + setting->offset);
		break;
	case SETTING_IPV4:
	case SETTING_IPV6:
	case SETTING_LISTEN_IPV4:
	case SETTING_LISTEN_IPV6: format_address(setting, s, out); break;
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_DURATION: format_number(units_of(setting), get_number(setting, s), out); break;
	case SETTING_SWITCH:
	case SETTING_CHOICE:
		snprintf(out, SETTING_VALUE_SIZE, "%s", format_choice(setting, s));
		break;
	}
	return out;
}
