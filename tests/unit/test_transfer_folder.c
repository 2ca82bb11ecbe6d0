/* Transfers: what lands in a folder, under which name, and what when there is no room. */
#include "tests/support/transfers.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK_SIZE = 1 << 20 };

static struct transfer_scene scene;

static void existing_names_are_left_alone(void **state)
{
	char path[2 * TEST_PATH_SIZE], outside[TEST_PATH_SIZE];

	(void)state;
	transfer_scene_init(&scene, "a.txt", CHUNK);
	snprintf(path, sizeof path, "%s/a.txt", scene.folder);
	transfer_write_file(path, "mine", 4);
	snprintf(path, sizeof path, "%s/a (2).txt", scene.folder);
	test_directory_path(&scene.base, "outside", outside);
	assert_int_equal(symlink(outside, path), 0); /* leads nowhere: not to be followed */
	transfer_prepare(&scene);
	transfer_assert_finishes(&scene, "a (3).txt");
	snprintf(path, sizeof path, "%s/a.txt", scene.folder);
	transfer_assert_content(path, "mine", 4);
	assert_int_equal(access(outside, F_OK), -1);
	transfer_scene_fini(&scene);
}

static void nothing_lands_outside_the_folder(void **state)
{
	static const char *const names[] = {
		"../../etc/passwd", "..",           ".", "/etc/shadow", ".bashrc", "a/b", "-rf",
		"\x1b]0;x\x07",     "\xe2\x80\xae", "",  "caf\xe9",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct view evil = view_of(names[i], strlen(names[i]));
		struct clawchat_error error;
		uint8_t bytes[512];
		struct message offer, read;
		transfer_scene_init(&scene, "source", 100);
		transfer_prepare_sender(&scene);
		/* As it comes, it is refused where messages are read. */
		offer = transfer_offer(scene.out);
		size_t size = message_encode(&offer, (struct view_out){ bytes, sizeof bytes });
		size_t head = size - offer.body.size;
		memcpy(bytes + head, evil.data, evil.size);
		assert_false(message_decode(view_of(bytes, head + evil.size), &read));
		/* Cleaned, it stays inside. */
		file_name_clean(evil, scene.out->name);
		size_t before = test_directory_count(&scene.base);
		assert_true(transfer_accept(&scene, &error));
		transfer_assert_finishes(&scene, scene.out->name);
		assert_int_equal(transfer_count_entries(scene.folder), 1);
		assert_int_equal(test_directory_count(&scene.base), before);
		transfer_scene_fini(&scene);
	}
}

static void longest_names_fit(void **state)
{
	char name[FILE_NAME_SIZE_MAX + 1], path[2 * TEST_PATH_SIZE + FILE_NAME_LOCAL_MAX];
	struct clawchat_error error;

	(void)state;
	transfer_scene_init(&scene, "source", 100);
	transfer_prepare_sender(&scene);
	memset(name, 'x', FILE_NAME_SIZE_MAX);
	name[FILE_NAME_SIZE_MAX] = '\0';
	memcpy(scene.out->name, name, sizeof name);
	snprintf(path, sizeof path, "%s/%s", scene.folder, name);
	transfer_write_file(path, "mine", 4);
	assert_true(transfer_accept(&scene, &error));
	assert_int_equal(transfer_send(&scene, WHOLE), TRANSFER_READY);
	assert_int_equal(incoming_finish(scene.in), FILE_RESULT_OK);
	transfer_assert_content(scene.in->final_path, scene.content, 100);
	assert_string_equal(scene.in->final_path + strlen(scene.in->final_path) - 4, " (2)");
	transfer_scene_fini(&scene);
}

/* What stands where the part would be is never followed, emptied or added to. */
static void strange_parts_are_refused(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct clawchat_error error;
		char outside[TEST_PATH_SIZE];
		transfer_scene_init(&scene, "report.pdf", CHUNK);
		transfer_prepare_sender(&scene);
		test_directory_path(&scene.base, "outside", outside);
		transfer_write_file(outside, "mine", 4);
		if (kind == 0)
			assert_int_equal(symlink(outside, transfer_part_path(&scene)), 0);
		else if (kind == 1)
			assert_int_equal(link(outside, transfer_part_path(&scene)), 0);
		else if (kind == 2)
			assert_int_equal(mkfifo(transfer_part_path(&scene), 0600), 0);
		else
			assert_int_equal(mkdir(transfer_part_path(&scene), 0700), 0);
		assert_false(transfer_accept(&scene, &error));
		assert_true(strlen(error.text) > 0);
		transfer_assert_content(outside, "mine", 4);
		transfer_scene_fini(&scene);
	}
}

/* Two offers of the same content at once: the second waits its turn. */
static void one_receiver_writes_a_part(void **state)
{
	struct clawchat_error error;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", 3 * CHUNK);
	transfer_prepare(&scene);
	transfer_send(&scene, 1);
	struct message offer = transfer_offer(scene.out);
	assert_null(incoming_create(&offer, scene.folder, &error));
	assert_non_null(strstr(error.text, "already"));
	transfer_assert_finishes(&scene, "report.pdf");
	transfer_scene_fini(&scene);
}

static void bad_folders_are_refused(void **state)
{
	struct clawchat_error error;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", CHUNK);
	transfer_prepare_sender(&scene);
	struct message offer = transfer_offer(scene.out);
	const char *const folders[] = { scene.source, "/nonexistent", "" };
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		assert_null(incoming_create(&offer, folders[i], &error));
		assert_int_not_equal(error.result, CLAWCHAT_OK);
		assert_true(strlen(error.text) > 0);
	}
	transfer_scene_fini(&scene);
}

/* ---- full disks ------------------------------------------------------------------------ */

/* A small file system of our own over the folder; false: not allowed here. */
static bool mount_small_disk(const struct transfer_scene *s)
{
	char options[64];

	snprintf(options, sizeof options, "size=%d", DISK_SIZE);
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("small", s->folder, "tmpfs", 0, options) == 0;
}

static void fill_disk(const struct transfer_scene *s, const char *name)
{
	char path[2 * TEST_PATH_SIZE];
	static const uint8_t zeros[4096];

	snprintf(path, sizeof path, "%s/%s", s->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof zeros) > 0)
		;
	close(fd);
}

static void run_out_of_space(struct transfer_scene *s)
{
	char path[2 * TEST_PATH_SIZE];
	struct clawchat_error error;

	transfer_prepare(s);
	assert_int_equal(transfer_send(s, 2), TRANSFER_BUSY);
	fill_disk(s, "other");
	assert_int_equal(transfer_send(s, WHOLE), TRANSFER_FAILED);
	assert_non_null(strstr(s->in->reason, "space"));
	transfer_drop_ends(s);
	/* No room for the rest: said before anything is sent. */
	transfer_prepare_sender(s);
	assert_false(transfer_accept(s, &error));
	assert_int_equal(error.result, CLAWCHAT_IO);
	/* Room again: what had arrived is still good. */
	snprintf(path, sizeof path, "%s/other", s->folder);
	assert_int_equal(unlink(path), 0);
	transfer_drop_ends(s);
	transfer_prepare(s);
	assert_true(s->in->resumed_from >= 2 * CHUNK);
	transfer_assert_finishes(s, "report.pdf");
}

static void full_disks_are_survived(void **state)
{
	int status;

	(void)state;
	transfer_scene_init(&scene, "report.pdf", DISK_SIZE / 2);
	fflush(NULL);
	pid_t child = fork(); /* the mount is the child's alone */
	assert_true(child >= 0);
	if (child == 0) {
		if (!mount_small_disk(&scene))
			_exit(77);
		run_out_of_space(&scene);
		_exit(0); /* a failed check exits with something else */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	transfer_scene_fini(&scene);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(existing_names_are_left_alone),
	cmocka_unit_test(nothing_lands_outside_the_folder),
	cmocka_unit_test(longest_names_fit),
	cmocka_unit_test(strange_parts_are_refused),
	cmocka_unit_test(one_receiver_writes_a_part),
	cmocka_unit_test(bad_folders_are_refused),
	cmocka_unit_test(full_disks_are_survived),
};

CRYPTO_TESTS(TESTS)
