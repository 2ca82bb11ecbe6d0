/*
 * How fast files go between two peers: SCTP alone, through sealed tunnels, over loopback UDP, and
 * with a round trip of 20 ms. Both ends run in this one thread, so a peer of its own machine does
 * about twice as well where the processor is the limit. Prints one line a row, by the clock and by
 * the processor time spent (what a machine that is busy otherwise would do); MiB as argument.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "client/delivery.h"
#include "client/messages.h"
#include "core/hello.h"
#include "core/peer.h"
#include "crypto/crypto.h"

enum {
	QUEUE_PACKETS = 1 << 15,
	SOCKET_BUFFER = 4 << 20,
	RECEIVE_AT_ONCE = 64,
	HANDSHAKE_ROUNDS = 10,
	MIB_DEFAULT = 64,
};
#define ROW_LIMIT_NS (60 * NS_PER_S)

enum way { MEMORY, LOOPBACK };

struct row {
	const char *name;
	bool is_sealed;
	enum way way;
	uint64_t delay_ns;
};

static const struct row ROWS[] = {
	{ "SCTP alone, in memory", false, MEMORY, 0 },
	{ "sealed, in memory", true, MEMORY, 0 },
	{ "sealed, loopback UDP", true, LOOPBACK, 0 },
	{ "sealed, round trip 20 ms", true, MEMORY, 10 * NS_PER_MS },
};

struct queued {
	uint8_t bytes[DATAGRAM_SIZE_MAX];
	size_t size;
	uint64_t at_ns;
	int to;
};

static const struct row *row;
static struct peer_self selves[2];
static struct peer *peers[2];
static struct delivery *ends[2];
static int sockets[2];
static int indices[2] = { 0, 1 };
static struct queued *queue;
static size_t queue_first, queue_end;
static uint64_t packets;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void carry(int from, const uint8_t *bytes, size_t size)
{
	packets++;
	if (row->way == LOOPBACK) {
		/* A full socket drops it, as on any network. */
		(void)!send(sockets[from], bytes, size, MSG_DONTWAIT);
		return;
	}
	if (queue_end - queue_first == QUEUE_PACKETS)
		return;
	struct queued *q = &queue[queue_end++ % QUEUE_PACKETS];
	memcpy(q->bytes, bytes, size);
	q->size = size;
	q->to = 1 - from;
	q->at_ns = now_ns() + row->delay_ns;
}

static void send_packet(void *state, const uint8_t *packet, size_t size)
{
	uint8_t blob[BLOB_SIZE_MAX];
	int from = *(const int *)state;

	if (!row->is_sealed) {
		carry(from, packet, size);
		return;
	}
	memcpy(blob + PEER_HEADROOM, packet, size);
	size_t blob_size = peer_seal(peers[from], PEER_FRAME_SCTP, blob, size);
	if (blob_size > 0)
		carry(from, blob, blob_size);
}

static void take(int to, uint8_t *bytes, size_t size)
{
	struct view body = view_of(bytes, size);

	if (!row->is_sealed ||
	    peer_input(peers[to], bytes, size, now_ns(), &body) == PEER_FRAME_SCTP)
		delivery_input(ends[to], body.data, body.size);
}

static void take_all(void)
{
	uint8_t bytes[DATAGRAM_SIZE_MAX];

	while (queue_first < queue_end && queue[queue_first % QUEUE_PACKETS].at_ns <= now_ns()) {
		struct queued *q = &queue[queue_first++ % QUEUE_PACKETS];
		take(q->to, q->bytes, q->size);
	}
	for (int i = 0; row->way == LOOPBACK && i < 2; i++) {
		for (int n = 0; n < RECEIVE_AT_ONCE; n++) {
			ssize_t size = recv(sockets[i], bytes, sizeof bytes, MSG_DONTWAIT);
			if (size < 0)
				break;
			take(i, bytes, (size_t)size);
		}
	}
}

static void make_peers(void)
{
	struct random_source random = random_system();

	for (int i = 0; i < 2; i++) {
		ed25519_generate(&selves[i].identity, &random);
		x25519_generate(&selves[i].static_key, &random);
		peer_id_of(selves[i].identity.public, selves[i].id);
	}
	for (int i = 0; i < 2; i++) {
		struct peer_config config = {
			.self = &selves[i],
			.random = random,
			.cipher = packet_cipher_best(),
		};
		memcpy(config.remote_id, selves[1 - i].id, PEER_ID_SIZE);
		peers[i] = peer_create(&config);
		assert(peers[i] != NULL);
	}
	peer_begin(peers[1], false, now_ns());
	peer_begin(peers[0], true, now_ns());
	for (int i = 0; i < HANDSHAKE_ROUNDS; i++) {
		uint8_t blob[BLOB_SIZE_MAX];
		struct view body;
		size_t size;
		while (peer_output(peers[i % 2], now_ns(), (struct view_out){ blob, sizeof blob },
				   &size))
			(void)!peer_input(peers[1 - i % 2], blob, size, now_ns(), &body);
	}
	assert(peer_is_secure(peers[0]) && peer_is_secure(peers[1]));
}

static void make_sockets(void)
{
	struct sockaddr_in addresses[2];
	const int buffer = SOCKET_BUFFER;

	for (int i = 0; i < 2; i++) {
		socklen_t size = sizeof addresses[i];
		addresses[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
		sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
		if (bind(sockets[i], (struct sockaddr *)&addresses[i], size) != 0 ||
		    getsockname(sockets[i], (struct sockaddr *)&addresses[i], &size) != 0)
			exit(1);
	}
	for (int i = 0; i < 2; i++)
		if (connect(sockets[i], (struct sockaddr *)&addresses[1 - i],
			    sizeof addresses[0]) != 0)
			exit(1);
}

/* Seconds for `total` bytes from one end to the other. */
static double run(size_t total)
{
	static uint8_t chunk[MESSAGE_CHUNK_MAX];
	size_t sent = 0, got = 0;
	struct view message;
	uint16_t stream;
	uint64_t start_ns = now_ns();

	queue_first = queue_end = 0;
	packets = 0;
	for (int i = 0; i < 2; i++) {
		ends[i] = delivery_create(
			&(struct delivery_config){ .send = send_packet, .state = &indices[i] });
		assert(ends[i] != NULL);
	}
	while (got < total && now_ns() - start_ns < ROW_LIMIT_NS) {
		while (sent < total && delivery_send(ends[0], 1, VIEW(chunk)) == DELIVERY_SENT)
			sent += sizeof chunk;
		take_all();
		while (delivery_next(ends[1], &stream, &message))
			got += message.size;
		delivery_advance(now_ns());
	}
	double seconds = (double)(now_ns() - start_ns) / (double)NS_PER_S;
	for (int i = 0; i < 2; i++)
		delivery_destroy(ends[i]);
	return got >= total ? seconds : 0;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : MIB_DEFAULT;
	const char *failed;

	queue = calloc(QUEUE_PACKETS, sizeof *queue);
	if (queue == NULL || crypto_init(&failed) != CRYPTO_READY || !delivery_start())
		return 1;
	make_peers();
	make_sockets();
	for (row = ROWS; row < ROWS + sizeof ROWS / sizeof ROWS[0]; row++) {
		clock_t before = clock();
		double seconds = run(mib << 20);
		double cpu = (double)(clock() - before) / CLOCKS_PER_SEC;
		double megabytes = seconds > 0 ? (double)(mib << 20) / 1e6 : 0;
		printf("%-26s %8.1f MB/s  %8.1f MB per CPU second  %8llu packets\n", row->name,
		       megabytes / seconds, megabytes / cpu, (unsigned long long)packets);
	}
	for (int i = 0; i < 2; i++)
		peer_destroy(peers[i]);
	delivery_stop();
	crypto_fini();
	free(queue);
	return 0;
}
