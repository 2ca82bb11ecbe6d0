/*
 * Ports move and keys change under full load, and nothing is lost: first at rest, which shows that
 * the machine carries the load, then with a rotation every 2 s and new keys every second.
 *
 *   relay_storm ENGINE [--rotations N] [--pairs N] [--rest SECONDS]
 *
 * The load is as much as the machine carries: each flow keeps a window of datagrams on the way, so
 * that the next one leaves when one has arrived, and all of them fit the socket buffers. Beside
 * that two users of libclawchat write to each other. Each datagram bears a number: those that have
 * not arrived in the end are lost. Exit status 1 if anything was lost.
 */
#include <getopt.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "core/security_file.h"
#include "crypto/crypto.h"
#include "tests/support/flows.h"
#include "tests/support/messengers.h"
#include "tests/support/relay_process.h"
#include "tests/support/report.h"

enum {
	ROTATIONS = 8,
	PAIRS = 16,
	PAIRS_MAX = 128,
	REST_S = 3,
	INTERVAL_S = 2,
	WINDOW_MAX = 64,
	ON_THE_WAY_MAX = 1024,      /* of all flows: fits one socket's buffer of 4 MiB */
	BUFFER_PER_DATAGRAM = 3072, /* what the kernel charges for the largest, and some */
	WAIT_S = 30,
	DRAIN_S = 5,
	LATE_S = 60, /* beyond the time that the rotations take */
};
#define REKEY_NS (1 * NS_PER_S)
#define LOOK_NS (100 * NS_PER_MS)
#define SILENCE_NS (2 * NS_PER_S) /* of a flow: what is on the way is not waited for any more */

struct wishes {
	const char *engine;
	unsigned rotations, pairs, rest_s;
};

/* Where a client is. */
struct place {
	uint64_t door;  /* as last seen */
	uint64_t moves; /* how often it went to another one */
};

/* Of one phase, at its end. */
struct figures {
	uint64_t rotations; /* that every client went along with */
	uint64_t rekeys, reconnects;
	uint64_t sent, lost, twice, altered;
	uint64_t messages, messages_lost, messages_wrong;
	uint64_t drops; /* of all sockets, by the kernel's count */
	double seconds;
	bool is_in_time;
};

struct storm {
	const struct wishes *wishes;
	struct relay_process relay;
	struct messengers messengers;
	struct wire_client *clients;
	struct place *places;
	struct flows *flows;
	size_t count;
	uint64_t until_ns; /* of a phase by time; NEVER: by rotations */
	uint64_t end_ns;   /* of its patience */
	uint64_t look_ns;
};

/* ---- a phase ----------------------------------------------------------------------------- */

static void note_moves(struct storm *s)
{
	struct link_status status;
	for (size_t i = 0; i < s->count; i++) {
		struct place *p = &s->places[i];
		link_get_status(s->clients[i].link, &status);
		p->moves += p->door != 0 && p->door != status.door;
		p->door = status.door;
	}
}

static uint64_t least_moves(const struct storm *s)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < s->count; i++)
		least = s->places[i].moves < least ? s->places[i].moves : least;
	return least;
}

static bool step_load(void *state)
{
	struct storm *s = state;
	uint64_t now_ns = clock_now().mono_ns;
	flows_send(s->flows);
	if (now_ns >= s->look_ns) {
		s->look_ns = now_ns + LOOK_NS;
		note_moves(s);
		flows_give_up(s->flows, SILENCE_NS);
	}
	if (s->until_ns != NEVER)
		return now_ns >= s->until_ns;
	return least_moves(s) >= s->wishes->rotations || now_ns >= s->end_ns;
}

static uint64_t drops_of(int fd)
{
	uint32_t numbers[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(numbers);
	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &size) == 0 ?
		       numbers[SK_MEMINFO_DROPS] :
		       0;
}

static void add_up(const struct storm *s, struct figures *out)
{
	struct flows_sum sum = flows_add_up(s->flows);
	struct link_status status;
	out->sent = sum.sent;
	out->lost = sum.lost;
	out->twice = sum.twice;
	out->altered = sum.altered;
	out->rotations = least_moves(s);
	for (size_t i = 0; i < s->count; i++) {
		link_get_status(s->clients[i].link, &status);
		out->rekeys += status.rekeys;
		out->reconnects += s->clients[i].ups - 1;
		out->drops += drops_of(s->clients[i].fd);
	}
	for (int i = 0; i < MESSENGERS; i++) {
		const struct messenger *m = &s->messengers.shared->of[i];
		out->rekeys += load_relaxed(&m->rekeys);
		out->reconnects += load_relaxed(&m->connects) - 1;
		out->messages_wrong += load_relaxed(&m->wrong);
	}
	out->messages = messengers_sent(&s->messengers);
	out->messages_lost = messengers_lost(&s->messengers);
	out->drops += (uint64_t)relay_process_number(&s->relay, "engine", "rx_socket_drops") +
		      (uint64_t)relay_process_number(&s->relay, "engine", "tx_would_block");
}

static void load(struct storm *s, struct figures *out)
{
	uint64_t start_ns = clock_now().mono_ns;
	unsigned patience_s = s->wishes->rest_s + s->wishes->rotations * INTERVAL_S + LATE_S;
	s->end_ns = start_ns + patience_s * NS_PER_S;
	s->until_ns = s->until_ns == NEVER ? NEVER : start_ns + s->wishes->rest_s * NS_PER_S;
	out->is_in_time = wire_wait(s->clients, s->count, patience_s + 1, step_load, s);
	out->seconds = (double)(clock_now().mono_ns - start_ns) / (double)NS_PER_S;
	out->is_in_time &= wire_wait(s->clients, s->count, DRAIN_S, flows_have_arrived, s->flows);
	out->is_in_time &= messengers_pause(&s->messengers, WAIT_S);
	add_up(s, out);
}

/* ---- set-up ------------------------------------------------------------------------------ */

/* So many that the whole load fits the smallest buffer: all flows may meet in one socket. */
static uint64_t window_of(const struct storm *s)
{
	int bytes = 0;
	socklen_t size = sizeof(bytes);
	getsockopt(s->clients[0].fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
	uint64_t fit = (uint64_t)bytes / BUFFER_PER_DATAGRAM;
	uint64_t window = (fit < ON_THE_WAY_MAX ? fit : ON_THE_WAY_MAX) / s->count;
	return window > WINDOW_MAX ? WINDOW_MAX : window > 0 ? window : 1;
}

static bool connect_all(struct storm *s, uint64_t rekey_ns)
{
	char state[TEST_PATH_SIZE];
	struct link_config file;
	const struct address here = address_v4(127, 0, 0, 1, 0);
	test_directory_path(&s->relay.directory, "state", state);
	if (!wire_file_read(state, &file))
		return false;
	file.rekey_interval_ns = rekey_ns;
	bool is_good = true;
	for (size_t i = 0; i < s->count && is_good; i++) {
		is_good = wire_client_open(&s->clients[i], &file, &here);
	}
	bytes_wipe(&file, sizeof(file));
	if (!is_good || !wire_wait_up(s->clients, s->count, WAIT_S))
		return false;
	s->flows = flows_create(s->clients, s->count, window_of(s));
	return s->flows != NULL &&
	       messengers_start(&s->messengers, &s->relay.directory, rekey_ns) &&
	       wire_wait(s->clients, s->count, WAIT_S, flows_are_joined, s->flows) &&
	       messengers_wait_up(&s->messengers, WAIT_S);
}

static void set_up_relay(struct storm *s, bool is_at_rest)
{
	static const char *const common[] = {
		"--network.workers=4",
		"--limits.handshake_rate=100000",
		"--limits.handshake_burst=100000",
	};
	static const char *const rotating[] = {
		"--rotation.interval=2s",
		"--rotation.notice=1s",
		"--rotation.grace=1s",
		"--security.file_validity=10s",
	};
	relay_process_init(&s->relay, s->wishes->engine);
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		relay_process_option(&s->relay, common[i]);
	for (size_t i = 0; i < sizeof(rotating) / sizeof(rotating[0]) && !is_at_rest; i++)
		relay_process_option(&s->relay, rotating[i]);
	if (is_at_rest)
		relay_process_option(&s->relay, "--rotation.interval=7d");
}

/* ---- what came of it --------------------------------------------------------------------- */

static void print(const struct wishes *w, const char *phase, const struct figures *f)
{
	printf("# %s %s: rotations %" PRIu64 ", rekeys %" PRIu64 ", packets %" PRIu64
	       ", lost %" PRIu64 ", messages %" PRIu64 ", lost %" PRIu64 ", socket drops %" PRIu64
	       " (%.1f s, %.0f packets/s, 4 workers, %u clients)\n",
	       w->engine, phase, f->rotations, f->rekeys, f->sent, f->lost, f->messages,
	       f->messages_lost, f->drops, f->seconds, (double)f->sent / f->seconds, 2 * w->pairs);
	fflush(stdout);
}

/* Counters of the relay that tell where packets went. */
static void print_counters(const struct relay_process *relay)
{
	json_t *stats = relay_process_ask(relay, "stats");
	char *text = json_dumps(stats, JSON_COMPACT);
	printf("# %s\n", text != NULL ? text : "no counters");
	free(text);
	json_decref(stats);
}

static void judge(const struct wishes *w, bool is_at_rest, const struct figures *f)
{
	char name[64];
	const char *phase = is_at_rest ? "at rest" : "in the storm";
	snprintf(name, sizeof(name), "%s no datagram is lost", phase);
	report(f->sent > 0 && f->lost == 0 && f->is_in_time, name, "%" PRIu64 " of %" PRIu64,
	       f->lost, f->sent);
	snprintf(name, sizeof(name), "%s each comes once and unaltered", phase);
	report(f->twice == 0 && f->altered == 0, name, "twice %" PRIu64 ", altered %" PRIu64,
	       f->twice, f->altered);
	snprintf(name, sizeof(name), "%s no message is lost", phase);
	report(f->messages > 0 && f->messages_lost == 0 && f->messages_wrong == 0, name,
	       "%" PRIu64 " of %" PRIu64 ", %" PRIu64 " wrong", f->messages_lost, f->messages,
	       f->messages_wrong);
	snprintf(name, sizeof(name), "%s nobody has to connect again", phase);
	report(f->reconnects == 0, name, "%" PRIu64 " times", f->reconnects);
	if (is_at_rest)
		return;
	report(f->rotations >= w->rotations, "every client goes along with every rotation",
	       "one made %" PRIu64 " of %u", f->rotations, w->rotations);
	/* A second is the least between two; the answer takes its time. */
	uint64_t due = (uint64_t)f->seconds * 2 * w->pairs;
	report(f->rekeys >= due / 2, "every client changes its keys again and again",
	       "%" PRIu64 " times in %.0f s", f->rekeys, f->seconds);
}

static void run(const struct wishes *w, bool is_at_rest)
{
	struct storm s = { .wishes = w,
			   .count = 2 * (size_t)w->pairs,
			   .until_ns = is_at_rest ? 0 : NEVER };
	struct figures figures = { 0 };
	s.clients = calloc(s.count, sizeof(*s.clients));
	s.places = calloc(s.count, sizeof(*s.places));
	set_up_relay(&s, is_at_rest);
	bool is_ready = s.clients != NULL && s.places != NULL && relay_process_start(&s.relay) &&
			connect_all(&s, is_at_rest ? 0 : REKEY_NS);
	if (report(is_ready, is_at_rest ? "all are connected" : "all are connected again",
		   "within %d s", WAIT_S)) {
		load(&s, &figures);
		print(w, is_at_rest ? "at rest" : "storm", &figures);
		judge(w, is_at_rest, &figures);
		if (figures.lost > 0)
			print_counters(&s.relay);
	}
	messengers_stop(&s.messengers);
	for (size_t i = 0; i < s.count && is_ready; i++)
		wire_client_close(&s.clients[i]);
	if (s.relay.pid != 0) {
		int code = relay_process_stop(&s.relay, SIGTERM);
		report(code == 0, "the relay ends well", "exit code %d", code);
	}
	relay_process_fini(&s.relay);
	free(s.clients);
	free(s.places);
	flows_destroy(s.flows);
}

/* ---- main -------------------------------------------------------------------------------- */

static bool take_number(const char *text, unsigned limit, unsigned *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	*out = (unsigned)value;
	return *end == '\0' && end != text && value > 0 && value <= limit;
}

static bool parse(int argc, char **argv, struct wishes *w)
{
	static const struct option options[] = {
		{ "rotations", required_argument, NULL, 'r' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "rest", required_argument, NULL, 's' },
		{ 0 },
	};
	*w = (struct wishes){ .rotations = ROTATIONS, .pairs = PAIRS, .rest_s = REST_S };
	bool is_right = true;
	for (int key; is_right && (key = getopt_long(argc, argv, "", options, NULL)) != -1;)
		switch (key) {
		case 'r': is_right = take_number(optarg, 100000, &w->rotations); break;
		case 'p': is_right = take_number(optarg, PAIRS_MAX, &w->pairs); break;
		case 's': is_right = take_number(optarg, 3600, &w->rest_s); break;
		default: is_right = false;
		}
	if (!is_right || optind != argc - 1)
		return false;
	w->engine = argv[optind];
	return strcmp(w->engine, "uring") == 0 || strcmp(w->engine, "epoll") == 0;
}

int main(int argc, char **argv)
{
	static char prefix[32];
	struct wishes wishes;
	const char *failed;
	if (!parse(argc, argv, &wishes)) {
		fprintf(stderr, "usage: relay_storm uring|epoll [--rotations N] [--pairs N]"
				" [--rest SECONDS]\n");
		return 2;
	}
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		return 1;
	if (!relay_process_has_engine(wishes.engine)) {
		report_skip(wishes.engine, "the system refuses a ring");
		return 0;
	}
	snprintf(prefix, sizeof(prefix), "%s: ", wishes.engine);
	report_prefix(prefix);
	run(&wishes, true);
	run(&wishes, false);
	crypto_fini();
	return report_status();
}
