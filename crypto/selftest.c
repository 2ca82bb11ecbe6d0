/*
 * Known answers, one per primitive, run at every start: a processor, library or build that
 * computes something else must not come near a key. The published vectors in full are the
 * tests' business.
 */
#include <assert.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/mask.h"
#include "crypto/noise.h"

enum { ANSWER_MAX = 256 };

struct bytes {
	_Alignas(8) uint8_t data[ANSWER_MAX];
	size_t size;
};

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct bytes hex(const char *text)
{
	struct bytes b = { .size = strlen(text) / 2 };

	assert(b.size <= ANSWER_MAX);
	for (size_t i = 0; i < b.size; i++)
		b.data[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
	return b;
}

static struct view to_view(const struct bytes *b)
{
	return view_of(b->data, b->size);
}

static bool is_hex(const uint8_t *data, const char *text)
{
	struct bytes expected = hex(text);

	return memcmp(data, expected.data, expected.size) == 0;
}

/* FIPS 180-4 */
static bool check_sha256(void)
{
	uint8_t out[HASH_SIZE];

	hash_sha256(VIEW_STRING("abc"), out);
	return is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, case 2 */
static bool check_hmac(void)
{
	const struct view text = VIEW_STRING("what do ya want for nothing?");
	uint8_t out[HASH_SIZE];

	hmac_sha256(VIEW_STRING("Jefe"), &text, 1, out);
	return is_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 5869, case 1 */
static bool check_hkdf(void)
{
	struct bytes input = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	struct bytes salt = hex("000102030405060708090a0b0c");
	struct bytes info = hex("f0f1f2f3f4f5f6f7f8f9");
	uint8_t prk[HASH_SIZE], out[42];

	hkdf_extract(to_view(&salt), to_view(&input), prk);
	hkdf_expand(prk, to_view(&info), out, sizeof out);
	return is_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
			   "34007208d5b887185865");
}

/* RFC 7914, section 11, its first 32 bytes */
static bool check_pbkdf2(void)
{
	uint8_t out[KEY_SIZE];

	pbkdf2_sha256(VIEW_STRING("passwd"), VIEW_STRING("salt"), 1, out, sizeof out);
	return is_hex(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
}

/* RFC 7748, section 5.2; and a key of small order must be refused */
static bool check_x25519(void)
{
	struct bytes own = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
	struct bytes peer = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
	const uint8_t zeros[X25519_SIZE] = { 0 };
	uint8_t out[X25519_SIZE];
	struct x25519_pair pair;

	memcpy(pair.secret, own.data, X25519_SIZE);
	x25519_derive_public(&pair);
	return x25519_shared(&pair, peer.data, out) &&
	       is_hex(out, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552") &&
	       !x25519_shared(&pair, zeros, out);
}

/* RFC 8032, section 7.1, test 2; and another message must be refused */
static bool check_ed25519(void)
{
	struct bytes seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
	struct ed25519_pair pair;
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	uint8_t message = 0x72;

	memcpy(pair.seed, seed.data, ED25519_SEED_SIZE);
	ed25519_derive_public(&pair);
	ed25519_sign(&pair, view_of(&message, 1), signature);
	if (!is_hex(pair.public,
		    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c") ||
	    !is_hex(signature, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
			       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"))
		return false;
	if (!ed25519_verify(pair.public, view_of(&message, 1), signature))
		return false;
	message++;
	return !ed25519_verify(pair.public, view_of(&message, 1), signature);
}

/* FIPS 197, appendix C.3 */
static bool check_mask(void)
{
	struct bytes key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	struct bytes block = hex("00112233445566778899aabbccddeeff");
	struct mask *hide = mask_create(MASK_HIDE);
	struct mask *show = mask_create(MASK_SHOW);
	bool is_right = false;

	if (hide != NULL && show != NULL) {
		mask_set_key(hide, key.data);
		mask_set_key(show, key.data);
		mask_blocks(hide, block.data, 1);
		is_right = is_hex(block.data, "8ea2b7ca516745bfeafc49904b496089");
		mask_blocks(show, block.data, 1);
		is_right = is_right && is_hex(block.data, "00112233445566778899aabbccddeeff");
	}
	mask_destroy(hide);
	mask_destroy(show);
	return is_right;
}

/* McGrew and Viega, test case 16; and another tag must be refused */
static bool check_packet_cipher(const struct packet_cipher *cipher)
{
	static const char plain[] =
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
	static const char sealed[] =
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
	struct bytes key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
	struct bytes nonce = hex("cafebabefacedbaddecaf888");
	struct bytes aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
	struct bytes data = hex(plain);
	_Alignas(PACKET_KEY_ALIGN) uint8_t slot[PACKET_KEY_SIZE] = { 0 };
	uint8_t tag[AEAD_TAG_SIZE];

	if (!cipher->expand(slot, key.data))
		return false;
	struct view header = to_view(&aad);
	cipher->seal(slot, nonce.data, header, data.data, data.size, tag);
	bool is_right =
		is_hex(data.data, sealed) && is_hex(tag, "76fc6ece0f4e1768cddf8853bb2d551b");
	is_right = is_right && cipher->open(slot, nonce.data, header, data.data, data.size, tag);
	is_right = is_right && is_hex(data.data, plain);
	tag[AEAD_TAG_SIZE - 1] ^= 1;
	data = hex(sealed);
	is_right = is_right && !cipher->open(slot, nonce.data, header, data.data, data.size, tag);
	cipher->erase(slot);
	return is_right;
}

static bool check_gcm_openssl(void)
{
	return check_packet_cipher(packet_cipher_by_name("openssl"));
}

static bool check_gcm_best(void)
{
	return check_packet_cipher(packet_cipher_best());
}

static bool check_random(void)
{
	struct random_source random = random_system();
	uint8_t a[KEY_SIZE] = { 0 }, b[KEY_SIZE] = { 0 };

	random_fill(&random, a, sizeof a);
	random_fill(&random, b, sizeof b);
	bool is_right = !bytes_equal(a, b, sizeof a);
	bytes_wipe(a, sizeof a);
	bytes_wipe(b, sizeof b);
	return is_right;
}

/* --- Noise: the IKpsk2 transcript of the cacophony project --- */

static struct x25519_pair pair_of(const char *secret)
{
	struct bytes b = hex(secret);
	struct x25519_pair pair;

	memcpy(pair.secret, b.data, X25519_SIZE);
	x25519_derive_public(&pair);
	return pair;
}

/* One message from `from` to `to`, which must be `wire` on the way. */
static bool pass(struct noise *from, struct noise *to, const char *payload, const char *wire)
{
	struct bytes text = hex(payload);
	struct bytes letter = { .size = 0 }, opened = { .size = 0 };

	return noise_write(from, to_view(&text), letter.data, ANSWER_MAX, &letter.size) &&
	       letter.size == strlen(wire) / 2 && is_hex(letter.data, wire) &&
	       noise_read(to, to_view(&letter), opened.data, ANSWER_MAX, &opened.size) &&
	       opened.size == text.size && is_hex(opened.data, payload);
}

static bool check_noise_transcript(struct noise *initiator, struct noise *responder)
{
	static const char first[] =
		"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
		"5a1baf339186d7867062b0dd31f5de322d370165d217939b2b7ed9e2bae78404"
		"58ea65c2ce1554e0e8077fe7334c4bd514c658fd04d97b86d216f58f59714a7e"
		"24144155045c8f36bed85a2cb0fd9af7";
	static const char second[] =
		"95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
		"2fe8d675e949799d2a968211a66cc7ba2b0f4cad8eda3c2bd37eae737bbf88";
	struct noise_result a, b;

	if (!pass(initiator, responder, "4c756477696720766f6e204d69736573", first) ||
	    !pass(responder, initiator, "4d757272617920526f746862617264", second))
		return false;
	noise_split(initiator, &a);
	noise_split(responder, &b);
	return is_hex(a.hash, "48c3f1eb397c797af6b139032c6074cb41282ff033ee25d5aee4a4badd3a2c3f") &&
	       memcmp(a.hash, b.hash, HASH_SIZE) == 0 &&
	       bytes_equal(a.send_key, b.receive_key, KEY_SIZE) &&
	       bytes_equal(a.receive_key, b.send_key, KEY_SIZE);
}

static bool check_noise(void)
{
	struct x25519_pair client =
		pair_of("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
	struct x25519_pair relay =
		pair_of("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
	struct x25519_pair client_ephemeral =
		pair_of("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
	struct x25519_pair relay_ephemeral =
		pair_of("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
	const char *psk = "This is my Austrian perspective!";
	struct noise initiator, responder;

	noise_init(&initiator, &(struct noise_config){
				       .pattern = &NOISE_IKPSK2,
				       .is_initiator = true,
				       .prologue = VIEW_STRING("John Galt"),
				       .static_key = &client,
				       .remote_static = relay.public,
				       .psks = { (const uint8_t *)psk },
				       .fixed_ephemeral = &client_ephemeral,
			       });
	noise_init(&responder, &(struct noise_config){
				       .pattern = &NOISE_IKPSK2,
				       .prologue = VIEW_STRING("John Galt"),
				       .static_key = &relay,
				       .psks = { (const uint8_t *)psk },
				       .fixed_ephemeral = &relay_ephemeral,
			       });
	bool is_right = check_noise_transcript(&initiator, &responder);
	noise_fini(&initiator);
	noise_fini(&responder);
	return is_right;
}

const char *crypto_selftest(void)
{
	static const struct {
		const char *name;
		bool (*is_right)(void);
	} checks[] = {
		{ "SHA-256", check_sha256 },
		{ "HMAC-SHA-256", check_hmac },
		{ "HKDF-SHA-256", check_hkdf },
		{ "PBKDF2-HMAC-SHA-256", check_pbkdf2 },
		{ "AES-256-GCM (openssl)", check_gcm_openssl },
		{ "AES-256-GCM (packet cipher)", check_gcm_best },
		{ "AES-256 header mask", check_mask },
		{ "X25519", check_x25519 },
		{ "Ed25519", check_ed25519 },
		{ "Noise IKpsk2", check_noise },
		{ "random numbers", check_random },
	};

	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		if (!checks[i].is_right())
			return checks[i].name;
	return NULL;
}
