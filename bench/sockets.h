#pragma once
/*
 * The generator's sockets: one per virtual peer (or shared, for sessions at rest), each connected
 * to the target, and sinks that are not. Trains leave by GSO and come in by GRO.
 *
 * Owner: one thread. Errors are 0 or -errno.
 */
#include <sys/uio.h>

#include "core/address.h"

struct sockets;

/* A datagram that came; the bytes stay until the next sockets_receive(). */
struct arrival {
	uint8_t *data;
	uint32_t size;
	uint32_t socket;
	uint8_t kind; /* enum load_kind */
	bool wants_stamp;
	bool has_stamp;
	uint64_t stamp;
	uint64_t came_ns; /* when the kernel had it, by CLOCK_MONOTONIC */
};

struct sockets_config {
	uint32_t capacity;
	bool want_gro;
};

struct sockets *sockets_create(const struct sockets_config *config) MUST_CHECK; /* NULL: memory */
void sockets_destroy(struct sockets *s);

/* Unset addresses: any, or not connected. Returns its index or -errno. */
int sockets_add(struct sockets *s, const struct address *local,
		const struct address *remote) MUST_CHECK;
struct address sockets_local(const struct sockets *s, uint32_t index);
int sockets_connect(struct sockets *s, uint32_t index, const struct address *remote) MUST_CHECK;

/* `count` datagrams at once; all but the last have segment_size bytes. */
int sockets_send(struct sockets *s, uint32_t index, struct iovec *datagrams, size_t count,
		 size_t segment_size) MUST_CHECK;

/* What is there, after a wait of at most timeout_ns. */
size_t sockets_receive(struct sockets *s, uint64_t timeout_ns, struct arrival **arrivals);

/* As many descriptors as the system lets us have. */
uint32_t sockets_raise_limit(void);
