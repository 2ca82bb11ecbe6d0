#pragma once
/* The words of clawchat for what the library has numbers for; the same for people and in JSON. */
#include "client/clawchat.h"

/* Numbers of messages are 64 random bits: text, as JSON has no room for them. */
enum { MESSAGE_NUMBER_SIZE = 17 };
const char *message_number_text(uint64_t message, char out[MESSAGE_NUMBER_SIZE]);

const char *delivery_word(enum clawchat_delivery delivery);
const char *state_word(enum clawchat_state state);
const char *path_word(enum clawchat_path path);
/* "verified", "known", "changed" or "new" */
const char *trust_word(const struct clawchat_contact *contact);
