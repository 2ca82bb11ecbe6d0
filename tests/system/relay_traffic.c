/*
 * Clients talk through a real relay: much, from everywhere, many at once, over its restart and over
 * changes of their address.
 *
 *   relay_traffic ENGINE
 */
#include <sys/resource.h>
#include <unistd.h>

#include "core/security_file.h"
#include "crypto/crypto.h"
#include "net/udp_socket.h"
#include "tests/support/relay_process.h"
#include "tests/support/report.h"
#include "tests/support/udp.h"
#include "tests/support/wire_client.h"

enum {
	BLOBS = 50000, /* each way */
	WINDOW = 192,  /* on the way at most: fits every socket buffer */
	CROWD = 200,
	WAIT_S = 30,
	RECONNECT_S = 20,
	MOVE_LOSS_MAX = 64, /* blobs in flight while the relay challenges the new address */
	TRACKED_MAX = BLOBS,
};

static struct wire_client *clients;
static struct link_config file;

static struct address loopback(uint8_t last)
{
	return address_v4(127, 0, 0, last, 0);
}

static struct address loopback6(void)
{
	return (struct address){ .ip = { [15] = 1 } };
}

/* ---- traffic that is checked ------------------------------------------------------------- */

/* What one client got from the other. */
struct inbox {
	uint8_t seen[TRACKED_MAX / 8 + 1];
	unsigned count;
	unsigned twice, altered;
};

static uint32_t scramble(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352d;
	x = (x ^ x >> 15) * 0x846ca68b;
	return x ^ x >> 16;
}

/* Blob number `n`: its size and every byte follow from that. */
static size_t make_blob(uint32_t n, uint8_t out[BLOB_SIZE_MAX])
{
	size_t size = sizeof(n) + scramble(n) % (BLOB_SIZE_MAX - sizeof(n) + 1);
	uint8_t fill = (uint8_t)scramble(n + 1);
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(fill + i);
	le32 number = store_le32(n);
	memcpy(out, number.b, sizeof(number.b));
	return size;
}

static void check_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	struct inbox *inbox = c->state;
	uint8_t expected[BLOB_SIZE_MAX];
	le32 number;
	if (blob.size < sizeof(number) || channel != c->channel) {
		inbox->altered++;
		return;
	}
	memcpy(number.b, blob.data, sizeof(number.b));
	uint32_t n = load_le32(number);
	size_t size = n < TRACKED_MAX ? make_blob(n, expected) : 0;
	if (size != blob.size || memcmp(expected, blob.data, size) != 0) {
		inbox->altered++;
		return;
	}
	inbox->twice += inbox->seen[n / 8] >> n % 8 & 1;
	inbox->seen[n / 8] |= (uint8_t)(1 << n % 8);
	inbox->count++;
}

struct exchange {
	struct wire_client *pair;
	struct inbox *inboxes;
	uint32_t sent[2];
	uint32_t wanted;
	uint32_t window;
};

static bool step_exchange(void *state)
{
	struct exchange *x = state;
	uint8_t blob[BLOB_SIZE_MAX];
	for (size_t i = 0; i < 2; i++) {
		const struct inbox *other = &x->inboxes[1 - i];
		while (x->sent[i] < x->wanted && x->sent[i] - other->count < x->window) {
			size_t size = make_blob(x->sent[i], blob);
			if (!wire_send(&x->pair[i], x->pair[i].channel, view_of(blob, size)))
				break;
			x->sent[i]++;
		}
	}
	return x->inboxes[0].count >= x->wanted && x->inboxes[1].count >= x->wanted;
}

/* Both ways, paced. */
static bool exchange(struct wire_client *pair, uint32_t wanted, unsigned seconds)
{
	static struct inbox inboxes[2];
	struct exchange x = {
		.pair = pair, .inboxes = inboxes, .wanted = wanted, .window = WINDOW
	};
	memset(inboxes, 0, sizeof(inboxes));
	for (size_t i = 0; i < 2; i++) {
		pair[i].state = &inboxes[i];
		pair[i].on_blob = check_blob;
	}
	bool is_done = wire_wait(pair, 2, seconds, step_exchange, &x);
	if (!is_done)
		printf("# %u and %u of %u came\n", inboxes[0].count, inboxes[1].count, wanted);
	for (size_t i = 0; i < 2; i++) {
		pair[i].on_blob = NULL;
		if (inboxes[i].twice > 0 || inboxes[i].altered > 0) {
			printf("# twice %u, altered %u\n", inboxes[i].twice, inboxes[i].altered);
			is_done = false;
		}
	}
	return is_done;
}

static bool open_pair(struct address a, struct address b)
{
	bool is_open = wire_client_open(&clients[0], &file, &a) &&
		       wire_client_open(&clients[1], &file, &b);
	return is_open && wire_join(clients, WAIT_S);
}

static void close_all(size_t count)
{
	for (size_t i = 0; i < count; i++)
		wire_client_close(&clients[i]);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void test_much(void)
{
	bool is_good = open_pair(loopback(1), loopback(1)) && exchange(clients, BLOBS, 60);
	report(is_good, "100,000 blobs of all sizes arrive once and unaltered", "see above");
	close_all(2);
}

/* Goal: whoever comes by IPv4 and whoever comes by IPv6 meet. */
static void test_both_families(void)
{
	struct address v6 = loopback6();
	int fd = udp_socket_open(&v6, &(struct udp_socket_options){ 0 });
	bool has_v6 = fd >= 0;
	if (has_v6)
		close(fd);
	if (!has_v6) {
		report_skip("IPv4 and IPv6 meet", "no IPv6 on the loopback interface");
		return;
	}
	report(open_pair(loopback(1), v6) && exchange(clients, 2000, WAIT_S), "IPv4 and IPv6 meet",
	       "no exchange");
	report(clients[0].strays + clients[1].strays == 0, "each is answered from where it asked",
	       "%llu strays", (unsigned long long)(clients[0].strays + clients[1].strays));
	close_all(2);
}

/* Goal: a relay that listens on the wildcard answers from the address that it was asked on. */
static void test_many_homes(void)
{
	struct link_config here = file;
	here.addresses[0] = loopback(2);
	struct address from = loopback(3);
	bool is_good = wire_client_open(&clients[0], &here, &from) &&
		       wire_client_open(&clients[1], &file, &from) && wire_join(clients, WAIT_S) &&
		       exchange(clients, 2000, WAIT_S);
	report(is_good, "a relay asked on 127.0.0.2 is heard", "no exchange");
	report(clients[0].strays == 0 && clients[1].strays == 0, "and answers from there",
	       "%llu strays", (unsigned long long)(clients[0].strays + clients[1].strays));
	close_all(2);
}

static bool open_crowd(void)
{
	struct address from = loopback(1);
	for (size_t i = 0; i < CROWD; i++)
		if (!wire_client_open(&clients[i], &file, &from))
			return false;
	return true;
}

static size_t count_sessions(const struct relay_process *relay)
{
	json_t *answer = relay_process_ask(relay, "sessions"), *session;
	size_t index, count = 0;
	json_array_foreach(json_object_get(answer, "sessions"), index, session) count +=
		json_is_true(json_object_get(session, "established"));
	json_decref(answer);
	return count;
}

static bool is_crowd_known(void *state)
{
	return count_sessions(state) == CROWD;
}

static bool heard_stopping(size_t count)
{
	size_t heard = 0;
	for (size_t i = 0; i < count; i++)
		heard += !clients[i].is_up && clients[i].down_reason == REASON_STOPPING;
	return heard == count;
}

static bool has_heard_stopping(void *state)
{
	(void)state;
	return heard_stopping(CROWD);
}

/* Goal: many at once, and again after the relay was started anew. */
static void test_crowd(struct relay_process *relay)
{
	uint64_t start_ns = clock_now().mono_ns;
	bool is_good = open_crowd() && wire_wait_up(clients, CROWD, WAIT_S);
	uint64_t took_ms = (clock_now().mono_ns - start_ns) / NS_PER_MS;
	report(is_good, "200 clients connect at once", "after %llu ms not all",
	       (unsigned long long)took_ms);
	report(wire_wait(clients, CROWD, WAIT_S, is_crowd_known, relay),
	       "and are known to the relay", "it knows %zu", count_sessions(relay));

	int code = relay_process_stop(relay, SIGTERM);
	report(code == 0, "the relay stops with 0", "%d", code);
	report(wire_wait(clients, CROWD, 5, has_heard_stopping, NULL),
	       "and all clients hear that it does", "not all");
	for (size_t i = 0; i < CROWD; i++)
		clients[i].is_up = false;
	start_ns = clock_now().mono_ns;
	is_good = relay_process_start(relay) && wire_wait_up(clients, CROWD, RECONNECT_S);
	took_ms = (clock_now().mono_ns - start_ns) / NS_PER_MS;
	report(is_good, "after its restart all connect again within 20 s", "after %llu ms not all",
	       (unsigned long long)took_ms);
	printf("# again after %llu ms\n", (unsigned long long)took_ms);
	close_all(CROWD);
}

static bool step_chatter(void *state)
{
	struct exchange *x = state;
	uint8_t blob[BLOB_SIZE_MAX];
	for (size_t i = 0; i < 2; i++) {
		size_t size = make_blob(x->sent[i] % TRACKED_MAX, blob);
		if (x->pair[i].channel != 0 &&
		    wire_send(&x->pair[i], x->pair[i].channel, view_of(blob, size)))
			x->sent[i]++;
	}
	return x->pair[0].ups >= x->wanted && x->pair[1].ups >= x->wanted;
}

/* Goal: a relay that died without a word is found again, too. */
static void test_crash(struct relay_process *relay)
{
	bool is_good = open_pair(loopback(1), loopback(1));
	struct exchange x = { .pair = clients, .wanted = 2 };
	relay_process_stop(relay, SIGKILL);
	uint64_t start_ns = clock_now().mono_ns;
	is_good = is_good && relay_process_start(relay) &&
		  wire_wait(clients, 2, RECONNECT_S, step_chatter, &x);
	uint64_t took_ms = (clock_now().mono_ns - start_ns) / NS_PER_MS;
	report(is_good, "after its death those who talk connect again within 20 s",
	       "not after %llu ms", (unsigned long long)took_ms);
	printf("# again after %llu ms\n", (unsigned long long)took_ms);
	close_all(2);
}

/* ---- changes of address ------------------------------------------------------------------ */

/* A datagram of the client as it went out, for a stranger to play with. */
static struct {
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	size_t size;
} taken;

static void take_copy(struct wire_client *c, bool is_out, struct view datagram)
{
	(void)c;
	if (!is_out)
		return;
	memcpy(taken.bytes, datagram.data, datagram.size);
	taken.size = datagram.size;
}

struct paced {
	struct exchange x;
	uint32_t wanted_sent;
	uint64_t next_ns;
};

/* A blob each way every 5 ms: what comes is counted, and nothing waits for it. */
static bool step_paced(void *state)
{
	struct paced *p = state;
	uint64_t now_ns = clock_now().mono_ns;
	if (now_ns >= p->next_ns) {
		(void)step_chatter(&p->x);
		p->next_ns = now_ns + 5 * NS_PER_MS;
	}
	return p->x.sent[0] >= p->wanted_sent;
}

/*
 * Goal:   a client whose address changes keeps its session and loses next to nothing; who sends
 *         its datagrams again, changed or not, moves nothing.
 * Method: another socket in the midst of traffic; then a stranger's socket.
 */
static void test_move(const struct relay_process *relay)
{
	static struct inbox inboxes[2];
	struct address other = loopback(4);
	memset(inboxes, 0, sizeof(inboxes));
	bool is_good = open_pair(loopback(1), loopback(1));
	for (size_t i = 0; i < 2; i++) {
		clients[i].state = &inboxes[i];
		clients[i].on_blob = check_blob;
	}
	struct paced p = { .x = { .pair = clients, .inboxes = inboxes, .wanted = UINT32_MAX },
			   .wanted_sent = 50 };
	is_good = is_good && wire_wait(clients, 2, WAIT_S, step_paced, &p) &&
		  wire_client_rebind(&clients[0], &other);
	p.wanted_sent = 500;
	is_good = is_good && wire_wait(clients, 2, WAIT_S, step_paced, &p);
	/* Blobs each way went with the old socket, and until the challenge was answered. */
	unsigned lost = p.x.sent[0] + p.x.sent[1] - inboxes[0].count - inboxes[1].count;
	report(is_good && clients[0].ups == 1, "a session moves to its client's new address",
	       "ups %u", clients[0].ups);
	long long moves = relay_process_number(relay, "keeper", "path_moves");
	report(moves == 1, "by one path challenge", "%lld moves", moves);
	report(lost <= MOVE_LOSS_MAX, "with a few datagrams lost", "%u lost", lost);
	printf("# %u lost of %u\n", lost, p.x.sent[0] + p.x.sent[1]);

	clients[0].on_datagram = take_copy;
	p.wanted_sent += 10;
	is_good = wire_wait(clients, 2, WAIT_S, step_paced, &p);
	clients[0].on_datagram = NULL;
	struct link_status status;
	link_get_status(clients[0].link, &status);
	int stranger = udp_test_open(&other);
	long long challenges = relay_process_number(relay, "keeper", "path_challenges");
	udp_test_send(stranger, &status.relay, taken.bytes, taken.size);
	for (size_t bit = 0; bit < 8 * taken.size; bit += 7) {
		taken.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		udp_test_send(stranger, &status.relay, taken.bytes, taken.size);
		taken.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	p.wanted_sent += 100;
	is_good = is_good && wire_wait(clients, 2, WAIT_S, step_paced, &p);
	report(is_good && relay_process_number(relay, "keeper", "path_challenges") == challenges &&
		       relay_process_number(relay, "keeper", "path_moves") == moves,
	       "forged and repeated datagrams move nothing", "a challenge or a move");
	report(udp_test_is_silent(stranger), "and their sender hears nothing", "it does");
	close(stranger);
	close_all(2);
}

/* ---- main -------------------------------------------------------------------------------- */

static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	static char prefix[32];
	char state[TEST_PATH_SIZE];
	struct relay_process relay;
	const char *engine = argc > 1 ? argv[1] : "epoll", *failed;
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		return 1;
	if (!relay_process_has_engine(engine)) {
		report_skip(engine, "the system refuses a ring");
		return 0;
	}
	raise_descriptors();
	snprintf(prefix, sizeof(prefix), "%s: ", engine);
	report_prefix(prefix);
	clients = calloc(CROWD, sizeof(*clients));
	relay_process_init(&relay, engine);
	relay_process_option(&relay, "--limits.handshake_rate=100000");
	relay_process_option(&relay, "--limits.handshake_burst=100000");
	test_directory_path(&relay.directory, "state", state);
	if (report(clients != NULL && relay_process_start(&relay) && wire_file_read(state, &file),
		   "relay starts and its file can be read", "see its log")) {
		test_much();
		test_both_families();
		test_many_homes();
		test_move(&relay);
		test_crowd(&relay);
		if (strcmp(engine, "epoll") == 0)
			test_crash(&relay); /* 13 s, and nothing of the engine's */
		int code = relay_process_stop(&relay, SIGTERM);
		report(code == 0, "relay ends well", "exit code %d", code);
	}
	relay_process_fini(&relay);
	free(clients);
	crypto_fini();
	return report_status();
}
