#pragma once
/* The command line of clawbench: a scenario, what to load with it, how much, and what to say. */
#include "bench/process.h"
#include "bench/target.h"

enum {
	OPTIONS_RATES_MAX = 20,
	FAIRNESS_ROUNDS = 3, /* of two runs each */
};

enum target_kind { TARGET_RELAY, TARGET_FLOOR, TARGET_TURN, TARGET_PLAIN };

/* Shapes of load; settable values are 0 where the scenario's stand. */
enum shape { SHAPE_PAIRS, SHAPE_FAN_IN, SHAPE_CHURN, SHAPE_IDLE, SHAPE_MIXED, SHAPE_FAIRNESS };

struct scenario {
	const char *name;
	enum shape shape;
	const char *help;
	uint32_t pairs; /* SHAPE_IDLE: sessions */
	uint32_t size, train;
	double rate;
	bool both_ways;
	uint32_t returning; /* SHAPE_CHURN: HELLOs are those of so many connected devices */
};

struct options {
	struct scenario scenario; /* with what the command line changed */
	double seconds;
	double handshakes; /* a second, for churn */
	double bulk_rate;  /* packets a second, for fairness */
	uint32_t sample_every;
	enum target_kind target;
	struct address remote; /* of other targets; of a relay: instead of its file's */
	struct address bind;
	struct address sink; /* turn: plain peers there */
	const char *sink_netns;
	bool wants_relay; /* start one */
	struct own_relay_config relay;
	const char *security_file, *key_file, *admin;
	pid_t pid;
	bool wants_json;
	const char *plot;
	double rates[OPTIONS_RATES_MAX];
	size_t rate_count; /* a sweep where above 0 */
};

/* 0: go on; else the exit code + 1. */
int options_parse(struct options *o, int argc, char **argv);
