/* Enrolment: what the profile keeps for the link, from a file's secret to the device's own. */
#include "client/client.h"

/* ---- the link's configuration ------------------------------------------------------------ */

static struct link_credential file_credential(const struct security_file *relay)
{
	struct link_credential out = { .kind = CREDENTIAL_FILE };
	memcpy(out.id, relay->file_id, FILE_ID_SIZE);
	memcpy(out.psk, relay->shared_secret, KEY_SIZE);
	return out;
}

static struct link_credential device_credential(const struct profile *p,
						const uint8_t psk[KEY_SIZE])
{
	struct link_credential out = { .kind = CREDENTIAL_DEVICE };
	device_id_of(p->device.public, out.id);
	memcpy(out.psk, psk, KEY_SIZE);
	return out;
}

void enrolment_configure(const struct clawchat *c, struct link_config *config)
{
	const struct profile *p = &c->profile;
	const struct enrolment *e = &p->enrolment;
	struct link_credential first = file_credential(&p->relay);
	config->has_clock_offset = p->clock.is_known;
	config->clock_offset_ns = p->clock.offset_ns;
	config->last_timestamp_ns = p->clock.last_hello_ns;
	if (e->state != ENROLMENT_NONE) {
		if (e->state == ENROLMENT_PENDING && e->has_before)
			config->others[config->other_count++] = device_credential(p, e->psk_before);
		if (e->state == ENROLMENT_PENDING)
			config->others[config->other_count++] = first;
		first = device_credential(p, e->psk);
	}
	config->hello.credential = first.kind;
	memcpy(config->hello.id, first.id, sizeof(first.id));
	memcpy(config->hello.psk, first.psk, sizeof(first.psk));
	bytes_wipe(&first, sizeof(first));
	/* It was sound when it was saved, and when it was read. */
	if (e->has_schedule && !link_config_schedule(config, &e->schedule))
		config->has_schedule = false;
}

/* ---- events ------------------------------------------------------------------------------ */

static bool save(struct clawchat *c)
{
	struct clawchat_error error;
	if (c->is_burning || c->is_erased)
		return false; /* nothing is written any more */
	enum clawchat_result result = profile_save_relay(&c->profile, &error);
	if (result != CLAWCHAT_OK)
		events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_DISCONNECTED,
							.result = result,
							.text = error.text });
	return result == CLAWCHAT_OK;
}

/* On the disk first; the file's secret stays beside it until the relay has said that it is done. */
static void take_offer(struct clawchat *c, const struct link_event *event)
{
	struct enrolment *e = &c->profile.enrolment;
	struct enrolment before = *e;
	e->has_before = e->state != ENROLMENT_NONE;
	if (e->has_before)
		memcpy(e->psk_before, before.psk, KEY_SIZE);
	e->state = ENROLMENT_PENDING;
	memcpy(e->psk, event->psk, KEY_SIZE);
	e->has_schedule = true;
	e->schedule = event->schedule;
	c->wants_confirm = save(c);
	if (!c->wants_confirm)
		*e = before; /* asked again with the next connection */
	bytes_wipe(&before, sizeof(before));
}

static void take_enrolled(struct clawchat *c, const struct link_event *event)
{
	struct enrolment *e = &c->profile.enrolment;
	e->state = ENROLMENT_DONE;
	memcpy(e->psk, event->psk, KEY_SIZE);
	e->has_before = false;
	bytes_wipe(e->psk_before, sizeof(e->psk_before));
	bytes_wipe(c->profile.relay.shared_secret, sizeof(c->profile.relay.shared_secret));
	c->wants_confirm = false;
	(void)save(c); /* where it failed, both are tried again */
}

static void take_schedule(struct clawchat *c, const struct link_event *event)
{
	struct enrolment *e = &c->profile.enrolment;
	if (e->state == ENROLMENT_NONE)
		return;
	e->has_schedule = true;
	e->schedule = event->schedule;
	(void)save(c);
}

/* Kept for the next run; the oldest gives way. */
static void take_door(struct clawchat *c, const struct link_door *door)
{
	struct security_file *relay = &c->profile.relay;
	size_t at = 0;
	while (at < relay->door_count && relay->doors[at].generation != door->generation)
		at++;
	if (at == relay->door_count && at >= LINK_DOORS_MAX) {
		size_t keep = LINK_DOORS_MAX - 1;
		memmove(&relay->doors[0], &relay->doors[at - keep], keep * sizeof(relay->doors[0]));
		relay->door_count = at = keep;
	}
	struct security_file_door *kept = &relay->doors[at];
	kept->generation = door->generation;
	kept->port = door->port;
	kept->from_s = door->from_ns / NS_PER_S;
	kept->until_s = door->until_ns / NS_PER_S + relay->grace_period_s;
	memcpy(kept->key, door->key, KEY_SIZE);
	if (at == relay->door_count)
		relay->door_count++;
	(void)save(c);
}

bool enrolment_link_event(struct clawchat *c, const struct link_event *event)
{
	switch (event->type) {
	case LINK_EVENT_ENROL: take_offer(c, event); return true;
	case LINK_EVENT_ENROLLED: take_enrolled(c, event); return true;
	case LINK_EVENT_SCHEDULE: take_schedule(c, event); return true;
	case LINK_EVENT_DOOR: take_door(c, &event->door); return true;
	default: return false;
	}
}

void enrolment_link_up(struct clawchat *c)
{
	struct link_status status;
	link_get_status(c->link, &status);
	c->wants_confirm = false;
	c->profile.clock = (struct relay_clock){
		.is_known = true,
		.offset_ns = status.clock_offset_ns,
		.last_hello_ns = status.last_timestamp_ns,
	};
	(void)save(c);
}

void enrolment_advance(struct clawchat *c)
{
	if (c->wants_confirm && link_confirm_enrolment(c->link))
		c->wants_confirm = false;
}

/* ---- what to do about silence ------------------------------------------------------------ */

static uint64_t last_door_until_s(const struct security_file *relay)
{
	uint64_t last_s = 0;
	for (size_t i = 0; i < relay->door_count; i++)
		if (relay->doors[i].until_s > last_s)
			last_s = relay->doors[i].until_s;
	return last_s;
}

const char *enrolment_hint(const struct clawchat *c)
{
	const struct profile *p = &c->profile;
	const struct enrolment *e = &p->enrolment;
	int64_t offset_ns = p->clock.is_known ? p->clock.offset_ns : 0;
	uint64_t now_s = (c->now.wall_ns + (uint64_t)offset_ns) / NS_PER_S;
	bool is_lost = last_door_until_s(&p->relay) < now_s;
	if (e->has_schedule && e->schedule.mode == PORT_MODE_RANDOM && is_lost)
		return "the relay's ports are random, and this device was away for too long to "
		       "know the present one: load a new security file";
	if (!e->has_schedule && is_lost)
		return "the doors of the security file have closed: load a new one";
	if (e->state == ENROLMENT_DONE)
		return "if the relay was restored from an old copy, it may have forgotten this "
		       "device: load a new security file";
	return "";
}
