/*
 * test_smb2_files.c - SMB 3.1.1 on the wire: logon, files, ranges that wait, names, compounds, encryption.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smbworld.h"

#include <string.h>

static struct smbworld *world;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    return 0;
}

static struct smb2c_opened open_file(struct smb2client *client, const char *name)
{
    struct smb2c_create create = {.name = name, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    return opened;
}

static uint32_t lock(struct smb2client *client, const uint8_t *file, uint64_t offset, uint64_t length,
                     uint32_t flags)
{
    struct smb2c_range range = {.offset = offset, .length = length, .flags = flags};

    return smb2client_lock(client, file, &range, 1);
}

static void logons(void **state)
{
    struct smb2client *client = smbworld_connect(world);

    (void)state;
    assert_int_equal(smb2client_negotiate(client), STATUS_SUCCESS);
    assert_int_equal(client->dialect, 0x0311);
    assert_int_equal(smb2client_logon(client, "alice", "wrong"), STATUS_LOGON_FAILURE);
    smb2client_close(&client);
    client = smbworld_client(world, "alice");
    assert_int_equal(smb2client_tree_connect(client, "none"), STATUS_BAD_NETWORK_NAME);
    assert_int_equal(smb2client_echo(client), STATUS_SUCCESS);
    assert_int_equal(smb2client_logon(client, "alice", "Passw0rd"), STATUS_SUCCESS); /* again */
    assert_int_equal(smb2client_echo(client), STATUS_SUCCESS);
    assert_int_equal(smb2client_logoff(client), STATUS_SUCCESS);
    smb2client_close(&client);
}

static void data(void **state)
{
    struct smb2client *client = smbworld_client(world, "alice");
    struct smb2c_opened opened = open_file(client, "f");
    struct smb2c_create deleting = {.name = "f",
                                    .access = SMB2C_READ_WRITE | SMB2C_DELETE,
                                    .share = SMB2C_SHARE_ALL,
                                    .disposition = SMB2C_OPEN};
    struct reader got;

    (void)state;
    assert_int_equal(smb2client_write(client, opened.file, 0, "hello world", 11), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, opened.file, 6, 100, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 5);
    assert_memory_equal(got.at, "world", 5);
    assert_int_equal(smb2client_flush(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_truncate(client, opened.file, 5), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, opened.file, 5, 100, &got), STATUS_END_OF_FILE);
    /* Renaming and deleting need the right to delete, from the open. */
    assert_int_equal(smb2client_rename(client, opened.file, "G", false), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_delete(client, opened.file, true), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_create(client, &deleting, &opened), STATUS_SUCCESS);
    assert_int_equal(opened.size, 5);
    assert_int_equal(smb2client_rename(client, opened.file, "G", false), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    deleting.name = "g";
    assert_int_equal(smb2client_create(client, &deleting, &opened), STATUS_SUCCESS);
    assert_int_equal(smb2client_delete(client, opened.file, true), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_FILE_CLOSED);
    assert_int_equal(smb2client_create(client, &deleting, &opened), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
}

/* Every way of signing and encrypting that is negotiated carries the same. */
static void protections(void **state)
{
    static const struct {
        uint16_t dialect, signing, cipher;
        bool encrypts;
    } rows[] = {
        {0x0210, 0, 0, false},
        {0x0300, 0, 0, false},
        {0x0302, 0, 0, true},
        {0x0311, SMB2_SIGNING_AES_GMAC, SMB2_CIPHER_AES128_CCM, false},
        {0x0311, SMB2_SIGNING_AES_CMAC, SMB2_CIPHER_AES128_CCM, true},
        {0x0311, SMB2_SIGNING_AES_CMAC, SMB2_CIPHER_AES256_GCM, true},
        {0x0311, SMB2_SIGNING_AES_GMAC, SMB2_CIPHER_AES256_CCM, true},
        {0x0311, SMB2_SIGNING_AES_CMAC, SMB2_CIPHER_NONE, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smb2client *client = smbworld_connect(world);
        struct smb2c_opened opened;

        client->dialects[0] = rows[i].dialect;
        client->signing_offer = rows[i].signing;
        client->cipher_offer = rows[i].cipher;
        smbworld_log_on(client, "alice", "a");
        client->encrypts = rows[i].encrypts;
        opened = open_file(client, "p");
        assert_int_equal(smb2client_write(client, opened.file, 0, "x", 1), STATUS_SUCCESS);
        assert_int_equal(client->reply->is_signed, !rows[i].encrypts);
        assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
        client->encrypts = false;
        client->leaves_unsigned = true;
        assert_int_equal(smb2client_echo(client), STATUS_ACCESS_DENIED);
        smb2client_close(&client);
    }
}

static void waiting(void **state)
{
    struct smb2client *first = smbworld_client(world, "alice"), *second = smbworld_client(world, "alice");
    struct smb2c_opened mine = open_file(first, "f"), theirs = open_file(second, "f");
    uint64_t id, async_id;

    (void)state;
    assert_int_equal(lock(first, mine.file, 0, 10, SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE),
                     STATUS_SUCCESS);
    assert_int_equal(lock(second, theirs.file, 5, 10, SMB2C_LOCK_SHARED | SMB2C_FAIL_AT_ONCE),
                     STATUS_LOCK_NOT_GRANTED);
    id = smb2client_send_lock(second, theirs.file, 5, 10, SMB2C_LOCK_SHARED);
    assert_true(smb2client_pending(second, id, &async_id));
    smb2client_cancel(second, id, async_id);
    assert_int_equal(smb2client_wait(second, id), STATUS_CANCELLED);
    id = smb2client_send_lock(second, theirs.file, 5, 10, SMB2C_LOCK_SHARED);
    assert_true(smb2client_pending(second, id, &async_id));
    assert_false(smb2client_has_reply(second, id));
    assert_int_equal(lock(first, mine.file, 0, 10, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(second, id), STATUS_SUCCESS);
    assert_int_equal(lock(first, mine.file, 0, 10, SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE),
                     STATUS_LOCK_NOT_GRANTED);
    /* A connection that ends gives back what it held. */
    smb2client_close(&second);
    id = smb2client_send_lock(first, mine.file, 0, 10, SMB2C_LOCK_EXCLUSIVE);
    assert_int_equal(smb2client_wait(first, id), STATUS_SUCCESS);
    smb2client_close(&first);
}

/* CREATE, WRITE and CLOSE in one message, the file taken over from one to the next. */
static void related_compound(void **state)
{
    struct smb2client *client = smbworld_client(world, "alice");
    struct smb2c_create make = {.name = "c", .share = SMB2C_SHARE_ALL, .disposition = SMB2C_MAKE};
    struct smb2c_opened opened;
    struct writer bodies[2];
    struct smb2c_part parts[] = {{SMB2C_CREATE, &bodies[0]}, {SMB2C_CLOSE, &bodies[1]}};
    uint64_t id;

    (void)state;
    for (int i = 0; i < 2; i++)
        writer_init_growing(&bodies[i], 4096);
    smb2client_put_create(&bodies[0], &make);
    writer_le16(&bodies[1], 24);
    writer_zeros(&bodies[1], 6);
    writer_le64(&bodies[1], UINT64_MAX);
    writer_le64(&bodies[1], UINT64_MAX);
    id = smb2client_send_compound(client, parts, 2, true);
    assert_int_equal(smb2client_wait(client, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(client, &opened));
    assert_int_equal(smb2client_wait(client, id + 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_FILE_CLOSED);
    /* The failure of CREATE is inherited. */
    id = smb2client_send_compound(client, parts, 2, true);
    assert_int_equal(smb2client_wait(client, id), STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(smb2client_wait(client, id + 1), STATUS_OBJECT_NAME_COLLISION);
    for (int i = 0; i < 2; i++)
        writer_free(&bodies[i]);
    smb2client_close(&client);
}

static void restart(void **state)
{
    struct smb2client *client = smbworld_client(world, "alice");
    struct smb2c_opened opened = open_file(client, "kept");

    (void)state;
    assert_int_equal(smb2client_write(client, opened.file, 0, "kept", 4), STATUS_SUCCESS);
    smbworld_restart(world);
    assert_true(smb2client_wait_closed(client));
    smb2client_close(&client);
    client = smbworld_client(world, "alice");
    opened = open_file(client, "kept");
    assert_int_equal(opened.size, 4);
    smb2client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(logons, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(protections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(related_compound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
