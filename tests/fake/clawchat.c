/*
 * A client without a network: clawchat.h as the terminal program sees it, with one peer, "bob".
 * What it does wrong is set by words in $CLAWCHAT_FAKE, with blanks between:
 *
 *   open=N load=N inspect=N connect=N   that call ends with result N
 *   silent       the relay never answers          ended=N    it refuses with N
 *   nobody       no peer is found                 several    too many are
 *   away         bob never confirms               changed    bob has another identity
 *   refused      bob refuses files                stops      files stop at a third
 *   echoes       bob sends messages back          hello      bob writes first
 *   offers=K     bob offers K files
 */
#include "client/clawchat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EVENTS = 256,
	FILES = 4,
	TEXTS = 256, /* bytes of an event's text that are kept */
	STEPS = 10,  /* progress events of a file */
	FILE_SIZE = 10 << 20,
};

struct fake_event {
	struct clawchat_event event;
	char text[TEXTS];
};

struct fake_file {
	uint32_t number; /* 0: none */
	unsigned step;
	bool is_outgoing;
};

struct clawchat {
	struct fake_event events[EVENTS];
	size_t first, count;
	struct fake_file files[FILES]; /* one after the other */
	uint32_t next_number;
	bool is_connected, is_known, is_verified, is_secure;
	char name[CLAWCHAT_NAME_SIZE];
};

static const struct clawchat_peer_id BOB = { .bytes = { 0xb0, 0xb0 } };

/* ---- $CLAWCHAT_FAKE --------------------------------------------------------------------- */

/* The number behind "word="; -1: the word is not there; 0: no number. */
static int wish(const char *word)
{
	const char *all = getenv("CLAWCHAT_FAKE");
	size_t size = strlen(word);
	for (const char *at = all; at != NULL && *at != '\0'; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, word, size) == 0 && strchr(" =", at[size]) != NULL)
			return at[size] == '=' ? (int)strtol(at + size + 1, NULL, 10) : 0;
	}
	return -1;
}

static bool is_wished(const char *word)
{
	return wish(word) >= 0;
}

static enum clawchat_result wished_result(const char *call, struct clawchat_error *error)
{
	int result = wish(call);
	if (result <= 0)
		return CLAWCHAT_OK;
	error->result = (enum clawchat_result)result;
	snprintf(error->text, sizeof(error->text), "%s: as was wished; wish for something else",
		 call);
	return error->result;
}

/* ---- events ----------------------------------------------------------------------------- */

static void put(struct clawchat *c, struct clawchat_event event, const char *text)
{
	if (c->count == EVENTS)
		abort();
	struct fake_event *e = &c->events[(c->first + c->count++) % EVENTS];
	e->event = event;
	e->event.peer = BOB;
	e->event.name = "bob";
	snprintf(e->text, TEXTS, "%s", text != NULL ? text : "");
	if (event.type == CLAWCHAT_EVENT_FILE_OFFER || event.type == CLAWCHAT_EVENT_FILE_DONE)
		e->event.file_name = e->text;
	else if (text != NULL)
		e->event.text = e->text;
}

bool clawchat_next_event(struct clawchat *c, struct clawchat_event *event)
{
	if (c->count == 0)
		return false;
	*event = c->events[c->first].event;
	c->first = (c->first + 1) % EVENTS;
	c->count--;
	return true;
}

/* ---- profile and security file ---------------------------------------------------------- */

enum clawchat_result clawchat_open(const struct clawchat_options *options, struct clawchat **out,
				   struct clawchat_error *error)
{
	if (wished_result("open", error) != CLAWCHAT_OK)
		return error->result;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		abort();
	snprintf((*out)->name, CLAWCHAT_NAME_SIZE, "%s",
		 options->name != NULL ? options->name : "alice");
	(*out)->is_known = true;
	return CLAWCHAT_OK;
}

void clawchat_close(struct clawchat *c)
{
	free(c);
}

enum clawchat_result clawchat_inspect(const char *path, const struct clawchat_bootstrap *bootstrap,
				      struct clawchat_file_info *info, struct clawchat_error *error)
{
	(void)path;
	(void)bootstrap;
	*info = (struct clawchat_file_info){ .server_name = "fake",
					     .address = "192.0.2.1",
					     .port = 4433,
					     .valid_until = 4000000000,
					     .max_devices = 2 };
	return wished_result("inspect", error);
}

enum clawchat_result clawchat_load(struct clawchat *c, const char *path,
				   const struct clawchat_bootstrap *bootstrap,
				   struct clawchat_error *error)
{
	(void)c;
	(void)path;
	if (bootstrap->passphrase != NULL && strcmp(bootstrap->passphrase, "right") != 0) {
		snprintf(error->text, sizeof(error->text), "wrong passphrase");
		return error->result = CLAWCHAT_WRONG_KEY;
	}
	return wished_result("load", error);
}

enum clawchat_result clawchat_keygen(const char *path, struct clawchat_error *error)
{
	(void)path;
	return wished_result("keygen", error);
}

/* ---- running ---------------------------------------------------------------------------- */

static void greet(struct clawchat *c)
{
	if (is_wished("hello"))
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_TEXT, .message = 7 },
		    "hello \033[2Jthere\nbob: second line");
	for (int i = 0; i < wish("offers"); i++)
		put(c,
		    (struct clawchat_event){ .type = CLAWCHAT_EVENT_FILE_OFFER,
					     .size = FILE_SIZE,
					     .transfer = ++c->next_number },
		    "photo.jpg");
}

enum clawchat_result clawchat_connect(struct clawchat *c, struct clawchat_error *error)
{
	if (wished_result("connect", error) != CLAWCHAT_OK)
		return error->result;
	if (is_wished("ended"))
		put(c,
		    (struct clawchat_event){ .type = CLAWCHAT_EVENT_ENDED,
					     .result = (enum clawchat_result)wish("ended") },
		    "refused, as was wished");
	else if (!is_wished("silent")) {
		c->is_connected = true;
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_CONNECTED }, NULL);
		greet(c);
	}
	return CLAWCHAT_OK;
}

void clawchat_disconnect(struct clawchat *c)
{
	c->is_connected = false;
}

int clawchat_fd(const struct clawchat *c)
{
	(void)c;
	return -1;
}

/* The place of this transfer; 0: any that runs, else NULL. */
static struct fake_file *find_file(struct clawchat *c, uint32_t number)
{
	for (size_t i = 0; i < FILES; i++)
		if (c->files[i].number != 0 && (number == 0 || c->files[i].number == number))
			return &c->files[i];
	return NULL;
}

static void begin_file(struct clawchat *c, struct fake_file file)
{
	for (size_t i = 0; i < FILES; i++) {
		if (c->files[i].number != 0)
			continue;
		c->files[i] = file;
		return;
	}
	abort();
}

void clawchat_process(struct clawchat *c)
{
	struct fake_file *file = find_file(c, 0);
	if (file == NULL || c->count > 0)
		return;
	file->step++;
	struct clawchat_event event = {
		.type = CLAWCHAT_EVENT_FILE_PROGRESS,
		.transfer = file->number,
		.size = FILE_SIZE,
		.done = FILE_SIZE / STEPS * file->step,
		.rate = 1 << 20,
		.is_outgoing = file->is_outgoing,
	};
	if (is_wished("stops") && file->step > STEPS / 3) {
		file->number = 0; /* and nothing more is heard of it */
	} else if (file->step < STEPS) {
		put(c, event, NULL);
	} else {
		event.type = CLAWCHAT_EVENT_FILE_DONE;
		put(c, event, event.is_outgoing ? "sent.bin" : "/tmp/photo.jpg");
		file->number = 0;
	}
}

int clawchat_timeout_ms(const struct clawchat *c)
{
	for (size_t i = 0; i < FILES; i++)
		if (c->files[i].number != 0)
			return 0;
	return c->count > 0 ? 0 : -1;
}

void clawchat_network_changed(struct clawchat *c)
{
	(void)c;
}

void clawchat_get_status(const struct clawchat *c, struct clawchat_status *out)
{
	*out = (struct clawchat_status){
		.state = c->is_connected ? CLAWCHAT_CONNECTED : CLAWCHAT_CONNECTING,
		.relay = "192.0.2.1:4433",
		.server_name = "fake",
		.rtt_us = 1234,
		.file_valid_until = 4000000000,
	};
}

enum clawchat_result clawchat_compromised(struct clawchat *c, enum clawchat_scope scope,
					  const char *reason, struct clawchat_error *error)
{
	(void)scope;
	(void)reason;
	if (wished_result("compromised", error) != CLAWCHAT_OK)
		return error->result;
	put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_ENDED, .result = CLAWCHAT_REVOKED },
	    "the file is revoked, the profile erased");
	return CLAWCHAT_OK;
}

/* ---- who -------------------------------------------------------------------------------- */

void clawchat_own_id(const struct clawchat *c, struct clawchat_peer_id *out)
{
	(void)c;
	*out = (struct clawchat_peer_id){ .bytes = { 0xa1 } };
}

const char *clawchat_own_name(const struct clawchat *c)
{
	return c->name;
}

void clawchat_id_text(const struct clawchat_peer_id *id, char out[CLAWCHAT_PEER_ID_TEXT])
{
	memset(out, id->bytes[0] == BOB.bytes[0] ? 'b' : 'a', CLAWCHAT_PEER_ID_TEXT - 1);
	out[CLAWCHAT_PEER_ID_TEXT - 1] = '\0';
}

bool clawchat_id_parse(const char *text, struct clawchat_peer_id *out)
{
	*out = BOB;
	return strlen(text) == CLAWCHAT_PEER_ID_TEXT - 1;
}

bool clawchat_contact_at(const struct clawchat *c, size_t index, struct clawchat_contact *out)
{
	*out = (struct clawchat_contact){
		.id = BOB,
		.name = "bob",
		.is_known = c->is_known,
		.is_verified = c->is_verified,
		.is_changed = is_wished("changed"),
		.is_present = !is_wished("away"),
		.is_secure = c->is_secure,
		.path = c->is_secure ? CLAWCHAT_PATH_RELAYED : CLAWCHAT_PATH_NONE,
	};
	return index == 0;
}

bool clawchat_get_contact(const struct clawchat *c, const struct clawchat_peer_id *id,
			  struct clawchat_contact *out)
{
	(void)id;
	return clawchat_contact_at(c, 0, out);
}

enum clawchat_result clawchat_ask_peers(struct clawchat *c)
{
	if (c->is_connected)
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_PEERS }, NULL);
	return CLAWCHAT_OK;
}

uint32_t clawchat_find(struct clawchat *c, const char *name_or_id)
{
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_FOUND, .request = ++c->next_number };
	bool is_bob = strcmp(name_or_id, "bob") == 0 && !is_wished("nobody");
	const char *text = NULL;
	if (!is_bob || is_wished("several")) {
		event.type = CLAWCHAT_EVENT_NOT_FOUND;
		event.result = is_bob ? CLAWCHAT_PEER_UNKNOWN : CLAWCHAT_PEER_ABSENT;
		text = is_bob ? "2 contacts are called 'bob': use an id" :
				"nobody of that name is connected";
	}
	put(c, event, text);
	return event.request;
}

bool clawchat_safety_number(const struct clawchat *c, const struct clawchat_peer_id *id,
			    char out[CLAWCHAT_SAFETY_NUMBER_SIZE])
{
	(void)id;
	for (size_t i = 0; i + 1 < CLAWCHAT_SAFETY_NUMBER_SIZE; i++)
		out[i] = (char)('0' + i % 10);
	out[CLAWCHAT_SAFETY_NUMBER_SIZE - 1] = '\0';
	return c->is_known;
}

enum clawchat_result clawchat_set_verified(struct clawchat *c, const struct clawchat_peer_id *id,
					   bool is_verified, struct clawchat_error *error)
{
	(void)id;
	c->is_verified = is_verified;
	return wished_result("set_verified", error);
}

enum clawchat_result clawchat_forget(struct clawchat *c, const struct clawchat_peer_id *id,
				     struct clawchat_error *error)
{
	(void)id;
	c->is_known = false;
	return wished_result("forget", error);
}

/* ---- messages --------------------------------------------------------------------------- */

static void meet(struct clawchat *c)
{
	if (!c->is_secure)
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_PEER_UP }, NULL);
	c->is_secure = true;
}

static void deliver(struct clawchat *c, uint64_t message, const char *text)
{
	struct clawchat_event event = { .type = CLAWCHAT_EVENT_DELIVERY, .message = message };
	meet(c);
	for (event.delivery = CLAWCHAT_SENT; event.delivery <= CLAWCHAT_READ; event.delivery++)
		put(c, event, NULL);
	if (is_wished("echoes"))
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_TEXT, .message = message },
		    text);
}

enum clawchat_result clawchat_send_text(struct clawchat *c, const struct clawchat_peer_id *to,
					const char *text, uint64_t *message,
					struct clawchat_error *error)
{
	(void)to;
	*message = ++c->next_number;
	if (wished_result("send_text", error) != CLAWCHAT_OK)
		return error->result;
	if (is_wished("changed")) {
		put(c, (struct clawchat_event){ .type = CLAWCHAT_EVENT_PEER_CHANGED },
		    "shows another key than before");
		put(c,
		    (struct clawchat_event){ .type = CLAWCHAT_EVENT_DELIVERY,
					     .message = *message,
					     .delivery = CLAWCHAT_UNDELIVERED },
		    "the peer's identity is not the one known");
	} else if (!is_wished("away")) {
		deliver(c, *message, text);
	}
	return CLAWCHAT_OK;
}

void clawchat_mark_read(struct clawchat *c, const struct clawchat_peer_id *from, uint64_t message)
{
	(void)c;
	(void)from;
	(void)message;
}

/* ---- files ------------------------------------------------------------------------------ */

enum clawchat_result clawchat_send_file(struct clawchat *c, const struct clawchat_peer_id *to,
					const char *path, uint32_t *transfer,
					struct clawchat_error *error)
{
	(void)to;
	(void)path;
	*transfer = ++c->next_number;
	if (wished_result("send_file", error) != CLAWCHAT_OK)
		return error->result;
	if (is_wished("away"))
		return CLAWCHAT_OK;
	meet(c);
	if (is_wished("refused"))
		put(c,
		    (struct clawchat_event){ .type = CLAWCHAT_EVENT_FILE_FAILED,
					     .transfer = *transfer,
					     .result = CLAWCHAT_PEER_REFUSED },
		    "the other side does not want it");
	else
		begin_file(c, (struct fake_file){ .number = *transfer, .is_outgoing = true });
	return CLAWCHAT_OK;
}

enum clawchat_result clawchat_accept_file(struct clawchat *c, uint32_t transfer, const char *folder,
					  struct clawchat_error *error)
{
	(void)folder;
	if (wished_result("accept", error) == CLAWCHAT_OK)
		begin_file(c, (struct fake_file){ .number = transfer });
	return CLAWCHAT_OK;
}

void clawchat_refuse_file(struct clawchat *c, uint32_t transfer)
{
	(void)c;
	(void)transfer;
}

void clawchat_cancel_file(struct clawchat *c, uint32_t transfer)
{
	struct fake_file *file = find_file(c, transfer);
	if (file != NULL)
		file->number = 0;
}

const char *clawchat_version(void)
{
	return "0.0.0-fake";
}
