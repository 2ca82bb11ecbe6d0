/*
 * Kills the relay, or a client, at every system call that changes a file, and looks whether the
 * next start puts everything right.
 *
 *   crash_points FOLDER SEQUENCE
 *
 * A sequence runs in a child under ptrace, on a fresh copy of a prepared folder. The child says by
 * a marker when it begins; from then on its n-th such call, of any of its threads, is its last: it
 * is killed before the call is made. n = 1, 2, 3 ... until the sequence comes to its end. After
 * each a second child starts normally and checks what it finds: either nothing has happened yet,
 * or all of it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "crypto/crypto.h"
#include "net/clock.h"
#include "net/file.h"
#include "relay/server_internal.h"
#include "tests/support/relay_inside.h"

enum {
	POINTS_MAX = 2000,
	PATH_SIZE = 512,
	MARKER = -4711, /* a descriptor that is closed to say "now" */
	ENDED = 0,
	KILLED = 1,
	DEVICES = 3,
	ITERATIONS = 1000, /* of files that nobody opens: each try writes three */
	EVENT_SIZE = 8,    /* a write of that size wakes a thread: no file */
};

static char folder[PATH_SIZE];

/* ---- what both children and the preparation need -------------------------------------------- */

static void refuse(const char *what, const char *why)
{
	fprintf(stderr, "crash_points: %s: %s\n", what, why);
	_exit(3);
}

static void require(bool condition, const char *what)
{
	if (!condition)
		refuse("after a crash", what);
}

static void take_settings(struct settings *settings, const char *state)
{
	static char directory[PATH_SIZE + 32];
	struct settings_error error;
	snprintf(directory, sizeof(directory), "--server.state_dir=%s", state);
	const char *options[] = { "--network.listen=127.0.0.1",   "--network.listen6=none",
				  "--server.public_ip=127.0.0.1", "--network.engine=epoll",
				  "--network.workers=1",          "--limits.sessions=64",
				  "--limits.channels=64",         directory };
	settings_init(settings);
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (!settings_override(settings, options[i], &error))
			refuse("settings", error.text);
	if (!settings_finish(settings, &error))
		refuse("settings", error.text);
	settings->security.pbkdf2_iterations = ITERATIONS;
	log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, LOG_ADDRESSES_NONE);
}

static struct server *start_relay(const char *state)
{
	static struct settings settings;
	struct server_error error;
	const char *failed = NULL;
	relay_inside_block_signals();
	security_file_init();
	if (crypto_init(&failed) != CRYPTO_READY)
		refuse("cryptography", failed);
	take_settings(&settings, state);
	struct server *s = server_create(&settings, &error);
	if (s == NULL || !server_start(s, &error))
		refuse("relay", error.text);
	return s;
}

static void begin_traced(void)
{
	(void)!close(MARKER);
}

/* ---- what is there before ------------------------------------------------------------------- */

/* Kept in a file beside the state, for the check. */
struct before {
	uint8_t file_id[FILE_ID_SIZE];
	uint8_t device_ids[DEVICES][DEVICE_ID_SIZE];
	uint8_t server_id[SERVER_ID_SIZE];
	uint8_t schedule_secret[KEY_SIZE], static_key[X25519_SIZE];
	char path[STORE_PATH_SIZE_MAX + 1]; /* of the file */
};

static void in_folder(const char *run, const char *name, char out[PATH_SIZE])
{
	if (snprintf(out, PATH_SIZE, "%s/%s/%s", folder, run, name) >= PATH_SIZE)
		refuse("folder", "its name is too long");
}

static void save_before(const char *run, const struct before *before)
{
	char path[PATH_SIZE];
	in_folder(run, "before", path);
	if (file_write(path, view_of(before, sizeof(*before))) != FILE_OK)
		refuse(path, "cannot be written");
}

static void load_before(const char *run, struct before *before)
{
	char path[PATH_SIZE];
	size_t size;
	in_folder(run, "before", path);
	if (file_read(path, FILE_PRIVATE, (uint8_t *)before, sizeof(*before), &size) != FILE_OK ||
	    size != sizeof(*before))
		refuse(path, "cannot be read");
}

static void enrol_devices(struct server *s, struct before *before)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct store_device device = { .enrolled_s = clock_now().wall_ns / NS_PER_S };
		random_fill(&s->random, device.device_public, X25519_SIZE);
		random_fill(&s->random, device.psk, KEY_SIZE);
		device_id_of(device.device_public, device.device_id);
		memcpy(device.file_id, before->file_id, FILE_ID_SIZE);
		memcpy(before->device_ids[i], device.device_id, DEVICE_ID_SIZE);
		if (store_enrol_device(s->store, &device, device.enrolled_s) != STORE_OK)
			refuse("prepare", "no device can be enrolled");
	}
}

/* The folder is copied under the same name, so that the paths in the database stay right. */
static void prepare_relay(const char *run)
{
	char state[PATH_SIZE];
	struct before before = { 0 };
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	memcpy(before.file_id, s->current.id, FILE_ID_SIZE);
	memcpy(before.server_id, s->keys->server_id, SERVER_ID_SIZE);
	memcpy(before.schedule_secret, s->keys->schedule_secret, KEY_SIZE);
	memcpy(before.static_key, s->keys->static_key.secret, X25519_SIZE);
	snprintf(before.path, sizeof(before.path), "%.255s", s->current.path);
	enrol_devices(s, &before);
	server_destroy(s);
	save_before(run, &before);
	/* Names of files go by the second: none made later is to be called the same. */
	uint64_t made_s = clock_now().wall_ns / NS_PER_S;
	while (clock_now().wall_ns / NS_PER_S == made_s)
		poll(NULL, 0, 10);
}

/* ---- sequences of the relay ----------------------------------------------------------------- */

static struct revocation revocation_of(const struct before *before, enum compromised_scope scope)
{
	struct revocation r = { .scope = scope };
	memcpy(r.id,
	       scope == COMPROMISED_DEVICE ? before->device_ids[0] :
	       scope == COMPROMISED_FILE   ? before->file_id :
					     before->server_id,
	       sizeof(r.id));
	return r;
}

static void compromise(const char *run, enum compromised_scope scope)
{
	char state[PATH_SIZE];
	struct before before;
	struct compromise_times times;
	load_before(run, &before);
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	struct revocation r = revocation_of(&before, scope);
	begin_traced();
	(void)!server_compromise(s, &r, "test", NULL, &times);
	server_destroy(s);
}

static void compromise_device(const char *run)
{
	compromise(run, COMPROMISED_DEVICE);
}
static void compromise_file(const char *run)
{
	compromise(run, COMPROMISED_FILE);
}
static void compromise_server(const char *run)
{
	compromise(run, COMPROMISED_SERVER);
}

static void revoke_file(const char *run)
{
	char state[PATH_SIZE];
	struct before before;
	uint32_t ended;
	load_before(run, &before);
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	struct revocation r = revocation_of(&before, COMPROMISED_FILE);
	begin_traced();
	(void)!server_revoke(s, &r, &ended);
	server_destroy(s);
}

static void issue_file(const char *run)
{
	char state[PATH_SIZE], error[ISSUER_ERROR_MAX];
	struct issued_file file;
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	begin_traced();
	(void)!server_issue(s, NULL, &file, error);
	server_destroy(s);
}

/* Prepared with a tombstone that is not done: the start itself is the sequence. */
static void prepare_recovery(const char *run)
{
	char state[PATH_SIZE];
	struct before before;
	uint64_t number;
	prepare_relay(run);
	load_before(run, &before);
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	struct store_tombstone tombstone = { .time_s = 1, .scope = COMPROMISED_SERVER };
	memcpy(tombstone.id, before.server_id, sizeof(tombstone.id));
	if (store_add_tombstone(s->store, &tombstone, &number) != STORE_OK)
		refuse("prepare", "no tombstone can be added");
	server_destroy(s);
}

static void recover(const char *run)
{
	char state[PATH_SIZE];
	in_folder(run, "state", state);
	begin_traced();
	server_destroy(start_relay(state));
}

/* ---- what has to be true after the next start ----------------------------------------------- */

struct found {
	size_t tombstones, unfinished;
	enum compromised_scope scope;
};

static void note_tombstone(void *state, const struct store_tombstone *tombstone)
{
	struct found *found = state;
	found->tombstones++;
	found->unfinished += !tombstone->is_done;
	found->scope = tombstone->scope;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum |= bytes[i];
	return sum == 0;
}

static void check_devices(struct server *s, const struct before *before, size_t revoked)
{
	for (size_t i = 0; i < DEVICES; i++) {
		struct store_device device;
		require(store_get_device(s->store, before->device_ids[i], &device) == STORE_OK,
			"a device is lost");
		require(device.is_revoked == (i < revoked), "the wrong devices are revoked");
		require(is_zero(device.psk, KEY_SIZE) == device.is_revoked,
			"a PSK is there that should not be, or is not that should");
	}
}

static void check_file(struct server *s, const struct before *before, bool is_revoked)
{
	struct store_file file;
	require(store_get_file(s->store, before->file_id, &file) == STORE_OK, "the file is lost");
	require(file.is_revoked == is_revoked, "the file is revoked, or not, against the rest");
	require(is_zero(file.shared_secret, KEY_SIZE) == is_revoked, "the file's secret is wrong");
	/* An operator's revocation that was cut short leaves the file on disk, worth nothing. */
}

static void check_current(struct server *s)
{
	struct store_file file;
	struct stat info;
	char path[PATH_SIZE];
	require(store_get_file(s->store, s->current.id, &file) == STORE_OK && !file.is_revoked,
		"the current file is not good");
	snprintf(path, sizeof(path), "%.400s/" ISSUER_CURRENT_NAME,
		 s->settings->security.files_dir);
	require(stat(path, &info) == 0 && info.st_size > 0, "there is no current file");
}

/* Says in the exit code whether it had happened: 10, or 11. */
static void check_relay(const char *run)
{
	char state[PATH_SIZE];
	struct before before;
	struct store_file file;
	struct stat info;
	struct found found = { 0 };
	load_before(run, &before);
	in_folder(run, "state", state);
	struct server *s = start_relay(state);
	require(store_each_tombstone(s->store, note_tombstone, &found) == STORE_OK,
		"no tombstones");
	require(found.unfinished == 0, "a tombstone is not done");
	check_current(s);
	require(store_get_file(s->store, before.file_id, &file) == STORE_OK, "the file is lost");
	bool has_burnt = found.tombstones > 0;
	bool is_revoked = has_burnt ? found.scope != COMPROMISED_DEVICE : file.is_revoked;
	check_file(s, &before, is_revoked);
	check_devices(s, &before, is_revoked ? DEVICES : has_burnt ? 1 : 0);
	bool is_new_schedule =
		!bytes_equal(s->keys->schedule_secret, before.schedule_secret, KEY_SIZE);
	bool is_new_static =
		!bytes_equal(s->keys->static_key.secret, before.static_key, X25519_SIZE);
	require(is_new_schedule == (has_burnt && found.scope != COMPROMISED_DEVICE),
		"the schedule secret is the wrong one");
	require(is_new_static == (has_burnt && found.scope == COMPROMISED_SERVER),
		"the static key is the wrong one");
	if (has_burnt && is_revoked)
		require(stat(before.path, &info) != 0, "a burnt security file is still there");
	server_destroy(s);
	_exit(has_burnt || is_revoked ? 11 : 10);
}

/* ---- the client ----------------------------------------------------------------------------- */

static void prepare_client(const char *run)
{
	char profile[PATH_SIZE], path[PATH_SIZE];
	struct clawchat_error error;
	struct clawchat *c;
	in_folder(run, "profile", profile);
	if (clawchat_open(&(struct clawchat_options){ .profile = profile }, &c, &error) != 0)
		refuse("profile", error.text);
	in_folder(run, "before", path);
	if (file_write(path, view_of(c->self.id, sizeof(c->self.id))) != FILE_OK)
		refuse(path, "cannot be written");
	clawchat_close(c);
	/* What else lies there: erased, whatever it is. */
	in_folder(run, "profile/contacts.json.tmp", path);
	if (file_write(path, VIEW_STRING("of an earlier crash")) != FILE_OK)
		refuse(path, "cannot be written");
}

static void compromise_client(const char *run)
{
	char profile[PATH_SIZE];
	struct clawchat_error error;
	struct clawchat *c;
	in_folder(run, "profile", profile);
	if (clawchat_open(&(struct clawchat_options){ .profile = profile }, &c, &error) != 0)
		refuse("profile", error.text);
	begin_traced();
	(void)!clawchat_compromised(c, CLAWCHAT_SCOPE_FILE, NULL, &error);
	clawchat_close(c);
}

static void check_client(const char *run)
{
	char profile[PATH_SIZE], path[PATH_SIZE];
	uint8_t id[PEER_ID_SIZE];
	size_t size;
	struct stat info;
	struct clawchat_error error;
	struct clawchat *c;
	in_folder(run, "profile", profile);
	in_folder(run, "before", path);
	require(file_read(path, FILE_PRIVATE, id, sizeof(id), &size) == FILE_OK, "no id");
	if (clawchat_open(&(struct clawchat_options){ .profile = profile }, &c, &error) != 0)
		refuse("after a crash", error.text);
	bool is_same = memcmp(c->self.id, id, sizeof(id)) == 0;
	clawchat_close(c);
	in_folder(run, "profile/compromised", path);
	require(stat(path, &info) != 0, "the mark is still there");
	in_folder(run, "profile/contacts.json.tmp", path);
	require((stat(path, &info) == 0) == is_same, "some is erased and some is not");
	_exit(is_same ? 10 : 11);
}

/* ---- tracing -------------------------------------------------------------------------------- */

static bool is_change(const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_write: return r->rdx != EVENT_SIZE;
	case SYS_openat:
	case SYS_open:
		return ((r->orig_rax == SYS_openat ? r->rdx : r->rsi) & (O_CREAT | O_TRUNC)) != 0;
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_ftruncate:
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_unlink:
	case SYS_unlinkat:
	case SYS_mkdir:
	case SYS_fchmod:
	case SYS_linkat: return true;
	default: return false;
	}
}

struct trace {
	pid_t child;
	unsigned at; /* the call to stop before */
	unsigned seen;
	bool is_begun;
};

/* An entry into a system call. True: this is the one. */
static bool look_at_call(struct trace *t, pid_t thread)
{
	struct user_regs_struct registers;
	if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0)
		return false;
	/* At the exit of a call rax is its result; at the entry it is -ENOSYS. */
	if ((long)registers.rax != -ENOSYS)
		return false;
	if (registers.orig_rax == SYS_close && (int)registers.rdi == MARKER)
		t->is_begun = true;
	return t->is_begun && is_change(&registers) && ++t->seen == t->at;
}

static int kill_and_reap(pid_t child)
{
	int status;
	kill(child, SIGKILL);
	while (waitpid(-1, &status, __WALL) > 0)
		continue;
	return KILLED;
}

static int follow(struct trace *t)
{
	for (;;) {
		int status;
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0)
			return ENDED;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (thread != t->child)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				refuse("sequence", "it failed by itself");
			return ENDED;
		}
		int signal = WSTOPSIG(status);
		if (signal == (SIGTRAP | 0x80)) {
			if (look_at_call(t, thread))
				return kill_and_reap(t->child);
			signal = 0;
		} else if (signal == SIGTRAP || signal == SIGSTOP) {
			signal = 0; /* of tracing itself: a new thread */
		}
		ptrace(PTRACE_SYSCALL, thread, NULL, signal);
	}
}

static int run_traced(void (*sequence)(const char *run), const char *run, unsigned at)
{
	int status;
	struct trace t = { .child = fork(), .at = at };
	if (t.child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		sequence(run);
		_exit(0);
	}
	if (waitpid(t.child, &status, 0) != t.child || !WIFSTOPPED(status))
		refuse("ptrace", strerror(errno));
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETOPTIONS, t.child, NULL, options) != 0) {
		printf("skip: no tracing here: %s\n", strerror(errno));
		exit(77);
	}
	ptrace(PTRACE_SYSCALL, t.child, NULL, 0);
	return follow(&t);
}

static int run_child(void (*call)(const char *run), const char *run)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		call(run);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		refuse("child", "it died");
	return WEXITSTATUS(status);
}

/* ---- main ----------------------------------------------------------------------------------- */

static const struct sequence {
	const char *name;
	void (*prepare)(const char *run);
	void (*sequence)(const char *run);
	void (*check)(const char *run);
} SEQUENCES[] = {
	{ "issue", prepare_relay, issue_file, check_relay },
	{ "revoke-file", prepare_relay, revoke_file, check_relay },
	{ "compromised-device", prepare_relay, compromise_device, check_relay },
	{ "compromised-file", prepare_relay, compromise_file, check_relay },
	{ "compromised-server", prepare_relay, compromise_server, check_relay },
	{ "recovery", prepare_recovery, recover, check_relay },
	{ "client", prepare_client, compromise_client, check_client },
};

static void execute(const char *program, const char *option, const char *a, const char *b)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		execlp(program, program, option, a, b, (char *)NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		refuse(program, "failed");
}

/* What was in `to` is gone. */
static void copy_folder(const char *from, const char *to)
{
	char source[PATH_SIZE], target[PATH_SIZE];
	in_folder(from, ".", source);
	in_folder(to, "", target);
	execute("rm", "-rf", target, NULL);
	execute("cp", "-a", source, target);
}

static int try_all(const struct sequence *s)
{
	unsigned before = 0, after = 0, at = 1;
	char path[PATH_SIZE];
	in_folder("run", "", path);
	execute("rm", "-rf", path, NULL);
	execute("mkdir", "-p", path, NULL);
	if (run_child(s->prepare, "run") != 0)
		return EXIT_FAILURE;
	copy_folder("run", "copy");
	for (; at < POINTS_MAX; at++) {
		copy_folder("copy", "run");
		int how = run_traced(s->sequence, "run", at);
		int found = run_child(s->check, "run");
		if (found != 10 && found != 11) {
			printf("%s: point %u: not put right\n", s->name, at);
			return EXIT_FAILURE;
		}
		before += found == 10;
		after += found == 11;
		if (how == ENDED)
			break;
	}
	printf("%s: %u points: %u times nothing had happened, %u times all of it\n", s->name,
	       at - 1, before, after);
	return at > 1 && at < POINTS_MAX ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && snprintf(folder, sizeof(folder), "%s", argv[1]) < PATH_SIZE)
		for (size_t i = 0; i < COUNT_OF(SEQUENCES); i++)
			if (strcmp(SEQUENCES[i].name, argv[2]) == 0)
				return try_all(&SEQUENCES[i]);
	fprintf(stderr, "usage: crash_points FOLDER SEQUENCE\n");
	return 2;
}
