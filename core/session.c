#include "core/session.h"

#include <assert.h>

/* ---- keys ------------------------------------------------------------------------------ */

static struct session_epoch *epoch_keys(struct session *s, uint32_t epoch)
{
	return &s->epochs[epoch % EPOCHS_LIVE];
}

static uint8_t live_bit(uint32_t epoch)
{
	return (uint8_t)(1U << epoch % EPOCHS_LIVE);
}

static void secret_derive(struct session_secret *out, const uint8_t key[KEY_SIZE])
{
	struct view none = { 0 };
	hkdf_label(key, PROTOCOL_NAME " key", none, out->key, AEAD_KEY_SIZE);
	hkdf_label(key, PROTOCOL_NAME " iv", none, out->iv, AEAD_NONCE_SIZE);
}

static void epoch_derive(struct session_epoch *out, const struct noise_result *keys)
{
	secret_derive(&out->send, keys->send_key);
	secret_derive(&out->receive, keys->receive_key);
}

void session_init(struct session *s, struct session_id id, const struct noise_result *keys)
{
	memset(s, 0, sizeof(*s));
	s->id = id;
	s->datagram_max = DATAGRAM_SIZE_MAX;
	replay_init(&s->replay);
	epoch_derive(epoch_keys(s, 0), keys);
	store_relaxed(&s->epochs_live, live_bit(0));
}

void session_fini(struct session *s)
{
	bytes_wipe(s, sizeof(*s));
}

void session_publish_epoch(struct session *s, const struct noise_result *keys)
{
	uint32_t next = load_relaxed(&s->newest) + 1;
	assert(load_relaxed(&s->epoch) + 1 == next);
	assert((load_relaxed(&s->epochs_live) & live_bit(next)) == 0);

	epoch_derive(epoch_keys(s, next), keys);
	/* Publishes the keys; pairs with session_find_epoch(). Only then the bit: while `next` is
	 * unknown it would stand for the epoch before the last. */
	store_release(&s->newest, next);
	or_relaxed(&s->epochs_live, live_bit(next));
}

/*
 * Several may come here at once, and each may be held up at any point, so no more than one decides
 * where the epoch starts, by a counter that it read before there was the epoch: whoever seals under
 * the new keys takes a later one, and none of their packets goes uncounted. A start too early by
 * some packets, or one that comes late, counts too many. It never goes back, where the one who
 * moved to an epoch is overtaken by the next.
 */
void session_follow_epoch(struct session *s, uint32_t epoch)
{
	uint32_t current = load_relaxed(&s->epoch);
	if (epoch != current + 1)
		return;
	uint64_t start = load_relaxed(&s->send_counter);
	uint64_t before = load_relaxed(&s->epoch_start);
	/* Release: who sends under it sees its keys, and a counter no lower than `start`. */
	if (!cas_acq_rel(&s->epoch, &current, epoch))
		return;
	while (before < start && !cas_acq_rel(&s->epoch_start, &before, start))
		continue; /* another has moved it since */
}

void session_next_epoch(struct session *s, const struct noise_result *keys)
{
	session_publish_epoch(s, keys);
	session_follow_epoch(s, load_relaxed(&s->newest));
}

void session_retire_epoch(struct session *s)
{
	/* The keeper alone writes this word. */
	store_relaxed(&s->epochs_live, live_bit(load_relaxed(&s->newest)));
}

void session_erase_retired(struct session *s)
{
	for (uint32_t i = 0; i < EPOCHS_LIVE; i++)
		if ((load_relaxed(&s->epochs_live) & live_bit(i)) == 0)
			bytes_wipe(epoch_keys(s, i), sizeof(struct session_epoch));
}

bool session_find_epoch(const struct session *s, unsigned wire_epoch, uint32_t *epoch)
{
	uint32_t current = load_acquire(&s->newest); /* pairs with session_publish_epoch() */
	uint32_t previous = current - 1;

	if (wire_epoch == (current & WIRE_EPOCH_MASK)) {
		*epoch = current;
		return true;
	}
	if (current == 0 || wire_epoch != (previous & WIRE_EPOCH_MASK) ||
	    (load_relaxed(&s->epochs_live) & live_bit(previous)) == 0)
		return false;
	*epoch = previous;
	return true;
}

/* ---- path ------------------------------------------------------------------------------ */

enum { PATH_WORDS = sizeof(struct path) / sizeof(uint64_t) };
_Static_assert(sizeof(((struct session *)0)->path_words) == sizeof(struct path), "all of it");

struct path session_path(const struct session *s)
{
	uint64_t words[PATH_WORDS];
	struct path path;
	uint32_t before, after;

	/* Acquire on each word keeps the second look at the sequence behind it; a word of a
	 * newer path (stored with release) brings its sequence number along. */
	do {
		before = load_acquire(&s->path_sequence);
		for (size_t i = 0; i < PATH_WORDS; i++)
			words[i] = load_acquire(&s->path_words[i]);
		after = load_relaxed(&s->path_sequence);
	} while (before != after || (before & 1) != 0);
	memcpy(&path, words, sizeof(path));
	return path;
}

void session_set_path(struct session *s, const struct path *path)
{
	uint64_t words[PATH_WORDS];
	uint32_t sequence = load_relaxed(&s->path_sequence);

	memcpy(words, path, sizeof(words));
	/* Several may write: one makes the sequence odd, the others wait for six stores. */
	while ((sequence & 1) != 0 || !cas_acq_rel(&s->path_sequence, &sequence, sequence + 1))
		sequence = load_relaxed(&s->path_sequence);
	for (size_t i = 0; i < PATH_WORDS; i++)
		store_release(&s->path_words[i], words[i]);
	store_release(&s->path_sequence, sequence + 2); /* pairs with session_path() */
}

/* ---- packets --------------------------------------------------------------------------- */

uint64_t session_sent(const struct session *s)
{
	/* epoch_start before the counter, or a new epoch could make the difference negative. */
	uint64_t start = load_acquire(&s->epoch_start); /* pairs with session_follow_epoch() */
	return load_relaxed(&s->send_counter) - start;
}

bool session_reserve(struct session *s, uint32_t count, uint64_t *first)
{
	/* In this order, see session_sent(). */
	uint64_t start = load_acquire(&s->epoch_start);
	*first = add_relaxed(&s->send_counter, count);
	uint64_t end = *first + count;
	return end - start <= EPOCH_PACKETS_HARD && end <= REPLAY_COUNTER_LIMIT;
}

void session_header(const struct session *s, unsigned epoch, uint64_t counter,
		    struct wire_data_header *out)
{
	out->first = wire_first(WIRE_DATA, epoch);
	out->slot = store_le24(s->id.slot);
	out->generation = store_le32(s->id.generation);
	out->counter = store_le64(counter);
}

static bool raise_to(_Atomic uint64_t *highest, uint64_t value)
{
	uint64_t before = load_relaxed(highest);
	while (before < value)
		if (cas_relaxed(highest, &before, value))
			return true;
	return false;
}

bool session_accept(struct session *s, uint64_t counter, size_t size, uint64_t now_ns,
		    struct session_news *news)
{
	if (!replay_accept(&s->replay, counter))
		return false;
	store_relaxed(&s->last_receive_ns, now_ns);
	add_relaxed(&s->rx_bytes, size);
	news->is_newest = raise_to(&s->highest_received, counter + 1);
	news->is_first = load_relaxed(&s->is_established) == 0 &&
			 exchange_acq_rel(&s->is_established, 1) == 0;
	return true;
}

bool session_seal(struct session *s, struct key_cache *cache, struct mask *hide, uint8_t *packet,
		  size_t plain_size)
{
	assert(plain_size <= PLAIN_SIZE_MAX);

	uint32_t epoch = load_acquire(&s->epoch); /* pairs with session_next_epoch() */
	uint64_t counter;
	if (load_relaxed(&s->is_revoked) == SESSION_REVOKED || !session_reserve(s, 1, &counter))
		return false;
	void *key = key_cache_get(cache, s, epoch, KEY_SEND);
	if (key == NULL)
		return false;

	uint8_t nonce[AEAD_NONCE_SIZE], *plain = packet + WIRE_HEADER_SIZE;
	session_header(s, epoch, counter, (struct wire_data_header *)packet);
	mask_blocks(hide, packet, 1);
	wire_nonce(epoch_keys(s, epoch)->send.iv, counter, nonce);
	key_cache_cipher(cache)->seal(key, nonce, view_of(packet, WIRE_HEADER_SIZE), plain,
				      plain_size, plain + plain_size);
	add_relaxed(&s->tx_bytes, plain_size + WIRE_OVERHEAD);
	return true;
}

/* All that can be said of a packet before its cipher. */
static enum verdict examine(const struct session *s, const struct wire_data_header *header,
			    size_t size, uint32_t *epoch)
{
	const uint8_t *bytes = (const uint8_t *)header;

	if (size < WIRE_SIZE_MIN || size > DATAGRAM_SIZE_MAX)
		return PKT_DROP_SIZE;
	if (wire_kind(bytes) != WIRE_DATA || (header->first & WIRE_RESERVED_MASK) != 0)
		return PKT_DROP_KIND;
	if (load_le24(header->slot) != s->id.slot ||
	    load_le32(header->generation) != s->id.generation)
		return PKT_DROP_NO_SESSION;
	if (load_relaxed(&s->is_revoked))
		return PKT_DROP_REVOKED;
	if (!session_find_epoch(s, wire_epoch(bytes), epoch))
		return PKT_DROP_NO_EPOCH;
	if (replay_is_stale(&s->replay, load_le64(header->counter)))
		return PKT_DROP_REPLAY;
	return PKT_IDLE;
}

enum verdict session_open(struct session *s, struct key_cache *cache,
			  const struct wire_data_header *header, struct view packet,
			  struct view *plain, uint64_t now_ns)
{
	uint32_t epoch;
	enum verdict verdict = examine(s, header, packet.size, &epoch);
	if (verdict != PKT_IDLE)
		return verdict;
	void *key = key_cache_get(cache, s, epoch, KEY_RECEIVE);
	if (key == NULL)
		return PKT_DROP_KEY_LIMIT;

	/* The caller's frame, opened in place. */
	uint8_t *body = (uint8_t *)(uintptr_t)packet.data + WIRE_HEADER_SIZE;
	size_t size = packet.size - WIRE_OVERHEAD;
	uint64_t counter = load_le64(header->counter);
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct session_news news;
	wire_nonce(epoch_keys(s, epoch)->receive.iv, counter, nonce);
	if (!key_cache_cipher(cache)->open(key, nonce, view_of(packet.data, WIRE_HEADER_SIZE), body,
					   size, body + size)) {
		add_relaxed(&s->forgeries, 1);
		return PKT_DROP_BAD_TAG;
	}
	if (!session_accept(s, counter, packet.size, now_ns, &news))
		return PKT_DROP_REPLAY;
	session_follow_epoch(s, epoch);
	*plain = view_of(body, size);
	return PKT_IDLE;
}
