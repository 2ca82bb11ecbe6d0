#include "relay/settings.h"

#include <assert.h>
#include <ini.h>
#include <stdarg.h>

#include "core/security_file.h"

enum {
	NAME_MAX_COMPARED = 31, /* longer names are like none of ours */
	LIKENESS_MAX = 3,       /* changes up to which a name is taken for another */
};

static bool fail(struct settings_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool fail(struct settings_error *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return false;
}

void settings_init(struct settings *s)
{
	char reason[SETTING_REASON_SIZE];

	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		bool is_good = setting_parse(&SETTINGS[i], s, SETTINGS[i].fallback, reason);
		assert(is_good);
	}
}

const char *settings_cipher_name(const struct settings *s)
{
	static const char *const names[] = {
		[CIPHER_AUTO] = NULL,
		[CIPHER_IPSEC_MB] = "ipsec-mb",
		[CIPHER_OPENSSL] = "openssl",
	};

	return names[s->security.cipher];
}

/* ---- names -------------------------------------------------------------------------------- */

/* How many letters must be put in, taken out or replaced (Levenshtein), row by row. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1], b_size = strlen(b);

	if (strlen(a) > NAME_MAX_COMPARED || b_size > NAME_MAX_COMPARED)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
			size_t shifted = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
			diagonal = row[j];
			row[j] = replaced < shifted ? replaced : shifted;
		}
	}
	return row[b_size];
}

struct likeness {
	const char *name; /* the nearest so far */
	const char *section;
	size_t distance;
};

static void consider(struct likeness *best, const char *wanted, const char *name,
		     const char *section)
{
	size_t d = distance(wanted, name);

	if (d < best->distance && d < strlen(name))
		*best = (struct likeness){ .name = name, .section = section, .distance = d };
}

static bool is_section(const char *section)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++)
		if (strcmp(SETTINGS[i].section, section) == 0)
			return true;
	return false;
}

static const struct setting *find(const char *section, const char *key)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++)
		if (strcmp(SETTINGS[i].section, section) == 0 && strcmp(SETTINGS[i].key, key) == 0)
			return &SETTINGS[i];
	return NULL;
}

static bool fail_section(struct settings_error *error, const char *where, const char *section)
{
	struct likeness best = { .distance = LIKENESS_MAX + 1 };

	for (size_t i = 0; i < SETTINGS_COUNT; i++)
		consider(&best, section, SETTINGS[i].section, NULL);
	if (best.name == NULL)
		return fail(error, "%s: [%.60s]: no such section", where, section);
	return fail(error, "%s: [%.60s]: no such section; did you mean [%s]?", where, section,
		    best.name);
}

/* Keys of the same section first; then the same name in another one. */
static bool fail_key(struct settings_error *error, const char *where, const char *section,
		     const char *key)
{
	struct likeness best = { .distance = LIKENESS_MAX + 1 };

	for (size_t i = 0; i < SETTINGS_COUNT; i++)
		if (strcmp(SETTINGS[i].section, section) == 0)
			consider(&best, key, SETTINGS[i].key, section);
	for (size_t i = 0; i < SETTINGS_COUNT; i++)
		if (strcmp(SETTINGS[i].key, key) == 0)
			consider(&best, key, key, SETTINGS[i].section);
	if (best.name == NULL)
		return fail(error, "%s: [%s] %.60s: no such key", where, section, key);
	return fail(error, "%s: [%s] %.60s: no such key; did you mean [%s] %s?", where, section,
		    key, best.section, best.name);
}

/* One value, wherever it comes from. `where` begins the error. */
static bool set(struct settings *s, const char *where, const struct setting *setting,
		const char *value, struct settings_error *error)
{
	char reason[SETTING_REASON_SIZE];

	if (setting_parse(setting, s, value, reason))
		return true;
	return fail(error, "%s: [%s] %s: %s", where, setting->section, setting->key, reason);
}

/* ---- files -------------------------------------------------------------------------------- */

enum { SETTINGS_TABLE_MAX = 64, WHERE_SIZE = 160 };

/* What goes along while inih reads. */
struct reading {
	struct settings *settings;
	const char *name;
	struct view rest;                    /* not yet handed to inih */
	unsigned line;                       /* of what was handed over last */
	unsigned set_at[SETTINGS_TABLE_MAX]; /* line of each setting, 0: not yet */
	struct settings_error *error;
	bool has_failed;
	char where[WHERE_SIZE];
};

static const char *where(struct reading *r)
{
	snprintf(r->where, sizeof r->where, "%.128s:%u", r->name, r->line);
	return r->where;
}

static void check_section_line(struct reading *r, const char *line)
{
	char section[SETTINGS_LINE_MAX + 1];
	const char *end = strchr(line, ']');

	if (line[0] != '[' || end == NULL)
		return;
	snprintf(section, sizeof section, "%.*s", (int)(end - line - 1), line + 1);
	if (!is_section(section))
		r->has_failed = !fail_section(r->error, where(r), section);
}

/* The next line, without what is before its first character: inih would take an indented line
 * for more of the value above. */
static char *next_line(char *out, int capacity, void *stream)
{
	struct reading *r = stream;

	if (r->has_failed || r->rest.size == 0)
		return NULL;
	const uint8_t *end = memchr(r->rest.data, '\n', r->rest.size);
	size_t size = end != NULL ? (size_t)(end - r->rest.data) : r->rest.size;
	struct view line = view_of(r->rest.data, size);
	size_t taken = size + (end != NULL ? 1 : 0);
	r->rest = view_of(r->rest.data + taken, r->rest.size - taken);
	r->line++;
	while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
		line = view_of(line.data + 1, line.size - 1);
	if (line.size > SETTINGS_LINE_MAX || line.size + 2 > (size_t)capacity) {
		r->has_failed = !fail(r->error, "%s: the line is too long (allowed: %d bytes)",
				      where(r), SETTINGS_LINE_MAX);
		return NULL;
	}
	memcpy(out, line.data, line.size);
	out[line.size] = '\0';
	check_section_line(r, out);
	return r->has_failed ? NULL : out;
}

static int take_value(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;

	if (r->has_failed)
		return 0;
	const struct setting *setting = find(section, key);
	if (*section == '\0') {
		r->has_failed = !fail(r->error, "%s: %.60s: stands before the first [section]",
				      where(r), key);
	} else if (setting == NULL) {
		r->has_failed = !fail_key(r->error, where(r), section, key);
	} else if (r->set_at[setting - SETTINGS] != 0) {
		r->has_failed = !fail(r->error, "%s: [%s] %s: set before, in line %u", where(r),
				      section, key, r->set_at[setting - SETTINGS]);
	} else {
		r->set_at[setting - SETTINGS] = r->line;
		r->has_failed = !set(r->settings, where(r), setting, value, r->error);
	}
	return r->has_failed ? 0 : 1;
}

bool settings_read(struct settings *s, const char *name, struct view text,
		   struct settings_error *error)
{
	struct reading r = { .settings = s, .name = name, .rest = text, .error = error };

	assert(SETTINGS_COUNT <= SETTINGS_TABLE_MAX);
	if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
		return fail(error, "%s: is not a text file", name);
	int line = ini_parse_stream(next_line, &r, take_value, &r);
	if (r.has_failed)
		return false;
	if (line == 0)
		return true;
	r.line = line > 0 ? (unsigned)line : 0;
	return fail(error, "%s: neither \"key = value\" nor \"[section]\" nor a comment",
		    where(&r));
}

/* ---- command line ------------------------------------------------------------------------- */

/* "--section.key=value" in pieces; false: has another form. */
struct override {
	char section[NAME_MAX_COMPARED + 1];
	char key[NAME_MAX_COMPARED + 1];
	const char *value;
};

static bool copy_part(char out[NAME_MAX_COMPARED + 1], const char *begin, const char *end)
{
	size_t size = (size_t)(end - begin);

	if (size == 0 || size > NAME_MAX_COMPARED)
		return false;
	memcpy(out, begin, size);
	out[size] = '\0';
	return true;
}

static bool split(const char *argument, struct override *out)
{
	if (strncmp(argument, "--", 2) != 0)
		return false;
	const char *section = argument + 2;
	const char *equals = strchr(section, '=');
	const char *dot = strchr(section, '.');
	if (equals == NULL || dot == NULL || dot > equals)
		return false;
	out->value = equals + 1;
	return copy_part(out->section, section, dot) && copy_part(out->key, dot + 1, equals);
}

bool settings_is_override(const char *argument)
{
	struct override o;

	return split(argument, &o);
}

bool settings_override(struct settings *s, const char *argument, struct settings_error *error)
{
	struct override o;

	if (!split(argument, &o))
		return fail(error, "%.80s: not of the form --section.key=value", argument);
	const struct setting *setting = find(o.section, o.key);
	if (setting != NULL)
		return set(s, "command line", setting, o.value, error);
	return is_section(o.section) ? fail_key(error, "command line", o.section, o.key) :
				       fail_section(error, "command line", o.section);
}

/* ---- what depends on each other ----------------------------------------------------------- */

static void fill_path(char path[SETTINGS_TEXT_MAX + 1], const struct settings *s, const char *name)
{
	_Static_assert(SETTINGS_STATE_DIR_MAX + 32 <= SETTINGS_TEXT_MAX, "a name in it fits");
	if (path[0] == '\0')
		snprintf(path, SETTINGS_TEXT_MAX + 1, "%.*s/%.30s", SETTINGS_STATE_DIR_MAX,
			 s->server.state_dir, name);
}

static bool check_rotation(const struct settings *s, struct settings_error *error)
{
	const uint64_t interval = s->rotation.interval;

	if (s->rotation.port_first > s->rotation.port_last)
		return fail(error, "[rotation] port_first: %u is above port_last (%u)",
			    s->rotation.port_first, s->rotation.port_last);
	if (s->rotation.mode == DOOR_MODE_FIXED && s->rotation.fixed_port == 0)
		return fail(error, "[rotation] fixed_port: must be set with mode = fixed");
	if (s->rotation.notice >= interval)
		return fail(error, "[rotation] notice: must be shorter than interval");
	if (s->rotation.grace >= interval)
		return fail(error, "[rotation] grace: must be shorter than interval");
	if (s->security.file_validity > (SECURITY_FILE_DOORS_MAX - 1) * interval)
		return fail(error,
			    "[security] file_validity: at most %d times [rotation] interval,"
			    " as a file carries no more ports",
			    SECURITY_FILE_DOORS_MAX - 1);
	return true;
}

bool settings_finish(struct settings *s, struct settings_error *error)
{
	if (s->server.state_dir[0] == '\0')
		return fail(error, "[server] state_dir: must not be empty");
	fill_path(s->server.bootstrap_key_file, s, "bootstrap.key");
	fill_path(s->security.files_dir, s, "files");
	fill_path(s->admin.socket, s, "clawchatd.sock");
	if (strlen(s->admin.socket) > SETTINGS_SOCKET_PATH_MAX)
		return fail(error,
			    "[admin] socket: \"%.40s...\" is too long for a socket (allowed:"
			    " %d bytes)",
			    s->admin.socket, SETTINGS_SOCKET_PATH_MAX);
	if (!address_is_set(&s->network.listen) && !address_is_set(&s->network.listen6))
		return fail(error,
			    "[network] listen: none, and listen6 too: nothing to receive on");
	if (2 * s->limits.keepalive >= s->limits.idle_timeout)
		return fail(error, "[limits] keepalive: must be less than half of idle_timeout");
	return check_rotation(s, error);
}

bool settings_can_serve(const struct settings *s, struct settings_error *error)
{
	if (address_is_set(&s->server.public_ip) || address_is_set(&s->server.public_ip6))
		return true;
	return fail(error, "[server] public_ip and public_ip6: both are unset; one must say where "
			   "clients find the relay");
}
