/*
 * Security files. The first byte of the input chooses where the rest comes in: 'e' as the text
 * of a file, 'c' as the content of one that is sealed as it should be, 's' as content that is
 * also signed as it should be (so that what lies behind the signature is reached).
 */
#include <assert.h>
#include <stdlib.h>

#include "core/base64.h"
#include "core/security_file_json.h"
#include "crypto/crypto.h"

enum { ITERATIONS = 1, ITERATIONS_MAX = 4 };

static struct random_seeded seeded;
static struct random_source source;
static struct ed25519_pair signing;
static const struct view BOOTSTRAP = VIEW_STRING("fuzz");

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (crypto_init(NULL) != CRYPTO_READY)
		abort();
	security_file_init();
	source = random_seeded_init(&seeded, 1);
	ed25519_generate(&signing, &source);
	return 0;
}

static enum security_file_status open_text(struct view text)
{
	static const struct security_file zeros;
	const struct security_file_reader reader = {
		.bootstrap = BOOTSTRAP,
		.now_s = 1800000000,
		.iterations_min = ITERATIONS,
		.iterations_max = ITERATIONS_MAX,
	};
	struct security_file file;

	enum security_file_status status = security_file_open(&reader, text, &file);
	if (status == SECURITY_FILE_OK || status >= SECURITY_FILE_EXPIRED) {
		assert(file.door_count > 0 && file.door_count <= SECURITY_FILE_DOORS_MAX);
		assert(file.stun_count <= SECURITY_FILE_STUN_MAX);
		assert(strlen(file.server_name) <= NAME_SIZE_MAX);
	} else {
		assert(memcmp(&file, &zeros, sizeof file) == 0);
	}
	return status;
}

static void open_content(struct view content)
{
	static char text[2 * SECURITY_FILE_SIZE_MAX];
	size_t size;
	const struct security_file_writer writer = {
		.bootstrap = BOOTSTRAP,
		.signing = &signing,
		.random = &source,
		.iterations = ITERATIONS,
	};

	enum security_file_status status =
		security_file_seal_content(&writer, content, text, sizeof text, &size);
	assert(status == SECURITY_FILE_OK);
	status = open_text(view_of(text, size));
	assert(status != SECURITY_FILE_WRONG_KEY && status != SECURITY_FILE_DAMAGED);
}

static void set_base64(json_t *root, const char *key, struct view data)
{
	char text[BASE64_SIZE(ED25519_SIGNATURE_SIZE)];

	json_object_set_new(root, key, json_stringn(text, base64_encode(data, text)));
}

static void open_signed(struct view content)
{
	static char text[SECURITY_FILE_SIZE_MAX + 1024];
	static const char label[] = "ClawChat/3 security file";
	const size_t head = sizeof label - 1;
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	json_t *root;

	if (json_text_load(content, &root) != SECURITY_FILE_OK)
		return;
	json_object_del(root, "signature");
	set_base64(root, "server_signing_key", VIEW(signing.public));
	memcpy(text, label, head);
	size_t size =
		json_dumpb(root, text + head, sizeof text - head, JSON_COMPACT | JSON_SORT_KEYS);
	if (size <= sizeof text - head) {
		ed25519_sign(&signing, view_of(text, head + size), signature);
		set_base64(root, "signature", VIEW(signature));
		size = json_dumpb(root, text, sizeof text, JSON_COMPACT);
		if (size <= sizeof text)
			open_content(view_of(text, size));
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > SECURITY_FILE_SIZE_MAX)
		return 0;
	struct view rest = view_of(data + 1, size - 1);
	if (data[0] == 'e')
		(void)!open_text(rest);
	else if (data[0] == 'c')
		open_content(rest);
	else if (data[0] == 's')
		open_signed(rest);
	return 0;
}
