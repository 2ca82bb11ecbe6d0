#pragma once
/* What every test program includes: cmocka with its prerequisites, and small helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/bytes.h"

/* 1 in a build with a sanitizer that slows everything down and owns malloc(). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_IS_SANITIZED 1
#elif defined(__has_feature)
#define TEST_IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define TEST_IS_SANITIZED 0
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Hexadecimal text to bytes; fails the test on anything else. Returns the count of bytes. */
size_t test_hex(const char *text, uint8_t *out, size_t capacity);

/* The seed of this run: SEED from the environment, else a fixed number; printed once, so that
 * a failure can be run again. */
uint64_t test_seed(void);
