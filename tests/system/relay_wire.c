/*
 * Time limit: 500 s
 *
 * Goal:   no byte at a fixed offset of any datagram, in either direction, is constant or skewed,
 *         and no header comes twice.
 * Method: clients of a real relay count what they send and receive: handshakes by the thousand,
 *         blobs of all sizes, a million datagrams in all. Chi-square over the 256 values at each of
 *         the first 48 offsets, for each direction by itself.
 *
 *   relay_wire ENGINE
 */
#include "core/security_file.h"
#include "crypto/crypto.h"
#include "tests/support/relay_process.h"
#include "tests/support/report.h"
#include "tests/support/wire_client.h"

enum {
	OFFSETS = 48,
	VALUES = 256,
	DATAGRAMS_MAX = 600000, /* of one direction */
	BLOBS = 255000,         /* of each of two clients: 1,020,000 datagrams in all */
	CAPTURE_MIN = 1000000,  /* of both directions */
	CROWD = 100,
	CROWDS = 12, /* handshakes: CROWD times as many */
	WINDOW = 192,
	WAIT_S = 120,
};

/*
 * Chi-square with 255 degrees of freedom leaves 142 .. 414 with a probability of 1e-9 to each side
 * (Wilson-Hilferty). 48 offsets, two directions, two engines, two sides: a false alarm in 2.6
 * million runs. Too even a distribution is suspicious as well: counters look like that.
 */
static const double CHI_SQUARE_LOW = 141, CHI_SQUARE_HIGH = 415;

struct direction {
	uint64_t counts[OFFSETS][VALUES];
	uint64_t seen[OFFSETS]; /* datagrams that reach as far */
	uint8_t (*headers)[WIRE_HEADER_SIZE];
	size_t count;
};

static struct direction directions[2]; /* in, out */
static struct wire_client *clients;
static unsigned received[2], sent[2];

static void record(struct direction *d, struct view datagram)
{
	size_t size = datagram.size < OFFSETS ? datagram.size : OFFSETS;
	for (size_t i = 0; i < size; i++) {
		d->counts[i][datagram.data[i]]++;
		d->seen[i]++;
	}
	if (datagram.size >= WIRE_HEADER_SIZE && d->count < DATAGRAMS_MAX)
		memcpy(d->headers[d->count++], datagram.data, WIRE_HEADER_SIZE);
}

static void tap(struct wire_client *c, bool is_out, struct view datagram)
{
	(void)c;
	record(&directions[is_out], datagram);
}

/* ---- what is measured -------------------------------------------------------------------- */

static double chi_square(const struct direction *d, size_t offset)
{
	double expected = (double)d->seen[offset] / VALUES, sum = 0;
	for (size_t value = 0; value < VALUES; value++) {
		double off = (double)d->counts[offset][value] - expected;
		sum += off * off / expected;
	}
	return sum;
}

/* The count of offsets that are not as they should be; the worst ones are told. */
static unsigned count_skewed(const struct direction *d, const char *name)
{
	unsigned skewed = 0;
	double least = CHI_SQUARE_HIGH, most = 0;
	for (size_t i = 0; i < OFFSETS; i++) {
		double x = chi_square(d, i);
		skewed += !(x >= CHI_SQUARE_LOW && x <= CHI_SQUARE_HIGH);
		least = x < least ? x : least;
		most = x > most ? x : most;
	}
	printf("# %s: %zu datagrams, chi-square from %.0f to %.0f\n", name, d->count, least, most);
	return skewed;
}

static int compare_headers(const void *a, const void *b)
{
	return memcmp(a, b, WIRE_HEADER_SIZE);
}

static size_t count_twice(struct direction *d)
{
	size_t twice = 0;
	qsort(d->headers, d->count, WIRE_HEADER_SIZE, compare_headers);
	for (size_t i = 1; i < d->count; i++)
		twice += compare_headers(d->headers[i - 1], d->headers[i]) == 0;
	return twice;
}

static void report_direction(struct direction *d, const char *name)
{
	char text[80];
	unsigned skewed = count_skewed(d, name);
	snprintf(text, sizeof(text), "%s: no byte of the first 48 is skewed", name);
	report(skewed == 0, text, "%u offsets are", skewed);
	size_t twice = count_twice(d);
	snprintf(text, sizeof(text), "%s: no header comes twice", name);
	report(twice == 0, text, "%zu do", twice);
}

static void clear(struct direction *d)
{
	memset(d->counts, 0, sizeof(d->counts));
	memset(d->seen, 0, sizeof(d->seen));
	d->count = 0;
}

/* The yardstick finds one datagram in 250 with a fixed byte, a counter, and one copy. */
static void check_yardstick(void)
{
	struct direction *d = &directions[0];
	struct random_seeded seeded;
	const struct random_source random = random_seeded_init(&seeded, test_seed());
	uint8_t bytes[OFFSETS];
	for (uint32_t i = 0; i < DATAGRAMS_MAX / 2; i++) {
		random_fill(&random, bytes, sizeof(bytes));
		if (i % 250 == 0)
			bytes[17] = 0x16;
		bytes[33] = (uint8_t)i;
		record(d, view_of(bytes, sizeof(bytes)));
	}
	record(d, view_of(d->headers[7], WIRE_HEADER_SIZE));
	unsigned skewed = count_skewed(d, "yardstick");
	size_t twice = count_twice(d);
	report(skewed == 2 && twice == 1, "the yardstick finds what is planted", "%u and %zu",
	       skewed, twice);
	clear(d);
}

/* ---- traffic ----------------------------------------------------------------------------- */

static void count_blob(struct wire_client *c, uint32_t channel, struct view blob)
{
	(void)channel;
	(void)blob;
	received[c - clients]++;
}

static bool step_talk(void *state)
{
	static const uint8_t zeros[BLOB_SIZE_MAX];
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		while (sent[i] < BLOBS && sent[i] < received[1 - i] + WINDOW) {
			/* Plaintext as plain as can be, in all padded sizes. */
			size_t size = sent[i] * 61u % (BLOB_SIZE_MAX + 1);
			if (!wire_send(&clients[i], clients[i].channel, view_of(zeros, size)))
				break;
			sent[i]++;
		}
	}
	return received[0] >= BLOBS && received[1] >= BLOBS;
}

static bool open_clients(const struct link_config *file, size_t count)
{
	const struct address here = address_v4(127, 0, 0, 1, 0);
	for (size_t i = 0; i < count; i++) {
		if (!wire_client_open(&clients[i], file, &here))
			return false;
		clients[i].on_datagram = tap;
		clients[i].on_blob = count_blob;
	}
	return wire_wait_up(clients, count, WAIT_S);
}

static void close_clients(size_t count)
{
	for (size_t i = 0; i < count; i++)
		wire_client_close(&clients[i]);
}

static bool run(struct relay_process *relay)
{
	struct link_config file;
	char state[TEST_PATH_SIZE];
	if (!relay_process_start(relay) ||
	    !wire_file_read(test_directory_path(&relay->directory, "state", state), &file))
		return false;
	for (int i = 0; i < CROWDS; i++) {
		bool is_open = open_clients(&file, CROWD);
		close_clients(CROWD);
		if (!is_open)
			return false;
	}
	bool is_good = open_clients(&file, 2) && wire_join(clients, WAIT_S) &&
		       wire_wait(clients, 2, WAIT_S, step_talk, NULL);
	close_clients(2);
	return is_good;
}

int main(int argc, char **argv)
{
	static char prefix[32];
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
	clients = calloc(CROWD, sizeof(*clients));
	for (size_t i = 0; i < 2; i++)
		directions[i].headers = calloc(DATAGRAMS_MAX, WIRE_HEADER_SIZE);
	if (clients == NULL || directions[0].headers == NULL || directions[1].headers == NULL)
		return 1;
	check_yardstick();
	relay_process_init(&relay, engine);
	relay_process_option(&relay, "--limits.handshake_rate=1000000");
	relay_process_option(&relay, "--limits.handshake_burst=1000000");
	report(run(&relay), "clients connect and talk", "%u and %u blobs came", received[0],
	       received[1]);
	long long handshakes = relay_process_number(&relay, "keeper", "handshakes_ok");
	report(handshakes >= CROWD * CROWDS, "handshakes by the thousand", "%lld", handshakes);
	size_t captured = directions[0].count + directions[1].count;
	report(captured >= CAPTURE_MIN, "a million datagrams were looked at", "%zu", captured);
	report_direction(&directions[1], "from clients");
	report_direction(&directions[0], "from the relay");
	relay_process_fini(&relay);
	for (size_t i = 0; i < 2; i++)
		free(directions[i].headers);
	free(clients);
	crypto_fini();
	return report_status();
}
