/* Enrolment over the virtual network: what relay and clients keep on their disks. */
#include "tests/support/sim_internal.h"

void sim_set_port_draw(struct sim *sim, unsigned draw)
{
	sim->relay.port_draw = draw;
}

void sim_set_enrol_hook(struct sim *sim,
			bool (*stops)(void *state, struct sim_client *c, enum sim_enrol_step step),
			void *state)
{
	sim->enrol_stops = stops;
	sim->enrol_state = state;
}

bool sim_enrol_stops(struct sim_client *c, enum sim_enrol_step step)
{
	struct sim *sim = c->sim;
	return sim->enrol_stops != NULL && sim->enrol_stops(sim->enrol_state, c, step);
}

/* ---- relay ------------------------------------------------------------------------------- */

void sim_forget_device(struct sim_client *c)
{
	c->is_enrolled = false;
}

bool sim_find_device(struct sim *sim, const struct sim_client *c, struct credential *out)
{
	if (c == NULL || !c->is_enrolled)
		return false;
	*out = (struct credential){ .last_timestamp_ns = c->last_timestamp_ns };
	memcpy(out->psk, c->psk, KEY_SIZE);
	memcpy(out->file_id, sim->relay.file_id, FILE_ID_SIZE);
	return true;
}

void sim_relay_start_enrolment(struct sim *sim)
{
	const struct schedule *s = &sim->relay.schedule;
	struct wire_schedule schedule = {
		.interval_s = store_le32(s->interval_s),
		.port_first = store_le16(s->port_first),
		.port_last = store_le16(s->port_last),
		.grace_s = store_le32(PORT_GRACE_S),
		.notice_s = store_le32(PORT_NOTICE_S),
	};
	memcpy(schedule.secret, s->secret, KEY_SIZE);
	if (sim->config.enrols > 0)
		keeper_set_schedule(sim->relay.keeper, &schedule, sim->now);
}

/* In the middle of the keeper's work: answered later, as by another thread. */
void sim_relay_note_enrolment(struct sim_client *c, const struct keeper_event *event)
{
	assert_non_null(c);
	c->enrolling = event->session;
	memcpy(c->enrolling_psk, event->psk, KEY_SIZE);
}

static void end_enrolment(struct sim *sim, struct sim_client *c)
{
	struct session_id session = c->enrolling;
	enum wire_reason reason = REASON_NONE;

	c->enrolling = (struct session_id){ 0 };
	if (sim_enrol_stops(c, SIM_ENROL_CONFIRMED))
		return;
	if (!c->is_enrolled && sim->relay.enrolled == sim->config.enrols)
		reason = REASON_SPENT;
	if (reason == REASON_NONE) {
		sim->relay.enrolled += !c->is_enrolled;
		c->is_enrolled = true;
		memcpy(c->psk, c->enrolling_psk, KEY_SIZE);
	}
	if (!sim_enrol_stops(c, SIM_ENROL_SAVED))
		keeper_enrolled(sim->relay.keeper, session, reason, sim->now);
}

void sim_relay_end_enrolments(struct sim *sim)
{
	for (unsigned i = 0; i < sim->client_count; i++)
		if (sim->clients[i]->enrolling.generation != 0)
			end_enrolment(sim, sim->clients[i]);
}

/* ---- client ------------------------------------------------------------------------------ */

static void keep_offer(struct sim_client *c, const struct link_event *event)
{
	struct sim_profile *p = &c->profile;
	if (sim_enrol_stops(c, SIM_ENROL_OFFERED))
		return;
	p->has_before = p->has_psk;
	memcpy(p->before, p->psk, KEY_SIZE);
	p->has_psk = true;
	memcpy(p->psk, event->psk, KEY_SIZE);
	p->has_schedule = true;
	p->schedule = event->schedule;
	if (!sim_enrol_stops(c, SIM_ENROL_KEPT))
		assert_true(link_confirm_enrolment(c->link));
}

static void keep_clock(struct sim_client *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	c->profile.has_clock = status.is_clock_known;
	c->profile.clock_offset_ns = status.clock_offset_ns;
	c->profile.last_timestamp_ns = status.last_timestamp_ns;
}

void sim_client_save(struct sim_client *c, const struct link_event *event)
{
	struct sim_profile *p = &c->profile;
	switch (event->type) {
	case LINK_EVENT_UP: keep_clock(c); break;
	case LINK_EVENT_ENROL: keep_offer(c, event); break;
	case LINK_EVENT_ENROLLED:
		if (sim_enrol_stops(c, SIM_ENROL_DONE))
			break;
		p->has_file = p->has_before = false;
		memcpy(p->psk, event->psk, KEY_SIZE);
		break;
	case LINK_EVENT_SCHEDULE:
		p->has_schedule = true;
		p->schedule = event->schedule;
		break;
	default: break;
	}
}

static struct link_credential device_credential(const struct sim_client *c,
						const uint8_t psk[KEY_SIZE])
{
	struct link_credential out = { .kind = CREDENTIAL_DEVICE };
	memcpy(out.id, c->device_id, DEVICE_ID_SIZE);
	memcpy(out.psk, psk, KEY_SIZE);
	return out;
}

void sim_client_configure(struct sim_client *c)
{
	struct link_config *config = &c->link_config;
	const struct sim_profile *p = &c->profile;
	struct link_credential list[LINK_CREDENTIALS_MAX] = { 0 };
	size_t count = 0;

	if (p->has_psk)
		list[count++] = device_credential(c, p->psk);
	if (p->has_before)
		list[count++] = device_credential(c, p->before);
	if (p->has_file) {
		list[count].kind = CREDENTIAL_FILE;
		memcpy(list[count].id, c->sim->relay.file_id, FILE_ID_SIZE);
		memcpy(list[count++].psk, c->sim->relay.psk, KEY_SIZE);
	}
	config->hello.credential = list[0].kind;
	memcpy(config->hello.id, list[0].id, FILE_ID_SIZE);
	memcpy(config->hello.psk, list[0].psk, KEY_SIZE);
	memcpy(config->others, &list[1], sizeof(config->others));
	config->other_count = count - 1;
	config->has_clock_offset = p->has_clock;
	config->clock_offset_ns = p->clock_offset_ns;
	config->last_timestamp_ns = p->last_timestamp_ns;
	if (p->has_schedule)
		assert_true(link_config_schedule(config, &p->schedule));
}
