#include "bench/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"

enum { BITS = 8, PERCENT = 100 };

static double per_second(uint64_t count, const struct load_result *r)
{
	return r->elapsed_ns > 0 ? (double)count * (double)NS_PER_S / (double)r->elapsed_ns : 0;
}

void report_fill(struct figures *f, const struct load_result *r, uint64_t cpu_ns)
{
	f->sent = r->sent[LOAD_DATA] + r->sent[LOAD_PING];
	f->delivered = r->delivered[LOAD_DATA] + r->delivered[LOAD_PING];
	f->bad = r->bad;
	f->sent_per_s = per_second(f->sent, r);
	f->delivered_per_s = per_second(f->delivered, r);
	f->bits_per_s = per_second(r->user_bytes, r) * BITS;
	f->loss = f->sent > f->delivered ? 1 - (double)f->delivered / (double)f->sent : 0;
	f->samples = r->latency.count;
	f->latency_p50_ns = histogram_quantile(&r->latency, 0.5);
	f->latency_p99_ns = histogram_quantile(&r->latency, 0.99);
	f->latency_p999_ns = histogram_quantile(&r->latency, 0.999);
	f->latency_max_ns = r->latency.max;
	f->transit_p50_ns = histogram_quantile(&r->transit, 0.5);
	f->transit_p99_ns = histogram_quantile(&r->transit, 0.99);
	f->slip_p50_ns = histogram_quantile(&r->slip, 0.5);
	f->slip_p99_ns = histogram_quantile(&r->slip, 0.99);
	f->idle_share = load_idle_share(r);
	f->hellos_sent = r->sent[LOAD_HELLO];
	f->welcomes = r->delivered[LOAD_HELLO];
	f->handshakes_per_s = per_second(f->welcomes, r);
	if (cpu_ns > 0 && f->delivered > 0) {
		f->relay_ns_per_packet = (double)cpu_ns / (double)f->delivered;
		f->relay_busy = (double)cpu_ns / (double)r->elapsed_ns;
	}
	f->keepalive_cores = f->relay_ns_per_packet * (double)f->sessions / (double)KEEPALIVE_NS;
	f->doubt = load_doubt(r);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double report_fairness(const struct figures *rows, size_t count)
{
	double ratios[OPTIONS_RATES_MAX / 2];
	size_t rounds = 0;
	for (size_t i = 0; i + 1 < count; i += 2)
		if (rows[i].transit_p99_ns > 0)
			ratios[rounds++] =
				(double)rows[i + 1].transit_p99_ns / (double)rows[i].transit_p99_ns;
	qsort(ratios, rounds, sizeof(*ratios), compare_doubles);
	return rounds > 0 ? ratios[rounds / 2] : 0;
}

/* ---- table ------------------------------------------------------------------------------- */

static double us(uint64_t ns)
{
	return (double)ns / (double)NS_PER_US;
}

static void print_sessions(const struct figures *f)
{
	printf("sessions: %llu at rest, %.0f/s connected, %u descriptors in the relay\n",
	       (unsigned long long)f->sessions, f->connects_per_s, f->descriptors);
	printf("resident: %llu bytes each all told, %llu without what the relay has for none\n",
	       (unsigned long long)f->all_bytes_per_session,
	       (unsigned long long)f->bytes_per_session);
	printf("keepalives: %.0f ns of the relay each, %.2f cores for one each in %.0f s\n",
	       f->relay_ns_per_packet, f->keepalive_cores, (double)KEEPALIVE_NS / (double)NS_PER_S);
	printf("look-up, cold: %.0f ns by id, %.0f ns by peer id\n", f->lookup.by_id_ns,
	       f->lookup.by_peer_ns);
}

static void print_extras(const struct figures *f)
{
	if (f->hellos_sent > 0)
		printf("handshakes: %.0f/s answered of %llu asked\n", f->handshakes_per_s,
		       (unsigned long long)f->hellos_sent);
	if (f->sessions > 0)
		print_sessions(f);
	if (f->bad > 0)
		printf("not authentic: %llu of %llu samples\n", (unsigned long long)f->bad,
		       (unsigned long long)(f->samples + f->bad));
	if (f->doubt != NULL)
		printf("NO RESULT: %s (idle %.0f %%, slip p99 %.0f us)\n", f->doubt,
		       f->idle_share * PERCENT, us(f->slip_p99_ns));
}

void report_table(const struct options *o, const struct figures *rows, size_t count)
{
	const struct scenario *s = &o->scenario;
	printf("%s: %u %s, %u bytes, trains of %u, %.1f s\n", s->name, s->pairs,
	       s->shape == SHAPE_IDLE ? "sessions" : "pairs", s->size, s->train, o->seconds);
	printf("%10s %10s %8s %8s | %8s %8s %8s %8s | %8s %8s | %8s %6s | %6s\n", "sent/s",
	       "deliv./s", "Mbit/s", "loss %", "p50 us", "p99", "p99.9", "max", "transit", "p99",
	       "relay ns", "cores", "idle %");
	for (size_t i = 0; i < count; i++) {
		const struct figures *f = &rows[i];
		printf("%10.0f %10.0f %8.1f %8.3f | %8.1f %8.1f %8.1f %8.1f | %8.1f %8.1f | "
		       "%8.0f %6.2f | %6.1f\n",
		       f->sent_per_s, f->delivered_per_s, f->bits_per_s / 1e6, f->loss * PERCENT,
		       us(f->latency_p50_ns), us(f->latency_p99_ns), us(f->latency_p999_ns),
		       us(f->latency_max_ns), us(f->transit_p50_ns), us(f->transit_p99_ns),
		       f->relay_ns_per_packet, f->relay_busy, f->idle_share * PERCENT);
		print_extras(f);
	}
	if (s->shape == SHAPE_FAIRNESS)
		printf("rows without and with a bulk flow of %.0f/s, in turn; voice since it left, "
		       "p99: %.1f us and %.1f us in the first; median of the ratios %.2f\n",
		       o->bulk_rate, us(rows[0].transit_p99_ns), us(rows[1].transit_p99_ns),
		       report_fairness(rows, count));
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void put_number(json_t *object, const char *key, double value)
{
	json_object_set_new(object, key, json_real(value));
}

static void put_count(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *row_json(const struct figures *f)
{
	json_t *row = json_object();
	put_number(row, "rate", f->rate);
	put_number(row, "sent_per_s", f->sent_per_s);
	put_number(row, "delivered_per_s", f->delivered_per_s);
	put_number(row, "bits_per_s", f->bits_per_s);
	put_number(row, "loss", f->loss);
	put_count(row, "sent", f->sent);
	put_count(row, "delivered", f->delivered);
	put_count(row, "not_authentic", f->bad);
	put_count(row, "samples", f->samples);
	put_count(row, "latency_p50_ns", f->latency_p50_ns);
	put_count(row, "latency_p99_ns", f->latency_p99_ns);
	put_count(row, "latency_p999_ns", f->latency_p999_ns);
	put_count(row, "latency_max_ns", f->latency_max_ns);
	put_number(row, "relay_ns_per_packet", f->relay_ns_per_packet);
	put_number(row, "relay_busy", f->relay_busy);
	put_number(row, "idle_share", f->idle_share);
	put_count(row, "transit_p50_ns", f->transit_p50_ns);
	put_count(row, "transit_p99_ns", f->transit_p99_ns);
	put_count(row, "slip_p50_ns", f->slip_p50_ns);
	put_count(row, "slip_p99_ns", f->slip_p99_ns);
	put_count(row, "hellos_sent", f->hellos_sent);
	put_count(row, "welcomes", f->welcomes);
	put_number(row, "handshakes_per_s", f->handshakes_per_s);
	put_count(row, "sessions", f->sessions);
	put_count(row, "bytes_per_session", f->bytes_per_session);
	put_count(row, "all_bytes_per_session", f->all_bytes_per_session);
	put_count(row, "descriptors", f->descriptors);
	put_number(row, "connects_per_s", f->connects_per_s);
	put_number(row, "keepalive_cores", f->keepalive_cores);
	put_number(row, "lookup_by_id_ns", f->lookup.by_id_ns);
	put_number(row, "lookup_by_peer_ns", f->lookup.by_peer_ns);
	json_object_set_new(row, "doubt", f->doubt != NULL ? json_string(f->doubt) : json_null());
	if (f->counters != NULL)
		json_object_set(row, "relay_counters", f->counters);
	return row;
}

void report_json(const struct options *o, const struct figures *rows, size_t count)
{
	json_t *all = json_object(), *list = json_array();
	json_object_set_new(all, "scenario", json_string(o->scenario.name));
	put_count(all, "pairs", o->scenario.pairs);
	put_count(all, "size", o->scenario.size);
	put_count(all, "train", o->scenario.train);
	put_number(all, "seconds", o->seconds);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, row_json(&rows[i]));
	if (o->scenario.shape == SHAPE_FAIRNESS) {
		put_number(all, "bulk_rate", o->bulk_rate);
		put_number(all, "fairness", report_fairness(rows, count));
	}
	json_object_set_new(all, "rows", list);
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}
