#include "client/enrolment_json.h"

#include "client/json_fields.h"
#include "core/schedule.h"

static const char *const STATES[] = {
	[ENROLMENT_PENDING] = "pending",
	[ENROLMENT_DONE] = "enrolled",
};

void enrolment_json_add(json_t *object, const struct profile *p)
{
	const struct enrolment *e = &p->enrolment;
	if (e->state != ENROLMENT_NONE) {
		json_t *enrolment = json_object();
		json_put_text(enrolment, "state", STATES[e->state]);
		json_put_bytes(enrolment, "psk", e->psk, sizeof(e->psk));
		if (e->has_before)
			json_put_bytes(enrolment, "psk_before", e->psk_before,
				       sizeof(e->psk_before));
		if (e->has_schedule)
			json_put_bytes(enrolment, "schedule", &e->schedule, sizeof(e->schedule));
		json_object_set_new(object, "enrolment", enrolment);
	}
	if (p->clock.is_known) {
		json_t *clock = json_object();
		json_object_set_new(clock, "offset_ns", json_integer(p->clock.offset_ns));
		json_put_number(clock, "last_hello_ns", p->clock.last_hello_ns);
		json_object_set_new(object, "clock", clock);
	}
}

static void read_enrolment(struct json_reader *r, struct enrolment *e)
{
	struct schedule schedule;
	char state[16];
	json_take_text(r, "state", state, sizeof(state));
	bool is_done = strcmp(state, STATES[ENROLMENT_DONE]) == 0;
	if (!is_done && strcmp(state, STATES[ENROLMENT_PENDING]) != 0 && r->failed == NULL)
		r->failed = "state";
	e->state = is_done ? ENROLMENT_DONE : ENROLMENT_PENDING;
	json_take_bytes(r, "psk", e->psk, sizeof(e->psk));
	e->has_before = json_object_get(r->object, "psk_before") != NULL;
	if (e->has_before)
		json_take_bytes(r, "psk_before", e->psk_before, sizeof(e->psk_before));
	e->has_schedule = json_object_get(r->object, "schedule") != NULL;
	if (!e->has_schedule)
		return;
	json_take_bytes(r, "schedule", &e->schedule, sizeof(e->schedule));
	if (!schedule_read(&e->schedule, &schedule) && r->failed == NULL)
		r->failed = "schedule";
	bytes_wipe(&schedule, sizeof(schedule));
}

static void read_clock(struct json_reader *r, struct relay_clock *clock)
{
	const json_t *offset = json_object_get(r->object, "offset_ns");
	clock->is_known = true;
	clock->offset_ns = json_integer_value(offset);
	clock->last_hello_ns = json_take_number(r, "last_hello_ns", INT64_MAX);
	if (!json_is_integer(offset) && r->failed == NULL)
		r->failed = "offset_ns";
}

bool enrolment_json_read(const json_t *object, struct profile *p, const char **failed)
{
	struct json_reader enrolment = { .object = json_object_get(object, "enrolment") };
	struct json_reader clock = { .object = json_object_get(object, "clock") };
	memset(&p->enrolment, 0, sizeof(p->enrolment));
	memset(&p->clock, 0, sizeof(p->clock));
	if (enrolment.object != NULL)
		read_enrolment(&enrolment, &p->enrolment);
	if (clock.object != NULL)
		read_clock(&clock, &p->clock);
	*failed = enrolment.failed != NULL ? enrolment.failed : clock.failed;
	return *failed == NULL;
}
