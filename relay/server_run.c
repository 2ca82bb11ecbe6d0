/* The control thread's loop: signals, doors, security files, events of the keeper, admin socket. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "net/clock.h"
#include "relay/log.h"
#include "relay/notify.h"
#include "relay/server_internal.h"

#define SWEEP_NS (60 * NS_PER_S)
#define CLOCK_STEP_NS ((int64_t)(2 * NS_PER_S)) /* ntpd slews smaller ones */
/* Goodbyes are spread, so that they fit the workers' mailboxes: 65,536 in 1.3 s. */
#define DRAIN_NS (2 * NS_PER_S)
#define DRAIN_ROUND_NS (5 * NS_PER_MS)
#define LONGEST_WAIT_NS (10 * NS_PER_S)

enum {
	EVENTS_PER_ROUND = 8,
	GOODBYES_PER_ROUND = WORKER_SENDS / 2,
};

/* ---- security files --------------------------------------------------------------------- */

bool server_issue(struct server *s, const char *path, struct issued_file *out,
		  char error[ISSUER_ERROR_MAX])
{
	if (!issuer_write(&s->issuer, path, clock_now().wall_ns, out, error)) {
		log_event(LOG_LEVEL_ERROR, "file_not_issued", LOG_TEXT("error", error));
		return false;
	}
	s->files_issued++;
	if (path == NULL)
		s->current = *out;
	log_event(LOG_LEVEL_INFO, "file_issued", LOG_ID("file", out->id),
		  LOG_TEXT("path", out->path));
	return true;
}

/* A door was opened: say so, and write the file that knows it. */
static void tell_door(struct server *s, uint64_t opened)
{
	char error[ISSUER_ERROR_MAX];
	struct issued_file file;
	const struct open_door *door = doors_find(&s->doors, opened);
	log_event(LOG_LEVEL_INFO, "door_opened", LOG_NUMBER("generation", opened),
		  LOG_NUMBER("port", door != NULL ? door->port : 0));
	if (server_issue(s, NULL, &file, error))
		notify_status("port %u, newest file %s", door != NULL ? door->port : 0, file.path);
}

static void tick_doors(struct server *s, struct instant now)
{
	uint64_t opened;
	s->doors_next_ns = doors_tick(&s->doors, now.wall_ns, &opened);
	if (s->doors.failure < 0)
		log_event(LOG_LEVEL_ERROR, "door_not_opened",
			  LOG_TEXT("error", strerror(-s->doors.failure)));
	if (opened != 0)
		tell_door(s, opened);
}

int server_rotate_port(struct server *s, uint64_t *opened)
{
	int result = doors_rotate_now(&s->doors, clock_now().wall_ns, opened);
	if (result == 0)
		tell_door(s, *opened);
	else
		log_event(LOG_LEVEL_WARNING, "port_not_rotated",
			  LOG_TEXT("error", strerror(-result)));
	return result;
}

static void sweep(struct server *s, struct instant now)
{
	s->sweep_next_ns = now.mono_ns + SWEEP_NS;
	server_sweep_files(s, now.wall_ns);
	issuer_sweep(&s->issuer, now.wall_ns);
}

/* ---- signals ---------------------------------------------------------------------------- */

static void begin_drain(struct keeper *k, void *state, struct instant now)
{
	(void)state;
	(void)now;
	keeper_drain(k);
}

static void end_some(struct keeper *k, void *state, struct instant now)
{
	struct keeper_session session;
	uint32_t cursor = 0;
	*(bool *)state = keeper_has_said_goodbye(k); /* to those of earlier rounds */
	for (unsigned i = 0; i < GOODBYES_PER_ROUND; i++)
		if (!keeper_next_session(k, &cursor, &session) ||
		    !keeper_end_session(k, session.id, REASON_STOPPING, now))
			return;
}

static void drain(struct server *s, struct instant now)
{
	bool has_said_goodbye;
	keeper_thread_call(s->keeper, end_some, &has_said_goodbye);
	s->drain_next_ns = now.mono_ns + DRAIN_ROUND_NS;
	if ((table_count(s->table) == 0 && has_said_goodbye) || now.mono_ns >= s->drain_until_ns)
		s->is_stopping = true;
}

static void stop(struct server *s, struct instant now)
{
	if (s->is_draining) {
		s->is_stopping = true; /* the second signal */
		return;
	}
	log_event(LOG_LEVEL_INFO, "stopping", LOG_NUMBER("sessions", table_count(s->table)));
	notify_stopping();
	keeper_thread_call(s->keeper, begin_drain, NULL);
	s->is_draining = true;
	s->drain_next_ns = now.mono_ns;
	s->drain_until_ns = now.mono_ns + DRAIN_NS;
}

static void log_statistics(const struct server *s)
{
	uint64_t packets = 0, relayed = 0;
	for (unsigned i = 0; i < s->worker_count; i++) {
		packets += load_relaxed(&worker_engine_counters(s->workers[i])->rx_packets);
		relayed += load_relaxed(&worker_verdicts(s->workers[i])->of[PKT_RELAYED]);
	}
	log_event(LOG_LEVEL_INFO, "statistics", LOG_NUMBER("sessions", table_count(s->table)),
		  LOG_NUMBER("channels", channels_count(s->channels)),
		  LOG_NUMBER("packets", packets), LOG_NUMBER("relayed", relayed));
}

static void take_signals(struct server *s, struct instant now)
{
	struct signalfd_siginfo info;
	uint64_t opened;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: stop(s, now); break;
		case SIGHUP:
			log_event(LOG_LEVEL_WARNING, "reload",
				  LOG_TEXT("result", "no setting can be reloaded: restart"));
			break;
		case SIGUSR1: log_statistics(s); break;
		case SIGUSR2:
			if (server_rotate_port(s, &opened) < 0)
				break; /* said in the log */
			break;
		default: break;
		}
	}
}

/* ---- events of the keeper --------------------------------------------------------------- */

static void take_event(struct server *s, const struct keeper_event *event)
{
	switch (event->type) {
	case KEEPER_SESSION_UP:
		server_note_hello(s, event);
		credentials_note_identity(s->credentials, event->device, event->identity);
		log_event(LOG_LEVEL_INFO, "session_up", LOG_NUMBER("slot", event->session.slot),
			  LOG_ID("peer", event->peer), LOG_ID("device", event->device),
			  LOG_ID("file", event->file_id), LOG_ADDRESS("from", &event->remote));
		break;
	case KEEPER_SESSION_DOWN:
		log_event(LOG_LEVEL_INFO, "session_down", LOG_NUMBER("slot", event->session.slot),
			  LOG_ID("peer", event->peer),
			  LOG_TEXT("reason", wire_reason_text(event->reason)));
		break;
	case KEEPER_REFUSED:
		/* A copy gets no second answer. A wrong clock's is not taken for the newest. */
		if (event->status != STATUS_TIME)
			server_note_hello(s, event);
		log_event(LOG_LEVEL_WARNING, "refused", LOG_ID("device", event->device),
			  LOG_ID("file", event->file_id), LOG_NUMBER("status", event->status),
			  LOG_ADDRESS("from", &event->remote));
		break;
	case KEEPER_ENROL: server_enrol(s, event); break;
	case KEEPER_BURN: server_take_burn(s, event); break;
	case KEEPER_FORGERIES:
		log_event(LOG_LEVEL_WARNING, "forgeries", LOG_NUMBER("slot", event->session.slot),
			  LOG_ADDRESS("from", &event->remote));
		break;
	}
}

static void take_events(struct server *s)
{
	struct keeper_event event;
	uint64_t value;
	if (read(s->event_fd, &value, sizeof(value)) < 0)
		return; /* nothing was put */
	while (mailbox_get(s->events, &event))
		take_event(s, &event);
	bytes_wipe(&event, sizeof(event));
}

/* ---- loop ------------------------------------------------------------------------------- */

static int wait_ms(const struct server *s, struct instant now)
{
	uint64_t wait_ns = LONGEST_WAIT_NS;
	if (!s->is_draining)
		wait_ns = earliest(wait_ns, s->doors_next_ns > now.wall_ns ?
						    s->doors_next_ns - now.wall_ns :
						    0);
	uint64_t timers[] = { s->sweep_next_ns, s->is_draining ? s->drain_next_ns : NEVER,
			      s->notify_next_ns, s->hellos_next_ns, s->unkept_next_ns };
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timers[i] != NEVER)
			wait_ns = earliest(wait_ns,
					   timers[i] > now.mono_ns ? timers[i] - now.mono_ns : 0);
	return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* The wall clock moved by itself: the schedule follows it, so the operator is to know. */
static void watch_clock(struct server *s, struct instant now)
{
	int64_t offset_ns = (int64_t)(now.wall_ns - now.mono_ns);
	int64_t moved_ns = offset_ns - s->clock_offset_ns;
	if (moved_ns > CLOCK_STEP_NS || moved_ns < -CLOCK_STEP_NS) {
		log_event(LOG_LEVEL_WARNING, moved_ns < 0 ? "clock_went_back" : "clock_jumped",
			  LOG_NUMBER("seconds", moved_ns / (int64_t)NS_PER_S));
		s->doors_next_ns = now.wall_ns;
	}
	s->clock_offset_ns = offset_ns;
}

/* A relay with fewer workers would lose their share of all packets: better to start anew. */
static void check_workers(struct server *s)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		int failure = load_relaxed(&worker_counters(s->workers[i])->failure);
		if (failure == 0)
			continue;
		log_event(LOG_LEVEL_ERROR, "worker_failed", LOG_NUMBER("worker", i),
			  LOG_TEXT("error", strerror(-failure)));
		s->exit_code = EX_OSERR;
		s->is_stopping = true;
	}
}

static void tick(struct server *s, struct instant now)
{
	watch_clock(s, now);
	if (!s->is_draining && now.wall_ns >= s->doors_next_ns)
		tick_doors(s, now);
	if (now.mono_ns >= s->sweep_next_ns)
		sweep(s, now);
	if (now.mono_ns >= s->notify_next_ns)
		s->notify_next_ns = notify_watchdog(now.mono_ns);
	if (now.mono_ns >= s->hellos_next_ns)
		server_save_hellos(s);
	if (now.mono_ns >= s->unkept_next_ns)
		server_retry_unkept(s);
	if (s->is_draining && now.mono_ns >= s->drain_next_ns)
		drain(s, now);
	check_workers(s);
}

int server_run(struct server *s)
{
	while (!s->is_stopping) {
		struct epoll_event ready[EVENTS_PER_ROUND];
		int count =
			epoll_wait(s->epoll_fd, ready, EVENTS_PER_ROUND, wait_ms(s, clock_now()));
		struct instant now = clock_now();
		if (count < 0 && errno != EINTR) {
			log_event(LOG_LEVEL_ERROR, "control_wait_failed",
				  LOG_TEXT("error", strerror(errno)));
			return EX_OSERR;
		}
		take_signals(s, now);
		take_events(s);
		admin_process(s->admin);
		tick(s, now);
	}
	server_save_hellos(s);
	log_event(LOG_LEVEL_INFO, "stopped", LOG_NUMBER("sessions", table_count(s->table)));
	return s->exit_code;
}
