#include "tools/ask.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { ANSWER_SIZE = 64 };

bool ask_is_possible(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A terminal hands over whole lines. */
static void read_answer(char answer[ANSWER_SIZE])
{
	ssize_t size = read(STDIN_FILENO, answer, ANSWER_SIZE - 1);
	answer[size > 0 ? size : 0] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
}

bool ask_answer_is_yes(void)
{
	char answer[ANSWER_SIZE];
	read_answer(answer);
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

bool ask_answer_is(const char *word)
{
	char answer[ANSWER_SIZE];
	read_answer(answer);
	return strcmp(answer, word) == 0;
}
