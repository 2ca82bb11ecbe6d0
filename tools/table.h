#pragma once
/* Tables for people: columns as wide as their widest cell. Collects rows, prints at the end. */
#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 12 };

struct table_printer;

/* Ends the program when out of memory: these are small tools. */
struct table_printer *table_printer_create(const char *const *titles, size_t columns);
void table_printer_row(struct table_printer *t, const char *const *cells);
/* Print to stdout and free; `empty` is printed when there is no row. */
void table_printer_finish(struct table_printer *t, const char *empty);
