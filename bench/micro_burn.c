/*
 * How fast the Compromised Protocol is: a real relay with 10,000 sessions over loopback, a hundred
 * files with a hundred sessions each, half of which send to the other half all the time. One file
 * after the other is reported, by the operator and by a client in turn; at last the whole relay
 * with another 10,000.
 *
 *   micro_burn [CLAWCHATD]
 *
 * Prints p50 and largest of: signal to the last packet that a session of the file received, seen
 * from outside, for both signals; and what the relay tells the operator: last packet, keys erased,
 * new file on disk. Of a client's signal the new file is looked for from outside. Exits with 1
 * where one is above its target.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/process.h"
#include "bench/relay_peers.h"
#include "core/instant.h"
#include "crypto/crypto.h"
#include "net/clock.h"

enum {
	FILES = 100,
	PEERS = 100, /* of each file: pairs */
	FLOWS = PEERS / 2,
	SOCKETS = 2,        /* of each file */
	REST_PEERS = 10000, /* of the last file, all at once */
	REST_SOCKETS = 64,
	PAYLOAD = 200,
	TARGET_LAST_MS = 100,
	TARGET_ERASE_MS = 1000,
	TARGET_FILE_MS = 1000,
	REQUEST_SIZE = 512,
	ANSWER_SIZE = 4096,
};

#define WARM_UP_NS (30 * NS_PER_MS)
#define SILENCE_NS (150 * NS_PER_MS)
#define LIMIT_NS (20 * NS_PER_S)
#define WAIT_NS (100 * NS_PER_US)
#define RESEND_NS (5 * NS_PER_MS)
#define LOOK_NS (2 * NS_PER_MS) /* between looks for the new file */
#define REPEAT_NS (NS_PER_S)    /* a report that was lost */

struct figures {
	double last_ms[FILES], kill_ms[FILES], erase_ms[FILES], file_ms[FILES];
	size_t count;
};

struct bench {
	struct own_relay own;
	struct relay_peers *sets[FILES];
	struct figures figures; /* of the operator's signals */
	struct figures reports; /* of clients': last_ms and file_ms */
};

static void stop_on(const char *what, const char *error)
{
	if (error == NULL)
		return;
	fprintf(stderr, "micro_burn: %s: %s\n", what, error);
	exit(EXIT_FAILURE);
}

/* ---- admin socket ------------------------------------------------------------------------ */

/* Send a request, do not wait for its answer. */
static int admin_begin(const struct bench *b, const char *request)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = strlen(request);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", b->own.admin);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    write(fd, request, size) != (ssize_t)size)
		stop_on("admin socket", strerror(errno));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* What has come of the answer. NULL: not all of it. */
static json_t *admin_poll(int fd, char answer[ANSWER_SIZE], size_t *used)
{
	ssize_t got;
	while ((got = read(fd, answer + *used, ANSWER_SIZE - 1 - *used)) > 0)
		*used += (size_t)got;
	if (*used == 0 || answer[*used - 1] != '\n')
		return NULL;
	return json_loadb(answer, *used, JSON_DISABLE_EOF_CHECK, NULL);
}

/* ---- sessions ---------------------------------------------------------------------------- */

static struct relay_peers *connect_peers(const struct bench *b, const char *path, uint32_t peers,
					 uint32_t sockets)
{
	struct relay_config config = { .peers = peers, .flows = peers / 2, .sockets = sockets };
	struct relay_peers *r;
	struct relay_join *joins = calloc(peers / 2, sizeof(*joins));
	stop_on("file", relay_read_file(path, b->own.key_file, &config));
	stop_on("peers", relay_peers_create(&config, &r));
	stop_on("connect", relay_peers_connect(r));
	for (uint32_t i = 0; i < peers / 2; i++)
		joins[i] = (struct relay_join){ .from = 2 * i, .to = 2 * i + 1, .flow = i };
	stop_on("join", relay_peers_join(r, joins, peers / 2));
	free(joins);
	return r;
}

static struct relay_peers *issue_and_connect(const struct bench *b, size_t index)
{
	char path[PROCESS_PATH_MAX + 32], request[REQUEST_SIZE], answer[ANSWER_SIZE];
	size_t used = 0;
	json_t *object;
	snprintf(path, sizeof(path), "%s/file-%zu.sec", b->own.directory, index);
	snprintf(request, sizeof(request), "{\"command\":\"issue\",\"path\":\"%s\"}\n", path);
	int fd = admin_begin(b, request);
	while ((object = admin_poll(fd, answer, &used)) == NULL)
		usleep(1000);
	json_decref(object);
	close(fd);
	return connect_peers(b, path, PEERS, SOCKETS);
}

/* ---- traffic ----------------------------------------------------------------------------- */

/* Packets under way, and when the latest were sent. */
static struct window {
	uint64_t sent_ns;
	size_t under_way;
} windows[2];

static void send_all(struct relay_peers *r, uint32_t flows)
{
	const struct target target = relay_target(r);
	const struct load_stream stream = { .kind = LOAD_DATA, .size = PAYLOAD };
	struct load_frame frame;
	for (uint32_t flow = 0; flow < flows; flow++) {
		target.ops->write(target.state, &stream, flow, load_now_ns(), &frame);
		struct iovec part = { .iov_base = frame.data, .iov_len = frame.size };
		if (frame.size > 0)
			(void)!sockets_send(target.sockets, frame.socket, &part, 1, frame.size);
	}
}

/* A packet of each flow when the last ones are here, or RESEND_NS old: so none waits in a queue of
 * ours, where it would look as if it came late. Returns how many arrived. */
static size_t carry(struct relay_peers *r, uint32_t flows, struct window *w)
{
	const struct target target = relay_target(r);
	struct arrival *arrivals;
	size_t delivered = 0;
	uint64_t now_ns = clock_now().mono_ns;
	if (w->under_way == 0 || now_ns > w->sent_ns + RESEND_NS) {
		send_all(r, flows);
		*w = (struct window){ .sent_ns = now_ns, .under_way = flows };
	}
	size_t count = sockets_receive(target.sockets, WAIT_NS, &arrivals);
	target.ops->read(target.state, arrivals, count);
	for (size_t i = 0; i < count; i++)
		delivered += arrivals[i].kind == LOAD_DATA;
	w->under_way -= delivered < w->under_way ? delivered : w->under_way;
	return delivered;
}

static void warm_up(struct relay_peers *r, uint32_t flows)
{
	uint64_t end_ns = clock_now().mono_ns + WARM_UP_NS;
	size_t delivered = 0;
	while (clock_now().mono_ns < end_ns || delivered < flows) {
		delivered += carry(r, flows, &windows[0]);
		if (clock_now().mono_ns > end_ns + LIMIT_NS)
			stop_on("traffic", "nothing arrives");
	}
}

/* ---- one signal -------------------------------------------------------------------------- */

struct signal {
	uint64_t at_ns, last_ns;
	json_t *answer;
};

static void report(struct bench *b, struct relay_peers *r, struct relay_peers *bystanders,
		   const char *request, struct signal *s)
{
	char answer[ANSWER_SIZE];
	size_t used = 0;
	uint32_t flows = r->config.flows < FLOWS ? r->config.flows : FLOWS;
	warm_up(r, flows);
	*s = (struct signal){ .at_ns = clock_now().mono_ns };
	s->last_ns = s->at_ns;
	int fd = admin_begin(b, request);
	for (uint64_t now_ns = s->at_ns; s->answer == NULL || now_ns < s->last_ns + SILENCE_NS;
	     now_ns = clock_now().mono_ns) {
		if (carry(r, flows, &windows[0]) > 0)
			s->last_ns = clock_now().mono_ns;
		if (bystanders != NULL)
			(void)carry(bystanders, flows, &windows[1]);
		if (s->answer == NULL)
			s->answer = admin_poll(fd, answer, &used);
		if (now_ns > s->at_ns + LIMIT_NS)
			stop_on("signal", "no end of it");
	}
	close(fd);
}

/* The relay's newest file: its name in `path`. */
static void current_file(const struct bench *b, char path[PROCESS_PATH_MAX])
{
	json_t *status = admin_ask(b->own.admin, "status");
	const char *text = json_string_value(json_object_get(status, "current_file"));
	snprintf(path, PROCESS_PATH_MAX, "%s", text != NULL ? text : "");
	json_decref(status);
}

/* The control thread answers when it is done; until then the question waits beside the traffic. */
static bool has_new_file(const struct bench *b, int *fd, char answer[ANSWER_SIZE], size_t *used,
			 const char *before)
{
	if (*fd < 0) {
		*used = 0;
		*fd = admin_begin(b, "{\"command\":\"status\"}\n");
	}
	json_t *status = admin_poll(*fd, answer, used);
	if (status == NULL)
		return false;
	const char *text = json_string_value(json_object_get(status, "current_file"));
	bool is_new = text != NULL && strcmp(text, before) != 0;
	json_decref(status);
	close(*fd);
	*fd = -1;
	return is_new;
}

static void report_by_client(struct bench *b, size_t index)
{
	char answer[ANSWER_SIZE], before[PROCESS_PATH_MAX];
	struct relay_peers *r = b->sets[index];
	struct relay_peers *bystanders = index + 1 < FILES ? b->sets[index + 1] : NULL;
	struct figures *f = &b->reports;
	struct wire_burn burn = { 0 };
	size_t used = 0;
	int fd = -1;
	current_file(b, before);
	warm_up(r, FLOWS);
	uint64_t at_ns = clock_now().mono_ns, last_ns = at_ns, file_ns = 0, repeat_ns = at_ns;
	uint64_t look_ns = at_ns + LOOK_NS;
	for (uint64_t now_ns = at_ns; file_ns == 0 || now_ns < last_ns + SILENCE_NS;
	     now_ns = clock_now().mono_ns) {
		if (now_ns >= repeat_ns && file_ns == 0) {
			relay_report(r, &burn);
			repeat_ns = now_ns + REPEAT_NS;
		}
		if (carry(r, FLOWS, &windows[0]) > 0)
			last_ns = clock_now().mono_ns;
		if (bystanders != NULL)
			(void)carry(bystanders, FLOWS, &windows[1]);
		if (file_ns == 0 && now_ns >= look_ns) {
			if (has_new_file(b, &fd, answer, &used, before))
				file_ns = clock_now().mono_ns;
			look_ns = now_ns + LOOK_NS;
		}
		if (now_ns > at_ns + LIMIT_NS)
			stop_on("report", "no end of it");
	}
	f->last_ms[f->count] = (double)(last_ns - at_ns) / (double)NS_PER_MS;
	f->file_ms[f->count++] = (double)(file_ns - at_ns) / (double)NS_PER_MS;
	relay_peers_destroy(r);
	b->sets[index] = NULL;
}

static double number(const json_t *answer, const char *name)
{
	return (double)json_integer_value(json_object_get(answer, name));
}

static void report_file(struct bench *b, size_t index)
{
	char request[REQUEST_SIZE], id[2 * FILE_ID_SIZE + 1];
	struct relay_peers *r = b->sets[index];
	struct figures *f = &b->figures;
	struct signal s;
	for (size_t i = 0; i < FILE_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", r->config.file.file_id[i]);
	snprintf(request, sizeof(request),
		 "{\"command\":\"compromised\",\"scope\":\"file\",\"id\":\"%s\"}\n", id);
	report(b, r, index + 1 < FILES ? b->sets[index + 1] : NULL, request, &s);
	if (number(s.answer, "sessions") != PEERS)
		stop_on("signal", "not all sessions of the file were ended");
	f->last_ms[f->count] = (double)(s.last_ns - s.at_ns) / (double)NS_PER_MS;
	f->kill_ms[f->count] = number(s.answer, "kill_ms");
	f->erase_ms[f->count] = number(s.answer, "erase_ms");
	f->file_ms[f->count] = number(s.answer, "file_ms");
	f->count++;
	json_decref(s.answer);
	relay_peers_destroy(r);
	b->sets[index] = NULL;
}

/* ---- figures ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static bool print_row(const char *name, double *values, size_t count, double target_ms)
{
	qsort(values, count, sizeof(*values), compare);
	double largest = values[count - 1];
	printf("%-34s p50 %7.1f ms   max %7.1f ms   target %5.0f ms%s\n", name, values[count / 2],
	       largest, target_ms, largest <= target_ms ? "" : "   MISSED");
	return largest <= target_ms;
}

static bool print_figures(struct figures *f)
{
	bool is_good =
		print_row("signal to last packet, outside", f->last_ms, f->count, TARGET_LAST_MS);
	is_good &= print_row("signal to last packet, inside", f->kill_ms, f->count, TARGET_LAST_MS);
	is_good &= print_row("signal to keys erased", f->erase_ms, f->count, TARGET_ERASE_MS);
	is_good &= print_row("signal to new file on disk", f->file_ms, f->count, TARGET_FILE_MS);
	return is_good;
}

/* All at once. */
static bool report_server(struct bench *b)
{
	struct signal s;
	json_t *status = admin_ask(b->own.admin, "status");
	const char *path = json_string_value(json_object_get(status, "current_file"));
	struct relay_peers *r = connect_peers(b, path, REST_PEERS, REST_SOCKETS);
	json_decref(status);
	report(b, r, NULL, "{\"command\":\"compromised\",\"scope\":\"server\"}\n", &s);
	struct figures f = { .count = 1 };
	f.last_ms[0] = (double)(s.last_ns - s.at_ns) / (double)NS_PER_MS;
	f.kill_ms[0] = number(s.answer, "kill_ms");
	f.erase_ms[0] = number(s.answer, "erase_ms");
	f.file_ms[0] = number(s.answer, "file_ms");
	printf("\nthe whole relay, %.0f sessions\n", number(s.answer, "sessions"));
	json_decref(s.answer);
	relay_peers_destroy(r);
	return print_figures(&f);
}

int main(int argc, char **argv)
{
	static struct bench b;
	const char *failed = NULL;
	const struct own_relay_config config = {
		.daemon = argc > 1 ? argv[1] : "clawchatd",
		.under = "",
		.address = address_v4(127, 0, 0, 1, 0),
		.overrides = { "security.keep_schedule=yes", "limits.handshake_rate=1000000",
			       "limits.handshake_burst=1000000", "limits.idle_timeout=1h",
			       "network.workers=2", "log.level=error",
			       "security.burns_per_hour=64" },
		.override_count = 7,
	};
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		stop_on("cryptography", failed);
	(void)sockets_raise_limit();
	stop_on("relay", own_relay_start(&b.own, &config));
	for (size_t i = 0; i < FILES; i++)
		b.sets[i] = issue_and_connect(&b, i);
	json_t *status = admin_ask(b.own.admin, "status");
	printf("%.0f sessions of %d files; each file is reported\n", number(status, "sessions"),
	       FILES);
	json_decref(status);
	for (size_t i = 0; i < FILES; i++) {
		if (i % 2 == 0)
			report_file(&b, i);
		else
			report_by_client(&b, i);
	}
	bool is_good = print_figures(&b.figures);
	is_good &= print_row("client's signal to last packet", b.reports.last_ms, b.reports.count,
			     TARGET_LAST_MS);
	is_good &= print_row("client's signal to new file", b.reports.file_ms, b.reports.count,
			     TARGET_FILE_MS);
	is_good &= report_server(&b);
	own_relay_stop(&b.own);
	crypto_fini();
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
