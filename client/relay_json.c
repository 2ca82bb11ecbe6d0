#include "client/relay_json.h"

#include "client/json_fields.h"

enum { FORMAT_VERSION = 1 };

static void put_address(json_t *object, const char *name, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE] = "";
	if (address_is_set(address))
		address_format(address, text);
	json_put_text(object, name, text);
}

static void take_address(struct json_reader *r, const char *name, struct address *out)
{
	char text[ADDRESS_TEXT_SIZE];
	json_take_text(r, name, text, sizeof(text));
	if (text[0] != '\0' && !address_parse(text, out) && r->failed == NULL)
		r->failed = name;
}

static json_t *door_make(const struct security_file_door *door)
{
	json_t *object = json_object();
	json_put_number(object, "generation", door->generation);
	json_put_number(object, "from", door->from_s);
	json_put_number(object, "until", door->until_s);
	json_put_number(object, "port", door->port);
	json_put_bytes(object, "key", door->key, sizeof(door->key));
	return object;
}

static void door_read(struct json_reader *outer, const json_t *object,
		      struct security_file_door *door)
{
	struct json_reader r = { .object = object };
	door->generation = json_take_number(&r, "generation", INT64_MAX);
	door->from_s = json_take_number(&r, "from", INT64_MAX);
	door->until_s = json_take_number(&r, "until", INT64_MAX);
	door->port = (uint16_t)json_take_number(&r, "port", UINT16_MAX);
	json_take_bytes(&r, "key", door->key, sizeof(door->key));
	if (r.failed != NULL && outer->failed == NULL)
		outer->failed = "doors";
}

json_t *relay_json_make(const struct security_file *f)
{
	json_t *object = json_object(), *doors = json_array(), *stun = json_array();
	json_put_number(object, "version", FORMAT_VERSION);
	json_put_bytes(object, "server_id", f->server_id, sizeof(f->server_id));
	json_put_bytes(object, "file_id", f->file_id, sizeof(f->file_id));
	json_put_text(object, "server_name", f->server_name);
	put_address(object, "address", &f->public_ip);
	put_address(object, "address6", &f->public_ip6);
	json_put_number(object, "port", f->udp_port);
	json_put_bytes(object, "shared_secret", f->shared_secret, sizeof(f->shared_secret));
	json_put_bytes(object, "bootstrap_key_id", f->bootstrap_key_id,
		       sizeof(f->bootstrap_key_id));
	json_put_number(object, "issued", f->issued_s);
	json_put_number(object, "valid_from", f->valid_from_s);
	json_put_number(object, "valid_until", f->valid_until_s);
	json_put_number(object, "next_rotation", f->next_rotation_s);
	json_put_number(object, "grace", f->grace_period_s);
	json_put_bytes(object, "server_key", f->server_public_key, sizeof(f->server_public_key));
	json_put_bytes(object, "signing_key", f->server_signing_key, sizeof(f->server_signing_key));
	json_put_number(object, "max_devices", f->enrol_max_devices);
	json_put_number(object, "enrol_until", f->enrol_until_s);
	json_put_number(object, "compromised_scope", f->compromised_scope);
	json_put_number(object, "response_timeout", f->response_timeout_s);
	json_put_number(object, "hole_punch_timeout", f->hole_punch_timeout_s);
	for (size_t i = 0; i < f->door_count; i++)
		json_array_append_new(doors, door_make(&f->doors[i]));
	for (size_t i = 0; i < f->stun_count; i++)
		json_array_append_new(stun, json_string(f->stun_servers[i]));
	json_object_set_new(object, "doors", doors);
	json_object_set_new(object, "stun_servers", stun);
	return object;
}

static void read_lists(struct json_reader *r, struct security_file *f)
{
	const json_t *doors = json_object_get(r->object, "doors");
	const json_t *stun = json_object_get(r->object, "stun_servers");
	f->door_count = json_array_size(doors);
	f->stun_count = json_array_size(stun);
	if (f->door_count == 0 || f->door_count > SECURITY_FILE_DOORS_MAX ||
	    f->stun_count > SECURITY_FILE_STUN_MAX) {
		f->door_count = f->stun_count = 0;
		r->failed = r->failed != NULL ? r->failed : "doors";
	}
	for (size_t i = 0; i < f->door_count; i++)
		door_read(r, json_array_get(doors, i), &f->doors[i]);
	for (size_t i = 0; i < f->stun_count; i++) {
		const char *name = json_string_value(json_array_get(stun, i));
		if (name == NULL || strlen(name) > SECURITY_FILE_STUN_SIZE_MAX)
			r->failed = r->failed != NULL ? r->failed : "stun_servers";
		else
			memcpy(f->stun_servers[i], name, strlen(name) + 1);
	}
}

bool relay_json_read(const json_t *object, struct security_file *f, const char **failed)
{
	struct json_reader r = { .object = object };
	memset(f, 0, sizeof(*f));
	if (json_take_number(&r, "version", UINT32_MAX) != FORMAT_VERSION)
		r.failed = "version";
	json_take_bytes(&r, "server_id", f->server_id, sizeof(f->server_id));
	json_take_bytes(&r, "file_id", f->file_id, sizeof(f->file_id));
	json_take_text(&r, "server_name", f->server_name, sizeof(f->server_name));
	take_address(&r, "address", &f->public_ip);
	take_address(&r, "address6", &f->public_ip6);
	f->udp_port = (uint16_t)json_take_number(&r, "port", UINT16_MAX);
	json_take_bytes(&r, "shared_secret", f->shared_secret, sizeof(f->shared_secret));
	json_take_bytes(&r, "bootstrap_key_id", f->bootstrap_key_id, sizeof(f->bootstrap_key_id));
	f->issued_s = json_take_number(&r, "issued", INT64_MAX);
	f->valid_from_s = json_take_number(&r, "valid_from", INT64_MAX);
	f->valid_until_s = json_take_number(&r, "valid_until", INT64_MAX);
	f->next_rotation_s = json_take_number(&r, "next_rotation", INT64_MAX);
	f->grace_period_s = (uint32_t)json_take_number(&r, "grace", UINT32_MAX);
	json_take_bytes(&r, "server_key", f->server_public_key, sizeof(f->server_public_key));
	json_take_bytes(&r, "signing_key", f->server_signing_key, sizeof(f->server_signing_key));
	f->enrol_max_devices = (uint32_t)json_take_number(&r, "max_devices", UINT32_MAX);
	f->enrol_until_s = json_take_number(&r, "enrol_until", INT64_MAX);
	f->compromised_scope = (enum compromised_scope)json_take_number(&r, "compromised_scope",
									COMPROMISED_SERVER);
	f->response_timeout_s = (uint32_t)json_take_number(&r, "response_timeout", UINT32_MAX);
	f->hole_punch_timeout_s = (uint32_t)json_take_number(&r, "hole_punch_timeout", UINT32_MAX);
	read_lists(&r, f);
	*failed = r.failed;
	if (r.failed != NULL)
		bytes_wipe(f, sizeof(*f));
	return r.failed == NULL;
}
