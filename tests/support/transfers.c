#include "tests/support/transfers.h"

#include <dirent.h>
#include <sys/stat.h>

void transfer_write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

void transfer_scene_init(struct transfer_scene *s, const char *name, size_t size)
{
	memset(s, 0, sizeof *s);
	test_directory_create(&s->base);
	s->random = random_seeded_init(&s->seeded, test_seed());
	random_fill(&s->random, s->content, size);
	s->size = size;
	test_directory_path(&s->base, name, s->source);
	test_directory_path(&s->base, "folder", s->folder);
	assert_int_equal(mkdir(s->folder, 0700), 0);
	transfer_write_file(s->source, s->content, size);
}

void transfer_drop_ends(struct transfer_scene *s)
{
	outgoing_destroy(s->out);
	incoming_destroy(s->in);
	s->out = NULL;
	s->in = NULL;
}

void transfer_scene_fini(struct transfer_scene *s)
{
	transfer_drop_ends(s);
	test_directory_destroy(&s->base);
}

struct message transfer_offer(const struct outgoing *out)
{
	struct message offer = {
		.type = MESSAGE_FILE_OFFER,
		.size = out->size,
		.body = view_of(out->name, strlen(out->name)),
	};

	memcpy(offer.transfer, out->id, sizeof offer.transfer);
	memcpy(offer.sha256, out->sha256, sizeof offer.sha256);
	return offer;
}

void transfer_prepare_sender(struct transfer_scene *s)
{
	struct clawchat_error error;
	enum transfer_progress progress;

	s->out = outgoing_create(s->source, &s->random, &error);
	if (s->out == NULL)
		fail_msg("%s", error.text);
	while ((progress = outgoing_hash(s->out)) == TRANSFER_BUSY)
		;
	assert_int_equal(progress, TRANSFER_READY);
}

bool transfer_accept(struct transfer_scene *s, struct clawchat_error *error)
{
	struct message offer = transfer_offer(s->out);
	enum transfer_progress progress;

	s->in = incoming_create(&offer, s->folder, error);
	if (s->in == NULL)
		return false;
	while ((progress = incoming_prepare(s->in)) == TRANSFER_BUSY)
		;
	assert_int_equal(progress, TRANSFER_READY);
	outgoing_start(s->out, s->in->done);
	return true;
}

void transfer_prepare(struct transfer_scene *s)
{
	struct clawchat_error error;

	transfer_prepare_sender(s);
	if (!transfer_accept(s, &error))
		fail_msg("%s", error.text);
}

enum transfer_progress transfer_carry(struct transfer_scene *s, const struct message *chunk)
{
	struct message m;
	size_t size = message_encode(chunk, (struct view_out){ s->sent, sizeof s->sent });

	assert_true(size > 0);
	assert_true(message_decode(view_of(s->sent, size), &m));
	s->bytes_sent += m.body.size;
	return incoming_take(s->in, &m);
}

enum transfer_progress transfer_send(struct transfer_scene *s, size_t chunks)
{
	enum transfer_progress received =
		s->in->done == s->in->size ? TRANSFER_READY : TRANSFER_BUSY;

	for (size_t i = 0; i < chunks; i++) {
		struct message chunk;
		enum transfer_progress progress = outgoing_next(s->out, &chunk);
		if (progress != TRANSFER_BUSY)
			return progress == TRANSFER_FAILED ? progress : received;
		received = transfer_carry(s, &chunk);
		outgoing_sent(s->out);
		if (received == TRANSFER_FAILED)
			return received;
	}
	return received;
}

void transfer_assert_content(const char *path, const void *data, size_t size)
{
	static uint8_t read[CONTENT_MAX + 1];
	FILE *file = fopen(path, "rb");

	if (file == NULL)
		fail_msg("%s is not there", path);
	assert_int_equal(fread(read, 1, sizeof read, file), size);
	fclose(file);
	if (size > 0)
		assert_memory_equal(read, data, size);
}

size_t transfer_count_entries(const char *folder)
{
	DIR *directory = opendir(folder);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count - 2; /* "." and ".." */
}

void transfer_assert_finishes(struct transfer_scene *s, const char *name)
{
	char path[2 * TEST_PATH_SIZE];
	struct stat info;

	assert_int_equal(transfer_send(s, WHOLE), TRANSFER_READY);
	assert_int_equal(incoming_finish(s->in), FILE_RESULT_OK);
	snprintf(path, sizeof path, "%s/%s", s->folder, name);
	assert_string_equal(s->in->final_path, path);
	transfer_assert_content(path, s->content, s->size);
	assert_int_equal(lstat(path, &info), 0);
	assert_true(S_ISREG(info.st_mode));
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_nlink, 1);
}

const char *transfer_part_path(const struct transfer_scene *s)
{
	static char path[2 * TEST_PATH_SIZE + FILE_NAME_LOCAL_MAX];
	char name[FILE_NAME_LOCAL_MAX + 1];

	file_name_part(s->out->name, s->out->sha256, name);
	snprintf(path, sizeof path, "%s/%s", s->folder, name);
	return path;
}
