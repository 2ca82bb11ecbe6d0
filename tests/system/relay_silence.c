/*
 * Goal:   to who holds no security file the relay does not exist: whatever a stranger sends, not
 *         one byte comes back, nothing grows, and the relay goes on serving others.
 * Method: datagrams of every length; then true HELLOs and packets of clients, taken off the wire:
 *         again, cut, lengthened, with each bit changed; the same after a restart of the relay.
 *
 *   relay_silence ENGINE
 */
#include <unistd.h>

#include "core/security_file.h"
#include "crypto/crypto.h"
#include "tests/support/relay_process.h"
#include "tests/support/report.h"
#include "tests/support/udp.h"
#include "tests/support/wire_client.h"

enum {
	LENGTH_MAX = 65507,   /* the largest UDP payload over IPv4 */
	PACE = 64,            /* datagrams between two looks whether the relay is well */
	PACE_BYTES = 1 << 20, /* likewise: fits its socket's buffer */
	WARM_UP = 4096,       /* first lengths: buffers are touched for the first time */
	GROWTH_MAX = 1 << 20, /* bytes: an allocator's noise, no leak of 10 a datagram */
	WAIT_S = 30,
	TAKEN_MAX = 8,
	REPEATS = 20,
};

/* The third comes once and never again: the relay does not meet its device after the restart. */
static struct wire_client clients[3];
static unsigned received;
static int strangers[2]; /* IPv4, IPv6 or -1 */
static struct address relay_at[2];
static uint64_t sent;
static size_t unpaced_bytes;

/* What went over the wire, in the order of its going. */
static struct taken {
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	size_t size;
} hellos[TAKEN_MAX], packets[TAKEN_MAX];
static size_t hello_count, packet_count;

static void take_copy(struct wire_client *c, bool is_out, struct view datagram)
{
	struct taken *to;
	if (!is_out)
		return;
	if (!c->is_up && hello_count < TAKEN_MAX && c->datagrams_in == 0)
		to = &hellos[hello_count++];
	else if (c->is_up && packet_count < TAKEN_MAX)
		to = &packets[packet_count++];
	else
		return;
	memcpy(to->bytes, datagram.data, datagram.size);
	to->size = datagram.size;
}

/* ---- those who may ----------------------------------------------------------------------- */

static void count_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	(void)c;
	(void)channel;
	received += blob.size == 3;
}

static bool has_received(void *state)
{
	return received >= *(unsigned *)state;
}

/* One blob from one to the other: so the relay has worked off what came before. */
static bool is_served(void)
{
	unsigned wanted = received + 1;
	return clients[0].channel != 0 &&
	       wire_send(&clients[0], clients[0].channel, view_of("abc", 3)) &&
	       wire_wait(clients, 2, WAIT_S, has_received, &wanted);
}

/* ---- the stranger ------------------------------------------------------------------------ */

static void stranger_sends(size_t family, const uint8_t *bytes, size_t size)
{
	if (strangers[family] < 0)
		return;
	udp_test_send(strangers[family], &relay_at[family], bytes, size);
	sent++;
	unpaced_bytes += size;
	if (sent % PACE != 0 && unpaced_bytes < PACE_BYTES)
		return;
	unpaced_bytes = 0;
	if (!is_served())
		printf("# not served after %llu datagrams\n", (unsigned long long)sent);
}

static bool is_silent(void)
{
	bool is_well = is_served() && is_served();
	return is_well && udp_test_is_silent(strangers[0]) &&
	       (strangers[1] < 0 || udp_test_is_silent(strangers[1]));
}

static void send_lengths(size_t family, size_t from, size_t to)
{
	static uint8_t bytes[LENGTH_MAX];
	const struct random_source random = random_system();
	random_fill(&random, bytes, sizeof(bytes));
	for (size_t size = from; size <= to; size++) {
		size_t head = size < 64 ? size : 64;
		random_fill(&random, bytes, head);
		stranger_sends(family, bytes, size);
	}
}

static void send_variants(const struct taken *t)
{
	uint8_t bytes[DATAGRAM_SIZE_MAX + 64] = { 0 };
	memcpy(bytes, t->bytes, t->size);
	for (size_t i = 0; i < REPEATS; i++)
		for (size_t family = 0; family < 2; family++)
			stranger_sends(family, bytes, t->size);
	for (size_t size = 0; size < t->size; size += 3)
		stranger_sends(0, bytes, size);
	for (size_t size = t->size + 1; size <= sizeof(bytes); size += 5)
		stranger_sends(0, bytes, size);
	for (size_t bit = 0; bit < 8 * t->size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		stranger_sends(bit % 2, bytes, t->size);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void send_taken(void)
{
	/* Two of each are enough for every bit; of the others the copies. */
	for (size_t i = 0; i < hello_count; i++)
		for (size_t family = 0; family < 2; family++)
			stranger_sends(family, hellos[i].bytes, hellos[i].size);
	for (size_t i = 0; i < packet_count; i++)
		for (size_t family = 0; family < 2; family++)
			stranger_sends(family, packets[i].bytes, packets[i].size);
	for (size_t i = 0; i < 2; i++) {
		send_variants(&hellos[i]);
		send_variants(&packets[i]);
	}
}

/* ---- the course of it -------------------------------------------------------------------- */

static bool connect_clients(const struct relay_process *relay)
{
	const struct address here = address_v4(127, 0, 0, 1, 0);
	struct link_config file;
	char state[TEST_PATH_SIZE];
	if (!wire_file_read(test_directory_path(&relay->directory, "state", state), &file))
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (!wire_client_open(&clients[i], &file, &here))
			return false;
		clients[i].on_blob = count_blob;
		clients[i].on_datagram = take_copy;
	}
	if (!wire_wait_up(clients, 3, WAIT_S))
		return false;
	wire_client_close(&clients[2]);
	if (!wire_join(clients, WAIT_S))
		return false;
	while (packet_count < TAKEN_MAX)
		if (!is_served())
			return false;
	for (size_t i = 0; i < 2; i++) {
		relay_at[i] = file.addresses[i];
		relay_at[i].port = file.doors[0].port;
	}
	return hello_count >= 3;
}

static void run(struct relay_process *relay)
{
	if (!report(relay_process_start(relay) && connect_clients(relay), "clients talk",
		    "see the relay's log"))
		return;
	send_lengths(0, 0, WARM_UP);
	send_taken();
	report(is_silent(), "short datagrams and taken ones: not one byte comes back",
	       "something came, or clients were not served");
	long long copies = relay_process_number(relay, "keeper", "handshakes_dropped");
	report(copies >= REPEATS, "the copies of a HELLO were known for what they are",
	       "%lld were dropped", copies);
	size_t before = relay_process_bytes(relay);
	send_lengths(0, WARM_UP + 1, LENGTH_MAX);
	send_lengths(1, 0, WARM_UP);
	send_taken();
	report(is_silent(), "datagrams of every length: not one byte comes back",
	       "something came, or clients were not served");
	size_t after = relay_process_bytes(relay);
	report(after <= before + GROWTH_MAX, "the relay does not grow", "from %zu to %zu bytes",
	       before, after);
	report(clients[0].ups == 1 && clients[1].ups == 1, "clients stayed connected",
	       "they connected %u and %u times", clients[0].ups, clients[1].ups);
	long long seen = relay_process_number(relay, "engine", "rx_packets") +
			 relay_process_number(relay, "engine", "rx_empty") +
			 relay_process_number(relay, "engine", "rx_cut");
	report(seen >= (long long)sent, "all of it came to the relay", "%lld of %llu", seen,
	       (unsigned long long)sent);
}

static bool are_rejoined(void *state)
{
	(void)state;
	return clients[0].ups == 2 && clients[1].ups == 2 && wire_is_joined(clients);
}

static void run_again(struct relay_process *relay)
{
	relay_process_stop(relay, SIGTERM);
	if (!report(relay_process_start(relay) && wire_wait(clients, 2, WAIT_S, are_rejoined, NULL),
		    "the relay starts anew, clients are back", "see the relay's log"))
		return;
	send_taken();
	report(is_silent(), "what was taken before its restart: not one byte comes back",
	       "something came, or clients were not served");
}

int main(int argc, char **argv)
{
	static char prefix[32];
	const struct address here = address_v4(127, 0, 0, 9, 0), here6 = { .ip = { [15] = 1 } };
	const char *engine = argc > 1 ? argv[1] : "epoll", *failed;
	struct relay_process relay;
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		return 1;
	snprintf(prefix, sizeof(prefix), "%s: ", engine);
	report_prefix(prefix);
	if (!relay_process_has_engine(engine)) {
		report_skip(engine, "the system refuses a ring");
		return 0;
	}
	strangers[0] = udp_test_open(&here);
	strangers[1] = access("/proc/net/if_inet6", R_OK) == 0 ? udp_test_open(&here6) : -1;
	relay_process_init(&relay, engine);
	/* One worker: once it serves the clients it has seen all that came before. */
	relay_process_option(&relay, "--network.workers=1");
	relay_process_option(&relay, "--limits.handshake_rate=1000000");
	relay_process_option(&relay, "--limits.handshake_burst=1000000");
	run(&relay);
	run_again(&relay);
	for (size_t i = 0; i < 2; i++)
		wire_client_close(&clients[i]);
	relay_process_fini(&relay);
	crypto_fini();
	return report_status();
}
