/* Devices: enrolled from files, loaded at start, the timestamps of their HELLOs kept. */
#include <sysexits.h>

#include "net/clock.h"
#include "relay/log.h"
#include "relay/server_internal.h"

#define HELLOS_NS (1 * NS_PER_S) /* between two writes of timestamps: each is an fsync */

static void log_failure(enum store_status status)
{
	log_event(LOG_LEVEL_ERROR, "store_failed", LOG_TEXT("error", store_status_text(status)));
}

/* ---- at start --------------------------------------------------------------------------- */

struct loading_devices {
	struct server *server;
	uint64_t newest_s; /* HELLO of all of them */
};

static void take_device(void *state, const struct store_device *device)
{
	struct loading_devices *loading = state;
	struct server *s = loading->server;
	if (device->hello_s > loading->newest_s)
		loading->newest_s = device->hello_s;
	struct credential_device credential = {
		.last_timestamp_ns = device->hello_s * NS_PER_S + device->hello_ns,
		.is_revoked = device->is_revoked,
	};
	memcpy(credential.id, device->device_id, DEVICE_ID_SIZE);
	memcpy(credential.psk, device->psk, KEY_SIZE);
	memcpy(credential.file_id, device->file_id, FILE_ID_SIZE);
	if (!credentials_put_device(s->credentials, &credential))
		log_event(LOG_LEVEL_WARNING, "device_not_loaded",
			  LOG_ID("device", device->device_id));
	bytes_wipe(&credential, sizeof(credential));
}

enum store_status server_load_devices(struct server *s)
{
	struct loading_devices loading = { .server = s };
	uint64_t now_s = clock_now().wall_ns / NS_PER_S;
	s->hellos_next_ns = NEVER;
	enum store_status status = store_each_device(s->store, take_device, &loading);
	/* While it ran with another clock, or now: nobody would find the doors of a wrong time. */
	if (loading.newest_s > now_s + HANDSHAKE_CLOCK_NS / NS_PER_S)
		log_event(LOG_LEVEL_WARNING, "clock_behind",
			  LOG_NUMBER("seconds", loading.newest_s - now_s));
	return status;
}

static void set_schedule(struct keeper *k, void *state, struct instant now)
{
	keeper_set_schedule(k, state, now);
}

void server_tell_schedule(struct server *s)
{
	static const enum wire_port_mode modes[] = {
		[DOOR_MODE_SCHEDULE] = PORT_MODE_SCHEDULE,
		[DOOR_MODE_RANDOM] = PORT_MODE_RANDOM,
		[DOOR_MODE_FIXED] = PORT_MODE_FIXED,
	};
	const struct doors_config *doors = &s->doors.config;
	struct wire_schedule schedule = {
		.interval_s = store_le32(doors->schedule.interval_s),
		.port_first = store_le16(doors->schedule.port_first),
		.port_last = store_le16(doors->schedule.port_last),
		.grace_s = store_le32(doors->grace_s),
		.notice_s = store_le32(doors->notice_s),
		.mode = (uint8_t)modes[doors->mode],
	};
	memcpy(schedule.secret, doors->schedule.secret, KEY_SIZE);
	keeper_thread_call(s->keeper, set_schedule, &schedule);
	bytes_wipe(&schedule, sizeof(schedule));
}

/* ---- enrolment -------------------------------------------------------------------------- */

struct enrolment_end {
	struct session_id session;
	enum wire_reason reason;
};

static void tell_keeper(struct keeper *k, void *state, struct instant now)
{
	const struct enrolment_end *end = state;
	keeper_enrolled(k, end->session, end->reason, now);
}

static enum wire_reason reason_of(enum store_status status)
{
	switch (status) {
	case STORE_OK: return REASON_NONE;
	case STORE_SPENT: return REASON_SPENT;
	case STORE_EXPIRED: return REASON_EXPIRED;
	case STORE_REVOKED: return REASON_REVOKED;
	default: /* our trouble: it comes again */ return REASON_STOPPING;
	}
}

/* The store first: a device counts as enrolled once that is on the disk. */
static enum store_status save(struct server *s, const struct keeper_event *event, uint64_t now_s)
{
	struct store_device device = {
		.enrolled_s = now_s,
		.hello_s = event->timestamp_ns / NS_PER_S,
		.hello_ns = (uint32_t)(event->timestamp_ns % NS_PER_S),
	};
	memcpy(device.device_id, event->device, DEVICE_ID_SIZE);
	memcpy(device.device_public, event->device_public, X25519_SIZE);
	memcpy(device.identity_public, event->identity, ED25519_PUBLIC_SIZE);
	memcpy(device.psk, event->psk, KEY_SIZE);
	memcpy(device.file_id, event->file_id, FILE_ID_SIZE);
	/* As much tolerance as its handshake had. */
	enum store_status status =
		store_enrol_device(s->store, &device, now_s - FILE_CLOCK_NS / NS_PER_S);
	if (status == STORE_OK) {
		struct credential_device credential = { .last_timestamp_ns = event->timestamp_ns };
		memcpy(credential.id, event->device, DEVICE_ID_SIZE);
		memcpy(credential.psk, event->psk, KEY_SIZE);
		memcpy(credential.file_id, event->file_id, FILE_ID_SIZE);
		if (!credentials_enrol_device(s->credentials, &credential))
			status = STORE_NO_MEMORY;
		bytes_wipe(&credential, sizeof(credential));
	}
	bytes_wipe(&device, sizeof(device));
	return status;
}

/* Whoever is given the current file next is to find it unused. */
static void replace_if_spent(struct server *s, const uint8_t file_id[FILE_ID_SIZE])
{
	struct store_file file;
	struct issued_file issued;
	char error[ISSUER_ERROR_MAX];
	if (memcmp(file_id, s->current.id, FILE_ID_SIZE) != 0 ||
	    store_get_file(s->store, file_id, &file) != STORE_OK)
		return;
	bool is_spent = file.used >= file.max_devices;
	bytes_wipe(&file, sizeof(file));
	if (is_spent && !server_issue(s, NULL, &issued, error))
		return; /* said in the log */
}

void server_enrol(struct server *s, const struct keeper_event *event)
{
	enum store_status status = save(s, event, clock_now().wall_ns / NS_PER_S);
	struct enrolment_end end = { .session = event->session, .reason = reason_of(status) };
	keeper_thread_call(s->keeper, tell_keeper, &end);
	if (status != STORE_OK && end.reason == REASON_STOPPING)
		log_failure(status);
	log_event(status == STORE_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		  status == STORE_OK ? "device_enrolled" : "device_not_enrolled",
		  LOG_ID("device", event->device), LOG_ID("peer", event->peer),
		  LOG_ID("file", event->file_id), LOG_TEXT("result", store_status_text(status)));
	if (status == STORE_OK)
		replace_if_spent(s, event->file_id);
}

/* ---- timestamps ------------------------------------------------------------------------- */

void server_note_hello(struct server *s, const struct keeper_event *event)
{
	credentials_note_timestamp(s->credentials, event->device, event->timestamp_ns);
	if (!credentials_is_enrolled(s->credentials, event->device))
		return;
	if (s->hello_count == HELLOS_PER_WRITE)
		server_save_hellos(s);
	struct store_hello *hello = &s->noted[s->hello_count++];
	memcpy(hello->device_id, event->device, DEVICE_ID_SIZE);
	hello->hello_s = event->timestamp_ns / NS_PER_S;
	hello->hello_ns = (uint32_t)(event->timestamp_ns % NS_PER_S);
	if (s->hellos_next_ns == NEVER)
		s->hellos_next_ns = clock_now().mono_ns + HELLOS_NS;
}

void server_save_hellos(struct server *s)
{
	enum store_status status = STORE_OK;
	if (s->hello_count > 0)
		status = store_note_hellos(s->store, s->noted, s->hello_count);
	if (status != STORE_OK)
		log_failure(status);
	s->hello_count = 0;
	s->hellos_next_ns = NEVER;
}
