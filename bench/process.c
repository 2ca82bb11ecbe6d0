#include "bench/process.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/bootstrap.h"
#include "core/instant.h"
#include "crypto/random.h"
#include "net/file.h"

enum {
	LINE_MAX_SIZE = 256,
	COMMAND_MAX = 4096,
	ANSWER_MAX = 1 << 16,
	START_TRIES = 200,
	STOP_TRIES = 500,
	FOLDERS_OPEN = 16,
	BYTES_PER_KB = 1024,
	EXIT_SIGNALLED = 128, /* and the signal's number, as shells do */
};
#define PAUSE_NS (20 * NS_PER_MS)

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)PAUSE_NS }, NULL);
}

/* ---- /proc ------------------------------------------------------------------------------- */

static uint64_t task_cpu_ns(pid_t pid, const char *task)
{
	char path[LINE_MAX_SIZE];
	uint64_t ns = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", (int)pid, task);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

uint64_t process_cpu_ns(pid_t pid)
{
	char path[LINE_MAX_SIZE];
	uint64_t sum = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	const struct dirent *entry;
	if (tasks == NULL)
		return 0;
	while ((entry = readdir(tasks)) != NULL)
		if (entry->d_name[0] != '.')
			sum += task_cpu_ns(pid, entry->d_name);
	closedir(tasks);
	return sum;
}

uint64_t process_resident(pid_t pid)
{
	char line[LINE_MAX_SIZE];
	uint64_t kilobytes = 0;
	snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
	FILE *file = fopen(line, "re");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmRSS: %" SCNu64, &kilobytes) == 1)
			break;
	fclose(file);
	return kilobytes * BYTES_PER_KB;
}

uint32_t process_descriptors(pid_t pid)
{
	char path[LINE_MAX_SIZE];
	uint32_t count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *descriptors = opendir(path);
	const struct dirent *entry;
	if (descriptors == NULL)
		return 0;
	while ((entry = readdir(descriptors)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(descriptors);
	return count;
}

/* ---- admin socket ------------------------------------------------------------------------ */

static int connect_to(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	close(fd);
	return -1;
}

json_t *admin_ask(const char *socket_path, const char *command)
{
	char request[LINE_MAX_SIZE];
	char *answer = calloc(1, ANSWER_MAX);
	size_t used = 0;
	int fd = connect_to(socket_path);
	int size = snprintf(request, sizeof(request), "{\"command\": \"%s\"}\n", command);
	json_t *object = NULL;
	if (fd >= 0 && answer != NULL && write(fd, request, (size_t)size) == size) {
		ssize_t got;
		while (used < ANSWER_MAX - 1 &&
		       (got = read(fd, answer + used, ANSWER_MAX - 1 - used)) > 0)
			used += (size_t)got;
		object = json_loadb(answer, used, JSON_DISABLE_EOF_CHECK, NULL);
	}
	if (fd >= 0)
		close(fd);
	free(answer);
	return object;
}

/* ---- a relay of one's own ---------------------------------------------------------------- */

static const char *write_key(const char *path)
{
	uint8_t key[BOOTSTRAP_KEY_SIZE];
	char text[BOOTSTRAP_TEXT_SIZE];
	struct random_source random = random_system();
	random_fill(&random, key, sizeof(key));
	bootstrap_key_format(key, text);
	enum file_status status = file_write(path, view_of(text, sizeof(text)));
	bytes_wipe(key, sizeof(key));
	return status == FILE_OK ? NULL : file_status_text(status);
}

static void write_command(char *out, const struct own_relay *r,
			  const struct own_relay_config *config)
{
	struct address plain = config->address;
	char address[ADDRESS_TEXT_SIZE];
	plain.port = 0;
	address_format(&plain, address);
	char *end = strrchr(address, ':');
	if (end != NULL && address_is_v4(&plain))
		*end = '\0';
	int used =
		snprintf(out, COMMAND_MAX,
			 "exec %s %s --server.state_dir=%s --server.public_ip=%s "
			 "--network.listen=%s --network.listen6=none --network.workers=1 "
			 "--rotation.interval=7d --admin.socket=%s --limits.idle_timeout=1d "
			 "--limits.handshake_rate=1000000 --limits.handshake_burst=1000000 "
			 "--security.file_max_devices=0 --log.level=error",
			 config->under, config->daemon, r->directory, address, address, r->admin);
	for (size_t i = 0; i < config->override_count && used < COMMAND_MAX; i++)
		used += snprintf(out + used, (size_t)(COMMAND_MAX - used), " --%s",
				 config->overrides[i]);
}

static bool is_ready(struct own_relay *r)
{
	json_t *status = admin_ask(r->admin, "status");
	const char *file = json_string_value(json_object_get(status, "current_file"));
	if (file != NULL)
		snprintf(r->security_file, sizeof(r->security_file), "%s", file);
	json_decref(status);
	return file != NULL;
}

static void become_relay(const char *command, const sigset_t *mask)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static const char *start(struct own_relay *r, const struct own_relay_config *config,
			 const sigset_t *mask)
{
	char command[COMMAND_MAX];
	const char *parent = getenv("TMPDIR");
	*r = (struct own_relay){ 0 };
	snprintf(r->directory, sizeof(r->directory), "%.80s/clawbench.XXXXXX",
		 parent != NULL ? parent : "/tmp");
	if (mkdtemp(r->directory) == NULL) {
		r->directory[0] = '\0';
		return "no folder for temporary files";
	}
	snprintf(r->admin, sizeof(r->admin), "%.200s/admin", r->directory);
	snprintf(r->key_file, sizeof(r->key_file), "%.200s/bootstrap.key", r->directory);
	const char *error = write_key(r->key_file);
	if (error != NULL)
		return error;
	write_command(command, r, config);
	r->pid = fork();
	if (r->pid == 0)
		become_relay(command, mask);
	for (int i = 0; i < START_TRIES; i++) {
		if (is_ready(r))
			return NULL;
		if (waitpid(r->pid, NULL, WNOHANG) != 0) {
			r->pid = 0;
			return "the relay did not start";
		}
		pause_briefly();
	}
	return "the relay does not answer on its admin socket";
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void stop(struct own_relay *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGTERM);
		for (int i = 0; waitpid(r->pid, NULL, WNOHANG) == 0; i++) {
			if (i == STOP_TRIES)
				kill(r->pid, SIGKILL);
			pause_briefly();
		}
	}
	if (r->directory[0] != '\0')
		nftw(r->directory, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
	*r = (struct own_relay){ 0 };
}

/* ---- its end, whoever brings it about ---------------------------------------------------- */

/* Held by whoever starts or stops the relay: the main thread, or the one that got a signal. */
static pthread_mutex_t relay_lock = PTHREAD_MUTEX_INITIALIZER;

void own_relay_stop(struct own_relay *r)
{
	pthread_mutex_lock(&relay_lock);
	stop(r);
	pthread_mutex_unlock(&relay_lock);
}

static void ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

static void *await_signal(void *state)
{
	sigset_t set;
	int number = 0;
	ending_signals(&set);
	while (sigwait(&set, &number) != 0)
		;
	own_relay_stop(state);
	_exit(EXIT_SIGNALLED + number);
}

const char *own_relay_start(struct own_relay *r, const struct own_relay_config *config)
{
	sigset_t set, before;
	pthread_t thread;
	ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	if (pthread_create(&thread, NULL, await_signal, r) != 0)
		return "no thread";
	pthread_detach(thread);
	pthread_mutex_lock(&relay_lock);
	const char *error = start(r, config, &before);
	pthread_mutex_unlock(&relay_lock);
	return error;
}
