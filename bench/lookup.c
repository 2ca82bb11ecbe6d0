#include "bench/lookup.h"

#include <stdlib.h>

#include "bench/load.h"
#include "core/directory.h"
#include "core/keeper.h"
#include "core/table.h"
#include "crypto/random.h"

struct lookup {
	struct table *table;
	struct directory *directory;
	struct session_id *ids; /* in the order of the questions */
	uint8_t (*peers)[PEER_ID_SIZE];
	uint32_t count;
	struct random_source random;
};

/* What is found tells how far to go on, so that no question can start before its predecessor's
 * answer is there. */
enum { STEP = 1 };

static bool create(struct lookup *l, uint32_t count)
{
	const struct table_config config = { .slots = count, .entry_size = keeper_entry_size() };
	*l = (struct lookup){ .count = count, .random = random_system() };
	l->table = table_create(&config);
	l->directory = directory_create(count, &l->random);
	l->ids = calloc(count, sizeof(*l->ids));
	l->peers = calloc(count, sizeof(*l->peers));
	return l->table != NULL && l->directory != NULL && l->ids != NULL && l->peers != NULL;
}

static void destroy(struct lookup *l)
{
	table_destroy(l->table);
	directory_destroy(l->directory);
	free(l->ids);
	free(l->peers);
}

static void fill(struct lookup *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		struct directory_record record = { .device = { 0 } };
		struct session *s = table_reserve(l->table, &l->random);
		if (s == NULL)
			return; /* not with as many slots */
		s->datagram_max = STEP;
		table_publish(l->table, s);
		random_fill(&l->random, &record, sizeof(record));
		memset(record.name_tag, 0, sizeof(record.name_tag));
		record.device[0] = STEP;
		directory_enter(l->directory, s->id.slot, &record);
		directory_announce(l->directory, s->id.slot);
		l->ids[i] = s->id;
	}
}

static void shuffle(struct lookup *l)
{
	for (uint32_t i = l->count; i > 1; i--) {
		uint32_t other = random_below(&l->random, i);
		struct session_id id = l->ids[i - 1];
		l->ids[i - 1] = l->ids[other];
		l->ids[other] = id;
	}
	for (uint32_t i = 0; i < l->count; i++)
		memcpy(l->peers[i], directory_record(l->directory, l->ids[i].slot)->peer,
		       PEER_ID_SIZE);
}

static double time_ids(const struct lookup *l)
{
	uint64_t start_ns = load_now_ns();
	for (uint32_t i = 0; i < l->count;) {
		const struct session *s = table_find(l->table, l->ids[i]);
		i += s != NULL ? s->datagram_max : l->count;
	}
	return (double)(load_now_ns() - start_ns) / l->count;
}

static double time_peers(const struct lookup *l)
{
	uint64_t start_ns = load_now_ns();
	for (uint32_t i = 0; i < l->count;) {
		uint32_t slot = directory_find_peer(l->directory, l->peers[i]);
		i += slot != DIRECTORY_NONE ? directory_record(l->directory, slot)->device[0] :
					      l->count;
	}
	return (double)(load_now_ns() - start_ns) / l->count;
}

const char *lookup_measure(uint32_t sessions, struct lookup_figures *out)
{
	struct lookup l;
	bool is_made = create(&l, sessions);
	if (is_made) {
		fill(&l);
		shuffle(&l);
		out->by_id_ns = time_ids(&l);
		out->by_peer_ns = time_peers(&l);
	}
	destroy(&l);
	return is_made ? NULL : "no memory for tables to look up in";
}
