#pragma once
/* Questions to whoever sits at the terminal. */
#include <stdbool.h>

/* Standard input and stderr are a terminal: there is somebody to ask. */
bool ask_is_possible(void);

/* A line of standard input is there: is it a yes? No, for an end of input, too. */
bool ask_answer_is_yes(void);
/* Is it this very word? */
bool ask_answer_is(const char *word);
