/*
 * test_smb2_shares.c - the rules of shares on the wire: what is shown as hidden, what is not shown, and whose
 * host may come in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/security_descriptor.h"
#include "dittofs/utf16.h"
#include "smbworld.h"

#include <stdio.h>
#include <string.h>

enum { HIDDEN = 2, ARCHIVE = 0x20, DIRECTORY_INFO = 1, NAMES_INFO = 12, BASIC_INFO = 4, ALL = 0x1f01ff };
enum { ACCESS_BASED = 0x800, READ_PARTS = 0x120089, EVERYTHING = 65536 };

static struct smbworld *world;
static struct smb2client *client;

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {smbworld_export("a"), smbworld_export("b")};

    (void)state;
    world = smbworld_open_exports(exports, 2, NULL, NULL);
    client = smbworld_client(world, "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2client_close(&client);
    smbworld_close(&world);
    return 0;
}

/* What a reload does. */
static void use_share(const struct smb_share_config *share)
{
    struct smb_shares *shares;

    assert_int_equal(smb_shares_new(share, 1, &shares), ERR_OK);
    smb_server_use_shares(world->server, shares);
}

static struct smb2c_opened open_as(const char *name, uint32_t disposition, uint32_t options)
{
    struct smb2c_create create = {.name = name,
                                  .access = options & SMB2C_DIRECTORY ? SMB2C_READ_DATA : ALL,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = disposition,
                                  .options = options};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    return opened;
}

/* Opens NAME and closes it: the attributes that CREATE's reply tells. */
static uint32_t attributes_of(const char *name, uint32_t disposition)
{
    struct smb2c_opened opened = open_as(name, disposition, 0);

    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    return opened.attributes;
}

/* The attributes of NAME as CLASS lists it in the root with PATTERN; 0: it does not. */
static uint32_t listed(const char *name, uint8_t class, const char *pattern)
{
    struct smb2c_opened root = open_as("", SMB2C_OPEN, SMB2C_DIRECTORY);
    struct reader data = {.left = 0}, entry;
    uint32_t next = 1, attributes = 1, length, found = 0;
    char text[256];
    uint32_t status = smb2client_query_directory(client, root.file, class, 1, pattern, EVERYTHING, &data);

    if (status == STATUS_NO_SUCH_FILE)
        next = 0;
    else
        assert_int_equal(status, STATUS_SUCCESS);
    while (next != 0) {
        entry = data;
        assert_true(reader_le32(&entry, &next) && reader_skip(&entry, 4));
        if (class == DIRECTORY_INFO)
            assert_true(reader_skip(&entry, 32 + 16) && reader_le32(&entry, &attributes));
        assert_true(reader_le32(&entry, &length) && length <= entry.left);
        assert_true(utf16_to_string(text, sizeof text, entry.at, length));
        if (strcmp(text, name) == 0)
            found = attributes;
        assert_true(reader_skip(&data, next));
    }
    assert_int_equal(smb2client_close_file(client, root.file), STATUS_SUCCESS);
    return found;
}

static void set_attributes(const char *name, uint32_t attributes)
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN, 0);
    uint8_t info[40] = {[32] = (uint8_t)attributes};

    assert_int_equal(smb2client_set_info(client, opened.file, 1, BASIC_INFO, 0, info, sizeof info),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
}

/* ---- hide dot files, hide files ---- */

static void names(void **state)
{
    static const char *const patterns[] = {"~*", "two words"};
    const struct smb_share_config share = {
        .name = "a", .hide_dot_files = true, .hide_files = patterns, .hide_file_count = 2};
    static const struct {
        const char *name;
        bool hidden;
    } cases[] = {{".profile", true}, {"~lock", true}, {"Two Words", true}, {"plain", false}, {"a.b", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(attributes_of(cases[i].name, SMB2C_MAKE), ARCHIVE);
        assert_int_equal(listed(cases[i].name, DIRECTORY_INFO, "*"), ARCHIVE);
    }
    use_share(&share);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t wanted = ARCHIVE | (cases[i].hidden ? HIDDEN : 0);

        assert_int_equal(attributes_of(cases[i].name, SMB2C_OPEN), wanted);
        assert_int_equal(listed(cases[i].name, DIRECTORY_INFO, "*"), wanted);
        assert_int_equal(listed(cases[i].name, DIRECTORY_INFO, cases[i].name), wanted);
        /* It is not an attribute of the file, which whoever replaces it would have to name. */
        assert_int_equal(attributes_of(cases[i].name, SMB2C_OVERWRITE_IF), wanted);
    }
    assert_int_equal(listed(".", DIRECTORY_INFO, "*") & HIDDEN, 0);
    assert_int_equal(listed("..", DIRECTORY_INFO, "*") & HIDDEN, 0);
}

/* Who writes back the attributes that he was told does not make the file a hidden one. */
static void written_back(void **state)
{
    const struct smb_share_config share = {.name = "a", .hide_dot_files = true};
    struct smb2c_opened opened;

    (void)state;
    use_share(&share);
    assert_int_equal(attributes_of(".x", SMB2C_MAKE), ARCHIVE | HIDDEN);
    set_attributes(".x", ARCHIVE | HIDDEN);
    opened = open_as(".x", SMB2C_OPEN, 0);
    assert_int_equal(smb2client_rename(client, opened.file, "x", false), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(attributes_of("x", SMB2C_OPEN), ARCHIVE);
    set_attributes("x", ARCHIVE | HIDDEN);
    assert_int_equal(attributes_of("x", SMB2C_OPEN), ARCHIVE | HIDDEN);
}

/* ---- hide unreadable ---- */

static void set_list(const char *name, uint32_t mask)
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN_IF, 0);
    struct sec_ace ace = {.mask = mask, .sid = sid_everyone};
    struct sec_acl acl = {.aces = &ace, .count = 1};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl};
    uint8_t bytes[256];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_OK);
    assert_int_equal(smb2client_set_info(client, opened.file, 3, 0, 4, bytes, (uint32_t)writer.length),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
}

static uint32_t share_flags(const char *share)
{
    struct reader body;
    uint32_t flags = 0;

    assert_int_equal(smb2client_tree_connect(client, share), STATUS_SUCCESS);
    body = smb2client_body(client);
    assert_true(reader_skip(&body, 4) && reader_le32(&body, &flags));
    return flags;
}

static void unreadable(void **state)
{
    const struct smb_share_config share = {.name = "a", .hide_unreadable = true};
    static const uint32_t parts[] = {0x1, 0x8, 0x80};

    (void)state;
    assert_int_equal(share_flags("a") & ACCESS_BASED, 0);
    set_list("open", READ_PARTS);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[16];

        snprintf(name, sizeof name, "without-%zu", i);
        set_list(name, READ_PARTS & ~parts[i]);
        assert_int_not_equal(listed(name, DIRECTORY_INFO, "*"), 0);
    }
    use_share(&share);
    assert_int_equal(share_flags("a") & ACCESS_BASED, ACCESS_BASED);
    assert_int_equal(share_flags("b") & ACCESS_BASED, 0);
    share_flags("a");
    assert_int_not_equal(listed("open", DIRECTORY_INFO, "*"), 0);
    assert_int_not_equal(listed("open", NAMES_INFO, "o*"), 0);
    assert_int_not_equal(listed("..", NAMES_INFO, "*"), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[16];

        snprintf(name, sizeof name, "without-%zu", i);
        assert_int_equal(listed(name, DIRECTORY_INFO, "*"), 0);
        assert_int_equal(listed(name, NAMES_INFO, "*"), 0);
        assert_int_equal(listed(name, DIRECTORY_INFO, name), 0);
    }
}

/* ---- hosts allow, hosts deny ---- */

static const struct vfs_host_rule here = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, 128};
static const struct vfs_host_rule elsewhere = {{[10] = 0xff, [11] = 0xff, [12] = 10}, 104};

static uint32_t echo_of(const struct smb2c_opened *opened)
{
    struct reader data;

    return smb2client_read(client, opened->file, 0, 1, &data);
}

/* They are asked at TREE_CONNECT and at each request after it, so that a reload counts at once. */
static void hosts(void **state)
{
    struct vfs_export_config exports[] = {smbworld_export("a"), smbworld_export("b")};
    struct smb2c_opened opened = open_as("file", SMB2C_MAKE, 0);
    uint32_t tree = client->tree_id;

    (void)state;
    assert_int_equal(smb2client_write(client, opened.file, 0, "x", 1), STATUS_SUCCESS);
    exports[0].hosts_allow = &elsewhere;
    exports[0].hosts_allow_count = 1;
    exports[1].hosts_allow = &here;
    exports[1].hosts_allow_count = 1;
    nfsworld_set_exports(world->nfs, exports, 2);
    assert_int_equal(echo_of(&opened), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_tree_connect(client, "a"), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_tree_connect(client, "b"), STATUS_SUCCESS);
    exports[0].hosts_allow_count = 0;
    exports[1].hosts_allow_count = 0;
    exports[1].hosts_deny = &here;
    exports[1].hosts_deny_count = 1;
    nfsworld_set_exports(world->nfs, exports, 2);
    assert_int_equal(smb2client_tree_connect(client, "b"), STATUS_ACCESS_DENIED);
    client->tree_id = tree;
    assert_int_equal(echo_of(&opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
}

/* ---- squash ---- */

/* Those who logged on are users like NFS's: an export that makes everybody one user makes them that, too. */
static void squashed(void **state)
{
    struct vfs_export_config exports[] = {smbworld_export("a"), smbworld_export("b")};
    struct smb2c_create create = {.name = "file", .access = ALL, .disposition = SMB2C_MAKE};
    struct smb2c_opened opened;

    (void)state;
    smb2client_close(&client);
    smbworld_close(&world);
    for (size_t i = 0; i < 2; i++) {
        exports[i].root_uid = 1000; /* alice's */
        exports[i].root_mode = 0755;
    }
    exports[1].squash = VFS_SQUASH_ALL;
    world = smbworld_open_exports(exports, 2, NULL, NULL);
    client = smbworld_client(world, "alice");
    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_tree_connect(client, "b"), STATUS_SUCCESS);
    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_ACCESS_DENIED);
}

/* ---- without a name ---- */

static uint32_t try_open(const char *name, uint32_t disposition, struct smb2c_opened *opened_r)
{
    struct smb2c_create create = {.name = name, .share = SMB2C_SHARE_ALL, .disposition = disposition};

    return smb2client_create(client, &create, opened_r);
}

/* Where guests may come in, a session may give its name up, and take it again (MS-SMB2 3.3.5.5.3): what is
 * open stays so, the rest is a guest's. */
static void without_a_name(void **state)
{
    struct vfs_export_config exports[] = {smbworld_export("a"), smbworld_export("b")};
    const struct smb_share_config share = {.name = "a", .guest_ok = true};
    const struct smb_options options = {.guests = true};
    struct smb2c_opened file, other;
    struct reader data;

    (void)state;
    world = smbworld_open_exports(exports, 2, NULL, &options);
    use_share(&share);
    client = smbworld_client(world, "alice");
    assert_int_equal(try_open("f", SMB2C_MAKE, &file), STATUS_SUCCESS);
    assert_int_equal(smb2client_logon(client, NULL, NULL), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(client, file.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_query_info(client, file.file, 1, BASIC_INFO, 0, 100, &data), STATUS_SUCCESS);
    assert_int_equal(try_open("f", SMB2C_OPEN, &other), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_tree_connect(client, "b"), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_logon(client, "\303\274nal", "Passw0rd"), STATUS_ACCESS_DENIED);
    smb2client_close(&client);
    client = smbworld_client(world, "alice");
    assert_int_equal(smb2client_logon(client, NULL, NULL), STATUS_SUCCESS);
    assert_int_equal(smb2client_logon(client, "alice", "Passw0rd"), STATUS_SUCCESS);
    assert_int_equal(try_open("f", SMB2C_OPEN, &file), STATUS_SUCCESS);
    /* Where they may not: nothing goes on there but closing. */
    assert_int_equal(smb2client_tree_connect(client, "b"), STATUS_SUCCESS);
    assert_int_equal(try_open("f", SMB2C_MAKE, &file), STATUS_SUCCESS);
    assert_int_equal(smb2client_logon(client, NULL, NULL), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(client, file.file, 0, "x", 1), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_close_file(client, file.file), STATUS_SUCCESS);
}

static void with_a_name_always(void **state)
{
    (void)state;
    assert_int_equal(smb2client_logon(client, NULL, NULL), STATUS_LOGON_FAILURE);
    assert_int_equal(smb2client_tree_connect(client, "a"), STATUS_USER_SESSION_DELETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(written_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(squashed, set_up, tear_down),
        cmocka_unit_test_teardown(without_a_name, tear_down),
        cmocka_unit_test_setup_teardown(with_a_name_always, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
