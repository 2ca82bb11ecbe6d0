#include "relay/burn_ledger.h"

#include <assert.h>

#define HOUR_NS (3600 * NS_PER_S)

bool burn_ledger_find(const struct burn_ledger *ledger, const uint8_t nonce[BURN_NONCE_SIZE],
		      uint8_t *status)
{
	for (size_t i = 0; i < BURNS_REMEMBERED; i++) {
		if (!ledger->seen[i].is_used ||
		    memcmp(ledger->seen[i].nonce, nonce, BURN_NONCE_SIZE) != 0)
			continue;
		*status = ledger->seen[i].status;
		return true;
	}
	return false;
}

void burn_ledger_note(struct burn_ledger *ledger, const uint8_t nonce[BURN_NONCE_SIZE],
		      enum wire_burn_status status)
{
	size_t i = ledger->next++ % BURNS_REMEMBERED;
	ledger->seen[i].is_used = true;
	ledger->seen[i].status = (uint8_t)status;
	memcpy(ledger->seen[i].nonce, nonce, BURN_NONCE_SIZE);
}

static uint32_t files_of_last_hour(const struct burn_ledger *ledger, uint64_t now_ns)
{
	uint32_t count = 0;
	for (size_t i = 0; i < BURNS_PER_HOUR_MAX; i++)
		count += ledger->files_ns[i] != 0 && ledger->files_ns[i] + HOUR_NS > now_ns;
	return count;
}

enum compromised_scope burn_ledger_scope(const struct burn_ledger *ledger,
					 const struct burn_policy *policy, enum wire_scope asked,
					 uint64_t now_ns)
{
	assert(policy->files_per_hour <= BURNS_PER_HOUR_MAX);
	if (asked == SCOPE_SERVER && policy->may_burn_server)
		return COMPROMISED_SERVER;
	if (asked == SCOPE_DEVICE || files_of_last_hour(ledger, now_ns) >= policy->files_per_hour)
		return COMPROMISED_DEVICE;
	return COMPROMISED_FILE;
}

void burn_ledger_count(struct burn_ledger *ledger, uint64_t now_ns)
{
	ledger->files_ns[ledger->next_file++ % BURNS_PER_HOUR_MAX] = now_ns;
}
