#pragma once
/* Tells people what happens: one line for each event, bars for files. With --json it only keeps
 * account of transfers: program_wait() has printed the event. */
#include "tools/program.h"

void show_event(struct program *p, const struct clawchat_event *event);

/* Only take into account how far a file is; whoever calls shows it. */
void show_keep_progress(struct program *p, const struct clawchat_event *event);

/* A message of somebody's, its further lines indented. */
void show_text(struct program *p, const char *who, const char *text);
