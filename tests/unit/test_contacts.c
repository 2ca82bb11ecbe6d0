/* Contacts: ids as text, look-ups, and the file that keeps what is pinned. */
#include "client/contacts.h"

#include <unistd.h>

#include "tests/support/crypto.h"
#include "tests/support/directory.h"

static void ids_have_one_text(void **state)
{
	uint8_t id[PEER_ID_SIZE], back[PEER_ID_SIZE];
	char text[CLAWCHAT_PEER_ID_TEXT];
	struct random_seeded seeded;
	struct random_source random = random_seeded_init(&seeded, test_seed());

	(void)state;
	for (int i = 0; i < 1000; i++) {
		random_fill(&random, id, sizeof(id));
		peer_id_format(id, text);
		assert_int_equal(strlen(text), 52);
		assert_true(peer_id_parse(text, back));
		assert_memory_equal(id, back, sizeof(id));

		/* 52 characters carry 4 bits more than an id: they must be zero. */
		text[51] = text[51] == 'a' ? 'b' : 'a';
		bool is_other = peer_id_parse(text, back);
		assert_false(is_other && memcmp(id, back, sizeof(id)) == 0);
	}
	memset(id, 0xff, sizeof(id));
	peer_id_format(id, text);
	assert_string_equal(text, "777777777777777777777777777777777777777777777777777q");
	assert_false(peer_id_parse("", back));
	assert_false(peer_id_parse("777777777777777777777777777777777777777777777777777", back));
	assert_false(peer_id_parse("7777777777777777777777777777777777777777777777777771", back));
	assert_false(peer_id_parse("77777777777777777777777777777777777777777777777777!q", back));
}

static void finds_by_id_prefix_and_name(void **state)
{
	struct contacts c = { 0 };
	const struct contact *match = NULL;
	uint8_t id[PEER_ID_SIZE] = { 1 };
	char text[CLAWCHAT_PEER_ID_TEXT];

	(void)state;
	for (uint8_t i = 1; i <= 100; i++) { /* grows over its first capacity */
		id[0] = i;
		struct contact *contact = contacts_need(&c, id);
		assert_non_null(contact);
		if (i == 7 || i == 9)
			snprintf(contact->name, sizeof(contact->name), "bob");
	}
	assert_int_equal(c.count, 100);
	id[0] = 42;
	assert_ptr_equal(contacts_need(&c, id), contacts_find(&c, id));
	assert_int_equal(c.count, 100);
	peer_id_format(id, text);
	assert_int_equal(contacts_match(&c, text, &match), 1);
	assert_int_equal(match->id[0], 42);
	text[CONTACT_PREFIX_MIN] = '\0';
	assert_int_equal(contacts_match(&c, text, &match), 1);
	text[CONTACT_PREFIX_MIN - 1] = '\0';
	assert_int_equal(contacts_match(&c, text, &match), 0);
	assert_int_equal(contacts_match(&c, "bob", &match), 2);
	assert_int_equal(contacts_match(&c, "alice", &match), 0);
	assert_int_equal(contacts_match(&c, "", &match), 0); /* the nameless are not meant */
	contacts_close(&c);
}

/* Goal: what is pinned survives the process, and a damaged file is not passed over. */
static void keeps_what_is_pinned(void **state)
{
	struct test_directory directory;
	struct profile p;
	struct contacts c;
	struct clawchat_error error;
	uint8_t id[PEER_ID_SIZE] = { 3 }, heard[PEER_ID_SIZE] = { 4 };
	char path[PROFILE_PATH_MAX];

	(void)state;
	test_directory_create(&directory);
	assert_int_equal(profile_open(&p, directory.path, "alice", &error), CLAWCHAT_OK);
	assert_int_equal(contacts_open(&c, &p, &error), CLAWCHAT_OK);
	assert_int_equal(c.count, 0);
	assert_non_null(contacts_need(&c, heard)); /* only heard of: not kept */
	struct contact *contact = contacts_need(&c, id);
	snprintf(contact->name, sizeof(contact->name), "bob");
	contact->is_known = contact->is_verified = true;
	contact->pin.psk_count = 2;
	memset(contact->pin.psks[1], 9, KEY_SIZE);
	struct contact before = *contact;
	assert_int_equal(contacts_save(&c, &p, &error), CLAWCHAT_OK);
	contacts_close(&c);

	assert_int_equal(contacts_open(&c, &p, &error), CLAWCHAT_OK);
	assert_int_equal(c.count, 1);
	assert_memory_equal(&c.list[0].pin, &before.pin, sizeof(before.pin));
	assert_string_equal(c.list[0].name, "bob");
	assert_true(c.list[0].is_verified);
	contacts_close(&c);

	assert_true(profile_path(&p, "contacts.json", path));
	assert_int_equal(truncate(path, 40), 0);
	assert_int_equal(contacts_open(&c, &p, &error), CLAWCHAT_CONFIG);
	profile_close(&p);
	test_directory_destroy(&directory);
}

/* Goal: one process uses a profile; keys and name come back; a wrong name changes nothing. */
static void a_profile_is_one_device(void **state)
{
	struct test_directory directory;
	struct profile p, second;
	struct clawchat_error error;
	struct x25519_pair device;

	(void)state;
	test_directory_create(&directory);
	assert_int_equal(profile_open(&p, directory.path, "alice", &error), CLAWCHAT_OK);
	device = p.device;
	assert_int_equal(profile_open(&second, directory.path, NULL, &error), CLAWCHAT_UNAVAILABLE);
	assert_non_null(strstr(error.text, "in use"));
	profile_close(&p);
	assert_int_equal(profile_open(&p, directory.path, "a\nb", &error), CLAWCHAT_USAGE);
	assert_int_equal(profile_open(&p, directory.path, NULL, &error), CLAWCHAT_OK);
	assert_string_equal(p.name, "alice");
	assert_memory_equal(&p.device, &device, sizeof(device));
	assert_false(p.has_relay);
	profile_close(&p);
	test_directory_destroy(&directory);
}

static const struct CMUnitTest TESTS[] = {
	cmocka_unit_test(ids_have_one_text),
	cmocka_unit_test(finds_by_id_prefix_and_name),
	cmocka_unit_test(keeps_what_is_pinned),
	cmocka_unit_test(a_profile_is_one_device),
};
CRYPTO_TESTS(TESTS)
