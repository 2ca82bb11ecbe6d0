#pragma once
/*
 * The terminal of a chat: a line that is being edited (readline, in its alternate interface)
 * below the lines that come in.
 *
 *   chat_screen_open()    from here on the terminal is readline's
 *   chat_screen_read()    when standard input can be read; hands out a line at its end
 *   chat_screen_hide()    before anything is printed
 *   chat_screen_show()    after all has been printed; does nothing if nothing has changed
 *   chat_screen_close()   the terminal is as it was
 *
 * Readline is global: there is one screen.
 */
#include <stdbool.h>

/* `commands`: what Tab completes a '/' to; ends with NULL. */
void chat_screen_open(const char *prompt, const char *const *commands);
void chat_screen_close(void);

/* A whole line, which the caller frees; NULL: not yet. *is_at_end: Ctrl-D on an empty line. */
char *chat_screen_read(bool *is_at_end);

void chat_screen_hide(void);
void chat_screen_show(const char *prompt);

/* SIGWINCH, SIGTSTP. The second returns when the user has come back. */
void chat_screen_resize(void);
void chat_screen_suspend(void);
