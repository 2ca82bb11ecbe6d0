#include "core/burn.h"

static const char LABEL[] = PROTOCOL_NAME " burn";

enum {
	LABEL_SIZE = sizeof(LABEL) - 1,
	SIGNED_SIZE = offsetof(struct wire_burn, signature),
	MESSAGE_SIZE = LABEL_SIZE + SIGNED_SIZE,
};

static void make_message(const struct wire_burn *burn, uint8_t message[MESSAGE_SIZE])
{
	memcpy(message, LABEL, LABEL_SIZE);
	memcpy(message + LABEL_SIZE, burn, SIGNED_SIZE);
}

void burn_sign(struct wire_burn *burn, const struct ed25519_pair *identity)
{
	uint8_t message[MESSAGE_SIZE];
	make_message(burn, message);
	ed25519_sign(identity, view_of(message, sizeof(message)), burn->signature);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum |= bytes[i];
	return sum == 0;
}

static bool is_well_formed(const struct wire_burn *burn)
{
	return burn->scope >= SCOPE_DEVICE && burn->scope <= SCOPE_SERVER &&
	       burn->reason_size <= BURN_REASON_MAX && is_zero(burn->zero, sizeof(burn->zero)) &&
	       is_zero(burn->reason + burn->reason_size, BURN_REASON_MAX - burn->reason_size);
}

static bool is_recent(uint64_t time_ns, uint64_t wall_ns)
{
	uint64_t distance = time_ns > wall_ns ? time_ns - wall_ns : wall_ns - time_ns;
	return distance <= HANDSHAKE_CLOCK_NS;
}

bool burn_is_genuine(const struct wire_burn *burn, const struct burn_expected *expected)
{
	uint8_t message[MESSAGE_SIZE];

	if (!is_well_formed(burn) ||
	    memcmp(burn->server_id, expected->server_id, SERVER_ID_SIZE) != 0 ||
	    memcmp(burn->device_id, expected->device_id, DEVICE_ID_SIZE) != 0 ||
	    !is_recent(load_le64(burn->time_ns), expected->wall_ns))
		return false;
	make_message(burn, message);
	return ed25519_verify(expected->identity, view_of(message, sizeof(message)),
			      burn->signature);
}
