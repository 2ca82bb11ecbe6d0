#pragma once
/*
 * Service manager (sd_notify(3)): readiness, status line, watchdog. One datagram to the socket in
 * $NOTIFY_SOCKET; without it, nothing. Owner: control.
 */
#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Pat the watchdog; returns when to do it again (NEVER where there is none). */
uint64_t notify_watchdog(uint64_t now_ns);
