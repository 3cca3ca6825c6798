/*
 * test_smb2_notify.c - CHANGE_NOTIFY on the wire: what is told of changes that are made over SMB and NFS, in
 * a directory and below it, and how waiting ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/utf16.h"
#include "nfs3check.h"
#include "smbworld.h"

#include <stdio.h>
#include <string.h>

enum { NAMES = 3, EVERYTHING = 0xfff, ROOM = 4096, FILE_SYNC = 2 };

static struct smbworld *world;
static struct smb2client *client, *actor;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    client = smbworld_client(world, "alice");
    actor = smbworld_client(world, "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2client_close(&actor);
    smb2client_close(&client);
    smbworld_close(&world);
    return 0;
}

static struct smb2c_opened open_as(struct smb2client *by, const char *name, uint32_t options)
{
    bool watches = (options & SMB2C_DIRECTORY) != 0 && by == client;
    struct smb2c_create create = {.name = name,
                                  .access = watches ? SMB2C_READ_ONLY : SMB2C_READ_WRITE | SMB2C_DELETE,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_OPEN_IF,
                                  .options = options};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(by, &create, &opened), STATUS_SUCCESS);
    return opened;
}

static struct smb2c_opened open_directory(struct smb2client *by, const char *name)
{
    return open_as(by, name, SMB2C_DIRECTORY);
}

static void make_file(struct smb2client *by, const char *name)
{
    struct smb2c_opened opened = open_as(by, name, SMB2C_NON_DIRECTORY);

    assert_int_equal(smb2client_close_file(by, opened.file), STATUS_SUCCESS);
}

/* A request that has begun to wait. */
static uint64_t watch(const uint8_t *file, uint32_t filter, bool tree)
{
    uint64_t id = smb2client_send_notify(client, file, filter, tree, ROOM), async;

    assert_true(smb2client_pending(client, id, &async));
    return id;
}

/* The records of client->reply as text: "1 name;". */
static const char *records(void)
{
    static char text[4096];
    struct reader body = smb2client_body(client), all, record;
    uint16_t size = 0, offset = 0;
    uint32_t length = 0, next = 0, action = 0, bytes = 0;
    size_t used = 0;

    text[0] = '\0';
    assert_true(reader_le16(&body, &size) && reader_le16(&body, &offset) && reader_le32(&body, &length));
    assert_true(smb2client_part(client, offset, length, &all));
    do {
        const uint8_t *name = NULL;
        char utf8[512];

        record = all;
        assert_true(reader_le32(&record, &next) && reader_le32(&record, &action) &&
                    reader_le32(&record, &bytes) && reader_bytes(&record, bytes, &name));
        assert_true(utf16_to_string(utf8, sizeof utf8, name, bytes));
        used += (size_t)snprintf(text + used, sizeof text - used, "%u %s;", action, utf8);
        assert_true(next % 4 == 0 && reader_skip(&all, next));
    } while (next != 0);
    return text;
}

static void expect(uint64_t id, const char *text)
{
    assert_int_equal(smb2client_wait(client, id), STATUS_SUCCESS);
    assert_string_equal(records(), text);
}

static void names(void **state)
{
    struct smb2c_opened dir = open_directory(client, "dir"), file;
    uint64_t id = watch(dir.file, NAMES, false);

    (void)state;
    make_file(actor, "elsewhere");
    make_file(actor, "dir\\one");
    expect(id, "1 one;");
    id = watch(dir.file, NAMES, false);
    file = open_as(actor, "dir\\one", 0);
    assert_int_equal(smb2client_rename(actor, file.file, "dir\\two", false), STATUS_SUCCESS);
    expect(id, "4 one;5 two;");
    id = watch(dir.file, NAMES, false);
    assert_int_equal(smb2client_rename(actor, file.file, "two", false), STATUS_SUCCESS);
    expect(id, "2 two;");
    id = watch(dir.file, NAMES, false);
    assert_int_equal(smb2client_rename(actor, file.file, "dir\\back", false), STATUS_SUCCESS);
    expect(id, "1 back;");
    id = watch(dir.file, NAMES, false);
    assert_int_equal(smb2client_delete(actor, file.file, true), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(actor, file.file), STATUS_SUCCESS);
    expect(id, "2 back;");
    /* What happens between requests is kept. */
    make_file(actor, "dir\\a");
    (void)open_directory(actor, "dir\\b");
    id = smb2client_send_notify(client, dir.file, 0, false, ROOM);
    expect(id, "1 a;1 b;");
}

/* The first request's filter counts. */
static void filters(void **state)
{
    static const struct {
        uint32_t filter;
        const char *file, *directory, *write, *truncate, *attributes; /* what is told, "" nothing */
    } rows[] = {
        {0x001, "1 f;", "", "", "", ""},     {0x002, "", "1 d;", "", "", ""},
        {0x010, "", "", "3 f;", "3 f;", ""}, {0x008, "", "", "3 f;", "3 f;", ""},
        {0x004, "", "", "", "3 f;", "3 f;"}, {0x080, "", "", "", "", ""},
    };
    /* times left alone, hidden */
    static const uint8_t hidden[40] = {[32] = 2};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[16], path[32];
        const char *const expected[] = {rows[i].file, rows[i].directory, rows[i].write, rows[i].truncate,
                                        rows[i].attributes};
        struct smb2c_opened dir, file = {.size = 0};

        snprintf(name, sizeof name, "dir%zu", i);
        dir = open_directory(client, name);
        for (unsigned step = 0; step < 5; step++) {
            uint64_t id = watch(dir.file, rows[i].filter, false);

            switch (step) {
            case 0:
                snprintf(path, sizeof path, "%s\\f", name);
                file = open_as(actor, path, 0);
                break;
            case 1:
                snprintf(path, sizeof path, "%s\\d", name);
                (void)open_directory(actor, path);
                break;
            case 2:
                assert_int_equal(smb2client_write(actor, file.file, 0, "data", 4), STATUS_SUCCESS);
                break;
            case 3:
                assert_int_equal(smb2client_truncate(actor, file.file, 1), STATUS_SUCCESS);
                break;
            default:
                assert_int_equal(smb2client_set_info(actor, file.file, 1, 4, 0, hidden, sizeof hidden),
                                 STATUS_SUCCESS);
                break;
            }
            if (expected[step][0] != '\0') {
                expect(id, expected[step]);
                continue;
            }
            assert_int_equal(smb2client_echo(actor), STATUS_SUCCESS);
            assert_false(smb2client_has_reply(client, id));
            smb2client_cancel(client, id, 0);
            assert_int_equal(smb2client_wait(client, id), STATUS_CANCELLED);
        }
    }
}

/* MS-FSA 2.1.5.14.2: that a time which was set by hand is left alone is no change of its own. */
static void times_that_stay(void **state)
{
    static const uint8_t long_ago[40] = {[16] = 1, [22] = 1};
    struct smb2c_opened dir, file;
    uint64_t id;

    (void)state;
    dir = open_directory(client, "dir");
    file = open_as(actor, "dir\\f", 0);
    assert_int_equal(smb2client_set_info(actor, file.file, 1, 4, 0, long_ago, sizeof long_ago),
                     STATUS_SUCCESS);
    id = watch(dir.file, 0x10, false);
    assert_int_equal(smb2client_write(actor, file.file, 0, "data", 4), STATUS_SUCCESS);
    expect(id, "3 f;");
}

static void tree(void **state)
{
    struct smb2c_opened top = open_directory(client, "top"), file;
    uint64_t id;

    (void)state;
    (void)open_directory(actor, "top\\a");
    (void)open_directory(actor, "top\\a\\b");
    file = open_as(actor, "top\\a\\b\\deep", 0);
    id = watch(top.file, EVERYTHING, true);
    assert_int_equal(smb2client_write(actor, file.file, 0, "data", 4), STATUS_SUCCESS);
    expect(id, "3 a\\b\\deep;");
    id = watch(top.file, EVERYTHING, true);
    make_file(actor, "top\\a\\new");
    expect(id, "1 a\\new;");
    id = watch(top.file, EVERYTHING, true);
    assert_int_equal(smb2client_rename(actor, file.file, "top\\near", false), STATUS_SUCCESS);
    expect(id, "2 a\\b\\deep;1 near;");
    {
        struct smb2c_opened other = open_directory(client, "top");

        id = watch(other.file, 4, false);
        assert_int_equal(smb2client_rename(actor, file.file, "top\\nearer", false), STATUS_SUCCESS);
        expect(id, "3 nearer;");
    }
}

/* Changes over NFS, of files and directories that only NFS has named. */
static void over_nfs(void **state)
{
    struct rpcclient *nfs = nfsworld_client(world->nfs, 1000, 100);
    struct nfs3_handle root = nfsworld_mount(nfs, "/a");
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0755};
    struct smb2c_opened dir = open_directory(client, "");
    struct nfs3_result r;
    uint64_t id = watch(dir.file, EVERYTHING, true);
    struct nfs3_handle sub, file;

    (void)state;
    works(nfs3_mkdir(nfs, &root, "sub", &attr, &r));
    sub = r.handle;
    expect(id, "1 sub;");
    id = watch(dir.file, EVERYTHING, true);
    works(nfs3_create(nfs, &sub, "file", 1, &attr, 0, &r));
    file = r.handle;
    expect(id, "1 sub\\file;");
    id = watch(dir.file, EVERYTHING, true);
    works(nfs3_write(nfs, &file, 0, "data", 4, FILE_SYNC, &r));
    expect(id, "3 sub\\file;");
    id = watch(dir.file, EVERYTHING, true);
    works(nfs3_rename(nfs, &sub, "file", &sub, "other", &r));
    expect(id, "4 sub\\file;5 sub\\other;");
    id = watch(dir.file, EVERYTHING, true);
    works(nfs3_name_call(nfs, NFS3C_REMOVE, &sub, "other", 5, &r));
    expect(id, "2 sub\\other;");
    rpcclient_close(&nfs);
}

/* What lies where the user may not look is not shown. */
static void hidden_parts(void **state)
{
    struct rpcclient *nfs = nfsworld_client(world->nfs, 2000, 2000);
    struct nfs3_handle root = nfsworld_mount(nfs, "/a"), closed;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0700};
    struct smb2c_opened dir = open_directory(client, "");
    struct nfs3_result r;
    uint64_t id;

    (void)state;
    works(nfs3_mkdir(nfs, &root, "closed", &attr, &r));
    closed = r.handle;
    id = watch(dir.file, EVERYTHING, true);
    works(nfs3_create(nfs, &closed, "secret", 1, &attr, 0, &r));
    works(nfs3_create(nfs, &root, "open", 1, &attr, 0, &r));
    expect(id, "1 open;");
    rpcclient_close(&nfs);
}

static void overflow(void **state)
{
    struct smb2c_opened dir = open_directory(client, "dir");
    uint64_t id = smb2client_send_notify(client, dir.file, NAMES, false, 100), async;

    (void)state;
    assert_true(smb2client_pending(client, id, &async));
    make_file(actor, "dir\\first");
    assert_int_equal(smb2client_wait(client, id), STATUS_SUCCESS);
    for (unsigned i = 0; i < 10; i++) {
        char name[32];

        snprintf(name, sizeof name, "dir\\file%u", i);
        make_file(actor, name);
    }
    id = smb2client_send_notify(client, dir.file, NAMES, false, 100);
    assert_int_equal(smb2client_wait(client, id), STATUS_NOTIFY_ENUM_DIR);
    /* It goes on. */
    id = smb2client_send_notify(client, dir.file, NAMES, false, 100);
    assert_true(smb2client_pending(client, id, &async));
    make_file(actor, "dir\\last");
    expect(id, "1 last;");
    /* No room for what there is. */
    make_file(actor, "dir\\after");
    id = smb2client_send_notify(client, dir.file, NAMES, false, 8);
    assert_int_equal(smb2client_wait(client, id), STATUS_NOTIFY_ENUM_DIR);
}

static void ends(void **state)
{
    struct smb2c_opened dir = open_directory(client, "dir"), same, file = open_as(client, "file", 0);
    struct smb2c_create blind = {.name = "dir",
                                 .access = SMB2C_READ_ATTRIBUTES,
                                 .share = SMB2C_SHARE_ALL,
                                 .disposition = SMB2C_OPEN,
                                 .options = SMB2C_DIRECTORY};
    uint64_t id, ids[3];

    (void)state;
    /* closed */
    id = watch(dir.file, NAMES, false);
    assert_int_equal(smb2client_close_file(client, dir.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(client, id), STATUS_NOTIFY_CLEANUP);
    /* each change ends one request */
    dir = open_directory(client, "dir");
    for (unsigned i = 0; i < 3; i++)
        ids[i] = watch(dir.file, NAMES, false);
    make_file(actor, "dir\\one");
    expect(ids[0], "1 one;");
    make_file(actor, "dir\\two");
    expect(ids[1], "1 two;");
    /* deleted by another */
    make_file(actor, "other");
    {
        struct smb2c_opened one = open_as(actor, "dir\\one", SMB2C_DELETE_ON_CLOSE);
        struct smb2c_opened two = open_as(actor, "dir\\two", SMB2C_DELETE_ON_CLOSE);

        assert_int_equal(smb2client_close_file(actor, one.file), STATUS_SUCCESS);
        assert_int_equal(smb2client_close_file(actor, two.file), STATUS_SUCCESS);
    }
    assert_int_equal(smb2client_wait(client, ids[2]), STATUS_SUCCESS);
    id = smb2client_send_notify(client, dir.file, NAMES, false, ROOM);
    assert_int_equal(smb2client_wait(client, id), STATUS_SUCCESS);
    id = watch(dir.file, NAMES, false);
    same = open_directory(actor, "dir");
    assert_int_equal(smb2client_delete(actor, same.file, true), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(client, id), STATUS_DELETE_PENDING);
    assert_int_equal(smb2client_delete(actor, same.file, false), STATUS_SUCCESS);
    /* what can't be watched */
    id = smb2client_send_notify(client, file.file, NAMES, false, ROOM);
    assert_int_equal(smb2client_wait(client, id), STATUS_INVALID_PARAMETER);
    assert_int_equal(smb2client_create(client, &blind, &same), STATUS_SUCCESS);
    id = smb2client_send_notify(client, same.file, NAMES, false, ROOM);
    assert_int_equal(smb2client_wait(client, id), STATUS_ACCESS_DENIED);
    id = smb2client_send_notify(client, same.file, NAMES, false, 2 << 20);
    assert_int_equal(smb2client_wait(client, id), STATUS_INVALID_PARAMETER);
}

/* A connection that goes with requests that wait, and a logoff. */
static void sessions_end(void **state)
{
    struct smb2c_opened dir = open_directory(client, "dir");
    uint64_t id = watch(dir.file, NAMES, false);

    (void)state;
    smb2client_close(&client);
    client = smbworld_client(world, "alice");
    dir = open_directory(client, "dir");
    id = watch(dir.file, NAMES, true);
    make_file(actor, "dir\\one");
    expect(id, "1 one;");
    id = watch(dir.file, NAMES, true);
    assert_int_equal(smb2client_tree_disconnect(client), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(client, id), STATUS_NOTIFY_CLEANUP);
    make_file(actor, "dir\\two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_that_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_nfs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hidden_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overflow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
