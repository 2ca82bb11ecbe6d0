#include <assert.h>

#include "crypto/provider.h"

/* Set once by crypto_init(), read by all threads after. */
static const struct packet_cipher *ipsecmb;

void packet_cipher_start(void)
{
	ipsecmb = packet_cipher_ipsecmb_start();
}

void packet_cipher_stop(void)
{
	ipsecmb = NULL;
	packet_cipher_ipsecmb_stop();
}

const struct packet_cipher *packet_cipher_best(void)
{
	return ipsecmb != NULL ? ipsecmb : &packet_cipher_openssl;
}

const struct packet_cipher *packet_cipher_by_name(const char *name)
{
	if (strcmp(name, "openssl") == 0)
		return &packet_cipher_openssl;
	if (strcmp(name, "ipsec-mb") == 0)
		return ipsecmb;
	return NULL;
}
