#include "tests/support/relay_process.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/engine.h"

enum {
	ARGUMENTS_MAX = RELAY_OPTIONS_MAX + 8,
	ARGUMENT_SIZE = 320,
	REQUEST_SIZE = 128,
};

bool relay_process_has_engine(const char *engine)
{
	const struct engine_config config = {
		.kind = strcmp(engine, "uring") == 0 ? ENGINE_URING : ENGINE_EPOLL,
	};
	struct engine *e;
	if (engine_create(&e, &config) < 0)
		return false;
	engine_destroy(e);
	return true;
}

void relay_process_init(struct relay_process *r, const char *engine)
{
	static const char *const engines[] = { "--network.engine=uring", "--network.engine=epoll" };
	memset(r, 0, sizeof(*r));
	test_directory_create(&r->directory);
	relay_process_option(r, engines[strcmp(engine, "epoll") == 0 ? 1 : 0]);
}

void relay_process_fini(struct relay_process *r)
{
	if (r->pid != 0)
		relay_process_stop(r, SIGKILL);
	test_directory_destroy(&r->directory);
}

void relay_process_option(struct relay_process *r, const char *option)
{
	assert_true(r->option_count < RELAY_OPTIONS_MAX);
	r->options[r->option_count++] = option;
}

/* BUILD/tests/system/NAME runs; BUILD/tools/clawchatd is wanted. */
static void program_path(char out[PATH_MAX])
{
	char self[PATH_MAX] = "";
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(size > 0);
	snprintf(out, PATH_MAX, "%.4000s/../../tools/clawchatd", dirname(self));
}

static void become_relay(const struct relay_process *r)
{
	char program[PATH_MAX], state[ARGUMENT_SIZE], log[TEST_PATH_SIZE];
	const char *arguments[ARGUMENTS_MAX] = { "clawchatd",
						 state,
						 "--server.public_ip=127.0.0.1",
						 "--server.public_ip6=::1",
						 "--network.receive_buffer=4MiB",
						 "--network.send_buffer=4MiB" };
	size_t count = 6;
	program_path(program);
	snprintf(state, sizeof(state), "--server.state_dir=%s/state", r->directory.path);
	for (size_t i = 0; i < r->option_count; i++)
		arguments[count++] = r->options[i];
	int fd = open(test_directory_path(&r->directory, "relay.log", log),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

bool relay_process_is_up(const struct relay_process *r)
{
	json_t *status = relay_process_ask(r, "status");
	json_decref(status);
	return status != NULL;
}

bool relay_process_start(struct relay_process *r)
{
	fflush(NULL);
	r->pid = fork();
	if (r->pid == 0)
		become_relay(r);
	assert_true(r->pid > 0);
	for (int waited = 0; waited < RELAY_START_LIMIT_MS; waited += RELAY_LOOK_MS) {
		if (relay_process_is_up(r))
			return true;
		if (waitpid(r->pid, NULL, WNOHANG) == r->pid) {
			r->pid = 0;
			return false;
		}
		poll(NULL, 0, RELAY_LOOK_MS);
	}
	return false;
}

int relay_process_stop(struct relay_process *r, int signal)
{
	int status = 0;
	kill(r->pid, signal);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	r->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static FILE *open_admin(const struct relay_process *r)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/state/clawchatd.sock",
		 r->directory.path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fdopen(fd, "r+");
	close(fd);
	return NULL;
}

json_t *relay_process_ask(const struct relay_process *r, const char *command)
{
	char request[REQUEST_SIZE];
	snprintf(request, sizeof(request), "{\"command\":\"%s\"}", command);
	return relay_process_request(r, request);
}

json_t *relay_process_request(const struct relay_process *r, const char *request)
{
	json_error_t error;
	FILE *admin = open_admin(r);
	if (admin == NULL)
		return NULL;
	fprintf(admin, "%s\n", request);
	fflush(admin);
	json_t *answer = json_loadf(admin, JSON_DISABLE_EOF_CHECK, &error);
	fclose(admin);
	return answer;
}

long long relay_process_number(const struct relay_process *r, const char *group, const char *name)
{
	json_t *answer = relay_process_ask(r, group != NULL ? "stats" : "status");
	const json_t *object = group != NULL ? json_object_get(answer, group) : answer;
	long long value = json_integer_value(json_object_get(object, name));
	json_decref(answer);
	return value;
}

size_t relay_process_bytes(const struct relay_process *r)
{
	char path[64], line[256];
	size_t kilobytes = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)r->pid);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmRSS: %zu kB", &kilobytes) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kilobytes * 1024;
}
