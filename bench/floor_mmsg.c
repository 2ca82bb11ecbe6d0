/*
 * Floor: the plainest forwarder that is any good, recvmmsg() and sendmmsg() on one blocking socket
 * and nothing of ours. Datagrams go from the sender of tag t to that of t ^ 1; see target_floor.c.
 *
 *	floor_mmsg --listen=127.0.0.1:4000
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/atomic.h"

enum {
	TAG_SIZE = 8,
	TAGS_MAX = 1 << 17,
	BATCH = 64,
	FRAME_SIZE = 2048,
	BUFFER_BYTES = 8 << 20,
	EXIT_USAGE = 2,
};

static struct sockaddr_in senders[TAGS_MAX], names[BATCH];
static uint8_t frames[BATCH][FRAME_SIZE];
static struct iovec vectors[BATCH];
static struct mmsghdr in[BATCH], answers[BATCH];
static struct iovec out_vectors[BATCH];
static _Atomic bool is_stopping;

static void stop(int number)
{
	(void)number;
	store_relaxed(&is_stopping, true);
}

static unsigned forward(int count)
{
	unsigned used = 0;
	for (int i = 0; i < count; i++) {
		uint64_t tag;
		if (in[i].msg_len < TAG_SIZE)
			continue;
		memcpy(&tag, frames[i], TAG_SIZE);
		if (tag >= TAGS_MAX)
			continue;
		senders[tag] = names[i];
		struct sockaddr_in *to = &senders[in[i].msg_len == TAG_SIZE ? tag : tag ^ 1];
		if (to->sin_port == 0)
			continue;
		out_vectors[used] = (struct iovec){
			.iov_base = frames[i],
			.iov_len = in[i].msg_len,
		};
		answers[used].msg_hdr = (struct msghdr){
			.msg_name = to,
			.msg_namelen = sizeof(*to),
			.msg_iov = &out_vectors[used],
			.msg_iovlen = 1,
		};
		used++;
	}
	return used;
}

static void serve(int fd)
{
	while (!load_relaxed(&is_stopping)) {
		for (int i = 0; i < BATCH; i++) {
			vectors[i] = (struct iovec){ .iov_base = frames[i], .iov_len = FRAME_SIZE };
			in[i].msg_hdr = (struct msghdr){
				.msg_name = &names[i],
				.msg_namelen = sizeof(names[i]),
				.msg_iov = &vectors[i],
				.msg_iovlen = 1,
			};
		}
		int count = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, NULL);
		unsigned ready = forward(count);
		for (unsigned done = 0; done < ready;) {
			int sent = sendmmsg(fd, answers + done, ready - done, MSG_DONTWAIT);
			done += sent > 0 ? (unsigned)sent : 1; /* what cannot go is dropped */
		}
	}
}

static int open_socket(const struct sockaddr_in *at)
{
	const int bytes = BUFFER_BYTES, probe = IP_PMTUDISC_PROBE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool parse(const char *text, struct sockaddr_in *out)
{
	char ip[INET_ADDRSTRLEN] = "";
	const char *colon = strchr(text, ':');
	if (colon == NULL || (size_t)(colon - text) >= sizeof(ip))
		return false;
	memcpy(ip, text, (size_t)(colon - text));
	out->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return inet_pton(AF_INET, ip, &out->sin_addr) == 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ 0 },
	};
	const struct sigaction action = { .sa_handler = stop }; /* no restart of recvmmsg() */
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(at);
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'l' || !parse(optarg, &at)) {
			fprintf(stderr, "usage: floor_mmsg [--listen=ADDRESS:PORT]\n");
			return EXIT_USAGE;
		}
	}
	int fd = open_socket(&at);
	if (fd < 0) {
		perror("floor_mmsg");
		return EXIT_FAILURE;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	getsockname(fd, (struct sockaddr *)&at, &size);
	printf("port %u\n", ntohs(at.sin_port));
	fflush(stdout);
	serve(fd);
	close(fd);
	return EXIT_SUCCESS;
}
