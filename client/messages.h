#pragma once
/*
 * Messages of the application, as they travel on the streams of client/delivery.h: a type, fixed
 * fields of bytes, and at most one part of free size at the end. Stream 0 carries everything but
 * the contents of files, which come as chunks on streams 1 to 7.
 *
 * What message_decode() lets through is well formed: sizes match, text is UTF-8, names are clean
 * (client/file_name.h), reasons are lines that are safe to show. Control characters in the text of
 * a chat message are left to whoever shows it. An unknown type is refused like a malformed
 * message: ignore it and go on.
 *
 * Pure.
 */
#include "client/delivery.h"
#include "client/file_name.h"
#include "core/limits.h"

enum message_type {
	MESSAGE_TEXT = 1,        /* a chat message */
	MESSAGE_RECEIPT = 2,     /* what became of one */
	MESSAGE_FILE_OFFER = 3,  /* here is a file */
	MESSAGE_FILE_ANSWER = 4, /* send it, from this offset, on this stream; or don't */
	/* 5 was never sent: the offer's size says when all chunks are there */
	MESSAGE_FILE_RESULT = 6, /* what became of it at the receiver */
	MESSAGE_FILE_CANCEL = 7, /* either side gives up */
	MESSAGE_FILE_CHUNK = 8,  /* on streams 1 to 7, nothing else there */
};

enum receipt_state {
	RECEIPT_DELIVERED = 1, /* the other program has it */
	RECEIPT_READ = 2,      /* it has been shown */
};

enum file_result {
	FILE_RESULT_OK = 0,       /* complete, verified, under its final name */
	FILE_RESULT_MISMATCH = 1, /* complete, but its SHA-256 is another */
	FILE_RESULT_FAILED = 2,   /* could not be stored; the text says why */
};

enum {
	TRANSFER_ID_SIZE = 16,
	MESSAGE_REASON_MAX = 128,      /* bytes of text in a result or a cancel */
	MESSAGE_CHUNK_MAX = 32 * 1024, /* bytes of a file at a time: chat slips in between */
	MESSAGE_TEXT_HEAD = 20,
	MESSAGE_TEXT_MAX = MESSAGE_SIZE_MAX - MESSAGE_TEXT_HEAD,
	MESSAGE_CHUNK_HEAD = 28,
};
#define FILE_SIZE_MAX (UINT64_C(1) << 44) /* 16 TiB, ext4's largest file: offsets never wrap */
_Static_assert((int)MESSAGE_SIZE_MAX <= (int)DELIVERY_MESSAGE_MAX,
	       "delivery carries every message");
_Static_assert(MESSAGE_CHUNK_MAX + MESSAGE_CHUNK_HEAD <= DELIVERY_MESSAGE_MAX, "and every chunk");

struct message {
	enum message_type type;
	uint64_t id;      /* TEXT, RECEIPT: chosen by the writer of the text */
	uint64_t time_ms; /* TEXT: writer's clock since 1970 */
	enum receipt_state receipt;
	uint8_t transfer[TRANSFER_ID_SIZE]; /* all FILE_*: random, chosen by who offers */
	uint64_t size;                      /* FILE_OFFER */
	uint8_t sha256[HASH_SIZE];          /* FILE_OFFER */
	uint64_t offset;         /* FILE_ANSWER: have up to here; FILE_CHUNK: belongs here */
	uint8_t stream;          /* FILE_ANSWER: 1 to 7 where accepted */
	bool is_accepted;        /* FILE_ANSWER */
	enum file_result result; /* FILE_RESULT */
	/* TEXT: the text, not empty. FILE_OFFER: the name. FILE_RESULT, FILE_CANCEL: why, may be
	 * empty. FILE_CHUNK: bytes of the file, not empty. Points into what was decoded. */
	struct view body;
};

/* Returns the size written to `out`; 0: it does not fit, or message_decode() would refuse it. */
size_t message_encode(const struct message *m, struct view_out out) MUST_CHECK;

/* *m points into `bytes`. False: not well formed, *m is unspecified. */
bool message_decode(struct view bytes, struct message *m) MUST_CHECK;
