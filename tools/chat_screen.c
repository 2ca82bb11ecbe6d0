#include "tools/chat_screen.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

enum {
	PROMPT_SIZE = 512,
	HISTORY_MAX = 200, /* in memory only: what was said stays off the disk */
};

static struct {
	bool is_open;
	bool is_hidden;
	bool is_at_end;
	char prompt[PROMPT_SIZE];
	char *line; /* finished, not handed out yet */
	const char *const *commands;
} screen;

/* ---- completion ------------------------------------------------------------------------- */

static char *next_command(const char *text, int state)
{
	static size_t index;
	if (state == 0)
		index = 0;
	while (screen.commands[index] != NULL) {
		const char *command = screen.commands[index++];
		if (strncmp(command, text, strlen(text)) == 0)
			return strdup(command);
	}
	return NULL;
}

static char **complete(const char *text, int start, int end)
{
	(void)end;
	if (start == 0 && *text == '/')
		return rl_completion_matches(text, next_command);
	if (strncmp(rl_line_buffer, "/file ", strlen("/file ")) != 0)
		rl_attempted_completion_over = 1; /* words of a message are no file names */
	return NULL;
}

/* ---- editing ---------------------------------------------------------------------------- */

/* What was typed stays on the screen as a line of the talk, without the prompt's news. */
static int finish_line(int count, int key)
{
	rl_clear_visible_line();
	rl_set_prompt(*rl_line_buffer == '/' ? "" : "you: ");
	rl_on_new_line();
	rl_redisplay();
	return rl_newline(count, key);
}

static void take_line(char *line)
{
	if (line == NULL)
		screen.is_at_end = true;
	else if (*line != '\0')
		add_history(line);
	free(screen.line);
	screen.line = line;
	rl_set_prompt(screen.prompt);
}

void chat_screen_open(const char *prompt, const char *const *commands)
{
	screen.commands = commands;
	screen.is_open = true;
	snprintf(screen.prompt, sizeof(screen.prompt), "%s", prompt);
	rl_readline_name = "clawchat";
	rl_catch_signals = 0;
	rl_catch_sigwinch = 0;
	rl_attempted_completion_function = complete;
	rl_basic_word_break_characters = " ";
	rl_outstream = stdout;
	stifle_history(HISTORY_MAX);
	rl_initialize();
	rl_bind_key('\r', finish_line);
	rl_bind_key('\n', finish_line);
	rl_callback_handler_install(screen.prompt, take_line);
}

void chat_screen_close(void)
{
	if (!screen.is_open)
		return;
	chat_screen_hide();
	rl_callback_handler_remove();
	clear_history();
	free(screen.line);
	screen.line = NULL;
	screen.is_open = false;
}

char *chat_screen_read(bool *is_at_end)
{
	rl_callback_read_char();
	char *line = screen.line;
	screen.line = NULL;
	*is_at_end = screen.is_at_end;
	return line;
}

/* ---- drawing ---------------------------------------------------------------------------- */

void chat_screen_hide(void)
{
	if (!screen.is_open || screen.is_hidden)
		return;
	rl_clear_visible_line();
	fflush(rl_outstream);
	screen.is_hidden = true;
}

void chat_screen_show(const char *prompt)
{
	if (!screen.is_open || (!screen.is_hidden && strcmp(prompt, screen.prompt) == 0))
		return;
	chat_screen_hide();
	snprintf(screen.prompt, sizeof(screen.prompt), "%s", prompt);
	rl_set_prompt(screen.prompt);
	rl_on_new_line();
	rl_redisplay();
	screen.is_hidden = false;
}

void chat_screen_resize(void)
{
	rl_resize_terminal();
}

void chat_screen_suspend(void)
{
	chat_screen_hide();
	rl_deprep_terminal();
	raise(SIGSTOP);
	rl_prep_terminal(1);
}
