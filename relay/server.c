#include "relay/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "net/clock.h"
#include "net/file.h"
#include "relay/log.h"
#include "relay/notify.h"
#include "relay/server_internal.h"

/* Of sessions seen lately, both ways: 17 MiB a worker once all are used. With 2,000 busy sessions a
 * cache of 4,096 cost 7 % a packet in keys expanded again. */
enum { KEY_CACHE_ENTRIES = 16384 };

/* ---- create ----------------------------------------------------------------------------- */

static bool fail_setup(struct server_error *error, const char *what, int number)
{
	return server_fail(error, EX_OSERR, "%s: %s", what, strerror(number));
}

static bool watch(struct server *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_descriptors(struct server *s, struct server_error *error)
{
	sigset_t signals;
	sigemptyset(&signals);
	const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&signals, wanted[i]);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->event_fd < 0 || s->signal_fd < 0 || !watch(s, s->event_fd) ||
	    !watch(s, s->signal_fd))
		return fail_setup(error, "control thread", errno);
	return true;
}

static bool finish_erasing(struct server *s, struct server_error *error)
{
	return server_finish_erasing(s) ||
	       server_fail(error, EX_IOERR,
			   "state directory %s: what a Compromised report has "
			   "revoked cannot be erased; see the log",
			   s->settings->server.state_dir);
}

static bool open_state(struct server *s, struct server_error *error)
{
	enum file_status why = FILE_OK;
	const char *directory = s->settings->server.state_dir;
	enum store_status status = store_open(&s->store, directory, &s->random, &why);
	if (status == STORE_OK)
		return server_load_keys(s, error) && server_load_bootstrap(s, error) &&
		       finish_erasing(s, error) && server_load_credentials(s, error);
	return server_fail(error,
			   status == STORE_IN_USE ? EX_UNAVAILABLE :
			   why == FILE_IS_OPEN || why == FILE_IS_REFUSED ||
					   why == FILE_IS_FOREIGN || status == STORE_REFUSED ?
						    EX_NOPERM :
						    EX_IOERR,
			   "state directory %s: %s%s%s", directory, store_status_text(status),
			   why != FILE_OK ? ": " : "",
			   why == FILE_IS_OPEN ? "others have access; run: chmod 700 on it" :
			   why != FILE_OK      ? file_status_text(why) :
						 "");
}

static bool make_files_dir(struct server *s, struct server_error *error)
{
	const char *directory = s->settings->security.files_dir;
	enum file_status status = file_make_directory(directory);
	return status == FILE_OK ||
	       server_fail(error, status == FILE_FAILED ? EX_IOERR : EX_NOPERM,
			   "files directory %s: %s", directory, file_status_text(status));
}

static unsigned count_workers(const struct settings *settings)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = settings->network.workers;
	if (count == 0)
		count = cores > 0 ? (unsigned)cores : 1;
	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

struct server *server_create(const struct settings *settings, struct server_error *error)
{
	/* Bootstrap key, signing key and schedule secret lie in it. */
	struct server *s = secret_create(sizeof(*s));
	if (s == NULL) {
		(void)server_fail(error, EX_OSERR, "out of memory");
		return NULL;
	}
	s->settings = settings;
	s->random = random_system();
	s->worker_count = count_workers(settings);
	s->doors_next_ns = s->notify_next_ns = s->unkept_next_ns = NEVER;
	pthread_mutex_init(&s->burns_lock, NULL);
	s->epoll_fd = s->event_fd = s->signal_fd = -1;
	const char *cipher = settings_cipher_name(settings);
	s->cipher = cipher == NULL ? packet_cipher_best() : packet_cipher_by_name(cipher);
	if (s->cipher == NULL)
		(void)server_fail(error, EX_CONFIG,
				  "[security] cipher = %s: not on this machine; use auto", cipher);
	struct settings_error unfit;
	bool can_serve = settings_can_serve(settings, &unfit);
	if (!can_serve)
		(void)server_fail(error, EX_CONFIG, "%s", unfit.text);
	if (!can_serve || s->cipher == NULL || !open_descriptors(s, error) ||
	    !open_state(s, error) || !make_files_dir(s, error)) {
		server_destroy(s);
		return NULL;
	}
	return s;
}

/* ---- start ------------------------------------------------------------------------------ */

static void wake_control(void *state)
{
	struct server *s = state;
	uint64_t one = 1;
	if (write(s->event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full, so the control thread is awake */
}

static bool make_shared(struct server *s, struct server_error *error)
{
	s->keeper_waker = keeper_waker_create();
	s->table = table_create(&(struct table_config){ .slots = s->settings->limits.sessions,
							.entry_size = keeper_entry_size() });
	s->channels = channels_create(s->settings->limits.channels);
	struct mailbox_config mail = { .item_size = sizeof(struct upcall_item),
				       .capacity = KEEPER_HELLOS,
				       .wake = keeper_waker_wake,
				       .wake_state = s->keeper_waker };
	s->hellos = mailbox_create(&mail);
	mail.capacity = KEEPER_FRAMES;
	s->frames = mailbox_create(&mail);
	mail = (struct mailbox_config){ .item_size = sizeof(struct keeper_event),
					.capacity = KEEPER_EVENTS,
					.wake = wake_control,
					.wake_state = s };
	s->events = mailbox_create(&mail);
	quiesce_init(&s->quiesce, s->worker_count);
	if (s->keeper_waker != NULL && s->table != NULL && s->channels != NULL &&
	    s->hellos != NULL && s->frames != NULL && s->events != NULL)
		return true;
	return server_fail(error, EX_OSERR, "out of memory for %u sessions, %u channels",
			   s->settings->limits.sessions, s->settings->limits.channels);
}

static bool start_workers(struct server *s, struct server_error *error)
{
	struct worker_config config = {
		.engine = { .kind = s->settings->network.engine,
			    .receive_buffer_bytes = s->settings->network.receive_buffer,
			    .send_buffer_bytes = s->settings->network.send_buffer,
			    .want_gro = s->settings->network.gro != 0,
			    .share_port = true },
		.forward = { .table = s->table,
			     .channels = s->channels,
			     .cipher = s->cipher,
			     .key_cache_entries = KEY_CACHE_ENTRIES,
			     .batch_max = WORKER_BATCH },
		.quiesce = &s->quiesce,
		.hellos = s->hellos,
		.frames = s->frames,
	};
	for (unsigned i = 0; i < s->worker_count; i++) {
		config.index = i;
		int result = worker_start(&s->workers[i], &config);
		if (result < 0)
			return server_fail(error, EX_OSERR, "worker %u, engine %s: %s", i,
					   engine_kind_name(s->settings->network.engine),
					   strerror(-result));
	}
	return true;
}

static bool start_keeper(struct server *s, struct server_error *error)
{
	s->seen = seen_log_open(s->settings->server.state_dir);
	if (s->seen == NULL)
		return server_fail(error, EX_IOERR, "state in %s: log of handshakes: %s",
				   s->settings->server.state_dir, strerror(errno));
	struct keeper_thread_config config = {
		.keeper = { .table = s->table,
			    .channels = s->channels,
			    .cipher = s->cipher,
			    .server = { .static_key = s->keys->static_key },
			    .random = s->random,
			    .idle_timeout_ns = s->settings->limits.idle_timeout * NS_PER_S,
			    .keepalive_s = s->settings->limits.keepalive,
			    .handshake_rate_per_s = s->settings->limits.handshake_rate,
			    .handshake_burst = s->settings->limits.handshake_burst },
		.credentials = s->credentials,
		.seen = s->seen,
		.quiesce = &s->quiesce,
		.hellos = s->hellos,
		.frames = s->frames,
		.events = s->events,
		.hear_burn = server_hear_burn,
		.burn_state = s,
		.workers = s->workers,
		.worker_count = s->worker_count,
	};
	memcpy(config.keeper.server.server_id, s->keys->server_id, SERVER_ID_SIZE);
	int result = keeper_thread_start(&s->keeper, &config, s->keeper_waker);
	bytes_wipe(&config.keeper.server, sizeof(config.keeper.server));
	return result == 0 || server_fail(error, EX_OSERR, "keeper: %s", strerror(-result));
}

/* A port that the kernel has lent to some client cannot be bound when its generation comes. */
static void warn_of_ephemeral_ports(const struct settings *set)
{
	unsigned first = 0, last = 0;
	char remedy[80];
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	if (file == NULL)
		return;
	bool is_read = fscanf(file, "%u %u", &first, &last) == 2;
	fclose(file);
	if (!is_read || set->rotation.mode == DOOR_MODE_FIXED || last < set->rotation.port_first ||
	    first > set->rotation.port_last)
		return;
	snprintf(remedy, sizeof(remedy), "sysctl net.ipv4.ip_local_port_range=\"%u %u\"", first,
		 set->rotation.port_first - 1);
	log_event(LOG_LEVEL_WARNING, "ports_overlap_ephemeral", LOG_NUMBER("first", first),
		  LOG_NUMBER("last", last), LOG_TEXT("remedy", remedy));
}

static bool fail_to_listen(const struct settings *set, int result, struct server_error *error)
{
	if (set->rotation.mode == DOOR_MODE_FIXED)
		return server_fail(error, EX_UNAVAILABLE,
				   "listen on UDP port %u: %s; see [network] listen, listen6 and "
				   "[rotation] fixed_port",
				   (unsigned)set->rotation.fixed_port, strerror(-result));
	return server_fail(error, EX_UNAVAILABLE,
			   "listen on a UDP port from %u to %u: %s; see [network] listen, listen6 "
			   "and [rotation] port_first, port_last",
			   (unsigned)set->rotation.port_first, (unsigned)set->rotation.port_last,
			   strerror(-result));
}

static bool start_doors(struct server *s, struct server_error *error)
{
	const struct settings *set = s->settings;
	struct doors_config config = {
		.mode = set->rotation.mode,
		.schedule = { .interval_s = set->rotation.interval,
			      .port_first = (uint16_t)set->rotation.port_first,
			      .port_last = (uint16_t)set->rotation.port_last },
		.notice_s = set->rotation.notice,
		.grace_s = set->rotation.grace,
		.bind_v4 = set->network.listen,
		.bind_v6 = set->network.listen6,
		.random = s->random,
		.workers = s->workers,
		.worker_count = s->worker_count,
		.keeper = s->keeper,
	};
	if (config.mode == DOOR_MODE_FIXED)
		config.schedule.port_first = config.schedule.port_last =
			(uint16_t)set->rotation.fixed_port;
	memcpy(config.schedule.secret, s->keys->schedule_secret, KEY_SIZE);
	doors_init(&s->doors, &config);
	bytes_wipe(&config.schedule, sizeof(config.schedule));
	uint64_t wall_ns = clock_now().wall_ns;
	int result = doors_start(&s->doors, wall_ns);
	if (result < 0)
		return fail_to_listen(set, result, error);
	s->doors_next_ns = wall_ns; /* the notice may have begun already */
	s->clock_offset_ns = (int64_t)(wall_ns - clock_now().mono_ns);
	warn_of_ephemeral_ports(set);
	const struct open_door *door = doors_current(&s->doors, wall_ns);
	log_event(LOG_LEVEL_INFO, "listening", LOG_NUMBER("port", door->port),
		  LOG_NUMBER("generation", door->generation),
		  LOG_NUMBER("receive_buffer", door->receive_buffer_bytes));
	if (door->receive_buffer_bytes < set->network.receive_buffer)
		log_event(LOG_LEVEL_WARNING, "receive_buffer_clipped",
			  LOG_NUMBER("granted", door->receive_buffer_bytes),
			  LOG_NUMBER("wanted", set->network.receive_buffer),
			  LOG_TEXT("remedy", "sysctl net.core.rmem_max"));
	return true;
}

static bool keep_file(void *state, const struct credential_file *file, const char *path,
		      uint32_t max_devices)
{
	struct server *s = state;
	struct store_file stored = {
		.valid_from_s = file->valid_from_ns / NS_PER_S,
		.valid_until_s = file->valid_until_ns / NS_PER_S,
		.max_devices = max_devices,
	};
	memcpy(stored.file_id, file->id, FILE_ID_SIZE);
	memcpy(stored.shared_secret, file->shared_secret, KEY_SIZE);
	snprintf(stored.path, sizeof(stored.path), "%s", path);
	enum store_status status = store_add_file(s->store, &stored);
	bytes_wipe(&stored, sizeof(stored));
	if (status != STORE_OK)
		log_event(LOG_LEVEL_ERROR, "store_failed",
			  LOG_TEXT("error", store_status_text(status)));
	return status == STORE_OK && credentials_put_file(s->credentials, file);
}

static bool start_preparer(struct server *s, struct server_error *error)
{
	struct preparer_config config = { .iterations = s->issuer.iterations };
	memcpy(config.bootstrap, s->issuer.bootstrap, sizeof(config.bootstrap));
	int result = preparer_start(&s->issuer.preparer, &config);
	bytes_wipe(&config, sizeof(config));
	return result == 0 || server_fail(error, EX_OSERR, "preparer: %s", strerror(-result));
}

static bool start_issuer(struct server *s, struct server_error *error)
{
	const struct settings *set = s->settings;
	struct issuer *issuer = &s->issuer;
	char text[ISSUER_ERROR_MAX];
	struct issued_file file;
	issuer->files_dir = set->security.files_dir;
	issuer->signing = s->keys->signing;
	memcpy(issuer->server_id, s->keys->server_id, SERVER_ID_SIZE);
	memcpy(issuer->server_public, s->keys->static_key.public, X25519_SIZE);
	issuer->server_name = set->server.name;
	issuer->public_v4 = set->server.public_ip;
	issuer->public_v6 = set->server.public_ip6;
	issuer->validity_s = set->security.file_validity;
	issuer->max_devices = set->security.file_max_devices;
	issuer->iterations = set->security.pbkdf2_iterations;
	issuer->random = s->random;
	issuer->doors = &s->doors;
	issuer->keep = keep_file;
	issuer->keep_state = s;
	if (!server_issue(s, NULL, &file, text))
		return server_fail(error, EX_IOERR, "%s", text);
	if (!start_preparer(s, error))
		return false;
	server_tell_schedule(s);
	server_finish_tombstones(s);
	return true;
}

static bool start_admin(struct server *s, struct server_error *error)
{
	const char *path = s->settings->admin.socket;
	int result = admin_create(&s->admin,
				  &(struct admin_config){ .socket_path = path,
							  .commands = server_commands,
							  .command_count = server_command_count,
							  .state = s });
	if (result == 0 && watch(s, admin_fd(s->admin)))
		return true;
	return server_fail(error, EX_UNAVAILABLE, "admin socket %s: %s", path, strerror(-result));
}

bool server_start(struct server *s, struct server_error *error)
{
	s->started_ns = clock_now().mono_ns;
	/* Admin first: it sets the umask for a moment, while there is one thread. */
	if (!start_admin(s, error) || !make_shared(s, error) || !start_workers(s, error) ||
	    !start_keeper(s, error) || !start_doors(s, error) || !start_issuer(s, error))
		return false;
	int refusal = worker_engine_refusal(s->workers[0]);
	log_event(LOG_LEVEL_INFO, "started",
		  LOG_TEXT("engine", engine_kind_name(worker_engine(s->workers[0]))),
		  LOG_TEXT("no_io_uring", refusal != 0 ? strerror(refusal) : "-"),
		  LOG_TEXT("cipher", s->cipher->name), LOG_NUMBER("workers", s->worker_count),
		  LOG_ID("server", s->keys->server_id),
		  LOG_TEXT("admin", s->settings->admin.socket));
	notify_ready();
	s->notify_next_ns = notify_watchdog(clock_now().mono_ns);
	return true;
}

/* ---- destroy ---------------------------------------------------------------------------- */

static void close_descriptor(int fd)
{
	if (fd >= 0)
		close(fd);
}

void server_destroy(struct server *s)
{
	if (s == NULL)
		return;
	admin_destroy(s->admin);
	keeper_thread_stop(s->keeper); /* it sends through the workers: they go after it */
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_stop(s->workers[i]);
	seen_log_close(s->seen);
	preparer_stop(s->issuer.preparer);
	doors_fini(&s->doors);
	mailbox_destroy(s->hellos);
	mailbox_destroy(s->frames);
	mailbox_destroy(s->events);
	keeper_waker_destroy(s->keeper_waker);
	if (s->table != NULL)
		table_destroy(s->table);
	if (s->channels != NULL)
		channels_destroy(s->channels);
	credentials_destroy(s->credentials);
	if (s->store != NULL)
		store_close(s->store);
	if (s->keys != NULL)
		secret_destroy(s->keys, sizeof(*s->keys));
	close_descriptor(s->epoll_fd);
	close_descriptor(s->event_fd);
	close_descriptor(s->signal_fd);
	pthread_mutex_destroy(&s->burns_lock);
	secret_destroy(s, sizeof(*s));
}
