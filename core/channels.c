#include "core/channels.h"

#include <assert.h>
#include <stdlib.h>

#include "core/numbers.h"

/*
 * One end of a channel. `version` rises before each change of the rest: a reader that finds the
 * same owner and the same version before and after has read one join and no mixture of two.
 */
struct end {
	_Atomic uint64_t owner;   /* packed id; 0: not to be found */
	_Atomic uint64_t session; /* packed id of the other end */
	_Atomic uint32_t number;  /* the other end's own number */
	_Atomic uint32_t version;
};

struct channels {
	struct end *ends;            /* by number; 0 is no channel */
	struct numbers free_numbers; /* one less than the number on the wire */
	uint32_t capacity;
	_Atomic uint32_t count;
};

struct channels *channels_create(uint32_t capacity)
{
	assert(capacity > 0);
	assert(capacity <= CHANNELS_MAX);

	struct channels *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->capacity = capacity;
	c->ends = calloc((size_t)capacity + 1, sizeof(*c->ends));
	if (!numbers_init(&c->free_numbers, capacity) || c->ends == NULL) {
		channels_destroy(c);
		return NULL;
	}
	return c;
}

void channels_destroy(struct channels *c)
{
	if (c == NULL)
		return;
	numbers_fini(&c->free_numbers);
	free(c->ends);
	free(c);
}

static struct session_id unpack(uint64_t packed)
{
	return (struct session_id){
		.slot = (uint32_t)packed,
		.generation = (uint32_t)(packed >> 32),
	};
}

bool channels_find(const struct channels *c, uint32_t number, struct session_id owner,
		   struct channel_end *other)
{
	if (number > c->capacity)
		return false;

	/* Each load is an acquire, so none overtakes the one before it; all pair with set_end(). */
	const struct end *end = &c->ends[number];
	uint64_t packed = session_id_pack(owner);
	uint32_t version = load_acquire(&end->version);
	if (load_acquire(&end->owner) != packed || packed == 0)
		return false;
	other->session = unpack(load_acquire(&end->session));
	other->number = load_acquire(&end->number);
	return load_acquire(&end->owner) == packed && load_relaxed(&end->version) == version;
}

void channels_prefetch(const struct channels *c, uint32_t number)
{
	if (number <= c->capacity)
		__builtin_prefetch(&c->ends[number]);
}

bool channels_take(struct channels *c, uint32_t *number)
{
	if (!numbers_take(&c->free_numbers, number))
		return false;
	*number += 1;
	add_relaxed(&c->count, 1);
	return true;
}

static struct end *end_of(struct channels *c, uint32_t number)
{
	assert(number > 0);
	assert(number <= c->capacity);
	return &c->ends[number];
}

/* Pairs with channels_find(): every store is a release, the owner's comes last. */
static void set_end(struct end *end, struct session_id owner, struct channel_end other)
{
	assert(load_relaxed(&end->owner) == 0);
	store_release(&end->version, load_relaxed(&end->version) + 1);
	store_release(&end->session, session_id_pack(other.session));
	store_release(&end->number, other.number);
	store_release(&end->owner, session_id_pack(owner));
}

void channels_join(struct channels *c, struct channel_end a, struct channel_end b)
{
	assert(a.number != b.number);
	set_end(end_of(c, a.number), a.session, b);
	set_end(end_of(c, b.number), b.session, a);
}

void channels_part(struct channels *c, uint32_t number)
{
	store_release(&end_of(c, number)->owner, 0);
}

void channels_give_back(struct channels *c, uint32_t number)
{
	assert(load_relaxed(&end_of(c, number)->owner) == 0);
	numbers_give_back(&c->free_numbers, number - 1);
	add_relaxed(&c->count, UINT32_MAX); /* one less */
}

uint32_t channels_capacity(const struct channels *c)
{
	return c->capacity;
}

uint32_t channels_count(const struct channels *c)
{
	return load_relaxed(&c->count);
}
