/* Credentials of a link, and how a file gives way to the device's own. */
#include "core/link_internal.h"

#include <assert.h>

/* ---- credentials ------------------------------------------------------------------------- */

void link_credentials_init(struct link *l)
{
	const struct link_config *config = &l->config;
	assert(config->other_count < LINK_CREDENTIALS_MAX);
	struct link_credential *first = &l->credentials[0];
	first->kind = config->hello.credential;
	memcpy(first->id, config->hello.id, sizeof(first->id));
	memcpy(first->psk, config->hello.psk, sizeof(first->psk));
	for (size_t i = 0; i < config->other_count; i++)
		l->credentials[1 + i] = config->others[i];
	l->credential_count = 1 + config->other_count;
	bytes_wipe(l->config.others, sizeof(l->config.others));
}

static bool is_same(const struct link_credential *a, const struct link_credential *b)
{
	return a->kind == b->kind && bytes_equal(a->id, b->id, sizeof(a->id)) &&
	       bytes_equal(a->psk, b->psk, sizeof(a->psk));
}

bool link_is_file_beside_device(const struct link *l, const struct link_credential *file)
{
	return file->kind == CREDENTIAL_FILE && l->credential_count > 1;
}

/* This one is good: the others go. */
static void keep_only(struct link *l, const struct link_credential *credential)
{
	struct link_credential kept = *credential;
	bytes_wipe(l->credentials, sizeof(l->credentials));
	l->credentials[0] = kept;
	l->credential_count = 1;
	bytes_wipe(&kept, sizeof(kept));
}

void link_credential_proved(struct link *l)
{
	if (l->credential.kind != CREDENTIAL_DEVICE || l->credential_count == 1)
		return;
	keep_only(l, &l->credential);
	memcpy(link_push_state(l, LINK_EVENT_ENROLLED)->psk, l->credential.psk, KEY_SIZE);
}

/* ---- schedule ---------------------------------------------------------------------------- */

bool link_config_schedule(struct link_config *config, const struct wire_schedule *schedule)
{
	struct schedule read;
	bool is_sound = schedule_read(schedule, &read);
	if (is_sound) {
		config->has_schedule = true;
		config->schedule = read;
		config->port_mode = (enum wire_port_mode)schedule->mode;
		config->notice_s = load_le32(schedule->notice_s);
		config->grace_s = load_le32(schedule->grace_s);
	}
	bytes_wipe(&read, sizeof(read));
	return is_sound;
}

static bool is_schedule_known(const struct link *l, const struct wire_schedule *schedule)
{
	const struct link_config *config = &l->config;
	struct link_config told = { 0 };
	bool is_known = config->has_schedule && link_config_schedule(&told, schedule) &&
			bytes_equal(config->schedule.secret, told.schedule.secret, KEY_SIZE) &&
			config->schedule.interval_s == told.schedule.interval_s &&
			config->schedule.port_first == told.schedule.port_first &&
			config->schedule.port_last == told.schedule.port_last &&
			config->port_mode == told.port_mode && config->notice_s == told.notice_s &&
			config->grace_s == told.grace_s;
	bytes_wipe(&told, sizeof(told));
	return is_known;
}

/* False: not sound. */
static bool adopt_schedule(struct link *l, const struct wire_schedule *schedule)
{
	bool is_other = l->config.has_schedule &&
			!bytes_equal(l->config.schedule.secret, schedule->secret, KEY_SIZE);
	if (!link_config_schedule(&l->config, schedule))
		return false;
	if (is_other)
		link_forget_doors(l);
	return true;
}

void link_take_schedule(struct link *l, const struct wire_schedule *schedule)
{
	if (is_schedule_known(l, schedule) || !adopt_schedule(l, schedule))
		return;
	link_push(l, LINK_EVENT_SCHEDULE)->schedule = *schedule;
}

/* ---- enrolment --------------------------------------------------------------------------- */

void link_enrolment_start(struct link *l, const struct noise_result *keys)
{
	if (l->credential.kind == CREDENTIAL_FILE)
		device_psk_of(keys, l->enrolment.psk);
}

void link_enrolment_end(struct link *l)
{
	bytes_wipe(&l->enrolment, sizeof(l->enrolment));
	if (l->is_schedule_new)
		link_forget_gates(l);
	l->is_schedule_new = false;
}

void link_take_enrol_offer(struct link *l, const struct wire_schedule *schedule)
{
	struct schedule read;
	bool is_sound = schedule_read(schedule, &read);
	bytes_wipe(&read, sizeof(read));
	if (l->credential.kind != CREDENTIAL_FILE || !is_sound)
		return;
	l->enrolment.is_offered = true;
	l->enrolment.schedule = *schedule;
	struct link_event *event = link_push(l, LINK_EVENT_ENROL);
	event->schedule = *schedule;
	memcpy(event->psk, l->enrolment.psk, KEY_SIZE);
}

/* The new PSK, the newest before it that the relay may have kept, the file. */
static void add_device(struct link *l)
{
	struct link_credential next[LINK_CREDENTIALS_MAX] = { { .kind = CREDENTIAL_DEVICE } };
	size_t count = 1;
	device_id_of(l->config.hello.device.public, next[0].id);
	memcpy(next[0].psk, l->enrolment.psk, KEY_SIZE);
	for (size_t i = 0; i < l->credential_count && count < LINK_CREDENTIALS_MAX - 1; i++)
		if (l->credentials[i].kind == CREDENTIAL_DEVICE &&
		    !is_same(&l->credentials[i], &next[0]))
			next[count++] = l->credentials[i];
	next[count++] = l->credential;
	memcpy(l->credentials, next, sizeof(next));
	l->credential_count = count;
	bytes_wipe(next, sizeof(next));
}

bool link_confirm_enrolment(struct link *l)
{
	struct link_enrolment *e = &l->enrolment;
	if (l->phase != PHASE_LIVE || !e->is_offered ||
	    !reliable_put(&l->sender, FRAME_ENROL_CONFIRM, (struct view){ 0 }))
		return false;
	e->is_offered = false;
	e->is_confirmed = true;
	add_device(l);
	bool is_sound = adopt_schedule(l, &e->schedule);
	assert(is_sound); /* or it would not have been offered */
	return true;
}

void link_take_enrol_done(struct link *l, const struct wire_enrol_done *done)
{
	struct link_enrolment *e = &l->enrolment;
	if (!e->is_confirmed ||
	    !bytes_equal(done->device, l->credentials[0].id, sizeof(done->device)))
		return;
	struct link_credential device = l->credentials[0];
	keep_only(l, &device);
	bytes_wipe(&device, sizeof(device));
	bytes_wipe(e, sizeof(*e));
	memcpy(link_push(l, LINK_EVENT_ENROLLED)->psk, l->credentials[0].psk, KEY_SIZE);
}
