/*
 * What the engines cost: one thread drains a preloaded socket through an engine and forwards each
 * packet to the next peer; nanoseconds of its CPU time per packet, the kernel's part included.
 *
 * Filling the queue and emptying the peers is not counted. All variants take turns, a round each,
 * and the median of the rounds counts: compare columns, as the machine's speed drifts. The first
 * column is the yardstick, a bare loop of recvfrom() and sendto(). Loopback: the sender pays the
 * receiver's soft interrupt. Takes about eight seconds.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/instant.h"
#include "net/engine.h"
#include "net/udp_socket.h"

enum {
	PEERS = 256,
	WAITING = 512, /* packets in the queue when a round starts */
	SOCKET_BUFFER = 4 * 1024 * 1024,
	PACKET_MAX = 1200,
	ROUNDS_MAX = 2001,
	BUDGET_S = 8,
};

struct load {
	const char *name;
	uint32_t size;
	uint32_t train; /* packets of one peer that come as one GSO train */
};

static const struct load LOADS[] = {
	{ "200 B, singles", 200, 1 },
	{ "1200 B, singles", 1200, 1 },
	{ "200 B, trains of 16", 200, 16 },
	{ "1200 B, trains of 16", 1200, 16 },
};

struct variant {
	const char *name;
	enum engine_kind kind;
	bool gro;
	bool is_bare; /* no engine, but the socket `fd` */
	int fd;
	struct engine *engine;
	struct address at;
};

static struct variant variants[] = {
	{ .name = "bare", .is_bare = true },
	{ .name = "epoll", .kind = ENGINE_EPOLL },
	{ .name = "epoll, GRO", .kind = ENGINE_EPOLL, .gro = true },
	{ .name = "io_uring", .kind = ENGINE_URING },
	{ .name = "io_uring, GRO", .kind = ENGINE_URING, .gro = true },
};

enum {
	LOAD_COUNT = sizeof(LOADS) / sizeof(LOADS[0]),
	VARIANT_COUNT = sizeof(variants) / sizeof(variants[0])
};

static int peers[PEERS];
static struct address peer_addresses[PEERS];
static double results[LOAD_COUNT][VARIANT_COUNT][ROUNDS_MAX];
static size_t rounds;

static void fail(const char *what, int error)
{
	fprintf(stderr, "micro_engine: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int open_socket(void)
{
	struct address here = address_v4(127, 0, 0, 1, 0);
	struct udp_socket_options options = { .receive_buffer_bytes = SOCKET_BUFFER };
	int fd = udp_socket_open(&here, &options);
	if (fd < 0)
		fail("socket", -fd);
	return fd;
}

static void open_peers(void)
{
	for (size_t i = 0; i < PEERS; i++) {
		peers[i] = open_socket();
		peer_addresses[i] = udp_socket_address(peers[i]);
	}
}

static void open_bare(struct variant *v)
{
	int off = 0;
	v->fd = open_socket();
	v->at = udp_socket_address(v->fd);
	setsockopt(v->fd, IPPROTO_IP, IP_PKTINFO, &off, sizeof(off));
}

static void open_engine(struct variant *v)
{
	struct engine_config config = { .kind = v->kind,
					.want_gro = v->gro,
					.receive_buffer_bytes = SOCKET_BUFFER };
	/* The wildcard, as most relays are bound: source addresses travel with each packet. */
	struct engine_port port = { .bind_v4 = address_v4(0, 0, 0, 0, 0) };
	int error = engine_create(&v->engine, &config);
	if (error < 0) {
		printf("%s: %s\n", v->name, strerror(-error));
		v->engine = NULL;
		return;
	}
	error = engine_open_port(v->engine, &port);
	if (error < 0)
		fail("port", -error);
	v->at = address_v4(127, 0, 0, 1, port.port);
}

/* ---- not counted: filling and emptying ---- */

static void send_train(int fd, const struct address *to, const struct load *load)
{
	static uint8_t bytes[16 * PACKET_MAX];
	uint8_t control[CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8))) = { 0 };
	union socket_name name;
	struct iovec payload = { .iov_base = bytes, .iov_len = (size_t)load->size * load->train };
	struct msghdr message = { .msg_name = &name, .msg_iov = &payload, .msg_iovlen = 1 };
	message.msg_namelen = socket_name_write(&name, to);
	if (load->train > 1) {
		uint16_t segment = (uint16_t)load->size;
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(segment));
		memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	}
	if (sendmsg(fd, &message, 0) < 0)
		fail("send", errno);
}

static void fill(const struct variant *v, const struct load *load)
{
	static size_t next;
	for (size_t i = 0; i < WAITING; i += load->train)
		send_train(peers[next++ % PEERS], &v->at, load);
}

static void empty_peers(void)
{
	static uint8_t bytes[PACKET_MAX];
	for (size_t i = 0; i < PEERS; i++)
		while (recv(peers[i], bytes, sizeof(bytes), MSG_DONTWAIT) >= 0)
			;
}

/* ---- counted ---- */

/* Peers have no order by port: the one to forward to is found by the port, as by a table. */
static uint16_t next_of_port[UINT16_MAX + 1];

static void forward(struct packet *packets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		packets[i].path.remote = peer_addresses[next_of_port[packets[i].path.remote.port]];
}

static size_t drain_bare(struct variant *v)
{
	static uint8_t bytes[PACKET_MAX];
	size_t done = 0;
	for (; done < WAITING; done++) {
		struct sockaddr_in name;
		socklen_t size = sizeof(name);
		ssize_t got = recvfrom(v->fd, bytes, sizeof(bytes), MSG_DONTWAIT, &name, &size);
		if (got < 0)
			fail("receive", errno);
		uint16_t next = next_of_port[ntohs(name.sin_port)];
		name.sin_port = htons(peer_addresses[next].port);
		if (sendto(v->fd, bytes, (size_t)got, MSG_DONTWAIT, &name, size) < 0)
			fail("send", errno);
	}
	return done;
}

static size_t drain_engine(struct variant *v)
{
	struct packet packets[ENGINE_BATCH_MAX];
	size_t done = 0;
	for (int got = 1; got > 0 && done < WAITING; done += (size_t)got) {
		got = engine_receive(v->engine, packets, ENGINE_BATCH_MAX, NS_PER_S);
		if (got < 0)
			fail("receive", -got);
		forward(packets, (size_t)got);
		engine_send(v->engine, packets, (size_t)got);
	}
	return done;
}

static double drain(struct variant *v)
{
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	size_t done = v->is_bare ? drain_bare(v) : drain_engine(v);
	uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (done != WAITING)
		fail("packets were lost (is net.core.rmem_max below 4 MiB?)", ENOBUFS);
	return (double)(end - start) / WAITING;
}

static void run_round(void)
{
	for (size_t l = 0; l < LOAD_COUNT; l++) {
		for (size_t k = 0; k < VARIANT_COUNT; k++) {
			if (variants[k].engine == NULL && !variants[k].is_bare)
				continue;
			fill(&variants[k], &LOADS[l]);
			results[l][k][rounds] = drain(&variants[k]);
			empty_peers();
		}
	}
	rounds++;
}

/* ---- results ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_results(void)
{
	printf("%-24s", "CPU ns per packet");
	for (size_t k = 0; k < VARIANT_COUNT; k++)
		printf("%15s", variants[k].name);
	printf("\n");
	for (size_t l = 0; l < LOAD_COUNT; l++) {
		printf("%-24s", LOADS[l].name);
		for (size_t k = 0; k < VARIANT_COUNT; k++) {
			qsort(results[l][k], rounds, sizeof(double), compare);
			printf("%15.0f", results[l][k][rounds / 2]);
		}
		printf("\n");
	}
	printf("medians of %zu rounds of %d packets, %d peers\n", rounds, WAITING, PEERS);
}

static void print_calls(const struct variant *v)
{
	const struct engine_counters *c = engine_counters(v->engine);
	printf("%s: %.1f packets per receive, %.1f per send call, %llu without buffers\n", v->name,
	       (double)load_relaxed(&c->rx_packets) / (double)load_relaxed(&c->wakeups),
	       (double)load_relaxed(&c->tx_packets) / (double)load_relaxed(&c->tx_calls),
	       (unsigned long long)load_relaxed(&c->rx_no_buffers));
}

int main(void)
{
	open_peers();
	for (size_t i = 0; i < PEERS; i++)
		next_of_port[peer_addresses[i].port] = (uint16_t)((i + 1) % PEERS);
	for (size_t k = 0; k < VARIANT_COUNT; k++) {
		if (variants[k].is_bare)
			open_bare(&variants[k]);
		else
			open_engine(&variants[k]);
	}
	run_round(); /* to warm up */
	rounds = 0;
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + BUDGET_S * NS_PER_S;
	while (rounds < ROUNDS_MAX && clock_ns(CLOCK_MONOTONIC) < end)
		run_round();
	print_results();
	for (size_t k = 0; k < VARIANT_COUNT; k++) {
		if (variants[k].engine == NULL)
			continue;
		print_calls(&variants[k]);
		engine_destroy(variants[k].engine);
	}
	return EXIT_SUCCESS;
}
