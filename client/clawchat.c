/* Open, connect, process: the body of the client's loop. */
#include "client/clawchat.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "net/clock.h"

enum {
	RECEIVE_BATCH = 64,
	ROUNDS_PER_PROCESS = 16, /* then the program has a turn */
	SOCKET_BUFFER = 4 << 20,
	LINGER_LOOK_MS = 10,
};

#define LINGER_NS (250 * NS_PER_MS) /* at the end, for what was sent last */

const char *clawchat_version(void)
{
	return CLAWCHAT_VERSION;
}

/* ---- open and close --------------------------------------------------------------------- */

static void make_self(struct clawchat *c)
{
	c->self.identity = c->profile.identity;
	c->self.static_key = c->profile.peer_static;
	peer_id_of(c->profile.identity.public, c->self.id);
	random_fill(&c->random, c->self.instance, sizeof(c->self.instance));
	snprintf(c->self.name, sizeof(c->self.name), "%s", c->profile.name);
}

enum clawchat_result clawchat_open(const struct clawchat_options *options, struct clawchat **out,
				   struct clawchat_error *error)
{
	const char *failed = NULL;
	*out = NULL;
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		return client_error(error, CLAWCHAT_FAILED,
				    "cryptography: %s is missing or wrong in %s", failed,
				    crypto_library_version());
	struct clawchat *c = secret_create(sizeof(*c));
	if (c == NULL) {
		crypto_fini();
		return client_error(error, CLAWCHAT_FAILED, "out of memory");
	}
	c->random = random_system();
	c->now = clock_now();
	c->profile.lock_fd = -1;
	enum clawchat_result result =
		profile_open(&c->profile, options->profile, options->name, error);
	if (result == CLAWCHAT_OK)
		result = contacts_open(&c->contacts, &c->profile, error);
	c->has_delivery = result == CLAWCHAT_OK && delivery_start();
	if (result == CLAWCHAT_OK && (!c->has_delivery || !files_create(c)))
		result = client_error(error, CLAWCHAT_FAILED, "out of memory");
	if (result != CLAWCHAT_OK) {
		clawchat_close(c);
		return result;
	}
	make_self(c);
	*out = c;
	return CLAWCHAT_OK;
}

void clawchat_close(struct clawchat *c)
{
	if (c == NULL)
		return;
	if (c->is_burning)
		compromised_finish(c, false, BURN_FAILED); /* the program does not wait for it */
	clawchat_disconnect(c);
	tunnels_close(c);
	files_destroy(c);
	if (c->has_delivery)
		delivery_stop();
	events_clear(c);
	contacts_close(&c->contacts);
	profile_close(&c->profile);
	free(c->frames);
	free(c->packets);
	secret_destroy(c, sizeof(*c));
	crypto_fini();
}

/* ---- network ---------------------------------------------------------------------------- */

/* Sockets for the families that the relay has. */
static int open_port(struct clawchat *c)
{
	const struct security_file *relay = &c->profile.relay;
	struct engine_port port = { .any_v6 = address_is_set(&relay->public_ip6) };
	if (address_is_set(&relay->public_ip))
		port.bind_v4 = address_v4(0, 0, 0, 0, 0);
	int result = engine_open_port(c->engine, &port);
	if (result < 0 && port.any_v6 && address_is_v4(&port.bind_v4)) {
		port.any_v6 = false; /* no IPv6 here */
		result = engine_open_port(c->engine, &port);
	}
	return result;
}

static int open_network(struct clawchat *c)
{
	const struct engine_config config = {
		.kind = ENGINE_EPOLL,
		.receive_buffer_bytes = SOCKET_BUFFER,
		.send_buffer_bytes = SOCKET_BUFFER,
		.want_gro = true,
	};
	int result = engine_create(&c->engine, &config);
	if (result < 0)
		return result;
	result = open_port(c);
	if (result < 0) {
		engine_destroy(c->engine);
		c->engine = NULL;
	}
	return result;
}

static bool make_link(struct clawchat *c)
{
	const struct security_file *relay = &c->profile.relay;
	struct link_config *config = secret_create(sizeof(*config));
	if (config == NULL)
		return false;
	struct hello_config *hello = &config->hello;
	memcpy(hello->server_id, relay->server_id, SERVER_ID_SIZE);
	memcpy(hello->server_public, relay->server_public_key, X25519_SIZE);
	hello->device = c->profile.device;
	hello->identity = c->profile.identity;
	name_tag_of(relay->server_id, view_of(c->profile.name, strlen(c->profile.name)),
		    hello->name_tag);
	config->addresses[0] = relay->public_ip;
	config->addresses[1] = relay->public_ip6;
	for (size_t i = 0; i < relay->door_count && i < LINK_DOORS_MAX; i++) {
		const struct security_file_door *door = &relay->doors[i];
		config->doors[i].generation = door->generation;
		config->doors[i].port = door->port;
		config->doors[i].from_ns = door->from_s * NS_PER_S;
		/* The link adds the grace itself. */
		config->doors[i].until_ns = (door->until_s - relay->grace_period_s) * NS_PER_S;
		memcpy(config->doors[i].key, door->key, KEY_SIZE);
		config->door_count = i + 1;
	}
	enrolment_configure(c, config);
	config->random = c->random;
	config->cipher = packet_cipher_best();
	c->link = link_create(config, c->now);
	secret_destroy(config, sizeof(*config));
	return c->link != NULL;
}

enum clawchat_result clawchat_connect(struct clawchat *c, struct clawchat_error *error)
{
	if (c->is_erased)
		return client_error(error, CLAWCHAT_REVOKED,
				    "profile %s: erased; open it anew and load a new security file",
				    c->profile.directory);
	if (!c->profile.has_relay)
		return client_error(error, CLAWCHAT_CONFIG,
				    "profile %s: no relay yet; load a security file first",
				    c->profile.directory);
	if (c->link != NULL)
		return CLAWCHAT_OK;
	if (c->frames == NULL)
		c->frames = calloc(SEND_FRAMES, DATAGRAM_SIZE_MAX);
	if (c->packets == NULL)
		c->packets = calloc(SEND_FRAMES, sizeof(*c->packets));
	if (c->frames == NULL || c->packets == NULL)
		return client_error(error, CLAWCHAT_FAILED, "out of memory");
	c->now = clock_now();
	int result = open_network(c);
	if (result < 0)
		return client_error(error, CLAWCHAT_FAILED, "network: %s", strerror(-result));
	if (!make_link(c))
		return client_error(error, CLAWCHAT_FAILED, "out of memory");
	c->is_ended = false;
	return CLAWCHAT_OK;
}

/* ---- sending ---------------------------------------------------------------------------- */

uint8_t *client_frame(struct clawchat *c, struct packet **packet)
{
	if (c->packet_count == SEND_FRAMES || c->link == NULL)
		return NULL;
	*packet = &c->packets[c->packet_count];
	return c->frames[c->packet_count];
}

void client_frame_done(struct clawchat *c)
{
	c->packet_count++;
}

static void send_link(struct clawchat *c)
{
	struct packet *packet;
	uint8_t *frame;
	while ((frame = client_frame(c, &packet)) != NULL) {
		struct view_out room = { .data = frame, .capacity = DATAGRAM_SIZE_MAX };
		if (!link_output(c->link, c->now, room, packet))
			return;
		client_frame_done(c);
	}
}

static void flush(struct clawchat *c)
{
	if (c->packet_count > c->packet_sent)
		engine_send(c->engine, c->packets + c->packet_sent,
			    c->packet_count - c->packet_sent);
	c->packet_sent = c->packet_count;
}

/* ---- events of the link ----------------------------------------------------------------- */

static const char *status_text(uint8_t status)
{
	switch (status) {
	case STATUS_EXPIRED: return "the security file's validity is over: ask for a new one";
	case STATUS_SPENT:
		return "the security file has been used by as many devices as it may: ask for a "
		       "new one";
	case STATUS_REVOKED: return "the relay has revoked this file or device: ask for a new file";
	default: return "the relay refuses";
	}
}

static enum clawchat_result status_result(uint8_t status)
{
	switch (status) {
	case STATUS_EXPIRED: return CLAWCHAT_EXPIRED;
	case STATUS_SPENT: return CLAWCHAT_SPENT;
	case STATUS_REVOKED: return CLAWCHAT_REVOKED;
	default: return CLAWCHAT_FAILED;
	}
}

static void take_up(struct clawchat *c)
{
	enrolment_link_up(c);
	c->peers_request = 0;
	for (size_t i = 0; i < FINDS_MAX; i++)
		c->finds[i].link_request = 0;
	events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_CONNECTED });
	tunnels_link_up(c);
	if (c->wants_peers)
		(void)clawchat_ask_peers(c);
}

static void take_link_events(struct clawchat *c)
{
	struct link_event event;
	while (link_next_event(c->link, &event)) {
		switch (event.type) {
		case LINK_EVENT_UP: take_up(c); break;
		case LINK_EVENT_DOWN:
			events_put(c, &(struct clawchat_event){
					      .type = CLAWCHAT_EVENT_DISCONNECTED,
					      .text = wire_reason_text(event.reason) });
			break;
		case LINK_EVENT_REFUSED:
			c->is_ended = true;
			events_put(c,
				   &(struct clawchat_event){ .type = CLAWCHAT_EVENT_ENDED,
							     .result = status_result(event.status),
							     .text = status_text(event.status) });
			break;
		case LINK_EVENT_BURNED:
			compromised_finish(c, event.is_acknowledged, event.status);
			break;
		case LINK_EVENT_PEERS:
		case LINK_EVENT_FOUND: finds_link_event(c, &event); break;
		default:
			if (!c->is_burning && !enrolment_link_event(c, &event))
				tunnels_link_event(c, &event);
		}
		bytes_wipe(&event, sizeof(event)); /* an enrolment's key */
	}
}

/* ---- the loop's body -------------------------------------------------------------------- */

/* True: there may be more. */
static bool receive(struct clawchat *c)
{
	struct packet packets[RECEIVE_BATCH];
	int count = engine_receive(c->engine, packets, RECEIVE_BATCH, 0);
	c->packet_count = c->packet_sent = 0; /* the engine is done with what was sent before */
	for (int i = 0; i < count; i++) {
		struct view blob;
		uint32_t channel;
		if (link_input(c->link, &packets[i], c->now, &channel, &blob) && !c->is_burning)
			tunnels_input(c, channel, blob);
		take_link_events(c);
	}
	return count == RECEIVE_BATCH;
}

static bool is_waiting_for_peers(const struct clawchat *c)
{
	struct link_status link;
	link_get_status(c->link, &link);
	if (link.state != LINK_ESTABLISHED || c->is_burning || c->is_erased)
		return false;
	for (const struct tunnel *t = c->tunnels; t != NULL; t = t->next)
		if (tunnel_is_up(t) && t->delivery != NULL &&
		    delivery_unacknowledged(t->delivery) > 0)
			return true;
	return false;
}

/* What was sent last, receipts above all, gets some time to arrive. Messages that come meanwhile
 * are not read, nor is their receipt told: nobody would see them. */
static void linger(struct clawchat *c)
{
	uint64_t until_ns = c->now.mono_ns + LINGER_NS;
	send_link(c);
	flush(c);
	while (is_waiting_for_peers(c) && c->now.mono_ns < until_ns) {
		struct pollfd fd = { .fd = engine_fd(c->engine), .events = POLLIN };
		(void)poll(&fd, 1, LINGER_LOOK_MS);
		c->now = clock_now();
		(void)receive(c);
		(void)delivery_advance(c->now.mono_ns);
		send_link(c);
		flush(c);
	}
}

void clawchat_disconnect(struct clawchat *c)
{
	struct packet none[1];
	if (c->link == NULL)
		return;
	c->now = clock_now();
	linger(c);
	/* Frames become free with a receive; what it might bring has no reader any more. */
	if (engine_receive(c->engine, none, 1, 0) >= 0)
		c->packet_count = c->packet_sent = 0;
	link_stop(c->link);
	send_link(c);
	flush(c);
	link_destroy(c->link);
	engine_destroy(c->engine);
	c->link = NULL;
	c->engine = NULL;
	for (struct tunnel *t = c->tunnels; t != NULL; t = t->next)
		t->channel = t->request = 0;
}

void clawchat_process(struct clawchat *c)
{
	if (c->link == NULL)
		return;
	bool has_more = true;
	for (int i = 0; i < ROUNDS_PER_PROCESS && has_more; i++) {
		c->now = clock_now();
		has_more = receive(c);
		take_link_events(c);
		enrolment_advance(c);
		finds_advance(c);
		delivery_advance(c->now.mono_ns);
		tunnels_advance(c);
		c->delivery_next_ns = delivery_advance(c->now.mono_ns);
		send_link(c);
		flush(c);
	}
	take_link_events(c);
	if (c->is_erased)
		clawchat_disconnect(c); /* the link holds keys, too */
}

int clawchat_fd(const struct clawchat *c)
{
	return c->engine != NULL ? engine_fd(c->engine) : -1;
}

int clawchat_timeout_ms(const struct clawchat *c)
{
	if (c->event_count > 0)
		return 0;
	if (c->link == NULL)
		return -1;
	uint64_t now_ns = clock_now().mono_ns;
	uint64_t deadline = earliest(link_deadline(c->link), tunnels_deadline(c));
	deadline = earliest(deadline, earliest(c->delivery_next_ns, files_deadline(c)));
	if (deadline == NEVER)
		return -1;
	if (deadline <= now_ns)
		return 0;
	uint64_t wait_ms = (deadline - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

void clawchat_network_changed(struct clawchat *c)
{
	if (c->link != NULL)
		link_network_changed(c->link, clock_now());
}

/* ---- status ----------------------------------------------------------------------------- */

static enum clawchat_state state_of(const struct clawchat *c, const struct link_status *link)
{
	if (c->is_ended || link->state == LINK_REFUSED)
		return CLAWCHAT_ENDED;
	switch (link->state) {
	case LINK_ESTABLISHED: return CLAWCHAT_CONNECTED;
	case LINK_RECONNECTING: return CLAWCHAT_RECONNECTING;
	case LINK_CONNECTING: return CLAWCHAT_CONNECTING;
	default: return CLAWCHAT_OFFLINE;
	}
}

void clawchat_get_status(const struct clawchat *c, struct clawchat_status *out)
{
	struct link_status link = { .state = LINK_STOPPED };
	memset(out, 0, sizeof(*out));
	snprintf(out->server_name, sizeof(out->server_name), "%s", c->profile.relay.server_name);
	out->file_valid_until = c->profile.relay.valid_until_s;
	out->is_enrolled = c->profile.enrolment.state == ENROLMENT_DONE;
	snprintf(out->hint, sizeof(out->hint), "%s", enrolment_hint(c));
	if (c->link == NULL)
		return;
	link_get_status(c->link, &link);
	out->state = state_of(c, &link);
	if (address_is_set(&link.relay))
		address_format(&link.relay, out->relay);
	if (address_is_set(&link.observed))
		address_format(&link.observed, out->observed);
	out->rtt_us = (uint32_t)(link.rtt_ns / NS_PER_US);
	out->door = link.door;
	out->next_rotation = link.next_rotation_ns / NS_PER_S;
	out->clock_offset_ms = link.clock_offset_ns / (int64_t)NS_PER_MS;
	out->epoch = link.epoch;
	out->is_enrolling = link.state == LINK_ESTABLISHED && !out->is_enrolled &&
			    !link.is_by_device && c->profile.relay.enrol_max_devices > 0;
	out->reconnects = link.handshakes > 0 ? link.handshakes - 1 : 0;
}

/* ---- who -------------------------------------------------------------------------------- */

void clawchat_own_id(const struct clawchat *c, struct clawchat_peer_id *out)
{
	memcpy(out->bytes, c->self.id, PEER_ID_SIZE);
}

const char *clawchat_own_name(const struct clawchat *c)
{
	return c->profile.name;
}

void clawchat_id_text(const struct clawchat_peer_id *id, char out[CLAWCHAT_PEER_ID_TEXT])
{
	peer_id_format(id->bytes, out);
}

bool clawchat_id_parse(const char *text, struct clawchat_peer_id *out)
{
	return peer_id_parse(text, out->bytes);
}

static void describe(const struct clawchat *c, const struct contact *contact,
		     struct clawchat_contact *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->id.bytes, contact->id, PEER_ID_SIZE);
	snprintf(out->name, sizeof(out->name), "%s", contact->name);
	out->is_known = contact->is_known;
	out->is_verified = contact->is_verified;
	out->is_changed = contact->is_changed;
	out->is_present = contact->is_present;
	for (const struct tunnel *t = c->tunnels; t != NULL; t = t->next)
		if (memcmp(t->id, contact->id, PEER_ID_SIZE) == 0)
			out->is_secure = tunnel_is_up(t);
	if (!out->is_secure)
		return;
	out->path = CLAWCHAT_PATH_RELAYED;
	snprintf(out->path_reason, sizeof(out->path_reason),
		 "this version carries everything through the relay");
}

bool clawchat_contact_at(const struct clawchat *c, size_t index, struct clawchat_contact *out)
{
	if (index >= c->contacts.count)
		return false;
	describe(c, &c->contacts.list[index], out);
	return true;
}

bool clawchat_get_contact(const struct clawchat *c, const struct clawchat_peer_id *id,
			  struct clawchat_contact *out)
{
	const struct contact *contact = contacts_find(&c->contacts, id->bytes);
	if (contact != NULL)
		describe(c, contact, out);
	return contact != NULL;
}

bool clawchat_safety_number(const struct clawchat *c, const struct clawchat_peer_id *id,
			    char out[CLAWCHAT_SAFETY_NUMBER_SIZE])
{
	const struct contact *contact = contacts_find(&c->contacts, id->bytes);
	if (contact == NULL || !contact->is_known)
		return false;
	peer_safety_number(c->profile.identity.public, contact->pin.identity, out);
	return true;
}

enum clawchat_result client_save_contacts(struct clawchat *c)
{
	struct clawchat_error error;
	enum clawchat_result result = contacts_save(&c->contacts, &c->profile, &error);
	if (result != CLAWCHAT_OK)
		events_put(c, &(struct clawchat_event){ .type = CLAWCHAT_EVENT_DISCONNECTED,
							.result = result,
							.text = error.text });
	return result;
}

enum clawchat_result clawchat_set_verified(struct clawchat *c, const struct clawchat_peer_id *id,
					   bool is_verified, struct clawchat_error *error)
{
	struct contact *contact = contacts_find(&c->contacts, id->bytes);
	if (contact == NULL || !contact->is_known)
		return client_error(error, CLAWCHAT_PEER_UNKNOWN,
				    "verify: this peer has not been met yet; send it a message");
	contact->is_verified = is_verified;
	return contacts_save(&c->contacts, &c->profile, error);
}

enum clawchat_result clawchat_forget(struct clawchat *c, const struct clawchat_peer_id *id,
				     struct clawchat_error *error)
{
	struct contact *contact = contacts_find(&c->contacts, id->bytes);
	struct tunnel *t = tunnel_find(c, id->bytes);
	if (contact == NULL || !contact->is_known)
		return client_error(error, CLAWCHAT_PEER_UNKNOWN,
				    "forget: nothing is kept of this peer");
	contact->is_known = contact->is_verified = contact->is_changed = false;
	bytes_wipe(&contact->pin, sizeof(contact->pin));
	if (t != NULL)
		tunnel_forget(c, t);
	return contacts_save(&c->contacts, &c->profile, error);
}
