#include "relay/settings.h"

static void write_section(FILE *out, size_t i)
{
	if (i == 0 || strcmp(SETTINGS[i].section, SETTINGS[i - 1].section) != 0)
		fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", SETTINGS[i].section);
}

static void write_value(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s =%s%s\n", key, *value != '\0' ? " " : "", value);
}

void settings_write(const struct settings *s, FILE *out)
{
	char value[SETTING_VALUE_SIZE];

	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		write_section(out, i);
		write_value(out, SETTINGS[i].key, setting_format(&SETTINGS[i], s, value));
	}
}

static void write_help(FILE *out, const char *help)
{
	while (*help != '\0') {
		size_t size = strcspn(help, "\n");
		fprintf(out, "# %.*s\n", (int)size, help);
		help += size + (help[size] == '\n' ? 1 : 0);
	}
}

/* "0 to 64", "1m to 7d", "auto, uring, epoll"; nothing where any text will do. */
static void write_allowed(FILE *out, const struct setting *setting)
{
	struct settings s = { 0 };
	char low[SETTING_VALUE_SIZE], high[SETTING_VALUE_SIZE];
	const struct setting_choice *choice = setting->choices;

	if (setting->type == SETTING_CHOICE) {
		fprintf(out, "# One of:");
		for (; choice->name != NULL; choice++)
			fprintf(out, "%s %s", choice == setting->choices ? "" : ",", choice->name);
		fprintf(out, ".\n");
	} else if (setting->type == SETTING_COUNT || setting->type == SETTING_SIZE ||
		   setting->type == SETTING_DURATION) {
		memcpy((char *)&s + setting->offset, &setting->min, sizeof setting->min);
		setting_format(setting, &s, low);
		memcpy((char *)&s + setting->offset, &setting->max, sizeof setting->max);
		setting_format(setting, &s, high);
		fprintf(out, "# From %s to %s.\n", low, high);
	}
}

void settings_write_example(FILE *out)
{
	fprintf(out,
		"# Settings of the ClawChat relay, all at their defaults. Remove the # in front "
		"of\n"
		"# a key to change it. Durations: 90s, 10m, 1h, 7d. Sizes: 64KiB, 8MiB, 1GiB.\n"
		"# Each key can also be given as --section.key=value.\n\n");
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		write_section(out, i);
		fprintf(out, "\n");
		write_help(out, SETTINGS[i].help);
		write_allowed(out, &SETTINGS[i]);
		fprintf(out, "#");
		write_value(out, SETTINGS[i].key, SETTINGS[i].fallback);
	}
}
