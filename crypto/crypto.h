#pragma once
/*
 * Start and stop of all cryptography: a private library context of libcrypto (the system's
 * openssl.cnf cannot reach it), every algorithm fetched once, libsodium; known answers run.
 *
 * crypto_init() before anything else in crypto/, from one thread; crypto_fini() after all
 * other threads are joined. Pairs of them may nest: the last crypto_fini() counts.
 */
#include "crypto/bytes.h"

enum crypto_status {
	CRYPTO_READY,
	CRYPTO_NO_ALGORITHM,    /* libcrypto lacks one that we need */
	CRYPTO_SELFTEST_FAILED, /* a known answer came out wrong: do not go on */
};

/* `failed` (may be NULL) receives the name of the algorithm or known answer at fault. */
enum crypto_status crypto_init(const char **failed) MUST_CHECK;
void crypto_fini(void);

/* Run the known answers again (clawchatctl selftest); NULL if all are right, else the name
 * of the first wrong one. Any thread. */
const char *crypto_selftest(void);

/* "OpenSSL 3.0.19", as loaded. */
const char *crypto_library_version(void);
