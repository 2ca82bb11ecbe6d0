#include "net/engine_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PAGE_SIZE = 4096,
	/* The system chose a port for IPv4 that is taken for IPv6: how often to ask for another. */
	PORT_TRIES = 16,
};

/* ---- creation ---- */

static int allocate(struct engine *e)
{
	bool gro = e->config.want_gro;
	struct engine_buffers *b = &e->buffers;
	b->count = gro ? LARGE_BUFFERS : SMALL_BUFFERS;
	b->stride = gro ? LARGE_BUFFER_SIZE : SMALL_BUFFER_SIZE;
	b->payload_max = b->stride - HEAD_SIZE;
	size_t pages = (b->count * b->stride + PAGE_SIZE - 1) / PAGE_SIZE;
	b->memory = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
	e->spent = calloc(b->count, sizeof(*e->spent));
	e->sender = engine_sender_create();
	bool queued = train_queue_init(&e->queue, b->count);
	if (b->memory == NULL || e->spent == NULL || e->sender == NULL || !queued)
		return -ENOMEM;
	e->wake_fd = eventfd(0, EFD_CLOEXEC);
	return e->wake_fd < 0 ? -errno : 0;
}

static void release(struct engine *e)
{
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	train_queue_fini(&e->queue);
	engine_sender_destroy(e->sender);
	free(e->spent);
	free(e->buffers.memory);
	free(e);
}

static bool is_refusal(int error)
{
	return error == -EPERM || error == -ENOSYS || error == -EACCES || error == -ENOMEM ||
	       error == -EINVAL;
}

static int start(struct engine *e)
{
	enum engine_kind wanted = e->config.kind;
	if (wanted != ENGINE_EPOLL) {
		e->ops = &engine_uring_ops;
		int error = e->ops->start(e);
		if (error == 0 || wanted == ENGINE_URING || !is_refusal(error))
			return error;
		e->refusal = -error;
	}
	e->ops = &engine_epoll_ops;
	return e->ops->start(e);
}

int engine_create(struct engine **out, const struct engine_config *config)
{
	*out = NULL;
	struct engine *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	e->config = *config;
	e->wake_fd = -1;
	for (size_t i = 0; i < ENGINE_SLOTS; i++)
		e->slots[i].fd = -1;
	int error = allocate(e);
	if (error == 0)
		error = start(e);
	if (error < 0) {
		release(e);
		return error;
	}
	*out = e;
	return 0;
}

static void close_slot(struct engine *e, uint16_t slot)
{
	struct engine_slot *s = &e->slots[slot];
	if (s->fd < 0)
		return;
	e->ops->unwatch(e, slot);
	close(s->fd);
	s->fd = -1;
}

void engine_destroy(struct engine *e)
{
	if (e == NULL)
		return;
	for (uint16_t slot = 0; slot < ENGINE_SLOTS; slot++)
		close_slot(e, slot);
	e->ops->stop(e);
	release(e);
}

/* ---- ports ---- */

static bool is_free(const struct engine *e, uint16_t port)
{
	return e->slots[2 * port].fd < 0 && e->slots[2 * port + 1].fd < 0;
}

static bool is_at(const struct engine *e, uint16_t slot, uint64_t door)
{
	return e->slots[slot].fd >= 0 && e->slots[slot].door == door;
}

/* Returns the first of the two slots, or -errno. */
static int find_room(const struct engine *e, uint64_t door)
{
	int room = -ENOSPC;
	for (uint16_t slot = 0; slot < ENGINE_SLOTS; slot++)
		if (is_at(e, slot, door))
			return -EEXIST;
	for (uint16_t port = ENGINE_PORTS_MAX; port-- > 0;)
		if (is_free(e, port))
			room = 2 * port;
	return room;
}

/* A bound socket need not be told each time where a datagram went (4 to 6 % of a packet). */
static bool is_wildcard(const struct address *a)
{
	static const struct address any_v6;
	struct address any_v4 = address_v4(0, 0, 0, 0, 0);
	return memcmp(a->ip, address_is_v4(a) ? any_v4.ip : any_v6.ip, sizeof(a->ip)) == 0;
}

static int open_slot(struct engine *e, uint16_t slot, uint64_t door, const struct address *bind_to)
{
	bool wildcard = is_wildcard(bind_to);
	struct udp_socket_options options = {
		.receive_buffer_bytes = e->config.receive_buffer_bytes,
		.send_buffer_bytes = e->config.send_buffer_bytes,
		.share_port = e->config.share_port,
		.want_gro = e->config.want_gro,
		.want_local_ip = wildcard,
	};
	int fd = udp_socket_open(bind_to, &options);
	if (fd < 0)
		return fd;
	struct engine_slot *s = &e->slots[slot];
	*s = (struct engine_slot){ .fd = fd, .generation = s->generation + 1, .door = door };
	if (!wildcard)
		memcpy(s->local_ip, bind_to->ip, sizeof(s->local_ip));
	int error = e->ops->watch(e, slot);
	if (error < 0)
		close_slot(e, slot);
	return error;
}

static bool has_v6(const struct engine_port *port)
{
	return port->any_v6 || address_is_set(&port->bind_v6);
}

static int open_both(struct engine *e, uint16_t slot, struct engine_port *port)
{
	int error = 0;
	uint16_t chosen = 0;
	if (address_is_set(&port->bind_v4)) {
		error = open_slot(e, slot, port->door, &port->bind_v4);
		if (error < 0)
			return error;
		chosen = udp_socket_address(e->slots[slot].fd).port;
		port->receive_buffer_bytes = udp_socket_receive_buffer(e->slots[slot].fd);
	}
	if (has_v6(port)) {
		struct address bind_to = port->bind_v6;
		if (bind_to.port == 0)
			bind_to.port = chosen;
		error = open_slot(e, (uint16_t)(slot + 1), port->door, &bind_to);
		if (error < 0) {
			close_slot(e, slot);
			return error;
		}
		int fd = e->slots[slot + 1].fd;
		chosen = chosen != 0 ? chosen : udp_socket_address(fd).port;
		port->receive_buffer_bytes = udp_socket_receive_buffer(fd);
	}
	port->port = chosen;
	return 0;
}

int engine_open_port(struct engine *e, struct engine_port *port)
{
	bool has_v4 = address_is_set(&port->bind_v4);
	if ((!has_v4 && !has_v6(port)) || (has_v4 && !address_is_v4(&port->bind_v4)) ||
	    address_is_v4(&port->bind_v6))
		return -EINVAL;
	int slot = find_room(e, port->door);
	if (slot < 0)
		return slot;
	bool is_free_choice = port->bind_v4.port == 0 && port->bind_v6.port == 0;
	int error = open_both(e, (uint16_t)slot, port);
	for (int i = 1; error == -EADDRINUSE && is_free_choice && i < PORT_TRIES; i++)
		error = open_both(e, (uint16_t)slot, port);
	return error;
}

/* What was queued for a closed slot must not come out under a door that is gone. */
static void forget_queued(struct engine *e, uint16_t slot)
{
	uint32_t count = e->queue.tail - e->queue.head;
	for (uint32_t i = 0; i < count; i++) {
		struct train t = *train_queue_first(&e->queue);
		train_queue_drop_first(&e->queue);
		if (t.slot != slot) {
			train_queue_put(&e->queue, &t);
			continue;
		}
		engine_count(e, rx_no_port, (t.size + t.segment_size - 1) / t.segment_size);
		engine_spend(e, t.buffer);
	}
}

void engine_close_port(struct engine *e, uint64_t door)
{
	for (uint16_t slot = 0; slot < ENGINE_SLOTS; slot++) {
		if (!is_at(e, slot, door))
			continue;
		close_slot(e, slot);
		forget_queued(e, slot);
	}
}

/* ---- receiving ---- */

void engine_spend(struct engine *e, uint16_t buffer)
{
	assert(e->spent_count < e->buffers.count);
	e->spent[e->spent_count++] = buffer;
}

static void count_socket_drops(struct engine *e, struct engine_slot *s,
			       const struct control_received *control)
{
	if (!control->has_socket_drops)
		return;
	uint32_t more = control->socket_drops - s->socket_drops; /* modulo 2^32, as they count */
	if (more > INT32_MAX)
		return;
	s->socket_drops = control->socket_drops;
	engine_count(e, rx_socket_drops, more);
}

/* False: counted, and not to be handed out. */
static bool is_whole(struct engine *e, const struct received *r)
{
	if (r->flags & (MSG_TRUNC | MSG_CTRUNC)) {
		engine_count(e, rx_cut, 1);
		return false;
	}
	if (r->size == 0) {
		engine_count(e, rx_empty, 1);
		return false;
	}
	return true;
}

void engine_take(struct engine *e, const struct received *r)
{
	struct engine_slot *s = &e->slots[r->slot];
	uint8_t *buffer = engine_buffer(e, r->buffer);
	const uint8_t *control_area = buffer + HEAD_HEADER_SIZE + HEAD_NAME_SIZE;
	struct train t = {
		.data = buffer + HEAD_SIZE,
		.size = r->size,
		.buffer = r->buffer,
		.slot = r->slot,
		.path = { .door = s->door },
	};
	union socket_name name;
	struct control_received control;
	memcpy(&name, buffer + HEAD_HEADER_SIZE, sizeof(name));
	control_read(view_of(control_area, r->control_size), &control);
	count_socket_drops(e, s, &control);
	if (!is_whole(e, r)) {
		engine_spend(e, r->buffer);
		return;
	}
	if (!socket_name_read(&name, r->name_size, &t.path.remote)) {
		engine_count(e, rx_cut, 1);
		engine_spend(e, r->buffer);
		return;
	}
	memcpy(t.path.local_ip, control.has_local_ip ? control.local_ip : s->local_ip,
	       sizeof(t.path.local_ip));
	t.segment_size = control.segment_size != 0 ? control.segment_size : t.size;
	train_queue_put(&e->queue, &t);
}

static size_t hand_out(struct engine *e, struct packet *packets, size_t capacity)
{
	size_t count = 0;
	uint64_t bytes = 0;
	while (count < capacity && !train_queue_is_empty(&e->queue)) {
		struct train *t = train_queue_first(&e->queue);
		uint32_t before = t->size;
		count += train_hand_out(t, packets + count, capacity - count);
		bytes += before - t->size;
		if (t->size == 0) {
			engine_spend(e, t->buffer);
			train_queue_drop_first(&e->queue);
		}
	}
	engine_count(e, rx_packets, count);
	engine_count(e, rx_bytes, bytes);
	return count;
}

int engine_receive(struct engine *e, struct packet *packets, size_t capacity, uint64_t timeout_ns)
{
	if (capacity > ENGINE_BATCH_MAX)
		capacity = ENGINE_BATCH_MAX;
	if (e->spent_count > 0)
		e->ops->give_back(e, e->spent, e->spent_count);
	e->spent_count = 0;
	if (train_queue_is_empty(&e->queue)) {
		int error = e->ops->collect(e, timeout_ns);
		if (error < 0)
			return error;
	}
	return (int)hand_out(e, packets, capacity);
}

/* ---- waking ---- */

void engine_wake(struct engine *e)
{
	/* Paired with engine_woken(): whoever finds the flag up knows that the owner has not
	 * looked yet, and that it will see what was done before. */
	if (exchange_acq_rel(&e->is_wake_pending, true))
		return;
	uint64_t one = 1;
	ssize_t written = write(e->wake_fd, &one, sizeof(one));
	assert(written == (ssize_t)sizeof(one));
}

void engine_woken(struct engine *e)
{
	(void)exchange_acq_rel(&e->is_wake_pending, false);
}

/* ---- what it is ---- */

enum engine_kind engine_kind(const struct engine *e)
{
	return e->ops->kind;
}

const char *engine_kind_name(enum engine_kind kind)
{
	switch (kind) {
	case ENGINE_AUTO: return "auto";
	case ENGINE_URING: return "io_uring";
	case ENGINE_EPOLL: return "epoll";
	}
	return "unknown";
}

int engine_refusal(const struct engine *e)
{
	return e->refusal;
}

int engine_fd(const struct engine *e)
{
	return e->ops->fd(e);
}

const struct engine_counters *engine_counters(const struct engine *e)
{
	return &e->counters;
}
