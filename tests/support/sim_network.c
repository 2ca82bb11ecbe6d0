/* The virtual network's paths. */
#include "tests/support/sim_internal.h"

/* Every client is a network of its own: the relay limits handshakes by prefix. */
struct address sim_new_address(struct sim *sim)
{
	uint32_t host = ++sim->next_host;
	return address_v4(10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host,
			  (uint16_t)(20000 + host % 20000));
}

static struct sim_datagram *make(const struct address *from, const struct address *to,
				 struct view data)
{
	struct sim_datagram *d = malloc(sizeof(*d) + data.size);
	assert_non_null(d);
	d->from = *from;
	d->to = *to;
	d->size = data.size;
	if (data.size > 0)
		memcpy(d->data, data.data, data.size);
	return d;
}

static bool draw(struct sim *sim, unsigned percent)
{
	return percent > 0 && random_below(&sim->random, 100) < percent;
}

static uint64_t draw_delay(struct sim *sim, const struct sim_quality *q)
{
	uint64_t delay_ns = q->delay_ns;
	if (q->jitter_ns > 0)
		delay_ns += random_below(&sim->random, (uint32_t)(q->jitter_ns / NS_PER_US) + 1) *
			    NS_PER_US;
	return draw(sim, q->late_percent) ? delay_ns + q->late_ns : delay_ns;
}

static void launch(struct sim *sim, const struct sim_quality *q, struct sim_datagram *datagram)
{
	unsigned copies = 1 + draw(sim, q->copy_percent);
	for (unsigned i = 0; i < copies; i++) {
		struct view data = view_of(datagram->data, datagram->size);
		struct sim_event event = {
			.at_ns = sim->now.mono_ns + draw_delay(sim, q),
			.kind = SIM_ARRIVAL,
			.datagram = make(&datagram->from, &datagram->to, data),
		};
		sim_schedule(sim, &event);
	}
	free(datagram);
}

void sim_send_up(struct sim_client *c, const struct packet *packet)
{
	struct sim *sim = c->sim;
	struct view data = view_of(packet->data, packet->size);
	assert_true(packet->size <= DATAGRAM_SIZE_MAX);
	c->datagrams_out++;
	if (sim->tap != NULL)
		sim->tap(sim->tap_state, &c->address, &packet->path.remote, data);
	if (!c->is_cut && !draw(sim, c->up.loss_percent))
		launch(sim, &c->up, make(&c->address, &packet->path.remote, data));
}

static struct sim_client *client_at(struct sim *sim, const struct address *address)
{
	for (unsigned i = 0; i < sim->client_count; i++)
		if (address_equal(&sim->clients[i]->address, address))
			return sim->clients[i];
	return NULL;
}

static void count_watched(struct sim *sim, const struct packet *packet)
{
	for (size_t i = 0; i < sim->watch_count; i++)
		if (address_equal(&sim->watches[i].address, &packet->path.remote))
			sim->watches[i].bytes += packet->size;
}

void sim_send_down(struct sim *sim, const struct packet *packet)
{
	struct address from = sim_door_address(sim, packet->path.door);
	struct view data = view_of(packet->data, packet->size);
	assert_true(packet->size <= DATAGRAM_SIZE_MAX);
	if (sim->tap != NULL)
		sim->tap(sim->tap_state, &from, &packet->path.remote, data);
	count_watched(sim, packet);
	const struct sim_client *c = client_at(sim, &packet->path.remote);
	if (c != NULL && !c->is_cut && !draw(sim, c->down.loss_percent))
		launch(sim, &c->down, make(&from, &packet->path.remote, data));
}

void sim_arrive(struct sim *sim, struct sim_datagram *datagram)
{
	const struct sim_door *door = sim_door_at(sim, &datagram->to);
	if (door != NULL) {
		sim_relay_receive(sim, datagram, door->generation);
		return;
	}
	struct sim_client *c = client_at(sim, &datagram->to);
	if (c != NULL && !c->is_cut)
		sim_client_receive(c, datagram);
	free(datagram);
}

void sim_inject(struct sim *sim, const struct address *from, const struct address *to,
		struct view data)
{
	sim_arrive(sim, make(from, to, data));
}

void sim_set_quality(struct sim *sim, struct sim_client *c, const struct sim_quality *quality)
{
	(void)sim;
	c->up = c->down = *quality;
}

void sim_set_quality_of_all(struct sim *sim, const struct sim_quality *quality)
{
	sim->config.quality = *quality;
	for (unsigned i = 0; i < sim->client_count; i++)
		sim_set_quality(sim, sim->clients[i], quality);
}

void sim_cut(struct sim_client *c, bool is_cut)
{
	c->is_cut = is_cut;
}

void sim_rebind(struct sim_client *c)
{
	c->address = sim_new_address(c->sim);
}

void sim_set_tap(struct sim *sim, sim_tap *tap, void *state)
{
	sim->tap = tap;
	sim->tap_state = state;
}

void sim_watch(struct sim *sim, const struct address *address)
{
	assert_true(sim->watch_count < SIM_WATCHES_MAX);
	sim->watches[sim->watch_count++] = (struct sim_watch){ .address = *address };
}

uint64_t sim_watched_bytes(const struct sim *sim, const struct address *address)
{
	for (size_t i = 0; i < sim->watch_count; i++)
		if (address_equal(&sim->watches[i].address, address))
			return sim->watches[i].bytes;
	fail_msg("not watched");
	return 0;
}
