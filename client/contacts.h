#pragma once
/*
 * Contacts: the peers that this profile has met, with what is pinned of them (trust on first use),
 * kept in contacts.json; and peers only heard of in this run.
 *
 * Owner: one thread.
 */
#include "client/profile.h"

enum {
	CONTACTS_MAX = 4096, /* kept in the file; 400 bytes each */
};

struct contact {
	uint8_t id[PEER_ID_SIZE];
	char name[NAME_SIZE_MAX + 1]; /* as last announced; empty: never met */
	bool is_known;                /* pin is set: kept in the file */
	bool is_verified;
	bool is_changed;                 /* showed another identity or lost continuity */
	bool is_present;                 /* in the relay's last list */
	uint8_t name_tag[NAME_TAG_SIZE]; /* from the relay's list; zeros: none */
	struct peer_pin pin;
};

struct contacts {
	struct contact *list;
	size_t count;
	size_t capacity;
};

enum clawchat_result contacts_open(struct contacts *c, const struct profile *p,
				   struct clawchat_error *error) MUST_CHECK;
void contacts_close(struct contacts *c); /* wipes */
enum clawchat_result contacts_save(const struct contacts *c, const struct profile *p,
				   struct clawchat_error *error) MUST_CHECK;

struct contact *contacts_find(const struct contacts *c, const uint8_t id[PEER_ID_SIZE]);
/* Find or add; NULL: full or out of memory. Pointers to contacts are invalid after this. */
struct contact *contacts_need(struct contacts *c, const uint8_t id[PEER_ID_SIZE]);

/* ids as people write them: 52 characters of RFC 4648 base32 in lower case. */
void peer_id_format(const uint8_t id[PEER_ID_SIZE], char out[CLAWCHAT_PEER_ID_TEXT]);
bool peer_id_parse(const char *text, uint8_t out[PEER_ID_SIZE]) MUST_CHECK;

/*
 * Contacts that `text` names: by the whole id, by a prefix of at least PREFIX_MIN characters, or
 * by name. Returns how many; *match is the first.
 */
enum { CONTACT_PREFIX_MIN = 8 };
size_t contacts_match(const struct contacts *c, const char *text, const struct contact **match);
