#pragma once
/*
 * Addresses and paths. An IPv4 address is kept in its v4-mapped IPv6 form, and only so:
 * everything that compares or limits addresses sees one spelling of each.
 *
 * Pure.
 */
#include "crypto/bytes.h"

struct address {
	uint8_t ip[16]; /* network order; ::ffff:a.b.c.d for IPv4 */
	uint16_t port;  /* host order */
	uint16_t zero_; /* always 0: addresses compare by memory */
	uint32_t scope; /* interface of a link-local IPv6 address, else 0 */
};
_Static_assert(sizeof(struct address) == 24, "no hidden padding: compared by memory");

/*
 * The way a datagram took: from which remote, to which of our own addresses and which port
 * generation. An answer goes back the same way. Names no socket and no engine.
 */
struct path {
	struct address remote;
	uint8_t local_ip[16]; /* all zero: let the system choose */
	uint64_t door;        /* port generation it came in on; on a client, 0 */
};
_Static_assert(sizeof(struct path) == 48, "no hidden padding: compared by memory");

enum { ADDRESS_TEXT_SIZE = 64 };

struct address address_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

bool address_is_v4(const struct address *a);
bool address_is_set(const struct address *a); /* not all zero */

static inline bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool path_equal(const struct path *a, const struct path *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* "192.0.2.1:4433", "[2001:db8::1]:4433", "[fe80::1%3]:4433". Returns `text`. */
const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE]);

/* Reads those forms, and without a port ("192.0.2.1", "2001:db8::1") with port 0.
 * False: not an address. Names are not looked up. */
bool address_parse(const char *text, struct address *out) MUST_CHECK;
