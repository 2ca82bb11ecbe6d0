/*
 * clawbench: open-loop load on a relay, or on what it is compared with. Set up the peers, run the
 * scenario once for each rate, say what came of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/relay_peers.h"
#include "bench/report.h"
#include "core/instant.h"
#include "crypto/crypto.h"
#include "net/slices.h"

enum { EXIT_GENERATOR = 3, SHARED_SOCKETS = 64, CHURN_SOCKETS = 128, BULK_TRAIN = 20 };
static const double WARM_UP_S = 0.3;

struct bench {
	struct options options;
	struct own_relay own;
	struct relay_peers *relay;
	struct other *other;
	struct target target;
	uint64_t resident_before; /* of the relay, without sessions */
	uint64_t cpu_ns;          /* of the relay, when the load began */
	double connects_per_s;
	struct lookup_figures lookup;
	bool has_bulk_flow; /* fairness: in this run */
	struct figures rows[OPTIONS_RATES_MAX];
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "clawbench: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

/* ---- set-up ------------------------------------------------------------------------------ */

static uint32_t peers_of(const struct scenario *s)
{
	if (s->shape == SHAPE_IDLE)
		return s->pairs;
	return s->shape == SHAPE_FAN_IN ? s->pairs + 1 : 2 * s->pairs + s->returning;
}

/* Pairs are neighbours; in a fan-in the last peer is the one that all send to. The bulk flow of
 * fairness has the last pair for itself. */
static const char *join(struct bench *b)
{
	const struct scenario *s = &b->options.scenario;
	if (s->shape == SHAPE_IDLE)
		return NULL;
	struct relay_join *joins = calloc(s->pairs, sizeof(*joins));
	if (joins == NULL)
		return "out of memory";
	for (uint32_t i = 0; i < s->pairs; i++) {
		bool is_fan_in = s->shape == SHAPE_FAN_IN;
		joins[i] = (struct relay_join){
			.from = is_fan_in ? i : 2 * i,
			.to = is_fan_in ? s->pairs : 2 * i + 1,
			.flow = s->both_ways ? 2 * i : i,
			.both_ways = s->both_ways,
		};
	}
	const char *error = relay_peers_join(b->relay, joins, s->pairs);
	free(joins);
	return error;
}

static const char *start_relay(struct bench *b)
{
	struct options *o = &b->options;
	if (!address_is_set(&o->relay.address))
		o->relay.address = address_v4(127, 0, 0, 1, 0);
	const char *error = own_relay_start(&b->own, &o->relay);
	o->security_file = b->own.security_file;
	o->key_file = b->own.key_file;
	o->admin = b->own.admin;
	o->pid = b->own.pid;
	return error;
}

static const char *set_up_relay(struct bench *b)
{
	const struct scenario *s = &b->options.scenario;
	const char *error = b->options.wants_relay ? start_relay(b) : NULL;
	if (error != NULL)
		return error;
	struct relay_config config = {
		.remote = b->options.relay.address,
		.local = b->options.bind,
		.peers = peers_of(s),
		.flows = 2 * s->pairs,
		.want_gro = s->train > 1 || s->shape == SHAPE_MIXED || s->shape == SHAPE_FAIRNESS,
		.returning = s->returning,
	};
	uint32_t limit = sockets_raise_limit();
	config.sockets = config.peers < limit ? config.peers : limit;
	if (s->shape == SHAPE_IDLE && config.peers > SHARED_SOCKETS)
		config.sockets = SHARED_SOCKETS;
	error = relay_read_file(b->options.security_file, b->options.key_file, &config);
	if (error == NULL)
		error = relay_peers_create(&config, &b->relay);
	bytes_wipe(&config.file, sizeof(config.file));
	if (error != NULL)
		return error;
	b->target = relay_target(b->relay);
	b->resident_before = process_resident(b->options.pid);
	uint64_t start_ns = load_now_ns();
	error = relay_peers_connect(b->relay);
	b->connects_per_s = config.peers * (double)NS_PER_S / (double)(load_now_ns() - start_ns);
	return error != NULL ? error : join(b);
}

static const char *set_up_other(struct bench *b)
{
	static const char *(*const create[])(const struct other_config *config,
					     struct other **out) = {
		[TARGET_FLOOR] = floor_create,
		[TARGET_TURN] = turn_create,
		[TARGET_PLAIN] = plain_create,
	};
	struct options *o = &b->options;
	const struct other_config config = {
		.remote = o->remote,
		.local = o->bind,
		.sink_local = o->sink,
		.sink_netns = o->sink_netns,
		.pairs = o->scenario.pairs,
		.both_ways = o->scenario.both_ways,
		.want_gro = o->scenario.train > 1,
	};
	sockets_raise_limit();
	const char *error = create[o->target](&config, &b->other);
	if (error != NULL)
		return error;
	o->scenario.both_ways = b->other->config.both_ways;
	b->target = other_target(b->other);
	return NULL;
}

/* ---- load -------------------------------------------------------------------------------- */

static uint32_t flows_of(const struct scenario *s)
{
	return s->both_ways ? 2 * s->pairs : s->pairs;
}

/* A third of the pairs each: 60 % voice, 20 % chat, 20 % bulk by packets. */
static void plan_mixed(const struct scenario *s, struct load_plan *plan)
{
	uint32_t third = s->pairs / 3 > 0 ? s->pairs / 3 : 1;
	static const struct {
		uint32_t size, train;
		double share;
	} kinds[LOAD_STREAMS_MAX] = {
		{ 200, 1, 0.6 },
		{ 400, 4, 0.2 },
		{ BLOB_SIZE_MAX, BULK_TRAIN, 0.2 },
	};
	plan->stream_count = LOAD_STREAMS_MAX;
	for (uint32_t i = 0; i < LOAD_STREAMS_MAX; i++)
		plan->streams[i] = (struct load_stream){
			.kind = LOAD_DATA,
			.flow_first = i * third % s->pairs,
			.flow_count = third,
			.size = kinds[i].size,
			.train = kinds[i].train,
			.rate = s->rate * kinds[i].share,
		};
}

/* The same voice without and with one bulk flow, of which no latency is taken. */
static void plan_fairness(const struct bench *b, struct load_plan *plan)
{
	const struct scenario *s = &b->options.scenario;
	plan->streams[0].flow_count = 2 * (s->pairs - 1);
	if (b->has_bulk_flow)
		plan->streams[plan->stream_count++] = (struct load_stream){
			.kind = LOAD_DATA,
			.flow_first = 2 * (s->pairs - 1),
			.flow_count = 1,
			.size = BLOB_SIZE_MAX,
			.train = BULK_TRAIN,
			.rate = b->options.bulk_rate,
			.is_beside = true,
		};
}

static struct load_plan plan_of(const struct bench *b, double rate)
{
	struct scenario s = b->options.scenario;
	s.rate = rate;
	struct load_plan plan = {
		.stream_count = 1,
		.seconds = b->options.seconds,
		.sample_every = b->options.sample_every,
	};
	plan.streams[0] = (struct load_stream){
		.kind = s.shape == SHAPE_IDLE ? LOAD_PING : LOAD_DATA,
		.flow_count = flows_of(&s),
		.size = s.size,
		.train = s.train,
		.rate = rate,
	};
	if (s.shape == SHAPE_MIXED)
		plan_mixed(&s, &plan);
	if (s.shape == SHAPE_FAIRNESS)
		plan_fairness(b, &plan);
	if (s.shape == SHAPE_CHURN)
		plan.streams[plan.stream_count++] = (struct load_stream){
			.kind = LOAD_HELLO,
			.flow_count = s.returning > 0 ? s.returning : CHURN_SOCKETS,
			.train = 1,
			.rate = b->options.handshakes,
			.is_costly = true,
		};
	return plan;
}

static void note_cpu(void *state)
{
	struct bench *b = state;
	b->cpu_ns = b->options.pid > 0 ? process_cpu_ns(b->options.pid) : 0;
}

static json_t *relay_counters(const struct bench *b)
{
	return b->options.admin != NULL ? admin_ask(b->options.admin, "stats") : NULL;
}

/* Numbers of `after` become what they grew by. */
static void subtract(json_t *after, const json_t *before)
{
	const char *key;
	json_t *value;
	json_object_foreach(after, key, value)
	{
		const json_t *old = json_object_get(before, key);
		if (json_is_object(value))
			subtract(value, old);
		else if (json_is_integer(value))
			json_integer_set(value,
					 json_integer_value(value) - json_integer_value(old));
	}
}

static bool warm_up(struct bench *b, double rate, struct load_result *result)
{
	struct load_plan plan = plan_of(b, rate);
	plan.seconds = plan.seconds < WARM_UP_S ? plan.seconds : WARM_UP_S;
	plan.stream_count -= b->options.scenario.shape == SHAPE_CHURN;
	return load_run(&b->target, &plan, NULL, NULL, result);
}

/* Sessions at rest: what the relay holds for them. */
static void note_sessions(const struct bench *b, struct figures *out)
{
	uint64_t now = process_resident(b->options.pid), before = b->resident_before;
	out->sessions = b->options.scenario.pairs;
	out->bytes_per_session = now > before ? (now - before) / out->sessions : 0;
	out->all_bytes_per_session = now / out->sessions;
	out->descriptors = process_descriptors(b->options.pid);
	out->connects_per_s = b->connects_per_s;
	out->lookup = b->lookup;
}

static bool measure(struct bench *b, double rate, struct figures *out)
{
	struct load_result *result = malloc(sizeof(*result));
	struct load_plan plan = plan_of(b, rate);
	*out = (struct figures){ .rate = rate };
	if (result == NULL || !warm_up(b, rate, result)) {
		free(result);
		return false;
	}
	if (b->options.scenario.shape == SHAPE_IDLE && b->options.pid > 0)
		note_sessions(b, out);
	json_t *before = relay_counters(b);
	bool is_done = load_run(&b->target, &plan, note_cpu, b, result);
	uint64_t after_ns = b->options.pid > 0 ? process_cpu_ns(b->options.pid) : 0;
	out->counters = relay_counters(b);
	subtract(out->counters, before);
	json_decref(before);
	report_fill(out, result, after_ns - b->cpu_ns);
	free(result);
	return is_done;
}

static int report(struct bench *b, size_t count)
{
	const struct options *o = &b->options;
	bool is_doubtful = false;
	if (o->wants_json)
		report_json(o, b->rows, count);
	else
		report_table(o, b->rows, count);
	if (o->plot != NULL && !report_plot(o->plot, o, b->rows, count))
		return fail(o->plot, "cannot be written");
	for (size_t i = 0; i < count; i++) {
		is_doubtful |= b->rows[i].doubt != NULL;
		json_decref(b->rows[i].counters);
	}
	return is_doubtful ? EXIT_GENERATOR : EXIT_SUCCESS;
}

static int run(struct bench *b)
{
	struct options *o = &b->options;
	const char *error = o->target == TARGET_RELAY ? set_up_relay(b) : set_up_other(b);
	if (error == NULL && o->scenario.shape == SHAPE_IDLE)
		error = lookup_measure(o->scenario.pairs, &b->lookup);
	if (error != NULL)
		return fail("set-up", error);
	/* As the relay's workers do, lest the load be late where others work, too; not before, as
	 * a relay of our own would inherit it. */
	slices_shorten();
	bool is_fairness = o->scenario.shape == SHAPE_FAIRNESS;
	size_t wanted = is_fairness ? (size_t)2 * FAIRNESS_ROUNDS : 1;
	while (o->rate_count < wanted)
		o->rates[o->rate_count++] = o->scenario.rate;
	for (size_t i = 0; i < o->rate_count; i++) {
		b->has_bulk_flow = is_fairness && i % 2 == 1;
		if (!measure(b, o->rates[i], &b->rows[i]))
			return fail("load", "out of memory");
	}
	return report(b, o->rate_count);
}

int main(int argc, char **argv)
{
	static struct bench b;
	const char *failed = NULL;
	int code = options_parse(&b.options, argc, argv);
	if (code != 0)
		return code - 1;
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		return fail("cryptography", failed);
	code = run(&b);
	relay_peers_destroy(b.relay);
	other_destroy(b.other);
	own_relay_stop(&b.own);
	crypto_fini();
	return code;
}
