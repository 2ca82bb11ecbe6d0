/*
 * Compromised: tell the relay, and erase this profile whatever the relay says.
 *
 *   clawchat_compromised() --> mark on disk --> report, 10 s at most --> erase --> mark gone
 *                                |                                        ^
 *                                +-- crash, or the program ends ----------+  (profile_open)
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"
#include "crypto/secret.h"
#include "net/clock.h"

#define ASK_FOR_A_FILE "; all keys of this profile are erased: ask for a new file"

static const char *result_text(bool is_acknowledged, uint8_t status)
{
	if (!is_acknowledged)
		return "the relay did not answer: tell its operator" ASK_FOR_A_FILE;
	if (status == BURN_NARROWED)
		return "the relay has revoked less than was asked for (too many reports, or not "
		       "allowed)" ASK_FOR_A_FILE;
	return "the relay has revoked it" ASK_FOR_A_FILE;
}

static void erase_memory(struct clawchat *c)
{
	tunnels_close(c);
	contacts_close(&c->contacts);
	bytes_wipe(&c->self, sizeof(c->self));
	profile_forget_secrets(&c->profile);
	if (c->frames != NULL)
		bytes_wipe(c->frames, SEND_FRAMES * sizeof(*c->frames));
}

void compromised_finish(struct clawchat *c, bool is_acknowledged, uint8_t status)
{
	struct clawchat_error error;
	char text[CLAWCHAT_ERROR_SIZE];
	enum clawchat_result erased = profile_erase(&c->profile, &error);
	erase_memory(c);
	c->is_burning = false;
	c->is_erased = c->is_ended = true;
	if (erased == CLAWCHAT_OK)
		snprintf(text, sizeof(text), "%s", result_text(is_acknowledged, status));
	else
		snprintf(text, sizeof(text),
			 "not all could be erased, remove the profile by hand: "
			 "%.300s",
			 error.text);
	events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_ENDED,
						.result = erased == CLAWCHAT_OK ? CLAWCHAT_REVOKED :
										  erased,
						.text = text });
}

enum clawchat_result clawchat_compromised(struct clawchat *c, enum clawchat_scope scope,
					  const char *reason, struct clawchat_error *error)
{
	struct view text = view_of(reason, reason != NULL ? strlen(reason) : 0);
	if (c->is_burning || c->is_erased)
		return CLAWCHAT_OK;
	if (scope < CLAWCHAT_SCOPE_DEVICE || scope > CLAWCHAT_SCOPE_SERVER)
		return client_error(error, CLAWCHAT_USAGE, "scope: device, file or server");
	/* On a full disk there is no mark: then only a crash before the end would keep the keys. */
	(void)!profile_mark_compromised(&c->profile, error);
	c->is_burning = true;
	tunnels_close(c);
	if (clawchat_connect(c, error) != CLAWCHAT_OK) {
		compromised_finish(c, false, BURN_FAILED);
		return CLAWCHAT_OK;
	}
	link_burn(c->link, (enum wire_scope)scope, text, clock_now());
	return CLAWCHAT_OK;
}
