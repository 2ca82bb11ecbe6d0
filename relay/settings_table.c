#include "core/security_file.h"
#include "relay/burn_ledger.h"
#include "relay/settings.h"

/* Everything there is to say about each key, once. */

enum {
	BUFFER_MIN = 65536,   /* some dozens of datagrams with the kernel's overhead */
	BUFFER_MAX = 1 << 30, /* SO_RCVBUF is doubled, and an int */
	PORT_LOWEST = 1024,   /* below, ports belong to root */
	DAY_S = 86400,
	WEEK_S = 7 * DAY_S,
	INTERVAL_MIN_S = 2,  /* notice and grace are whole seconds, and shorter */
	VALIDITY_MIN_S = 10, /* a file has to reach somebody */
	IDLE_MIN_S = 10,
	KEEPALIVE_MIN_S = 5,         /* more often is only load */
	KEEPALIVE_MAX_S = DAY_S / 2, /* 16 bits on the wire */
	RATE_MAX = 1000000,
};

_Static_assert(KEEPALIVE_MAX_S <= UINT16_MAX, "wire_welcome_payload.keepalive_s");

/* Choices are stored as uint32_t, also where the field is an enum. */
_Static_assert(sizeof(enum engine_kind) == sizeof(uint32_t), "stored through memcpy");
_Static_assert(sizeof(enum door_mode) == sizeof(uint32_t), "stored through memcpy");
_Static_assert(sizeof(enum settings_cipher) == sizeof(uint32_t), "stored through memcpy");
_Static_assert(sizeof(enum log_level) == sizeof(uint32_t), "stored through memcpy");
_Static_assert(sizeof(enum log_addresses) == sizeof(uint32_t), "stored through memcpy");

static const struct setting_choice ENGINES[] = {
	{ "auto", ENGINE_AUTO },
	{ "uring", ENGINE_URING },
	{ "epoll", ENGINE_EPOLL },
	{ 0 },
};
static const struct setting_choice MODES[] = {
	{ "schedule", DOOR_MODE_SCHEDULE },
	{ "random", DOOR_MODE_RANDOM },
	{ "fixed", DOOR_MODE_FIXED },
	{ 0 },
};
static const struct setting_choice CIPHERS[] = {
	{ "auto", CIPHER_AUTO },
	{ "ipsec-mb", CIPHER_IPSEC_MB },
	{ "openssl", CIPHER_OPENSSL },
	{ 0 },
};
static const struct setting_choice LEVELS[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ 0 },
};
static const struct setting_choice FORMATS[] = {
	{ "auto", SETTINGS_LOG_FORMAT_AUTO },
	{ "text", LOG_FORMAT_TEXT },
	{ "json", LOG_FORMAT_JSON },
	{ "journald", LOG_FORMAT_JOURNALD },
	{ 0 },
};
static const struct setting_choice ADDRESSES[] = {
	{ "full", LOG_ADDRESSES_FULL },
	{ "short", LOG_ADDRESSES_SHORT },
	{ "none", LOG_ADDRESSES_NONE },
	{ 0 },
};

/* clang-format off */
#define KEY(s, k) .section = #s, .key = #k, .offset = offsetof(struct settings, s.k)
#define TEXT(limit) .type = SETTING_TEXT, .max = (limit)
#define COUNT(low, high) .type = SETTING_COUNT, .min = (low), .max = (high)
#define SIZE(low, high) .type = SETTING_SIZE, .min = (low), .max = (high)
#define DURATION(low, high) .type = SETTING_DURATION, .min = (low), .max = (high)
#define CHOICE(list) .type = SETTING_CHOICE, .choices = (list)

const struct setting SETTINGS[] = {
	{ KEY(server, name), TEXT(NAME_SIZE_MAX), .fallback = "",
	  .help = "Shown to those who open a security file of this relay." },
	{ KEY(server, public_ip), .type = SETTING_IPV4, .fallback = "",
	  .help = "The IPv4 address under which clients reach this relay. It stands in the\n"
		  "security files, which need this address or public_ip6." },
	{ KEY(server, public_ip6), .type = SETTING_IPV6, .fallback = "",
	  .help = "The same for IPv6." },
	{ KEY(server, state_dir), TEXT(SETTINGS_STATE_DIR_MAX), .fallback = "/var/lib/clawchat",
	  .help = "Where keys, devices and issued files are kept; mode 0700, not shared with\n"
		  "another relay." },
	{ KEY(server, bootstrap_key_file), TEXT(SETTINGS_TEXT_MAX), .fallback = "",
	  .help = "The key that opens security files. Empty: bootstrap.key in state_dir." },

	{ KEY(network, listen), .type = SETTING_LISTEN_IPV4, .fallback = "0.0.0.0",
	  .help = "The IPv4 address to receive on, or none." },
	{ KEY(network, listen6), .type = SETTING_LISTEN_IPV6, .fallback = "::",
	  .help = "The IPv6 address to receive on, or none." },
	{ KEY(network, engine), CHOICE(ENGINES), .fallback = "auto",
	  .help = "How packets are read and written. auto: io_uring, or epoll where the system\n"
		  "refuses it." },
	{ KEY(network, workers), COUNT(0, WORKERS_MAX), .fallback = "0",
	  .help = "Threads that carry packets. 0: one per core." },
	{ KEY(network, receive_buffer), SIZE(BUFFER_MIN, BUFFER_MAX), .fallback = "8MiB",
	  .help = "Socket buffer per worker and port. Needs net.core.rmem_max of that size, or\n"
		  "CAP_NET_ADMIN." },
	{ KEY(network, send_buffer), SIZE(BUFFER_MIN, BUFFER_MAX), .fallback = "8MiB",
	  .help = "The same for sending: net.core.wmem_max." },
	{ KEY(network, gro), .type = SETTING_SWITCH, .fallback = "yes",
	  .help = "Let the kernel hand over datagrams of one sender together." },

	{ KEY(rotation, mode), CHOICE(MODES), .fallback = "schedule",
	  .help = "schedule: clients can compute the next port. random: they are told. fixed: one\n"
		  "port for ever, for port mappings and strict firewalls." },
	{ KEY(rotation, fixed_port), COUNT(0, UINT16_MAX), .fallback = "0",
	  .help = "The port in mode fixed, where it must be set." },
	{ KEY(rotation, port_first), COUNT(PORT_LOWEST, UINT16_MAX), .fallback = "49152",
	  .help = "The lowest and highest port in the other modes." },
	{ KEY(rotation, port_last), COUNT(PORT_LOWEST, UINT16_MAX), .fallback = "65535",
	  .help = "See port_first." },
	{ KEY(rotation, interval), DURATION(INTERVAL_MIN_S, WEEK_S), .fallback = "1h",
	  .help = "How long a port and its key are in use." },
	{ KEY(rotation, notice), DURATION(1, DAY_S), .fallback = "2m",
	  .help = "How long before that clients hear of the next port." },
	{ KEY(rotation, grace), DURATION(1, DAY_S), .fallback = "5m",
	  .help = "How long the old port stays open." },

	{ KEY(limits, sessions), COUNT(1, SESSIONS_MAX), .fallback = "65536",
	  .help = "Clients at a time. Each takes about 1 KiB." },
	{ KEY(limits, channels), COUNT(1, CHANNELS_MAX), .fallback = "262144",
	  .help = "Channel numbers in use at a time: two for each pair of clients that talk." },
	{ KEY(limits, handshake_rate), COUNT(1, RATE_MAX), .fallback = "20",
	  .help = "Connections per second from one address (one /64 of IPv6)." },
	{ KEY(limits, handshake_burst), COUNT(1, RATE_MAX), .fallback = "60",
	  .help = "How many of them at once after a while without any." },
	{ KEY(limits, idle_timeout), DURATION(IDLE_MIN_S, DAY_S), .fallback = "3m",
	  .help = "A session ends when nothing was heard for so long." },
	{ KEY(limits, keepalive), DURATION(KEEPALIVE_MIN_S, KEEPALIVE_MAX_S), .fallback = "25s",
	  .help = "How often a silent client sends a packet, to hold its NAT mapping." },

	{ KEY(security, file_validity), DURATION(VALIDITY_MIN_S, WEEK_S), .fallback = "1h",
	  .help = "How long a security file opens a first connection." },
	{ KEY(security, file_max_devices), COUNT(0, SECURITY_FILE_DEVICES_MAX), .fallback = "10",
	  .help = "How many devices may be enrolled with one file; they need none from then on.\n"
		  "1: that a file was stolen and used is noticed. 0: each connection needs one." },
	{ KEY(security, pbkdf2_iterations), COUNT(PBKDF2_ITERATIONS_MIN, PBKDF2_ITERATIONS_MAX),
	  .fallback = "600000",
	  .help = "Work to try one bootstrap key or passphrase on a security file. More is\n"
		  "stronger, and slower to open for everybody." },
	{ KEY(security, cipher), CHOICE(CIPHERS), .fallback = "auto",
	  .help = "Which implementation of AES-256-GCM carries packets. auto: the fastest." },
	{ KEY(security, files_dir), TEXT(SETTINGS_TEXT_MAX), .fallback = "",
	  .help = "Where security files are written. Empty: files in state_dir." },

	{ KEY(security, keep_schedule), .type = SETTING_SWITCH, .fallback = "no",
	  .help = "After a file was reported as compromised: keep ports and door keys? yes spares\n"
		  "devices that are away a new file; the thief can find the relay, not enter it." },
	{ KEY(security, client_may_burn_server), .type = SETTING_SWITCH, .fallback = "no",
	  .help = "May a client report the whole relay as compromised? no: such a report is taken\n"
		  "for its file." },
	{ KEY(security, burns_per_hour), COUNT(0, BURNS_PER_HOUR_MAX), .fallback = "4",
	  .help = "Whole files that clients' reports may revoke in an hour. Further reports are\n"
		  "taken for the reporting device alone, so that a thief cannot empty the relay." },

	{ KEY(log, level), CHOICE(LEVELS), .fallback = "info",
	  .help = "The least important events that are logged." },
	{ KEY(log, format), CHOICE(FORMATS), .fallback = "auto",
	  .help = "auto: journald where systemd reads it, else text." },
	{ KEY(log, addresses), CHOICE(ADDRESSES), .fallback = "short",
	  .help = "Clients' addresses in the log: full, short (the network only), or none." },

	{ KEY(admin, socket), TEXT(SETTINGS_TEXT_MAX), .fallback = "",
	  .help = "The Unix socket of clawchatctl. Empty: clawchatd.sock in state_dir." },
};
/* clang-format on */

const size_t SETTINGS_COUNT = sizeof SETTINGS / sizeof SETTINGS[0];
