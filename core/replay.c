#include "core/replay.h"

static uint64_t block_of(uint64_t counter)
{
	return counter / REPLAY_WORD_BITS;
}

static uint64_t bit_of(uint64_t counter)
{
	return UINT64_C(1) << counter % REPLAY_WORD_BITS;
}

static uint64_t word_block(uint64_t word)
{
	return word >> REPLAY_WORD_BITS;
}

/* The word after `counter` was accepted into it; 0 where it must not be. Never 0 otherwise,
 * since the counter's bit is set. */
static uint64_t word_with(uint64_t word, uint64_t counter)
{
	uint64_t block = block_of(counter);

	if (word_block(word) > block)
		return 0;
	if (word_block(word) < block)
		return block << REPLAY_WORD_BITS | bit_of(counter);
	return word & bit_of(counter) ? 0 : word | bit_of(counter);
}

void replay_init(struct replay *r)
{
	/* An empty word stands at block 0: right for the first one, older than any other's. */
	for (size_t i = 0; i < REPLAY_WORDS; i++)
		store_relaxed(&r->words[i], 0);
}

void replay_prefetch(const struct replay *r, uint64_t counter)
{
	__builtin_prefetch(&r->words[block_of(counter) % REPLAY_WORDS], 1);
}

bool replay_is_stale(const struct replay *r, uint64_t counter)
{
	if (counter >= REPLAY_COUNTER_LIMIT)
		return true;
	return word_with(load_relaxed(&r->words[block_of(counter) % REPLAY_WORDS]), counter) == 0;
}

bool replay_accept(struct replay *r, uint64_t counter)
{
	if (counter >= REPLAY_COUNTER_LIMIT)
		return false;

	/* Relaxed: the word alone decides; nothing else is published with it. */
	_Atomic uint64_t *word = &r->words[block_of(counter) % REPLAY_WORDS];
	uint64_t before = load_relaxed(word);
	uint64_t after;
	do {
		after = word_with(before, counter);
		if (after == 0)
			return false;
	} while (!cas_relaxed(word, &before, after));
	return true;
}
