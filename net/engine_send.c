/*
 * Sending, the same for both kinds of engine: sort a batch by socket, join packets into GSO trains,
 * give 64 trains at a time to sendmmsg. (Sends through the ring cost the same, and would need
 * every frame kept until the next enter.)
 */
#include "net/engine_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/clock.h"

enum {
	SEND_MESSAGES = 64,      /* of one sendmmsg */
	TRAIN_SEGMENTS_MAX = 64, /* the kernel's UDP_MAX_SEGMENTS (older ones; now 128) */
	TRAIN_BYTES_MAX = 65000, /* below 65,507, leaving room for IPv6 extension headers */
	NO_SLOT = ENGINE_SLOTS,
};

/* How long a socket does without GSO once the kernel refused what it then took singly: the route
 * leads through a device that cannot, and may change. */
#define GSO_PAUSE_NS (60 * NS_PER_S)

struct outgoing {
	union socket_name name;
	uint8_t control[CONTROL_SEND_SIZE] __attribute__((aligned(8)));
};

struct engine_sender {
	/* The batch in the order of slots; within one, as it came. */
	const struct packet *sorted[ENGINE_BATCH_MAX];
	struct mmsghdr messages[SEND_MESSAGES];
	struct outgoing outgoing[SEND_MESSAGES];
	uint32_t packet_counts[SEND_MESSAGES]; /* packets in each message */
	struct iovec payloads[ENGINE_BATCH_MAX];
};

/* Packets of one socket still to be sent. */
struct remaining {
	uint16_t slot;
	const struct packet *const *packets;
	size_t count;
};

struct engine_sender *engine_sender_create(void)
{
	return calloc(1, sizeof(struct engine_sender));
}

void engine_sender_destroy(struct engine_sender *s)
{
	free(s);
}

/* ---- joining ---- */

/* How many of the packets leave as one message. */
static size_t train_length(const struct remaining *r)
{
	const struct packet *first = r->packets[0];
	size_t bytes = first->size, length = 1;
	if (first->size == 0)
		return 1;
	for (; length < r->count && length < TRAIN_SEGMENTS_MAX; length++) {
		const struct packet *p = r->packets[length];
		bytes += p->size;
		if (p->size == 0 || p->size > first->size || bytes > TRAIN_BYTES_MAX ||
		    !path_equal(&p->path, &first->path))
			return length;
		if (p->size < first->size)
			return length + 1; /* only the last may be shorter */
	}
	return length;
}

/* Frames that lie end to end, as a train came in, need one entry only. */
static size_t write_payloads(struct iovec *payloads, const struct packet *const *packets,
			     size_t count)
{
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		const struct packet *p = packets[i];
		struct iovec *last = used > 0 ? &payloads[used - 1] : NULL;
		if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == p->data)
			last->iov_len += p->size;
		else
			payloads[used++] =
				(struct iovec){ .iov_base = p->data, .iov_len = p->size };
	}
	return used;
}

/* A bound socket sends from its address anyway. */
static const struct path *source_of(const struct engine_slot *slot, const struct path *path)
{
	bool is_given = memcmp(slot->local_ip, path->local_ip, sizeof(path->local_ip)) == 0;
	return is_given ? NULL : path;
}

static size_t write_message(struct engine *e, size_t index, struct iovec *payloads,
			    const struct remaining *r, size_t length)
{
	struct engine_sender *s = e->sender;
	const struct packet *first = r->packets[0];
	const struct path *source = source_of(&e->slots[r->slot], &first->path);
	struct outgoing *o = &s->outgoing[index];
	uint16_t segment_size = length > 1 ? (uint16_t)first->size : 0;
	socklen_t name_size = socket_name_write(&o->name, &first->path.remote);
	size_t control_size = control_write(o->control, source, segment_size);
	size_t used = write_payloads(payloads, r->packets, length);
	s->messages[index].msg_hdr = (struct msghdr){
		.msg_name = &o->name,
		.msg_namelen = name_size,
		.msg_control = control_size > 0 ? o->control : NULL,
		.msg_controllen = control_size,
		.msg_iov = payloads,
		.msg_iovlen = used,
	};
	s->packet_counts[index] = (uint32_t)length;
	return used;
}

/* Returns the count of messages made from the front of what remains. */
static size_t write_messages(struct engine *e, struct remaining r, bool may_join)
{
	struct iovec *payloads = e->sender->payloads;
	size_t count = 0;
	while (r.count > 0 && count < SEND_MESSAGES) {
		size_t length = may_join ? train_length(&r) : 1;
		payloads += write_message(e, count, payloads, &r, length);
		r.packets += length;
		r.count -= length;
		count++;
	}
	return count;
}

/* ---- handing over ---- */

static void advance(struct remaining *r, size_t count)
{
	assert(count <= r->count);
	r->packets += count;
	r->count -= count;
}

static void finish_sent(struct engine *e, struct remaining *r, size_t first, size_t count)
{
	const struct engine_sender *s = e->sender;
	size_t packets = 0, bytes = 0;
	for (size_t i = first; i < first + count; i++) {
		packets += s->packet_counts[i];
		bytes += s->messages[i].msg_len;
	}
	engine_count(e, tx_packets, packets);
	engine_count(e, tx_bytes, bytes);
	advance(r, packets);
}

/* EIO: the device computes no checksums; the others: segments above the MTU, or an old kernel. */
static bool is_gso_refusal(int error)
{
	return error == EIO || error == EINVAL || error == EMSGSIZE;
}

/*
 * Give the messages to the kernel; what is done with leaves *r. Returns false if it stopped at a
 * train that the kernel refused, which is then the first of what remains.
 */
static bool push(struct engine *e, struct remaining *r, size_t count)
{
	struct engine_sender *s = e->sender;
	int fd = e->slots[r->slot].fd;
	bool passed_over = false;
	for (size_t i = 0; i < count;) {
		int sent = sendmmsg(fd, s->messages + i, (unsigned)(count - i), MSG_DONTWAIT);
		int error = sent < 0 ? errno : 0;
		engine_count(e, tx_calls, 1);
		if (sent > 0) {
			finish_sent(e, r, i, (size_t)sent);
			i += (size_t)sent;
			passed_over = false;
			continue;
		}
		if (error == EINTR)
			continue;
		if (error == ECONNREFUSED && !passed_over) {
			passed_over = true; /* the answer to an earlier datagram: told once */
			continue;
		}
		if (error == EAGAIN || error == EWOULDBLOCK) {
			/* The buffer of this socket is full: the rest would fare no better. */
			engine_count(e, tx_would_block, r->count);
			advance(r, r->count);
			return true;
		}
		if (s->packet_counts[i] > 1 && is_gso_refusal(error))
			return false;
		engine_count(e, tx_refused, s->packet_counts[i]);
		advance(r, s->packet_counts[i]);
		passed_over = false;
		i++;
	}
	return true;
}

static bool gso_is_paused(struct engine_slot *s)
{
	if (s->gso_paused_until_ns == 0)
		return false;
	if (clock_now().mono_ns < s->gso_paused_until_ns)
		return true;
	s->gso_paused_until_ns = 0;
	return false;
}

/*
 * The kernel refused a train. Packets above the MTU are refused singly too; but where those of
 * full size pass, GSO itself was refused, and this socket does without for a time.
 */
static void send_singly(struct engine *e, struct remaining train)
{
	bool last_is_shorter = train.packets[train.count - 1]->size < train.packets[0]->size;
	uint64_t before = load_relaxed(&e->counters.tx_packets);
	uint16_t slot = train.slot;
	while (train.count > 0)
		(void)push(e, &train, write_messages(e, train, false));
	uint64_t sent = load_relaxed(&e->counters.tx_packets) - before;
	if (sent > (last_is_shorter ? 1 : 0))
		e->slots[slot].gso_paused_until_ns = clock_now().mono_ns + GSO_PAUSE_NS;
}

static void send_through(struct engine *e, struct remaining r)
{
	while (r.count > 0) {
		bool may_join = !gso_is_paused(&e->slots[r.slot]);
		if (push(e, &r, write_messages(e, r, may_join)))
			continue;
		struct remaining train = r;
		train.count = train_length(&r);
		send_singly(e, train);
		advance(&r, train.count);
	}
}

/* ---- sorting ---- */

static uint16_t find_slot(const struct engine *e, const struct path *path)
{
	uint16_t family = address_is_v4(&path->remote) ? 0 : 1;
	for (uint16_t slot = family; slot < ENGINE_SLOTS; slot = (uint16_t)(slot + 2))
		if (e->slots[slot].fd >= 0 && e->slots[slot].door == path->door)
			return slot;
	return NO_SLOT;
}

static void send_batch(struct engine *e, const struct packet *packets, size_t count)
{
	uint8_t slots[ENGINE_BATCH_MAX];
	size_t counts[ENGINE_SLOTS + 1] = { 0 };
	size_t starts[ENGINE_SLOTS + 1], next[ENGINE_SLOTS + 1];
	for (size_t i = 0; i < count; i++) {
		slots[i] = (uint8_t)find_slot(e, &packets[i].path);
		counts[slots[i]]++;
	}
	starts[0] = 0;
	for (size_t slot = 0; slot < ENGINE_SLOTS; slot++)
		starts[slot + 1] = starts[slot] + counts[slot];
	memcpy(next, starts, sizeof(next));
	for (size_t i = 0; i < count; i++)
		e->sender->sorted[next[slots[i]]++] = &packets[i];
	for (uint16_t slot = 0; slot < ENGINE_SLOTS; slot++)
		send_through(e, (struct remaining){ .slot = slot,
						    .packets = e->sender->sorted + starts[slot],
						    .count = counts[slot] });
	engine_count(e, tx_no_port, counts[NO_SLOT]);
}

void engine_send(struct engine *e, const struct packet *packets, size_t count)
{
	while (count > 0) {
		size_t part = count < ENGINE_BATCH_MAX ? count : ENGINE_BATCH_MAX;
		send_batch(e, packets, part);
		packets += part;
		count -= part;
	}
}
