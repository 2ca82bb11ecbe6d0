#pragma once
/* Plain UDP sockets for tests: the stranger on the other side of an engine. All fail the test. */
#include "core/address.h"

enum { UDP_TEST_WAIT_MS = 10000 }; /* long enough for a loaded machine under a sanitizer */

int udp_test_open(const struct address *bind_to);
/* -1: the address cannot be bound. */
int udp_test_try_open(const struct address *bind_to);
struct address udp_test_address(int fd);
void udp_test_send(int fd, const struct address *to, const void *data, size_t size);

/* Wait for one datagram. */
size_t udp_test_receive(int fd, void *data, size_t capacity, struct address *from);

/* Nothing there now. */
bool udp_test_is_silent(int fd);
