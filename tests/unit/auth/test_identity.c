/*
 * test_identity.c - SIDs, the lists of users and groups and what is kept of them, and the mapping between
 * names, SIDs and ids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth_fixture.h"
#include "hex.h"
#include <stdio.h>

#define CHECK(call) assert_int_equal(call, ERR_OK)

static struct identity *identity;

static int setup(void **state)
{
    (void)state;
    identity = fixture_identity();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ident_close(&identity);
    assert_null(identity);
    random_set_seed(0);
    return 0;
}

static void reopen(void)
{
    ident_close(&identity);
    CHECK(ident_open(&fixture_storage, "SERVER", &identity));
}

/* ---- SIDs ---- */

static const struct {
    const char *text, *bytes;
} sids[] = {
    {"S-1-1-0", "010100000000000100000000"},
    {"S-1-5-18", "010100000000000512000000"},
    {"S-1-5-32-544", "01020000000000052000000020020000"},
    {"S-1-22-1-1000", "010200000000001601000000E8030000"},
    {"S-1-5-21-397955417-626881126-188441444-1010",
     "0105000000000005150000005951B81766725D256463 3B0B F2030000"},
    {"S-1-0x123456789abc-4294967295", "0101123456789ABCFFFFFFFF"},
    {"S-1-4294967295-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
     "010F0000FFFFFFFF 01000000020000000300000004000000050000000600000007000000 08000000"
     "090000000A0000000B0000000C0000000D0000000E0000000F000000"},
};

static void sids_go_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sids / sizeof *sids; i++) {
        uint8_t bytes[SID_SIZE_MAX], out[SID_SIZE_MAX];
        size_t length = unhex(sids[i].bytes, bytes, sizeof bytes);
        struct reader reader = reader_of(bytes, length);
        struct sid sid, parsed;
        char text[SID_TEXT_MAX];
        struct writer writer;

        assert_true(ident_sid_read(&reader, &sid));
        assert_true(reader_is_done(&reader));
        ident_sid_format(&sid, text);
        assert_string_equal(text, sids[i].text);
        assert_true(ident_sid_parse(text, &parsed));
        assert_true(ident_sid_equal(&sid, &parsed));
        writer_init(&writer, out, sizeof out);
        ident_sid_write(&writer, &parsed);
        assert_int_equal(writer.length, length);
        assert_int_equal(ident_sid_size(&parsed), length);
        assert_memory_equal(out, bytes, length);
        for (size_t cut = 0; cut < length; cut++) {
            reader = reader_of(bytes, cut);
            assert_false(ident_sid_read(&reader, &sid));
            assert_int_equal(reader.left, cut);
        }
    }
}

static void refuses_what_is_no_sid(void **state)
{
    static const char *const texts[] = {"",
                                        "S",
                                        "S-1",
                                        "S-1-5",
                                        "S-1-5-",
                                        "S-1--5-1",
                                        "S-2-5-18",
                                        "X-1-5-18",
                                        "S-1-5-18 ",
                                        " S-1-5-18",
                                        "S-1-5-+18",
                                        "S-1-5-4294967296",
                                        "S-1-281474976710656-1",
                                        "S-1-0x12345-1",
                                        "S-1-0x1234567890abc-1",
                                        "S-1-5-0x12",
                                        "S-1-5-18446744073709551617",
                                        "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16"};
    struct sid sid;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (ident_sid_parse(texts[i], &sid))
            fail_msg("\"%s\" is taken for a SID", texts[i]);
    assert_true(ident_sid_parse("s-1-5-18", &sid));
}

/* ---- the lists ---- */

static void finds_users(void **state)
{
    static const char *const in_order[] = {"alice", "mallory", "\xc3\x9cnal"};
    const struct ident_user *user;

    (void)state;
    assert_int_equal(ident_user_find(identity, "ALICE")->uid, 1000);
    assert_int_equal(ident_user_find(identity, "\xc3\xbcNAL")->uid, 1001);
    assert_string_equal(ident_user_find_uid(identity, 1002)->name, "mallory");
    assert_true(ident_user_find_uid(identity, 1002)->disabled);
    assert_null(ident_user_find(identity, "bob"));
    assert_null(ident_user_find(identity, ""));
    assert_null(ident_user_find(identity, "ali\xff"));
    assert_null(ident_user_find_uid(identity, 0));
    for (size_t i = 0; i < 3; i++) {
        user = ident_user_at(identity, i);
        assert_string_equal(user->name, in_order[i]);
    }
    assert_null(ident_user_at(identity, 3));
}

static void lists_survive_a_restart(void **state)
{
    struct sid machine = *ident_machine_sid(identity);
    struct ident_group group = {.name = "Staff", .gid = 100};
    const struct ident_user *user;
    uint8_t hash[IDENT_NT_HASH_SIZE];

    (void)state;
    CHECK(ident_group_put(identity, &group));
    reopen();
    assert_true(ident_sid_equal(&machine, ident_machine_sid(identity)));
    assert_int_equal(machine.authority, 5);
    assert_int_equal(machine.count, 4);
    assert_int_equal(machine.sub[0], 21);
    user = ident_user_find(identity, "alice");
    CHECK(cred_nt_hash("Passw0rd", hash));
    assert_memory_equal(user->nt_hash, hash, sizeof hash);
    assert_int_equal(user->uid, 1000);
    assert_int_equal(user->gid, 100);
    assert_int_equal(user->group_count, 2);
    assert_int_equal(user->groups[1], 300);
    assert_false(user->disabled);
    assert_true(ident_user_find(identity, "mallory")->disabled);
    assert_int_equal(ident_group_find(identity, "STAFF")->gid, 100);
    assert_string_equal(ident_group_find_gid(identity, 100)->name, "Staff");
    assert_string_equal(ident_group_at(identity, 0)->name, "Staff");
    CHECK(ident_group_remove(identity, "staff"));
    assert_int_equal(ident_group_remove(identity, "staff"), ERR_NOENT);
    assert_null(ident_group_find_gid(identity, 100));
    CHECK(ident_user_remove(identity, "ALICE"));
    assert_int_equal(ident_user_remove(identity, "alice"), ERR_NOENT);
    reopen();
    assert_null(ident_user_find(identity, "alice"));
    assert_null(ident_user_find_uid(identity, 1000));
    assert_null(ident_group_at(identity, 0));
}

static void replaces_by_name(void **state)
{
    struct ident_user user = *ident_user_find(identity, "alice");

    (void)state;
    /* Another spelling, another uid: still that one user. */
    memcpy(user.name, "ALICE", 6);
    user.uid = 5000;
    CHECK(ident_user_put(identity, &user));
    assert_null(ident_user_find_uid(identity, 1000));
    assert_string_equal(ident_user_find_uid(identity, 5000)->name, "ALICE");
    /* A uid belongs to one name. */
    user.uid = 1001;
    assert_int_equal(ident_user_put(identity, &user), ERR_EXIST);
    assert_int_equal(ident_user_find(identity, "alice")->uid, 5000);
    reopen();
    assert_int_equal(ident_user_find(identity, "alice")->uid, 5000);
}

static void refuses_bad_users(void **state)
{
    static const char *const names[] = {"",
                                        " a",
                                        "a ",
                                        "a/b",
                                        "a\\b",
                                        "a@b",
                                        "a:b",
                                        "a\tb",
                                        "a*b",
                                        "a\"",
                                        "a\x7f"
                                        "b",
                                        "\xff",
                                        "a[",
                                        "a=b",
                                        "\xed\xa0\x80"};
    struct ident_user user = {.uid = 1, .gid = 1};
    struct ident_group group = {.name = "", .gid = 1};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        memset(user.name, 0, sizeof user.name);
        memcpy(user.name, names[i], strlen(names[i]));
        assert_int_equal(ident_user_put(identity, &user), ERR_BADNAME);
        memcpy(group.name, user.name, sizeof group.name);
        assert_int_equal(ident_group_put(identity, &group), ERR_BADNAME);
    }
    memset(user.name, 'x', sizeof user.name); /* without an end */
    assert_int_equal(ident_user_put(identity, &user), ERR_BADNAME);
    memcpy(user.name, "bob", 4);
    user.group_count = IDENT_GROUPS_MAX + 1;
    assert_int_equal(ident_user_put(identity, &user), ERR_INVAL);
    user.group_count = 0;
    user.uid = UINT32_MAX;
    assert_int_equal(ident_user_put(identity, &user), ERR_INVAL);
    user.uid = 0;
    user.group_count = IDENT_GROUPS_MAX;
    CHECK(ident_user_put(identity, &user));
    memset(user.name, 'y', IDENT_NAME_MAX);
    user.name[IDENT_NAME_MAX] = 0;
    user.uid = 1;
    CHECK(ident_user_put(identity, &user));
    reopen();
    assert_int_equal(ident_user_find_uid(identity, 1)->group_count, IDENT_GROUPS_MAX);
}

/* What the storage did not take has not happened. */
static void storage_failures_change_nothing(void **state)
{
    struct ident_user user = *ident_user_find(identity, "alice");

    (void)state;
    fixture_store.fail = ERR_NOSPC;
    user.uid = 7;
    assert_int_equal(ident_user_put(identity, &user), ERR_NOSPC);
    assert_int_equal(ident_user_remove(identity, "mallory"), ERR_NOSPC);
    assert_int_equal(ident_user_find(identity, "alice")->uid, 1000);
    assert_null(ident_user_find_uid(identity, 7));
    assert_non_null(ident_user_find(identity, "mallory"));
    /* The machine's SID has to be kept before it is used. */
    ident_close(&identity);
    memset(&fixture_store, 0, sizeof fixture_store);
    fixture_store.fail = ERR_FAILED;
    assert_int_equal(ident_open(&fixture_storage, "SERVER", &identity), ERR_FAILED);
    assert_null(identity);
}

static void damaged_records_are_refused(void **state)
{
    (void)state;
    ident_close(&identity);
    for (size_t i = 0; i < fixture_store.count; i++) {
        struct fixture_record whole = fixture_store.records[i], *record = &fixture_store.records[i];

        for (record->value_length = 0; record->value_length < whole.value_length; record->value_length++)
            assert_int_equal(ident_open(&fixture_storage, "SERVER", &identity), ERR_CORRUPT);
        record->value[record->value_length++] = 0;
        assert_int_equal(ident_open(&fixture_storage, "SERVER", &identity), ERR_CORRUPT);
        *record = whole;
        record->value[0] = 2;
        assert_int_equal(ident_open(&fixture_storage, "SERVER", &identity), ERR_TOO_NEW);
        *record = whole;
    }
    CHECK(ident_open(&fixture_storage, "SERVER", &identity));
}

static void computer_names(void **state)
{
    static const char *const bad[] = {"", "a.b", "a b", "1234567890123456", "\xc3\x9c"};
    struct identity *other = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ident_open(&fixture_storage, bad[i], &other), ERR_INVAL);
    CHECK(ident_open(&fixture_storage, "my-nas_1", &other));
    assert_string_equal(ident_computer(other), "MY-NAS_1");
    ident_close(&other);
}

/* ---- mapping ---- */

static void check_id(uint32_t id, bool group, const char *expected)
{
    struct sid sid = group ? ident_gid_to_sid(identity, id) : ident_uid_to_sid(identity, id);
    char text[SID_TEXT_MAX], wanted[SID_TEXT_MAX], machine[SID_TEXT_MAX];
    uint32_t back = ~id;

    ident_sid_format(ident_machine_sid(identity), machine);
    ident_sid_format(&sid, text);
    snprintf(wanted, sizeof wanted, "%s%s", expected[0] == '-' ? machine : "", expected);
    assert_string_equal(text, wanted);
    assert_int_equal(ident_sid_to_id(identity, &sid, &back), group ? IDENT_GID : IDENT_UID);
    assert_int_equal(back, id);
}

static void maps_ids(void **state)
{
    struct ident_group group = {.name = "Staff", .gid = 100};
    struct sid sid;
    uint32_t id = 77;

    (void)state;
    CHECK(ident_group_put(identity, &group));
    fixture_add_user(identity, "high", "x", 2147483147, false);
    fixture_add_user(identity, "higher", "x", 2147483148, false);
    check_id(1000, false, "-3000");
    check_id(100, true, "-1201");
    check_id(100, false, "S-1-22-1-100");
    check_id(1000, true, "S-1-22-2-1000");
    check_id(0, false, "S-1-22-1-0");
    check_id(2147483147, false, "-4294967294");
    check_id(2147483148, false, "S-1-22-1-2147483148"); /* its last part would not fit */
    check_id(4294967294, true, "S-1-22-2-4294967294");
    /* What was a user's SID goes on meaning that uid. */
    sid = ident_uid_to_sid(identity, 1000);
    CHECK(ident_user_remove(identity, "alice"));
    assert_int_equal(ident_sid_to_id(identity, &sid, &id), IDENT_UID);
    assert_int_equal(id, 1000);
    /* None of ours. */
    id = 77;
    assert_int_equal(ident_sid_to_id(identity, &sid_everyone, &id), IDENT_NONE);
    assert_int_equal(ident_sid_to_id(identity, ident_machine_sid(identity), &id), IDENT_NONE);
    sid = ident_sid_below(ident_machine_sid(identity), 999);
    assert_int_equal(ident_sid_to_id(identity, &sid, &id), IDENT_NONE);
    sid = ident_sid_below(&sid_unix_users, UINT32_MAX);
    assert_int_equal(ident_sid_to_id(identity, &sid, &id), IDENT_NONE);
    assert_true(ident_sid_parse("S-1-5-21-1-2-3-1000", &sid));
    assert_int_equal(ident_sid_to_id(identity, &sid, &id), IDENT_NONE);
    assert_int_equal(id, 77);
}

static const struct {
    const char *asked, *domain, *name;
    enum sid_use use;
} lookups[] = {
    {"alice", "SERVER", "alice", SID_USE_USER},
    {"server\\ALICE", "SERVER", "alice", SID_USE_USER},
    {".\\alice", "SERVER", "alice", SID_USE_USER},
    {"Staff", "SERVER", "Staff", SID_USE_ALIAS},
    {"SERVER\\staff", "SERVER", "Staff", SID_USE_ALIAS},
    {"everyone", "", "Everyone", SID_USE_WELL_KNOWN},
    {"Creator Owner", "", "CREATOR OWNER", SID_USE_WELL_KNOWN},
    {"NT Authority\\system", "NT AUTHORITY", "SYSTEM", SID_USE_WELL_KNOWN},
    {"Authenticated Users", "NT AUTHORITY", "Authenticated Users", SID_USE_WELL_KNOWN},
    {"BUILTIN\\Administrators", "BUILTIN", "Administrators", SID_USE_ALIAS},
    {"S-1-5-32-545", "BUILTIN", "Users", SID_USE_ALIAS},
    {"S-1-5-32", "BUILTIN", "", SID_USE_DOMAIN},
    {"server", "SERVER", "", SID_USE_DOMAIN},
    {"Unix User\\4711", "Unix User", "4711", SID_USE_USER},
    {"unix group\\0", "Unix Group", "0", SID_USE_GROUP},
    {"S-1-22-2-4711", "Unix Group", "4711", SID_USE_GROUP},
    {"bob", NULL, NULL, SID_USE_UNKNOWN},
    {"OTHER\\alice", NULL, NULL, SID_USE_UNKNOWN},
    {"BUILTIN\\SYSTEM", NULL, NULL, SID_USE_UNKNOWN},
    {"Unix User\\4294967295", NULL, NULL, SID_USE_UNKNOWN},
    {"Unix User\\", NULL, NULL, SID_USE_UNKNOWN},
    {"Unix User\\1-2", NULL, NULL, SID_USE_UNKNOWN},
    {"Unix User\\alice", NULL, NULL, SID_USE_UNKNOWN},
    {"S-1-5-21-1-2-3-4", NULL, NULL, SID_USE_UNKNOWN},
    {"", NULL, NULL, SID_USE_UNKNOWN},
    {"\\", NULL, NULL, SID_USE_UNKNOWN},
};

static void looks_names_up(void **state)
{
    struct ident_group group = {.name = "Staff", .gid = 100};

    (void)state;
    CHECK(ident_group_put(identity, &group));
    for (size_t i = 0; i < sizeof lookups / sizeof *lookups; i++) {
        struct ident_account account, back;
        enum err err = ident_lookup_name(identity, lookups[i].asked, &account);

        if (err != (lookups[i].name != NULL ? ERR_OK : ERR_NOENT))
            fail_msg("\"%s\": %s", lookups[i].asked, err_name(err));
        if (err != ERR_OK)
            continue;
        assert_string_equal(account.domain, lookups[i].domain);
        assert_string_equal(account.name, lookups[i].name);
        assert_int_equal(account.use, lookups[i].use);
        CHECK(ident_lookup_sid(identity, &account.sid, &back));
        assert_string_equal(back.domain, account.domain);
        assert_string_equal(back.name, account.name);
        assert_int_equal(back.use, account.use);
        assert_true(ident_sid_equal(&back.sid, &account.sid));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sids_go_both_ways),
        cmocka_unit_test(refuses_what_is_no_sid),
        cmocka_unit_test_setup_teardown(finds_users, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_survive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(replaces_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_users, setup, teardown),
        cmocka_unit_test_setup_teardown(storage_failures_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_records_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(computer_names, setup, teardown),
        cmocka_unit_test_setup_teardown(maps_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(looks_names_up, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
