#include "client/contacts.h"

#include <jansson.h>
#include <stdlib.h>

#include "client/json_fields.h"
#include "core/text.h"

#define CONTACTS_FILE "contacts.json"

enum {
	FORMAT_VERSION = 1,
	FIRST_CAPACITY = 16,
	ID_CHARACTERS = CLAWCHAT_PEER_ID_TEXT - 1,
	BITS_PER_CHARACTER = 5,
};

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

/* ---- ids -------------------------------------------------------------------------------- */

void peer_id_format(const uint8_t id[PEER_ID_SIZE], char out[CLAWCHAT_PEER_ID_TEXT])
{
	unsigned bits = 0, held = 0;
	size_t next = 0;
	for (size_t i = 0; i < ID_CHARACTERS; i++) {
		if (held < BITS_PER_CHARACTER) {
			bits = bits << 8 | (next < PEER_ID_SIZE ? id[next] : 0);
			next++;
			held += 8;
		}
		held -= BITS_PER_CHARACTER;
		out[i] = alphabet[bits >> held & 31];
	}
	out[ID_CHARACTERS] = '\0';
}

bool peer_id_parse(const char *text, uint8_t out[PEER_ID_SIZE])
{
	unsigned bits = 0, held = 0;
	size_t size = 0;
	if (strlen(text) != ID_CHARACTERS)
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		const char *at = strchr(alphabet, *p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
		if (at == NULL)
			return false;
		bits = bits << BITS_PER_CHARACTER | (unsigned)(at - alphabet);
		held += BITS_PER_CHARACTER;
		if (held >= 8) {
			held -= 8;
			out[size++] = (uint8_t)(bits >> held);
		}
	}
	return (bits & ((1u << held) - 1)) == 0; /* one text for each id */
}

/* ---- list ------------------------------------------------------------------------------- */

struct contact *contacts_find(const struct contacts *c, const uint8_t id[PEER_ID_SIZE])
{
	for (size_t i = 0; i < c->count; i++)
		if (memcmp(c->list[i].id, id, PEER_ID_SIZE) == 0)
			return &c->list[i];
	return NULL;
}

struct contact *contacts_need(struct contacts *c, const uint8_t id[PEER_ID_SIZE])
{
	struct contact *contact = contacts_find(c, id);
	if (contact != NULL)
		return contact;
	if (c->count == c->capacity) {
		size_t capacity = c->capacity > 0 ? 2 * c->capacity : FIRST_CAPACITY;
		if (capacity > CONTACTS_MAX)
			return NULL;
		/* Not realloc(): the old memory holds keys and is to be wiped. */
		struct contact *list = calloc(capacity, sizeof(*list));
		if (list == NULL)
			return NULL;
		if (c->count > 0)
			memcpy(list, c->list, c->count * sizeof(*list));
		size_t count = c->count;
		contacts_close(c);
		*c = (struct contacts){ .list = list, .count = count, .capacity = capacity };
	}
	contact = &c->list[c->count++];
	memset(contact, 0, sizeof(*contact));
	memcpy(contact->id, id, PEER_ID_SIZE);
	return contact;
}

void contacts_close(struct contacts *c)
{
	if (c->list != NULL)
		bytes_wipe(c->list, c->capacity * sizeof(*c->list));
	free(c->list);
	memset(c, 0, sizeof(*c));
}

static bool is_prefix(const struct contact *contact, const char *text)
{
	char id[CLAWCHAT_PEER_ID_TEXT];
	size_t length = strlen(text);
	peer_id_format(contact->id, id);
	return length >= CONTACT_PREFIX_MIN && strncmp(id, text, length) == 0;
}

size_t contacts_match(const struct contacts *c, const char *text, const struct contact **match)
{
	size_t matches = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct contact *contact = &c->list[i];
		if (!is_prefix(contact, text) &&
		    (contact->name[0] == '\0' || strcmp(contact->name, text) != 0))
			continue;
		if (matches++ == 0)
			*match = contact;
	}
	return matches;
}

/* ---- file ------------------------------------------------------------------------------- */

static json_t *contact_make(const struct contact *contact)
{
	json_t *object = json_object(), *psks = json_array();
	json_put_bytes(object, "id", contact->id, PEER_ID_SIZE);
	json_put_text(object, "name", contact->name);
	json_object_set_new(object, "verified", json_boolean(contact->is_verified));
	json_object_set_new(object, "tentative", json_boolean(contact->pin.is_tentative));
	json_put_bytes(object, "identity", contact->pin.identity, ED25519_PUBLIC_SIZE);
	json_put_bytes(object, "key", contact->pin.static_public, X25519_SIZE);
	for (size_t i = 0; i < contact->pin.psk_count; i++) {
		json_t *psk = json_object();
		json_put_bytes(psk, "psk", contact->pin.psks[i], KEY_SIZE);
		json_array_append_new(psks, psk);
	}
	json_object_set_new(object, "continuity", psks);
	return object;
}

static bool contact_read(const json_t *object, struct contacts *c)
{
	struct json_reader r = { .object = object };
	uint8_t id[PEER_ID_SIZE];
	char name[NAME_SIZE_MAX + 1];
	const json_t *psks = json_object_get(object, "continuity");
	json_take_bytes(&r, "id", id, sizeof(id));
	json_take_text(&r, "name", name, sizeof(name));
	struct contact *contact = r.failed == NULL ? contacts_need(c, id) : NULL;
	if (contact == NULL || json_array_size(psks) > PEER_PSKS_MAX)
		return false;
	text_clean_line(view_of(name, strlen(name)), contact->name, sizeof(contact->name));
	contact->is_known = true;
	contact->is_verified = json_take_bool(&r, "verified");
	contact->pin.is_tentative = json_take_bool(&r, "tentative");
	json_take_bytes(&r, "identity", contact->pin.identity, ED25519_PUBLIC_SIZE);
	json_take_bytes(&r, "key", contact->pin.static_public, X25519_SIZE);
	contact->pin.psk_count = (uint8_t)json_array_size(psks);
	for (size_t i = 0; i < contact->pin.psk_count; i++) {
		struct json_reader psk = { .object = json_array_get(psks, i) };
		json_take_bytes(&psk, "psk", contact->pin.psks[i], KEY_SIZE);
		r.failed = r.failed != NULL ? r.failed : psk.failed;
	}
	return r.failed == NULL;
}

enum clawchat_result contacts_open(struct contacts *c, const struct profile *p,
				   struct clawchat_error *error)
{
	json_t *object;
	memset(c, 0, sizeof(*c));
	enum clawchat_result result = profile_read_json(p, CONTACTS_FILE, &object, error);
	if (result != CLAWCHAT_OK || object == NULL)
		return result;
	struct json_reader r = { .object = object };
	bool is_good = json_take_number(&r, "version", UINT32_MAX) == FORMAT_VERSION;
	const json_t *list = json_object_get(object, "contacts");
	for (size_t i = 0; i < json_array_size(list) && is_good; i++)
		is_good = contact_read(json_array_get(list, i), c);
	json_decref(object);
	if (is_good)
		return CLAWCHAT_OK;
	/* Not to be passed over: whoever can damage it could make us meet a stranger afresh. */
	contacts_close(c);
	return client_error(error, CLAWCHAT_CONFIG,
			    "%s/" CONTACTS_FILE ": damaged; restore it from a copy, or remove it "
			    "to meet everybody afresh",
			    p->directory);
}

enum clawchat_result contacts_save(const struct contacts *c, const struct profile *p,
				   struct clawchat_error *error)
{
	json_t *object = json_object(), *list = json_array();
	json_put_number(object, "version", FORMAT_VERSION);
	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].is_known)
			json_array_append_new(list, contact_make(&c->list[i]));
	json_object_set_new(object, "contacts", list);
	enum clawchat_result result = profile_write_json(p, CONTACTS_FILE, object, error);
	json_decref(object);
	return result;
}
