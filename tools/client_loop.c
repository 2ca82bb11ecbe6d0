#include "tools/client_loop.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
	MS_PER_S = 1000,
	NS_PER_MS = 1000000,
	/* The two clocks are not read at the same moment; a sleep is longer than that. */
	SLEEP_MIN_MS = 2000,
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)t.tv_nsec / NS_PER_MS;
}

uint64_t client_loop_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t asleep_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);
}

/* Blocks them and has the descriptor report them. */
static bool watch(struct client_loop *l, const int *signals, size_t count)
{
	sigset_t all;
	sigprocmask(SIG_BLOCK, NULL, &all);
	for (size_t i = 0; i < count; i++)
		sigaddset(&all, signals[i]);
	if (sigprocmask(SIG_BLOCK, &all, NULL) != 0)
		return false;
	l->signal_fd = signalfd(l->signal_fd, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->signal_fd >= 0;
}

bool client_loop_init(struct client_loop *l)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	*l = (struct client_loop){ .signal_fd = -1, .input_fd = -1, .asleep_ms = asleep_ms() };
	signal(SIGPIPE, SIG_IGN);
	return watch(l, signals, sizeof(signals) / sizeof(signals[0]));
}

void client_loop_fini(struct client_loop *l)
{
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	l->signal_fd = -1;
}

void client_loop_attach(struct client_loop *l, struct clawchat *client)
{
	l->client = client;
}

bool client_loop_watch_terminal(struct client_loop *l)
{
	static const int signals[] = { SIGWINCH, SIGTSTP };
	return watch(l, signals, sizeof(signals) / sizeof(signals[0]));
}

void client_loop_set_timeout(struct client_loop *l, unsigned seconds)
{
	l->deadline_ms = seconds > 0 ? client_loop_now_ms() + (uint64_t)seconds * MS_PER_S : 0;
}

/* Milliseconds to sleep at most; -1: no bound. */
static int patience_ms(const struct client_loop *l)
{
	int wait = l->client != NULL ? clawchat_timeout_ms(l->client) : -1;
	if (l->deadline_ms == 0)
		return wait;
	uint64_t now = client_loop_now_ms();
	uint64_t left = l->deadline_ms > now ? l->deadline_ms - now : 0;
	return wait < 0 || left < (uint64_t)wait ? (int)left : wait;
}

/* A machine that slept wakes with a relay that has forgotten it. */
static void notice_sleep(struct client_loop *l)
{
	uint64_t asleep = asleep_ms();
	if (l->client != NULL && asleep > l->asleep_ms + SLEEP_MIN_MS)
		clawchat_network_changed(l->client);
	l->asleep_ms = asleep;
}

static bool take_signal(struct client_loop *l)
{
	struct signalfd_siginfo info;
	if (read(l->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	l->signal = (int)info.ssi_signo;
	return true;
}

enum loop_wake client_loop_wait(struct client_loop *l, struct clawchat_event *event)
{
	for (;;) {
		/* What the program has just asked for goes out before anything is waited for. */
		if (l->client != NULL)
			clawchat_process(l->client);
		if (take_signal(l)) /* also while events come in a flood */
			return LOOP_SIGNAL;
		if (l->client != NULL && clawchat_next_event(l->client, event))
			return LOOP_EVENT;
		struct pollfd fds[] = {
			{ .fd = l->signal_fd, .events = POLLIN },
			{ .fd = l->input_fd, .events = POLLIN },
			{ .fd = l->client != NULL ? clawchat_fd(l->client) : -1, .events = POLLIN },
		};
		poll(fds, sizeof(fds) / sizeof(fds[0]), patience_ms(l));
		notice_sleep(l);
		if (take_signal(l))
			return LOOP_SIGNAL;
		if (fds[1].revents != 0)
			return LOOP_INPUT;
		if (l->deadline_ms != 0 && client_loop_now_ms() >= l->deadline_ms) {
			l->deadline_ms = 0;
			return LOOP_TIMEOUT;
		}
	}
}
