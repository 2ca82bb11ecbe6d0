#include "tools/words.h"

#include <inttypes.h>
#include <stdio.h>

const char *delivery_word(enum clawchat_delivery delivery)
{
	static const char *const words[] = {
		[CLAWCHAT_QUEUED] = "queued",           [CLAWCHAT_SENT] = "sent",
		[CLAWCHAT_DELIVERED] = "delivered",     [CLAWCHAT_READ] = "read",
		[CLAWCHAT_UNDELIVERED] = "undelivered",
	};
	return words[delivery];
}

const char *state_word(enum clawchat_state state)
{
	static const char *const words[] = {
		[CLAWCHAT_OFFLINE] = "offline",     [CLAWCHAT_CONNECTING] = "connecting",
		[CLAWCHAT_CONNECTED] = "connected", [CLAWCHAT_RECONNECTING] = "reconnecting",
		[CLAWCHAT_ENDED] = "ended",
	};
	return words[state];
}

const char *path_word(enum clawchat_path path)
{
	static const char *const words[] = {
		[CLAWCHAT_PATH_NONE] = "none",
		[CLAWCHAT_PATH_RELAYED] = "relayed",
		[CLAWCHAT_PATH_DIRECT] = "direct",
	};
	return words[path];
}

const char *trust_word(const struct clawchat_contact *contact)
{
	if (contact->is_changed)
		return "changed";
	if (contact->is_verified)
		return "verified";
	return contact->is_known ? "known" : "new";
}

const char *message_number_text(uint64_t message, char out[MESSAGE_NUMBER_SIZE])
{
	snprintf(out, MESSAGE_NUMBER_SIZE, "%016" PRIx64, message);
	return out;
}
