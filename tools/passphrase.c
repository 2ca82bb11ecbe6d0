#include "tools/passphrase.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tools/client_loop.h"

/* Byte by byte: what follows the line is not ours. */
enum passphrase_status passphrase_read(int fd, char out[PASSPHRASE_SIZE])
{
	size_t used = 0;
	for (;;) {
		char byte;
		ssize_t size = read(fd, &byte, 1);
		if (size < 0)
			return PASSPHRASE_UNREADABLE;
		if (size == 0 || byte == '\n')
			break;
		if (used == PASSPHRASE_SIZE - 1)
			return PASSPHRASE_TOO_LONG;
		out[used++] = byte;
	}
	out[used] = '\0';
	return used > 0 ? PASSPHRASE_OK : PASSPHRASE_EMPTY;
}

static enum passphrase_status ask(struct client_loop *loop, int fd, char out[PASSPHRASE_SIZE])
{
	int input_fd = loop->input_fd;
	loop->input_fd = fd;
	enum loop_wake wake = client_loop_wait(loop, NULL);
	loop->input_fd = input_fd;
	return wake == LOOP_INPUT ? passphrase_read(fd, out) : PASSPHRASE_INTERRUPTED;
}

enum passphrase_status passphrase_ask(struct client_loop *loop, char out[PASSPHRASE_SIZE])
{
	struct termios shown, hidden;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || tcgetattr(fd, &shown) != 0) {
		if (fd >= 0)
			close(fd);
		return PASSPHRASE_NO_TERMINAL;
	}
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &hidden);
	dprintf(fd, "Passphrase: ");
	enum passphrase_status status = ask(loop, fd, out);
	tcsetattr(fd, TCSAFLUSH, &shown);
	dprintf(fd, "\n");
	close(fd);
	return status;
}
