#include <stdio.h>
#include <stdlib.h>

#include "core/base64.h"
#include "core/security_file_json.h"

#define ALGORITHM "aes-256-gcm-pbkdf2"

/* The ciphertext alone has no fixed size. Its tag goes behind it, as aead_open() wants it. */
static enum security_file_status take_sealed(struct fields *f, struct envelope *e)
{
	const char *text = fields_take_text(f, "ciphertext");

	e->sealed = malloc(SEALED_SIZE_MAX);
	if (e->sealed == NULL)
		return SECURITY_FILE_NO_MEMORY;
	if (!base64_decode(view_of(text, strlen(text)), e->sealed, SEALED_SIZE_MAX - AEAD_TAG_SIZE,
			   &e->sealed_size))
		return SECURITY_FILE_MALFORMED;
	fields_take_base64(f, "tag", e->sealed + e->sealed_size, AEAD_TAG_SIZE);
	e->sealed_size += AEAD_TAG_SIZE;
	return SECURITY_FILE_OK;
}

/* Version first: everything else may look different in another one. */
static enum security_file_status take_envelope(struct fields *f, struct envelope *e)
{
	const char *version = fields_take_text(f, "version");

	if (f->is_bad)
		return SECURITY_FILE_MALFORMED;
	enum security_file_status status = version_judge(version);
	if (status != SECURITY_FILE_OK)
		return status;
	const char *algorithm = fields_take_text(f, "algorithm");
	if (!f->is_bad && strcmp(algorithm, ALGORITHM) != 0)
		return SECURITY_FILE_OTHER_ALGORITHM;
	e->iterations = fields_take_integer(f, "iterations", 0, INT64_MAX);
	fields_take_base64(f, "salt", e->salt, sizeof e->salt);
	fields_take_base64(f, "iv", e->iv, sizeof e->iv);
	fields_take_base64(f, "commit", e->commit, sizeof e->commit);
	status = take_sealed(f, e);
	if (status != SECURITY_FILE_OK)
		return status;
	return f->is_bad ? SECURITY_FILE_MALFORMED : SECURITY_FILE_OK;
}

enum security_file_status envelope_decode(struct view text, struct envelope *out)
{
	json_t *root;

	*out = (struct envelope){ 0 };
	enum security_file_status status = json_text_load(text, &root);
	if (status != SECURITY_FILE_OK)
		return status;
	status = take_envelope(&(struct fields){ .object = root }, out);
	if (status != SECURITY_FILE_OK)
		envelope_fini(out);
	json_decref(root);
	return status;
}

void envelope_fini(struct envelope *e)
{
	if (e->sealed != NULL)
		bytes_wipe(e->sealed, e->sealed_size);
	free(e->sealed);
	*e = (struct envelope){ 0 };
}

/* Base64 with a NUL, for printf. */
static const char *base64_text(struct view data, char *out)
{
	out[base64_encode(data, out)] = '\0';
	return out;
}

size_t envelope_encode(const struct envelope *e, char *out, size_t capacity)
{
	char salt[BASE64_SIZE(SALT_SIZE) + 1], iv[BASE64_SIZE(AEAD_NONCE_SIZE) + 1];
	char commit[BASE64_SIZE(HASH_SIZE) + 1], tag[BASE64_SIZE(AEAD_TAG_SIZE) + 1];
	size_t plain_size = e->sealed_size - AEAD_TAG_SIZE;

	int head = snprintf(out, capacity,
			    "{\"version\":\"" SECURITY_FILE_VERSION "\",\"algorithm\":\"" ALGORITHM
			    "\",\"iterations\":%llu,\"salt\":\"%s\",\"iv\":\"%s\","
			    "\"commit\":\"%s\",\"tag\":\"%s\",\"ciphertext\":\"",
			    (unsigned long long)e->iterations, base64_text(VIEW(e->salt), salt),
			    base64_text(VIEW(e->iv), iv), base64_text(VIEW(e->commit), commit),
			    base64_text(view_of(e->sealed + plain_size, AEAD_TAG_SIZE), tag));
	size_t size = (size_t)head + BASE64_SIZE(plain_size) + strlen("\"}");
	if (size > capacity)
		return 0;
	base64_encode(view_of(e->sealed, plain_size), out + head);
	memcpy(out + size - strlen("\"}"), "\"}", strlen("\"}"));
	return size;
}

struct view envelope_aad(const struct envelope *e, char aad[ENVELOPE_AAD_SIZE])
{
	char salt[BASE64_SIZE(SALT_SIZE) + 1], iv[BASE64_SIZE(AEAD_NONCE_SIZE) + 1];

	int size = snprintf(aad, ENVELOPE_AAD_SIZE,
			    PROTOCOL_NAME " file\n" SECURITY_FILE_VERSION "\n" ALGORITHM
					  "\n%llu\n%s\n%s\n",
			    (unsigned long long)e->iterations, base64_text(VIEW(e->salt), salt),
			    base64_text(VIEW(e->iv), iv));
	return view_of(aad, (size_t)size);
}
