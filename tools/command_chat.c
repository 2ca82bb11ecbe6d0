/* clawchat chat: the loop, on a terminal and without one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/tilde.h>

#include "tools/chat.h"
#include "tools/chat_screen.h"
#include "tools/commands.h"
#include "tools/line_buffer.h"
#include "tools/show.h"

enum {
	QUIT_PATIENCE_MS = 2000, /* for messages that are under way when the user leaves */
	LINGER_MS = 200,         /* for our last receipts, and a last answer */
};

/* ---- on a terminal ---------------------------------------------------------------------- */

static void take_line(struct chat *chat, char *line)
{
	if (line[0] == '/' && line[1] == '/')
		chat_send_text(chat, line + 1);
	else if (strncmp(line, "/file ~", strlen("/file ~")) == 0) {
		char *path = tilde_expand(line + strlen("/file "));
		path[strcspn(path, "\n")] = '\0';
		chat_send_file(chat, path);
		free(path);
	} else if (line[0] == '/')
		chat_run_command(chat, line);
	else if (*line != '\0')
		chat_send_text(chat, line);
}

static void read_terminal(struct chat *chat)
{
	char *line = chat_screen_read(&chat->is_ending);
	if (line != NULL)
		take_line(chat, line);
	free(line);
}

static void take_terminal_signal(struct program *p)
{
	if (p->loop.signal == SIGWINCH) {
		chat_screen_resize();
		return;
	}
	chat_screen_suspend();
	clawchat_network_changed(p->client);
}

/* What may still arrive does, as long as nobody has to wait for it. */
static void settle(struct chat *chat)
{
	struct program *p = chat->program;
	struct clawchat_event event;
	int code = 0;
	bool is_pending = chat_messages_pending(&chat->messages) > 0;
	p->loop.input_fd = -1;
	p->loop.deadline_ms = client_loop_now_ms() + (is_pending ? QUIT_PATIENCE_MS : LINGER_MS);
	while (!is_pending || chat_messages_pending(&chat->messages) > 0) {
		enum program_wake wake = program_wait(p, &event, &code);
		if (wake == PROGRAM_EVENT)
			chat_take_event(chat, &event);
		if (wake == PROGRAM_TIMEOUT || wake == PROGRAM_END)
			return;
	}
}

static int talk_on_terminal(struct chat *chat)
{
	struct program *p = chat->program;
	struct clawchat_event event;
	char prompt[CHAT_PROMPT_SIZE];
	int code = 0;
	client_loop_watch_terminal(&p->loop);
	p->output.make_way = chat_screen_hide;
	p->output.has_bars = false; /* the prompt shows progress */
	chat_prompt(chat, prompt);
	chat_screen_open(prompt, chat_command_names);
	p->loop.input_fd = STDIN_FILENO;
	while (!chat->is_ending) {
		enum program_wake wake = program_wait(p, &event, &code);
		if (wake == PROGRAM_EVENT)
			chat_take_event(chat, &event);
		else if (wake == PROGRAM_INPUT)
			read_terminal(chat);
		else if (wake == PROGRAM_TERMINAL)
			take_terminal_signal(p);
		else if (wake == PROGRAM_END)
			break;
		chat_prompt(chat, prompt);
		chat_screen_show(prompt);
	}
	chat_screen_close();
	p->output.make_way = NULL;
	bool was_refused = !chat->is_ending && code < EXIT_SIGNAL;
	if (!was_refused)
		settle(chat);
	return was_refused ? code : 0;
}

/* ---- without one ------------------------------------------------------------------------ */

/* As long as messages can be taken; the rest waits in the pipe. */
static void send_lines(struct chat *chat, struct line_buffer *lines)
{
	char *line;
	while (!chat_messages_are_full(&chat->messages) && (line = line_buffer_next(lines)) != NULL)
		chat_send_text(chat, line);
	chat->program->loop.input_fd =
		chat_messages_are_full(&chat->messages) || lines->is_at_end || !chat->has_peer ?
			-1 :
			STDIN_FILENO;
}

static bool is_finished(const struct chat *chat, const struct line_buffer *lines)
{
	return lines->is_at_end && lines->taken == lines->used &&
	       chat_messages_pending(&chat->messages) == 0;
}

/* Messages that wait for a peer, or for the relay, do so for --timeout after the last of them. */
static int talk_by_pipe(struct chat *chat, struct line_buffer *lines)
{
	struct program *p = chat->program;
	struct clawchat_event event;
	int code = 0;
	while (!is_finished(chat, lines)) {
		send_lines(chat, lines);
		switch (program_wait(p, &event, &code)) {
		case PROGRAM_EVENT: chat_take_event(chat, &event); break;
		case PROGRAM_INPUT:
			line_buffer_fill(lines, STDIN_FILENO);
			if (lines->is_at_end)
				client_loop_set_timeout(&p->loop, p->options.timeout_s);
			break;
		case PROGRAM_TIMEOUT:
			return program_is_connected(p) ? CLAWCHAT_PEER_ABSENT : CLAWCHAT_NO_ANSWER;
		case PROGRAM_END: return code;
		default: break;
		}
	}
	return 0;
}

static int check_lines(struct chat *chat, const struct line_buffer *lines)
{
	if (lines->too_long + lines->not_text == 0)
		return 0;
	return output_error(&chat->program->output, CLAWCHAT_FAILED,
			    "%u lines were not sent: longer than %d bytes, or not text",
			    lines->too_long + lines->not_text, CLAWCHAT_TEXT_MAX);
}

static int talk_without_terminal(struct chat *chat)
{
	struct line_buffer *lines = calloc(1, sizeof(*lines));
	if (lines == NULL)
		return output_error(&chat->program->output, CLAWCHAT_FAILED, "out of memory");
	int code = talk_by_pipe(chat, lines);
	if (code == 0)
		code = check_lines(chat, lines);
	free(lines);
	if (code == 0)
		settle(chat);
	return code;
}

/* ---- the command ------------------------------------------------------------------------ */

static int find_first_peer(struct chat *chat)
{
	struct program *p = chat->program;
	struct clawchat_peer_id peer;
	if (p->options.argument_count == 0) {
		output_note(&p->output, "waiting for somebody; /to PEER begins a talk");
		return 0;
	}
	int code = program_find(p, p->options.arguments[0], &peer);
	if (code == 0)
		chat_set_peer(chat, &peer);
	return code;
}

/* Whatever else happened, a message that has not arrived is a failure. What else went wrong was
 * told to whoever sat at the terminal; a script learns of it by the exit code. */
static int end(struct chat *chat, int code)
{
	struct program *p = chat->program;
	chat_tell_undelivered(chat);
	if (chat_messages_pending(&chat->messages) == 0)
		return code != 0 || chat->is_on_terminal ? code : chat->code;
	bool is_told = code != 0 && code < EXIT_SIGNAL;
	int result = is_told ? code : CLAWCHAT_PEER_ABSENT;
	return output_error(&p->output, result, "%zu messages have not been delivered",
			    chat_messages_pending(&chat->messages));
}

int command_chat(struct program *p)
{
	static struct chat chat; /* large */
	chat = (struct chat){
		.program = p,
		.folder = p->options.into != NULL ? p->options.into : ".",
		.is_on_terminal =
			isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !p->output.is_json,
	};
	int code = program_open(p);
	if (code == 0)
		code = program_connect(p);
	if (code == 0)
		code = find_first_peer(&chat);
	if (code != 0)
		return code;
	if (!chat.is_on_terminal)
		return end(&chat, talk_without_terminal(&chat));
	output_note(&p->output, "/help names the commands");
	return end(&chat, talk_on_terminal(&chat));
}
