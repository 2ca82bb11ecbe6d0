#include "tools/ask.h"

#include <strings.h>
#include <unistd.h>

enum { ANSWER_SIZE = 64 };

bool ask_is_possible(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A terminal hands over whole lines. */
bool ask_answer_is_yes(void)
{
	char answer[ANSWER_SIZE];
	ssize_t size = read(STDIN_FILENO, answer, sizeof(answer) - 1);
	answer[size > 0 ? size : 0] = '\0';
	return strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0;
}
