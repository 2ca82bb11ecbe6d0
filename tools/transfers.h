#pragma once
/* File transfers that are offered or under way, by the numbers that the client gives them. */
#include <stdbool.h>

#include "client/clawchat.h"

enum {
	TRANSFERS_MAX = 64, /* at once; more are refused */
	FILE_LABEL_SIZE = 256,
};

struct transfer {
	uint32_t number; /* 0: free */
	struct clawchat_peer_id peer;
	char name[FILE_LABEL_SIZE]; /* safe to show */
	uint64_t size, done, rate;
	uint64_t started_ms;   /* client_loop_now_ms() as bytes flowed; 0: not yet */
	uint64_t started_done; /* bytes that were done then */
	unsigned told_percent;
	bool is_outgoing;
	bool is_hashing;
	bool is_accepted; /* incoming: by the user */
};

struct transfers {
	struct transfer list[TRANSFERS_MAX];
};

/* Add or find. NULL: full. */
struct transfer *transfers_add(struct transfers *t, uint32_t number, const char *name);
struct transfer *transfers_find(struct transfers *t, uint32_t number);
void transfers_remove(struct transfers *t, uint32_t number);

/* The oldest offer that waits for an answer; NULL: none. */
struct transfer *transfers_oldest_offer(struct transfers *t);
/* Under way: neither a mere offer nor done. */
struct transfer *transfers_running(struct transfers *t);
