#include "tests/support/wire_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/security_file.h"
#include "net/file.h"
#include "net/udp_socket.h"
#include "tests/support/test.h"

enum {
	CLIENTS_MAX = 1024,
	SOCKET_BUFFER = 4 << 20,
	PATH_SIZE = 512,
};

/* How long a condition may go unasked. */
#define ROUND_NS (5 * NS_PER_MS)

/* ---- file ------------------------------------------------------------------------------- */

static void take_file(const struct security_file *file, struct link_config *out)
{
	struct hello_config *hello = &out->hello;
	memset(out, 0, sizeof(*out));
	hello->credential = CREDENTIAL_FILE;
	memcpy(hello->id, file->file_id, FILE_ID_SIZE);
	memcpy(hello->psk, file->shared_secret, KEY_SIZE);
	memcpy(hello->server_id, file->server_id, SERVER_ID_SIZE);
	memcpy(hello->server_public, file->server_public_key, X25519_SIZE);
	out->addresses[0] = file->public_ip;
	out->addresses[1] = file->public_ip6;
	for (size_t i = 0; i < file->door_count && i < LINK_DOORS_MAX; i++) {
		const struct security_file_door *from = &file->doors[i];
		struct link_door *to = &out->doors[out->door_count++];
		*to = (struct link_door){ .generation = from->generation,
					  .port = from->port,
					  .from_ns = from->from_s * NS_PER_S,
					  .until_ns = from->until_s * NS_PER_S };
		memcpy(to->key, from->key, KEY_SIZE);
	}
	out->random = random_system();
	out->cipher = packet_cipher_best();
}

bool wire_file_read(const char *state_directory, struct link_config *out)
{
	char path[PATH_SIZE];
	uint8_t text[SECURITY_FILE_WRITTEN_MAX];
	uint8_t content[BOOTSTRAP_FILE_SIZE_MAX], key[BOOTSTRAP_KEY_SIZE];
	size_t size, key_size;
	struct security_file file;
	snprintf(path, sizeof(path), "%s/bootstrap.key", state_directory);
	if (file_read(path, FILE_PRIVATE, content, sizeof(content), &key_size) != FILE_OK ||
	    !bootstrap_key_parse(view_of(content, key_size), key))
		return false;
	snprintf(path, sizeof(path), "%s/files/clawchat-current.sec", state_directory);
	if (file_read(path, FILE_PRIVATE, text, sizeof(text), &size) != FILE_OK)
		return false;
	const struct security_file_reader reader = {
		.bootstrap = view_of(key, sizeof(key)),
		.now_s = clock_now().wall_ns / NS_PER_S,
		.iterations_min = 1, /* some tests are in a hurry */
		.iterations_max = PBKDF2_ITERATIONS_MAX,
	};
	if (security_file_open(&reader, view_of(text, size), &file) != SECURITY_FILE_OK)
		return false;
	take_file(&file, out);
	return true;
}

/* ---- life ------------------------------------------------------------------------------- */

bool wire_client_rebind(struct wire_client *c, const struct address *bind_to)
{
	const struct udp_socket_options options = { .receive_buffer_bytes = SOCKET_BUFFER,
						    .send_buffer_bytes = SOCKET_BUFFER };
	int fd = udp_socket_open(bind_to, &options);
	if (fd < 0)
		return false;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = fd;
	c->is_v6 = !address_is_v4(bind_to);
	return true;
}

bool wire_client_open(struct wire_client *c, const struct link_config *file,
		      const struct address *bind_to)
{
	const struct random_source random = random_system();
	memset(c, 0, offsetof(struct wire_client, out_frames));
	c->fd = -1;
	c->config = *file;
	x25519_generate(&c->config.hello.device, &random);
	ed25519_generate(&c->config.hello.identity, &random);
	peer_id_of(c->config.hello.identity.public, c->peer);
	if (!wire_client_rebind(c, bind_to))
		return false;
	memset(&c->config.addresses[c->is_v6 ? 0 : 1], 0, sizeof(c->config.addresses[0]));
	c->link = link_create(&c->config, clock_now());
	return c->link != NULL;
}

/* ---- out -------------------------------------------------------------------------------- */

void wire_flush(struct wire_client *c)
{
	for (size_t i = 0; i < c->out_count; i++) {
		const struct packet *p = &c->out[i];
		union socket_name name;
		socklen_t size = socket_name_write(&name, &p->path.remote);
		if (c->on_datagram != NULL)
			c->on_datagram(c, true, view_of(p->data, p->size));
		/* ECONNREFUSED tells of an earlier one: the relay is away. */
		if (sendto(c->fd, p->data, p->size, 0, &name.any, size) < 0 &&
		    errno == ECONNREFUSED)
			(void)sendto(c->fd, p->data, p->size, 0, &name.any, size);
		c->datagrams_out++;
	}
	c->out_count = 0;
}

static uint8_t *next_frame(struct wire_client *c)
{
	if (c->out_count == WIRE_BATCH)
		wire_flush(c);
	return c->out_frames[c->out_count];
}

bool wire_send(struct wire_client *c, uint32_t channel, struct view blob)
{
	uint8_t *frame = next_frame(c);
	memcpy(frame + LINK_HEADROOM, blob.data, blob.size);
	if (!link_send(c->link, channel, frame, blob.size, &c->out[c->out_count]))
		return false;
	c->out_count++;
	return true;
}

static void say_what_is_due(struct wire_client *c, struct instant now)
{
	for (;;) {
		struct view_out room = { .data = next_frame(c), .capacity = DATAGRAM_SIZE_MAX };
		if (!link_output(c->link, now, room, &c->out[c->out_count]))
			break;
		c->out_count++;
	}
	wire_flush(c);
}

void wire_client_close(struct wire_client *c)
{
	if (c->link != NULL && c->fd >= 0) {
		link_stop(c->link);
		say_what_is_due(c, clock_now());
	}
	link_destroy(c->link);
	c->link = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* ---- in --------------------------------------------------------------------------------- */

static void take_event(struct wire_client *c, const struct link_event *event)
{
	switch (event->type) {
	case LINK_EVENT_UP:
		c->is_up = true;
		c->ups++;
		c->channel = 0;
		c->is_opening = false;
		break;
	case LINK_EVENT_DOWN:
	case LINK_EVENT_REFUSED:
		c->is_up = false;
		c->down_reason = event->reason;
		break;
	case LINK_EVENT_OFFER:
		if (link_accept(c->link, event->channel))
			c->channel = event->channel;
		break;
	case LINK_EVENT_OPENED:
		c->channel = event->channel;
		c->is_opening = false;
		break;
	case LINK_EVENT_OPEN_FAILED: c->is_opening = false; break;
	case LINK_EVENT_GONE:
		if (c->channel == event->channel)
			c->channel = 0;
		break;
	default: break;
	}
}

static void take_datagram(struct wire_client *c, struct packet *packet, struct instant now)
{
	uint32_t channel;
	struct view blob;
	struct link_event event;
	c->datagrams_in++;
	/* The port may be that of another door: the address is what counts. */
	if (memcmp(packet->path.remote.ip, c->config.addresses[c->is_v6].ip, IP_SIZE) != 0)
		c->strays++;
	if (c->on_datagram != NULL)
		c->on_datagram(c, false, view_of(packet->data, packet->size));
	if (link_input(c->link, packet, now, &channel, &blob) && c->on_blob != NULL)
		c->on_blob(c, channel, blob);
	while (link_next_event(c->link, &event))
		take_event(c, &event);
}

static void take_what_came(struct wire_client *c, struct instant now)
{
	struct mmsghdr messages[WIRE_BATCH];
	struct iovec parts[WIRE_BATCH];
	union socket_name names[WIRE_BATCH];
	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < WIRE_BATCH; i++) {
		parts[i] =
			(struct iovec){ .iov_base = c->in_frames[i], .iov_len = WIRE_FRAME_SIZE };
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &names[i],
						       .msg_namelen = sizeof(names[i]),
						       .msg_iov = &parts[i],
						       .msg_iovlen = 1 };
	}
	int count = recvmmsg(c->fd, messages, WIRE_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++) {
		struct packet packet = { .data = c->in_frames[i], .size = messages[i].msg_len };
		if (socket_name_read(&names[i], messages[i].msg_hdr.msg_namelen,
				     &packet.path.remote))
			take_datagram(c, &packet, now);
	}
}

/* ---- running ---------------------------------------------------------------------------- */

void wire_round(struct wire_client *clients, size_t count, uint64_t wait_ns)
{
	struct pollfd fds[CLIENTS_MAX];
	struct instant now = clock_now();
	assert_true(count <= CLIENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		say_what_is_due(&clients[i], now);
		fds[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
		uint64_t deadline_ns = link_deadline(clients[i].link);
		wait_ns = earliest(wait_ns,
				   deadline_ns > now.mono_ns ? deadline_ns - now.mono_ns : 0);
	}
	const struct timespec timeout = { .tv_sec = (time_t)(wait_ns / NS_PER_S),
					  .tv_nsec = (long)(wait_ns % NS_PER_S) };
	if (ppoll(fds, count, &timeout, NULL) <= 0)
		return;
	now = clock_now();
	for (size_t i = 0; i < count; i++)
		if (fds[i].revents != 0)
			take_what_came(&clients[i], now);
}

bool wire_wait(struct wire_client *clients, size_t count, unsigned seconds,
	       bool (*is_done)(void *state), void *state)
{
	uint64_t end_ns = clock_now().mono_ns + seconds * NS_PER_S;
	while (!is_done(state)) {
		if (clock_now().mono_ns >= end_ns)
			return false;
		wire_round(clients, count, ROUND_NS);
	}
	return true;
}

struct clients {
	struct wire_client *clients;
	size_t count;
};

static bool are_up(void *state)
{
	const struct clients *all = state;
	for (size_t i = 0; i < all->count; i++)
		if (!all->clients[i].is_up)
			return false;
	return true;
}

bool wire_wait_up(struct wire_client *clients, size_t count, unsigned seconds)
{
	struct clients all = { clients, count };
	return wire_wait(clients, count, seconds, are_up, &all);
}

/* A client may be up some moments before the relay's keeper has heard of it: then the other one's
 * request is refused, and made again. */
bool wire_is_joined(struct wire_client *pair)
{
	if (!pair[0].is_opening && pair[0].channel == 0)
		pair[0].is_opening = link_open(pair[0].link, pair[1].peer) != 0;
	return pair[0].channel != 0 && pair[1].channel != 0;
}

static bool are_joined(void *state)
{
	return wire_is_joined(state);
}

bool wire_join(struct wire_client *pair, unsigned seconds)
{
	return wire_wait_up(pair, 2, seconds) && wire_wait(pair, 2, seconds, are_joined, pair);
}
