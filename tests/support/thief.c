#include "tests/support/thief.h"

#include "core/door.h"
#include "tests/support/sim_internal.h"

/* ---- the tape ---------------------------------------------------------------------------- */

static void record_handshake(struct thief_tape *t, const uint8_t shown[WIRE_HEADER_SIZE],
			     struct view data)
{
	struct thief_handshake *h = &t->handshakes[t->handshake_count];
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	struct view plain;

	assert_true(t->handshake_count < THIEF_HANDSHAKES_MAX);
	memcpy(bytes, data.data, data.size);
	h->kind = (enum wire_kind)wire_kind(shown);
	const uint8_t *key = h->kind == WIRE_HELLO ? t->door.c2s_handshake : t->door.s2c_handshake;
	assert_true(door_open(key, (const void *)shown, bytes, data.size, &plain));
	h->size = plain.size;
	memcpy(h->plain, plain.data, plain.size);
	t->handshake_count++;
}

static void record(void *state, const struct address *from, const struct address *to,
		   struct view data)
{
	struct thief_tape *t = state;
	uint8_t shown[WIRE_HEADER_SIZE];
	bool is_up = address_equal(from, &t->victim->address);

	if (!is_up && !address_equal(to, &t->victim->address))
		return;
	memcpy(shown, data.data, sizeof(shown));
	mask_blocks(is_up ? t->up : t->down, shown, 1);
	if (wire_kind(shown) != WIRE_DATA) {
		record_handshake(t, shown, data);
		return;
	}
	const struct wire_data_header *header = (const void *)shown;
	struct thief_packet *p = &t->packets[t->count++];
	assert_true(t->count <= THIEF_PACKETS_MAX);
	p->is_up = is_up;
	p->epoch = wire_epoch(shown);
	p->counter = load_le64(header->counter);
	p->size = data.size;
	memcpy(p->bytes, data.data, data.size);
}

struct thief_tape *thief_listen(struct sim *sim, struct sim_client *victim)
{
	const struct schedule *s = &sim->relay.schedule;
	struct thief_tape *t = calloc(1, sizeof(*t));
	uint8_t key[KEY_SIZE];

	assert_non_null(t);
	t->sim = sim;
	t->victim = victim;
	schedule_door_key(s, schedule_generation(s, sim_now(sim).wall_ns), key);
	door_keys_derive(key, &t->door);
	t->up = mask_create(MASK_SHOW);
	t->down = mask_create(MASK_SHOW);
	assert_non_null(t->up);
	assert_non_null(t->down);
	mask_set_key(t->up, t->door.c2s_header);
	mask_set_key(t->down, t->door.s2c_header);
	sim_set_tap(sim, record, t);
	return t;
}

void thief_stop(struct thief_tape *t)
{
	sim_set_tap(t->sim, NULL, NULL);
	mask_destroy(t->up);
	mask_destroy(t->down);
	free(t);
}

const struct thief_handshake *thief_handshake(const struct thief_tape *t, enum wire_kind kind)
{
	for (size_t i = t->handshake_count; i-- > 0;)
		if (t->handshakes[i].kind == kind)
			return &t->handshakes[i];
	fail_msg("no such handshake was seen");
	return NULL;
}

/* ---- the theft --------------------------------------------------------------------------- */

void thief_rob(const struct thief_tape *t, struct thief_loot *loot)
{
	struct keeper_session session;

	memset(loot, 0, sizeof(*loot));
	memcpy(&loot->link, t->victim->link, sizeof(loot->link));
	loot->server = t->sim->relay.server;
	loot->has_entry = sim_find_session(t->sim, t->victim, &session);
	if (!loot->has_entry)
		return;
	const struct keeper_entry *e = keeper_entry_at(sim_keeper(t->sim), session.id.slot);
	memcpy(&loot->entry, e, sizeof(loot->entry));
	if (e->sender != NULL)
		loot->sender = *e->sender;
}

/* ---- what it opens ----------------------------------------------------------------------- */

bool thief_open(const struct session_secret *secret, const struct thief_packet *packet,
		uint8_t plain[PLAIN_SIZE_MAX])
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct view sealed =
		view_of(packet->bytes + WIRE_HEADER_SIZE, packet->size - WIRE_HEADER_SIZE);

	wire_nonce(secret->iv, packet->counter, nonce);
	return aead_open(secret->key, nonce, view_of(packet->bytes, WIRE_HEADER_SIZE), sealed,
			 plain);
}

static void try_secret(const struct session_secret *secret, const struct thief_packet *packets,
		       size_t count, bool *is_open)
{
	uint8_t plain[PLAIN_SIZE_MAX];
	for (size_t i = 0; i < count; i++)
		is_open[i] |= !is_open[i] && thief_open(secret, &packets[i], plain);
}

/* As core/session.c makes it of a key of Split. */
static struct session_secret secret_of(const uint8_t key[KEY_SIZE])
{
	struct session_secret secret;
	struct view none = { 0 };
	hkdf_label(key, PROTOCOL_NAME " key", none, secret.key, AEAD_KEY_SIZE);
	hkdf_label(key, PROTOCOL_NAME " iv", none, secret.iv, AEAD_NONCE_SIZE);
	return secret;
}

static struct thief_take take_of(const struct thief_packet *packets, size_t count,
				 const bool *is_open)
{
	struct thief_take take = { 0 };
	for (size_t i = 0; i < count; i++) {
		take.all[packets[i].epoch]++;
		take.opened[packets[i].epoch] += is_open[i];
	}
	return take;
}

/* Memory is zeros for the most part: no key begins with so many. */
static bool is_empty(const uint8_t *at)
{
	static const uint8_t zeros[sizeof(uint64_t)];
	return memcmp(at, zeros, sizeof(zeros)) == 0;
}

struct thief_take thief_try(struct view loot, const struct thief_packet *packets, size_t count)
{
	bool is_open[THIEF_PACKETS_MAX] = { false };
	struct session_secret secret;

	assert_true(count <= THIEF_PACKETS_MAX);
	for (size_t at = 0; at + sizeof(secret) <= loot.size; at++) {
		if (is_empty(loot.data + at))
			continue;
		memcpy(&secret, loot.data + at, sizeof(secret));
		try_secret(&secret, packets, count, is_open);
		secret = secret_of(loot.data + at);
		try_secret(&secret, packets, count, is_open);
	}
	return take_of(packets, count, is_open);
}

struct thief_take thief_try_keys(const struct noise_result *keys,
				 const struct thief_packet *packets, size_t count)
{
	bool is_open[THIEF_PACKETS_MAX] = { false };
	const struct session_secret secrets[] = { secret_of(keys->send_key),
						  secret_of(keys->receive_key) };
	assert_true(count <= THIEF_PACKETS_MAX);
	for (size_t i = 0; i < COUNT_OF(secrets); i++)
		try_secret(&secrets[i], packets, count, is_open);
	return take_of(packets, count, is_open);
}

bool thief_finds_secret(struct view loot, const uint8_t public[X25519_SIZE])
{
	struct x25519_pair pair;
	for (size_t at = 0; at + X25519_SIZE <= loot.size; at++) {
		if (is_empty(loot.data + at))
			continue;
		memcpy(pair.secret, loot.data + at, X25519_SIZE);
		x25519_derive_public(&pair);
		if (memcmp(pair.public, public, X25519_SIZE) == 0)
			return true;
	}
	return false;
}
