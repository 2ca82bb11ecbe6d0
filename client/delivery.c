#include "client/delivery.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <usrsctp.h>

#include "client/flight.h"

enum {
	PORT = 5000,        /* both ends; says nothing inside a tunnel */
	STEP_MS = 10,       /* usrsctp's timers tick so */
	IDLE_STEP_MS = 250, /* only heartbeats are due */
	HEARTBEAT_MS = 30000,
	RTO_FIRST_MS = 1000,
	RTO_LEAST_MS = 500, /* a stall of the program shall not look like loss */
	SACK_DELAY_MS = 20,
	SACK_EACH_PACKETS = 4, /* a SACK costs a whole packet of the tunnel */
	RETRANSMISSIONS = 400, /* of RTO_LAST: 13 minutes, then the other is lost */
	FIRST_WINDOW = 16,     /* packets; RFC 6928 has 10, relays are buffered well */
	BURST = 32,            /* packets at a time, so that socket buffers are not overrun */
	CHUNKS_QUEUED = FLIGHT_CHUNKS_MAX / 2, /* small messages fill the send buffer, too */
	FINISH_TRIES = 1000,
	PHYSICAL_SEND_BUFFER = DELIVERY_SEND_BUFFER + DELIVERY_MESSAGE_MAX,
	PARTIAL_DELIVERY = DELIVERY_RECEIVE_BUFFER / 2, /* above any message: none comes in parts */
};
#define IDLE_AFTER_NS (1 * NS_PER_S)
_Static_assert((int)DELIVERY_RTO_LAST_MS *RETRANSMISSIONS > 10 * 60 * 1000, "as promised");
_Static_assert((int)PARTIAL_DELIVERY > (int)DELIVERY_MESSAGE_MAX, "messages come whole");

struct delivery {
	struct delivery_config config;
	struct slot *slot;
	struct socket *socket;
	enum delivery_state state;
	bool has_message; /* in `message` */
	bool is_taken;    /* and handed out: free it with the next call */
	uint16_t stream;
	size_t message_size;
	uint64_t accepted_bytes; /* since the start */
	struct flight flight;
	uint8_t message[DELIVERY_MESSAGE_MAX + 1]; /* one more, to notice what is too large */
};

/* usrsctp knows an association by an address that is a pointer. It is that of a slot: taking one
 * from the library while it has timers running would set its thread to work, so slots stay. */
struct slot {
	struct delivery *delivery; /* NULL: free */
};

/* The state that usrsctp keeps for the process has this beside it. */
static struct {
	bool is_started;
	uint64_t now_ns;
	uint64_t active_ns; /* of the latest input or message */
	size_t slot_count;  /* registered so far, the first ones */
	struct slot slots[DELIVERY_ASSOCIATIONS_MAX];
} engine;

/* ---- process --------------------------------------------------------------------------- */

/* A packet of usrsctp's, for the association of that slot. */
static int send_packet(void *address, void *packet, size_t size, uint8_t tos, uint8_t set_df)
{
	struct slot *slot = address;

	(void)tos;
	(void)set_df;
	assert(size <= DELIVERY_PACKET_MAX);
	if (slot->delivery == NULL)
		return 0;
	flight_note_sent(&slot->delivery->flight, view_of(packet, size));
	slot->delivery->config.send(slot->delivery->config.state, packet, size);
	return 0;
}

static void set_defaults(void)
{
	usrsctp_enable_crc32c_offload();
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_pr_enable(0);
	usrsctp_sysctl_set_sctp_auth_enable(0);
	usrsctp_sysctl_set_sctp_asconf_enable(0);
	usrsctp_sysctl_set_sctp_reconfig_enable(0);
	usrsctp_sysctl_set_sctp_nrsack_enable(0);
	usrsctp_sysctl_set_sctp_pktdrop_enable(0);

	usrsctp_sysctl_set_sctp_rto_initial_default(RTO_FIRST_MS);
	usrsctp_sysctl_set_sctp_rto_min_default(RTO_LEAST_MS);
	usrsctp_sysctl_set_sctp_rto_max_default(DELIVERY_RTO_LAST_MS);
	usrsctp_sysctl_set_sctp_init_rto_max_default(DELIVERY_RTO_LAST_MS);
	usrsctp_sysctl_set_sctp_init_rtx_max_default(RETRANSMISSIONS);
	usrsctp_sysctl_set_sctp_assoc_rtx_max_default(RETRANSMISSIONS);
	usrsctp_sysctl_set_sctp_path_rtx_max_default(RETRANSMISSIONS);
	usrsctp_sysctl_set_sctp_max_retran_chunk(0); /* no limit for a single chunk beside that */
	usrsctp_sysctl_set_sctp_heartbeat_interval_default(HEARTBEAT_MS);

	usrsctp_sysctl_set_sctp_delayed_sack_time_default(SACK_DELAY_MS);
	usrsctp_sysctl_set_sctp_sack_freq_default(SACK_EACH_PACKETS);
	usrsctp_sysctl_set_sctp_initial_cwnd(FIRST_WINDOW);
	usrsctp_sysctl_set_sctp_L2_abc_variable(SACK_EACH_PACKETS); /* slow start doubles still */
	usrsctp_sysctl_set_sctp_max_burst_default(BURST);
	usrsctp_sysctl_set_sctp_use_cwnd_based_maxburst(0); /* a burst held back costs no window */
	usrsctp_sysctl_set_sctp_max_chunks_on_queue(CHUNKS_QUEUED);
	usrsctp_sysctl_set_sctp_default_ss_module(SCTP_SS_ROUND_ROBIN);
}

bool delivery_start(void)
{
	sigset_t all, before;

	assert(!engine.is_started);
	memset(&engine, 0, sizeof engine);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the library's idle thread */
	usrsctp_init_nothreads(0, send_packet, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	set_defaults();
	engine.is_started = true;
	return true;
}

void delivery_stop(void)
{
	if (!engine.is_started)
		return; /* a profile that could not be opened */
	for (size_t i = 0; i < engine.slot_count; i++)
		assert(engine.slots[i].delivery == NULL);
	/* It refuses while anything is in use, and what was closed goes when timers run. */
	for (int i = 0; i < FINISH_TRIES && usrsctp_finish() != 0; i++)
		usrsctp_handle_timers(STEP_MS);
	engine.is_started = false;
}

/* ---- one association ------------------------------------------------------------------- */

static bool set_option(struct socket *socket, int level, int option, const void *value, size_t size)
{
	return usrsctp_setsockopt(socket, level, option, value, (socklen_t)size) == 0;
}

static bool set_options(struct socket *socket)
{
	const int on = 1;
	const int send_buffer = PHYSICAL_SEND_BUFFER, receive_buffer = DELIVERY_RECEIVE_BUFFER;
	const uint32_t partial = PARTIAL_DELIVERY;
	const struct linger abort_on_close = { .l_onoff = 1, .l_linger = 0 };
	const struct sctp_initmsg streams = {
		.sinit_num_ostreams = DELIVERY_STREAMS,
		.sinit_max_instreams = DELIVERY_STREAMS,
	};
	const struct sctp_event changes = {
		.se_assoc_id = SCTP_FUTURE_ASSOC,
		.se_type = SCTP_ASSOC_CHANGE,
		.se_on = 1,
	};
	const struct sctp_paddrparams path = {
		.spp_address.ss_family = AF_CONN,
		.spp_flags = SPP_PMTUD_DISABLE,
		.spp_pathmtu = DELIVERY_PACKET_MAX - FLIGHT_PACKET_MIN, /* counted without it */
	};

	return set_option(socket, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer) &&
	       set_option(socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) &&
	       set_option(socket, SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof abort_on_close) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_INITMSG, &streams, sizeof streams) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_EVENT, &changes, sizeof changes) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path) &&
	       set_option(socket, IPPROTO_SCTP, SCTP_PARTIAL_DELIVERY_POINT, &partial,
			  sizeof partial) &&
	       usrsctp_set_non_blocking(socket, 1) == 0;
}

/* Both ends have the same address and port: where packets go is the tunnel's affair. */
static bool connect_socket(struct socket *socket, struct slot *slot)
{
	struct sockaddr_conn address = {
		.sconn_family = AF_CONN,
		.sconn_port = htons(PORT),
		.sconn_addr = slot,
	};
	struct sockaddr *any = (struct sockaddr *)&address;

	if (usrsctp_bind(socket, any, sizeof address) != 0)
		return false;
	return usrsctp_connect(socket, any, sizeof address) == 0 || errno == EINPROGRESS;
}

static struct slot *take_slot(struct delivery *d)
{
	size_t at = 0;

	while (at < engine.slot_count && engine.slots[at].delivery != NULL)
		at++;
	if (at == DELIVERY_ASSOCIATIONS_MAX)
		return NULL;
	if (at == engine.slot_count)
		usrsctp_register_address(&engine.slots[engine.slot_count++]);
	engine.slots[at].delivery = d;
	return &engine.slots[at];
}

static void close_socket(struct delivery *d)
{
	if (d->socket != NULL)
		usrsctp_close(d->socket);
	d->socket = NULL;
}

struct delivery *delivery_create(const struct delivery_config *config)
{
	struct delivery *d = calloc(1, sizeof *d);

	assert(engine.is_started);
	if (d == NULL)
		return NULL;
	d->config = *config;
	flight_init(&d->flight);
	d->slot = take_slot(d);
	if (d->slot != NULL)
		d->socket = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (d->socket == NULL || !set_options(d->socket) || !connect_socket(d->socket, d->slot)) {
		delivery_destroy(d);
		return NULL;
	}
	engine.active_ns = engine.now_ns;
	return d;
}

void delivery_destroy(struct delivery *d)
{
	if (d == NULL)
		return;
	close_socket(d); /* says ABORT, through the slot still */
	if (d->slot != NULL)
		d->slot->delivery = NULL;
	bytes_wipe(d->message, sizeof d->message);
	free(d);
}

/* ---- receiving ------------------------------------------------------------------------- */

static void lose(struct delivery *d)
{
	d->state = DELIVERY_LOST;
	close_socket(d);
}

static void note_change(struct delivery *d, size_t size)
{
	union sctp_notification notification;

	if (size < sizeof(struct sctp_assoc_change) || size > sizeof notification)
		return;
	memcpy(&notification, d->message, size);
	if (notification.sn_header.sn_type != SCTP_ASSOC_CHANGE)
		return;
	/* A restart of the other end, too: what it had received and we had not read is unknown. */
	if (notification.sn_assoc_change.sac_state == SCTP_COMM_UP)
		d->state = DELIVERY_UP;
	else
		lose(d);
}

/* One item from the socket. False: nothing more for now. */
static bool receive(struct delivery *d)
{
	struct sctp_rcvinfo info = { 0 };
	socklen_t info_size = sizeof info, from_size = 0;
	unsigned info_type = SCTP_RECVV_NOINFO;
	int flags = 0;
	ssize_t size = usrsctp_recvv(d->socket, d->message, sizeof d->message, NULL, &from_size,
				     &info, &info_size, &info_type, &flags);

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN))
		return false;
	if (size <= 0) {
		lose(d);
		return false;
	}
	if ((flags & MSG_NOTIFICATION) != 0) {
		note_change(d, (size_t)size);
		return d->socket != NULL;
	}
	/* Nobody that keeps to the protocol sends such. */
	if ((flags & MSG_EOR) == 0 || size > DELIVERY_MESSAGE_MAX ||
	    info_type != SCTP_RECVV_RCVINFO || info.rcv_sid >= DELIVERY_STREAMS) {
		lose(d);
		return false;
	}
	d->stream = info.rcv_sid;
	d->message_size = (size_t)size;
	d->has_message = true;
	return false;
}

/* Read ahead by one message, so that the state is up to date. What is not read fills the receive
 * buffer, and the other end stops. */
static void read_ahead(struct delivery *d)
{
	while (!d->has_message && d->socket != NULL && receive(d))
		;
}

void delivery_input(struct delivery *d, const uint8_t *packet, size_t size)
{
	/* usrsctp takes the common header for granted. */
	if (size < FLIGHT_PACKET_MIN || size > DELIVERY_PACKET_MAX || d->socket == NULL)
		return;
	flight_note_received(&d->flight, view_of(packet, size));
	usrsctp_conninput(d->slot, packet, size, 0);
	engine.active_ns = engine.now_ns;
	read_ahead(d);
}

bool delivery_next(struct delivery *d, uint16_t *stream, struct view *message)
{
	if (d->is_taken)
		d->has_message = d->is_taken = false;
	read_ahead(d);
	if (!d->has_message)
		return false;
	d->is_taken = true;
	*stream = d->stream;
	*message = view_of(d->message, d->message_size);
	return true;
}

/* ---- sending --------------------------------------------------------------------------- */

size_t delivery_unacknowledged(const struct delivery *d)
{
	if (d->socket == NULL)
		return 0;
	assert(d->accepted_bytes >= d->flight.acknowledged_bytes);
	return (size_t)(d->accepted_bytes - d->flight.acknowledged_bytes);
}

/* Files leave room for chat in the send buffer. */
static bool has_room(const struct delivery *d, uint16_t stream, size_t size)
{
	size_t limit = DELIVERY_SEND_BUFFER - (stream == 0 ? 0 : DELIVERY_CHAT_RESERVE);

	return delivery_unacknowledged(d) + size <= limit;
}

enum delivery_send_status delivery_send(struct delivery *d, uint16_t stream, struct view message)
{
	struct sctp_sndinfo info = { .snd_sid = stream };

	assert(stream < DELIVERY_STREAMS);
	assert(message.size > 0 && message.size <= DELIVERY_MESSAGE_MAX);
	if (d->state == DELIVERY_LOST)
		return DELIVERY_BROKEN;
	if (d->state != DELIVERY_UP || !has_room(d, stream, message.size))
		return DELIVERY_FULL;
	engine.active_ns = engine.now_ns;
	/* Counted beforehand: the first chunks may leave, and be acknowledged, within the call. */
	d->accepted_bytes += message.size;
	ssize_t sent = usrsctp_sendv(d->socket, message.data, message.size, NULL, 0, &info,
				     sizeof info, SCTP_SENDV_SNDINFO, 0);
	if (sent >= 0) {
		assert((size_t)sent == message.size);
		return DELIVERY_SENT;
	}
	d->accepted_bytes -= message.size;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
		return DELIVERY_FULL;
	lose(d);
	return DELIVERY_BROKEN;
}

enum delivery_state delivery_state(const struct delivery *d)
{
	return d->has_message && d->state == DELIVERY_LOST ? DELIVERY_UP : d->state;
}

/* ---- time ------------------------------------------------------------------------------ */

/* In milliseconds until the next look at the timers; UINT64_MAX: nobody needs one. */
static uint64_t step_of(const struct delivery *d)
{
	if (d->socket == NULL)
		return UINT64_MAX;
	if (d->state == DELIVERY_CONNECTING || delivery_unacknowledged(d) > 0)
		return STEP_MS;
	return IDLE_STEP_MS;
}

uint64_t delivery_advance(uint64_t now_ns)
{
	uint64_t step = UINT64_MAX;

	assert(engine.is_started);
	if (engine.now_ns == 0)
		engine.now_ns = engine.active_ns = now_ns;
	uint64_t passed_ms = now_ns > engine.now_ns ? (now_ns - engine.now_ns) / NS_PER_MS : 0;
	if (passed_ms > 0) {
		engine.now_ns += passed_ms * NS_PER_MS;
		usrsctp_handle_timers((uint32_t)earliest(passed_ms, UINT32_MAX));
	}
	for (size_t i = 0; i < engine.slot_count; i++) {
		struct delivery *d = engine.slots[i].delivery;
		if (d == NULL)
			continue;
		if (passed_ms > 0)
			read_ahead(d);
		step = earliest(step, step_of(d));
	}
	if (step == UINT64_MAX)
		return NEVER;
	if (engine.now_ns - engine.active_ns < IDLE_AFTER_NS)
		step = earliest(step, STEP_MS);
	return engine.now_ns + step * NS_PER_MS;
}
