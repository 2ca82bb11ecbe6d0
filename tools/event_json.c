#include "tools/event_json.h"

#include <stdio.h>

#include "tools/output.h"
#include "tools/words.h"

enum { HASH_TEXT_SIZE = 2 * sizeof(((struct clawchat_event *)NULL)->sha256) + 1 };

static const char *event_word(enum clawchat_event_type type)
{
	static const char *const words[] = {
		[CLAWCHAT_EVENT_CONNECTED] = "connected",
		[CLAWCHAT_EVENT_DISCONNECTED] = "disconnected",
		[CLAWCHAT_EVENT_ENDED] = "ended",
		[CLAWCHAT_EVENT_PEERS] = "peers",
		[CLAWCHAT_EVENT_FOUND] = "found",
		[CLAWCHAT_EVENT_NOT_FOUND] = "not_found",
		[CLAWCHAT_EVENT_PEER_UP] = "peer_up",
		[CLAWCHAT_EVENT_PEER_DOWN] = "peer_down",
		[CLAWCHAT_EVENT_PEER_CHANGED] = "peer_changed",
		[CLAWCHAT_EVENT_TEXT] = "text",
		[CLAWCHAT_EVENT_DELIVERY] = "delivery",
		[CLAWCHAT_EVENT_FILE_OFFER] = "file_offer",
		[CLAWCHAT_EVENT_FILE_PROGRESS] = "file_progress",
		[CLAWCHAT_EVENT_FILE_DONE] = "file_done",
		[CLAWCHAT_EVENT_FILE_FAILED] = "file_failed",
	};
	return words[type];
}

static void put_text(json_t *object, const char *key, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, key, output_text(text));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void put_id(json_t *object, const char *key, const struct clawchat_peer_id *id)
{
	char text[CLAWCHAT_PEER_ID_TEXT];
	clawchat_id_text(id, text);
	json_object_set_new(object, key, json_string(text));
}

static bool has_peer(enum clawchat_event_type type)
{
	switch (type) {
	case CLAWCHAT_EVENT_FOUND:
	case CLAWCHAT_EVENT_PEER_UP:
	case CLAWCHAT_EVENT_PEER_DOWN:
	case CLAWCHAT_EVENT_PEER_CHANGED:
	case CLAWCHAT_EVENT_TEXT:
	case CLAWCHAT_EVENT_DELIVERY:
	case CLAWCHAT_EVENT_FILE_OFFER: return true;
	default: return false;
	}
}

static void put_hash(json_t *object, const uint8_t *hash)
{
	char text[HASH_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(text) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	json_object_set_new(object, "sha256", json_string(text));
}

static void put_transfer(json_t *object, const struct clawchat_event *event)
{
	put_number(object, "transfer", event->transfer);
	put_number(object, "size", event->size);
	json_object_set_new(object, "outgoing", json_boolean(event->is_outgoing));
	if (event->type == CLAWCHAT_EVENT_FILE_PROGRESS) {
		put_number(object, "done", event->done);
		put_number(object, "rate", event->rate);
		json_object_set_new(object, "hashing", json_boolean(event->is_hashing));
	}
	if (event->type == CLAWCHAT_EVENT_FILE_DONE) {
		put_number(object, "resumed_from", event->resumed_from);
		put_hash(object, event->sha256);
	}
}

static void put_message(json_t *object, const struct clawchat_event *event)
{
	char number[MESSAGE_NUMBER_SIZE];
	json_object_set_new(object, "message",
			    json_string(message_number_text(event->message, number)));
	if (event->type == CLAWCHAT_EVENT_DELIVERY)
		put_text(object, "delivery", delivery_word(event->delivery));
	else
		put_number(object, "time_ms", event->time_ms);
}

json_t *event_json(const struct clawchat_event *event)
{
	json_t *object = json_object();
	put_text(object, "event", event_word(event->type));
	if (has_peer(event->type))
		put_id(object, "peer", &event->peer);
	put_text(object, "name", event->name);
	if (event->type == CLAWCHAT_EVENT_TEXT || event->type == CLAWCHAT_EVENT_DELIVERY)
		put_message(object, event);
	if (event->type >= CLAWCHAT_EVENT_FILE_OFFER)
		put_transfer(object, event);
	if (event->type == CLAWCHAT_EVENT_PEER_UP)
		json_object_set_new(object, "first_contact", json_boolean(event->is_first_contact));
	if (event->result != CLAWCHAT_OK)
		put_number(object, "exit", (uint64_t)event->result);
	put_text(object, "file_name", event->file_name);
	put_text(object, "text", event->text);
	return object;
}

json_t *contact_json(const struct clawchat *c, const struct clawchat_contact *contact)
{
	char number[CLAWCHAT_SAFETY_NUMBER_SIZE];
	json_t *object = json_object();
	put_text(object, "name", contact->name);
	put_id(object, "id", &contact->id);
	put_text(object, "identity", trust_word(contact));
	json_object_set_new(object, "present", json_boolean(contact->is_present));
	json_object_set_new(object, "secure", json_boolean(contact->is_secure));
	put_text(object, "path", path_word(contact->path));
	put_text(object, "path_reason", contact->path_reason);
	if (clawchat_safety_number(c, &contact->id, number))
		put_text(object, "safety_number", number);
	return object;
}

json_t *status_json(const struct clawchat_status *status)
{
	json_t *object = json_object();
	put_text(object, "state", state_word(status->state));
	put_text(object, "server_name", status->server_name);
	put_text(object, "relay", status->relay);
	put_text(object, "observed", status->observed);
	put_number(object, "rtt_us", status->rtt_us);
	put_number(object, "door", status->door);
	put_number(object, "next_rotation", status->next_rotation);
	put_number(object, "file_valid_until", status->file_valid_until);
	json_object_set_new(object, "is_enrolled", json_boolean(status->is_enrolled));
	json_object_set_new(object, "clock_offset_ms", json_integer(status->clock_offset_ms));
	put_number(object, "epoch", status->epoch);
	put_number(object, "reconnects", status->reconnects);
	return object;
}

json_t *file_info_json(const char *path, const struct clawchat_file_info *info, const char *status)
{
	json_t *object = json_object();
	put_text(object, "file", path);
	put_text(object, "status", status);
	put_text(object, "server_name", info->server_name);
	put_text(object, "server_id", info->server_id);
	put_text(object, "file_id", info->file_id);
	put_text(object, "address", info->address);
	put_text(object, "address6", info->address6);
	put_number(object, "port", info->port);
	put_number(object, "valid_from", info->valid_from);
	put_number(object, "valid_until", info->valid_until);
	put_number(object, "next_rotation", info->next_rotation);
	put_number(object, "max_devices", info->max_devices);
	put_text(object, "bootstrap_key_id", info->bootstrap_key_id);
	return object;
}
