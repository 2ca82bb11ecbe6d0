/*
 * Small errands at a real relay, for relay.sh:
 *
 *   relay_visits visit DIRECTORY COUNT    connect, say goodbye; COUNT times, ten at once
 *   relay_visits stay DIRECTORY           connect, say "up", leave when told that the relay stops
 *   relay_visits secrets DIRECTORY        what nobody may see, a line each, in hexadecimal
 *
 * DIRECTORY holds bootstrap.key and files/clawchat-current.sec.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/security_file.h"
#include "crypto/crypto.h"
#include "tests/support/wire_client.h"

enum { AT_ONCE = 10, WAIT_S = 30 };

static struct wire_client clients[AT_ONCE];
static struct link_config file;

static bool open_some(size_t count)
{
	bool is_v4 = address_is_set(&file.addresses[0]);
	const struct address here =
		is_v4 ? address_v4(127, 0, 0, 1, 0) : (struct address){ .ip = { [15] = 1 } };
	for (size_t i = 0; i < count; i++)
		if (!wire_client_open(&clients[i], &file, &here))
			return false;
	return wire_wait_up(clients, count, WAIT_S);
}

static int visit(unsigned long count)
{
	for (unsigned long done = 0; done < count; done += AT_ONCE) {
		bool is_open = open_some(AT_ONCE);
		for (size_t i = 0; i < AT_ONCE; i++)
			wire_client_close(&clients[i]);
		if (!is_open)
			return 1;
	}
	return 0;
}

static bool is_told(void *state)
{
	(void)state;
	return clients[0].down_reason == REASON_STOPPING;
}

static int stay(void)
{
	if (!open_some(1))
		return 1;
	printf("up\n");
	fflush(stdout);
	return wire_wait(clients, 1, WAIT_S, is_told, NULL) ? 0 : 1;
}

static void print_hex(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

static int print_secrets(void)
{
	print_hex(file.hello.psk, KEY_SIZE);
	for (size_t i = 0; i < file.door_count; i++)
		print_hex(file.doors[i].key, KEY_SIZE);
	return 0;
}

int main(int argc, char **argv)
{
	const char *failed;
	security_file_init();
	if (argc < 3 || crypto_init(&failed) != CRYPTO_READY || !wire_file_read(argv[2], &file)) {
		fprintf(stderr, "relay_visits: no usable file in %s\n", argc < 3 ? "" : argv[2]);
		return 2;
	}
	if (strcmp(argv[1], "visit") == 0 && argc == 4)
		return visit(strtoul(argv[3], NULL, 10));
	if (strcmp(argv[1], "stay") == 0)
		return stay();
	return strcmp(argv[1], "secrets") == 0 ? print_secrets() : 2;
}
