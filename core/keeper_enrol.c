#include "core/keeper_internal.h"

#include <stdlib.h>

/*
 * A device's first connection, by a file, enrols it. Each end saves the device PSK before it says
 * so, the client first: so that whatever is lost or crashes in between, the client has a secret
 * that the relay takes, be it the file's or the device's.
 */

void keeper_start_enrolment(struct keeper_entry *e, const struct noise_result *keys,
			    const uint8_t device_public[X25519_SIZE])
{
	e->enrolment = calloc(1, sizeof *e->enrolment);
	if (e->enrolment == NULL)
		return; /* its next connection is another chance */
	device_psk_of(keys, e->enrolment->psk);
	memcpy(e->enrolment->device_public, device_public, X25519_SIZE);
}

void keeper_drop_enrolment(struct keeper_entry *e)
{
	if (e->enrolment == NULL)
		return;
	bytes_wipe(e->enrolment, sizeof *e->enrolment);
	free(e->enrolment);
	e->enrolment = NULL;
}

void keeper_take_confirm(struct keeper *k, struct keeper_entry *e)
{
	struct keeper_event event = { .type = KEEPER_ENROL };

	if (e->enrolment == NULL || e->enrolment->state != ENROL_OFFERED || e->schedule_told == 0)
		return; /* nothing was offered, or it says so twice */
	e->enrolment->state = ENROL_SAVING;
	keeper_describe(k, e, &event);
	memcpy(event.device_public, e->enrolment->device_public, sizeof event.device_public);
	memcpy(event.psk, e->enrolment->psk, sizeof event.psk);
	k->config.hooks.event(k->config.hooks.state, &event);
	bytes_wipe(&event, sizeof event);
}

void keeper_enrolled(struct keeper *k, struct session_id id, enum wire_reason reason,
		     struct instant now)
{
	struct keeper_entry *e = (struct keeper_entry *)table_find(k->config.table, id);

	k->now = now;
	if (e == NULL || e->enrolment == NULL || e->enrolment->state != ENROL_SAVING)
		return; /* it ended while that was under way */
	if (reason == REASON_NONE) {
		e->enrolment->state = ENROL_SAVED;
		bytes_wipe(e->enrolment->psk, sizeof e->enrolment->psk);
		e->is_enrolled = true;
		k->stats.enrolments_done++;
		keeper_mark(k, e);
	} else {
		keeper_end(k, e, reason, true);
	}
	keeper_flush_marked(k);
}

void keeper_set_schedule(struct keeper *k, const struct wire_schedule *schedule, struct instant now)
{
	k->now = now;
	k->schedule = *schedule;
	k->schedule_number++;
	keeper_announce_start(k);
}

static void pay_done(struct keeper *k, struct keeper_entry *e)
{
	struct wire_enrol_done body;

	if (e->enrolment == NULL || e->enrolment->state != ENROL_SAVED || !keeper_can_queue(e))
		return;
	memcpy(body.device, directory_record(k->directory, e->session.id.slot)->device,
	       sizeof body.device);
	if (keeper_queue(k, e, FRAME_ENROL_DONE, VIEW(body.device)))
		keeper_drop_enrolment(e);
}

static void pay_schedule(struct keeper *k, struct keeper_entry *e)
{
	struct view body = view_of(&k->schedule, sizeof k->schedule);

	if (e->schedule_told == k->schedule_number || !keeper_can_queue(e))
		return;
	if (!e->is_enrolled && e->enrolment == NULL)
		return;
	if (!keeper_queue(k, e, e->is_enrolled ? FRAME_SCHEDULE : FRAME_ENROL_OFFER, body))
		return;
	e->schedule_told = k->schedule_number;
	if (e->is_enrolled)
		k->stats.schedules_told++;
	else
		k->stats.enrolments_offered++;
}

void keeper_pay_enrolment(struct keeper *k, struct keeper_entry *e)
{
	if (e->state != ENTRY_ESTABLISHED)
		return;
	pay_done(k, e);
	pay_schedule(k, e);
}
