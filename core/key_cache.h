#pragma once
/*
 * Key cache: expanded packet keys of the sessions seen lately. A session keeps 32-byte keys;
 * an expanded one is a kilobyte, so only a bounded number exists, per thread.
 *
 * Set-associative by (session, epoch, direction); the least recently used entry of a set gives
 * way. Owner: one thread. No allocation after create (but see packet_cipher.expand).
 */
#include "crypto/aead.h"

struct session;
struct key_cache;

enum key_direction { KEY_SEND, KEY_RECEIVE };

enum { KEY_CACHE_WAYS = 4 };

/* `entries` is rounded up to the geometry. NULL: out of memory. */
struct key_cache *key_cache_create(const struct packet_cipher *cipher, size_t entries) MUST_CHECK;
void key_cache_destroy(struct key_cache *c); /* wipes */

const struct packet_cipher *key_cache_cipher(const struct key_cache *c);

/* The expanded key of an epoch of a session, expanded now if it is not there. NULL: memory.
 * Stays valid until the next get() of the same set: use KEY_CACHE_WAYS keys at most at a time
 * between gets (a batch opens or seals with one key right after getting it). */
void *key_cache_get(struct key_cache *c, const struct session *s, unsigned epoch,
		    enum key_direction direction);

/* Ask the memory system for the entry that get() will want. */
void key_cache_prefetch(const struct key_cache *c, const struct session *s, unsigned epoch,
			enum key_direction direction);

/* Erase everything (revocation), or one session's keys. */
void key_cache_erase_all(struct key_cache *c);
void key_cache_erase(struct key_cache *c, const struct session *s);
