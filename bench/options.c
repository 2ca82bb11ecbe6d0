#include "bench/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

enum {
	EXIT_USAGE = 2,
	BULK_SIZE = BLOB_SIZE_MAX, /* 1,194 bytes: the largest there is */
	SECONDS_DEFAULT = 5,
	SAMPLE_DEFAULT = 8,
	HANDSHAKES_DEFAULT = 1000,
	BULK_RATE_DEFAULT = 20000,
	PLOT_STEPS = 10,
};

/* clang-format off */
static const struct scenario SCENARIOS[] = {
	{ .name = "voice", .shape = SHAPE_PAIRS, .help = "one small packet at a time, both ways",
	  .pairs = 1000, .size = 200, .train = 1, .rate = 50000, .both_ways = true },
	{ .name = "chat", .shape = SHAPE_PAIRS, .help = "bursts of 4 among many pairs",
	  .pairs = 2000, .size = 200, .train = 4, .rate = 20000, .both_ways = true },
	{ .name = "bulk", .shape = SHAPE_PAIRS, .help = "trains of 20 large packets, few pairs",
	  .pairs = 4, .size = BULK_SIZE, .train = 20, .rate = 40000 },
	{ .name = "fan-in", .shape = SHAPE_FAN_IN, .help = "many senders, one receiver",
	  .pairs = 200, .size = 200, .train = 1, .rate = 20000 },
	{ .name = "churn", .shape = SHAPE_CHURN, .help = "handshakes beside voice",
	  .pairs = 100, .size = 200, .train = 1, .rate = 5000, .both_ways = true },
	{ .name = "idle", .shape = SHAPE_IDLE, .help = "sessions at rest: memory, keepalives",
	  .pairs = 10000, .train = 1, .rate = 5000 },
	{ .name = "mixed", .shape = SHAPE_MIXED, .help = "voice, chat and bulk at once",
	  .pairs = 300, .size = 200, .train = 1, .rate = 40000 },
	{ .name = "fairness", .shape = SHAPE_FAIRNESS, .help = "voice without and with a bulk flow",
	  .pairs = 500, .size = 200, .train = 1, .rate = 20000, .both_ways = true },
};
/* clang-format on */
enum { SCENARIO_COUNT = sizeof(SCENARIOS) / sizeof(SCENARIOS[0]) };

enum option_key {
	OPT_HELP = 'h',
	OPT_START = 256,
	OPT_DAEMON,
	OPT_UNDER,
	OPT_ADDRESS,
	OPT_SET,
	OPT_FILE,
	OPT_KEY,
	OPT_ADMIN,
	OPT_PID,
	OPT_FLOOR,
	OPT_TURN,
	OPT_PLAIN,
	OPT_SINK,
	OPT_SINK_NETNS,
	OPT_BIND,
	OPT_PAIRS,
	OPT_RATE,
	OPT_SECONDS,
	OPT_SIZE,
	OPT_TRAIN,
	OPT_SAMPLE,
	OPT_ONE_WAY,
	OPT_HANDSHAKES,
	OPT_BULK_RATE,
	OPT_RETURNING,
	OPT_JSON,
	OPT_PLOT,
	OPT_RATES,
};

static const struct option LONG_OPTIONS[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "start", no_argument, NULL, OPT_START },
	{ "daemon", required_argument, NULL, OPT_DAEMON },
	{ "under", required_argument, NULL, OPT_UNDER },
	{ "address", required_argument, NULL, OPT_ADDRESS },
	{ "set", required_argument, NULL, OPT_SET },
	{ "security-file", required_argument, NULL, OPT_FILE },
	{ "bootstrap-key-file", required_argument, NULL, OPT_KEY },
	{ "admin", required_argument, NULL, OPT_ADMIN },
	{ "relay-pid", required_argument, NULL, OPT_PID },
	{ "floor", required_argument, NULL, OPT_FLOOR },
	{ "turn", required_argument, NULL, OPT_TURN },
	{ "plain", required_argument, NULL, OPT_PLAIN },
	{ "sink", required_argument, NULL, OPT_SINK },
	{ "sink-netns", required_argument, NULL, OPT_SINK_NETNS },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "peers", required_argument, NULL, OPT_PAIRS },
	{ "sessions", required_argument, NULL, OPT_PAIRS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "train", required_argument, NULL, OPT_TRAIN },
	{ "sample", required_argument, NULL, OPT_SAMPLE },
	{ "one-way", no_argument, NULL, OPT_ONE_WAY },
	{ "handshakes", required_argument, NULL, OPT_HANDSHAKES },
	{ "bulk-rate", required_argument, NULL, OPT_BULK_RATE },
	{ "returning", required_argument, NULL, OPT_RETURNING },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "plot", required_argument, NULL, OPT_PLOT },
	{ "rates", required_argument, NULL, OPT_RATES },
	{ 0 },
};

static void print_help(void)
{
	printf("usage: clawbench SCENARIO [OPTION ...]\n\nscenarios:\n");
	for (size_t i = 0; i < SCENARIO_COUNT; i++)
		printf("  %-8s %-40s %5u pairs, %4u B, %5.0f/s\n", SCENARIOS[i].name,
		       SCENARIOS[i].help, SCENARIOS[i].pairs, SCENARIOS[i].size, SCENARIOS[i].rate);
	printf("\nwhat to load (one of them):\n"
	       "  --start                 a relay of its own, with a temporary folder\n"
	       "    --daemon PATH         (default: clawchatd)\n"
	       "    --under 'WORDS'       words before it: ip netns exec NAME taskset -c 0\n"
	       "    --address IP          where it listens (default 127.0.0.1)\n"
	       "    --set SECTION.KEY=V   a setting; may be repeated\n"
	       "  --security-file FILE --bootstrap-key-file FILE [--address IP]\n"
	       "  --floor IP:PORT         floor_forwarder or floor_mmsg\n"
	       "  --turn IP:PORT [--sink IP]   client to client, or to plain peers at IP\n"
	       "  --plain IP [--sink-netns NAME]   straight to sinks at IP\n"
	       "\nhow much:\n"
	       "  --pairs N (--peers, --sessions), --rate N, --seconds S, --size B, --train N,\n"
	       "  --handshakes N, --bulk-rate N (one flow's), --one-way,\n"
	       "  --sample K (open one in K), --bind IP\n"
	       "  --returning N           handshakes of N devices that were here before\n"
	       "\nwhat to say:\n"
	       "  --relay-pid PID, --admin SOCKET   whose processor time and counters\n"
	       "  --json                  as JSON\n"
	       "  --rates A,B,C           a row for each rate\n"
	       "  --plot FILE.svg         transit and loss against rate\n"
	       "\nexit codes: 0 done, 1 failed, 2 usage, 3 the generator was the bottleneck\n");
}

static bool is_positive(const char *text, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return *end == '\0' && end != text && *out > 0;
}

static bool count_in(const char *text, uint32_t limit, uint32_t *out)
{
	double value;
	if (!is_positive(text, &value) || value > limit)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool parse_rates(struct options *o, const char *text)
{
	char *copy = strdup(text), *rest = copy, *word;
	bool is_right = copy != NULL;
	while (is_right && (word = strsep(&rest, ",")) != NULL)
		is_right = o->rate_count < OPTIONS_RATES_MAX &&
			   is_positive(word, &o->rates[o->rate_count++]);
	free(copy);
	return is_right;
}

static bool take_target(struct options *o, enum target_kind kind, const char *text)
{
	o->target = kind;
	return address_parse(text, &o->remote);
}

static bool take_setting(struct options *o, const char *text)
{
	if (o->relay.override_count == PROCESS_OVERRIDES_MAX)
		return false;
	o->relay.overrides[o->relay.override_count++] = text;
	return true;
}

/* Whom to load. False: not understood; *is_mine tells whether it was one of these. */
static bool take_where(struct options *o, int key, const char *value, bool *is_mine)
{
	*is_mine = true;
	switch (key) {
	case OPT_START: return o->wants_relay = true;
	case OPT_DAEMON: return (o->relay.daemon = value) != NULL;
	case OPT_UNDER: return (o->relay.under = value) != NULL;
	case OPT_ADDRESS: return address_parse(value, &o->relay.address);
	case OPT_SET: return take_setting(o, value);
	case OPT_FILE: return (o->security_file = value) != NULL;
	case OPT_KEY: return (o->key_file = value) != NULL;
	case OPT_ADMIN: return (o->admin = value) != NULL;
	case OPT_FLOOR: return take_target(o, TARGET_FLOOR, value);
	case OPT_TURN: return take_target(o, TARGET_TURN, value);
	case OPT_PLAIN: return take_target(o, TARGET_PLAIN, value);
	case OPT_SINK: return address_parse(value, &o->sink);
	case OPT_SINK_NETNS: return (o->sink_netns = value) != NULL;
	case OPT_BIND: return address_parse(value, &o->bind);
	default: *is_mine = false; return true;
	}
}

static bool take_how(struct options *o, int key, const char *value)
{
	struct scenario *s = &o->scenario;
	uint32_t number;
	switch (key) {
	case OPT_PID: return count_in(value, INT32_MAX, &number) && (o->pid = (pid_t)number) > 0;
	case OPT_PAIRS: return count_in(value, SESSIONS_MAX, &s->pairs);
	case OPT_RATE: return is_positive(value, &s->rate);
	case OPT_SECONDS: return is_positive(value, &o->seconds);
	case OPT_SIZE:
		return count_in(value, BLOB_SIZE_MAX, &s->size) && s->size >= LOAD_STAMP_SIZE;
	case OPT_TRAIN: return count_in(value, LOAD_TRAIN_MAX, &s->train);
	case OPT_SAMPLE: return count_in(value, UINT32_MAX, &o->sample_every);
	case OPT_ONE_WAY: return !(s->both_ways = false);
	case OPT_HANDSHAKES: return is_positive(value, &o->handshakes);
	case OPT_BULK_RATE: return is_positive(value, &o->bulk_rate);
	case OPT_RETURNING: return count_in(value, SESSIONS_MAX, &s->returning);
	case OPT_JSON: return o->wants_json = true;
	case OPT_PLOT: return (o->plot = value) != NULL;
	case OPT_RATES: return parse_rates(o, value);
	default: return false;
	}
}

static bool choose_scenario(struct options *o, const char *name)
{
	for (size_t i = 0; i < SCENARIO_COUNT; i++) {
		if (strcmp(SCENARIOS[i].name, name) != 0)
			continue;
		o->scenario = SCENARIOS[i];
		return true;
	}
	return false;
}

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "clawbench: %s%s; try --help\n", why, what);
	return EXIT_USAGE + 1;
}

static const char *contradiction(const struct options *o)
{
	bool is_relay = o->wants_relay || o->security_file != NULL;
	if ((o->target != TARGET_RELAY) == is_relay)
		return "name one thing to load";
	if (o->security_file != NULL && o->key_file == NULL)
		return "--security-file wants --bootstrap-key-file";
	if (o->scenario.shape == SHAPE_FAIRNESS && o->scenario.pairs < 2)
		return "fairness wants two pairs at least";
	if (o->scenario.shape == SHAPE_FAIRNESS && (o->rate_count > 0 || o->plot != NULL))
		return "fairness has one rate";
	if (!is_relay && o->scenario.shape != SHAPE_PAIRS)
		return "only a relay can be loaded with this scenario";
	if (o->scenario.returning > 0 && o->scenario.shape != SHAPE_CHURN)
		return "--returning is for churn";
	return NULL;
}

int options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){
		.seconds = SECONDS_DEFAULT,
		.sample_every = SAMPLE_DEFAULT,
		.handshakes = HANDSHAKES_DEFAULT,
		.bulk_rate = BULK_RATE_DEFAULT,
		.relay = { .daemon = "clawchatd", .under = "" },
	};
	if (argc > 1 && argv[1][0] != '-' && !choose_scenario(o, argv[1]))
		return usage("no such scenario: ", argv[1]);
	int option;
	while ((option = getopt_long(argc, argv, "h", LONG_OPTIONS, NULL)) != -1) {
		bool is_mine;
		if (option == OPT_HELP) {
			print_help();
			return EXIT_SUCCESS + 1;
		}
		if (option == '?')
			return EXIT_USAGE + 1;
		if (!take_where(o, option, optarg, &is_mine) ||
		    (!is_mine && !take_how(o, option, optarg)))
			return usage("not understood: ", argv[optind - 1]);
	}
	if (o->scenario.name == NULL)
		return usage("a scenario comes first", "");
	const char *why = contradiction(o);
	if (why != NULL)
		return usage(why, "");
	bool wants_steps = o->plot != NULL && o->rate_count == 0;
	for (size_t i = 0; wants_steps && i < PLOT_STEPS; i++)
		o->rates[o->rate_count++] = o->scenario.rate * (double)(i + 1) / PLOT_STEPS;
	return 0;
}
