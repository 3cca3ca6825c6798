/*
 * test_smb2_create.c - CREATE on the wire: what may be asked for, and what is said to Apple's clients.
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

enum { SYNCHRONIZE = 0x100000, MAXIMUM = 0x2000000, ALL = 0x1f01ff, OPEN_BY_ID = 0x2000 };

static struct smbworld *world;
static struct smb2client *client;

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {smbworld_export("a"), smbworld_export("async")};

    (void)state;
    exports[1].sync = false;
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

/* Opens NAME, making it if need be, and closes it. */
static uint32_t try_open(const char *name, uint32_t access, uint32_t options)
{
    struct smb2c_create create = {.name = name,
                                  .access = access,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_OPEN_IF,
                                  .options = options};
    struct smb2c_opened opened;
    uint32_t status = smb2client_create(client, &create, &opened);

    if (status == STATUS_SUCCESS)
        assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    return status;
}

/* ---- access ---- */

static void set_list(const char *name, uint32_t mask)
{
    struct smb2c_create create = {
        .name = name, .access = ALL, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF};
    struct smb2c_opened opened;
    struct sec_ace ace = {.mask = mask, .sid = sid_everyone};
    struct sec_acl acl = {.aces = &ace, .count = 1};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl};
    uint8_t bytes[256];
    struct writer writer;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    writer_init(&writer, bytes, sizeof bytes);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_OK);
    assert_int_equal(smb2client_set_info(client, opened.file, 3, 0, 4, bytes, (uint32_t)writer.length),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
}

/* MAXIMUM_ALLOWED beside other rights gives what there is, and those must be among it (MS-DTYP 2.5.3.2). */
static void maximum_and_more(void **state)
{
    /* what the list says, what the owner has anyway, and deletion, as the directory lets him */
    const uint32_t granted = 0x120089 | 0x40000 | 0x10000;

    (void)state;
    set_list("f", 0x120089);
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t mask = UINT32_C(1) << bit, wanted = STATUS_ACCESS_DENIED;

        if ((mask & granted) || mask == MAXIMUM || mask == UINT32_C(0x80000000))
            wanted = STATUS_SUCCESS;
        else if (mask == 0x1000000)
            wanted = STATUS_PRIVILEGE_NOT_HELD;
        if (try_open("f", MAXIMUM | mask, 0) != wanted)
            fail_msg("%08x: %08x, not %08x", mask, try_open("f", MAXIMUM | mask, 0), wanted);
    }
}

/* No rights at all are refused, and so is a file by its number (MS-SMB2 2.2.13, 3.3.5.9). */
static void refused(void **state)
{
    (void)state;
    assert_int_equal(try_open("f", 0x200, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(try_open("f", SYNCHRONIZE, 0), STATUS_SUCCESS);
    assert_int_equal(try_open("f", SMB2C_READ_DATA, OPEN_BY_ID), STATUS_NOT_SUPPORTED);
    assert_int_equal(try_open("\x01\x01\x01\x01", SMB2C_READ_DATA, OPEN_BY_ID), STATUS_NOT_SUPPORTED);
}

/* ---- Apple's clients ---- */

enum { QUERY = 1, RESOLVE = 2, FULL_SYNC = 4 };

/* The answer to COMMAND with WISHES, of LENGTH bytes, sent with a CREATE of the root. */
static uint32_t ask_apple(uint32_t command, uint64_t wishes, size_t length, bool *answered_r,
                          struct reader *answer_r)
{
    uint8_t data[24];
    struct smb2c_context contexts[] = {{"AAPL", data, length}, {NULL, NULL, 0}};
    struct smb2c_create create = {.name = "",
                                  .access = SMB2C_READ_ATTRIBUTES,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_OPEN,
                                  .contexts = contexts};
    struct smb2c_opened opened;
    struct writer writer;
    uint32_t status;

    writer_init(&writer, data, sizeof data);
    writer_le32(&writer, command);
    writer_le32(&writer, 0);
    writer_le64(&writer, wishes);
    writer_le64(&writer, 0x3f);
    status = smb2client_create(client, &create, &opened);
    if (status == STATUS_SUCCESS)
        *answered_r = smb2client_context(client, "AAPL", answer_r);
    return status;
}

static uint64_t head_of(struct reader *answer)
{
    uint32_t command = 0, reserved = 1;
    uint64_t bitmap = 0;

    assert_true(reader_le32(answer, &command) && reader_le32(answer, &reserved) &&
                reader_le64(answer, &bitmap));
    assert_int_equal(command, QUERY);
    assert_int_equal(reserved, 0);
    return bitmap;
}

static void apple(void **state)
{
    struct reader answer = {.left = 0};
    uint64_t server = 1, volume = 0;
    uint32_t pad = 1, length = 0;
    bool answered = false;
    char model[32];

    (void)state;
    assert_int_equal(ask_apple(QUERY, 7, 24, &answered, &answer), STATUS_SUCCESS);
    assert_true(answered);
    assert_int_equal(answer.left % 8, 0);
    assert_int_equal(head_of(&answer), 7);
    assert_true(reader_le64(&answer, &server) && reader_le64(&answer, &volume));
    /* Nothing that would have to be done; F_FULLFSYNC, and names whatever their case. */
    assert_int_equal(server, 0);
    assert_int_equal(volume, FULL_SYNC);
    assert_true(reader_le32(&answer, &pad) && reader_le32(&answer, &length));
    assert_int_equal(pad, 0);
    assert_in_range(answer.left, length, length + 7);
    assert_true(utf16_to_string(model, sizeof model, answer.at, length));
    assert_string_equal(model, "dittofs");

    /* What is asked for is answered, and no more, with each CREATE. */
    assert_int_equal(ask_apple(QUERY, 2 | 0x100, 24, &answered, &answer), STATUS_SUCCESS);
    assert_true(answered);
    assert_int_equal(head_of(&answer), 2);
    assert_true(reader_le64(&answer, &volume) && answer.left == 0);
    assert_int_equal(volume, FULL_SYNC);
    assert_int_equal(ask_apple(QUERY, 0, 24, &answered, &answer), STATUS_SUCCESS);
    assert_true(answered);
    assert_int_equal(head_of(&answer), 0);
    assert_int_equal(answer.left, 0);

    /* Where replies don't wait for the disk, no client is told that they do. */
    assert_int_equal(smb2client_tree_connect(client, "async"), STATUS_SUCCESS);
    assert_int_equal(ask_apple(QUERY, 2, 24, &answered, &answer), STATUS_SUCCESS);
    assert_int_equal(head_of(&answer), 2);
    assert_true(reader_le64(&answer, &volume));
    assert_int_equal(volume, 0);
}

static uint32_t flush(const struct smb2c_opened *opened, uint16_t reserved)
{
    uint8_t bytes[24];
    struct writer body;

    writer_init(&body, bytes, sizeof bytes);
    writer_le16(&body, 24);
    writer_le16(&body, reserved);
    writer_le32(&body, 0);
    writer_bytes(&body, opened->file, SMB2C_FILE_ID);
    return smb2client_call(client, SMB2C_FLUSH, &body);
}

/* F_FULLFSYNC comes as a FLUSH with a mark, through whatever handle is at hand. */
static void full_sync(void **state)
{
    struct smb2c_create create = {
        .name = "f", .access = ALL, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF};
    struct smb2c_opened writer, reader;

    (void)state;
    assert_int_equal(smb2client_create(client, &create, &writer), STATUS_SUCCESS);
    create.access = SMB2C_READ_ONLY;
    assert_int_equal(smb2client_create(client, &create, &reader), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(client, writer.file, 0, "data", 4), STATUS_SUCCESS);
    assert_int_equal(flush(&reader, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(flush(&reader, 0xffff), STATUS_SUCCESS);
    assert_int_equal(flush(&writer, 0), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, reader.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, writer.file), STATUS_SUCCESS);
}

static void apple_otherwise(void **state)
{
    struct reader answer;
    bool answered = true;

    (void)state;
    assert_int_equal(ask_apple(RESOLVE, 1, 24, &answered, &answer), STATUS_SUCCESS);
    assert_false(answered);
    for (size_t length = 0; length < 24; length++)
        assert_int_equal(ask_apple(QUERY, 7, length, &answered, &answer), STATUS_INVALID_PARAMETER);
}

/* ---- "." and ".." ---- */

static uint32_t look(const char *path)
{
    struct smb2c_create create = {
        .name = path, .access = SMB2C_READ_ATTRIBUTES, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN};
    struct smb2c_opened opened;
    uint32_t status = smb2client_create(client, &create, &opened);

    if (status == STATUS_SUCCESS)
        assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    return status;
}

/* MS-FSCC 2.1.5.1: they mean what they say, and never lead out of the share. */
static void dots(void **state)
{
    static const struct {
        const char *path;
        uint32_t status;
    } rows[] = {
        {"d\\e\\..\\f", STATUS_SUCCESS},
        {".\\d\\.\\f", STATUS_SUCCESS},
        {"..\\d\\f", STATUS_OBJECT_PATH_SYNTAX_BAD},
        {"d\\e\\..\\..\\d\\f", STATUS_SUCCESS},
        {"d\\missing\\..\\f", STATUS_SUCCESS},
        {"d\\..", STATUS_SUCCESS},
        {"d\\e\\..", STATUS_SUCCESS},
        {".", STATUS_SUCCESS},
        {"..", STATUS_OBJECT_PATH_SYNTAX_BAD},
        {"d\\..\\..\\d", STATUS_OBJECT_PATH_SYNTAX_BAD},
        {"d\\..\\f", STATUS_OBJECT_NAME_NOT_FOUND},
        {"d\\...\\f", STATUS_OBJECT_PATH_NOT_FOUND},
        {"d\\\\..\\f", STATUS_SUCCESS},
        {"d\\..:s", STATUS_OBJECT_PATH_SYNTAX_BAD},
        {"\\..\\d", STATUS_INVALID_PARAMETER},
        {"link\\f", STATUS_STOPPED_ON_SYMLINK},
        {"link\\e\\..\\f", STATUS_OBJECT_PATH_SYNTAX_BAD},
    };
    struct rpcclient *nfs = nfsworld_client(world->nfs, 1000, 1000);
    struct nfs3_handle root = nfsworld_mount(nfs, "/a");
    struct nfs3_result r;

    (void)state;
    assert_int_equal(try_open("d", ALL, SMB2C_DIRECTORY), STATUS_SUCCESS);
    assert_int_equal(try_open("d\\e", ALL, SMB2C_DIRECTORY), STATUS_SUCCESS);
    assert_int_equal(try_open("d\\f", ALL, 0), STATUS_SUCCESS);
    assert_int_equal(nfs3_symlink(nfs, &root, "link", "d", &r), RPCCLIENT_SUCCESS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t status = look(rows[i].path);

        if (status != rows[i].status)
            fail_msg("%s: %x, not %x", rows[i].path, status, rows[i].status);
    }
    rpcclient_close(&nfs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maximum_and_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(apple, set_up, tear_down),
        cmocka_unit_test_setup_teardown(apple_otherwise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_sync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dots, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
