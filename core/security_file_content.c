#include <stdlib.h>

#include "core/base64.h"
#include "core/security_file_json.h"

#define PROTOCOL_FIELD "clawchat-file-v3"
#define CIPHER_FIELD "aes-256-gcm"

/* Before the signed text: a signature means a security file and nothing else. */
#define SIGNATURE_LABEL PROTOCOL_NAME " security file"

/* Keys sorted and no white space: for integers, text and ASCII keys the form of RFC 8785. */
#define CANONICAL (JSON_COMPACT | JSON_SORT_KEYS)

/* End of the year 9999: sums of times cannot overflow, and people can read them. */
#define TIME_MAX_S UINT64_C(253402300799)

/* ---- fields to text ---------------------------------------------------------------------- */

/* An object under construction; a failed allocation or text that is not UTF-8 marks it. */
struct builder {
	json_t *object;
	bool is_bad;
};

static void put(struct builder *b, const char *key, json_t *value)
{
	if (json_object_set_new(b->object, key, value) != 0)
		b->is_bad = true;
}

static void put_integer(struct builder *b, const char *key, uint64_t value)
{
	if (value > INT64_MAX)
		b->is_bad = true;
	put(b, key, json_integer((json_int_t)value));
}

static void put_base64(struct builder *b, const char *key, struct view data)
{
	char text[BASE64_SIZE(ED25519_SIGNATURE_SIZE)];

	put(b, key, json_stringn(text, base64_encode(data, text)));
	bytes_wipe(text, sizeof text);
}

static void put_hex(struct builder *b, const char *key, struct view data)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * SERVER_ID_SIZE];

	for (size_t i = 0; i < data.size; i++) {
		text[2 * i] = digits[data.data[i] >> 4];
		text[2 * i + 1] = digits[data.data[i] & 15];
	}
	put(b, key, json_stringn(text, 2 * data.size));
}

/* The address alone: its port is server_udp_port. */
static void put_address(struct builder *b, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT_SIZE];

	if (!address_is_set(address))
		return;
	address_format(address, text);
	char *begin = text[0] == '[' ? text + 1 : text;
	char *end = strrchr(text, text[0] == '[' ? ']' : ':');
	put(b, key, json_stringn(begin, (size_t)(end - begin)));
}

static json_t *door_object(const struct security_file_door *door)
{
	struct builder b = { .object = json_object() };

	put_integer(&b, "generation", door->generation);
	put_integer(&b, "port", door->port);
	put_base64(&b, "key", VIEW(door->key));
	put_integer(&b, "from", door->from_s);
	put_integer(&b, "until", door->until_s);
	if (!b.is_bad)
		return b.object;
	json_decref(b.object);
	return NULL;
}

static void put_doors(struct builder *b, const struct security_file *file)
{
	json_t *doors = json_array();

	for (size_t i = 0; i < file->door_count; i++)
		if (json_array_append_new(doors, door_object(&file->doors[i])) != 0)
			b->is_bad = true;
	put(b, "doors", doors);
}

static const char *scope_text(enum compromised_scope scope)
{
	static const char *const texts[] = {
		[COMPROMISED_DEVICE] = "device",
		[COMPROMISED_FILE] = "file",
		[COMPROMISED_SERVER] = "server",
	};
	bool is_known = scope >= COMPROMISED_DEVICE && scope <= COMPROMISED_SERVER;

	return is_known ? texts[scope] : "";
}

static void put_groups(struct builder *b, const struct security_file *file)
{
	struct builder enrol = { .object = json_object() };
	struct builder burn = { .object = json_object() };
	struct builder nat = { .object = json_object() };
	json_t *stun = json_array();

	put_integer(&enrol, "max_devices", file->enrol_max_devices);
	put_integer(&enrol, "until", file->enrol_until_s);
	put(&burn, "scope", json_string(scope_text(file->compromised_scope)));
	put_integer(&burn, "response_timeout", file->response_timeout_s);
	for (size_t i = 0; i < file->stun_count; i++)
		if (json_array_append_new(stun, json_string(file->stun_servers[i])) != 0)
			b->is_bad = true;
	put(&nat, "stun_servers", stun);
	put_integer(&nat, "hole_punch_timeout", file->hole_punch_timeout_s);
	b->is_bad = b->is_bad || enrol.is_bad || burn.is_bad || nat.is_bad;
	put(b, "enrol", enrol.object);
	put(b, "compromised_protocol", burn.object);
	put(b, "nat_traversal", nat.object);
}

static void put_all(struct builder *b, const struct security_file *file)
{
	put(b, "version", json_string(SECURITY_FILE_VERSION));
	put(b, "protocol", json_string(PROTOCOL_FIELD));
	put_hex(b, "server_id", VIEW(file->server_id));
	put_hex(b, "file_id", VIEW(file->file_id));
	put(b, "server_name", json_string(file->server_name));
	put_address(b, "server_public_ip", &file->public_ip);
	put_address(b, "server_public_ip6", &file->public_ip6);
	put_integer(b, "server_udp_port", file->udp_port);
	put_base64(b, "shared_secret", VIEW(file->shared_secret));
	put_hex(b, "bootstrap_key_id", VIEW(file->bootstrap_key_id));
	put_integer(b, "timestamp", file->issued_s);
	put_integer(b, "valid_from", file->valid_from_s);
	put_integer(b, "valid_until", file->valid_until_s);
	put_integer(b, "next_rotation", file->next_rotation_s);
	put_integer(b, "grace_period", file->grace_period_s);
	put_base64(b, "server_public_key", VIEW(file->server_public_key));
	put_base64(b, "server_signing_key", VIEW(file->server_signing_key));
	put_doors(b, file);
	put_groups(b, file);
	put(b, "supported_ciphers", json_pack("[s]", CIPHER_FIELD));
}

/* What the signature is over: the label and the canonical text without the signature. */
static size_t signed_text(const json_t *root, uint8_t *out, size_t capacity)
{
	const size_t label = strlen(SIGNATURE_LABEL);

	if (capacity < label)
		return 0;
	memcpy(out, SIGNATURE_LABEL, label);
	size_t size = json_dumpb(root, (char *)out + label, capacity - label, CANONICAL);
	return size > 0 && size <= capacity - label ? label + size : 0;
}

size_t content_encode(const struct security_file *file, const struct ed25519_pair *signing,
		      uint8_t *out, size_t capacity)
{
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	struct builder b = { .object = json_object() };

	put_all(&b, file);
	size_t size = b.is_bad ? 0 : signed_text(b.object, out, capacity);
	if (size > 0) {
		ed25519_sign(signing, view_of(out, size), signature);
		put_base64(&b, "signature", VIEW(signature));
		size = b.is_bad ? 0 : json_dumpb(b.object, (char *)out, capacity, CANONICAL);
	}
	json_decref(b.object);
	return size <= capacity ? size : 0;
}

/* ---- text to fields ---------------------------------------------------------------------- */

/* Absent is allowed; an address of the other family, with a port or with a scope is not. */
static void take_address(struct fields *f, const char *key, bool is_v4, struct address *out)
{
	if (json_object_get(f->object, key) == NULL)
		return;
	bool is_good = address_parse(fields_take_text(f, key), out) &&
		       address_is_v4(out) == is_v4 && out->port == 0 && out->scope == 0;
	if (!is_good)
		f->is_bad = true;
}

static uint64_t take_time(struct fields *f, const char *key)
{
	return fields_take_integer(f, key, 1, TIME_MAX_S);
}

static void take_doors(struct fields *f, struct security_file *out)
{
	const json_t *doors = fields_take_array(f, "doors", SECURITY_FILE_DOORS_MAX);

	out->door_count = json_array_size(doors);
	for (size_t i = 0; i < out->door_count; i++) {
		struct security_file_door *door = &out->doors[i];
		struct fields in = { .object = json_array_get(doors, i) };
		door->generation = fields_take_integer(&in, "generation", 0, INT64_MAX);
		door->port = (uint16_t)fields_take_integer(&in, "port", 1, UINT16_MAX);
		fields_take_base64(&in, "key", door->key, sizeof door->key);
		door->from_s = take_time(&in, "from");
		door->until_s = take_time(&in, "until");
		bool is_rising = i == 0 || out->doors[i - 1].generation < door->generation;
		if (in.is_bad || !is_rising || door->from_s >= door->until_s)
			f->is_bad = true;
	}
	if (out->door_count == 0)
		f->is_bad = true;
}

static enum compromised_scope scope_of(const char *text)
{
	for (unsigned scope = COMPROMISED_DEVICE; scope <= COMPROMISED_SERVER; scope++)
		if (strcmp(text, scope_text(scope)) == 0)
			return scope;
	return 0;
}

static void take_stun(struct fields *nat, struct security_file *out)
{
	const json_t *stun = fields_take_array(nat, "stun_servers", SECURITY_FILE_STUN_MAX);

	out->stun_count = json_array_size(stun);
	for (size_t i = 0; i < out->stun_count; i++) {
		const char *text = json_string_value(json_array_get(stun, i));
		if (text == NULL || text[0] == '\0' ||
		    !fields_copy_text(text, out->stun_servers[i], sizeof out->stun_servers[i]))
			nat->is_bad = true;
	}
}

static void take_groups(struct fields *f, struct security_file *out)
{
	struct fields enrol = fields_take_object(f, "enrol");
	struct fields burn = fields_take_object(f, "compromised_protocol");
	struct fields nat = fields_take_object(f, "nat_traversal");

	out->enrol_max_devices =
		(uint32_t)fields_take_integer(&enrol, "max_devices", 0, SECURITY_FILE_DEVICES_MAX);
	out->enrol_until_s = take_time(&enrol, "until");
	out->compromised_scope = scope_of(fields_take_text(&burn, "scope"));
	out->response_timeout_s = (uint32_t)fields_take_integer(&burn, "response_timeout", 1,
								SECURITY_FILE_TIMEOUT_MAX_S);
	take_stun(&nat, out);
	out->hole_punch_timeout_s = (uint32_t)fields_take_integer(&nat, "hole_punch_timeout", 1,
								  SECURITY_FILE_TIMEOUT_MAX_S);
	if (enrol.is_bad || burn.is_bad || nat.is_bad || out->compromised_scope == 0)
		f->is_bad = true;
}

static void take_server(struct fields *f, struct security_file *out)
{
	fields_take_hex(f, "server_id", out->server_id, sizeof out->server_id);
	fields_take_hex(f, "file_id", out->file_id, sizeof out->file_id);
	if (!fields_copy_text(fields_take_text(f, "server_name"), out->server_name,
			      sizeof out->server_name))
		f->is_bad = true;
	take_address(f, "server_public_ip", true, &out->public_ip);
	take_address(f, "server_public_ip6", false, &out->public_ip6);
	if (!address_is_set(&out->public_ip) && !address_is_set(&out->public_ip6))
		f->is_bad = true;
	out->udp_port = (uint16_t)fields_take_integer(f, "server_udp_port", 1, UINT16_MAX);
	if (address_is_set(&out->public_ip))
		out->public_ip.port = out->udp_port;
	if (address_is_set(&out->public_ip6))
		out->public_ip6.port = out->udp_port;
}

static void take_all(struct fields *f, struct security_file *out)
{
	take_server(f, out);
	fields_take_base64(f, "shared_secret", out->shared_secret, sizeof out->shared_secret);
	fields_take_hex(f, "bootstrap_key_id", out->bootstrap_key_id, sizeof out->bootstrap_key_id);
	out->issued_s = take_time(f, "timestamp");
	out->valid_from_s = take_time(f, "valid_from");
	out->valid_until_s = take_time(f, "valid_until");
	out->next_rotation_s = take_time(f, "next_rotation");
	if (out->valid_from_s >= out->valid_until_s)
		f->is_bad = true;
	out->grace_period_s =
		(uint32_t)fields_take_integer(f, "grace_period", 0, SECURITY_FILE_GRACE_MAX_S);
	fields_take_base64(f, "server_public_key", out->server_public_key,
			   sizeof out->server_public_key);
	fields_take_base64(f, "server_signing_key", out->server_signing_key,
			   sizeof out->server_signing_key);
	take_doors(f, out);
	take_groups(f, out);
}

static enum security_file_status check_version(struct fields *f)
{
	const char *version = fields_take_text(f, "version");
	const char *protocol = fields_take_text(f, "protocol");

	if (f->is_bad || strcmp(protocol, PROTOCOL_FIELD) != 0)
		return SECURITY_FILE_BAD_CONTENT;
	enum security_file_status status = version_judge(version);
	return status == SECURITY_FILE_MALFORMED ? SECURITY_FILE_BAD_CONTENT : status;
}

static enum security_file_status check_ciphers(struct fields *f)
{
	const json_t *ciphers =
		fields_take_array(f, "supported_ciphers", SECURITY_FILE_CIPHERS_MAX);

	for (size_t i = 0; i < json_array_size(ciphers); i++) {
		const char *text = json_string_value(json_array_get(ciphers, i));
		if (text != NULL && strcmp(text, CIPHER_FIELD) == 0)
			return SECURITY_FILE_OK;
	}
	return f->is_bad ? SECURITY_FILE_BAD_CONTENT : SECURITY_FILE_OTHER_CIPHER;
}

/* Takes the signature out of the object, and checks it over what is left. */
static enum security_file_status check_signature(json_t *root, const uint8_t *public_key,
						 size_t text_size)
{
	const size_t capacity = strlen(SIGNATURE_LABEL) + text_size;
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	struct fields f = { .object = root };
	enum security_file_status status = SECURITY_FILE_BAD_SIGNATURE;

	fields_take_base64(&f, "signature", signature, sizeof signature);
	if (f.is_bad)
		return SECURITY_FILE_BAD_CONTENT;
	uint8_t *text = malloc(capacity);
	if (text == NULL)
		return SECURITY_FILE_NO_MEMORY;
	json_object_del(root, "signature");
	size_t size = signed_text(root, text, capacity);
	if (size > 0 && ed25519_public_is_sound(public_key) &&
	    ed25519_verify(public_key, view_of(text, size), signature))
		status = SECURITY_FILE_OK;
	bytes_wipe(text, capacity);
	free(text);
	return status;
}

static enum security_file_status decode(json_t *root, size_t text_size, struct security_file *out)
{
	struct fields f = { .object = root };

	enum security_file_status status = check_version(&f);
	if (status != SECURITY_FILE_OK)
		return status;
	status = check_ciphers(&f);
	if (status != SECURITY_FILE_OK)
		return status;
	take_all(&f, out);
	if (f.is_bad)
		return SECURITY_FILE_BAD_CONTENT;
	return check_signature(root, out->server_signing_key, text_size);
}

enum security_file_status content_decode(struct view text, struct security_file *out)
{
	json_t *root;

	memset(out, 0, sizeof *out);
	if (json_text_load(text, &root) != SECURITY_FILE_OK)
		return SECURITY_FILE_BAD_CONTENT;
	enum security_file_status status = decode(root, text.size, out);
	if (status != SECURITY_FILE_OK)
		bytes_wipe(out, sizeof *out);
	json_decref(root);
	return status;
}
