#include "core/keeper_internal.h"

#include <assert.h>

static struct keeper_channel *end_at(struct keeper *k, uint32_t number)
{
	assert(number > 0 && number <= k->channels_capacity);
	return &k->channels[number];
}

/* ---- lists of ends --------------------------------------------------------------------- */

static void link_to_owner(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	end->owner = e;
	end->previous = 0;
	end->next = e->channels;
	if (end->next != 0)
		end_at(k, end->next)->previous = number;
	e->channels = number;
	e->channel_count++;
}

static void unlink_from_owner(struct keeper *k, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	if (end->next != 0)
		end_at(k, end->next)->previous = end->previous;
	if (end->previous != 0)
		end_at(k, end->previous)->next = end->next;
	else
		end->owner->channels = end->next;
	end->owner->channel_count--;
}

/* All offers wait equally long, so the queue is in the order of their deadlines. */
static void offers_add(struct keeper *k, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	end->deadline_ns = k->now.mono_ns + KEEPER_OFFER_NS;
	end->next_offer = 0;
	end->previous_offer = k->offers_last;
	if (k->offers_last != 0)
		end_at(k, k->offers_last)->next_offer = number;
	else
		k->offers = number;
	k->offers_last = number;
}

static void offers_remove(struct keeper *k, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	if (end->next_offer != 0)
		end_at(k, end->next_offer)->previous_offer = end->previous_offer;
	else
		k->offers_last = end->previous_offer;
	if (end->previous_offer != 0)
		end_at(k, end->previous_offer)->next_offer = end->next_offer;
	else
		k->offers = end->next_offer;
}

/* No longer of use to anyone: its number is free after the next quiesce. */
static void release(struct keeper *k, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	assert(end->state == CHANNEL_DONE);
	assert(!end->is_owing);
	unlink_from_owner(k, number);
	end->owner = NULL;
	end->next = k->channels_done;
	k->channels_done = number;
}

void keeper_give_back_channels(struct keeper *k)
{
	while (k->channels_done != 0) {
		uint32_t number = k->channels_done;
		struct keeper_channel *end = end_at(k, number);
		k->channels_done = end->next;
		*end = (struct keeper_channel){ .state = CHANNEL_FREE };
		channels_give_back(k->config.channels, number);
	}
}

/* ---- what is owed to the owner --------------------------------------------------------- */

static void owe(struct keeper *k, uint32_t number, unsigned what)
{
	struct keeper_channel *end = end_at(k, number);
	struct keeper_entry *e = end->owner;

	end->owes |= (uint8_t)what;
	keeper_mark(k, e);
	if (end->is_owing)
		return;
	end->is_owing = true;
	end->next_owing = 0;
	if (e->owing_last != 0)
		end_at(k, e->owing_last)->next_owing = number;
	else
		e->owing = number;
	e->owing_last = number;
}

static const uint8_t *peer_of(const struct keeper *k, const struct keeper_entry *e)
{
	return directory_record(k->directory, e->session.id.slot)->peer;
}

static bool queue_offer(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	const struct keeper_channel *other = end_at(k, end_at(k, number)->other);
	struct wire_offer body = { .channel = store_le32(number) };

	memcpy(body.peer, peer_of(k, other->owner), PEER_ID_SIZE);
	return keeper_queue(k, e, FRAME_OFFER, view_of(&body, sizeof body));
}

static bool queue_opened(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	const struct keeper_channel *end = end_at(k, number);
	struct wire_opened body = {
		.request = store_le32(end->request),
		.channel = store_le32(number),
		.is_initiator = end->is_opener,
	};

	memcpy(body.peer, peer_of(k, end_at(k, end->other)->owner), PEER_ID_SIZE);
	return keeper_queue(k, e, FRAME_OPENED, view_of(&body, sizeof body));
}

static bool queue_failed(struct keeper *k, struct keeper_entry *e, uint32_t request,
			 uint32_t reason)
{
	const struct wire_open_failed body = {
		.request = store_le32(request),
		.reason = store_le32(reason),
	};

	if (!keeper_queue(k, e, FRAME_OPEN_FAILED, view_of(&body, sizeof body)))
		return false;
	k->stats.channel_refusals++;
	return true;
}

static bool queue_gone(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	const struct wire_channel_reason body = {
		.channel = store_le32(number),
		.reason = store_le32(end_at(k, number)->reason),
	};

	return keeper_queue(k, e, FRAME_GONE, view_of(&body, sizeof body));
}

/* The lowest bit of what is owed. */
static bool pay_one(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);
	uint8_t what = (uint8_t)(end->owes & -end->owes);
	bool is_queued;

	switch (what) {
	case OWES_OFFER: is_queued = queue_offer(k, e, number); break;
	case OWES_OPENED: is_queued = queue_opened(k, e, number); break;
	case OWES_FAILED: is_queued = queue_failed(k, e, end->request, end->reason); break;
	default: assert(what == OWES_GONE); is_queued = queue_gone(k, e, number);
	}
	if (!is_queued)
		return false;
	end->owes &= (uint8_t)~what;
	end->is_known |= what == OWES_OFFER || what == OWES_OPENED;
	end->has_request &= what != OWES_OPENED && what != OWES_FAILED;
	return true;
}

static void leave_owing_queue(struct keeper *k, struct keeper_entry *e)
{
	struct keeper_channel *end = end_at(k, e->owing);

	e->owing = end->next_owing;
	if (e->owing == 0)
		e->owing_last = 0;
	end->next_owing = 0;
	end->is_owing = false;
}

void keeper_pay_channels(struct keeper *k, struct keeper_entry *e)
{
	while (e->owing != 0) {
		uint32_t number = e->owing;
		struct keeper_channel *end = end_at(k, number);
		while (end->owes != 0)
			if (!pay_one(k, e, number))
				return; /* goes on when the client has acknowledged some */
		leave_owing_queue(k, e);
		if (end->state == CHANNEL_DONE)
			release(k, number);
	}
}

/* ---- one end is done ------------------------------------------------------------------- */

static void stop(struct keeper *k, uint32_t number)
{
	struct keeper_channel *end = end_at(k, number);

	if (end->state == CHANNEL_OPEN)
		channels_part(k->config.channels, number);
	else if (end->is_opener)
		offers_remove(k, number);
	end->state = CHANNEL_DONE;
	end->owes = 0;
}

/* Its owner hears why: the failure of an OPEN that waits for an answer, the end of a channel
 * whose number it knows. */
static void finish(struct keeper *k, uint32_t number, uint32_t reason)
{
	struct keeper_channel *end = end_at(k, number);
	unsigned what = 0;

	stop(k, number);
	end->reason = reason;
	if (end->has_request)
		what |= OWES_FAILED;
	if (end->is_known)
		what |= OWES_GONE;
	if (what != 0)
		owe(k, number, what);
	else if (!end->is_owing)
		release(k, number);
	/* Else it is in the queue, with nothing left to say: paying releases it. */
}

/* Its owner has ended it, and needs to hear nothing but the failure of an OPEN of its own. */
static void finish_by_owner(struct keeper *k, uint32_t number)
{
	end_at(k, number)->is_known = false;
	finish(k, number, REASON_CLOSED);
}

static void close_pair(struct keeper *k, uint32_t number, uint32_t reason)
{
	struct keeper_channel *end = end_at(k, number);
	uint32_t other = end->other;

	if (end->state == CHANNEL_OPEN)
		k->stats.channels_closed++;
	finish_by_owner(k, number);
	finish(k, other, reason);
}

/* ---- opening --------------------------------------------------------------------------- */

/* The end of `e` of a living channel of the two; 0: none. Walks the shorter of their lists. */
static uint32_t find_pair(struct keeper *k, const struct keeper_entry *e,
			  const struct keeper_entry *peer)
{
	bool is_own = e->channel_count <= peer->channel_count;
	const struct keeper_entry *wanted = is_own ? peer : e;

	for (uint32_t n = is_own ? e->channels : peer->channels; n != 0; n = end_at(k, n)->next) {
		const struct keeper_channel *end = end_at(k, n);
		if (end->state != CHANNEL_DONE && end_at(k, end->other)->owner == wanted)
			return is_own ? n : end->other;
	}
	return 0;
}

static void join(struct keeper *k, uint32_t opener)
{
	struct keeper_channel *from = end_at(k, opener);
	struct keeper_channel *to = end_at(k, from->other);
	struct channel_end a = { .session = from->owner->session.id, .number = opener };
	struct channel_end b = { .session = to->owner->session.id, .number = from->other };

	offers_remove(k, opener);
	from->state = CHANNEL_OPEN;
	to->state = CHANNEL_OPEN;
	channels_join(k->config.channels, a, b);
	k->stats.channels_opened++;
	owe(k, opener, OWES_OPENED);
	if (to->has_request) {
		to->owes &= (uint8_t)~OWES_OFFER; /* both want it: no need to ask */
		owe(k, from->other, OWES_OPENED);
	}
}

static bool take_numbers(struct keeper *k, uint32_t *a, uint32_t *b)
{
	if (!channels_take(k->config.channels, a))
		return false;
	if (channels_take(k->config.channels, b))
		return true;
	channels_give_back(k->config.channels, *a);
	return false;
}

static void offer(struct keeper *k, struct keeper_entry *e, struct keeper_entry *peer,
		  uint32_t request)
{
	uint32_t own, other;

	if (e->channel_count >= CHANNELS_PER_SESSION_MAX ||
	    peer->channel_count >= CHANNELS_PER_SESSION_MAX) {
		(void)!queue_failed(k, e, request, REASON_LIMIT);
		return;
	}
	if (!take_numbers(k, &own, &other)) {
		k->stats.channels_full++;
		(void)!queue_failed(k, e, request, REASON_LIMIT);
		return;
	}
	*end_at(k, own) = (struct keeper_channel){
		.state = CHANNEL_OFFERED,
		.other = other,
		.is_opener = true,
		.request = request,
		.has_request = true,
	};
	*end_at(k, other) = (struct keeper_channel){ .state = CHANNEL_OFFERED, .other = own };
	link_to_owner(k, e, own);
	link_to_owner(k, peer, other);
	offers_add(k, own);
	owe(k, other, OWES_OFFER);
}

/* The pair has a channel or an offer already. True: that is the answer; false: it is closed now
 * and a new one is to be made. */
static bool open_again(struct keeper *k, struct keeper_entry *e, uint32_t number, uint32_t request)
{
	struct keeper_channel *end = end_at(k, number);

	if (end->state == CHANNEL_OPEN) {
		/* The client has lost its state and begins anew, so the other end must too. Should
		 * it still know the old number, it hears that it is gone. */
		uint32_t other = end->other;
		k->stats.channels_closed++;
		finish(k, number, REASON_CLOSED);
		finish(k, other, REASON_CLOSED);
		return false;
	}
	if (end->has_request)
		(void)!queue_failed(k, e, end->request, REASON_NONE); /* the new one replaces it */
	end->request = request;
	end->has_request = true;
	if (!end->is_opener)
		join(k, end->other);
	return true;
}

/* keeper_take_reliable() has seen to it that there is room for one frame. */
void keeper_take_open(struct keeper *k, struct keeper_entry *e, const struct wire_open *open)
{
	uint32_t request = load_le32(open->request);

	if (memcmp(open->peer, peer_of(k, e), PEER_ID_SIZE) == 0) {
		(void)!queue_failed(k, e, request, REASON_SELF);
		return;
	}
	uint32_t slot = directory_find_peer(k->directory, open->peer);
	if (slot == DIRECTORY_NONE) {
		(void)!queue_failed(k, e, request, REASON_ABSENT);
		return;
	}
	struct keeper_entry *peer = keeper_entry_at(k, slot);
	uint32_t number = find_pair(k, e, peer);
	if (number == 0 || !open_again(k, e, number, request))
		offer(k, e, peer, request);
}

/* ---- answers to an offer, and the end -------------------------------------------------- */

/* NULL: no end of this session, or done already (the news crossed on the way). */
static struct keeper_channel *own_end(struct keeper *k, const struct keeper_entry *e,
				      uint32_t number)
{
	if (number == 0 || number > k->channels_capacity)
		return NULL;
	struct keeper_channel *end = &k->channels[number];
	return end->owner == e && end->state != CHANNEL_DONE ? end : NULL;
}

void keeper_take_accept(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	struct keeper_channel *end = own_end(k, e, number);

	if (end != NULL && end->is_known && end->state == CHANNEL_OFFERED && !end->is_opener)
		join(k, end->other);
}

/* Of an open channel too: then the offer has crossed an OPEN of the same client. */
void keeper_take_refuse(struct keeper *k, struct keeper_entry *e, uint32_t number, uint32_t reason)
{
	struct keeper_channel *end = own_end(k, e, number);

	if (end != NULL && end->is_known)
		close_pair(k, number, reason != REASON_NONE ? reason : REASON_REFUSED);
}

void keeper_take_close(struct keeper *k, struct keeper_entry *e, uint32_t number)
{
	struct keeper_channel *end = own_end(k, e, number);

	if (end != NULL && end->is_known)
		close_pair(k, number, REASON_CLOSED);
}

void keeper_end_channels(struct keeper *k, struct keeper_entry *e)
{
	while (e->owing != 0) { /* what it was owed is owed no more */
		end_at(k, e->owing)->owes = 0;
		leave_owing_queue(k, e);
	}
	while (e->channels != 0) {
		uint32_t number = e->channels;
		struct keeper_channel *end = end_at(k, number);
		if (end->state != CHANNEL_DONE) {
			end->has_request = false; /* nobody is left to hear of it */
			close_pair(k, number, REASON_ABSENT);
		} else {
			release(k, number);
		}
	}
}

void keeper_expire_offers(struct keeper *k)
{
	for (unsigned i = 0; i < KEEPER_OFFERS_PER_TICK && k->offers != 0; i++) {
		uint32_t number = k->offers, other = end_at(k, number)->other;
		if (end_at(k, number)->deadline_ns > k->now.mono_ns)
			return;
		finish(k, number, REASON_ABSENT);
		finish(k, other, REASON_CLOSED);
	}
}

uint64_t keeper_offers_deadline(const struct keeper *k)
{
	return k->offers != 0 ? k->channels[k->offers].deadline_ns : NEVER;
}
