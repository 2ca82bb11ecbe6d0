#pragma once
/*
 * I/O engine of one thread: UDP sockets of one or more port generations (IPv4 and IPv6), batches
 * in and batches out. Two kinds behind one interface: io_uring (multishot receive into provided
 * buffers, restricted ring) and epoll (recvmmsg, sendmmsg). UDP GRO on receive and GSO on send are
 * the engine's own affair: the caller sees single datagrams.
 *
 *   engine_create()
 *   engine_open_port()            one call per port generation
 *   loop: engine_receive(), work in place, engine_send()
 *   engine_destroy()
 *
 * Owner: one thread, except engine_wake() and the reading of counters. Any thread may create; the
 * thread of the first engine_open_port() or engine_receive() is the owner (a ring is bound to it).
 * Destroy there too, or close the ports there first: a ring whose owner is gone gives its ports
 * back some time later. No allocation after engine_create() and engine_open_port(). Errors are 0
 * or -errno; nothing is printed.
 */
#include <stdatomic.h>

#include "core/packet.h"

enum engine_kind {
	ENGINE_AUTO, /* io_uring, or epoll where the system refuses a ring */
	ENGINE_URING,
	ENGINE_EPOLL,
};

enum {
	ENGINE_PORTS_MAX = 4,   /* previous, current, next, and one to spare */
	ENGINE_BATCH_MAX = 256, /* datagrams handed out by one receive */
};

struct engine_config {
	enum engine_kind kind;
	uint32_t receive_buffer_bytes; /* SO_RCVBUF wanted */
	uint32_t send_buffer_bytes;
	bool want_gro;   /* settable, so that tests run without */
	bool share_port; /* SO_REUSEPORT: several engines on one port */
};

/* One port generation. An unset address (all zero) leaves that family out; the wildcards are
 * ::ffff:0.0.0.0 and ::. Port 0 lets the system choose, and then one that both families have. */
struct engine_port {
	uint64_t door;
	struct address bind_v4;
	struct address bind_v6;
	bool any_v6;                   /* bind to ::, which without a port looks like unset */
	uint32_t receive_buffer_bytes; /* filled in: what the kernel granted */
	uint16_t port;                 /* filled in: the port that was bound */
};

/* Where packets can die or work was done; written by the owner, read by any thread. */
#define ENGINE_COUNTERS(X) \
	X(rx_packets, "datagrams received") \
	X(rx_bytes, "bytes received") \
	X(rx_calls, "receive completions or system calls") \
	X(rx_socket_drops, "dropped by the kernel: socket buffer full (SO_RXQ_OVFL)") \
	X(rx_no_buffers, "receive paused: no provided buffer left") \
	X(rx_cut, "dropped: datagram or its control data larger than the buffer") \
	X(rx_empty, "dropped: empty datagrams") \
	X(rx_no_port, "dropped: the port generation was closed before they were handed out") \
	X(tx_packets, "datagrams sent") \
	X(tx_bytes, "bytes sent") \
	X(tx_calls, "send calls or ring entries") \
	X(tx_would_block, "dropped: send buffer full") \
	X(tx_no_port, "dropped: the port generation is closed") \
	X(tx_refused, "dropped: the kernel refused the send") \
	X(wakeups, "waits that ended")

struct engine_counters {
#define X(name, text) _Atomic uint64_t name;
	ENGINE_COUNTERS(X)
#undef X
};

struct engine;

/*
 * ENGINE_AUTO falls back on EPERM, ENOSYS, EACCES, ENOMEM or EINVAL; engine_refusal() then gives
 * the errno that the ring met (0 otherwise), for the log.
 */
int engine_create(struct engine **out, const struct engine_config *config) MUST_CHECK;
void engine_destroy(struct engine *e);

enum engine_kind engine_kind(const struct engine *e);
const char *engine_kind_name(enum engine_kind kind); /* "io_uring", "epoll" */
int engine_refusal(const struct engine *e);

/* -EADDRINUSE and the like come as the system said them; -EEXIST: the door is open; -ENOSPC: all
 * ENGINE_PORTS_MAX are; -EINVAL: no address, or one of the wrong family. Both or none is open. */
int engine_open_port(struct engine *e, struct engine_port *port) MUST_CHECK;

/* The port can be bound again when this returns. What waited there is lost; no packet of this door
 * is handed out any more. Frames handed out before stay valid. */
void engine_close_port(struct engine *e, uint64_t door);

/*
 * Wait until datagrams are there, engine_wake() was called or timeout_ns has passed (0: only
 * look), and hand out up to `capacity`. Each packet's path tells the remote, our local address
 * and the door. Frames stay valid, and may be changed in place, until the next engine_receive().
 * Returns the count, or -errno for a broken engine. 0: woken, timed out, interrupted, or nothing
 * that came could be handed out (the counters tell). NEVER waits without a timeout.
 */
int engine_receive(struct engine *e, struct packet *packets, size_t capacity,
		   uint64_t timeout_ns) MUST_CHECK;

/*
 * Send a batch, each packet along its path (path.door picks the socket, path.local_ip the source
 * address where set). Packets that follow each other with the same path and size leave as one GSO
 * train (the last of a train may be shorter). What cannot be sent now is dropped and counted, as
 * UDP does. The frames must stay untouched until the next engine_receive().
 */
void engine_send(struct engine *e, const struct packet *packets, size_t count);

/* End the wait of engine_receive(), now or at its next call. Any thread. */
void engine_wake(struct engine *e);

/* A descriptor that polls readable when engine_receive() has something to do, or -errno. Poll it
 * only after a receive with timeout 0 has returned 0: what the engine has already taken does not
 * show. */
int engine_fd(const struct engine *e);

const struct engine_counters *engine_counters(const struct engine *e);
