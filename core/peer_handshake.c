#include "core/peer_internal.h"

#include <assert.h>

#include "core/door.h"
#include "core/hello.h"
#include "core/text.h"

#define PROLOGUE_LABEL "ClawChat/3 peer"
#define STATIC_LABEL "ClawChat/3 peer static"

enum {
	PROLOGUE_SIZE = sizeof PROLOGUE_LABEL - 1 + 2 * PEER_ID_SIZE,
	SIGNED_SIZE = sizeof STATIC_LABEL - 1 + X25519_SIZE + 2 * PEER_ID_SIZE,
};

static void append(uint8_t **at, const void *data, size_t size)
{
	memcpy(*at, data, size);
	*at += size;
}

/* ---- what a message shows -------------------------------------------------------------- */

/* That this static key belongs to the identity behind `from`, towards `to` alone. */
static void signed_part(const uint8_t static_public[X25519_SIZE], const uint8_t from[PEER_ID_SIZE],
			const uint8_t to[PEER_ID_SIZE], uint8_t out[SIGNED_SIZE])
{
	append(&out, STATIC_LABEL, sizeof STATIC_LABEL - 1);
	append(&out, static_public, X25519_SIZE);
	append(&out, from, PEER_ID_SIZE);
	append(&out, to, PEER_ID_SIZE);
}

void peer_sign(struct peer *p)
{
	uint8_t part[SIGNED_SIZE];

	signed_part(p->self->static_key.public, p->self->id, p->remote_id, part);
	ed25519_sign(&p->self->identity, VIEW(part), p->signature);
}

static void fill_payload(const struct peer *p, struct wire_peer_payload *payload)
{
	*payload = (struct wire_peer_payload){
		.name_size = (uint8_t)strnlen(p->self->name, NAME_SIZE_MAX),
	};
	memcpy(payload->identity, p->self->identity.public, sizeof payload->identity);
	memcpy(payload->signature, p->signature, sizeof payload->signature);
	memcpy(payload->instance, p->self->instance, sizeof payload->instance);
	memcpy(payload->name, p->self->name, payload->name_size);
}

/* What the payload of an authentic message is worth. True: *out has all but the keys. */
static bool check_payload(const struct peer *p, const struct wire_peer_payload *payload,
			  const uint8_t remote_static[X25519_SIZE], struct peer_outcome *out,
			  enum peer_refusal *refusal)
{
	uint8_t part[SIGNED_SIZE], id[PEER_ID_SIZE];

	*refusal = PEER_REFUSAL_WRONG_ID;
	peer_id_of(payload->identity, id);
	if (!bytes_equal(id, p->remote_id, PEER_ID_SIZE))
		return false;

	*refusal = PEER_REFUSAL_BAD_SIGNATURE;
	signed_part(remote_static, p->remote_id, p->self->id, part);
	if (!ed25519_verify(payload->identity, VIEW(part), payload->signature))
		return false;

	*refusal = PEER_REFUSAL_CHANGED;
	if (p->has_pin && (!bytes_equal(payload->identity, p->pin.identity, ED25519_PUBLIC_SIZE) ||
			   !bytes_equal(remote_static, p->pin.static_public, X25519_SIZE)))
		return false;

	*out = (struct peer_outcome){ .is_first_contact = !p->has_pin };
	memcpy(out->pin.identity, payload->identity, ED25519_PUBLIC_SIZE);
	memcpy(out->pin.static_public, remote_static, X25519_SIZE);
	memcpy(out->instance, payload->instance, PEER_INSTANCE_SIZE);
	size_t name_size = payload->name_size < NAME_SIZE_MAX ? payload->name_size : NAME_SIZE_MAX;
	text_clean_line(view_of(payload->name, name_size), out->name, sizeof out->name);
	return true;
}

/* Keys of a finished handshake: those of a tunnel, and the next contact's. `used` NULL: none. */
static struct peer_tunnel *finish(struct peer *p, const struct noise *noise, const uint8_t *used,
				  struct peer_outcome *outcome)
{
	struct noise_result keys;

	noise_split(noise, &keys);
	hkdf_label(keys.exporter, "ClawChat/3 peer psk", view_of(NULL, 0), outcome->pin.psks[0],
		   KEY_SIZE);
	outcome->pin.psk_count = 1;
	if (used != NULL) {
		memcpy(outcome->pin.psks[1], used, KEY_SIZE);
		outcome->pin.psk_count = 2;
	}
	struct peer_tunnel *tunnel = peer_tunnel_open(p, &keys, noise->is_initiator);
	bytes_wipe(&keys, sizeof keys);
	return tunnel;
}

/* ---- messages -------------------------------------------------------------------------- */

static const struct noise_pattern *noise_pattern_of(enum wire_peer_pattern pattern)
{
	return pattern == PEER_PATTERN_XX ? &NOISE_XX : &NOISE_IKPSK2;
}

static void start_noise(struct peer *p, struct noise *noise, enum wire_peer_pattern pattern,
			bool is_initiator)
{
	uint8_t prologue[PROLOGUE_SIZE], *at = prologue;

	append(&at, PROLOGUE_LABEL, sizeof PROLOGUE_LABEL - 1);
	append(&at, is_initiator ? p->self->id : p->remote_id, PEER_ID_SIZE);
	append(&at, is_initiator ? p->remote_id : p->self->id, PEER_ID_SIZE);
	noise_fini(noise);
	noise_init(noise, &(struct noise_config){
				  .pattern = noise_pattern_of(pattern),
				  .is_initiator = is_initiator,
				  .prologue = VIEW(prologue),
				  .static_key = &p->self->static_key,
				  .remote_static = is_initiator && pattern == PEER_PATTERN_IKPSK2 ?
							   p->pin.static_public :
							   NULL,
				  .random = &p->random,
			  });
}

/* The next Noise message into `message`; only what is encrypted carries a payload. */
static bool write_noise(struct peer *p, struct noise *noise, struct peer_message *message)
{
	struct wire_peer_payload payload;
	bool is_plain = noise->pattern == &NOISE_XX && noise->message == 0;

	fill_payload(p, &payload);
	message->noise_size = 0;
	return noise_write(noise, is_plain ? view_of(NULL, 0) : view_of(&payload, sizeof payload),
			   message->noise, sizeof message->noise, &message->noise_size);
}

/* The next Noise message out of a letter. */
static bool read_noise(struct noise *noise, const struct peer_letter *letter,
		       struct wire_peer_payload *payload)
{
	bool is_plain = noise->pattern == &NOISE_XX && noise->message == 0;
	size_t size = 0;

	return noise_read(noise, letter->noise, (uint8_t *)payload, sizeof *payload, &size) &&
	       size == (is_plain ? 0 : sizeof *payload);
}

size_t peer_message_seal(struct peer *p, enum wire_kind kind, const struct peer_message *message,
			 uint8_t *out)
{
	struct wire_peer_head head = {
		.noise_size = store_le16((uint16_t)message->noise_size),
		.pattern = message->pattern,
		.choice = message->choice,
	};
	/* As large as data may be, in the same steps. */
	uint32_t steps = (PLAIN_SIZE_MAX - PEER_HANDSHAKE_SIZE_MIN) / PAD_BUCKET + 1;
	size_t padded = PEER_HANDSHAKE_SIZE_MIN + PAD_BUCKET * random_below(&p->random, steps);
	size_t plain_size = padded - WIRE_OVERHEAD - DATA_FRAME_HEAD;
	uint8_t *plain = out + WIRE_HEADER_SIZE;

	assert(plain_size <= PEER_PLAIN_MAX);
	memcpy(head.psk_ids, message->psk_ids, sizeof head.psk_ids);
	memset(plain, 0, plain_size);
	memcpy(plain, &head, sizeof head);
	memcpy(plain + sizeof head, message->noise, message->noise_size);
	return door_seal(p->send_key, p->hide, kind, &p->random, out, plain_size);
}

bool peer_letter_read(struct view plain, struct peer_letter *out)
{
	if (plain.size < sizeof out->head)
		return false;
	memcpy(&out->head, plain.data, sizeof out->head);
	size_t noise_size = load_le16(out->head.noise_size);
	if (noise_size > PEER_NOISE_SIZE_MAX || noise_size > plain.size - sizeof out->head)
		return false;
	out->noise = view_of(plain.data + sizeof out->head, noise_size);
	return out->head.pattern <= PEER_PATTERN_IKPSK2 && out->head.choice <= PEER_PSKS_MAX;
}

/* ---- continuity ------------------------------------------------------------------------ */

static void psk_id(const uint8_t psk[KEY_SIZE], uint8_t out[PEER_PSK_ID_SIZE])
{
	hkdf_label(psk, "ClawChat/3 psk id", view_of(NULL, 0), out, PEER_PSK_ID_SIZE);
}

static void list_psks(const struct peer_pin *pin, struct peer_message *message)
{
	message->choice = pin->psk_count;
	for (size_t i = 0; i < pin->psk_count; i++)
		psk_id(pin->psks[i], message->psk_ids[i]);
}

/* Of ours, the newest that the letter lists too. False: none. */
static bool choose_psk(const struct peer_pin *pin, const struct peer_letter *letter, size_t *own,
		       uint8_t *theirs)
{
	uint8_t id[PEER_PSK_ID_SIZE];

	for (*own = 0; *own < pin->psk_count; ++*own) {
		psk_id(pin->psks[*own], id);
		for (*theirs = 0; *theirs < letter->head.choice; ++*theirs)
			if (bytes_equal(id, letter->head.psk_ids[*theirs], sizeof id))
				return true;
	}
	return false;
}

/* ---- the side that calls --------------------------------------------------------------- */

void peer_call_stop(struct peer *p)
{
	bytes_wipe(&p->call, sizeof p->call);
}

void peer_call_start(struct peer *p, uint64_t now_ns)
{
	struct peer_call *call = &p->call;
	bool is_known = p->has_pin && p->pin.psk_count > 0;

	call->pattern = is_known ? PEER_PATTERN_IKPSK2 : PEER_PATTERN_XX;
	start_noise(p, &call->noise, call->pattern, true);
	call->message = (struct peer_message){ .pattern = (uint8_t)call->pattern };
	if (is_known)
		list_psks(&p->pin, &call->message);
	if (!write_noise(p, &call->noise, &call->message)) {
		/* The pinned key is of small order: nobody has it. */
		peer_call_stop(p);
		peer_refuse(p, PEER_REFUSAL_CHANGED);
		return;
	}
	call->stage = CALL_WAITING;
	call->confirms = 0;
	call->is_confirm_due = false;
	call->is_message_due = false;
	call->backoff_ns = PEER_RETRY_NS;
	call->retry_ns = now_ns;
}

/* A refusal that belongs to the message 1 under way. */
static bool is_refusal(const struct peer_call *call, const struct peer_letter *letter)
{
	return letter->head.pattern == PEER_PATTERN_NONE &&
	       memcmp(letter->head.psk_ids, call->message.noise, PEER_REFUSAL_ECHO) == 0;
}

/* Read message 2 and, for XX, write message 3. Works on a copy: a forged message leaves the call
 * as it was. `used` receives the key of continuity that the responder chose, or NULL. */
static bool take_answer(struct peer *p, const struct peer_letter *letter,
			struct wire_peer_payload *payload, const uint8_t **used)
{
	struct peer_call *call = &p->call;
	struct noise trial = call->noise;
	struct peer_message message = { .pattern = (uint8_t)call->pattern };
	bool is_known = call->pattern == PEER_PATTERN_IKPSK2;
	bool is_taken = false;

	*used = NULL;
	if (is_known && letter->head.choice < p->pin.psk_count) {
		*used = p->pin.psks[letter->head.choice];
		noise_set_psk(&trial, 0, *used);
	}
	if ((!is_known || *used != NULL) && read_noise(&trial, letter, payload))
		is_taken = is_known || write_noise(p, &trial, &message);
	if (is_taken) {
		call->noise = trial;
		call->message = message;
	}
	noise_fini(&trial);
	return is_taken;
}

static void complete_call(struct peer *p, struct peer_outcome *outcome, const uint8_t *used,
			  uint64_t now_ns)
{
	struct peer_call *call = &p->call;

	peer_answer_stop(p);
	struct peer_tunnel *tunnel = finish(p, &call->noise, used, outcome);
	noise_fini(&call->noise);
	/* Should message 3 never arrive, the other end does not know us. */
	outcome->pin.is_tentative = call->pattern == PEER_PATTERN_XX;
	peer_tunnel_use(p, tunnel, now_ns);
	peer_adopt(p, outcome);
	call->stage = CALL_CONFIRMING;
	call->backoff_ns = PEER_RETRY_NS;
	call->retry_ns = now_ns; /* message 3 and the confirmation go out at once */
}

/* A first contact that was cut off is no contact yet: meet again. Anything else is the user's. */
static void take_refusal(struct peer *p, uint64_t now_ns)
{
	if (!p->pin.is_tentative) {
		peer_refuse(p, PEER_REFUSAL_NO_CONTINUITY);
		return;
	}
	bytes_wipe(&p->pin, sizeof p->pin);
	p->has_pin = false;
	peer_call_start(p, now_ns);
}

void peer_letter_2(struct peer *p, const struct peer_letter *letter, uint64_t now_ns)
{
	struct peer_call *call = &p->call;
	struct wire_peer_payload payload;
	struct peer_outcome outcome;
	enum peer_refusal refusal;
	const uint8_t *used;

	/* Once more: message 3 was lost. */
	if (call->stage == CALL_CONFIRMING && call->pattern == PEER_PATTERN_XX)
		call->is_message_due = true;
	if (call->stage != CALL_WAITING)
		return;
	if (is_refusal(call, letter)) {
		peer_call_stop(p);
		take_refusal(p, now_ns);
		return;
	}
	if (letter->head.pattern != call->pattern || !take_answer(p, letter, &payload, &used))
		return;
	if (!check_payload(p, &payload, call->noise.remote_static, &outcome, &refusal)) {
		peer_call_stop(p);
		peer_refuse(p, refusal);
		return;
	}
	complete_call(p, &outcome, used, now_ns);
	bytes_wipe(&outcome, sizeof outcome);
}

/* ---- the side that answers ------------------------------------------------------------- */

void peer_answer_stop(struct peer *p)
{
	struct peer_answer *answer = &p->answer;

	peer_tunnel_close(p, &p->pending);
	noise_fini(&answer->noise);
	bytes_wipe(&answer->outcome, sizeof answer->outcome);
	answer->stage = ANSWER_IDLE;
	answer->is_message_due = false;
}

/* Say no to a message 1, once for each that comes. */
static void refuse_caller(struct peer *p, const struct peer_letter *letter)
{
	if (letter->noise.size < PEER_REFUSAL_ECHO)
		return;
	memcpy(p->answer.refused, letter->noise.data, PEER_REFUSAL_ECHO);
	p->answer.is_refusal_due = true;
	/* Without a pin there is nothing that the user could decide; and once we have talked over
	 * this channel, it is a late copy or a forgery of the relay. */
	if (p->has_pin && !p->has_settled)
		peer_refuse(p, PEER_REFUSAL_NO_CONTINUITY);
}

static void answer_first_contact(struct peer *p, const struct peer_letter *letter)
{
	struct peer_answer *answer = &p->answer;
	struct wire_peer_payload none;

	start_noise(p, &answer->noise, PEER_PATTERN_XX, false);
	answer->message = (struct peer_message){ .pattern = PEER_PATTERN_XX };
	if (!read_noise(&answer->noise, letter, &none) ||
	    !write_noise(p, &answer->noise, &answer->message)) {
		noise_fini(&answer->noise);
		return;
	}
	answer->stage = ANSWER_WAITING;
	answer->is_message_due = true;
}

/* With the key chosen and the caller's payload found good: message 2 and the pending tunnel. */
static void answer_known_caller(struct peer *p, const uint8_t *psk, uint8_t choice)
{
	struct peer_answer *answer = &p->answer;

	answer->message = (struct peer_message){ .pattern = PEER_PATTERN_IKPSK2, .choice = choice };
	noise_set_psk(&answer->noise, 0, psk);
	if (!write_noise(p, &answer->noise, &answer->message))
		return;
	p->pending = finish(p, &answer->noise, psk, &answer->outcome);
	answer->stage = ANSWER_PENDING;
	answer->is_message_due = true;
}

static void answer_contact(struct peer *p, const struct peer_letter *letter, size_t own,
			   uint8_t choice)
{
	struct peer_answer *answer = &p->answer;
	struct wire_peer_payload payload;
	enum peer_refusal refusal;

	start_noise(p, &answer->noise, PEER_PATTERN_IKPSK2, false);
	if (read_noise(&answer->noise, letter, &payload)) {
		if (check_payload(p, &payload, answer->noise.remote_static, &answer->outcome,
				  &refusal))
			answer_known_caller(p, p->pin.psks[own], choice);
		else
			peer_refuse(p, refusal);
	}
	noise_fini(&answer->noise);
}

/* Is it one to work on? A copy is answered with the same message again, or not at all. */
static bool is_new_question(struct peer *p, const struct peer_letter *letter, uint64_t now_ns)
{
	struct peer_answer *answer = &p->answer;
	uint8_t question[HASH_SIZE];

	hash_sha256(letter->noise, question);
	if (answer->has_taken && memcmp(question, answer->question, sizeof question) == 0) {
		answer->is_message_due = answer->stage != ANSWER_IDLE;
		return false;
	}
	if (answer->has_taken && now_ns - answer->taken_ns < PEER_ANSWER_INTERVAL_NS)
		return false;
	memcpy(answer->question, question, sizeof question);
	answer->taken_ns = now_ns;
	answer->has_taken = true;
	return true;
}

void peer_letter_1(struct peer *p, const struct peer_letter *letter, uint64_t now_ns)
{
	size_t own = 0;
	uint8_t choice = 0;
	bool is_known = p->has_pin && p->pin.psk_count > 0;

	/* Both call at once: the other takes our call. */
	if (p->call.stage != CALL_IDLE && memcmp(p->self->id, p->remote_id, PEER_ID_SIZE) < 0)
		return;
	switch ((enum wire_peer_pattern)letter->head.pattern) {
	case PEER_PATTERN_XX:
		if (is_known && !p->pin.is_tentative)
			refuse_caller(p, letter);
		else if (is_new_question(p, letter, now_ns)) {
			peer_answer_stop(p);
			answer_first_contact(p, letter);
		}
		return;
	case PEER_PATTERN_IKPSK2:
		if (!is_known || !choose_psk(&p->pin, letter, &own, &choice))
			refuse_caller(p, letter);
		else if (is_new_question(p, letter, now_ns)) {
			peer_answer_stop(p);
			answer_contact(p, letter, own, choice);
		}
		return;
	case PEER_PATTERN_NONE: return;
	}
}

void peer_letter_3(struct peer *p, const struct peer_letter *letter, uint64_t now_ns)
{
	struct peer_answer *answer = &p->answer;
	struct wire_peer_payload payload;
	struct peer_outcome outcome;
	enum peer_refusal refusal;

	if (answer->stage != ANSWER_WAITING || letter->head.pattern != PEER_PATTERN_XX)
		return;
	struct noise trial = answer->noise;
	if (!read_noise(&trial, letter, &payload)) {
		noise_fini(&trial); /* forged: the right one may still come */
		return;
	}
	if (check_payload(p, &payload, trial.remote_static, &outcome, &refusal)) {
		peer_call_stop(p);
		peer_tunnel_use(p, finish(p, &trial, NULL, &outcome), now_ns);
		peer_adopt(p, &outcome);
		bytes_wipe(&outcome, sizeof outcome);
		answer->is_confirm_due = true;
	} else {
		peer_refuse(p, refusal);
	}
	peer_answer_stop(p);
	noise_fini(&trial);
}
