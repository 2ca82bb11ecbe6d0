/* The virtual relay: table, channels, keeper, and workers that take datagrams at random. */
#include "tests/support/sim_internal.h"

static struct sim *sim_of(void *state)
{
	return state;
}

/* ---- the keeper's hooks ------------------------------------------------------------------ */

static struct sim_client *client_of_device(struct sim *sim, const uint8_t device[DEVICE_ID_SIZE])
{
	for (unsigned i = 0; i < sim->client_count; i++)
		if (memcmp(sim->clients[i]->device_id, device, DEVICE_ID_SIZE) == 0)
			return sim->clients[i];
	return NULL;
}

static bool find_credential(void *state, const struct hello_request *request, uint64_t wall_ns,
			    struct credential *out)
{
	struct sim *sim = sim_of(state);
	uint8_t device[DEVICE_ID_SIZE];

	(void)wall_ns;
	device_id_of(request->device_public, device);
	const struct sim_client *c = client_of_device(sim, device);
	if (sim_is_muted(c))
		return false;
	if (sim_is_revoked(sim, c, out))
		return true;
	if (request->payload.credential == CREDENTIAL_DEVICE)
		return sim_find_device(sim, c, out);
	if (memcmp(request->payload.id, sim->relay.file_id, FILE_ID_SIZE) != 0)
		return false;
	*out = (struct credential){ .status = STATUS_OK };
	memcpy(out->psk, sim->relay.psk, KEY_SIZE);
	memcpy(out->file_id, sim->relay.file_id, FILE_ID_SIZE);
	out->last_timestamp_ns = c != NULL ? c->last_timestamp_ns : 0;
	out->may_enrol = sim->config.enrols > 0;
	if (out->may_enrol && sim->relay.enrolled >= sim->config.enrols &&
	    (c == NULL || !c->is_enrolled))
		out->status = STATUS_SPENT;
	return true;
}

static bool send(void *state, const struct packet *packet)
{
	sim_send_down(sim_of(state), packet);
	return true;
}

static void forget(void *state, struct session_id session)
{
	struct sim *sim = sim_of(state);
	for (unsigned i = 0; i < sim->config.workers; i++)
		forward_forget(sim->relay.workers[i].forward, session);
}

/* Workers run between the keeper's turns only: none holds anything now. */
static void quiesce(void *state)
{
	(void)state;
}

static void event(void *state, const struct keeper_event *event)
{
	struct sim_client *c = client_of_device(sim_of(state), event->device);
	if (event->type == KEEPER_ENROL)
		sim_relay_note_enrolment(c, event);
	if (event->type == KEEPER_BURN)
		sim_relay_note_burn(c, event);
	if (event->type == KEEPER_SESSION_UP && c != NULL)
		c->last_timestamp_ns = event->timestamp_ns;
}

/* ---- life -------------------------------------------------------------------------------- */

void sim_relay_init(struct sim *sim)
{
	struct sim_relay *r = &sim->relay;
	r->random = random_seeded_init(&r->seeded, sim->config.seed ^ UINT64_C(0x72656c6179));
	random_fill(&r->random, r->server.server_id, SERVER_ID_SIZE);
	x25519_generate(&r->server.static_key, &r->random);
	random_fill(&r->random, r->psk, KEY_SIZE);
	random_fill(&r->random, r->file_id, FILE_ID_SIZE);
	r->schedule = (struct schedule){ .interval_s = PORT_INTERVAL_S,
					 .port_first = PORT_FIRST_DEFAULT,
					 .port_last = PORT_LAST_DEFAULT };
	random_fill(&r->random, r->schedule.secret, KEY_SIZE);
	r->hellos.ring = calloc(SIM_KEEPER_QUEUE, sizeof(*r->hellos.ring));
	r->frames.ring = calloc(SIM_KEEPER_QUEUE, sizeof(*r->frames.ring));
	r->workers = aligned_alloc(64, sim->config.workers * sizeof(*r->workers));
	assert_non_null(r->hellos.ring);
	assert_non_null(r->frames.ring);
	assert_non_null(r->workers);
	memset(r->workers, 0, sim->config.workers * sizeof(*r->workers));
	r->wake_ns = NEVER;
}

void sim_relay_fini(struct sim *sim)
{
	free(sim->relay.hellos.ring);
	free(sim->relay.frames.ring);
	free(sim->relay.workers);
}

static void start_keeper(struct sim *sim)
{
	struct sim_relay *r = &sim->relay;
	struct keeper_config config = {
		.table = r->table,
		.channels = r->channels,
		.cipher = packet_cipher_best(),
		.server = r->server,
		.hooks = { .state = sim,
			   .find_credential = find_credential,
			   .send = send,
			   .forget = forget,
			   .quiesce = quiesce,
			   .event = event },
		.random = r->random,
		.idle_timeout_ns = sim->config.idle_timeout_ns,
		.keepalive_s = sim->config.keepalive_s,
		.handshake_rate_per_s = HANDSHAKE_RATE_PER_S,
		.handshake_burst = HANDSHAKE_BURST,
	};
	r->keeper = keeper_create(&config);
	assert_non_null(r->keeper);
	sim_relay_start_enrolment(sim);
}

static void wake_at(struct sim *sim, uint64_t at_ns)
{
	if (at_ns < sim->now.mono_ns)
		at_ns = sim->now.mono_ns;
	if (at_ns >= sim->relay.wake_ns)
		return;
	sim->relay.wake_ns = at_ns;
	sim_schedule(sim, &(struct sim_event){ .at_ns = at_ns, .kind = SIM_RELAY_WAKE });
}

void sim_relay_start(struct sim *sim)
{
	struct sim_relay *r = &sim->relay;
	assert_false(r->is_running);
	struct table_config table = { .slots = sim->config.sessions,
				      .entry_size = keeper_entry_size() };
	r->table = table_create(&table);
	r->channels = channels_create(sim->config.channels);
	assert_non_null(r->table);
	assert_non_null(r->channels);
	struct forward_config config = { .table = r->table,
					 .channels = r->channels,
					 .cipher = packet_cipher_best(),
					 .key_cache_entries = 1024,
					 .batch_max = SIM_BATCH };
	for (unsigned i = 0; i < sim->config.workers; i++) {
		r->workers[i].forward = forward_create(&config);
		assert_non_null(r->workers[i].forward);
	}
	start_keeper(sim);
	r->is_running = true;
	sim_doors_tick(sim);
	wake_at(sim, sim->now.mono_ns);
}

static void keep_verdicts(struct sim *sim)
{
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		sim->relay.verdicts_before[v] = sim_verdicts(sim, v);
}

void sim_relay_stop(struct sim *sim)
{
	struct sim_relay *r = &sim->relay;
	if (!r->is_running)
		return;
	keep_verdicts(sim);
	sim_doors_close_all(sim);
	r->is_running = false;
	r->wake_ns = NEVER;
	for (unsigned i = 0; i < sim->config.workers; i++) {
		struct sim_worker *w = &r->workers[i];
		for (; w->count > 0; w->count--, w->first++)
			free(w->waiting[w->first % SIM_QUEUE]);
		forward_destroy(w->forward);
	}
	r->hellos.count = r->frames.count = 0;
	keeper_destroy(r->keeper);
	channels_destroy(r->channels);
	table_destroy(r->table);
}

/* The file's only door; an enrolled device computes doors by itself. */
static void give_door(struct sim *sim, struct link_config *out)
{
	const struct schedule *s = &sim->relay.schedule;
	uint64_t generation = schedule_generation(s, sim->now.wall_ns);
	struct link_door *door = &out->doors[0];
	door->generation = generation;
	door->port = schedule_port(s, generation, 0);
	door->from_ns = schedule_begin_ns(s, generation);
	door->until_ns = schedule_begin_ns(s, generation + 1);
	schedule_door_key(s, generation, door->key);
	out->door_count = 1;
}

void sim_relay_client_config(struct sim *sim, bool is_by_file, struct link_config *out)
{
	const struct sim_relay *r = &sim->relay;
	out->hello.credential = CREDENTIAL_FILE;
	memcpy(out->hello.id, r->file_id, FILE_ID_SIZE);
	memcpy(out->hello.psk, r->psk, KEY_SIZE);
	memcpy(out->hello.server_id, r->server.server_id, SERVER_ID_SIZE);
	memcpy(out->hello.server_public, r->server.static_key.public, X25519_SIZE);
	out->addresses[0] = address_v4(192, 0, 2, 1, 0);
	out->has_schedule = !is_by_file;
	out->schedule = r->schedule;
	out->cipher = packet_cipher_best();
	if (is_by_file)
		give_door(sim, out);
}

/* ---- datagrams --------------------------------------------------------------------------- */

void sim_relay_receive(struct sim *sim, struct sim_datagram *datagram, uint64_t door)
{
	struct sim_relay *r = &sim->relay;
	struct sim_worker *w = &r->workers[random_below(&sim->random, sim->config.workers)];
	if (!r->is_running || w->count == SIM_QUEUE || datagram->size > SIM_FRAME_SIZE) {
		free(datagram);
		return;
	}
	datagram->door = door;
	w->waiting[(w->first + w->count++) % SIM_QUEUE] = datagram;
	/* Whole milliseconds: what comes within one is worked on as one batch. */
	wake_at(sim, (sim->now.mono_ns / NS_PER_MS + 1) * NS_PER_MS);
}

static void pass_upcall(struct sim_upcalls *q, const struct upcall *upcall)
{
	if (q->count == SIM_KEEPER_QUEUE)
		return;
	struct sim_upcall *item = &q->ring[(q->first + q->count++) % SIM_KEEPER_QUEUE];
	item->upcall = *upcall;
	assert_true(upcall->body.size <= sizeof(item->body));
	if (upcall->body.size > 0)
		memcpy(item->body, upcall->body.data, upcall->body.size);
	item->upcall.body.data = item->body;
}

static size_t take_batch(struct sim *sim, struct sim_worker *w, struct packet packets[SIM_BATCH])
{
	struct address local = sim_relay_address(sim);
	size_t count = 0;
	while (w->count > 0 && count < SIM_BATCH) {
		struct sim_datagram *d = w->waiting[w->first++ % SIM_QUEUE];
		w->count--;
		struct packet *p = &packets[count];
		*p = (struct packet){ .data = w->frames[count], .size = (uint32_t)d->size };
		memcpy(p->data, d->data, d->size);
		p->path.remote = d->from;
		memcpy(p->path.local_ip, local.ip, sizeof(local.ip));
		p->path.door = d->door;
		free(d);
		count++;
	}
	return count;
}

static void run_worker(struct sim *sim, struct sim_worker *w)
{
	struct packet packets[SIM_BATCH];
	struct forward_result result;
	size_t count;

	while ((count = take_batch(sim, w, packets)) > 0) {
		forward_batch(w->forward, packets, count, sim->now, &result);
		for (size_t i = 0; i < result.send_count; i++)
			sim_send_down(sim, &result.send[i]);
		for (size_t i = 0; i < result.upcall_count; i++)
			pass_upcall(result.upcalls[i].kind == UPCALL_HELLO ? &sim->relay.hellos :
									     &sim->relay.frames,
				    &result.upcalls[i]);
	}
}

static void run_keeper(struct sim *sim, struct sim_upcalls *q, unsigned most)
{
	for (unsigned done = 0; q->count > 0 && done < most; done++) {
		const struct sim_upcall *item = &q->ring[q->first++ % SIM_KEEPER_QUEUE];
		q->count--;
		keeper_upcall(sim->relay.keeper, &item->upcall, (uint32_t)q->count, sim->now);
	}
}

void sim_relay_wake(struct sim *sim)
{
	struct sim_relay *r = &sim->relay;
	r->wake_ns = NEVER;
	if (!r->is_running)
		return;
	for (unsigned i = 0; i < sim->config.workers; i++)
		run_worker(sim, &r->workers[i]);
	run_keeper(sim, &r->frames, UINT32_MAX);
	run_keeper(sim, &r->hellos, sim->config.hellos_per_ms);
	sim_relay_end_enrolments(sim);
	sim_relay_end_burns(sim);
	sim_doors_tick(sim);
	uint64_t deadline_ns = earliest(keeper_tick(r->keeper, sim->now), sim_doors_deadline(sim));
	uint64_t soonest_ns = sim->now.mono_ns + NS_PER_MS;
	if (r->hellos.count > 0 || deadline_ns < soonest_ns)
		deadline_ns = soonest_ns;
	if (deadline_ns != NEVER)
		wake_at(sim, deadline_ns);
}

/* ---- looks ------------------------------------------------------------------------------- */

struct keeper *sim_keeper(struct sim *sim)
{
	assert_true(sim->relay.is_running);
	return sim->relay.keeper;
}

uint32_t sim_session_count(const struct sim *sim)
{
	return sim->relay.is_running ? table_count(sim->relay.table) : 0;
}

uint64_t sim_verdicts(const struct sim *sim, enum verdict verdict)
{
	const struct sim_relay *r = &sim->relay;
	uint64_t sum = r->verdicts_before[verdict];
	if (!r->is_running)
		return sum;
	for (unsigned i = 0; i < sim->config.workers; i++)
		sum += load_relaxed(&forward_counters(r->workers[i].forward)->of[verdict]);
	return sum + load_relaxed(&keeper_counters(r->keeper)->of[verdict]);
}

bool sim_find_session(struct sim *sim, const struct sim_client *c, struct keeper_session *out)
{
	uint32_t cursor = 0;
	while (keeper_next_session(sim_keeper(sim), &cursor, out))
		if (memcmp(out->device, c->device_id, DEVICE_ID_SIZE) == 0 && out->is_established)
			return true;
	return false;
}
