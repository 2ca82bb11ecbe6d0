#include "tests/support/relay_inside.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/atomic.h"

void relay_inside_block_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE };
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		sigaddset(&signals, wanted[i]);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static void set(struct relay_inside *r, const char *option)
{
	struct settings_error error;
	if (!settings_override(&r->settings, option, &error))
		fail_msg("%s", error.text);
}

void relay_inside_init(struct relay_inside *r, const char *const *options)
{
	static const char *const common[] = {
		"--network.listen=127.0.0.1",
		"--network.listen6=::1",
		"--server.public_ip=127.0.0.1",
		"--server.public_ip6=::1",
		"--network.receive_buffer=4MiB",
		"--network.send_buffer=4MiB",
		"--log.level=error",
	};
	struct settings_error error;
	char state[TEST_PATH_SIZE + 32];
	memset(r, 0, sizeof(*r));
	relay_process_init(&r->outside, "");
	settings_init(&r->settings);
	snprintf(state, sizeof(state), "--server.state_dir=%s/state", r->outside.directory.path);
	set(r, state);
	for (size_t i = 0; i < COUNT_OF(common); i++)
		set(r, common[i]);
	for (; *options != NULL; options++)
		set(r, *options);
	if (!settings_finish(&r->settings, &error))
		fail_msg("%s", error.text);
	log_configure(r->settings.log.level, LOG_FORMAT_TEXT, LOG_ADDRESSES_FULL);
}

void relay_inside_fini(struct relay_inside *r)
{
	if (r->is_running)
		relay_inside_stop(r);
	relay_process_fini(&r->outside);
}

static void *run(void *state)
{
	struct relay_inside *r = state;
	struct server *server = server_create(&r->settings, &r->error);
	if (server == NULL || !server_start(server, &r->error))
		r->exit_code = r->error.exit_code;
	else
		r->exit_code = server_run(server);
	server_destroy(server);
	store_release(&r->is_over, true); /* pairs with relay_inside_start() */
	return NULL;
}

bool relay_inside_start(struct relay_inside *r)
{
	memset(&r->error, 0, sizeof(r->error));
	store_relaxed(&r->is_over, false);
	if (pthread_create(&r->thread, NULL, run, r) != 0)
		return false;
	r->is_running = true;
	for (int waited = 0; waited < RELAY_START_LIMIT_MS; waited += RELAY_LOOK_MS) {
		if (relay_process_is_up(&r->outside))
			return true;
		if (load_acquire(&r->is_over)) /* pairs with run() */
			break;
		poll(NULL, 0, RELAY_LOOK_MS);
	}
	relay_inside_stop(r);
	return false;
}

int relay_inside_stop(struct relay_inside *r)
{
	if (!load_acquire(&r->is_over))
		kill(getpid(), SIGTERM); /* blocked in every thread: for the descriptor alone */
	pthread_join(r->thread, NULL);
	r->is_running = false;
	return r->exit_code;
}

const char *relay_inside_state(const struct relay_inside *r)
{
	return r->settings.server.state_dir;
}
