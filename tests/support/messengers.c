#include "tests/support/messengers.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "core/atomic.h"
#include "net/clock.h"

enum {
	TEXTS_PER_S = 100,
	UNDELIVERED_MAX = 64, /* of one user: more wait until some have arrived */
	TEXT_SIZE_MAX = 3000, /* several datagrams */
	TEXT_SIZE_MIN = 32,
	LOOK_MS = 5,
};
#define TEXT_NS (NS_PER_S / TEXTS_PER_S)

/* One user, in its process. */
struct user {
	const struct messengers *m;
	struct messenger *own;
	const struct messenger *other;
	struct clawchat *client;
	struct clawchat_peer_id peer;
	uint64_t next_text_ns, next_rekey_ns;
};

/* ---- texts ------------------------------------------------------------------------------- */

/* Text number `n`: its size and every character follow from that. */
static void make_text(uint64_t n, char out[TEXT_SIZE_MAX + 1])
{
	size_t size = TEXT_SIZE_MIN + (size_t)(n * 7919 % (TEXT_SIZE_MAX - TEXT_SIZE_MIN));
	memset(out, 'a' + (int)(n % 26), size);
	out[size] = '\0';
	int head = snprintf(out, TEXT_SIZE_MIN, "%" PRIu64, n);
	out[head] = ' ';
}

static void take_text(struct user *u, const struct clawchat_event *event)
{
	char expected[TEXT_SIZE_MAX + 1];
	make_text(load_relaxed(&u->own->received), expected);
	bool is_right = strcmp(event->text, expected) == 0;
	add_relaxed(is_right ? &u->own->received : &u->own->wrong, 1);
}

static void write_text(struct user *u)
{
	char text[TEXT_SIZE_MAX + 1];
	uint64_t message;
	struct clawchat_error error;
	make_text(load_relaxed(&u->own->sent), text);
	if (clawchat_send_text(u->client, &u->peer, text, &message, &error) == CLAWCHAT_OK)
		add_relaxed(&u->own->sent, 1);
}

static void take_event(struct user *u, const struct clawchat_event *event)
{
	switch (event->type) {
	case CLAWCHAT_EVENT_CONNECTED: add_relaxed(&u->own->connects, 1); break;
	case CLAWCHAT_EVENT_PEER_UP: store_release(&u->own->is_up, true); break;
	case CLAWCHAT_EVENT_ENDED: store_release(&u->own->has_failed, true); break;
	case CLAWCHAT_EVENT_TEXT: take_text(u, event); break;
	case CLAWCHAT_EVENT_DELIVERY:
		if (event->delivery == CLAWCHAT_DELIVERED)
			add_relaxed(&u->own->delivered, 1);
		if (event->delivery == CLAWCHAT_UNDELIVERED)
			add_relaxed(&u->own->undelivered, 1);
		break;
	default: break;
	}
}

/* ---- a user's process -------------------------------------------------------------------- */

static void do_what_is_due(struct user *u, uint64_t now_ns)
{
	const struct messengers_shared *shared = u->m->shared;
	uint64_t under_way = load_relaxed(&u->own->sent) - load_relaxed(&u->own->delivered);
	struct link_status status;
	if (now_ns >= u->next_text_ns && !load_acquire(&shared->is_paused) &&
	    under_way < UNDELIVERED_MAX) {
		u->next_text_ns = now_ns + TEXT_NS;
		write_text(u);
	}
	if (u->m->rekey_ns != 0 && now_ns >= u->next_rekey_ns && u->client->link != NULL) {
		u->next_rekey_ns = now_ns + u->m->rekey_ns;
		link_request_rekey(u->client->link);
		link_get_status(u->client->link, &status);
		store_relaxed(&u->own->rekeys, status.rekeys);
	}
}

static void live(struct user *u)
{
	struct clawchat_event event;
	while (!load_acquire(&u->m->shared->is_over)) {
		struct pollfd fd = { .fd = clawchat_fd(u->client), .events = POLLIN };
		int wait_ms = clawchat_timeout_ms(u->client);
		poll(&fd, 1, wait_ms < 0 || wait_ms > LOOK_MS ? LOOK_MS : wait_ms);
		clawchat_process(u->client);
		while (clawchat_next_event(u->client, &event))
			take_event(u, &event);
		do_what_is_due(u, clock_now().mono_ns);
	}
}

static bool say(const struct clawchat_error *error)
{
	fprintf(stderr, "messenger: %s\n", error->text);
	return false;
}

static bool set_up(struct user *u, const char *profile)
{
	const struct clawchat_options options = { .profile = profile };
	const struct clawchat_bootstrap bootstrap = { .key_file = u->m->key };
	struct clawchat_error error;
	struct clawchat_peer_id id;
	if (clawchat_open(&options, &u->client, &error) != CLAWCHAT_OK)
		return say(&error);
	clawchat_own_id(u->client, &id);
	clawchat_id_text(&id, u->own->id);
	store_release(&u->own->has_id, true); /* pairs with the other's look below */
	if (clawchat_load(u->client, u->m->file, &bootstrap, &error) != CLAWCHAT_OK ||
	    clawchat_connect(u->client, &error) != CLAWCHAT_OK)
		return say(&error);
	while (!load_acquire(&u->other->has_id))
		poll(NULL, 0, LOOK_MS);
	return clawchat_id_parse(u->other->id, &u->peer);
}

static void become(const struct messengers *m, int index)
{
	struct user u = { .m = m,
			  .own = &m->shared->of[index],
			  .other = &m->shared->of[1 - index] };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (set_up(&u, m->profiles[index]))
		live(&u);
	else
		store_release(&u.own->has_failed, true);
	clawchat_close(u.client);
	_exit(0);
}

/* ---- both, from outside ------------------------------------------------------------------ */

bool messengers_start(struct messengers *m, const struct test_directory *directory,
		      uint64_t rekey_ns)
{
	static const char *const names[MESSENGERS] = { "anna", "berta" };
	memset(m, 0, sizeof(*m));
	m->rekey_ns = rekey_ns;
	test_directory_path(directory, "state/files/clawchat-current.sec", m->file);
	test_directory_path(directory, "state/bootstrap.key", m->key);
	m->shared = mmap(NULL, sizeof(*m->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->shared == MAP_FAILED) {
		m->shared = NULL;
		return false;
	}
	fflush(NULL);
	for (int i = 0; i < MESSENGERS; i++) {
		test_directory_path(directory, names[i], m->profiles[i]);
		mkdir(m->profiles[i], 0700);
		m->pids[i] = fork();
		if (m->pids[i] == 0)
			become(m, i);
		if (m->pids[i] < 0)
			return false;
	}
	return true;
}

static bool all_up(const struct messengers *m)
{
	return load_acquire(&m->shared->of[0].is_up) && load_acquire(&m->shared->of[1].is_up);
}

static bool all_received(const struct messengers *m)
{
	return messengers_lost(m) == 0;
}

static bool wait_for(const struct messengers *m, unsigned seconds,
		     bool (*is_done)(const struct messengers *m))
{
	uint64_t end_ns = clock_now().mono_ns + seconds * NS_PER_S;
	while (!is_done(m)) {
		bool has_failed = load_acquire(&m->shared->of[0].has_failed) ||
				  load_acquire(&m->shared->of[1].has_failed);
		if (has_failed || clock_now().mono_ns >= end_ns)
			return false;
		poll(NULL, 0, LOOK_MS);
	}
	return true;
}

bool messengers_wait_up(struct messengers *m, unsigned seconds)
{
	return wait_for(m, seconds, all_up);
}

bool messengers_pause(struct messengers *m, unsigned seconds)
{
	store_release(&m->shared->is_paused, true); /* pairs with do_what_is_due() */
	poll(NULL, 0, 10 * LOOK_MS);                /* a text may be under the pen */
	return wait_for(m, seconds, all_received);
}

void messengers_stop(struct messengers *m)
{
	if (m->shared == NULL)
		return;
	store_release(&m->shared->is_over, true); /* pairs with live() */
	for (int i = 0; i < MESSENGERS; i++)
		if (m->pids[i] > 0)
			waitpid(m->pids[i], NULL, 0);
	munmap(m->shared, sizeof(*m->shared));
	m->shared = NULL;
}

uint64_t messengers_sent(const struct messengers *m)
{
	return load_relaxed(&m->shared->of[0].sent) + load_relaxed(&m->shared->of[1].sent);
}

uint64_t messengers_lost(const struct messengers *m)
{
	uint64_t received =
		load_relaxed(&m->shared->of[0].received) + load_relaxed(&m->shared->of[1].received);
	return messengers_sent(m) - received;
}
