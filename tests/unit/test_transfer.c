/* Transfers: whole, resumed, killed and deceived. */
#include "tests/support/transfers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct transfer_scene scene;

static void carries_files_of_any_size(void **state)
{
	static const size_t sizes[] = { 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, CONTENT_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		transfer_scene_init(&scene, "report.pdf", sizes[i]);
		transfer_prepare(&scene);
		assert_int_equal(scene.in->resumed_from, 0);
		transfer_assert_finishes(&scene, "report.pdf");
		assert_int_equal(transfer_count_entries(scene.folder), 1);
		assert_int_equal(scene.bytes_sent, sizes[i]);
		transfer_scene_fini(&scene);
	}
}

/* Both ends end after any number of chunks, and begin again: no byte that arrived goes again. */
static void goes_on_after_any_chunk(void **state)
{
	(void)state;
	for (size_t chunks = 0; chunks <= CONTENT_MAX / CHUNK; chunks++) {
		transfer_scene_init(&scene, "report.pdf", CONTENT_MAX - 5);
		transfer_prepare(&scene);
		transfer_send(&scene, chunks);
		assert_int_equal(transfer_count_entries(scene.folder), 1);
		transfer_drop_ends(&scene);
		transfer_prepare(&scene);
		size_t expected = chunks * CHUNK < scene.size ? chunks * CHUNK : scene.size;
		assert_int_equal(scene.in->resumed_from, expected);
		transfer_assert_finishes(&scene, "report.pdf");
		assert_int_equal(transfer_count_entries(scene.folder), 1);
		assert_int_equal(scene.bytes_sent, scene.size);
		transfer_scene_fini(&scene);
	}
}

/* A power cut leaves any length, not only whole chunks. */
static void goes_on_at_any_byte(void **state)
{
	static const size_t sizes[] = { 1, 100, CHUNK - 1, CHUNK + 1, 5 * CHUNK + 777 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		transfer_scene_init(&scene, "report.pdf", CONTENT_MAX);
		transfer_prepare(&scene);
		transfer_send(&scene, 10);
		transfer_drop_ends(&scene);
		transfer_prepare_sender(&scene);
		assert_int_equal(truncate(transfer_part_path(&scene), (off_t)sizes[i]), 0);
		transfer_drop_ends(&scene);
		transfer_prepare(&scene);
		assert_int_equal(scene.in->resumed_from, sizes[i]);
		transfer_assert_finishes(&scene, "report.pdf");
		transfer_scene_fini(&scene);
	}
}

/* Tell of each chunk; killed in the fifth or after it. */
static void receive_in_child(struct transfer_scene *s, int report)
{
	transfer_prepare(s);
	for (int chunks = 0; chunks < 5; chunks++)
		if (transfer_send(s, 1) != TRANSFER_BUSY || write(report, "c", 1) != 1)
			_exit(1);
	for (;;)
		pause();
}

static void goes_on_after_being_killed(void **state)
{
	char byte;
	int report[2], status;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", CONTENT_MAX);
	for (int kills = 0; kills < 3; kills++) {
		assert_int_equal(pipe(report), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			receive_in_child(&scene, report[1]);
		close(report[1]);
		for (int chunks = 0; chunks < 4; chunks++)
			assert_int_equal(read(report[0], &byte, 1), 1);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		close(report[0]);
	}
	transfer_prepare(&scene);
	assert_true(scene.in->resumed_from >= 3 * 4 * CHUNK);
	transfer_assert_finishes(&scene, "report.pdf");
	assert_int_equal(scene.bytes_sent, scene.size - scene.in->resumed_from);
	assert_int_equal(transfer_count_entries(scene.folder), 1);
	transfer_scene_fini(&scene);
}

/* Another content of the same name does not meet the part of the first. */
static void contents_are_kept_apart(void **state)
{
	(void)state;
	transfer_scene_init(&scene, "report.pdf", CONTENT_MAX);
	transfer_prepare(&scene);
	transfer_send(&scene, 3);
	transfer_drop_ends(&scene);
	scene.content[0] ^= 1;
	transfer_write_file(scene.source, scene.content, scene.size);
	transfer_prepare(&scene);
	assert_int_equal(scene.in->resumed_from, 0);
	transfer_assert_finishes(&scene, "report.pdf");
	assert_int_equal(transfer_count_entries(scene.folder),
			 2); /* the first one's part is there still */
	transfer_scene_fini(&scene);
}

/* ---- deceived -------------------------------------------------------------------------- */

static void damaged_parts_are_noticed(void **state)
{
	(void)state;
	transfer_scene_init(&scene, "report.pdf", CONTENT_MAX);
	transfer_prepare(&scene);
	transfer_send(&scene, 5);
	FILE *part = fopen(transfer_part_path(&scene), "r+b");
	assert_non_null(part);
	assert_int_equal(fputc(scene.content[0] ^ 1, part), scene.content[0] ^ 1);
	fclose(part);
	transfer_drop_ends(&scene);
	transfer_prepare(&scene);
	assert_int_equal(transfer_send(&scene, WHOLE), TRANSFER_READY);
	assert_int_equal(incoming_finish(scene.in), FILE_RESULT_MISMATCH);
	assert_true(strlen(scene.in->reason) > 0);
	assert_int_equal(transfer_count_entries(scene.folder), 0);
	/* From the start, the next time. */
	transfer_drop_ends(&scene);
	transfer_prepare(&scene);
	assert_int_equal(scene.in->resumed_from, 0);
	transfer_assert_finishes(&scene, "report.pdf");
	transfer_scene_fini(&scene);
}

/* A part longer than the file is not of this file. */
static void long_parts_begin_anew(void **state)
{
	(void)state;
	transfer_scene_init(&scene, "report.pdf", 2 * CHUNK);
	transfer_prepare_sender(&scene);
	transfer_write_file(transfer_part_path(&scene), scene.content, 2 * CHUNK + 1);
	assert_int_equal(chmod(transfer_part_path(&scene), 0600), 0);
	transfer_drop_ends(&scene);
	transfer_prepare(&scene);
	assert_int_equal(scene.in->resumed_from, 0);
	transfer_assert_finishes(&scene, "report.pdf");
	transfer_scene_fini(&scene);
}

static void change_source(struct transfer_scene *s, int how)
{
	struct stat info;
	uint8_t other = s->content[s->size - 1] ^ 1;

	assert_int_equal(stat(s->source, &info), 0);
	if (how == 0)
		assert_int_equal(truncate(s->source, (off_t)s->size - 1), 0);
	if (how == 1)
		assert_int_equal(truncate(s->source, (off_t)s->size + 1), 0);
	if (how == 0 || how == 1)
		return;
	int fd = open(s->source, O_WRONLY);
	assert_int_equal(pwrite(fd, &other, 1, (off_t)s->size - 1), 1);
	/* As of another second, or (3) hidden: only the hash can tell. */
	struct timespec times[2] = { info.st_atim, info.st_mtim };
	times[1].tv_sec += how == 2;
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void changed_files_are_not_sent(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		for (size_t chunks = 0; chunks <= 2; chunks += 2) {
			transfer_scene_init(&scene, "report.pdf", 5 * CHUNK);
			transfer_prepare(&scene);
			transfer_send(&scene, chunks);
			change_source(&scene, how);
			if (how < 3) {
				assert_int_equal(transfer_send(&scene, WHOLE), TRANSFER_FAILED);
				assert_non_null(strstr(scene.out->reason, "changed"));
			} else {
				assert_int_equal(transfer_send(&scene, WHOLE), TRANSFER_READY);
				assert_int_equal(incoming_finish(scene.in), FILE_RESULT_MISMATCH);
				assert_int_equal(transfer_count_entries(scene.folder), 0);
			}
			transfer_scene_fini(&scene);
		}
	}
}

static void files_that_shrink_while_hashed_are_refused(void **state)
{
	struct clawchat_error error;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", 5 * CHUNK);
	scene.out = outgoing_create(scene.source, &scene.random, &error);
	assert_non_null(scene.out);
	change_source(&scene, 0);
	assert_int_equal(outgoing_hash(scene.out), TRANSFER_FAILED);
	transfer_scene_fini(&scene);
}

static void sends_regular_files_only(void **state)
{
	struct clawchat_error error;
	char fifo[TEST_PATH_SIZE], missing[TEST_PATH_SIZE];

	(void)state;
	transfer_scene_init(&scene, "report.pdf", 1);
	test_directory_path(&scene.base, "fifo", fifo);
	test_directory_path(&scene.base, "missing", missing);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	const char *const paths[] = { fifo, missing, scene.folder, "/dev/zero", "" };
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		assert_null(outgoing_create(paths[i], &scene.random, &error));
		assert_int_not_equal(error.result, CLAWCHAT_OK);
		assert_true(strlen(error.text) > 0);
	}
	transfer_scene_fini(&scene);
}

/* Chunks out of turn, beyond the end, from the start again: passed over. */
static void takes_only_the_next_chunk(void **state)
{
	struct message chunk;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", 4 * CHUNK - 1);
	transfer_prepare(&scene);
	transfer_send(&scene, 1);
	for (uint64_t at = 0; at < 4; at++) {
		if (at == 1)
			continue;
		chunk = (struct message){
			.type = MESSAGE_FILE_CHUNK,
			.offset = at * CHUNK,
			.body = view_of(scene.content, CHUNK),
		};
		assert_int_equal(transfer_carry(&scene, &chunk), TRANSFER_BUSY);
		assert_int_equal(scene.in->done, CHUNK);
	}
	transfer_send(&scene, 2);
	chunk.offset = 3 * CHUNK; /* in turn, but a byte too long */
	assert_int_equal(transfer_carry(&scene, &chunk), TRANSFER_BUSY);
	transfer_assert_finishes(&scene, "report.pdf");
	chunk.offset = scene.size;
	assert_int_equal(transfer_carry(&scene, &chunk), TRANSFER_READY);
	transfer_scene_fini(&scene);
}

/* Where the disk is too small nothing is begun, and nothing left behind. */
static void a_full_disk_is_left_as_it_was(void **state)
{
	const struct message offer = {
		.type = MESSAGE_FILE_OFFER,
		.size = FILE_SIZE_MAX,
		.body = VIEW_STRING("all.bin"),
	};
	struct clawchat_error error;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", 1);
	assert_null(incoming_create(&offer, scene.folder, &error));
	assert_int_equal(error.result, CLAWCHAT_IO);
	assert_int_equal(transfer_count_entries(scene.folder), 0);
	transfer_scene_fini(&scene);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(carries_files_of_any_size),
	cmocka_unit_test(goes_on_after_any_chunk),
	cmocka_unit_test(goes_on_at_any_byte),
	cmocka_unit_test(goes_on_after_being_killed),
	cmocka_unit_test(contents_are_kept_apart),
	cmocka_unit_test(damaged_parts_are_noticed),
	cmocka_unit_test(long_parts_begin_anew),
	cmocka_unit_test(changed_files_are_not_sent),
	cmocka_unit_test(files_that_shrink_while_hashed_are_refused),
	cmocka_unit_test(sends_regular_files_only),
	cmocka_unit_test(takes_only_the_next_chunk),
	cmocka_unit_test(a_full_disk_is_left_as_it_was),
};

CRYPTO_TESTS(TESTS)
