/*
 * Floor: a forwarder without cryptography on our own engine. Datagrams go from the sender of tag t
 * (their first 8 bytes) to the sender of tag t ^ 1; see target_floor.c.
 *
 *	floor_forwarder --listen=127.0.0.1:4000 --engine=uring|epoll [--gro]
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/atomic.h"
#include "core/instant.h"
#include "net/engine.h"
#include "net/slices.h"

enum {
	TAG_SIZE = 8,
	TAGS_MAX = 1 << 17,
	BUFFER_BYTES = 8 << 20,
	EXIT_USAGE = 2,
};

static _Atomic bool is_stopping;
static struct path paths[TAGS_MAX];
static struct packet packets[ENGINE_BATCH_MAX], answers[ENGINE_BATCH_MAX];

static void stop(int number)
{
	(void)number;
	store_relaxed(&is_stopping, true);
}

/* Grouped as the relay's are: packets of one destination follow each other. */
static size_t forward(size_t count)
{
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t tag;
		if (packets[i].size < TAG_SIZE)
			continue;
		memcpy(&tag, packets[i].data, TAG_SIZE);
		if (tag >= TAGS_MAX)
			continue;
		paths[tag] = packets[i].path;
		const struct path *to = packets[i].size == TAG_SIZE ? &paths[tag] : &paths[tag ^ 1];
		if (!address_is_set(&to->remote))
			continue;
		answers[used] = packets[i];
		answers[used++].path = *to;
	}
	return used;
}

static int serve(struct engine *engine)
{
	while (!load_relaxed(&is_stopping)) {
		int count = engine_receive(engine, packets, ENGINE_BATCH_MAX, NS_PER_S);
		if (count < 0)
			return count;
		engine_send(engine, answers, forward((size_t)count));
	}
	return 0;
}

static int run(struct engine_config *config, struct address listen)
{
	struct engine *engine;
	struct engine_port port = { .bind_v4 = listen };
	slices_shorten(); /* as the relay's workers do */
	int result = engine_create(&engine, config);
	if (result < 0)
		return result;
	result = engine_open_port(engine, &port);
	if (result == 0) {
		printf("port %u\n", port.port);
		fflush(stdout);
		result = serve(engine);
	}
	engine_destroy(engine);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "engine", required_argument, NULL, 'e' },
		{ "gro", no_argument, NULL, 'g' },
		{ 0 },
	};
	struct engine_config config = {
		.kind = ENGINE_URING,
		.receive_buffer_bytes = BUFFER_BYTES,
		.send_buffer_bytes = BUFFER_BYTES,
	};
	struct address listen = address_v4(127, 0, 0, 1, 0);
	bool is_right = true;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l')
			is_right &= address_parse(optarg, &listen) && address_is_v4(&listen);
		else if (option == 'e')
			config.kind = strcmp(optarg, "epoll") == 0 ? ENGINE_EPOLL : ENGINE_URING;
		else if (option == 'g')
			config.want_gro = true;
		else
			is_right = false;
	}
	if (!is_right || optind != argc) {
		fprintf(stderr, "usage: floor_forwarder [--listen=ADDRESS:PORT] "
				"[--engine=uring|epoll] [--gro]\n");
		return EXIT_USAGE;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	int result = run(&config, listen);
	if (result < 0)
		fprintf(stderr, "floor_forwarder: %s\n", strerror(-result));
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
