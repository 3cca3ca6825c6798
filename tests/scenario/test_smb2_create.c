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

/* A handle that is good for nothing is refused, and so is one by number (MS-SMB2 2.2.13, 3.3.5.9). */
static void refused(void **state)
{
    (void)state;
    assert_int_equal(try_open("f", SYNCHRONIZE, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(try_open("f", SYNCHRONIZE | SMB2C_READ_ATTRIBUTES, 0), STATUS_SUCCESS);
    assert_int_equal(try_open("f", SMB2C_READ_DATA, OPEN_BY_ID), STATUS_NOT_SUPPORTED);
    assert_int_equal(try_open("\x01\x01\x01\x01", SMB2C_READ_DATA, OPEN_BY_ID), STATUS_NOT_SUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maximum_and_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
