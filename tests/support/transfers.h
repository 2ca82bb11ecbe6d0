#pragma once
/* The two ends of a file's way, joined by hand, for the tests of client/transfer.h. */
#include "client/transfer.h"
#include "tests/support/crypto.h"
#include "tests/support/directory.h"

enum {
	CHUNK = MESSAGE_CHUNK_MAX,
	CONTENT_MAX = 20 * CHUNK,
	WHOLE = CONTENT_MAX, /* as a count of chunks: more than there are */
};

/* A file to send and a folder to receive it in, side by side. */
struct transfer_scene {
	struct test_directory base;
	char source[TEST_PATH_SIZE];
	char folder[TEST_PATH_SIZE];
	struct random_seeded seeded;
	struct random_source random;
	uint8_t content[CONTENT_MAX];
	size_t size;
	struct outgoing *out;
	struct incoming *in;
	uint8_t sent[sizeof(struct message) + CHUNK];
	size_t bytes_sent;
};

void transfer_write_file(const char *path, const void *data, size_t size);
void transfer_scene_init(struct transfer_scene *s, const char *name, size_t size);
/* Both ends end; what lies in the folder stays. */
void transfer_drop_ends(struct transfer_scene *s);
void transfer_scene_fini(struct transfer_scene *s);
struct message transfer_offer(const struct outgoing *out);
void transfer_prepare_sender(struct transfer_scene *s);
/* The receiver says yes: false with a reason, or ready to go on where it is. */
bool transfer_accept(struct transfer_scene *s, struct clawchat_error *error);
/* Both ends, ready; the file is hashed afresh. */
void transfer_prepare(struct transfer_scene *s);
/* One chunk through the codec. */
enum transfer_progress transfer_carry(struct transfer_scene *s, const struct message *chunk);
/* Up to `chunks` chunks. What the receiver says to the last; or the sender, where it fails. */
enum transfer_progress transfer_send(struct transfer_scene *s, size_t chunks);
void transfer_assert_content(const char *path, const void *data, size_t size);
size_t transfer_count_entries(const char *folder);
/* The rest comes, is right, and has that name. */
void transfer_assert_finishes(struct transfer_scene *s, const char *name);
const char *transfer_part_path(const struct transfer_scene *s);
