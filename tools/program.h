#pragma once
/*
 * What the commands of clawchat share: the open profile, the loop around it, and the waiting that
 * ends in an exit code.
 *
 *   program_open()      the profile; takes --file into it
 *   program_connect()   until the relay has answered
 *   program_find()      until the peer is found
 *   program_wait()      the next happening
 *   program_close()
 */
#include "client/clawchat.h"
#include "tools/clawchat_options.h"
#include "tools/client_loop.h"
#include "tools/output.h"
#include "tools/passphrase.h"
#include "tools/transfers.h"

enum {
	EXIT_SIGNAL = 128,                        /* plus the signal: ended by one */
	LABEL_SIZE = CLAWCHAT_NAME_SIZE * 3 + 80, /* made safe, with an address or id */
};

struct program {
	struct cli_options options;
	struct output output;
	struct client_loop loop;
	struct clawchat *client;
	struct transfers transfers;
	bool is_burning;   /* after clawchat_compromised(): its end is what was asked for */
	bool is_streaming; /* with --json every event is an object */
	char passphrase[PASSPHRASE_SIZE];
};

/* Each returns an exit code; other than 0, the error has been told. */
int program_open(struct program *p);
int program_load(struct program *p, const char *path);
int program_connect(struct program *p);
int program_find(struct program *p, const char *who, struct clawchat_peer_id *out);
void program_close(struct program *p);

/* The secret that the options name, for one call; then program_forget_secret(). */
int program_secret(struct program *p, struct clawchat_bootstrap *out);
void program_forget_secret(struct program *p);

enum program_wake {
	PROGRAM_EVENT, /* nobody has shown it yet, but for JSON */
	PROGRAM_INPUT,
	PROGRAM_TIMEOUT,
	PROGRAM_TERMINAL, /* loop.signal: SIGWINCH or SIGTSTP */
	PROGRAM_END,      /* *code: interrupted, or refused for good */
};

enum program_wake program_wait(struct program *p, struct clawchat_event *event, int *code);

/* Keys are in a thief's hands: report and erase. Go on waiting until PROGRAM_END. */
int program_burn(struct program *p, const char *reason);

/* Tell of a library's error; returns its exit code. */
int program_error(struct program *p, const struct clawchat_error *error);

/* How a peer is called here: its name, with the beginning of its id where that is not enough. */
const char *program_label(const struct program *p, const struct clawchat_peer_id *id,
			  char out[LABEL_SIZE]);

/* How the relay is called here: its name, if it has one, and its address. */
const char *program_relay(const struct program *p, char out[LABEL_SIZE]);

/* True: the relay is there. Else says so, with the exit code for it. */
bool program_is_connected(const struct program *p);
