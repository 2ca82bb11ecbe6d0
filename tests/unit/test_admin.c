#include "relay/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/directory.h"

enum { BIG = 4 << 20, ANSWER_MAX = BIG + 4096, ROUNDS_MAX = 100000 };

struct fixture {
	struct test_directory directory;
	char path[TEST_PATH_SIZE];
	struct admin *admin;
	unsigned asked;
};

/* ---- commands ----------------------------------------------------------------------------- */

static json_t *echo(void *state, const json_t *request)
{
	struct fixture *f = state;
	f->asked++;
	return json_pack("{s:O?}", "value", json_object_get(request, "value"));
}

static json_t *big(void *state, const json_t *request)
{
	char *text = malloc(BIG + 1);
	(void)state;
	(void)request;
	assert_non_null(text);
	memset(text, 'x', BIG);
	text[BIG] = '\0';
	json_t *answer = json_pack("{s:s}", "text", text);
	free(text);
	return answer;
}

static json_t *nothing(void *state, const json_t *request)
{
	(void)state;
	(void)request;
	return NULL;
}

static const struct admin_command COMMANDS[] = { { "echo", echo },
						 { "big", big },
						 { "nothing", nothing } };

static int create(struct fixture *f)
{
	return admin_create(&f->admin, &(struct admin_config){ .socket_path = f->path,
							       .commands = COMMANDS,
							       .command_count = COUNT_OF(COMMANDS),
							       .state = f });
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	test_directory_create(&f->directory);
	test_directory_path(&f->directory, "sock", f->path);
	assert_int_equal(create(f), 0);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;
	admin_destroy(f->admin);
	test_directory_destroy(&f->directory);
	free(f);
	return 0;
}

/* ---- a client ----------------------------------------------------------------------------- */

static int connect_to(const struct fixture *f)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	memcpy(name.sun_path, f->path, strlen(f->path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the relay hangs up; "" if that is nothing. */
static char *hear(struct fixture *f, int fd)
{
	static char answer[ANSWER_MAX];
	size_t size = 0;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		ssize_t got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);
		if (got == 0 || (got < 0 && errno == ECONNRESET)) {
			answer[size] = '\0';
			close(fd);
			return answer;
		}
		size += got > 0 ? (size_t)got : 0;
		admin_process(f->admin);
	}
	fail_msg("no end of the answer");
	return NULL;
}

static const char *ask(struct fixture *f, const char *text)
{
	int fd = connect_to(f);
	say(fd, text);
	return hear(f, fd);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void test_answers(void **state)
{
	struct fixture *f = *state;
	struct stat info;
	assert_int_equal(stat(f->path, &info), 0);
	assert_int_equal(info.st_mode, S_IFSOCK | 0600);
	assert_string_equal(ask(f, "{\"command\":\"echo\",\"value\":[1,\"x\"]}\n"),
			    "{\"value\":[1,\"x\"]}\n");
	assert_int_equal(f->asked, 1);
}

static void test_bad_requests(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *request, *answer;
	} rows[] = {
		{ "\n", "not JSON" },
		{ "{\n", "not JSON" },
		{ "{\"command\":\"echo\"} trailing\n", "not JSON" },
		{ "{\"command\":\"echo\",\"command\":\"big\"}\n", "not JSON" },
		{ "\xff\xfe\n", "not JSON" },
		{ "{\"command\":\"ec\\u0000ho\"}\n", "not JSON" },
		{ "[1,2]\n", "does not know" },
		{ "{}\n", "does not know" },
		{ "{\"command\":5}\n", "does not know" },
		{ "{\"command\":\"ech\"}\n", "does not know" },
		{ "{\"command\":\"echoo\"}\n", "does not know" },
		{ "{\"command\":\"nothing\"}\n", "" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *answer = ask(f, rows[i].request);
		if (strstr(answer, rows[i].answer) == NULL)
			fail_msg("%s gave %s", rows[i].request, answer);
		assert_true(rows[i].answer[0] == '\0' ? answer[0] == '\0' :
							strstr(answer, "\"exit\":2") != NULL);
	}
	assert_int_equal(f->asked, 0);
}

/* Goal: a deep nest is refused, not followed down to the end of the stack. */
static void test_deep_request(void **state)
{
	struct fixture *f = *state;
	static char text[ADMIN_REQUEST_MAX - 2];
	memset(text, '[', sizeof(text) - 2);
	text[sizeof(text) - 2] = '\n';
	assert_non_null(strstr(ask(f, text), "not JSON"));
}

/* Goal: the longest request is taken, one byte more is not. */
static void test_request_size(void **state)
{
	struct fixture *f = *state;
	static const char head[] = "{\"command\":\"echo\",\"value\":\"", tail[] = "\"}\n";
	static char text[ADMIN_REQUEST_MAX + 2];
	for (size_t extra = 0; extra < 2; extra++) {
		size_t size = ADMIN_REQUEST_MAX + extra;
		memset(text, 'v', sizeof(text));
		memcpy(text, head, sizeof(head) - 1);
		memcpy(text + size - (sizeof(tail) - 1), tail, sizeof(tail));
		const char *answer = ask(f, text);
		assert_int_equal(answer[0] != '\0', extra == 0);
		assert_int_equal(f->asked, 1);
	}
}

/* Goal: a request may come in pieces, with others' in between. */
static void test_clients_at_once(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "{\"command\":\"echo\",\"value\":true}\n";
	int fds[ADMIN_CLIENTS_MAX];
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
		fds[i] = connect_to(f);
	for (size_t k = 0; k < sizeof(request) - 1; k++)
		for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
			assert_int_equal(send(fds[i], request + k, 1, MSG_NOSIGNAL), 1);
			admin_process(f->admin);
		}
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
		assert_string_equal(hear(f, fds[i]), "{\"value\":true}\n");
	assert_int_equal(f->asked, ADMIN_CLIENTS_MAX);
}

/* Goal: one client too many is turned away; when one of the others leaves there is room. */
static void test_one_too_many(void **state)
{
	struct fixture *f = *state;
	int fds[ADMIN_CLIENTS_MAX];
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		fds[i] = connect_to(f);
		admin_process(f->admin);
	}
	int fd = connect_to(f);
	assert_string_equal(hear(f, fd), "");
	close(fds[3]);
	admin_process(f->admin);
	assert_string_equal(ask(f, "{\"command\":\"echo\",\"value\":0}\n"), "{\"value\":0}\n");
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
	admin_process(f->admin);
}

/* Goal: a client that reads slowly gets all of it, and holds nobody up; one that leaves in the
 * midst of its answer does no harm. */
static void test_slow_client(void **state)
{
	struct fixture *f = *state;
	int slow = connect_to(f), leaving = connect_to(f);
	char some[1000];
	say(slow, "{\"command\":\"big\"}\n");
	say(leaving, "{\"command\":\"big\"}\n");
	for (int i = 0; i < 4; i++)
		admin_process(f->admin);
	assert_true(recv(leaving, some, sizeof(some), 0) > 0);
	close(leaving);
	assert_string_equal(ask(f, "{\"command\":\"echo\",\"value\":1}\n"), "{\"value\":1}\n");
	const char *answer = hear(f, slow);
	assert_int_equal(strlen(answer), BIG + sizeof("{\"text\":\"\"}\n") - 1);
	assert_int_equal(answer[strlen(answer) - 1], '\n');
}

/* Goal: the descriptor for the caller's loop is readable just when there is something to do. */
static void test_descriptor(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = { .fd = admin_fd(f->admin), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	int fd = connect_to(f);
	assert_int_equal(poll(&p, 1, 10000), 1);
	admin_process(f->admin);
	assert_int_equal(poll(&p, 1, 0), 0);
	say(fd, "{\"command\":\"echo\"}\n");
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_string_equal(hear(f, fd), "{\"value\":null}\n");
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* ---- whose socket ------------------------------------------------------------------------- */

static void test_socket_of_the_living(void **state)
{
	struct fixture *f = *state, second = *f;
	int fds[ADMIN_CLIENTS_MAX + 2];
	second.admin = NULL;
	assert_int_equal(create(&second), -EADDRINUSE);
	/* Also when it is too busy to accept. */
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	memcpy(name.sun_path, f->path, strlen(f->path) + 1);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		int result = connect(fds[i], (struct sockaddr *)&name, sizeof(name));
		assert_true(result == 0 || errno == EAGAIN);
	}
	assert_int_equal(create(&second), -EADDRINUSE);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
	for (size_t i = 0; i < 2 * COUNT_OF(fds); i++)
		admin_process(f->admin);
	assert_string_equal(ask(f, "{\"command\":\"echo\",\"value\":2}\n"), "{\"value\":2}\n");
}

static void test_socket_of_the_dead(void **state)
{
	struct fixture *f = *state, second = *f;
	char kept[TEST_PATH_SIZE];
	/* Kept by another name, as if there had been no admin_destroy(). */
	assert_int_equal(link(f->path, test_directory_path(&f->directory, "kept", kept)), 0);
	admin_destroy(f->admin);
	f->admin = NULL;
	assert_int_equal(access(f->path, F_OK), -1);
	memcpy(second.path, kept, sizeof(kept));
	assert_int_equal(create(&second), 0);
	assert_string_equal(ask(&second, "{\"command\":\"echo\",\"value\":3}\n"),
			    "{\"value\":3}\n");
	admin_destroy(second.admin);
	assert_int_equal(access(kept, F_OK), -1);
}

/* Goal: whatever else lies in the place of the socket is left alone. */
static void test_other_things(void **state)
{
	struct fixture *f = *state, second = *f;
	char file[TEST_PATH_SIZE], symlinked[TEST_PATH_SIZE], folder[TEST_PATH_SIZE];
	struct stat info;
	close(open(test_directory_path(&f->directory, "file", file), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(f->path, test_directory_path(&f->directory, "link", symlinked)),
			 0);
	assert_int_equal(mkdir(test_directory_path(&f->directory, "folder", folder), 0700), 0);
	const char *const places[] = { file, symlinked, folder };
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		snprintf(second.path, sizeof(second.path), "%s", places[i]);
		assert_int_equal(create(&second), -EEXIST);
		assert_int_equal(lstat(places[i], &info), 0);
	}
	snprintf(second.path, sizeof(second.path), "%.100s/none/sock", f->directory.path);
	assert_int_equal(create(&second), -ENOENT);
	memset(second.path, 'x', 200);
	assert_int_equal(create(&second), -ENAMETOOLONG);
	admin_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_bad_requests),
		TEST(test_deep_request),
		TEST(test_request_size),
		TEST(test_clients_at_once),
		TEST(test_one_too_many),
		TEST(test_slow_client),
		TEST(test_descriptor),
		TEST(test_socket_of_the_living),
		TEST(test_socket_of_the_dead),
		TEST(test_other_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
