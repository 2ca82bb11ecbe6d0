/* The content of security files: fields, signature, and nothing that is not asked for. */
#include "core/base64.h"
#include "core/security_file_json.h"
#include "tests/support/security_file.h"

static struct test_security_file T;

static int start(void **state)
{
	(void)state;
	security_file_init();
	test_security_file_init(&T, 1);
	test_security_file_seal(&T);
	return 0;
}

/* Seals text of our own as content, so that what is inside can be wrong too. */
static enum security_file_status open_content(const char *content, size_t size)
{
	struct security_file out;

	test_security_file_expect(security_file_seal_content(&T.writer, view_of(content, size),
							     T.text, sizeof T.text, &T.size),
				  SECURITY_FILE_OK);
	return test_security_file_open(&T, view_of(T.text, T.size), &out);
}

/* The content of T.file with some fields replaced or one removed, signed by `pair`. */
static enum security_file_status open_changed(const char *patch, const char *removed,
					      const struct ed25519_pair *pair)
{
	uint8_t content[CONTENT_WRITTEN_MAX], signature[ED25519_SIGNATURE_SIZE];
	char text[CONTENT_WRITTEN_MAX] = "ClawChat/3 security file";
	char encoded[BASE64_SIZE(ED25519_SIGNATURE_SIZE)];
	struct security_file file = T.file;
	size_t label = strlen(text);

	memcpy(file.server_signing_key, T.signing.public, sizeof file.server_signing_key);
	size_t size = content_encode(&file, &T.signing, content, sizeof content);
	json_t *root = json_loadb((char *)content, size, 0, NULL);
	json_t *changes = json_loads(patch, 0, NULL);
	assert_non_null(root);
	assert_non_null(changes);
	json_object_del(root, "signature");
	json_object_del(root, removed);
	assert_int_equal(json_object_update_recursive(root, changes), 0);
	size = json_dumpb(root, text + label, sizeof text - label, JSON_COMPACT | JSON_SORT_KEYS);
	ed25519_sign(pair, view_of(text, label + size), signature);
	size = base64_encode(VIEW(signature), encoded);
	json_object_set_new(root, "signature", json_stringn(encoded, size));
	/* Not sorted and with white space: the signature is over the canonical form. */
	size = json_dumpb(root, text, sizeof text, 0);
	json_decref(root);
	json_decref(changes);
	return open_content(text, size);
}

static void needs_every_field(void **state)
{
	static const char *const keys[] = {
		"version",
		"protocol",
		"server_id",
		"file_id",
		"server_name",
		"server_udp_port",
		"shared_secret",
		"bootstrap_key_id",
		"timestamp",
		"valid_from",
		"valid_until",
		"next_rotation",
		"grace_period",
		"server_public_key",
		"server_signing_key",
		"doors",
		"enrol",
		"compromised_protocol",
		"nat_traversal",
		"supported_ciphers",
	};

	(void)state;
	test_security_file_expect(open_changed("{}", "none", &T.signing), SECURITY_FILE_OK);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		print_message("%s\n", keys[i]);
		test_security_file_expect(open_changed("{}", keys[i], &T.signing),
					  SECURITY_FILE_BAD_CONTENT);
	}
	test_security_file_expect(open_changed("{}", "server_public_ip", &T.signing),
				  SECURITY_FILE_OK);
	test_security_file_expect(open_changed("{}", "server_public_ip6", &T.signing),
				  SECURITY_FILE_OK);
}

/* Everything here is sealed and signed as it should be; only the fields are not. */
static void judges_the_fields(void **state)
{
	static const struct {
		const char *patch;
		enum security_file_status status;
	} rows[] = {
		{ "{\"later\":{\"a\":[1,\"x\"]}}", SECURITY_FILE_OK },
		{ "{\"supported_ciphers\":[\"new\",\"aes-256-gcm\"]}", SECURITY_FILE_OK },
		{ "{\"supported_ciphers\":[\"new\"]}", SECURITY_FILE_OTHER_CIPHER },
		{ "{\"supported_ciphers\":[]}", SECURITY_FILE_OTHER_CIPHER },
		{ "{\"supported_ciphers\":[1]}", SECURITY_FILE_OTHER_CIPHER },
		{ "{\"supported_ciphers\":\"aes-256-gcm\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"supported_ciphers\":[1,2,3,4,5,6,7,8,9]}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"version\":\"3.1\"}", SECURITY_FILE_TOO_NEW },
		{ "{\"version\":\"2.0\"}", SECURITY_FILE_TOO_OLD },
		{ "{\"version\":\"x\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"protocol\":\"clawchat-file-v4\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_id\":\"00\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_id\":\"ABCDEF00112233445566778899001122\"}",
		  SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_id\":\"abcdef00112233445566778899001122\"}", SECURITY_FILE_OK },
		{ "{\"server_name\":\"\\u001b\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_name\":7}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_public_ip\":\"192.0.2.1:80\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_public_ip\":\"relay.example.org\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_public_ip\":\"2001:db8::1\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_public_ip6\":\"::ffff:192.0.2.1\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_public_ip6\":null}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":0}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":65536}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":-1}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":\"1\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":true}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"server_udp_port\":65535}", SECURITY_FILE_OK },
		{ "{\"shared_secret\":\"AAAA\"}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"valid_until\":253402300800}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"valid_until\":-1}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"doors\":{}}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"doors\":[]}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"doors\":[1]}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"doors\":[{},{},{},{},{},{},{},{},{}]}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"enrol\":[]}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"enrol\":{\"max_devices\":-1}}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"enrol\":{\"until\":0}}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"compromised_protocol\":{\"scope\":\"all\"}}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"compromised_protocol\":{\"scope\":\"device\"}}", SECURITY_FILE_OK },
		{ "{\"nat_traversal\":{\"stun_servers\":[1]}}", SECURITY_FILE_BAD_CONTENT },
		{ "{\"nat_traversal\":{\"stun_servers\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}}",
		  SECURITY_FILE_BAD_CONTENT },
		{ "{\"nat_traversal\":{\"stun_servers\":[\"a\",\"b\",\"c\",\"d\"]}}",
		  SECURITY_FILE_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		print_message("%s\n", rows[i].patch);
		test_security_file_expect(open_changed(rows[i].patch, "none", &T.signing),
					  rows[i].status);
	}
}

static void refuses_content_that_is_no_object(void **state)
{
	static const char *const rows[] = {
		"",    "{",    "{}",
		"[]",  "null", "{}{}",
		" {}", "{} ",  "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		test_security_file_expect(open_content(rows[i], strlen(rows[i])),
					  SECURITY_FILE_BAD_CONTENT);
}

/*
 * Goal:   whoever has the bootstrap key can read files, not make them.
 * Method: a stranger's signature; the right one over other fields; the stranger's own key put
 *         inside, which only a reader that has met the server can tell; a key of small order.
 */
static void needs_the_servers_signature(void **state)
{
	struct ed25519_pair stranger;
	char patch[128] = "{\"server_signing_key\":\"", small[192];
	uint8_t signing[ED25519_PUBLIC_SIZE];

	(void)state;
	ed25519_generate(&stranger, &T.random);
	test_security_file_expect(open_changed("{}", "none", &stranger),
				  SECURITY_FILE_BAD_SIGNATURE);
	snprintf(small, sizeof small, "%sAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", patch);
	test_security_file_expect(open_changed(small, "none", &T.signing),
				  SECURITY_FILE_BAD_SIGNATURE);

	memcpy(signing, T.signing.public, sizeof signing);
	size_t size = strlen(patch);
	size += base64_encode(VIEW(stranger.public), patch + size);
	memcpy(patch + size, "\"}", sizeof "\"}");
	test_security_file_expect(open_changed(patch, "none", &stranger), SECURITY_FILE_OK);
	T.reader.pinned_signing_key = signing;
	test_security_file_expect(open_changed(patch, "none", &stranger),
				  SECURITY_FILE_OTHER_SERVER);
	test_security_file_expect(open_changed("{}", "none", &T.signing), SECURITY_FILE_OK);
}

/* Changes one character of the signed content at a time, sealed again each time. */
static void signature_covers_every_byte(void **state)
{
	static const struct security_file zeros;
	uint8_t content[CONTENT_WRITTEN_MAX];

	(void)state;
	struct security_file file = T.file;
	memcpy(file.server_signing_key, T.signing.public, sizeof file.server_signing_key);
	size_t size = content_encode(&file, &T.signing, content, sizeof content);
	assert_true(size > 0);
	for (size_t at = 0; at < size; at++) {
		struct security_file out;
		uint8_t kept = content[at];
		content[at] = kept == '1' ? '2' : '1';
		assert_int_not_equal(content_decode(view_of(content, size), &out),
				     SECURITY_FILE_OK);
		assert_memory_equal(&out, &zeros, sizeof out);
		content[at] = kept;
	}
}

#define FILE_TEST(name) cmocka_unit_test_setup(name, start)

static const struct CMUnitTest TESTS[] = {
	FILE_TEST(needs_every_field),
	FILE_TEST(judges_the_fields),
	FILE_TEST(refuses_content_that_is_no_object),
	FILE_TEST(needs_the_servers_signature),
	FILE_TEST(signature_covers_every_byte),
};

CRYPTO_TESTS(TESTS)
