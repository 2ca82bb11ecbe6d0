#pragma once
/* The commands of clawchat(1). Each returns the exit code, having told what went wrong. */
#include "tools/program.h"

int command_keygen(struct program *p);
int command_open(struct program *p);
int command_load(struct program *p);
int command_chat(struct program *p);
int command_send(struct program *p);
int command_receive(struct program *p);
int command_peers(struct program *p);
int command_status(struct program *p);
int command_fingerprint(struct program *p);
int command_verify(struct program *p);
int command_compromised(struct program *p);

/* The lines of clawchat status, for a chat's /status, too. */
void print_status(struct program *p);
