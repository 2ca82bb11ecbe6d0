#include "relay/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/instant.h"

enum { STATUS_MAX = 512 };

static void send_text(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (path == NULL || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract socket */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	/* A manager that does not listen is not our failure. */
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
	close(fd);
}

void notify_ready(void)
{
	send_text("READY=1");
}

void notify_stopping(void)
{
	send_text("STOPPING=1");
}

void notify_status(const char *format, ...)
{
	char text[STATUS_MAX] = "STATUS=";
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text), format, arguments);
	va_end(arguments);
	send_text(text);
}

uint64_t notify_watchdog(uint64_t now_ns)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t period_us = text != NULL ? strtoull(text, NULL, 10) : 0;
	if (period_us == 0)
		return NEVER;
	send_text("WATCHDOG=1");
	return now_ns + period_us * NS_PER_US / 2;
}
