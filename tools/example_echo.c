/*
 * example-echo: a whole program on libclawchat. Sends every message back to whoever wrote it.
 *
 *     example-echo PROFILE [SECURITY-FILE]
 *
 * The security file is needed the first time; $CLAWCHAT_BOOTSTRAP_KEY names its key unless
 * bootstrap.key lies beside it. Ctrl-C ends the program.
 *
 *     cc example_echo.c $(pkg-config --cflags --libs clawchat)
 */
#include <clawchat.h>
#include <poll.h>
#include <stdio.h>

static int fail(const struct clawchat_error *error)
{
	fprintf(stderr, "example-echo: %s\n", error->text);
	return (int)error->result;
}

static int echo(struct clawchat *c, const struct clawchat_event *event)
{
	struct clawchat_error error;
	uint64_t message;
	clawchat_mark_read(c, &event->peer, event->message);
	if (clawchat_send_text(c, &event->peer, event->text, &message, &error) != CLAWCHAT_OK)
		return fail(&error);
	printf("echoed %s\n", event->name);
	return 0;
}

/* Events come from the relay (connected, ended) and from peers (texts, files, deliveries). What a
 * program does not care about, it leaves alone. */
static int handle(struct clawchat *c, const struct clawchat_event *event)
{
	switch (event->type) {
	case CLAWCHAT_EVENT_CONNECTED: printf("connected as %s\n", clawchat_own_name(c)); return 0;
	case CLAWCHAT_EVENT_TEXT: return echo(c, event);
	case CLAWCHAT_EVENT_ENDED:
		fprintf(stderr, "example-echo: %s\n", event->text);
		return (int)event->result;
	default: return 0;
	}
}

static int run(struct clawchat *c)
{
	struct clawchat_event event;
	int code = 0;
	while (code == 0) {
		struct pollfd fd = { .fd = clawchat_fd(c), .events = POLLIN };
		poll(&fd, 1, clawchat_timeout_ms(c));
		clawchat_process(c);
		while (code == 0 && clawchat_next_event(c, &event))
			code = handle(c, &event);
	}
	return code;
}

int main(int argc, char **argv)
{
	const struct clawchat_options options = { .profile = argv[1], .name = "echo" };
	struct clawchat_error error;
	struct clawchat *c;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: example-echo PROFILE [SECURITY-FILE]\n");
		return CLAWCHAT_USAGE;
	}
	if (clawchat_open(&options, &c, &error) != CLAWCHAT_OK)
		return fail(&error);
	const struct clawchat_bootstrap bootstrap = { 0 }; /* from the environment */
	int code = 0;
	if (argc == 3 && clawchat_load(c, argv[2], &bootstrap, &error) != CLAWCHAT_OK)
		code = fail(&error);
	else if (clawchat_connect(c, &error) != CLAWCHAT_OK)
		code = fail(&error);
	else
		code = run(c);
	clawchat_close(c);
	return code;
}
