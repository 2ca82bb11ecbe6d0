#pragma once
/*
 * Bootstrap secret: what opens security files. Either a key of 32 random bytes, kept in
 * `bootstrap.key`, or a passphrase that people remember. Both are simply bytes to PBKDF2.
 *
 * Pure.
 */
#include "crypto/kdf.h"

enum {
	BOOTSTRAP_KEY_SIZE = KEY_SIZE,
	BOOTSTRAP_TEXT_SIZE = 2 * BOOTSTRAP_KEY_SIZE + 1,  /* 64 hexadecimal digits, newline */
	BOOTSTRAP_FILE_SIZE_MAX = BOOTSTRAP_TEXT_SIZE + 1, /* "\r\n" from other systems */
	BOOTSTRAP_ID_SIZE = 8,
};

/* The content of a new `bootstrap.key`, no NUL: text, so that people can copy and check it. */
void bootstrap_key_format(const uint8_t key[BOOTSTRAP_KEY_SIZE], char text[BOOTSTRAP_TEXT_SIZE]);

/* Reads that, or exactly 32 raw bytes. False: neither, and `key` is zeroed. */
bool bootstrap_key_parse(struct view content, uint8_t key[BOOTSTRAP_KEY_SIZE]) MUST_CHECK;

/* A short name of a secret that tells nothing about a random key: which one a file needs. */
void bootstrap_id(struct view secret, uint8_t id[BOOTSTRAP_ID_SIZE]);
