#include "relay/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/clock.h"

enum { LISTENER = ADMIN_CLIENTS_MAX, EVENTS_PER_ROUND = 16, EXIT_USAGE = 2 };

struct admin_client {
	int fd; /* -1: free */
	uint64_t since_ns;
	size_t size;
	char *request; /* ADMIN_REQUEST_MAX bytes */
	char *answer;  /* NULL: none yet */
	size_t answer_size;
	size_t answer_sent;
};

struct admin {
	struct admin_config config;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: no socket of ours */
	int listen_fd;
	int epoll_fd;
	struct admin_client clients[ADMIN_CLIENTS_MAX];
};

json_t *admin_error(int exit_code, const char *text)
{
	return json_pack("{s:s, s:i}", "error", text, "exit", exit_code);
}

/* ---- socket ----------------------------------------------------------------------------- */

/* True: somebody listens behind this path, also one who is too busy to answer now. */
static bool is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)address, sizeof(*address));
	bool answers = result == 0 || (fd >= 0 && errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return answers;
}

/* Takes away a socket that a dead process left, and nothing but a socket. 0 or -errno. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat info;
	if (lstat(address->sun_path, &info) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(info.st_mode))
		return -EEXIST;
	if (is_alive(address))
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* With mode 0600 from the first moment: no other thread exists that makes files when the control
 * thread calls this. */
static int bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(0177);
	int result = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	return result;
}

static int open_listener(struct admin *a)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = strlen(a->config.socket_path) + 1;
	if (size > sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, a->config.socket_path, size);
	int result = clear_path(&address);
	if (result < 0)
		return result;
	a->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->listen_fd < 0)
		return -errno;
	result = bind_privately(a->listen_fd, &address);
	if (result < 0)
		return result;
	memcpy(a->path, address.sun_path, size); /* ours from here on: to be removed at the end */
	return listen(a->listen_fd, ADMIN_CLIENTS_MAX) < 0 ? -errno : 0;
}

static int watch(struct admin *a, int fd, uint32_t slot, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.u32 = slot };
	return epoll_ctl(a->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int admin_create(struct admin **out, const struct admin_config *config)
{
	struct admin *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->config = *config;
	a->listen_fd = -1;
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
		a->clients[i].fd = -1;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int result = a->epoll_fd < 0 ? -errno : open_listener(a);
	if (result == 0)
		result = watch(a, a->listen_fd, LISTENER, EPOLLIN, EPOLL_CTL_ADD);
	if (result < 0) {
		admin_destroy(a);
		return result;
	}
	*out = a;
	return 0;
}

static void drop(struct admin_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	if (client->request != NULL)
		bytes_wipe(client->request, ADMIN_REQUEST_MAX);
	free(client->request);
	free(client->answer);
	*client = (struct admin_client){ .fd = -1 };
}

void admin_destroy(struct admin *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
		drop(&a->clients[i]);
	if (a->path[0] != '\0')
		unlink(a->path);
	if (a->listen_fd >= 0)
		close(a->listen_fd);
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	free(a);
}

int admin_fd(const struct admin *a)
{
	return a->epoll_fd;
}

/* ---- clients ---------------------------------------------------------------------------- */

static void take_client(struct admin *a)
{
	int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uint64_t now_ns = clock_now().mono_ns;
	if (fd < 0)
		return;
	for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
		struct admin_client *client = &a->clients[i];
		if (client->fd >= 0 && now_ns - client->since_ns > ADMIN_IDLE_S * NS_PER_S)
			drop(client);
		if (client->fd >= 0)
			continue;
		client->request = malloc(ADMIN_REQUEST_MAX);
		client->fd = fd;
		client->since_ns = now_ns;
		if (client->request == NULL || watch(a, fd, i, EPOLLIN, EPOLL_CTL_ADD) < 0)
			drop(client);
		return;
	}
	close(fd); /* all places are taken */
}

static json_t *answer_request(struct admin *a, const struct admin_client *client)
{
	json_error_t error;
	json_t *request = json_loadb(client->request, client->size, JSON_REJECT_DUPLICATES, &error);
	if (request == NULL)
		return admin_error(EXIT_USAGE, "the request is not JSON");
	const char *name = json_string_value(json_object_get(request, "command"));
	json_t *answer = NULL;
	bool is_known = false;
	for (size_t i = 0; i < a->config.command_count && name != NULL && !is_known; i++) {
		const struct admin_command *command = &a->config.commands[i];
		if (strcmp(command->name, name) != 0)
			continue;
		is_known = true;
		answer = command->answer(a->config.state, request);
	}
	json_decref(request);
	return is_known ? answer : admin_error(EXIT_USAGE, "the relay does not know this command");
}

static void send_answer(struct admin *a, uint32_t slot)
{
	struct admin_client *client = &a->clients[slot];
	while (client->answer_sent < client->answer_size) {
		ssize_t sent = send(client->fd, client->answer + client->answer_sent,
				    client->answer_size - client->answer_sent, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			if (watch(a, client->fd, slot, EPOLLOUT, EPOLL_CTL_MOD) == 0)
				return;
		}
		if (sent < 0)
			break;
		client->answer_sent += (size_t)sent;
	}
	drop(client);
}

static void answer_client(struct admin *a, uint32_t slot)
{
	struct admin_client *client = &a->clients[slot];
	json_t *answer = answer_request(a, client);
	client->answer = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	if (client->answer == NULL) {
		drop(client);
		return;
	}
	client->answer_size = strlen(client->answer);
	client->answer[client->answer_size++] = '\n'; /* in the place of NUL */
	send_answer(a, slot);
}

static void read_client(struct admin *a, uint32_t slot)
{
	struct admin_client *client = &a->clients[slot];
	ssize_t got = recv(client->fd, client->request + client->size,
			   ADMIN_REQUEST_MAX - client->size, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		drop(client);
		return;
	}
	client->size += (size_t)got;
	if (memchr(client->request, '\n', client->size) != NULL)
		answer_client(a, slot);
	else if (client->size == ADMIN_REQUEST_MAX)
		drop(client);
}

void admin_process(struct admin *a)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	int count = epoll_wait(a->epoll_fd, events, EVENTS_PER_ROUND, 0);
	for (int i = 0; i < count; i++) {
		uint32_t slot = events[i].data.u32;
		if (slot == LISTENER)
			take_client(a);
		else if (a->clients[slot].fd < 0)
			continue;
		else if (a->clients[slot].answer != NULL)
			send_answer(a, slot);
		else
			read_client(a, slot);
	}
}
