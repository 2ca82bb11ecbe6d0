/* Virtual clients: a link each, with books on channels and numbered blobs. */
#include "tests/support/sim_internal.h"

enum { NUMBER_SIZE = 8, NUMBERS_MAX = 1 << 22 };

static struct instant client_now(const struct sim_client *c)
{
	struct instant now = c->sim->now;
	now.wall_ns += (uint64_t)c->config.clock_offset_ns;
	return now;
}

/* ---- books ------------------------------------------------------------------------------- */

struct sim_client *sim_client_by_peer_id(struct sim *sim, const uint8_t peer[PEER_ID_SIZE])
{
	for (unsigned i = 0; i < sim->client_count; i++)
		if (memcmp(sim->clients[i]->peer_id, peer, PEER_ID_SIZE) == 0)
			return sim->clients[i];
	return NULL;
}

struct sim_channel *sim_channel(struct sim_client *c, const struct sim_client *other)
{
	for (size_t i = 0; i < c->channel_count; i++)
		if (c->channels[i].other == other)
			return &c->channels[i];
	c->channels = realloc(c->channels, (c->channel_count + 1) * sizeof(*c->channels));
	assert_non_null(c->channels);
	struct sim_channel *channel = &c->channels[c->channel_count++];
	*channel = (struct sim_channel){ .other = c->sim->clients[other->index] };
	return channel;
}

static struct sim_channel *channel_by_number(struct sim_client *c, uint32_t number)
{
	for (size_t i = 0; i < c->channel_count; i++)
		if (c->channels[i].is_open && c->channels[i].number == number)
			return &c->channels[i];
	return NULL;
}

static struct sim_channel *channel_by_request(struct sim_client *c, uint32_t request)
{
	for (size_t i = 0; i < c->channel_count; i++)
		if (c->channels[i].request == request && request != 0)
			return &c->channels[i];
	return NULL;
}

/* True for a number that was not there before. */
static bool note_number(struct sim_channel *channel, uint32_t number)
{
	assert_true(number < NUMBERS_MAX);
	if (number / 8 >= channel->seen_size) {
		size_t size = number / 8 * 2 + 64;
		channel->seen = realloc(channel->seen, size);
		assert_non_null(channel->seen);
		memset(channel->seen + channel->seen_size, 0, size - channel->seen_size);
		channel->seen_size = size;
	}
	bool is_new = (channel->seen[number / 8] >> number % 8 & 1) == 0;
	channel->seen[number / 8] |= (uint8_t)(1 << number % 8);
	return is_new;
}

static void take_blob(struct sim_client *c, uint32_t number, struct view blob)
{
	struct sim_channel *channel = channel_by_number(c, number);
	le32 sender, sequence;

	/* The relay joins before the news is here: the first blobs may come before OPENED. */
	if (channel == NULL)
		return;
	assert_true(blob.size >= NUMBER_SIZE);
	memcpy(&sender, blob.data, sizeof(sender));
	memcpy(&sequence, blob.data + sizeof(sender), sizeof(sequence));
	assert_int_equal(load_le32(sender), channel->other->index); /* nobody else's */
	uint32_t value = load_le32(sequence);
	if (!note_number(channel, value)) {
		channel->copies++;
		return;
	}
	channel->received++;
	channel->swapped += value < channel->highest;
	if (value > channel->highest)
		channel->highest = value;
}

static void all_channels_gone(struct sim_client *c)
{
	for (size_t i = 0; i < c->channel_count; i++) {
		c->channels[i].is_open = false;
		c->channels[i].request = 0;
	}
}

static void opened(struct sim_client *c, const struct sim_client *other, uint32_t number,
		   bool is_initiator)
{
	struct sim_channel *channel = sim_channel(c, other);
	channel->is_open = true;
	channel->is_initiator = is_initiator;
	channel->number = number;
	channel->request = 0;
	channel->opened++;
}

static void take_offer(struct sim_client *c, const struct link_event *event)
{
	struct sim_client *other = sim_client_by_peer_id(c->sim, event->peer);
	assert_non_null(other);
	if (c->config.refuses_offers) {
		assert_true(link_refuse(c->link, event->channel, REASON_REFUSED));
		return;
	}
	if (link_accept(c->link, event->channel))
		opened(c, other, event->channel, false);
}

static void take_channel_event(struct sim_client *c, const struct link_event *event)
{
	struct sim_channel *channel;

	switch (event->type) {
	case LINK_EVENT_OFFER: take_offer(c, event); break;
	case LINK_EVENT_OPENED: {
		struct sim_client *other = sim_client_by_peer_id(c->sim, event->peer);
		assert_non_null(other);
		opened(c, other, event->channel, event->is_initiator);
		break;
	}
	case LINK_EVENT_OPEN_FAILED:
		channel = channel_by_request(c, event->request);
		if (channel == NULL)
			break;
		channel->failed++;
		channel->request = 0;
		channel->last_reason = event->reason;
		break;
	case LINK_EVENT_GONE:
		channel = channel_by_number(c, event->channel);
		if (channel == NULL)
			break;
		channel->is_open = false;
		channel->last_reason = event->reason;
		break;
	default: break;
	}
}

static void take_event(struct sim_client *c, const struct link_event *event)
{
	switch (event->type) {
	case LINK_EVENT_UP: c->ups++; break;
	case LINK_EVENT_DOWN: c->downs++; break;
	case LINK_EVENT_REFUSED: c->refusals++; break;
	case LINK_EVENT_BURNED:
		c->burns++;
		c->last_burn = *event;
		break;
	default: break;
	}
	if (event->type <= LINK_EVENT_REFUSED) {
		c->last_state = *event;
		all_channels_gone(c);
	}
	sim_client_save(c, event);
	if (event->type == LINK_EVENT_PEERS || event->type == LINK_EVENT_FOUND)
		c->last_answer = *event;
	if (c->config.app == NULL)
		take_channel_event(c, event);
	else if (c->app.event != NULL)
		c->app.event(c->app.state, c, event);
}

/* ---- work -------------------------------------------------------------------------------- */

static void drain(struct sim_client *c)
{
	uint8_t data[DATAGRAM_SIZE_MAX];
	struct view_out out = { .data = data, .capacity = sizeof(data) };
	struct packet packet;
	struct link_event event;
	unsigned count = 0;

	while (link_next_event(c->link, &event))
		take_event(c, &event);
	while (link_output(c->link, client_now(c), out, &packet)) {
		assert_true(++count < 1000);
		sim_send_up(c, &packet);
	}
	while (link_next_event(c->link, &event))
		take_event(c, &event);
}

static void wake_at(struct sim_client *c, uint64_t at_ns)
{
	/* Never twice at one moment: time must go on. */
	uint64_t soonest_ns = c->sim->now.mono_ns + NS_PER_MS / 10;
	if (at_ns < soonest_ns)
		at_ns = soonest_ns;
	if (at_ns >= c->wake_ns)
		return;
	c->wake_ns = at_ns;
	sim_schedule(c->sim,
		     &(struct sim_event){ .at_ns = at_ns, .kind = SIM_CLIENT_WAKE, .client = c });
}

void sim_client_wake(struct sim_client *c)
{
	if (c->link == NULL || c->is_asleep)
		return;
	drain(c);
	uint64_t at_ns = NEVER;
	c->wake_ns = NEVER;
	if (c->app.tick != NULL) {
		at_ns = c->app.tick(c->app.state, c, client_now(c));
		drain(c);
	}
	wake_at(c, earliest(at_ns, link_deadline(c->link)));
}

void sim_wake(struct sim_client *c)
{
	sim_client_wake(c);
}

void sim_client_receive(struct sim_client *c, struct sim_datagram *datagram)
{
	struct packet packet = { .data = datagram->data, .size = (uint32_t)datagram->size };
	uint32_t channel;
	struct view blob;

	if (c->link == NULL || c->is_asleep)
		return;
	c->datagrams_in++;
	packet.path.remote = datagram->from;
	bool is_blob = link_input(c->link, &packet, client_now(c), &channel, &blob);
	if (is_blob) {
		/* News of the channel first, if it came with an earlier packet. */
		struct link_event event;
		while (link_next_event(c->link, &event))
			take_event(c, &event);
		if (c->config.app == NULL)
			take_blob(c, channel, blob);
		else if (c->app.blob != NULL)
			c->app.blob(c->app.state, c, channel, blob);
	}
	sim_client_wake(c);
}

/* ---- for tests --------------------------------------------------------------------------- */

struct sim_client *sim_add_client(struct sim *sim, const struct sim_client_config *config)
{
	assert_true(sim->client_count < SIM_CLIENTS_MAX);
	struct sim_client *c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->sim = sim;
	c->index = sim->client_count;
	if (config != NULL)
		c->config = *config;
	if (c->config.app != NULL)
		c->app = *c->config.app;
	sim->clients[sim->client_count++] = c;

	struct random_source random =
		random_seeded_init(&c->seeded, sim->config.seed * 10007 + c->index + 1);
	sim_relay_client_config(sim, c->config.is_by_file, &c->link_config);
	c->link_config.random = random;
	x25519_generate(&c->link_config.hello.device, &random);
	ed25519_generate(&c->link_config.hello.identity, &random);
	if (c->config.same_device_as != NULL)
		c->link_config.hello = *c->config.same_device_as;
	peer_id_of(c->link_config.hello.identity.public, c->peer_id);
	device_id_of(c->link_config.hello.device.public, c->device_id);
	c->address = sim_new_address(sim);
	c->up = c->down = sim->config.quality;
	c->profile.has_file = true;
	c->link = link_create(&c->link_config, client_now(c));
	assert_non_null(c->link);
	sim_client_wake(c);
	return c;
}

void sim_restart_client(struct sim_client *c)
{
	link_destroy(c->link);
	all_channels_gone(c);
	sim_client_configure(c);
	c->link = link_create(&c->link_config, client_now(c));
	assert_non_null(c->link);
	c->wake_ns = NEVER;
	sim_client_wake(c);
}

void sim_sleep(struct sim_client *c, bool is_asleep)
{
	c->is_asleep = is_asleep;
	c->wake_ns = NEVER;
	sim_client_wake(c);
}

void sim_client_fini(struct sim_client *c)
{
	for (size_t i = 0; i < c->channel_count; i++)
		free(c->channels[i].seen);
	free(c->channels);
	link_destroy(c->link);
}

void sim_stop_client(struct sim_client *c)
{
	link_stop(c->link);
	drain(c);
	link_destroy(c->link);
	c->link = NULL;
	all_channels_gone(c);
}

bool sim_is_up(const struct sim_client *c)
{
	struct link_status status;
	if (c->link == NULL)
		return false;
	link_get_status(c->link, &status);
	return status.state == LINK_ESTABLISHED;
}

static bool are_all_up(void *state)
{
	const struct sim *sim = state;
	for (unsigned i = 0; i < sim->client_count; i++)
		if (sim->clients[i]->link != NULL && !sim_is_up(sim->clients[i]))
			return false;
	return true;
}

bool sim_run_until_all_up(struct sim *sim, uint64_t limit_ns)
{
	return sim_run_until(sim, are_all_up, sim, limit_ns);
}

bool sim_open(struct sim_client *c, struct sim_client *other)
{
	if (c->link == NULL)
		return false;
	uint32_t request = link_open(c->link, other->peer_id);
	if (request == 0)
		return false;
	sim_channel(c, other)->request = request;
	sim_client_wake(c);
	return true;
}

static bool is_joined(struct sim_client *a, struct sim_client *b)
{
	return sim_channel(a, b)->is_open && sim_channel(b, a)->is_open;
}

bool sim_connect(struct sim *sim, struct sim_client *a, struct sim_client *b)
{
	uint64_t end_ns = sim->now.mono_ns + 60 * NS_PER_S;
	while (sim->now.mono_ns < end_ns && !is_joined(a, b)) {
		bool is_ready = sim_is_up(a) && sim_is_up(b);
		if (is_ready && sim_channel(a, b)->request == 0 && !sim_open(a, b))
			return false;
		sim_run(sim, 10 * NS_PER_MS);
	}
	return is_joined(a, b);
}

bool sim_send(struct sim_client *from, uint32_t channel, struct view blob)
{
	uint8_t frame[DATAGRAM_SIZE_MAX];
	struct packet packet;

	if (from->link == NULL || blob.size > BLOB_SIZE_MAX)
		return false;
	memcpy(frame + LINK_HEADROOM, blob.data, blob.size);
	if (!link_send(from->link, channel, frame, blob.size, &packet))
		return false;
	sim_send_up(from, &packet);
	wake_at(from, link_deadline(from->link));
	return true;
}

bool sim_send_number(struct sim_client *from, struct sim_client *to, size_t size)
{
	struct sim_channel *channel = sim_channel(from, to);
	uint8_t blob[BLOB_SIZE_MAX] = { 0 };
	le32 sender = store_le32(from->index), sequence = store_le32(channel->sent);

	assert_in_range(size, NUMBER_SIZE, BLOB_SIZE_MAX);
	memcpy(blob, &sender, sizeof(sender));
	memcpy(blob + sizeof(sender), &sequence, sizeof(sequence));
	if (!channel->is_open || !sim_send(from, channel->number, view_of(blob, size)))
		return false;
	channel->sent++;
	return true;
}

struct sim_pair sim_connect_pair(const struct sim_quality *quality)
{
	struct sim_pair p = { .sim = sim_create(NULL) };
	if (quality != NULL)
		sim_set_quality_of_all(p.sim, quality);
	p.alice = sim_add_client(p.sim, NULL);
	p.bob = sim_add_client(p.sim, NULL);
	assert_true(sim_connect(p.sim, p.alice, p.bob));
	return p;
}
