#pragma once
/* What a run gave: as a table for people, as JSON, as a plot. Owner: one thread. */
#include "bench/load.h"
#include "bench/lookup.h"
#include "bench/options.h"

struct figures {
	double rate; /* asked for */
	double sent_per_s, delivered_per_s, bits_per_s;
	double loss; /* 0 to 1 */
	uint64_t sent, delivered, bad;
	uint64_t latency_p50_ns, latency_p99_ns, latency_p999_ns, latency_max_ns, samples;
	double relay_ns_per_packet; /* 0: not known */
	double relay_busy;          /* cores */
	double idle_share;
	uint64_t transit_p50_ns, transit_p99_ns; /* without the generator's lateness */
	uint64_t slip_p50_ns, slip_p99_ns;
	uint64_t hellos_sent, welcomes;
	double handshakes_per_s;
	const char *doubt; /* NULL: none */
	json_t *counters;  /* of the relay, what they grew by; or NULL */

	/* Sessions at rest; 0: not measured. */
	uint64_t sessions;
	uint64_t bytes_per_session;     /* what the relay has grown by */
	uint64_t all_bytes_per_session; /* with what it holds for none */
	uint32_t descriptors;
	double connects_per_s;
	double keepalive_cores; /* one each in KEEPALIVE_NS */
	struct lookup_figures lookup;
};

void report_fill(struct figures *f, const struct load_result *result, uint64_t cpu_ns);

void report_table(const struct options *o, const struct figures *rows, size_t count);
/* {"scenario": ..., "rows": [...]} */
void report_json(const struct options *o, const struct figures *rows, size_t count);
/* Fairness: voice's p99 transit beside a bulk flow over that without, the median of the rounds. */
double report_fairness(const struct figures *rows, size_t count);
/* Transit (p50, p99) and loss against the rate. False: the file cannot be written. */
bool report_plot(const char *path, const struct options *o, const struct figures *rows,
		 size_t count) MUST_CHECK;
