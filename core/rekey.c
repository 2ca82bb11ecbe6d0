#include "core/rekey.h"

enum { PROLOGUE_MAX = 64 };

void rekey_chain_from(struct rekey_chain *chain, const struct noise_result *keys)
{
	hkdf_label(keys->exporter, PROTOCOL_NAME " next key seed", (struct view){ 0 }, chain->seed,
		   sizeof chain->seed);
	memcpy(chain->hash, keys->hash, sizeof chain->hash);
}

static void start(struct noise *noise, const struct rekey_chain *chain, le32 epoch,
		  bool is_initiator, const struct random_source *random)
{
	static const char label[] = PROTOCOL_NAME " rekey";
	uint8_t prologue[PROLOGUE_MAX];
	size_t size = sizeof label - 1;

	memcpy(prologue, label, size);
	memcpy(prologue + size, chain->hash, sizeof chain->hash);
	size += sizeof chain->hash;
	memcpy(prologue + size, epoch.b, sizeof epoch.b);
	size += sizeof epoch.b;
	const struct noise_config config = {
		.pattern = &NOISE_NNPSK0,
		.is_initiator = is_initiator,
		.prologue = view_of(prologue, size),
		.psks = { chain->seed },
		.random = random,
	};
	noise_init(noise, &config);
}

bool rekey_begin(struct noise *noise, const struct rekey_chain *chain, uint32_t epoch,
		 const struct random_source *random, uint8_t out[REKEY_NOISE_SIZE])
{
	size_t size = 0;

	start(noise, chain, store_le32(epoch), true, random);
	return noise_write(noise, (struct view){ 0 }, out, REKEY_NOISE_SIZE, &size) &&
	       size == REKEY_NOISE_SIZE;
}

static void finish(struct noise *noise, struct rekey_chain *chain, struct noise_result *keys)
{
	noise_split(noise, keys);
	rekey_chain_from(chain, keys);
}

bool rekey_answer(struct rekey_chain *chain, const struct wire_rekey *request,
		  const struct random_source *random, uint8_t out[REKEY_NOISE_SIZE],
		  struct noise_result *keys)
{
	struct noise noise;
	uint8_t none[1];
	size_t read = 0, written = 0;

	start(&noise, chain, request->epoch, false, random);
	bool is_good = noise_read(&noise, VIEW(request->noise), none, sizeof none, &read) &&
		       read == 0 &&
		       noise_write(&noise, (struct view){ 0 }, out, REKEY_NOISE_SIZE, &written);
	if (is_good)
		finish(&noise, chain, keys);
	noise_fini(&noise);
	return is_good;
}

bool rekey_finish(struct noise *noise, struct rekey_chain *chain,
		  const uint8_t in[REKEY_NOISE_SIZE], struct noise_result *keys)
{
	uint8_t none[1];
	size_t read = 0;
	bool is_good = noise_read(noise, view_of(in, REKEY_NOISE_SIZE), none, sizeof none, &read) &&
		       read == 0;

	if (is_good)
		finish(noise, chain, keys);
	noise_fini(noise);
	return is_good;
}
