/* What the other targets share, and the plain one. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/target.h"
#include "core/instant.h"

enum { ASK_TRIES = 8, NAME_MAX_SIZE = 256 };
#define ASK_WAIT_NS (250 * NS_PER_MS)

/* ---- shared ------------------------------------------------------------------------------ */

static struct other *make(const struct other_config *config, const struct target_ops *ops)
{
	struct other *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	const struct sockets_config sockets = {
		.capacity = 2 * config->pairs,
		.want_gro = config->want_gro,
	};
	o->config = *config;
	o->ops = ops;
	o->sockets = sockets_create(&sockets);
	if (o->sockets != NULL)
		return o;
	free(o);
	return NULL;
}

void other_destroy(struct other *o)
{
	if (o == NULL)
		return;
	sockets_destroy(o->sockets);
	free(o);
}

const char *other_open(struct other **out, const struct other_config *config,
		       const struct target_ops *ops)
{
	const struct address unset = { 0 };
	struct other *o = *out = make(config, ops);
	if (o == NULL)
		return "out of memory";
	for (uint32_t i = 0; i < 2 * config->pairs; i++) {
		bool is_sink = i % 2 == 1 && address_is_set(&config->sink_local);
		int result = sockets_add(o->sockets, is_sink ? &config->sink_local : &config->local,
					 is_sink ? &unset : &config->remote);
		if (result < 0)
			return strerror(-result);
	}
	return NULL;
}

uint32_t other_sender(const struct other *o, uint32_t flow)
{
	return o->config.both_ways ? flow : 2 * flow;
}

void other_read(struct arrival *arrivals, size_t count, size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		struct arrival *a = &arrivals[i];
		a->kind = LOAD_NOTHING;
		if (a->size < offset + sizeof(a->stamp))
			continue;
		a->kind = LOAD_DATA;
		a->has_stamp = a->wants_stamp;
		memcpy(&a->stamp, a->data + offset, sizeof(a->stamp));
	}
}

bool other_ask(struct other *o, uint32_t socket, struct view request,
	       bool (*is_answer)(void *state, const struct arrival *a), void *state)
{
	for (int i = 0; i < ASK_TRIES; i++) {
		struct iovec one = {
			.iov_base = (void *)(uintptr_t)request.data,
			.iov_len = request.size,
		};
		uint64_t until_ns = load_now_ns() + ASK_WAIT_NS;
		if (sockets_send(o->sockets, socket, &one, 1, request.size) < 0)
			return false;
		while (load_now_ns() < until_ns) {
			struct arrival *arrivals;
			size_t count = sockets_receive(o->sockets, ASK_WAIT_NS, &arrivals);
			for (size_t k = 0; k < count; k++)
				if (arrivals[k].socket == socket && is_answer(state, &arrivals[k]))
					return true;
		}
	}
	return false;
}

struct target other_target(struct other *o)
{
	return (struct target){ .ops = o->ops, .state = o, .sockets = o->sockets };
}

/* ---- plain ------------------------------------------------------------------------------- */

static void plain_write(void *state, const struct load_stream *stream, uint32_t flow,
			uint64_t stamp, struct load_frame *frame)
{
	frame->socket = other_sender(state, flow);
	frame->size = stream->size;
	memset(frame->data, 0, frame->size);
	memcpy(frame->data, &stamp, sizeof(stamp));
}

static void plain_read(void *state, struct arrival *arrivals, size_t count)
{
	(void)state;
	other_read(arrivals, count, 0);
}

/* A socket belongs to the namespace that its maker was in. */
static int enter(const char *netns)
{
	char path[NAME_MAX_SIZE];
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int result = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

static int enter_fd(int fd)
{
	return setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
}

static int add_pair(struct other *o, int own_netns)
{
	const struct address unset = { 0 };
	struct address sink_at = o->config.remote;
	sink_at.port = 0;
	int sender = sockets_add(o->sockets, &o->config.local, &unset);
	if (sender < 0)
		return sender;
	int error = o->config.sink_netns != NULL ? enter(o->config.sink_netns) : 0;
	int sink = error < 0 ? error : sockets_add(o->sockets, &sink_at, &unset);
	if (o->config.sink_netns != NULL && enter_fd(own_netns) < 0)
		return -errno;
	if (sink < 0)
		return sink;
	struct address to = sockets_local(o->sockets, (uint32_t)sink);
	return sockets_connect(o->sockets, (uint32_t)sender, &to);
}

const char *plain_create(const struct other_config *config, struct other **out)
{
	static const struct target_ops ops = {
		.name = "plain",
		.write = plain_write,
		.read = plain_read,
	};
	struct other *o = *out = make(config, &ops);
	if (o == NULL)
		return "out of memory";
	o->config.both_ways = false;
	int own_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), error = 0;
	for (uint32_t i = 0; i < config->pairs && error >= 0; i++)
		error = add_pair(o, own_netns);
	close(own_netns);
	return error < 0 ? strerror(-error) : NULL;
}
