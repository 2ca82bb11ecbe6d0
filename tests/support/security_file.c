#include "tests/support/security_file.h"

static void fill_server(struct security_file *file, const struct random_source *random)
{
	random_fill(random, file->server_id, sizeof file->server_id);
	random_fill(random, file->file_id, sizeof file->file_id);
	random_fill(random, file->shared_secret, sizeof file->shared_secret);
	random_fill(random, file->server_public_key, sizeof file->server_public_key);
	snprintf(file->server_name, sizeof file->server_name, "%s",
		 "R\xc3\xa9lais \"n\xc2\xb0 1\"");
	file->udp_port = 50123;
	file->public_ip = address_v4(192, 0, 2, 1, file->udp_port);
	assert_true(address_parse("[2001:db8::1]:50123", &file->public_ip6));
}

static void fill_times(struct security_file *file)
{
	file->issued_s = TEST_NOW_S - 60;
	file->valid_from_s = TEST_NOW_S - 60;
	file->valid_until_s = TEST_NOW_S + 3540;
	file->next_rotation_s = TEST_NOW_S + 1800;
	file->grace_period_s = 300;
	file->enrol_max_devices = 1;
	file->enrol_until_s = file->valid_until_s;
	file->compromised_scope = COMPROMISED_FILE;
	file->response_timeout_s = 10;
	file->hole_punch_timeout_s = 15;
}

static void fill_doors(struct security_file *file, const struct random_source *random)
{
	file->door_count = 2;
	for (size_t i = 0; i < file->door_count; i++) {
		struct security_file_door *door = &file->doors[i];
		door->generation = 500000 + i;
		door->port = (uint16_t)(50123 + i);
		door->from_s = TEST_NOW_S - 1800 + 3600 * i;
		door->until_s = door->from_s + 3900;
		random_fill(random, door->key, sizeof door->key);
	}
	file->stun_count = 2;
	snprintf(file->stun_servers[0], sizeof file->stun_servers[0], "%s",
		 "stun.example.org:3478");
	snprintf(file->stun_servers[1], sizeof file->stun_servers[1], "%s", "192.0.2.9:3478");
}

void test_security_file_init(struct test_security_file *t, uint64_t seed)
{
	memset(t, 0, sizeof *t);
	t->random = random_seeded_init(&t->seeded, seed);
	ed25519_generate(&t->signing, &t->random);
	random_fill(&t->random, t->bootstrap, sizeof t->bootstrap);
	fill_server(&t->file, &t->random);
	fill_times(&t->file);
	fill_doors(&t->file, &t->random);
	t->writer = (struct security_file_writer){
		.bootstrap = VIEW(t->bootstrap),
		.signing = &t->signing,
		.random = &t->random,
		.iterations = TEST_ITERATIONS,
	};
	t->reader = (struct security_file_reader){
		.bootstrap = VIEW(t->bootstrap),
		.now_s = TEST_NOW_S,
		.iterations_min = TEST_ITERATIONS,
		.iterations_max = TEST_ITERATIONS_MAX,
	};
}

void test_security_file_seal(struct test_security_file *t)
{
	enum security_file_status status =
		security_file_seal(&t->writer, &t->file, t->text, sizeof t->text, &t->size);
	assert_string_equal(security_file_status_text(status),
			    security_file_status_text(SECURITY_FILE_OK));
}

enum security_file_status test_security_file_open(const struct test_security_file *t,
						  struct view text, struct security_file *out)
{
	static const struct security_file zeros;

	memset(out, 0xa5, sizeof *out);
	enum security_file_status status = security_file_open(&t->reader, text, out);
	bool has_content = status == SECURITY_FILE_OK || status >= SECURITY_FILE_EXPIRED;
	if (!has_content)
		assert_memory_equal(out, &zeros, sizeof *out);
	return status;
}

void test_security_file_expect(enum security_file_status got, enum security_file_status expected)
{
	assert_string_equal(security_file_status_text(got), security_file_status_text(expected));
}
