#pragma once
/*
 * Burn ledger: what Compromised reports of clients were lately, so that copies are answered and
 * not acted on again, and a thief cannot use reports as a weapon (docs/security.md).
 *
 * Pure. Owner: control.
 */
#include "core/instant.h"
#include "core/security_file.h"
#include "core/wire.h"

enum {
	BURNS_REMEMBERED = 256, /* reports whose copies get the same answer */
	BURNS_PER_HOUR_MAX = 64,
};

struct burn_policy {
	bool may_burn_server;
	uint32_t files_per_hour; /* at most BURNS_PER_HOUR_MAX */
};

struct burn_ledger {
	struct {
		uint8_t nonce[BURN_NONCE_SIZE];
		uint8_t status;
		bool is_used;
	} seen[BURNS_REMEMBERED];
	size_t next;
	uint64_t files_ns[BURNS_PER_HOUR_MAX]; /* mono; of files burnt; 0: none */
	size_t next_file;
};

/* True: a copy, to be answered with *status. */
bool burn_ledger_find(const struct burn_ledger *ledger, const uint8_t nonce[BURN_NONCE_SIZE],
		      uint8_t *status) MUST_CHECK;
void burn_ledger_note(struct burn_ledger *ledger, const uint8_t nonce[BURN_NONCE_SIZE],
		      enum wire_burn_status status);

/* The scope that a report gets, which may be smaller than it asks for. */
enum compromised_scope burn_ledger_scope(const struct burn_ledger *ledger,
					 const struct burn_policy *policy, enum wire_scope asked,
					 uint64_t now_ns);
/* A file was burnt on a client's word. */
void burn_ledger_count(struct burn_ledger *ledger, uint64_t now_ns);
