#include "tools/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/exit_codes.h"
#include "tools/safe_text.h"

struct table_printer {
	size_t columns;
	size_t rows; /* the titles are row 0 */
	char **cells;
};

static void *must(void *memory)
{
	if (memory == NULL) {
		fprintf(stderr, "out of memory\n");
		exit(EXIT_FAILED);
	}
	return memory;
}

struct table_printer *table_printer_create(const char *const *titles, size_t columns)
{
	struct table_printer *t = must(calloc(1, sizeof(*t)));
	t->columns = columns;
	table_printer_row(t, titles);
	return t;
}

void table_printer_row(struct table_printer *t, const char *const *cells)
{
	size_t count = t->columns * (t->rows + 1);
	t->cells = must(realloc(t->cells, count * sizeof(*t->cells)));
	for (size_t i = 0; i < t->columns; i++)
		t->cells[t->columns * t->rows + i] = must(strdup(cells[i]));
	t->rows++;
}

void table_printer_finish(struct table_printer *t, const char *empty)
{
	int widths[TABLE_COLUMNS_MAX] = { 0 };
	for (size_t i = 0; i < t->rows * t->columns; i++) {
		int width = (int)safe_text_columns(t->cells[i]);
		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
	if (t->rows == 1)
		printf("%s\n", empty);
	for (size_t i = 0; i < t->rows * t->columns; i++) {
		bool is_last = i % t->columns == t->columns - 1;
		int missing = widths[i % t->columns] - (int)safe_text_columns(t->cells[i]);
		if (t->rows > 1)
			printf("%s%*s", t->cells[i], is_last ? 0 : missing + 2, "");
		if (t->rows > 1 && is_last)
			putchar('\n');
		free(t->cells[i]);
	}
	free(t->cells);
	free(t);
}
