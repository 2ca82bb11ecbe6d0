#pragma once
/*
 * A chat: lines of the user become messages to one peer, the current one; lines that begin with a
 * slash are commands (on a terminal). Shared by the files that make it up:
 *
 *   command_chat.c     the loop
 *   chat_commands.c    /help and the others
 *   chat_events.c      what happens, told as lines and in the prompt
 *   chat_messages.c    what became of the messages
 *   chat_screen.c      the terminal
 */
#include "tools/chat_messages.h"
#include "tools/program.h"

enum { CHAT_PROMPT_SIZE = 512 };

struct chat {
	struct program *program;
	struct chat_messages messages;
	struct clawchat_peer_id peer; /* the current one, */
	bool has_peer;                /* if there is one */
	uint32_t search;              /* of /to; 0: none */
	const char *folder;           /* where accepted files go */
	bool is_on_terminal;
	bool is_ending;
	int code; /* of what went wrong so far */
};

/* chat_commands.c: names with their slash, ends with NULL. */
extern const char *const chat_command_names[];
void chat_run_command(struct chat *chat, char *line);
void chat_send_text(struct chat *chat, const char *text);
void chat_send_file(struct chat *chat, const char *path);

/* chat_events.c */
void chat_set_peer(struct chat *chat, const struct clawchat_peer_id *peer);
void chat_take_event(struct chat *chat, const struct clawchat_event *event);
void chat_prompt(struct chat *chat, char out[CHAT_PROMPT_SIZE]);
/* Say which messages have not arrived. */
void chat_tell_undelivered(struct chat *chat);
