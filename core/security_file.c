#include "core/security_file.h"

#include <assert.h>
#include <stdlib.h>

#include "core/security_file_json.h"

/* What PBKDF2's result is expanded to: never itself a key of anything. */
struct file_keys {
	uint8_t seal[AEAD_KEY_SIZE];
	uint8_t commit[HASH_SIZE];
};

const char *security_file_status_text(enum security_file_status status)
{
	static const char *const texts[] = {
#define X(name, text) [name] = text,
		SECURITY_FILE_STATUSES(X)
#undef X
	};
	return texts[status];
}

/*
 * GCM does not commit to its key: one ciphertext can be made that opens under two keys. The
 * commitment does, and tells a wrong key from a damaged file.
 */
static void expand_keys(const struct envelope *e, const uint8_t root[HASH_SIZE],
			struct file_keys *keys)
{
	uint8_t context[SALT_SIZE + AEAD_NONCE_SIZE];

	memcpy(context, e->salt, sizeof e->salt);
	memcpy(context + sizeof e->salt, e->iv, sizeof e->iv);
	hkdf_label(root, PROTOCOL_NAME " file key", view_of(NULL, 0), keys->seal,
		   sizeof keys->seal);
	hkdf_label(root, PROTOCOL_NAME " file commit", VIEW(context), keys->commit,
		   sizeof keys->commit);
}

static void derive_keys(const struct envelope *e, struct view bootstrap, struct file_keys *keys)
{
	uint8_t root[HASH_SIZE];

	pbkdf2_sha256(bootstrap, VIEW(e->salt), (uint32_t)e->iterations, root, sizeof root);
	expand_keys(e, root, keys);
	bytes_wipe(root, sizeof root);
}

void security_file_prepare(struct view bootstrap, uint32_t iterations,
			   const struct random_source *random, struct security_file_root *out)
{
	random_fill(random, out->salt, sizeof out->salt);
	pbkdf2_sha256(bootstrap, VIEW(out->salt), iterations, out->root, sizeof out->root);
}

static void make_keys(const struct security_file_writer *writer, struct envelope *e,
		      struct file_keys *keys)
{
	_Static_assert((int)SECURITY_FILE_SALT_SIZE == (int)SALT_SIZE, "of the envelope");

	if (writer->prepared != NULL)
		memcpy(e->salt, writer->prepared->salt, sizeof e->salt);
	else
		random_fill(writer->random, e->salt, sizeof e->salt);
	random_fill(writer->random, e->iv, sizeof e->iv);
	if (writer->prepared != NULL)
		expand_keys(e, writer->prepared->root, keys);
	else
		derive_keys(e, writer->bootstrap, keys);
	memcpy(e->commit, keys->commit, sizeof e->commit);
}

enum security_file_status security_file_seal_content(const struct security_file_writer *writer,
						     struct view content, char *out,
						     size_t capacity, size_t *size)
{
	char aad[ENVELOPE_AAD_SIZE];
	struct file_keys keys;
	struct envelope e = {
		.iterations = writer->iterations,
		.sealed_size = content.size + AEAD_TAG_SIZE,
	};

	assert(writer->iterations > 0);
	*size = 0;
	e.sealed = malloc(e.sealed_size);
	if (e.sealed == NULL)
		return SECURITY_FILE_NO_MEMORY;
	make_keys(writer, &e, &keys);
	aead_seal(keys.seal, e.iv, envelope_aad(&e, aad), content, e.sealed);
	bytes_wipe(&keys, sizeof keys);
	*size = envelope_encode(&e, out, capacity);
	envelope_fini(&e);
	return *size > 0 ? SECURITY_FILE_OK : SECURITY_FILE_TOO_LARGE;
}

/* The content that `file` and the writer's keys give, checked as a reader will check it. */
static enum security_file_status make_content(const struct security_file_writer *writer,
					      const struct security_file *file, uint8_t *content,
					      size_t *size)
{
	struct security_file copy = *file;

	bootstrap_id(writer->bootstrap, copy.bootstrap_key_id);
	memcpy(copy.server_signing_key, writer->signing->public, ED25519_PUBLIC_SIZE);
	*size = content_encode(&copy, writer->signing, content, CONTENT_WRITTEN_MAX);
	enum security_file_status status = *size > 0 ?
						   content_decode(view_of(content, *size), &copy) :
						   SECURITY_FILE_BAD_CONTENT;
	bytes_wipe(&copy, sizeof copy);
	return status;
}

enum security_file_status security_file_seal(const struct security_file_writer *writer,
					     const struct security_file *file, char *out,
					     size_t capacity, size_t *size)
{
	uint8_t content[CONTENT_WRITTEN_MAX];
	size_t content_size;

	assert(writer->bootstrap.size > 0);
	assert(file->door_count <= SECURITY_FILE_DOORS_MAX);
	assert(file->stun_count <= SECURITY_FILE_STUN_MAX);
	*size = 0;
	enum security_file_status status = make_content(writer, file, content, &content_size);
	if (status == SECURITY_FILE_OK)
		status = security_file_seal_content(writer, view_of(content, content_size), out,
						    capacity, size);
	bytes_wipe(content, sizeof content);
	return status;
}

/* Opens the envelope in place; on OK the content lies at the start of e->sealed. */
static enum security_file_status open_envelope(const struct security_file_reader *reader,
					       struct envelope *e)
{
	char aad[ENVELOPE_AAD_SIZE];
	struct file_keys keys;
	enum security_file_status status = SECURITY_FILE_OK;

	if (e->iterations < reader->iterations_min || e->iterations == 0)
		return SECURITY_FILE_TOO_FEW_ITERATIONS;
	if (e->iterations > reader->iterations_max)
		return SECURITY_FILE_TOO_MANY_ITERATIONS;
	derive_keys(e, reader->bootstrap, &keys);
	if (!bytes_equal(keys.commit, e->commit, sizeof e->commit))
		status = SECURITY_FILE_WRONG_KEY;
	else if (!aead_open(keys.seal, e->iv, envelope_aad(e, aad),
			    view_of(e->sealed, e->sealed_size), e->sealed))
		status = SECURITY_FILE_DAMAGED;
	bytes_wipe(&keys, sizeof keys);
	return status;
}

/* The signature is good: is it that of the server known before, and what does the time say? */
static enum security_file_status judge(const struct security_file_reader *reader,
				       struct security_file *file)
{
	uint64_t off_s;

	if (reader->pinned_signing_key != NULL &&
	    !bytes_equal(reader->pinned_signing_key, file->server_signing_key,
			 ED25519_PUBLIC_SIZE)) {
		bytes_wipe(file, sizeof *file);
		return SECURITY_FILE_OTHER_SERVER;
	}
	return security_file_judge_time(file, reader->now_s, &off_s);
}

enum security_file_status security_file_open(const struct security_file_reader *reader,
					     struct view text, struct security_file *out)
{
	struct envelope e;

	memset(out, 0, sizeof *out);
	enum security_file_status status = envelope_decode(text, &e);
	if (status != SECURITY_FILE_OK)
		return status;
	status = open_envelope(reader, &e);
	if (status == SECURITY_FILE_OK)
		status = content_decode(view_of(e.sealed, e.sealed_size - AEAD_TAG_SIZE), out);
	envelope_fini(&e);
	return status == SECURITY_FILE_OK ? judge(reader, out) : status;
}

enum security_file_status security_file_judge_time(const struct security_file *file, uint64_t now_s,
						   uint64_t *off_s)
{
	const uint64_t tolerance_s = FILE_CLOCK_NS / NS_PER_S;

	*off_s = 0;
	if (now_s > file->valid_until_s + tolerance_s) {
		*off_s = now_s - file->valid_until_s;
		return SECURITY_FILE_EXPIRED;
	}
	/* Nobody reads a file before it is written: then it is the clock that is wrong. */
	if (now_s + tolerance_s < file->issued_s) {
		*off_s = file->issued_s - now_s;
		return SECURITY_FILE_CLOCK_BEHIND;
	}
	if (now_s + tolerance_s < file->valid_from_s) {
		*off_s = file->valid_from_s - now_s;
		return SECURITY_FILE_NOT_YET_VALID;
	}
	return SECURITY_FILE_OK;
}
