#include "core/peer.h"

#include "core/hello.h"

enum {
	ROUNDS = 5200, /* so that a likeness costs as much to search for, each try */
	HALF_DIGITS = SAFETY_NUMBER_DIGITS / 2,
	GROUP_DIGITS = 5,
	GROUP_BYTES = 5, /* 40 bits for 5 digits: no digit is likelier than another */
	GROUP_LIMIT = 100000,
};
_Static_assert(HALF_DIGITS / GROUP_DIGITS * GROUP_BYTES <= HASH_SIZE, "enough of the hash");

/* 30 digits of one identity. */
static void half(const uint8_t identity[ED25519_PUBLIC_SIZE], char out[HALF_DIGITS])
{
	struct {
		uint8_t digest[HASH_SIZE];
		uint8_t identity[ED25519_PUBLIC_SIZE];
	} round;
	uint8_t id[PEER_ID_SIZE];

	memcpy(round.identity, identity, sizeof round.identity);
	peer_id_of(identity, id);
	hash_sha256(VIEW(id), round.digest);
	for (int i = 0; i < ROUNDS; i++)
		hash_sha256(view_of(&round, sizeof round), round.digest);

	for (size_t group = 0; group < HALF_DIGITS / GROUP_DIGITS; group++) {
		uint64_t value = 0;
		for (size_t i = 0; i < GROUP_BYTES; i++)
			value = value << 8 | round.digest[group * GROUP_BYTES + i];
		value %= GROUP_LIMIT;
		for (size_t i = GROUP_DIGITS; i-- > 0; value /= 10)
			out[group * GROUP_DIGITS + i] = (char)('0' + value % 10);
	}
}

void peer_safety_number(const uint8_t identity_a[ED25519_PUBLIC_SIZE],
			const uint8_t identity_b[ED25519_PUBLIC_SIZE],
			char out[SAFETY_NUMBER_DIGITS + 1])
{
	char a[HALF_DIGITS], b[HALF_DIGITS];

	half(identity_a, a);
	half(identity_b, b);
	bool is_a_first = memcmp(a, b, HALF_DIGITS) <= 0;
	memcpy(out, is_a_first ? a : b, HALF_DIGITS);
	memcpy(out + HALF_DIGITS, is_a_first ? b : a, HALF_DIGITS);
	out[SAFETY_NUMBER_DIGITS] = '\0';
}
